"""What tests of clips need: an index over real files, files with sound, and a plain reader."""

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import pipeline.index as pi
from pipeline.config import DecodeConfig, SampleConfig
from pipeline.media import probe
from pipeline.records import Video
from pipeline.tables.shared import Provenance
from pipeline.tables.videos import IndexedVideo, video_row, videos_table
from pipeline.timebase import datetime_to_ns, ns_to_datetime
from tests.index_rows import T0, at, event, rows, window
from tests.videos import number_in, picture_of, source_of

FRAME_S = Fraction(1, 25)
RATE_HZ = 48_000


def probed(path: Path, *, camera: str = "cam1", start_s: float = 0.0) -> Video:
    """The record of a file that began ``start_s`` after ``T0``."""
    source = source_of(path, camera=camera, clock="path", start_ns=datetime_to_ns(at(start_s)))
    return probe(source, sample=SampleConfig(), decode=DecodeConfig())[0]


def index_of(folder: Path, videos, events=(), boxes=None):
    """An index of these videos; an event is ``(id, video, first media second, last, label)``.

    ``boxes`` are those of events by their ids.
    """
    provenance = Provenance(task="t", model="m", prompt_id="p", fingerprint="f1", config="{}")
    made = [
        video_row(
            IndexedVideo(video=video, status="done", num_shards=1, results=()),
            provenance=provenance,
            at=T0,
        )
        for video in videos
    ]
    found = [
        event(
            event_id,
            ns_to_datetime(video.utc_ns(round(start_s * 1e9))),
            ns_to_datetime(video.utc_ns(round(end_s * 1e9))),
            camera=video.camera,
            label=label,
            text=f"a {label}",
            video_id=video.video_id,
            uri=video.uri,
            media_start=start_s,
            media_end=end_s,
            confidence=0.5,
            boxes=(boxes or {}).get(event_id, []),
        )
        for event_id, video, start_s, end_s, label in events
    ]
    seconds = [
        window(
            video.video_id,
            number,
            number + (video.start_ns - datetime_to_ns(T0)) / 1e9,
            min(number + 1, video.span.end_ns / 1e9) + (video.start_ns - datetime_to_ns(T0)) / 1e9,
            video_id=video.video_id,
            camera=video.camera,
        )
        for video in videos
        for number in range(math.ceil(video.span.end_ns / 1e9))
    ]
    writer = pi.Writer(folder)
    writer.write_windows(rows("windows", *seconds))
    writer.finish_videos(videos_table(made), rows("events", *found), rows("segments"))
    return pi.open(folder)


def shown(path: Path) -> list[tuple[Fraction, int]]:
    """Time and number of each frame as it is displayed, read by a plain loop."""
    with av.open(str(path)) as container:
        return [
            (
                frame.pts * frame.time_base,
                number_in(np.rot90(frame.to_ndarray(format="gray"), round(frame.rotation / 90))),
            )
            for frame in container.decode(video=0)
        ]


def turned(number: int, rotation: int) -> int:
    """What the picture of a number shows after it was turned counter-clockwise."""
    return number_in(np.rot90(picture_of(number, 160, 96), rotation // 90))


def sounding(path: Path, *, codec="libx264", rate=25, sound="aac", sound_hz=44_100, seconds=12):
    """A video with a white frame and a beep at each whole second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        video.options = {"g": "50", "preset": "ultrafast"} if codec == "libx264" else {"g": "50"}
        audio = container.add_stream(sound, rate=sound_hz, layout="mono")
        for number in range(seconds * rate):
            grey = 255 if number % rate == 0 else 0
            picture = np.full((96, 160, 3), grey, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        times_s = np.arange(seconds * sound_hz) / sound_hz
        beep = np.where(times_s % 1 < 0.05, np.sin(2 * np.pi * 1000 * times_s), 0) * 30_000
        for first in range(0, len(beep), 960):
            block = beep[None, first : first + 960].astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = sound_hz, first
            frame.time_base = Fraction(1, sound_hz)
            container.mux(audio.encode(frame))
        container.mux([*video.encode(), *audio.encode()])
    return path


def flashes_and_beeps(path: Path) -> tuple[list[float], list[float], float]:
    """Seconds of the white frames, of the beeps, and of the end of the sound."""
    with av.open(str(path)) as container:
        flashes = [
            float(frame.pts * frame.time_base)
            for frame in container.decode(video=0)
            if frame.to_ndarray(format="gray").mean() > 128
        ]
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    begin_s = float(frames[0].pts * frames[0].time_base)
    level = np.abs(np.concatenate([frame.to_ndarray()[0] for frame in frames]))
    loud = np.flatnonzero(level > 0.3)
    starts = loud[np.diff(loud, prepend=-RATE_HZ) > RATE_HZ // 4]
    return flashes, [begin_s + i / RATE_HZ for i in starts], begin_s + len(level) / RATE_HZ
