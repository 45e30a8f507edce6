"""How an index is doing: runs, how late each camera is, what fails, and what each month cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from pipeline.index.filters import WAS_READ, Where
from pipeline.index.query import Index
from pipeline.index.runs import runs_of
from pipeline.records import Run
from pipeline.tables.shared import utc_rows

NEW_FOR = timedelta(days=1)
"""A file that has failed for less than this counts as a new failure."""

# A video that is done was looked at to its end. Of one that is pending or partial, the windows say
# how far; only those that end after the last done video can matter, so few videos are asked about.
_CAMERAS = """
WITH files AS (SELECT * FROM {videos} WHERE {where}),
settled AS (
    SELECT task, camera,
        max("end") FILTER ({was_read}) AS footage_end,
        max("end") FILTER (status NOT IN ('failed', 'pending', 'partial')) AS settled_end,
        count(*) FILTER (status = 'pending') AS num_pending,
        coalesce(sum(epoch_us("end") - epoch_us("start")) FILTER (status = 'pending'), 0) / 1e6
            AS pending_s,
        count(*) FILTER (status = 'failed') AS num_failed,
        count(*) FILTER (status = 'failed' AND indexed_at > {new_since}) AS num_newly_failed
    FROM files GROUP BY task, camera
),
unsettled AS (
    SELECT files.task, files.camera, video_id FROM files JOIN settled
        ON files.task = settled.task AND files.camera = settled.camera
    WHERE status IN ('pending', 'partial') AND coalesce("end" > settled_end, true)
),
answered AS (
    SELECT w.task, w.camera, max(w."end") AS answered_end
    FROM {windows} w JOIN unsettled USING (task, camera, video_id)
    WHERE w.status IN ('analysed', 'quiet') GROUP BY w.task, w.camera
)
SELECT task, camera, footage_end, greatest(settled_end, answered_end) AS covered_end,
    num_pending, pending_s, num_failed, num_newly_failed
FROM settled LEFT JOIN answered USING (task, camera)
ORDER BY camera, task
"""

_MONTHS = """
SELECT strftime("start", '%Y-%m') AS month, count(*) AS num_runs,
    sum(num_windows)::BIGINT AS num_windows,
    sum(num_prompt_tokens)::BIGINT AS num_prompt_tokens,
    sum(num_output_tokens)::BIGINT AS num_output_tokens,
    sum(decode_cpu_s) / 3600 AS decode_cpu_hours, sum(gpu_s) / 3600 AS gpu_hours
FROM {runs} GROUP BY month ORDER BY month DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """What an operator asks at night."""

    running: tuple[Run, ...]
    """Runs that hold cameras now, newest first."""
    last: tuple[Run, ...]
    """Of each task, work, configuration and share of the archive, the run that ended last."""
    cameras: pa.Table
    """One row per camera and task: task, camera, footage_end (the end of its last file),
    covered_end (the end of what was analysed or found quiet; null if nothing was), num_pending and
    pending_s (what the next run goes on with), num_failed, num_newly_failed."""
    months: pa.Table
    """One row per UTC month in which runs began, newest first."""

    def late(self, before: datetime) -> list[dict[str, Any]]:
        """The cameras whose footage is covered to no later than ``before``, or not at all."""
        rows = utc_rows(self.cameras)
        return [row for row in rows if row["covered_end"] is None or row["covered_end"] <= before]


def index_status(index: Index, *, cameras: Iterable[str] | None, now: datetime) -> IndexStatus:
    """The status of an index as of ``now``, of all cameras or those that match."""
    wanted = index.cameras(list(cameras) if cameras else None)
    where = Where().of(wanted)
    new_since = f"make_timestamptz({int((now - NEW_FOR).timestamp() * 1_000_000)})"
    sql = _CAMERAS.format(
        was_read=WAS_READ,
        videos=index.source("videos", cameras=wanted),
        windows=index.source("windows", cameras=wanted),
        where=where.sql,
        new_since=new_since,
    )
    runs = runs_of(index)  # which shows silent runs as lost
    ended: dict[tuple[object, ...], Run] = {}
    for run in runs:
        if run.state != "running":
            key = (run.task, run.works, run.fingerprint, run.shard)
            if key not in ended or _end(run) > _end(ended[key]):
                ended[key] = run
    return IndexStatus(
        running=tuple(run for run in runs if run.state == "running"),
        last=tuple(ended.values()),
        cameras=index.fetch(sql, where),
        months=index.fetch(_MONTHS.format(runs=index.source("runs")), Where()),
    )


def _end(run: Run) -> datetime:
    return run.end or run.heartbeat_at
