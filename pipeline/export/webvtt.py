"""Rows of one video as WebVTT or SRT, one cue per row, so that a player shows them with the video.

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
_ESCAPED: dict[int, str] = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Players take what stands in <> or {} for markup, and SubRip has no escapes.
_NO_MARKUP: dict[int, str] = dict(zip(map(ord, "<>{}"), "\u2039\u203a()", strict=True))


def document(rows: Sequence[Row]) -> str:
    """The WebVTT text; times count from the start of the file, in milliseconds.

    Starts are rounded down and ends up. An event that spans several files gets its times in the
    file that all rows share.

    Raises:
        ConfigError: the rows share no file, or have no time in a file.
    """
    uri, timed = _in_order("webvtt", rows)
    blocks = ["WEBVTT", *([f"NOTE {_line(uri)}"] if rows else [])]
    blocks += [
        f"{_clock(start_ms)} --> {_clock(end_ms)}\n{_voice(row)}{_text(row, _ESCAPED)}"
        for start_ms, end_ms, row in timed
    ]
    return "\n\n".join(blocks) + "\n"


def srt(rows: Sequence[Row]) -> str:
    """The same as SubRip text, which has no comments and no escapes.

    Raises:
        ConfigError: the rows share no file, or have no time in a file.
    """
    _, timed = _in_order("srt", rows)
    return "".join(
        f"{number}\n{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}\n"
        f"{_named(row)}{_text(row, _NO_MARKUP)}\n\n"
        for number, (start_ms, end_ms, row) in enumerate(timed, start=1)
    )


def _in_order(form: str, rows: Sequence[Row]) -> tuple[str, list[tuple[int, int, Row]]]:
    """The file that all rows share, and the rows with their milliseconds in it, ascending."""
    if rows and (missing := [name for name in _REQUIRED if name not in rows[0]]):
        raise ConfigError(f"{form}: these rows have no {', '.join(missing)}; use another format")
    if any(row["media_start"] is None for row in rows):
        raise ConfigError(f"{form}: a day has no time in a file; ask for --level chapter or video")
    if not rows:
        return "", []
    uri = _shared_uri(form, rows)
    timed = sorted((_times_ms(row, uri), i) for i, row in enumerate(rows))
    return uri, [(*times_ms, rows[i]) for times_ms, i in timed]


def _shared_uri(form: str, rows: Sequence[Row]) -> str:
    shared = set.intersection(*({part["uri"] for part in _parts(row)} for row in rows))
    if shared:
        return next(str(part["uri"]) for part in _parts(rows[0]) if part["uri"] in shared)
    uris = sorted({row["uri"] for row in rows})
    raise ConfigError(
        f"{form}: cues count from the start of one file, and these rows are from {len(uris)} "
        f"files: {', '.join(uris[:3])}{' ...' if uris[3:] else ''}; name one with --video"
    )


def _parts(row: Row) -> Sequence[Row]:
    return row.get("parts") or [row]


def _times_ms(row: Row, uri: str) -> tuple[int, int]:
    part = next(part for part in _parts(row) if part["uri"] == uri)
    # Round to whole microseconds first, or 6.1 s becomes 6100.000000000001 ms.
    start_us, end_us = (round(part[name] * 1e6) for name in ("media_start", "media_end"))
    return floor(start_us / 1000), max(ceil(end_us / 1000), floor(start_us / 1000) + 1)


def _voice(row: Row) -> str:
    """The tag of a cue that says who speaks; "" if nobody knows."""
    speaker = _line(row.get("speaker") or "").translate(_ESCAPED)
    # A name that ends with "--" would make an arrow of the tag; a blank there does not count.
    blank = " " if speaker.endswith("-") else ""
    return f"<v {speaker}{blank}>" if speaker else ""


def _named(row: Row) -> str:
    speaker = _line(row.get("speaker") or "").translate(_NO_MARKUP)
    return f"{speaker}: " if speaker else ""


def _text(row: Row, escapes: dict[int, str]) -> str:
    # The cue of a chapter shows its title alone, because players list chapters by their cues.
    columns = (str(row[name]) for name in _CUE_COLUMNS if row.get(name))
    text = row.get("title") or ": ".join(columns)
    # A blank line would end the cue, and so would "-->" in WebVTT, where ">" is escaped.
    lines = [sanitized(line) for line in text.translate(escapes).splitlines() if sanitized(line)]
    return "\n".join(lines or ["-"])


def _clock(ms: int, point: str = ".") -> str:
    seconds = f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}"
    return f"{seconds}{point}{ms % 1000:03d}"


def _line(text: str) -> str:
    return re.sub("-{2,}>", "->", " ".join(sanitized(text).split()))
