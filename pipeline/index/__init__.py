"""The time index: Delta tables with atomic commits, which are queried by wall-clock time.

The only package that uses deltalake and DuckDB.
"""

from pipeline.index.commit import Writer
from pipeline.index.erase import apply_orders
from pipeline.index.erase import forget as forget_erased
from pipeline.index.query import Index, open_index
from pipeline.index.query import open_index as open  # noqa: A004 - index.open() reads best
from pipeline.index.query_filters import Asked, Order
from pipeline.index.resume_state import (
    LISTED,
    Goal,
    Near,
    cut_ids,
    erased_media,
    erased_ranges,
    erased_videos,
    failures,
    finished_ids,
    footage_near,
    latest_configs,
    misplaced,
    rows_near,
    unfinished,
    windows_of,
)
from pipeline.index.runs import list_runs

__all__ = [
    "LISTED",
    "Asked",
    "Goal",
    "Index",
    "Near",
    "Order",
    "Writer",
    "apply_orders",
    "cut_ids",
    "erased_media",
    "erased_ranges",
    "erased_videos",
    "failures",
    "finished_ids",
    "footage_near",
    "forget_erased",
    "latest_configs",
    "list_runs",
    "misplaced",
    "open",
    "open_index",
    "rows_near",
    "unfinished",
    "windows_of",
]
