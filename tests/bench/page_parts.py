"""What the page and reports are made of, each by itself.

hevc_clip         ten seconds of 1080p for a browser that cannot play HEVC
evidence_picture  the small picture of an event, which is kept at indexing time
ten_camera_days   a report with the most pictures that one has
drawing           the lanes of a day, drawn by a real chromium at 1440x900
"""

import shutil
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import av
import httpx
import numpy as np

import pipeline.index as pi
from pipeline.config import DecodeConfig, SampleConfig
from pipeline.media import probe
from pipeline.media.pixels import small_webp
from pipeline.media.player_clip import clip, frames_in
from pipeline.plan import packets_for
from pipeline.report.content import read_report
from pipeline.report.pictures import MAX_PER_CAMERA, candidates
from pipeline.report.render import page_within
from pipeline.see.isolation import Children
from pipeline.timebase import NS_PER_S, TimeRange
from tests.conftest import ROOT
from tests.index_rows import DAY, at, event, rows, video, window
from tests.videos import source_of

_CLIP = ROOT / "pipeline/demo/lobby.mp4"
_MAX_BYTES = 5_000_000
_CAMERAS, _EVENTS = 10, 500
_NUM_PANS = 10


def hevc_clip(folder: Path) -> dict[str, float]:
    """CPU time until the player has its first picture; wall time in a process of its own."""
    path = moving_hevc(folder / "hevc.mp4")
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    shown = frames_in(video, packets, TimeRange(5 * NS_PER_S // 2, 25 * NS_PER_S // 2)).tolist()
    asked = (video, packets_for(packets, shown), shown)
    cpu_s = time.process_time()
    pieces = clip(*asked)
    first = until_a_picture(pieces)
    first_cpu_s = time.process_time() - cpu_s
    num_bytes = len(first) + sum(len(piece) for piece in pieces)
    cpu_s, began_s = time.process_time() - cpu_s, time.monotonic()
    pieces = Children(1).run(clip, *asked)
    until_a_picture(pieces)
    first_s = time.monotonic() - began_s
    pieces.close()
    figures = {"first_picture_cpu_s": first_cpu_s, "first_picture_s": first_s, "cpu_s": cpu_s}
    return {name: round(value, 2) for name, value in figures.items()} | {"bytes": num_bytes}


def until_a_picture(pieces: Iterator[bytes]) -> bytes:
    """What comes until the first frame is there."""
    received = b""
    while b"mdat" not in received:
        received += next(pieces)
    return received


def moving_hevc(path: Path) -> Path:
    """Fourteen seconds of 1080p in which every block moves."""
    blocks = np.random.default_rng(1).integers(0, 255, (68, 120, 3), dtype=np.uint8)
    picture = np.kron(blocks, np.ones((16, 16, 1), dtype=np.uint8))[:1080]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": "keyint=50:log-level=none"}
        for number in range(350):
            moved = np.ascontiguousarray(np.roll(picture, 4 * number, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode())
    return path


def lobby_pictures() -> Iterator[bytes]:
    """Pictures of a real camera as they are kept."""
    facts, _ = probe(source_of(_CLIP), sample=SampleConfig(), decode=DecodeConfig())
    with av.open(str(_CLIP)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 50 == 0:
                yield small_webp(frame.to_ndarray(format="rgb24"), facts)


def evidence_picture() -> dict[str, float]:
    """CPU time and bytes of one, out of a frame that is decoded already."""
    facts, _ = probe(source_of(_CLIP), sample=SampleConfig(), decode=DecodeConfig())
    took_s, sizes = [], []
    with av.open(str(_CLIP)) as container:
        for frame in container.decode(video=0):
            rgb = frame.to_ndarray(format="rgb24")
            began_s = time.process_time()
            sizes.append(len(small_webp(rgb, facts)))
            took_s.append(time.process_time() - began_s)
    return {
        "cpu_ms": round(statistics.mean(took_s) * 1000, 1),
        "bytes": round(statistics.mean(sizes)),
    }


def ten_camera_days(folder: Path) -> dict[str, float]:
    """Bytes and CPU time of a report of ten cameras with 500 events and 24 pictures each."""
    kept = list(lobby_pictures())
    writer = pi.Writer(folder / "index")
    windows, evidence, events, videos = [], [], [], []
    step_s = DAY / _EVENTS
    for number in range(_CAMERAS):
        own = {"camera": f"gate {number}", "video_id": f"v{number}"}
        videos.append(video(f"v{number}", 0, DAY, camera=f"gate {number}", num_events=_EVENTS))
        for i in range(_EVENTS):
            shard, start_s = f"s{number}-{i}", i * step_s
            windows.append(window(shard, 0, start_s, start_s + step_s, **own))
            said = {"label": "person", "text": "A person crosses the yard.", "confidence": 0.8}
            span = (at(start_s + 1), at(start_s + 20))
            events.append(event(shard, *span, **said, **own))
            if i < MAX_PER_CAMERA:
                facts = {"evidence_id": shard, "window_id": f"{shard}-0", "shard_id": shard}
                span = {"start": at(start_s), "end": at(start_s + step_s)}
                webp = kept[(number + i) % len(kept)]
                evidence.append({**facts, **span, "at": at(start_s + 10), "webp": webp, **own})
    writer.write_windows(rows("windows", *windows), rows("evidence", *evidence))
    writer.finish_videos(rows("videos", *videos), rows("events", *events), rows("segments"))
    cpu_s = time.process_time()
    index = pi.open(folder / "index")
    content = read_report(index, None, None, None)
    found = candidates(index, content.events)
    page, num = page_within(content, found, _MAX_BYTES, name="gates", language="en")
    cpu_s = time.process_time() - cpu_s
    return {"bytes": len(page.encode()), "pictures": num, "cpu_s": round(cpu_s, 2)}


def drawing(address: str, day: datetime) -> dict[str, float]:
    """Milliseconds of a drawing while the day is moved along; none without a chromium."""
    from playwright.sync_api import sync_playwright

    if not (browser := shutil.which("chromium")):
        return {}
    span = httpx.QueryParams({"from": day.isoformat(), "to": (day + timedelta(days=1)).isoformat()})
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        opened = playwright.chromium.launch(executable_path=browser, args=flags)
        page = opened.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/?{span}")
        page.wait_for_selector("body[data-ready]", timeout=300_000)
        page.wait_for_timeout(3000)
        page.locator(".lanes canvas").focus()
        for key in ("ArrowRight", "ArrowLeft") * _NUM_PANS:
            page.keyboard.press(key)
            page.wait_for_timeout(50)
        took_ms = page.evaluate(_DRAWING_MS)
        opened.close()
    return {"median_ms": round(statistics.median(took_ms), 1), "drawings": len(took_ms)}


_DRAWING_MS = """async () => {
    const main = document.querySelector("script[type=module]").src;
    return (await import(main.replace("main.js", "drawing.js"))).drawingMs;
}"""
