"""Erasing on purpose: what a video, a camera or a range of time has left in an index goes.

Rows that tell of erased footage go from every table. What stays is that it was erased: the
``videos`` row of a whole video (status ``erased``: file, camera, range), and windows (status
``erased``: range alone) where a part was. Jobs take both for an order not to look there again, and
coverage shows them. The bytes are gone once ``vacuum`` has removed the replaced files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipeline.index.duck import quote
from pipeline.index.filters import (
    ALWAYS,
    Cameras,
    Span,
    Where,
)
from pipeline.index.query import Index
from pipeline.index.replace import among, both, equal, on_dates, replace
from pipeline.index.scope import Row, Scope
from pipeline.index.store import DAMAGED, Store
from pipeline.index.strict import ID_COLUMN, conform
from pipeline.schema import TABLES, VIDEOS, WINDOWS, TableName
from pipeline.timebase import days_between

_IDS_PER_COMMIT = 1000
_STATUSES = ("analysed", "quiet", "failed")
# The tables that are not simply derived from windows, row by row; `runs` tells of no footage.
_OWN_RULES = frozenset({"videos", "windows", "events", "runs"})
_KEPT_OF_WINDOW = frozenset(
    {"date", "camera", "start", "end", "video_id", "uri", "media_start", "media_end"}
    | {"media_start_ns", "media_end_ns"}
    | {"window_id", "shard_id", "task", "model", "prompt_id", "fingerprint"}
)
_FORGOTTEN_OF_VIDEO = frozenset(
    {"num_windows_analysed", "num_windows_quiet", "num_windows_failed", "num_events"}
    | {"num_segments", "warnings", "error", "config"}
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an index holds of a scope."""

    scope: Scope
    whole: Sequence[Row]
    """Rows of ``videos`` of which nothing stays, ordered by start."""
    cut: Sequence[Row]
    """Rows of ``videos`` that lose a part."""
    windows: Sequence[Row]
    """Parts of videos that stay; also of videos that no job has finished yet."""

    @cached_property
    def whole_ids(self) -> set[str]:
        """Ids of the videos that go."""
        return {row["video_id"] for row in self.whole}

    @cached_property
    def cut_ids(self) -> set[str]:
        """Ids of the videos that lose a part."""
        return {row["video_id"] for row in (*self.cut, *self.windows)} - self.whole_ids

    def tells_of(self, row: Row) -> bool:
        """Whether a row, or a part of an event, was made from what is erased."""
        if video_id := row.get("video_id"):
            return video_id in self.whole_ids or (
                video_id in self.cut_ids and self.scope.overlaps(row)
            )
        # A summary of a day names no video.
        return any(
            gone["camera"] == row["camera"]
            and gone["start"] < row["end"]
            and row["start"] < gone["end"]
            for gone in (*self.whole, *self.windows)
        )


def _drop(folder: str, store: Store, _: Found) -> int:
    """All of a folder beside the tables; how many there were."""
    filesystem, path = store.filesystem(), f"{store.root}/{folder}"
    if not filesystem.exists(path):
        return 0
    filesystem.rm(path, recursive=True)
    return 1


SIDECARS: dict[str, Callable[[Store, Found], int]] = {
    # Its segments keep the bytes of deleted rows. A search builds it anew.
    "search": partial(_drop, "search"),
    # What a repair has set aside cannot be read, so nobody knows of whom it tells.
    "damaged": partial(_drop, DAMAGED),
}
"""What is kept beside the tables and was derived from them: each entry removes what may tell of
``Found`` from one store, once the tables are clean, and returns how many things that were."""


def erase(store: Store, scope: Scope, *, dry_run: bool = False) -> dict[str, Any]:
    """Erase what the index holds of a scope; doing it again completes what a crash has left.

    A window, segment or summary that overlaps the range goes as a whole. An event goes if its
    first file's share does, and is cut before a later file whose share does.

    Returns:
        The receipt: the videos, and how many rows went from each table.
    """
    index = Index(store)
    scope = scope.within(index)
    found = _find(index, scope)
    events, cut_events = _events(index, found)
    derived = {
        name: _derived(index, name, found) for name in store.tables() if name not in _OWN_RULES
    }
    whole = Where().among("video_id", found.whole_ids)
    of_whole = _rows(index, "windows", scope, whole, columns=["window_id"])
    receipt = {
        "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "dry_run": dry_run,
        "videos": [_told(row, whole=True) for row in found.whole]
        + [_told(row, whole=False) for row in found.cut],
        "rows": {
            "videos": len(found.whole),
            "windows": of_whole.num_rows + len(found.windows),
            "events": len(events),
            **{name: len(rows) for name, rows in derived.items()},
        },
        "events_cut": len(cut_events),
        "sidecars": {},
    }
    if not dry_run:
        # The row of a video says that it is erased once that is true: a crash is made good by the
        # next call, which finds it unchanged.
        _replace_rows(store, "events", events, cut_events)
        for name, rows in derived.items():
            _replace_rows(store, name, rows, [])
        for some in _chunks(found.whole):
            _replace_of_videos(store, "windows", some, [])
        _replace_rows(store, "windows", found.windows, [_blank_window(r) for r in found.windows])
        for some in _chunks(found.whole, "task"):
            _replace_of_videos(store, "videos", some, _tombstones(some), "task")
        for some in _chunks(found.cut, "task", "fingerprint"):
            _replace_of_videos(
                store, "videos", some, _recounted(index, some), "task", "fingerprint"
            )
        receipt["sidecars"] = {name: clean(store, found) for name, clean in SIDECARS.items()}
    return receipt


def erase_older(
    store: Store, keep_days: Callable[[str], float | None], *, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Retention: of each camera, erase what is older than ``keep_days`` says; None keeps all.

    Returns:
        One receipt per number of days.
    """
    now = now or datetime.now(tz=UTC)
    due: dict[float, list[str]] = {}
    for name in sorted(Index(store).known_cameras()):
        if (days := keep_days(name)) is not None:
            due.setdefault(days, []).append(name)
    return [
        {"keep_days": days, "cameras": names}
        | erase(
            store,
            Scope(
                cameras=Cameras(exact=tuple(names)),
                span=Span.parse(None, now - timedelta(days=days)),
            ),
        )
        for days, names in sorted(due.items())
    ]


def forget(store: Store, camera: str, start: datetime, end: datetime) -> None:
    """Undo the order not to look again: no moment of a camera in ``[start, end)`` counts as erased.

    What was erased does not come back by this; it may be indexed anew.
    """
    overlapping = (
        f"camera = {quote(camera)} AND status = 'erased' AND "
        f"start < '{end.isoformat()}' AND \"end\" > '{start.isoformat()}'"
    )
    replace(store, "windows", WINDOWS.empty_table(), overlapping)
    replace(store, "videos", VIDEOS.empty_table(), overlapping)


def _find(index: Index, scope: Scope) -> Found:
    of_videos = scope.of_videos().add("status <> 'erased'")
    if scope.span != ALWAYS:
        # What could not even be opened has a time at most in its name, and told of no footage.
        of_videos.add("(status <> 'failed' OR len(footage) > 0)")
    videos = _rows(index, "videos", scope, of_videos).to_pylist()
    whole = [row for row in videos if scope.contains(row)]
    of_windows = scope.of_videos().add("status <> 'erased'")
    of_windows.add(
        "video_id NOT IN (SELECT unnest(?::VARCHAR[]))", [row["video_id"] for row in whole]
    )
    windows = _rows(index, "windows", scope, of_windows, columns=sorted(_KEPT_OF_WINDOW))
    cut = [row for row in videos if not scope.contains(row)]
    return Found(scope=scope, whole=whole, cut=cut, windows=windows.to_pylist())


def _rows(
    index: Index,
    name: TableName,
    scope: Scope,
    where: Where,
    columns: Iterable[str] | None = None,
) -> pa.Table:
    return index.every(name, where, span=scope.span, cameras=scope.cameras, columns=columns)


def _events(index: Index, found: Found) -> tuple[list[Row], list[Row]]:
    """Events that go or change, as they are; and those that change, as they will be."""
    where = Where().add(
        "(video_id IN (SELECT unnest(?::VARCHAR[])) OR len(parts) > 1)",
        sorted(found.whole_ids | found.cut_ids),
    )
    gone, changed = [], []
    for event in _rows(index, "events", found.scope, where).to_pylist():
        shares = [not found.tells_of(part) for part in event["parts"] or [event]]
        if all(shares):
            continue
        gone.append(event)
        if shares[0]:
            changed.append(_cut_event(event, event["parts"][: shares.index(False)]))
    return gone, changed


def _cut_event(event: Row, parts: list[Row]) -> Row:
    end = max(part["end"] for part in parts)
    cut = event | {
        "end": end,
        "parts": parts,
        "boxes": [box for box in event["boxes"] if box["at"] < end],
    }
    if pieces := (event["pieces"] or [])[: len(parts)]:
        cut["pieces"] = pieces if len(pieces) > 1 else None
        cut["window_ids"] = event["window_ids"][: sum(p["num_window_ids"] for p in pieces)]
        cut["boxes"] = event["boxes"][: sum(p["num_boxes"] for p in pieces)]
    return cut


def _derived(index: Index, name: TableName, found: Found) -> list[Row]:
    columns = [ID_COLUMN[name], "date", "camera", "start", "end", "task", "fingerprint"]
    columns += [column for column in ("video_id",) if column in TABLES[name].names]
    rows = _rows(index, name, found.scope, Where(), columns).to_pylist()
    return [row for row in rows if found.tells_of(row)]


def _blank_window(row: Row) -> Row:
    kept = {name: row[name] for name in _KEPT_OF_WINDOW}
    return _empty(WINDOWS) | kept | {"status": "erased"}


def _tombstones(videos: Iterable[Row]) -> list[Row]:
    """One row per video and task; of several generations the newest."""
    empty = _empty(VIDEOS)
    blank = {name: empty[name] for name in _FORGOTTEN_OF_VIDEO}
    now = datetime.now(tz=UTC)
    newest = {
        (row["video_id"], row["task"]): row
        for row in sorted(videos, key=lambda row: row["indexed_at"])
    }
    return [row | blank | {"status": "erased", "indexed_at": now} for row in newest.values()]


def _recounted(index: Index, videos: Sequence[Row]) -> list[Row]:
    """The rows with the numbers of what is left of them."""
    where = Where().among("video_id", {row["video_id"] for row in videos})
    held = ("video_id", "task", "fingerprint")
    tables = {
        "windows": index.every("windows", where, columns=[*held, "status"]).to_pylist(),
        "events": index.every("events", where, columns=held).to_pylist(),
        "segments": index.every("segments", where, columns=held).to_pylist(),
    }
    return [
        video
        | {
            f"num_windows_{status}": sum(
                row["status"] == status and _is_of(row, video) for row in tables["windows"]
            )
            for status in _STATUSES
        }
        | {
            f"num_{name}": sum(_is_of(row, video) for row in tables[name])
            for name in ("events", "segments")
        }
        for video in videos
    ]


def _is_of(row: Row, video: Row) -> bool:
    return all(row[name] == video[name] for name in ("video_id", "task", "fingerprint"))


def _empty(schema: pa.Schema) -> Row:
    def nothing(kind: pa.DataType) -> object:
        if pa.types.is_list(kind) or pa.types.is_map(kind):
            return []
        if pa.types.is_string(kind):
            return ""
        return 0

    return {f.name: None if f.nullable else nothing(f.type) for f in schema}


def _replace_rows(store: Store, name: TableName, rows: Sequence[Row], others: list[Row]) -> None:
    """Put ``others``, whose ids are among theirs, in place of these rows."""
    id_column = ID_COLUMN[name]
    # Ids are made from what a thing is: two settings may find the same event.
    for some in _chunks(rows, "task", "fingerprint"):
        made_by = {column: some[0][column] for column in ("task", "fingerprint")}
        ids = {row[id_column] for row in some}
        instead = [
            row for row in others if row[id_column] in ids and made_by.items() <= row.items()
        ]
        conditions = [equal(column, value) for column, value in made_by.items()]
        on = on_dates(row["date"] for row in some)
        where = both(on, *conditions, among(id_column, ids))
        replace(store, name, _table(name, instead), where)


def _replace_of_videos(
    store: Store, name: TableName, videos: Sequence[Row], others: list[Row], *same: str
) -> None:
    """Put ``others`` in place of the rows of these videos that agree with them in ``same``."""
    days: set[date] = {
        day for row in videos for day in (row["date"], *days_between(row["start"], row["end"]))
    }
    conditions = [among(column, {row[column] for row in videos}) for column in ("video_id", *same)]
    replace(store, name, _table(name, others), both(on_dates(days), *conditions))


def _table(name: TableName, rows: list[Row]) -> pa.Table:
    return conform(name, pa.Table.from_pylist(rows, schema=TABLES[name]))


def _chunks(rows: Sequence[Row], *same: str) -> Iterator[Sequence[Row]]:
    """Rows that agree in ``same``, in the order of time, so that a commit touches few dates."""

    def key(row: Row) -> list[str]:
        return [row[column] for column in same]

    for _, alike in groupby(sorted(rows, key=lambda row: (key(row), row["start"])), key=key):
        ordered = list(alike)
        for i in range(0, len(ordered), _IDS_PER_COMMIT):
            yield ordered[i : i + _IDS_PER_COMMIT]


def _told(row: Row, *, whole: bool) -> dict[str, Any]:
    told = {name: row[name] for name in ("video_id", "uri", "camera", "task")}
    times = {name: row[name].isoformat().replace("+00:00", "Z") for name in ("start", "end")}
    return told | times | {"whole": whole}
