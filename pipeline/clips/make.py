"""Makes clips, and writes beside them what they show and what their bytes are.

The receipt (``clip.json``) names for each part of each clip the events, the file, the ticks of its
first and last frame and the range that was really cut. The manifest has the SHA-256 of every file
in the form that ``sha256sum -c`` reads. It is written last.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from pipeline.clips.plan import Order
from pipeline.config import DecodeConfig
from pipeline.errors import SourceError, UnreachableError
from pipeline.media.clip import SUFFIXES, OnProgress, write_clip
from pipeline.records import CutMode, Shown, Video
from pipeline.records.sanitize import escaped_json, sanitized
from pipeline.storage.access import Access
from pipeline.storage.targets import staged
from pipeline.timebase import NS_PER_S, TimeRange, ns_to_datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What holds for all clips of one command."""

    mode: CutMode
    is_captioned: bool
    decode: DecodeConfig
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A file that was written."""

    target: str
    num_bytes: int
    sha256: str
    parts: tuple[Shown, ...]

    @property
    def duration_s(self) -> float:
        """How long it plays."""
        return sum(part.media.duration_ns for part in self.parts) / NS_PER_S


def make_clips(
    orders: Sequence[Order], how: How, on_progress: OnProgress
) -> tuple[list[Clip], list[tuple[str, str]]]:
    """Make the clips; also return the targets that could not be made for a file, and why.

    Raises:
        ConfigError: the cuts of a clip cannot be copied into one file.
        TargetError: a clip cannot be written.
    """
    clips, failures = [], []
    for order in orders:
        try:
            clips.append(_made(order, how, on_progress))
        except (SourceError, UnreachableError) as exc:
            if len(orders) == 1:
                raise
            failures.append((order.target, str(exc)))
    return clips, failures


def _made(order: Order, how: How, on_progress: OnProgress) -> Clip:
    with staged(order.target) as path:
        parts = write_clip(
            path,
            order.cuts,
            mode=how.mode,
            caption=wall_clock if how.is_captioned else None,
            decode=how.decode,
            access=how.access,
            on_progress=on_progress,
        )
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        num_bytes = path.stat().st_size
    return Clip(target=order.target, num_bytes=num_bytes, sha256=sha256, parts=tuple(parts))


def wall_clock(video: Video, media_ns: int) -> str:
    """The line that is written on a picture: the camera, and UTC in milliseconds."""
    return sanitized(f"{video.camera}  {_time(video.utc_ns(media_ns))[:-4]}Z")


def write_receipts(
    out: str,
    clips: Sequence[Clip],
    failures: Sequence[tuple[str, str]],
    about: Mapping[str, str],
) -> None:
    """Write the receipt of all clips, and after it the manifest: in a folder, or beside a file.

    Raises:
        TargetError: one of them cannot be written.
    """
    is_file = out.lower().endswith(SUFFIXES)
    base = out[: out.rindex(".")] if is_file else f"{out.rstrip('/')}/"
    receipt, manifest = (
        (f"{base}.clip.json", f"{base}.sha256")
        if is_file
        else (f"{base}clip.json", f"{base}SHA256SUMS")
    )
    document = {
        "timereel": version("timereel"),
        **about,
        "clips": [_clip(clip) for clip in clips],
        "failures": [{"file": _name(target), "error": error} for target, error in failures],
    }
    text = escaped_json(json.dumps(document, indent=1, ensure_ascii=False)) + "\n"
    _write(receipt, text)
    sums = {_name(clip.target): clip.sha256 for clip in clips}
    sums[_name(receipt)] = hashlib.sha256(text.encode()).hexdigest()
    _write(manifest, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def _name(target: str) -> str:
    return PurePosixPath(target).name


def _write(target: str, text: str) -> None:
    with staged(target) as path:
        path.write_text(text, encoding="utf-8")


def _clip(clip: Clip) -> dict[str, Any]:
    return {
        "file": _name(clip.target),
        "num_bytes": clip.num_bytes,
        "sha256": clip.sha256,
        "duration_s": clip.duration_s,
        "parts": [_part(part) for part in clip.parts],
    }


def _part(part: Shown) -> dict[str, Any]:
    cut, video = part.cut, part.cut.video
    return {
        "camera": video.camera,
        "events": list(cut.event_ids),
        "asked": _times(cut.utc),
        "cut": _times(video.utc(part.media)),
        "clip_start_s": float(part.at_s),
        "uri": video.uri,
        "video_id": video.video_id,
        "content_id": video.content_id,
        "num_bytes": video.num_bytes,
        "etag": video.etag,
        "media_start_s": part.media.start_ns / NS_PER_S,
        "media_end_s": part.media.end_ns / NS_PER_S,
        "first_pts": part.first_pts,
        "last_pts": part.last_pts,
        "time_base": str(part.time_base),
        "num_frames": part.num_frames,
        "num_frames_copied": part.num_copied,
        "num_frames_missing": part.num_missing,
        "has_sound": part.has_sound,
    }


def _times(utc: TimeRange) -> dict[str, str]:
    return {"start": _time(utc.start_ns), "end": _time(utc.end_ns)}


def _time(utc_ns: int) -> str:
    return ns_to_datetime(utc_ns).isoformat(timespec="microseconds").replace("+00:00", "Z")
