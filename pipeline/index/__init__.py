"""The time index: Delta tables with atomic commits, which are queried by wall-clock time.

The only package that uses deltalake and DuckDB.
"""

from pipeline.index.camera_figures import camera_figures
from pipeline.index.commit import Writer
from pipeline.index.copies import record_copies
from pipeline.index.erase import apply_orders, clear_erased, forget_erased
from pipeline.index.erased_state import (
    erased_media,
    erased_ranges,
    erased_videos,
    partly_erased_ids,
)
from pipeline.index.evidence import evidence_of, pictures_of
from pipeline.index.feedback import ReviewState, write_feedback
from pipeline.index.lanes import (
    Bins,
    CoverageLanes,
    Density,
    coverage_lanes,
    density,
)
from pipeline.index.made_pictures import remembered
from pipeline.index.query import Index, open_index
from pipeline.index.query import open_index as open  # noqa: A004 - index.open() reads best
from pipeline.index.query_filters import Order, QueryOptions
from pipeline.index.resume_state import (
    LISTED_FILES,
    CameraRange,
    RunGoal,
    answered_until_ns,
    deck_etags,
    failures,
    finished_ids,
    footage_in_range,
    latest_configs,
    rows_in_range,
    unfinished,
    windows_of,
    wrong_yields,
)
from pipeline.index.runs import list_runs

__all__ = [
    "LISTED_FILES",
    "Bins",
    "CameraRange",
    "CoverageLanes",
    "Density",
    "Index",
    "Order",
    "QueryOptions",
    "ReviewState",
    "RunGoal",
    "Writer",
    "answered_until_ns",
    "apply_orders",
    "camera_figures",
    "clear_erased",
    "coverage_lanes",
    "deck_etags",
    "density",
    "erased_media",
    "erased_ranges",
    "erased_videos",
    "evidence_of",
    "failures",
    "finished_ids",
    "footage_in_range",
    "forget_erased",
    "latest_configs",
    "list_runs",
    "open",
    "open_index",
    "partly_erased_ids",
    "pictures_of",
    "record_copies",
    "remembered",
    "rows_in_range",
    "unfinished",
    "windows_of",
    "write_feedback",
    "wrong_yields",
]
