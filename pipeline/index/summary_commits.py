"""Writes summaries, and removes those of videos that are answered anew."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from datetime import date

import pyarrow as pa

from pipeline.index.filters import Where
from pipeline.index.grouping import chunks, groups
from pipeline.index.query import Index
from pipeline.index.replace import Confirm, all_of, equal, is_one_of, on_dates, replace
from pipeline.index.store import Store


def replace_summaries(
    store: Store, rows: pa.Table, dates: Collection[date], confirm: Confirm
) -> None:
    """Replace the summaries of chapters, videos and days.

    Args:
        store: the index.
        rows: of one task; for a video either every chapter or none.
        dates: of the videos; a removed chapter may have begun on any of them.
        confirm: that of ``replace``.
    """
    for level, of_level in groups(rows, "level"):
        key = "video_id" if level == "chapter" else "summary_id"
        for ids, part in chunks(of_level, key):
            predicate = all_of(
                on_dates({*dates, *part["date"].to_pylist()}),
                equal("task", part["task"][0].as_py()),
                equal("level", level),
                is_one_of(key, ids),
            )
            replace(store, "summaries", part, predicate, confirm)


def remove_outdated_summaries(
    index: Index,
    task: str,
    video_ids: AbstractSet[str],
    cameras: AbstractSet[str],
    dates: Collection[date],
    *,
    confirm: Confirm,
) -> None:
    """Remove the outdated summaries of these videos and of their cameras' days."""
    where = Where().add("task = ?", task).add(on_dates(dates))
    days = all_of("level = 'day'", is_one_of("camera", cameras))
    where.add(f"({is_one_of('video_id', video_ids)} OR {days})")
    outdated = index.select("summaries", where, columns=["summary_id", "date"])
    for ids, rows in chunks(outdated, "summary_id"):
        predicate = all_of(on_dates(rows["date"].to_pylist()), is_one_of("summary_id", ids))
        replace(index.store, "summaries", rows.slice(0, 0), predicate, confirm)
