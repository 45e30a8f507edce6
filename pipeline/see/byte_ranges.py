"""A part of a file, as a browser asks for it: RFC 9110, one range at a time."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from pipeline.storage.file import MediumFile

_PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """``[first, end)`` in bytes; not satisfiable if empty."""

    first: int
    end: int


def parse(header: str, num_bytes: int) -> Part | None:
    """The part that a Range header asks for; None where the whole file is the answer.

    A server may answer several ranges, and what it does not understand, with the whole file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match["first"] or match["last"]):
        return None
    if not match["first"]:
        return Part(max(num_bytes - int(match["last"]), 0), num_bytes)
    first = int(match["first"])
    end = min(int(match["last"]) + 1, num_bytes) if match["last"] else num_bytes
    if match["last"] and int(match["last"]) < first:
        return None
    return Part(first, end)


def answer(
    file: MediumFile, closing: ExitStack, headers: Mapping[str, str], *, kind: str, etag: str
) -> Response:
    """The bytes of a file that a request with these ``headers`` wants; closes the file then."""
    num_bytes = file.num_bytes or 0
    is_same = headers.get("if-range", etag) == etag
    part = parse(headers.get("range", ""), num_bytes) if is_same else None
    known = {"Accept-Ranges": "bytes", "ETag": etag, "Cache-Control": "private, no-cache"}
    if part is not None and part.first >= part.end:
        closing.close()
        return Response(status_code=416, headers=known | {"Content-Range": f"bytes */{num_bytes}"})
    first, end = (part.first, part.end) if part else (0, num_bytes)
    known |= {"Content-Length": str(end - first)}
    if part:
        known |= {"Content-Range": f"bytes {first}-{end - 1}/{num_bytes}"}
    pieces = _read(file, closing, first, end)
    return StreamingResponse(pieces, 206 if part else 200, known, media_type=kind)


async def _read(file: MediumFile, closing: ExitStack, first: int, end: int) -> AsyncIterator[bytes]:
    with closing:
        file.seek(first)
        while first < end:
            piece = await run_in_threadpool(file.read, min(_PIECE_BYTES, end - first))
            first += len(piece)
            yield piece
