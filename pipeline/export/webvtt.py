"""Rows of one video as WebVTT, one cue per row, so that a player shows them with the video.

https://www.w3.org/TR/webvtt1/
"""

import re
from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

from pipeline.errors import ConfigError
from pipeline.records.sanitize import sanitized

Row = Mapping[str, Any]

_REQUIRED = ("uri", "media_start", "media_end")
# The columns whose text a cue shows, in this order; a row has some of them.
_CUE_COLUMNS = ("label", "text", "completion")
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def document(rows: Sequence[Row]) -> str:
    """The WebVTT text; times count from the start of the file, in milliseconds.

    Starts are rounded down and ends up. An event that spans several files gets its times in the
    file that all rows share.

    Raises:
        ConfigError: the rows share no file, or have no time in a file.
    """
    if rows and (missing := [name for name in _REQUIRED if name not in rows[0]]):
        raise ConfigError(f"webvtt: these rows have no {', '.join(missing)}; use another format")
    if any(row["media_start"] is None for row in rows):
        raise ConfigError("webvtt: a day has no time in a file; ask for --level chapter or video")
    blocks = ["WEBVTT"]
    if rows:
        uri = _shared_uri(rows)
        blocks.append(f"NOTE {_line(uri)}")
        timed = sorted((_times_ms(row, uri), i) for i, row in enumerate(rows))
        blocks += [_cue(*times_ms, rows[i]) for times_ms, i in timed]
    return "\n\n".join(blocks) + "\n"


def _shared_uri(rows: Sequence[Row]) -> str:
    shared = set.intersection(*({part["uri"] for part in _parts(row)} for row in rows))
    if shared:
        return next(str(part["uri"]) for part in _parts(rows[0]) if part["uri"] in shared)
    uris = sorted({row["uri"] for row in rows})
    raise ConfigError(
        f"webvtt: cues count from the start of one file, and these rows are from {len(uris)} "
        f"files: {', '.join(uris[:3])}{' ...' if uris[3:] else ''}; name one with --video"
    )


def _parts(row: Row) -> Sequence[Row]:
    return row.get("parts") or [row]


def _times_ms(row: Row, uri: str) -> tuple[int, int]:
    part = next(part for part in _parts(row) if part["uri"] == uri)
    # Round to whole microseconds first, or 6.1 s becomes 6100.000000000001 ms.
    start_us, end_us = (round(part[name] * 1e6) for name in ("media_start", "media_end"))
    return floor(start_us / 1000), max(ceil(end_us / 1000), floor(start_us / 1000) + 1)


def _cue(start_ms: int, end_ms: int, row: Row) -> str:
    # The cue of a chapter shows its title alone, because players list chapters by their cues.
    columns = (str(row[name]) for name in _CUE_COLUMNS if row.get(name))
    text = row.get("title") or ": ".join(columns)
    # A blank line would end the cue. "-->" may not occur in one, so ">" is escaped.
    lines = [sanitized(line) for line in text.translate(_ESCAPED).splitlines() if sanitized(line)]
    return "\n".join([f"{_clock(start_ms)} --> {_clock(end_ms)}", *(lines or ["-"])])


def _clock(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _line(text: str) -> str:
    return re.sub("-{2,}>", "->", " ".join(sanitized(text).split()))
