"""Explains what is wrong with a file that FFmpeg refuses, and what the user can do."""

import os
from typing import Any

import av

from pipeline.storage.retry import oneline

_CHECK = "check that the file plays"
# MP4 boxes with which a file may begin.
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pnot"}
# With these a segment of a fragmented recording begins.
_SEGMENT_BOXES = {b"styp", b"sidx", b"moof", b"emsg", b"prft"}
_MAX_BOXES = 16
_BOX_HEADER_BYTES = 8
_HEAD_BYTES = 4096


def explain(uri: str, exc: Exception, file: Any) -> str:  # noqa: ANN401 - any file object
    """The message for a file that could not be opened.

    Args:
        uri: as the user named it.
        exc: the exception of FFmpeg or the file system.
        file: the open file; its first bytes and boxes are read.
    """
    if isinstance(exc, av.error.DemuxerNotFoundError | av.error.ArgumentError):
        return (
            f"{uri}: is not a video container that timereel reads; convert it, for instance to MP4"
        )
    if not isinstance(exc, av.error.InvalidDataError | av.error.EOFError):
        return f"{uri}: cannot be opened ({oneline(exc)}); {_CHECK}"
    head, boxes = _read_structure(file)
    return f"{uri}: {_diagnose(head, boxes)}"


def _diagnose(head: bytes, boxes: set[bytes]) -> str:
    if not head.strip(b"\0"):
        return "begins with zero bytes only; copy it again from the original"
    if head[4:8] in _SEGMENT_BOXES:
        return (
            "is a segment of a recording; index its playlist (.m3u8), or join the segments behind"
            " their header (init.mp4) with cat"
        )
    if head[4:8] in _BOXES:
        if b"moov" in boxes:
            return "its index (moov) is damaged; copy it again from the original"
        return (
            "its index (moov) is missing because the recording was cut off; repair it with untrunc"
            " and a good file of the same camera, or copy it again"
        )
    if _is_text(head):
        return "is text, not a video; leave it out of the sources"
    return f"is not a video, or is damaged or encrypted; {_CHECK}"


def _read_structure(file: Any) -> tuple[bytes, set[bytes]]:  # noqa: ANN401 - any file object
    """The first bytes, and the names of the top-level MP4 boxes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = bytes(file.read(_HEAD_BYTES))
    boxes: set[bytes] = set()
    offset = 0
    while offset + _BOX_HEADER_BYTES <= size and len(boxes) < _MAX_BOXES:
        file.seek(offset)
        box = bytes(file.read(2 * _BOX_HEADER_BYTES))
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        boxes.add(box[4:8])
        if length < _BOX_HEADER_BYTES:  # 0 means: until the end of the file
            break
        offset += length
    return head, boxes


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", "replace").removesuffix("\ufffd")
    return "\ufffd" not in text and all(c.isprintable() or c.isspace() for c in text)
