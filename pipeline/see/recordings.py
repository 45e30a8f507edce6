"""From an id to a file that may be opened: the location comes from the index, never from a request.

An index may have been made by somebody else and name any file. So only files that begin like a
video or like sound are sent, and ``--root`` confines them to folders.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.index import Index
from pipeline.index.filters import WAS_READ, Where
from pipeline.media import probe
from pipeline.records import PacketIndex, Source, Video
from pipeline.see.isolation import Children
from pipeline.storage.access import Access
from pipeline.storage.file import MediumFile, open_file

_COLUMNS = ("video_id", "uri", "num_bytes", "etag", "camera", "codec", "origin_pts")
# What browsers decode; the container is told by its first bytes.
_NATIVE_CODECS = {
    "video/mp4": {"h264", "av1", "vp9", "aac"},
    "video/webm": {"vp8", "vp9", "av1"},
    "audio/mpeg": {"mp3", "mp3float"},
    "audio/wav": {"pcm_s16le"},
    "audio/flac": {"flac"},
    "audio/ogg": {"opus", "vorbis"},
}
_NATIVE_NAMES = {
    **dict.fromkeys(("mp4", "m4v", "mov", "m4a"), "video/mp4"),
    **dict.fromkeys(("ogg", "oga", "opus"), "audio/ogg"),
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
}
_HEADS = (
    (re.compile(rb"....ftyp", re.DOTALL), "video/mp4"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "video/webm"),
    (re.compile(rb"ID3|\xff[\xe2-\xff]"), "audio/mpeg"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
)
_MAX_PROBED = 8


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of the index."""

    video_id: str
    codec: str
    source: Source
    origin_pts: int | None

    @property
    def native_kind(self) -> str:
        """The content type with which a browser plays the file itself; "" if it cannot."""
        suffix = self.source.uri.partition("?")[0].rpartition(".")[2].lower()
        kind = _NATIVE_NAMES.get(suffix, "")
        # The origin of an MP3 is the delay of its encoder, which browsers skip.
        if self.origin_pts and kind != "audio/mpeg":
            return ""  # where 0 is then, and how long the file is, browsers get wrong
        return kind if self.codec in _NATIVE_CODECS.get(kind, ()) else ""


def find(index: Index, video_id: str) -> Recording | None:
    """The recording with this id; None if the index has none that can be played."""
    playable = Where().add("video_id = ?", video_id).add("status <> 'erased'").add(WAS_READ)
    rows = index.select("videos", playable, columns=_COLUMNS).to_pylist()
    return _recording(rows[0]) if rows else None


def _recording(row: dict[str, Any]) -> Recording:
    source = Source(
        uri=row["uri"],
        num_bytes=row["num_bytes"],
        etag=row["etag"],
        camera=row["camera"],
        start_ns=None,
        clock="none",
    )
    return Recording(row["video_id"], row["codec"], source, row["origin_pts"])


def opened(recording: Recording, access: Access, closing: ExitStack) -> tuple[MediumFile, str]:
    """The file, and its content type as its first bytes tell it.

    Raises:
        SourceError: it may not be opened, is gone, or is nothing that a browser could play.
        UnreachableError: its store does not answer.
    """
    source = recording.source
    file = closing.enter_context(open_file(source.uri, source.num_bytes, access))
    head = file.read(12)
    for begins, kind in _HEADS:
        if begins.match(head):
            return file, kind
    raise SourceError("no browser plays this kind of recording; ask for a clip of it")


class Probed:
    """The packet indexes of the few videos that were played last."""

    def __init__(self, children: Children, access: Access) -> None:
        self._children = children
        self._access = access
        self._known: OrderedDict[str, tuple[Video, PacketIndex]] = OrderedDict()
        self._lock = Lock()

    def of(self, recording: Recording) -> tuple[Video, PacketIndex]:
        """The video and its packets; its file is read once, in a child process.

        Raises:
            SourceError: the file cannot be used.
            UnreachableError: its store does not answer.
        """
        with self._lock:
            if known := self._known.get(recording.video_id):
                self._known.move_to_end(recording.video_id)
                return known
        found: tuple[Video, PacketIndex]
        [found] = self._children.run(_probe, recording.source, self._access)
        with self._lock:
            self._known[recording.video_id] = found
            while len(self._known) > _MAX_PROBED:
                self._known.popitem(last=False)
        return found


def _probe(source: Source, access: Access) -> Iterator[tuple[Video, PacketIndex]]:
    yield probe(source, sample=SampleConfig(), decode=DecodeConfig(), access=access)
