"""What an event looks like: one picture, or a short clip; made when asked for, and kept nowhere.

Both are made in a child process: a recording that crashes or hangs a decoder ends no server.
"""

import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipeline.agents.answers import event
from pipeline.clips.plan import cuts_of
from pipeline.clips.ranges import Wanted
from pipeline.config import DecodeConfig
from pipeline.errors import ConfigError, SourceError, TimereelError
from pipeline.index import Index, evidence_of
from pipeline.media.clip import still_picture, write_clip
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.processes.watchdog import watchdog
from pipeline.records import Cut, Video
from pipeline.records.sanitize import sanitized
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_S, NS_PER_US, TimeRange, datetime_to_ns, ns_to_datetime

MAX_CLIP_S = 60
MAX_CLIP_BYTES = 8 * 1024 * 1024
_JPEG_QUALITY = 85
_STALL_S = 30.0


def picture_of(
    index: Index, event_id: str, *, decode: DecodeConfig, access: Access
) -> tuple[Literal["webp", "jpeg"], bytes, str]:
    """A picture of an event in its format, and a sentence that says what it shows.

    It is the one that was kept, as the engine was shown it; else a larger one is made from the
    recording.

    Raises:
        ConfigError: there is no such event, or its footage was erased.
        SourceError: the file is gone, or has changed.
    """
    row = event(index, event_id)
    if kept := evidence_of(index, [row]).get(event_id):
        at = kept["at"].isoformat()
        told = f"It shows camera {row['camera']} at {at}, as the engine was shown it."
        return "webp", kept["webp"], sanitized(told)
    middle_ns = (datetime_to_ns(row["start"]) + datetime_to_ns(row["end"])) // 2
    middle_ns -= middle_ns % NS_PER_US
    span = TimeRange(middle_ns, middle_ns + NS_PER_US)
    [cut, *_] = _cuts(index, row["camera"], span)
    jpeg: bytes = _alone(partial(_jpeg, cut, decode, access))
    return "jpeg", jpeg, f"It shows {_told(cut.video, cut.media)}."


def clip_of(
    index: Index, event_id: str, *, pad_ns: int, decode: DecodeConfig, access: Access
) -> tuple[bytes, str]:
    """An MP4 of an event, and a sentence that says what it shows.

    Raises:
        ConfigError: there is no such event, its footage was erased, or it is too long.
        SourceError: a file is gone, or has changed.
    """
    row = event(index, event_id)
    span = TimeRange(datetime_to_ns(row["start"]) - pad_ns, datetime_to_ns(row["end"]) + pad_ns)
    if span.duration_ns > MAX_CLIP_S * NS_PER_S:
        raise ConfigError(f"a clip lasts at most {MAX_CLIP_S} s; ask for the picture instead")
    with tempfile.TemporaryDirectory(prefix="timereel-") as folder:
        path = Path(folder) / "clip.mp4"
        cuts = _cuts(index, row["camera"], span)
        shown = _alone(partial(write_clip, path, cuts, decode=decode, access=access))
        if path.stat().st_size > MAX_CLIP_BYTES:
            raise ConfigError(
                f"the clip has more than {MAX_CLIP_BYTES} bytes; ask for the picture instead"
            )
        parts = "; ".join(_told(part.cut.video, part.media) for part in shown)
        return path.read_bytes(), f"It shows {parts}."


def _alone(make: Callable[[], Any]) -> Any:  # noqa: ANN401 - what it makes
    """What ``make()`` gives in a child process, or raises there."""
    try:
        [made] = in_child_process(_in_child, make)
    except ProcessDiedError as exc:
        raise SourceError("decoding this recording ended or hung the decoder") from exc
    if isinstance(made, TimereelError):
        raise made
    return made


def _in_child(make: Callable[[], Any]) -> Iterator[Any]:
    with watchdog(_STALL_S):
        try:
            yield make()
        except TimereelError as exc:
            yield exc


def _jpeg(cut: Cut, decode: DecodeConfig, access: Access) -> bytes:
    jpeg = io.BytesIO()
    still_picture(cut, decode=decode, access=access).save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return jpeg.getvalue()


def _told(video: Video, media: TimeRange) -> str:
    utc = video.utc(media)
    first, last = (ns_to_datetime(ns).isoformat() for ns in (utc.start_ns, utc.end_ns))
    return sanitized(f"camera {video.camera} from {first} to {last}")


def _cuts(index: Index, camera: str, span: TimeRange) -> list[Cut]:
    cuts = cuts_of(index, Wanted(camera=camera, span=span))
    if not cuts:
        raise ConfigError("there is no footage of this time; coverage says why")
    return cuts
