"""Erasing on purpose: what a video, a camera or a range of time has left in an index goes.

The order is written first (``orders``), then carried out: a crash or a full disk in between loses
nothing, since whoever comes next carries it out. Rows that tell of erased footage go from every
table. What stays is that it was erased: the ``videos`` row of a whole video (status ``erased``:
file, camera, range), and windows (status ``erased``: range alone) where a part was. Jobs take both
for an order not to look there again, and coverage shows them. The bytes are gone once ``vacuum``
has removed the replaced files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipeline.index import erase_orders
from pipeline.index.duck import quote
from pipeline.index.erase_orders import Erasure, Reason
from pipeline.index.erase_selection import KEPT_OF_WINDOW, ErasedRows, find, remaining_events
from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.index.rejoin import rejoin
from pipeline.index.replace import among, both, change, equal, on_dates, replace
from pipeline.index.scope import Row, Scope
from pipeline.index.sidecars import forget as forget_sidecars
from pipeline.index.store import Store
from pipeline.index.validate import ID_COLUMN, conform
from pipeline.tables.schema import TABLES, VIDEOS, WINDOWS, TableName
from pipeline.timebase import days_between

_IDS_PER_COMMIT = 1000
# Events that are further apart are not replaced in one commit, which would write all between them.
_APART = timedelta(days=1)
_STATUSES = ("analysed", "quiet", "failed")
_FORGOTTEN_OF_VIDEO = frozenset(
    {"num_windows_analysed", "num_windows_quiet", "num_windows_failed", "num_events"}
    | {"num_segments", "warnings", "error", "config"}
)
_OUT_OF_REACH = (
    "files that timereel export or query wrote",
    "what searches of other users and machines keep of an index that they cannot write",
    "replaced files, until timereel vacuum",
)


def erase(store: Store, scope: Scope, *, reason: Reason = "command") -> dict[str, Any]:
    """Write the order to erase what the index holds of a scope, and carry it out.

    A window, segment or summary that overlaps the range goes as a whole. Of an event that runs
    through several files the pieces go that do; what is left of it is parted there.

    Returns:
        The receipt: the videos, and how many rows went from each table.
    """
    store.create()  # an older index has no table of orders
    index = Index(store)
    apply_orders(index)
    scope = scope.within(index)
    found = find(index, scope)
    order = Erasure.of(scope, reason, found.num_rows)
    erase_orders.write(store, order)
    _remove(index, found)
    sidecars = forget_sidecars(store)
    order = erase_orders.carried_out(index, order, {})
    return _receipt(found) | {
        "erasure_id": order.erasure_id,
        "waits_for": list(order.waits_for or ()),
        "sidecars": sidecars,
        "out_of_reach": list(_OUT_OF_REACH),
    }


def would_erase(store: Store, scope: Scope) -> dict[str, Any]:
    """The receipt of ``erase``, which is not done."""
    index = Index(store)
    return _receipt(find(index, scope.within(index)))


def apply_orders(index: Index) -> None:
    """Carry out the orders that stand: a crash left them, or a run that was then at work goes on.

    Costs next to nothing where there are none.
    """
    for order in erase_orders.standing(index):
        found = find(index, order.scope)
        _remove(index, found)
        if order.waits_for is None or any(found.num_rows.values()):
            forget_sidecars(index.store)
        erase_orders.carried_out(index, order, found.num_rows)


def erase_older(
    store: Store, keep_days: Callable[[str], float | None], *, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Retention: of each camera, erase what is older than ``keep_days`` says; None keeps all.

    Returns:
        One receipt per number of days.
    """
    now = now or datetime.now(tz=UTC)
    index = Index(store)
    apply_orders(index)
    due: dict[float, list[str]] = {}
    for name in sorted(index.known_cameras()):
        if (days := keep_days(name)) is not None:
            due.setdefault(days, []).append(name)
    receipts = []
    for days, names in sorted(due.items()):
        span = Span.parse(None, now - timedelta(days=days))
        scope = Scope(cameras=Cameras(exact=tuple(names)), span=span)
        receipt = would_erase(store, scope)
        if any(receipt["rows"].values()):
            receipt = erase(store, scope, reason="retention")
        receipts.append({"keep_days": days, "cameras": names} | receipt)
    return receipts


def forget(store: Store, camera: str, start: datetime, end: datetime) -> None:
    """Undo the order not to look again: no moment of a camera in ``[start, end)`` counts as erased.

    What was erased does not come back by this; it may be indexed anew. Videos that were done but
    for that are ``pending`` from here on.
    """
    index, exact = Index(store), Cameras(exact=(camera,))
    erased = Where().add("status = 'erased'")
    parts = index.every(
        "windows", erased, span=Span.parse(start, end), cameras=exact, columns=["video_id"]
    )
    of_parts = Where().among("video_id", parts["video_id"].to_pylist())
    done = of_parts.add("status IN ('done', 'partial')")
    rows = index.every("videos", done, cameras=exact, columns=["date", "video_id"])
    if rows.num_rows:
        ids, on = rows["video_id"].to_pylist(), on_dates(rows["date"].to_pylist())
        is_done = both(on, among("video_id", ids), "status IN ('done', 'partial')")
        change(store, "videos", {"status": "pending"}, is_done)
    overlapping = (
        f"camera = {quote(camera)} AND status = 'erased' AND "
        f"start < '{end.isoformat()}' AND \"end\" > '{start.isoformat()}'"
    )
    replace(store, "windows", WINDOWS.empty_table(), overlapping)
    replace(store, "videos", VIDEOS.empty_table(), overlapping)


def _remove(index: Index, found: ErasedRows) -> None:
    """Take from every table what tells of it; where nothing does, nothing is written."""
    store = index.store
    # What coverage and jobs go by changes last: a crash is made good by the next call, which finds
    # that unchanged.
    for events in _together(found.events):
        near: dict[str, tuple[datetime, datetime]] = {}
        for row in events:
            start, end = near.get(row["camera"], (row["start"], row["end"]))
            near[row["camera"]] = min(start, row["start"]), max(end, row["end"])
        stay = partial(remaining_events, gone=found.gone)
        rejoin(store, events[0]["task"], near, timedelta(0), stay)
    for name, rows in found.derived.items():
        _replace_rows(store, name, rows, [])
    for some in _chunks(found.whole):
        _replace_of_videos(store, "windows", some, [])
    _replace_rows(store, "windows", found.windows, [_blank_window(row) for row in found.windows])
    for some in _chunks(found.whole, "task"):
        _replace_of_videos(store, "videos", some, _tombstones(some), "task")
    for some in _chunks(found.cut, "task", "fingerprint"):
        if changed := [row for row in _recounted(index, some) if row not in some]:
            _replace_of_videos(store, "videos", changed, changed, "task", "fingerprint")


def _together(events: Sequence[Row]) -> Iterator[list[Row]]:
    """Events of one task that follow each other closely, at most so many as a commit takes."""
    some: list[Row] = []
    for row in sorted(events, key=lambda event: (event["task"], event["start"])):
        if some and (
            row["task"] != some[0]["task"]
            or row["start"] - some[-1]["start"] > _APART
            or len(some) >= _IDS_PER_COMMIT
        ):
            yield some
            some = []
        some.append(row)
    if some:
        yield some


def _blank_window(row: Row) -> Row:
    kept = {name: row[name] for name in KEPT_OF_WINDOW}
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


def _receipt(found: ErasedRows) -> dict[str, Any]:
    return {
        "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "videos": [_told(row, whole=True) for row in found.whole]
        + [_told(row, whole=False) for row in found.cut],
        "rows": found.num_rows,
        "events_cut": found.num_events_cut,
    }


def _told(row: Row, *, whole: bool) -> dict[str, Any]:
    told = {name: row[name] for name in ("video_id", "uri", "camera", "task")}
    times = {name: row[name].isoformat().replace("+00:00", "Z") for name in ("start", "end")}
    return told | times | {"whole": whole}
