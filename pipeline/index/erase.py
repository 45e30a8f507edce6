"""Erases on purpose all rows about a video, a camera or a range of time.

The order to erase is committed first (``erase_orders``) and then carried out. A crash or a full
disk in between loses nothing, since the next command carries the order out. Rows about erased
footage are removed from every table. Only the fact stays that it was erased: the ``videos`` row of
a video that was erased completely (status ``erased``: file, camera, range), and the windows of an
erased part of a video (status ``erased``: range alone). Jobs do not analyse such footage again, and
coverage shows it as erased. The bytes are gone when ``vacuum`` has removed the replaced files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pipeline.index import erase_orders
from pipeline.index.duck import quote
from pipeline.index.erase_commits import IDS_PER_COMMIT, chunks, replace_of_videos, replace_rows
from pipeline.index.erase_orders import Erasure, Reason
from pipeline.index.erase_selection import (
    KEPT_OF_WINDOW,
    ErasedRows,
    find_erased_rows,
    remaining_events,
)
from pipeline.index.erase_speaker import (
    SpokenRows,
    find_spoken_rows,
    of_speaking_videos,
    remove_spoken_rows,
)
from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.index.rejoin import rejoin, times_by_camera
from pipeline.index.replace import all_of, change, is_one_of, on_dates, replace
from pipeline.index.scope import Row, Scope
from pipeline.index.sidecars import remove_sidecars
from pipeline.index.store import Store
from pipeline.tables.schema import DECLARED, VIDEOS, WINDOWS
from pipeline.tables.video_items import MEDIA_SPAN
from pipeline.tables.videos import video_of_row
from pipeline.timebase import NS_PER_US, TimeRange, datetime_to_ns, joined

# Events further apart than this are not replaced in one commit, which would rewrite all between
# them.
_MAX_GAP_IN_COMMIT = timedelta(days=1)
_STATUSES = ("analysed", "quiet", "failed")
_OF_WINDOW = ("status", "start", "end", "media_start_ns", "media_end_ns")
_CLEARED_OF_VIDEO = frozenset(
    {"num_windows_analysed", "num_windows_quiet", "num_windows_failed", "num_events"}
    | {"num_segments", "num_utterances", "num_slides", "warnings", "error", "config"}
    | {"deck_uri", "deck_etag", "deck_pages"}
)
_OUT_OF_REACH = (
    "files that timereel export or query wrote",
    "search caches of other users and machines that cannot write to the index",
    "replaced files, until timereel vacuum",
)


def erase(store: Store, scope: Scope, *, reason: Reason = "command") -> dict[str, Any]:
    """Commit the order to erase what the index holds of a scope, and carry it out.

    A window, segment, utterance, slide or summary that overlaps the range is erased completely. An
    event that spans several files loses the pieces that overlap it, and is split there. A scope
    with speakers erases what they say, and only in videos in which they speak by now.

    Returns:
        The receipt: the videos, and how many rows each table lost.
    """
    store.create()  # an older index has no table of orders
    index = Index(store)
    apply_orders(index)
    scope = scope.with_known_names(index).with_copies(index)
    rows = _find(index, scope)
    if isinstance(rows, SpokenRows):
        if not any(rows.num_rows.values()):
            return _receipt(rows)
        scope = of_speaking_videos(scope, rows)
    order = Erasure.of(scope, reason, rows.num_rows)
    erase_orders.write_order(store, order)
    _remove(index, rows)
    sidecars = remove_sidecars(store)
    order = erase_orders.record_carried_out(index, order, {})
    return _receipt(rows) | {
        "erasure_id": order.erasure_id,
        "waits_for": list(order.waits_for or ()),
        "sidecars": sidecars,
        "out_of_reach": list(_OUT_OF_REACH),
    }


def would_erase(store: Store, scope: Scope) -> dict[str, Any]:
    """The receipt that ``erase`` would return; nothing is erased."""
    index = Index(store)
    return _receipt(_find(index, scope.with_known_names(index).with_copies(index)))


def apply_orders(index: Index) -> None:
    """Carry out the open orders, which a crash left or for which a run of that time still works.

    Costs almost nothing if there are none.
    """
    for order in erase_orders.open_orders(index):
        rows = _find(index, order.scope, again=order.waits_for is not None)
        _remove(index, rows)
        if order.waits_for is None or any(rows.num_rows.values()):
            remove_sidecars(index.store)
        erase_orders.record_carried_out(index, order, rows.num_rows)


def erase_older(
    store: Store, keep_days: Callable[[str], float | None], *, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Retention: erase rows of each camera that are older than its ``keep_days``; None keeps all.

    Returns:
        One receipt per number of days.
    """
    now = now or datetime.now(tz=UTC)
    index = Index(store)
    apply_orders(index)
    cameras_by_days: dict[float, list[str]] = {}
    for name in sorted(index.known_cameras()):
        if (days := keep_days(name)) is not None:
            cameras_by_days.setdefault(days, []).append(name)
    receipts = []
    for days, names in sorted(cameras_by_days.items()):
        span = Span.parse(None, now - timedelta(days=days))
        scope = Scope(cameras=Cameras(exact=tuple(names)), span=span)
        receipt = would_erase(store, scope)
        if any(receipt["rows"].values()):
            receipt = erase(store, scope, reason="retention")
        receipts.append({"keep_days": days, "cameras": names} | receipt)
    return receipts


def clear_erased(store: Store, camera: str, start: datetime, end: datetime) -> None:
    """Remove the erased marks of a camera in ``[start, end)``, so that jobs analyse it again.

    This does not restore erased rows. Videos that were done except for the erased part become
    ``pending``.
    """
    index, exact = Index(store), Cameras(exact=(camera,))
    erased = Where().add("status = 'erased'")
    parts = index.select_all(
        "windows", erased, span=Span.parse(start, end), cameras=exact, columns=["video_id"]
    )
    with_parts = Where().is_one_of("video_id", parts["video_id"].to_pylist())
    done = with_parts.add("status IN ('done', 'partial')")
    rows = index.select_all("videos", done, cameras=exact, columns=["date", "video_id"])
    if rows.num_rows:
        ids, on = rows["video_id"].to_pylist(), on_dates(rows["date"].to_pylist())
        is_done = all_of(on, is_one_of("video_id", ids), "status IN ('done', 'partial')")
        change(store, "videos", {"status": "pending"}, is_done)
    overlapping = (
        f"camera = {quote(camera)} AND status = 'erased' AND "
        f"start < '{end.isoformat()}' AND \"end\" > '{start.isoformat()}'"
    )
    replace(store, "windows", WINDOWS.empty_table(), overlapping)
    replace(store, "videos", VIDEOS.empty_table(), overlapping)


def forget_erased(store: Store, content_ids: Iterable[str]) -> None:
    """Remove what ``videos`` remembers of erased parts of these contents, at any time of theirs."""
    of_contents = Where().is_one_of("content_id", content_ids)
    where = of_contents.add("(status = 'erased' OR len(erased) > 0)")
    rows = Index(store).select_all("videos", where).to_pylist()
    for chunk in chunks(rows, "task", "fingerprint"):
        kept = [row | {"erased": []} for row in chunk if row["status"] != "erased"]
        replace_of_videos(store, "videos", chunk, kept, "task", "fingerprint")


def _find(index: Index, scope: Scope, *, again: bool = False) -> ErasedRows | SpokenRows:
    if scope.speakers:
        return find_spoken_rows(index, scope)
    return find_erased_rows(index, scope, again=again)


def _remove(index: Index, rows: ErasedRows | SpokenRows) -> None:
    if isinstance(rows, SpokenRows):
        remove_spoken_rows(index, rows)
    else:
        _remove_footage(index, rows)


def _remove_footage(index: Index, erased: ErasedRows) -> None:
    """Remove the rows from every table; a table without such rows is not written."""
    store = index.store
    # Marks that coverage and jobs read change last. So after a crash the next call still finds all
    # of these rows, and completes the work.
    for events in _event_groups(erased.events):
        join = partial(remaining_events, erased=erased.scope)
        times = times_by_camera(events)
        rejoin(index, events[0]["task"], times, timedelta(0), join)
    for name, rows in erased.derived.items():
        replace_rows(store, name, rows, [])
    for chunk in chunks(erased.whole):
        replace_of_videos(store, "windows", chunk, [])
    replace_rows(store, "windows", erased.windows, [_blank_window(row) for row in erased.windows])
    for chunk in chunks(erased.whole, "task"):
        replace_of_videos(store, "videos", chunk, _tombstones(chunk), "task")
    scope = erased.scope.scope
    for chunk in chunks(erased.cut, "task", "fingerprint"):
        if changed := [row for row in _recounted(index, chunk, scope) if row not in chunk]:
            replace_of_videos(store, "videos", changed, changed, "task", "fingerprint")


def _event_groups(events: Sequence[Row]) -> Iterator[list[Row]]:
    """Groups of events of one task that are close in time, each small enough for one commit."""
    group: list[Row] = []
    for row in sorted(events, key=lambda event: (event["task"], event["start"])):
        if group and (
            row["task"] != group[0]["task"]
            or row["start"] - group[-1]["start"] > _MAX_GAP_IN_COMMIT
            or len(group) >= IDS_PER_COMMIT
        ):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _blank_window(row: Row) -> Row:
    kept = {name: row[name] for name in KEPT_OF_WINDOW}
    return DECLARED["windows"].empty_row() | kept | {"status": "erased"}


def _tombstones(videos: Iterable[Row]) -> list[Row]:
    """One erased row per video and task, made from the newest if there are several fingerprints."""
    empty = DECLARED["videos"].empty_row()
    blank = {name: empty[name] for name in _CLEARED_OF_VIDEO}
    now = datetime.now(tz=UTC)
    newest = {
        (row["video_id"], row["task"]): row
        for row in sorted(videos, key=lambda row: row["indexed_at"])
    }
    return [row | blank | {"status": "erased", "indexed_at": now} for row in newest.values()]


def _recounted(index: Index, videos: Sequence[Row], scope: Scope) -> list[Row]:
    """The rows of these videos with the numbers of what remains of them, and with what went."""
    where = Where().is_one_of("video_id", {row["video_id"] for row in videos})
    key = ("video_id", "task", "fingerprint")
    seen = where.also(Where().add("zone IS NULL"))
    tables = {
        "windows": index.select_all("windows", where, columns=[*key, *_OF_WINDOW]).to_pylist(),
        "events": index.select_all("events", seen, columns=key).to_pylist(),
        "segments": index.select_all("segments", where, columns=key).to_pylist(),
        "utterances": index.select_all("utterances", where, columns=key).to_pylist(),
        "slides": index.select_all("slides", where, columns=key).to_pylist(),
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
            for name in ("events", "segments", "utterances", "slides")
        }
        | {"deck_pages": None}  # what is erased may have been on any page
        | {"erased": _erased_media(video, tables["windows"], scope)}
        for video in videos
    ]


def _erased_media(video: Row, windows: Iterable[Row], scope: Scope) -> list[Row] | None:
    """What was erased of a video, in media time: what it held before, and the scope's part of it.

    That is all of the range that was asked for, whether the video owns it or not, and the windows
    that went with it. None if the row does not say when its media time began.
    """
    if video["clock_start_ns"] is None:
        return None
    known = [TimeRange(part["start_ns"], part["end_ns"]) for part in video["erased"] or ()]
    went = [
        TimeRange(window["media_start_ns"], window["media_end_ns"])
        for window in windows
        if window["status"] == "erased"
        and window["media_start_ns"] is not None
        and window["video_id"] == video["video_id"]
        and scope.overlaps(window)
    ]
    start_us, end_us = (datetime_to_ns(video[at]) // NS_PER_US for at in ("start", "end"))
    first_us, last_us = scope.span.start_us, scope.span.end_us
    start_us = start_us if first_us is None else max(start_us, first_us)
    end_us = end_us if last_us is None else min(end_us, last_us)
    # A frame goes if it is on screen in one of these microseconds, as tables have it: its end is
    # rounded down there, and so it has to reach to the next one.
    asked = TimeRange((start_us + 1) * NS_PER_US - 1, end_us * NS_PER_US)
    ranges = joined([*known, *went, video_of_row(video, ()).media(asked)])
    return [MEDIA_SPAN.row(part) for part in ranges]


def _is_of(row: Row, video: Row) -> bool:
    return all(row[name] == video[name] for name in ("video_id", "task", "fingerprint"))


def _receipt(rows: ErasedRows | SpokenRows) -> dict[str, Any]:
    return {
        "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "videos": [_video_entry(row, whole=whole) for row, whole in rows.videos],
        "rows": rows.num_rows,
        "events_cut": rows.num_events_cut if isinstance(rows, ErasedRows) else 0,
    }


def _video_entry(row: Row, *, whole: bool) -> dict[str, Any]:
    entry = {name: row[name] for name in ("video_id", "uri", "camera", "task")}
    times = {name: row[name].isoformat().replace("+00:00", "Z") for name in ("start", "end")}
    return entry | times | {"whole": whole}
