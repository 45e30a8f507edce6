"""The options of a query as SQL conditions, order and limit."""

from collections.abc import Iterable
from typing import Literal, TypedDict

from pipeline.errors import ConfigError
from pipeline.index.filters import Names, Where, list_names
from pipeline.index.validate import ID_COLUMN
from pipeline.tables.schema import READ, ReadTable
from pipeline.timebase import NS_PER_US, seconds_to_ns

Order = Literal["time", "confidence", "duration"]

# The columns in which a text is searched.
_TEXT: dict[ReadTable, tuple[str, ...]] = {
    "events": ("text",),
    "tracks": ("text",),
    "segments": ("text",),
    "summaries": ("text",),
    "windows": ("completion",),
    "videos": ("uri",),
    "feedback": ("note",),
    "evidence": ("uri",),
    "vectors": ("embedder",),
    "utterances": ("text",),
    "slides": ("text", "deck_text"),
    "alerts": ("text",),
}
MAX_LIMIT = 2**31 - 1
NO_ZONE = "none"
_MAX_LENGTH_S = 10_000 * 366 * 86_400
_LENGTH_US = 'epoch_us("end") - epoch_us("start")'


class QueryOptions(TypedDict, total=False):
    """Options of a query besides its range; an option that is missing or None has no effect."""

    camera: Names
    """Name or glob such as ``cam*``, or several."""
    label: Names
    zone: Names
    """Of events: the zones that they tell of; ``none`` is what an engine saw."""
    text: str | None
    """Part of the text in any language, ignoring case."""
    video: str | None
    """Id or uri of a video, or the end of its uri; an event may span several videos."""
    speaker: Names
    """Of utterances: who says it."""
    task: Names
    level: Names
    """Of segments and summaries: how much time one text covers."""
    fingerprint: str | None
    """One fingerprint, or ``all``; None means the newest of each video (see index --keep)."""
    min_confidence: float | None
    """Also excludes rows without a confidence."""
    min_duration_s: float | None
    max_duration_s: float | None
    order_by: Order | None
    """None means time: start, camera, id. Other orders use time for equal values."""
    descending: bool | None
    review: Names
    """Of events: what the newest statement of a person says, or ``open`` if there is none."""
    limit: int | None
    columns: Iterable[str] | None


def conditions(table: ReadTable, options: QueryOptions) -> Where:
    """The conditions of all options except range, camera and limit.

    Raises:
        ConfigError: the table has no such column, or a value is out of range.
    """
    where = Where()
    if (label := options.get("label")) is not None:
        _must_have(table, "label")
        where.is_one_of("label", list_names(label))
    if (zone := options.get("zone")) is not None:
        _of_zones(table, where, list_names(zone))
    if (level := options.get("level")) is not None:
        _must_have(table, "level")
        where.is_one_of("level", list_names(level))
    if (speaker := options.get("speaker")) is not None:
        _must_have(table, "speaker")
        where.is_one_of("speaker", list_names(speaker))
    if (task := options.get("task")) is not None:
        where.is_one_of("task", list_names(task))
    if (fingerprint := options.get("fingerprint")) and fingerprint != "all":
        where.add("fingerprint = ?", fingerprint)
    if text := options.get("text"):
        where = where.also(Where.any_of(Where().contains(name, text) for name in _TEXT[table]))
    if (video := options.get("video")) is not None:
        _of_video(table, where, video)
    if (confidence := options.get("min_confidence")) is not None:
        _must_have(table, "confidence")
        # Compare as float32, as it is stored: the float32 nearest to 0.9 is less than 0.9.
        where.add("confidence >= ?::FLOAT", confidence)
    _of_length(where, options)
    return where


def order(table: ReadTable, options: QueryOptions) -> str:
    """The ORDER BY and LIMIT of a query.

    Raises:
        ConfigError: the limit is out of range, or the table has no such column.
    """
    by: Order = options.get("order_by") or "time"
    direction = "DESC" if options.get("descending") else "ASC"
    id_column = ID_COLUMN[table]
    ties = [name for name in ("camera", id_column) if name in READ[table].names]
    match by:
        case "time":
            keys = [f'"start" {direction}', *ties]
        case "confidence":
            _must_have(table, "confidence")
            keys = [f"confidence {direction} NULLS LAST", '"start"', *ties]
        case "duration":
            keys = [f"{_LENGTH_US} {direction}", '"start"', *ties]
    return f"ORDER BY {', '.join(keys)} {limited(options.get('limit'))}"


def limited(limit: int | None) -> str:
    """The LIMIT of a query; empty if there is none.

    Raises:
        ConfigError: the limit is negative or too large.
    """
    if limit is None:
        return ""
    if not 0 <= limit <= MAX_LIMIT:
        raise ConfigError(f"limit {limit}: must be from 0 to {MAX_LIMIT}")
    return f"LIMIT {limit}"


def _us(name: str, seconds: float) -> int:
    if not 0 <= seconds <= _MAX_LENGTH_S:  # nan is refused too
        raise ConfigError(f"{name} {seconds}: must be from 0 to {_MAX_LENGTH_S} seconds")
    return seconds_to_ns(seconds) // NS_PER_US


def _must_have(table: ReadTable, column: str) -> None:
    if column not in READ[table].names:
        having = " and ".join(name for name in READ if column in READ[name].names)
        raise ConfigError(f"{table} have no {column}; {having} have one")


def _of_length(where: Where, options: QueryOptions) -> None:
    if (shortest := options.get("min_duration_s")) is not None:
        where.add(f"{_LENGTH_US} >= ?", _us("min_duration_s", shortest))
    if (longest := options.get("max_duration_s")) is not None:
        where.add(f"{_LENGTH_US} <= ?", _us("max_duration_s", longest))


def _of_zones(table: ReadTable, where: Where, names: list[str]) -> None:
    _must_have(table, "zone")
    named = Where().is_one_of("zone", [name for name in names if name != NO_ZONE])
    or_none = " OR zone IS NULL" if NO_ZONE in names else ""
    where.add(f"({named.sql}{or_none})", *named.values)


def _of_video(table: ReadTable, where: Where, video: str) -> None:
    is_video = "(video_id = ? OR uri = ? OR ends_with(uri, '/' || ?))"
    if table not in {"events", "tracks"}:
        where.add(is_video, video, video, video)
        return
    part = is_video.replace("video_id", "part.video_id").replace("uri", "part.uri")
    where.add(f"({is_video} OR len(list_filter(parts, lambda part: {part})) > 0)", *[video] * 6)
