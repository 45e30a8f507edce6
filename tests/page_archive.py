"""An index over videos whose frames show their number, for the tests of the page and its server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import pipeline.index as pi
from pipeline.config import DecodeConfig, SampleConfig
from pipeline.media import probe
from pipeline.timebase import datetime_to_ns
from tests.index_rows import at, event, rows, video, window
from tests.kinds import edit_list_in_mid_gop
from tests.videos import make_video, number_in, picture_of, source_of

RATE = 25
NUM_FRAMES = 150
HOSTILE = "<img src=x onerror='window.stolen=1'>\u202eevil " + "long " * 2000
_EVERY_S = 60.0


@dataclass(frozen=True)
class Shown:
    """An event, and the number in the picture at its start."""

    event_id: str
    media_s: float
    number: int


def make_archive(folder: Path, kinds: Sequence[str] = ()) -> tuple[Path, dict[str, Shown]]:
    """Write videos of these or all kinds and an index of them; one event in each, by its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[str, Shown] = {}
    videos, events, windows = [], [], []
    for place, kind in enumerate(kinds or KINDS):
        paths = KINDS[kind](folder)
        parts, start_s = [], _EVERY_S * place
        for path in paths:
            facts, _ = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
            name, length_s = f"v-{path.name}", facts.span.end_ns / 1e9
            own = {"camera": kind, "video_id": name, "uri": str(path)}
            videos.append(own | _video(facts, start_s, start_s + length_s))
            windows.append(window(name, 0, start_s, start_s + length_s) | own)
            first, last = (min(3.0, length_s / 2), length_s) if not parts else (0.0, 2.0)
            parts.append(
                {
                    "video_id": name,
                    "uri": str(path),
                    "start": at(start_s + first),
                    "end": at(start_s + last),
                    "media_start": first,
                    "media_end": last,
                }
            )
            if len(parts) == 1:
                shown[kind] = Shown(f"e-{kind}", first, frame_at(path, first))
            start_s += length_s
        said = {"label": "motion", "text": f"something moves, {kind}"}
        if place % 2:
            said = {"label": "door", "text": f"a door opens, {kind}"}
        begin = {name: parts[0][name] for name in ("video_id", "uri", "media_start", "media_end")}
        told = {"camera": kind, "parts": parts, "confidence": 0.9, "model": "m"}
        events.append(
            event(f"e-{kind}", parts[0]["start"], parts[-1]["end"], **begin | said) | told
        )
    events[0]["text"] = HOSTILE if not kinds else events[0]["text"]
    root = folder / "index"
    writer = pi.Writer(root)
    writer.write_windows(rows("windows", *windows))
    writer.finish_videos(rows("videos", *videos), rows("events", *events), rows("segments"))
    return root, shown


def frame_at(path: Path, media_s: float) -> int:
    """The number in the frame that a plain decode has on screen at this time."""
    number = -1
    with av.open(str(path)) as container:
        origin = (container.start_time or 0) / 1e6
        for frame in container.decode(video=0):
            if frame.time - origin > media_s + 1e-4:
                break
            number = number_in(_upright(frame))
    return number


def _upright(frame: av.VideoFrame) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)


def _video(facts, start_s: float, end_s: float) -> dict:
    ranges = video("", start_s, end_s)
    return {name: ranges[name] for name in ("status", "start", "end", "clock", "footage")} | {
        "num_bytes": facts.num_bytes,
        "codec": facts.codec,
        "origin_pts": facts.origin_pts,
        "clock_start": at(start_s),
        "clock_start_ns": datetime_to_ns(at(start_s)),
        "time_base": str(facts.time_base),
        "width": facts.width,
        "height": facts.height,
        "rotation": facts.rotation,
    }


def make_large_video(path: Path) -> Path:
    """H.264 of more than 20 MB, which no browser loads as a whole: numbers in noise."""
    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv420p"
        stream.options = {"preset": "ultrafast", "qp": "7", "g": "25", "bf": "0"}
        for number in range(NUM_FRAMES):
            picture = picture_of(number, 640, 384).astype(np.int16) * 3 // 5 + 50
            picture += noise.integers(-45, 45, picture.shape, dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _edited(folder: Path) -> Sequence[Path]:
    edit_list_in_mid_gop(folder / "edited.mp4")
    return [folder / "edited.mp4"]


def _one(name: str, **changes: object) -> Callable[[Path], Sequence[Path]]:
    made = {"num_frames": NUM_FRAMES, "rate": RATE, **changes}
    return lambda folder: [make_video(folder / name, **made)]


_TICK = Fraction(1, 90_000)
KINDS: dict[str, Callable[[Path], Sequence[Path]]] = {
    "large": lambda folder: [make_large_video(folder / "large.mp4")],
    "avi": _one("old.avi", codec="mpeg4", bframes=0, time_base=Fraction(1, RATE)),
    "hevc": _one("hevc.mp4", codec="libx265"),
    "ts": _one("stream.ts"),
    "rotated": _one("rotated.mp4", rotation=90),
    "vfr": _one(
        "vfr.mp4",
        pts=[int(Fraction(i * 25 + i * i // 8, 1000) / _TICK) for i in range(NUM_FRAMES)],
    ),
    "edited": _edited,
    "late": _one("late.mp4", pts=[int((Fraction(i, RATE) + 7) / _TICK) for i in range(NUM_FRAMES)]),
    "two": lambda folder: [
        make_video(folder / f"two{i}.mp4", num_frames=100, rate=RATE) for i in (1, 2)
    ],
}
"""How the recordings of each kind are made; an event over two files has two."""
