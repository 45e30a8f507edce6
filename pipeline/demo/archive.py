"""Small archives of generated footage: H.264 files with wall-clock names, and the truth in JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from pipeline.demo.scene import Scene, render
from pipeline.demo.timeline import (
    Slot,
    draw_duration_s,
    draw_needles,
    draw_slots,
    make_timeline,
)

TRUTH_NAME: Final = "truth.json"
FIRST_FRAME_AT: Final = datetime(2026, 3, 14, 9, 0, 0, tzinfo=UTC)
_KEYFRAME_EVERY_S: Final = 2
# Labels of the event that a file border cuts: a state of the whole view would be easy to join.
_BORDER_LABELS: Final = ("loiter", "pass_right")
_DEMO_FILES_S: Final = ((0, 110), (110, 90), (245, 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoForm:
    """How a file is encoded."""

    height_px: int = 192
    width_px: int = 320
    fps: int = 10
    crf: int = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpan:
    """One file of a camera: whole seconds since the camera's first frame, end exclusive."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One camera: its scene and the files that cover it."""

    camera: str
    scene: Scene
    files: tuple[FileSpan, ...]
    first_frame_at: datetime = FIRST_FRAME_AT

    def file_name(self, span: FileSpan) -> str:
        """Camera and wall-clock start, as `cam01_20260314T090000Z.mp4`."""
        start = self.first_frame_at + timedelta(seconds=span.start_s)
        return f"{self.camera}_{start:%Y%m%dT%H%M%SZ}.mp4"


def demo_recordings(
    seed: int, *, num_cameras: int = 2, form: VideoForm | None = None
) -> list[Recording]:
    """Five minutes per camera in three files: a border inside an event, a gap, quiet stretches."""
    form = form or VideoForm()
    files = tuple(FileSpan(start_s=start, end_s=start + length) for start, length in _DEMO_FILES_S)
    recordings: list[Recording] = []
    for index in range(num_cameras):
        rng = np.random.default_rng((seed, index))
        border = border_slot(
            rng, label=_BORDER_LABELS[index % len(_BORDER_LABELS)], at_s=files[0].end_s
        )
        slots = [border]
        # Busy in the first file, quiet in the second, busy in the second half of the third.
        slots += draw_slots(rng, start_s=0, end_s=files[0].end_s + 25, num_events=6, taken=[border])
        half_s = (files[2].start_s + files[2].end_s) / 2
        slots += draw_slots(rng, start_s=half_s, end_s=files[2].end_s, num_events=3)
        scene = make_timeline(rng, slots, height_px=form.height_px, width_px=form.width_px)
        recordings.append(Recording(camera=f"cam{index + 1:02d}", scene=scene, files=files))
    return recordings


def needle_recording(
    seed: int, *, duration_s: int = 7200, num_needles: int = 5, form: VideoForm | None = None
) -> Recording:
    """One long file of an empty scene with a few events, one of each label in turn."""
    form = form or VideoForm()
    rng = np.random.default_rng((seed, 1000))
    slots = draw_needles(rng, duration_s=duration_s, num_needles=num_needles)
    scene = make_timeline(rng, slots, height_px=form.height_px, width_px=form.width_px)
    return Recording(camera="cam01", scene=scene, files=(FileSpan(start_s=0, end_s=duration_s),))


def border_slot(rng: np.random.Generator, *, label: str, at_s: float) -> Slot:
    """An event that contains `at_s`, with at least a third of it on each side."""
    duration_s = draw_duration_s(rng, label)
    start_s = at_s - duration_s * float(rng.uniform(0.35, 0.65))
    return Slot(label=label, start_s=start_s, end_s=start_s + duration_s)


def write_archive(
    directory: Path, recordings: Sequence[Recording], form: VideoForm | None = None
) -> list[Path]:
    """Write every video and the truth; returns the paths of the videos, by camera and time."""
    directory.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for recording in recordings:
        for span in recording.files:
            path = directory / recording.file_name(span)
            write_video(path, recording.scene, span, form or VideoForm())
            paths.append(path)
    truth = json.dumps(truth_of(recordings), indent=1)
    (directory / TRUTH_NAME).write_text(truth + "\n")
    return paths


def write_video(path: Path, scene: Scene, span: FileSpan, form: VideoForm) -> None:
    """Encode the scene's frames in the span; the file gets its name only when it is complete."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream(
            "libx264", rate=form.fps, options={"crf": str(form.crf), "preset": "veryfast"}
        )
        stream.width, stream.height = form.width_px, form.height_px
        stream.pix_fmt = "yuv420p"
        stream.gop_size = form.fps * _KEYFRAME_EVERY_S
        stream.thread_count = 1
        stream.codec_context.time_base = Fraction(1, form.fps)
        for number, time_s in enumerate(_frame_times_s(span, form.fps)):
            frame = av.VideoFrame.from_ndarray(render(scene, time_s), format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, form.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    partial.rename(path)


def _frame_times_s(span: FileSpan, fps: int) -> Iterator[float]:
    for number in range((span.end_s - span.start_s) * fps):
        yield span.start_s + number / fps


def truth_of(recordings: Sequence[Recording]) -> dict[str, list[dict[str, Any]]]:
    """Every event with its UTC times, and every file with the time that it covers."""
    events: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    for recording in recordings:

        def utc(time_s: float, origin: datetime = recording.first_frame_at) -> str:
            at = origin + timedelta(milliseconds=round(time_s * 1000))
            return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

        for event in recording.scene.events():
            fields = {"color": event.color, "shape": event.shape} if event.color else {}
            events.append(
                {
                    "camera": recording.camera,
                    "label": event.label,
                    "fields": fields,
                    "start": utc(event.start_s),
                    "end": utc(event.end_s),
                }
            )
        files += [
            {
                "camera": recording.camera,
                "file": recording.file_name(span),
                "start": utc(span.start_s),
                "end": utc(span.end_s),
            }
            for span in recording.files
        ]
    return {"events": events, "files": files}
