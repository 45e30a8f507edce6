"""Commits that erase: rows go, or others take their place, in commits that touch few dates."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

import pyarrow as pa

from pipeline.index.replace import all_of, equal, is_one_of, on_dates, replace
from pipeline.index.scope import Row
from pipeline.index.store import Store
from pipeline.index.validate import ID_COLUMN, conform_stored
from pipeline.tables.schema import TABLES, TableName
from pipeline.timebase import days_between

IDS_PER_COMMIT = 1000


def replace_rows(store: Store, name: TableName, rows: Sequence[Row], others: list[Row]) -> None:
    """Replace these rows by ``others``, whose ids are a subset of theirs."""
    id_column = ID_COLUMN[name]
    # An id is a hash of what a thing is, so two configurations may find the same event.
    for chunk in chunks(rows, "task", "fingerprint"):
        made_by = {column: chunk[0][column] for column in ("task", "fingerprint")}
        ids = {row[id_column] for row in chunk}
        replacements = [
            row for row in others if row[id_column] in ids and made_by.items() <= row.items()
        ]
        conditions = [equal(column, value) for column, value in made_by.items()]
        dates = on_dates(row["date"] for row in chunk)
        predicate = all_of(dates, *conditions, is_one_of(id_column, ids))
        replace(store, name, _table(store, name, replacements), predicate)


def replace_of_videos(
    store: Store, name: TableName, videos: Sequence[Row], others: list[Row], *same: str
) -> None:
    """Replace by ``others`` the rows of these videos that have the same values in ``same``."""
    days: set[date] = {
        day for row in videos for day in (row["date"], *days_between(row["start"], row["end"]))
    }
    conditions = [
        is_one_of(column, {row[column] for row in videos}) for column in ("video_id", *same)
    ]
    replace(store, name, _table(store, name, others), all_of(on_dates(days), *conditions))


def _table(store: Store, name: TableName, rows: list[Row]) -> pa.Table:
    return conform_stored(store.root, name, pa.Table.from_pylist(rows, schema=TABLES[name]))


def chunks(rows: Sequence[Row], *same: str) -> Iterator[Sequence[Row]]:
    """Rows with the same values in ``same``, by time, so that a commit touches few dates."""

    def key(row: Row) -> list[str]:
        return [row[column] for column in same]

    for _, group in groupby(sorted(rows, key=lambda row: (key(row), row["start"])), key=key):
        ordered = list(group)
        for i in range(0, len(ordered), IDS_PER_COMMIT):
            yield ordered[i : i + IDS_PER_COMMIT]
