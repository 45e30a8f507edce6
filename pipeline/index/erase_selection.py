"""Finds the rows of an index that an order to erase removes or changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from pipeline.index.filters import ALWAYS, WAS_READ, Where
from pipeline.index.query import Index
from pipeline.index.scope import Row, Scope
from pipeline.index.validate import ID_COLUMN
from pipeline.records import Event
from pipeline.tables.events import rows_without
from pipeline.tables.schema import TABLES, TableName
from pipeline.timebase import ns_to_datetime

# Tables whose rows may reach into other files than the one they name.
_SAID: tuple[TableName, ...] = ("feedback", "alerts")
# Tables that are not derived from windows row by row, or that hold nothing about footage.
_OWN_RULES = frozenset({"videos", "windows", "events", "runs", "erasures", *_SAID})
KEPT_OF_WINDOW = frozenset(
    {"date", "camera", "start", "end", "video_id", "uri", "media_start", "media_end"}
    | {"media_start_ns", "media_end_ns"}
    | {"window_id", "shard_id", "task", "model", "prompt_id", "fingerprint"}
)
_NAMING: tuple[TableName, ...] = ("events", "segments", "utterances", "slides")
_OF_EVENT = ("event_id", "camera", "start", "end", "video_id", "uri", "parts", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedScope:
    """A scope to erase, with the videos that it concerns: which rows were made from it."""

    scope: Scope
    whole_ids: frozenset[str]
    """Ids of videos that are erased completely."""
    other_ids: frozenset[str]
    """Ids of all other videos of the scope, also unfinished ones of running or killed runs."""
    times: Sequence[tuple[str, datetime, datetime]]
    """Camera, start and end of erased videos and windows."""

    def covers(self, row: Row) -> bool:
        """Whether a row, or a part of an event, was made from erased footage."""
        if video_id := row.get("video_id"):
            return video_id in self.whole_ids or (
                self.scope.overlaps(row) and (video_id in self.other_ids or self.scope.names(row))
            )
        # A summary of a day names no video.
        return any(
            camera == row["camera"] and start < row["end"] and row["start"] < end
            for camera, start, end in self.times
        )

    def candidates(self, or_if: str) -> Where:
        """Rows that may be about erased footage, or that meet the condition ``or_if``."""
        ids = sorted(self.whole_ids | self.other_ids)
        return Where().add(f"(video_id IN (SELECT unnest(?::VARCHAR[])) OR {or_if})", ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedRows:
    """The rows of an index that are about a scope."""

    scope: ErasedScope
    whole: Sequence[Row]
    """Rows of ``videos`` that are erased completely, ordered by start."""
    cut: Sequence[Row]
    """Rows of ``videos`` that lose a part."""
    windows: Sequence[Row]
    """Erased windows of all other videos, also of videos that no job has finished yet."""
    num_windows_of_whole: int
    events: Sequence[Row]
    """Events that lose at least one piece; a few columns."""
    num_events_cut: int
    """Number of those events that keep a piece."""
    derived: Mapping[TableName, Sequence[Row]]
    """Erased rows of every other table; a few columns."""

    @property
    def videos(self) -> list[tuple[Row, bool]]:
        """Rows of ``videos``, and whether each goes as a whole."""
        return [(row, True) for row in self.whole] + [(row, False) for row in self.cut]

    @property
    def num_rows(self) -> dict[str, int]:
        """Number of rows that are removed or blanked, by table."""
        return {
            "videos": len(self.whole),
            "windows": self.num_windows_of_whole + len(self.windows),
            "events": len(self.events),
            **{name: len(rows) for name, rows in self.derived.items()},
        }


def find_erased_rows(index: Index, scope: Scope, *, again: bool = False) -> ErasedRows:
    """The rows about a scope; after an earlier erasure, only rows that were committed since.

    With ``again`` also rows that were made from footage which is erased by now: whoever made them
    had read it before.
    """
    of_videos = scope.of_videos().add("status <> 'erased'")
    if scope.span != ALWAYS:
        # A file that could not be opened has no footage; its only time may come from its name.
        of_videos.add(WAS_READ)
    videos = _rows(index, "videos", scope, of_videos).to_pylist()
    whole = [row for row in videos if scope.contains(row)]
    cut = [row for row in videos if not scope.contains(row)]
    whole_ids = {row["video_id"] for row in whole}
    of_windows = scope.of_videos().add("status <> 'erased'")
    of_windows.add("video_id NOT IN (SELECT unnest(?::VARCHAR[]))", sorted(whole_ids))
    windows = _rows(index, "windows", scope, of_windows, sorted(KEPT_OF_WINDOW)).to_pylist()
    of_whole = Where().is_one_of("video_id", whole_ids)
    others = {row["video_id"] for row in (*cut, *windows)}
    for name in _NAMING:
        rows = _rows(index, name, scope, scope.of_videos(), ["video_id"])
        others.update(rows["video_id"].to_pylist())
    gone: list[Row] = []
    if again:
        is_gone = scope.of_videos().add("status = 'erased'")
        gone_videos = _rows(index, "videos", scope, is_gone).to_pylist()
        gone_windows = _rows(index, "windows", scope, is_gone, sorted(KEPT_OF_WINDOW)).to_pylist()
        gone = [*gone_videos, *gone_windows]
        whole_ids.update(row["video_id"] for row in gone_videos if scope.contains(row))
        others.update(row["video_id"] for row in gone)
    erased = ErasedScope(
        scope=scope,
        whole_ids=frozenset(whole_ids),
        other_ids=frozenset(others - whole_ids),
        times=[(row["camera"], row["start"], row["end"]) for row in (*whole, *windows, *gone)],
    )
    events = [
        (row, [erased.covers(part) for part in row["parts"] or [row]])
        for row in _rows(
            index, "events", scope, erased.candidates("len(parts) > 1"), _OF_EVENT
        ).to_pylist()
    ]
    return ErasedRows(
        scope=erased,
        whole=whole,
        cut=cut,
        windows=windows,
        num_windows_of_whole=_rows(index, "windows", scope, of_whole, ["window_id"]).num_rows,
        events=[row for row, shares in events if any(shares)],
        num_events_cut=sum(any(shares) and not all(shares) for _, shares in events),
        derived={
            name: _derived(index, name, erased)
            for name in index.store.tables()
            if name not in _OWN_RULES
        }
        | {name: _statements(index, name, erased) for name in _SAID},
    )


def remaining_events(events: pa.Table, erased: ErasedScope) -> pa.Table:
    """The events without their erased pieces; an event is split where a piece is missing."""

    def is_erased(piece: Event) -> bool:
        [part] = piece.parts
        start, end = (ns_to_datetime(ns) for ns in (part.span.start_ns, part.span.end_ns))
        return erased.covers(
            {"video_id": part.video_id, "uri": part.uri, "start": start, "end": end}
        )

    return rows_without(events, is_erased)


def _derived(index: Index, name: TableName, erased: ErasedScope) -> list[Row]:
    columns = [ID_COLUMN[name], "date", "camera", "start", "end", "task", "fingerprint"]
    columns += [column for column in ("video_id", "uri") if column in TABLES[name].names]
    rows = _rows(index, name, erased.scope, erased.candidates("video_id = ''"), columns)
    return [row for row in rows.to_pylist() if erased.covers(row)]


def _statements(index: Index, name: TableName, erased: ErasedScope) -> list[Row]:
    """What people or rules said about erased footage, or about an event that was found in it."""
    columns = [ID_COLUMN[name], "date", "camera", "start", "end", "video_id", "uri"]
    columns += ["task", "fingerprint", *(["was_start", "was_end"] if name == "feedback" else [])]
    # A person may have moved the event out of the erased time, so the rows of all times are read.
    rows = index.select_all(name, Where().of(erased.scope.cameras), columns=columns)
    return [row for row in rows.to_pylist() if _is_about(row, erased)]


def _is_about(statement: Row, erased: ErasedScope) -> bool:
    ranges = [statement]
    if statement.get("was_start") is not None:
        ranges.append(statement | {"start": statement["was_start"], "end": statement["was_end"]})
    # The event may run into other files than the one that is named, so its times count as well.
    return any(
        erased.covers(row)
        or (
            erased.scope.overlaps(row)
            and (not erased.scope.videos or erased.covers(row | {"video_id": ""}))
        )
        for row in ranges
    )


def _rows(
    index: Index,
    name: TableName,
    scope: Scope,
    where: Where,
    columns: Iterable[str] | None = None,
) -> pa.Table:
    return index.select_all(name, where, span=scope.span, cameras=scope.cameras, columns=columns)
