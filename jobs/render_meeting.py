"""``python -m jobs.render_meeting --out DIR``: a bilingual meeting with slides, and its truth.

Its first recording is spoken in English by a synthetic voice (hibari-tts). The second one has
Chinese captions instead of sound: Whisper does not understand espeak-ng, the one Chinese voice
that was tried. Beside both lie their decks, each with a page that is never shown.
"""

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import numpy.typing as npt
import typer

from pipeline.demo.deck import DeckPage, Showing, write_recording
from pipeline.demo.deck_file import write_pdf, write_pptx

_RATE_HZ = 24_000
_FIRST_WORD_S = 1.0
"""After a page begins."""
_PAUSE_S = 0.8
_CAPTION_S = 3.0
_BLOCK = 1024
_ENGLISH = (
    (DeckPage("Agenda", ("Project progress", "Product price", "Next steps")),
     ("Welcome to the project review.",)),
    (DeckPage("Project progress", ("The pilot runs in 3 regions", "Latency fell by 40%")),
     ("The pilot runs in three regions.", "Latency fell by forty percent.")),
    (DeckPage("Roadmap", ("Wireless version in spring",)), ()),
    (DeckPage("Product price", ("Gateway 1250 EUR", "Support 99 EUR a year")),
     ("The gateway costs 1250 euros.", "Can we sell it in Japan?")),
    (DeckPage("Next steps", ("Offer by Friday", "Security audit")),
     ("We must send the offer by Friday.", "Back to the product price of the gateway.")),
)  # fmt: skip
_CHINESE = (
    (DeckPage("市场数据", ("收入增长 18%", "客户流失 4%")),
     (("王芳", "今年收入增长百分之十八。"),)),
    (DeckPage("客户反馈", ("交付准时", "文档太少")), ()),
    (DeckPage("产品价格", ("网关 9900 元", "支持 700 元")),
     (("王芳", "网关的价格是 9900 元。"), ("李明", "可以打折吗\uff1f"))),
    (DeckPage("下一步", ("合同", "安全审计")),
     (("李明", "我们决定周五之前完成合同。"), ("王芳", "第三页的价格不变。"))),
)  # fmt: skip

_ABOUT = {"Back to the product price of the gateway.": 4, "第三页的价格不变。": 3}
"""Numbers of the pages of the deck that are not on the screen while they are spoken of."""


def main(out: Annotated[Path, typer.Option(help="Folder for recordings and truth.json.")]) -> None:
    """Render both recordings."""
    out.mkdir(parents=True, exist_ok=True)
    english = _render_english(out / "talk_20260314T090000+0000.mp4")
    chinese = _render_chinese(out / "review_20260314T100000+0000.mp4")
    truth = json.dumps([english, chinese], ensure_ascii=False, indent=1)
    (out / "truth.json").write_text(truth, encoding="utf-8")


def _render_english(path: Path) -> dict[str, Any]:
    from hibari import Hibari  # noqa: PLC0415 - installed for this demo alone

    silent = path.with_suffix(".silent.mp4")
    pages = [page for page, _ in _ENGLISH]
    shown = write_recording(pages, silent, 3, _spoken_over(_ENGLISH))
    write_pdf(pages, path.with_suffix(".pdf"))
    voice = Hibari()
    wave = np.zeros(round(shown.showings[-1].end_s * _RATE_HZ), np.float32)
    said = []
    for showing in shown.showings:
        at_s = showing.start_s + _FIRST_WORD_S
        for text in _ENGLISH[showing.page - 1][1]:
            samples = _voiced(np.asarray(voice(text, seed=1), np.float32))
            end_s = at_s + len(samples) / _RATE_HZ
            if end_s > showing.end_s:
                raise SystemExit(f"{text!r} is longer than its page is shown")
            wave[round(at_s * _RATE_HZ) :][: len(samples)] = samples
            said.append(_said(at_s, end_s, text, "", showing.page))
            at_s = end_s + _PAUSE_S
    _with_sound(silent, wave, path)
    silent.unlink()
    return _truth(path, _ENGLISH, shown.showings, said)


def _voiced(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Without the silence at both ends, so that the truth is the time of the voice."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def _render_chinese(path: Path) -> dict[str, Any]:
    pages = [page for page, _ in _CHINESE]
    shown = write_recording(pages, path, 5, _spoken_over(_CHINESE))
    write_pptx(pages, path.with_suffix(".pptx"))
    said = []
    for showing in shown.showings:
        at_s = showing.start_s + _FIRST_WORD_S
        for speaker, text in _CHINESE[showing.page - 1][1]:
            said.append(_said(at_s, at_s + _CAPTION_S, text, speaker, showing.page))
            at_s += _CAPTION_S + _PAUSE_S
    cues = [
        f"{_clock(one['start_s'])} --> {_clock(one['end_s'])}\n<v {one['speaker']}>{one['text']}"
        for one in said
    ]
    path.with_suffix(".vtt").write_text("\n\n".join(["WEBVTT", *cues]) + "\n", encoding="utf-8")
    return _truth(path, _CHINESE, shown.showings, said)


def _spoken_over(deck: tuple[Any, ...]) -> list[int]:
    """The pages that are shown, from 1: those with sentences."""
    return [number for number, (_, sentences) in enumerate(deck, start=1) if sentences]


def _said(start_s: float, end_s: float, text: str, speaker: str, page: int) -> dict[str, Any]:
    """A sentence with the page on the screen, and the one that it is about."""
    return {
        "start_s": start_s,
        "end_s": end_s,
        "text": text,
        "speaker": speaker,
        "page": page,
        "about": _ABOUT.get(text, page),
    }


def _truth(
    path: Path, deck: tuple[Any, ...], showings: tuple[Showing, ...], said: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "file": path.name,
        "pages": [page.text for page, _ in deck],
        "showings": [asdict(one) for one in showings],
        "said": said,
    }


def _clock(at_s: float) -> str:
    return f"00:{int(at_s) // 60:02d}:{at_s % 60:06.3f}"


def _with_sound(silent: Path, wave: npt.NDArray[np.float32], path: Path) -> None:
    """The same pictures with a track of sound beside them."""
    with av.open(str(silent)) as source, av.open(str(path), "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        sound = container.add_stream("aac", rate=_RATE_HZ, layout="mono")
        packets = [one for one in source.demux(video=0) if one.dts is not None]
        for packet in packets:
            packet.stream = pictures
        for first in range(0, len(wave), _BLOCK):
            block = np.ascontiguousarray(wave[None, first : first + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, "fltp", "mono")
            frame.sample_rate, frame.pts = _RATE_HZ, first
            frame.time_base = Fraction(1, _RATE_HZ)
            packets += sound.encode(frame)
        packets += sound.encode()
        for packet in sorted(packets, key=lambda one: (one.dts or 0) * one.time_base):
            container.mux(packet)


if __name__ == "__main__":
    typer.run(main)
