"""Reads from the index what a job needs in order to continue where another job stopped."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline.index.erased_state import ERASED, partly_erased_ids
from pipeline.index.filters import Cameras, Names, Span, Where
from pipeline.index.query import Index
from pipeline.records.speech import HEARD
from pipeline.tables.schema import TableName

_FOOTAGE = (
    *("video_id", "uri", "camera", "start", "end", "clock", "status", "width", "height"),
    *("footage", "yielded", "fingerprint", "indexed_at"),
)

LISTED_FILES = pa.schema(
    [
        ("place", pa.int64()),
        ("uri", pa.string()),
        ("num_bytes", pa.int64()),
        ("etag", pa.string()),
        ("camera", pa.string()),
        # UTC microseconds from a file name or sidecar, corrected; null if neither has a time.
        ("stated_start_us", pa.int64()),
        ("clock_correction", pa.string()),
    ]
)
"""Files as they are now. If one of these columns but ``place`` changes, it is another file."""

_SAME_FILE = """
    {known}.uri = {listed}.uri AND {known}.num_bytes = {listed}.num_bytes AND {known}.etag =
    {listed}.etag AND {known}.camera = {listed}.camera AND {known}.clock_correction =
    {listed}.clock_correction AND CASE WHEN {known}.clock IN ('path', 'sidecar') THEN
    epoch_us({known}.clock_start) END
        IS NOT DISTINCT FROM {listed}.stated_start_us
"""

# A copy has the camera and the times of the video whose row names it.
_UNFINISHED = f"""
    SELECT listed.place FROM listed ANTI JOIN (
        SELECT uri, num_bytes, etag, camera, clock, clock_start, clock_correction FROM existing
        UNION ALL
        SELECT copy.uri, copy.num_bytes, copy.etag, camera, copy.clock, clock_start,
            clock_correction
        FROM (SELECT *, unnest(copies) AS copy FROM existing)
    ) existing ON {_SAME_FILE.format(known="existing", listed="listed")}
"""  # noqa: S608 - made of constants


# The rank of a file by the rule of ``pipeline.plan.overlap``; the lowest rank takes precedence.
_RANK = """(-{0}.width * {0}.height, epoch_us({0}."start"), {0}.uri, {0}.video_id)"""
# A file that has failed or is pending stays the same file when it is indexed again, unless it has
# changed: a run that began with it may have been killed.
_IS_REINDEXED = f"""(
    due.uri IS NOT NULL AND (
        owner.status IN ('done', 'partial', 'superseded', 'erased')
        OR NOT ({_SAME_FILE.format(known="owner", listed="due")})
    )
)"""
_WRONG_YIELDS = f"""
    SELECT yielder.video_id, yielder.uri, yielder.part.to_uri AS to_uri,
        bool_or(owner.video_id IS NULL OR {_IS_REINDEXED}) AS is_outdated
    FROM (
        SELECT *, unnest(yielded) AS part FROM existing
        WHERE len(yielded) > 0 AND (
            fingerprint = ? AND status IN ('done', 'partial', 'superseded') OR status = 'erased'
        )
        -- Of an erased file there is nothing to keep under other settings: its newest row counts.
        QUALIFY status <> 'erased' OR indexed_at = max(indexed_at) OVER (PARTITION BY video_id)
    ) yielder
    LEFT JOIN existing owner ON owner.video_id = yielder.part.to_video_id
    LEFT JOIN due ON due.uri = yielder.part.to_uri
    WHERE owner.video_id IS NULL OR {_IS_REINDEXED}
        OR {_RANK.format("owner")} > {_RANK.format("yielder")}
    GROUP BY ALL
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGoal:
    """The task and fingerprint of a run: which rows of ``videos`` leave it nothing to do."""

    task: str
    fingerprint: str
    include_erased: bool = False
    retry_failed: bool = False
    zones: Mapping[str, str] = field(default_factory=dict)
    """By camera that has zones, what names them: see ``zones_id`` in ``videos``."""

    def finished_rows(self, index: Index) -> Where:
        """Rows of videos that are indexed like this, or were erased completely on purpose."""
        statuses = ["done", "superseded", *([] if self.retry_failed else ["partial"])]
        done = _of_task(self.task).add("fingerprint = ?", self.fingerprint)
        done.is_one_of("status", statuses)
        done = done.also(self._in_these_zones())
        if self.include_erased:
            with_erased_parts = sorted(partly_erased_ids(index))
            return done.add("video_id NOT IN (SELECT unnest(?::VARCHAR[]))", with_erased_parts)
        return Where().add(f"(({done.sql}) OR ({ERASED['videos']}))", *done.values)

    def _in_these_zones(self) -> Where:
        """Rows whose events were derived with the zones that their cameras have now."""
        cameras = sorted(self.zones)
        is_one = "camera IN (SELECT unnest(?::VARCHAR[]))"
        states = [Where().add(f"NOT {is_one} AND coalesce(zones_id, '') = ''", cameras)]
        for zones_id in sorted(set(self.zones.values())):
            same = [camera for camera in cameras if self.zones[camera] == zones_id]
            states.append(Where().add(f"{is_one} AND zones_id = ?", same, zones_id))
        return Where.any_of(states)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRange:
    """Cameras, by their exact names, and a half-open range of time."""

    cameras: Collection[str]
    start: datetime
    end: datetime

    @property
    def bounds(self) -> dict[str, Any]:
        """The same as keyword arguments of ``Index.select``."""
        return {
            "span": Span.parse(self.start, self.end),
            "cameras": Cameras(exact=tuple(self.cameras)),
        }


def unfinished(index: Index, listed: pa.Table, goal: RunGoal) -> list[int]:
    """The ``place`` of each listed file not indexed or changed since; columns ``LISTED_FILES``."""
    rows = index.join("videos", goal.finished_rows(index), _UNFINISHED, listed=listed)
    return sorted(rows["place"].to_pylist())


def finished_ids(
    index: Index, video_ids: Iterable[str], near: CameraRange, goal: RunGoal
) -> set[str]:
    """The ids of those videos, all of them ``near``, that leave nothing to do."""
    where = goal.finished_rows(index).is_one_of("video_id", video_ids)
    return _ids(index.select_all("videos", where, **near.bounds, columns=["video_id"]))


def deck_etags(index: Index, uris: Iterable[str], goal: RunGoal) -> dict[str, str]:
    """By URI, which deck the finished ones of these videos have; "" if none, or none was read."""
    where = goal.finished_rows(index).is_one_of("uri", uris).add("status <> 'erased'")
    rows = index.select_all("videos", where, columns=["uri", "deck_etag"])
    return {row["uri"]: row["deck_etag"] or "" for row in rows.to_pylist()}


def failures(index: Index, uris: Iterable[str], task: str) -> set[tuple[str, int, str, str]]:
    """How these files failed completely, in any configuration: uri, bytes, etag, error."""
    where = _of_task(task).add("status = 'failed'").is_one_of("uri", uris)
    columns = ["uri", "num_bytes", "etag", "error"]
    rows = index.select_all("videos", where, columns=columns).to_pylist()
    return {tuple(row[name] for name in columns) for row in rows}


def windows_of(
    index: Index,
    video_ids: Iterable[str],
    near: CameraRange,
    *,
    uris: Iterable[str] = (),
    task: str,
    fingerprint: str,
) -> pa.Table:
    """All windows of these videos and files, even unfinished ones; by start, camera and id."""
    where = _of_task(task).add("fingerprint = ?", fingerprint)
    of_videos, of_files = Where().is_one_of("video_id", video_ids), Where().is_one_of("uri", uris)
    either = f"({of_videos.sql} OR {of_files.sql})"
    return index.select_all(
        "windows", where.add(either, *of_videos.values, *of_files.values), **near.bounds
    )


def answered_until_ns(
    index: Index, uris: Iterable[str], near: CameraRange, task: str
) -> dict[str, int]:
    """By URI, the end of the last window, in media time, of videos that have a row."""
    of_files = _of_task(task).is_one_of("uri", uris)
    with_row = _ids(index.select_all("videos", of_files, **near.bounds, columns=["video_id"]))
    known = Where().add("media_end_ns IS NOT NULL").is_one_of("video_id", with_row)
    columns = ["uri", "media_end_ns"]
    rows = index.select_all("windows", of_files.also(known), **near.bounds, columns=columns)
    latest = rows.group_by("uri").aggregate([("media_end_ns", "max")])
    return dict(zip(latest["uri"].to_pylist(), latest["media_end_ns_max"].to_pylist(), strict=True))


def footage_in_range(
    index: Index, near: CameraRange, *, task: str, fingerprint: str
) -> list[dict[str, Any]]:
    """Rows of probed files that overlap a range, with the footage that they may own.

    Columns ``_FOOTAGE``. Of each video the row of this fingerprint, or else the newest.
    """
    where = _of_task(task).add("status <> 'erased' AND content_id <> ''")
    rows = index.select_all("videos", where, **near.bounds, columns=_FOOTAGE).to_pylist()
    rows.sort(key=lambda row: (row["fingerprint"] == fingerprint, row["indexed_at"]))
    return list({row["video_id"]: row for row in rows}.values())


def wrong_yields(
    index: Index, due: pa.Table, *, task: str, fingerprint: str
) -> list[dict[str, Any]]:
    """Finished videos that yielded time to a file that has changed, or that ranks lower.

    Args:
        index: to read.
        due: files that will be indexed again; columns ``LISTED_FILES``.
        task: of the videos.
        fingerprint: of the videos.

    Returns:
        Columns video_id, uri, to_uri, is_outdated. The last says that the other file has changed.
        Otherwise it ranks lower by the rule of ``pipeline.plan.overlap``, because this video was
        not in the archive when time was yielded.
    """
    # An erased file still owns its time: that no other file shows it needs no new answers.
    rows = index.join("videos", _of_task(task), _WRONG_YIELDS, [fingerprint], due=due)
    return list(rows.to_pylist())


def rows_in_range(
    index: Index, table: TableName, camera: str, start: datetime, end: datetime, *, task: str
) -> pa.Table:
    """Rows of exactly this camera and task that overlap ``[start, end)``."""
    return index.select(
        table, _of_task(task), span=Span.parse(start, end), cameras=Cameras(exact=(camera,))
    )


def latest_configs(index: Index, task: Names = None) -> list[str]:
    """For each task that looks, ordered by name, the configuration of its last video."""
    tasks = sorted({*index.distinct("videos", ("task",), task=task)["task"].to_pylist()} - {HEARD})
    newest = "ORDER BY indexed_at DESC LIMIT 1"
    return [
        config
        for name in tasks
        for config in index.select("videos", _of_task(name), columns=("config",), order=newest)[
            "config"
        ].to_pylist()
    ]


def _of_task(task: str) -> Where:
    return Where().add("task = ?", task)


def _ids(rows: pa.Table) -> set[str]:
    return set(rows["video_id"].to_pylist())
