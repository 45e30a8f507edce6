"""What a job must know to go on where another stopped."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline.index.filters import Cameras, Names, Span, Where
from pipeline.index.query import Index
from pipeline.tables.schema import TableName

_FOOTAGE = (
    *("video_id", "uri", "camera", "start", "end", "clock", "status", "width", "height"),
    *("footage", "yielded", "fingerprint", "indexed_at"),
)

# Older versions wrote ``erased`` also of a file that lies wholly inside others of its camera. No
# one ordered that: the row owns no footage and still has its ``config``, which erasing removes.
_ERASED: dict[TableName, str] = {
    "videos": "status = 'erased' AND NOT (len(footage) = 0 AND overlap_s > 0 AND config <> '')",
    "windows": "status = 'erased'",
}


LISTED = pa.schema(
    [
        ("place", pa.int64()),
        ("uri", pa.string()),
        ("num_bytes", pa.int64()),
        ("etag", pa.string()),
        ("camera", pa.string()),
        # UTC microseconds that a name or a sidecar tells, corrected; null if none does.
        ("told_us", pa.int64()),
        ("clock_correction", pa.string()),
    ]
)
"""Files as they are now. Each is what makes it another file: its bytes, its camera, its time."""

_SAME_FILE = """
    held.uri = listed.uri AND held.num_bytes = listed.num_bytes AND held.etag = listed.etag
    AND held.camera = listed.camera AND held.clock_correction = listed.clock_correction
    AND CASE WHEN held.clock IN ('path', 'sidecar') THEN epoch_us(held.clock_start) END
        IS NOT DISTINCT FROM listed.told_us
"""


# What a file is in the order of ``pipeline.plan.overlap``; less is better.
_PLACE = """(-{0}.width * {0}.height, epoch_us({0}."start"), {0}.uri, {0}.video_id)"""
# What has failed or is pending comes again as the same.
_CHANGES = "(due.uri IS NOT NULL AND taker.status IN ('done', 'partial', 'superseded'))"
_MISPLACED = f"""
    SELECT mine.video_id, mine.uri, mine.given.to_uri AS to_uri,
        bool_or(taker.video_id IS NULL OR {_CHANGES}) AS is_outdated
    FROM (
        SELECT *, unnest(yielded) AS given FROM held
        WHERE fingerprint = ? AND status IN ('done', 'partial', 'superseded') AND len(yielded) > 0
    ) mine
    LEFT JOIN held taker ON taker.video_id = mine.given.to_video_id
    LEFT JOIN due ON due.uri = mine.given.to_uri
    WHERE taker.video_id IS NULL OR {_CHANGES}
        OR {_PLACE.format("taker")} > {_PLACE.format("mine")}
    GROUP BY ALL
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a run wants to have done: which rows of ``videos`` leave it nothing to do."""

    task: str
    fingerprint: str
    include_erased: bool = False
    retry_failed: bool = False

    def reached(self, index: Index) -> Where:
        """Rows of videos that are indexed in this way, or erased as a whole by order."""
        statuses = ["done", "superseded", *([] if self.retry_failed else ["partial"])]
        done = _of_task(self.task).add("fingerprint = ?", self.fingerprint)
        done.among("status", statuses)
        if self.include_erased:
            wanted_again = sorted(cut_ids(index))
            return done.add("video_id NOT IN (SELECT unnest(?::VARCHAR[]))", wanted_again)
        return Where().add(f"(({done.sql}) OR ({_ERASED['videos']}))", *done.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Cameras, by their exact names, and a range of time in which to look."""

    cameras: Collection[str]
    start: datetime
    end: datetime

    @property
    def bounds(self) -> dict[str, Any]:
        """The same as ``Index`` takes it."""
        return {
            "span": Span.parse(self.start, self.end),
            "cameras": Cameras(exact=tuple(self.cameras)),
        }


def unfinished(index: Index, listed: pa.Table, goal: Goal) -> list[int]:
    """Places of the files that the index does not hold as they are now; columns as ``LISTED``."""
    sql = f"SELECT listed.place FROM listed ANTI JOIN held ON {_SAME_FILE}"  # noqa: S608
    left = index.asked("videos", goal.reached(index), sql, listed=listed)
    return sorted(left["place"].to_pylist())


def finished_ids(index: Index, video_ids: Iterable[str], near: Near, goal: Goal) -> set[str]:
    """Which of these videos, all of them ``near``, leave nothing to do."""
    where = goal.reached(index).among("video_id", video_ids)
    return _ids(index.every("videos", where, **near.bounds, columns=["video_id"]))


def failures(index: Index, uris: Iterable[str], task: str) -> set[tuple[str, int, str, str]]:
    """How these files failed as a whole, under whatever settings: uri, bytes, etag, error."""
    where = _of_task(task).add("status = 'failed'").among("uri", uris)
    columns = ["uri", "num_bytes", "etag", "error"]
    rows = index.every("videos", where, columns=columns).to_pylist()
    return {tuple(row[name] for name in columns) for row in rows}


def windows_of(
    index: Index,
    video_ids: Iterable[str],
    near: Near,
    *,
    uris: Iterable[str] = (),
    task: str,
    fingerprint: str,
) -> pa.Table:
    """All windows of these videos and files, finished or not, ordered by start, camera and id."""
    where = _of_task(task).add("fingerprint = ?", fingerprint)
    of_videos, of_files = Where().among("video_id", video_ids), Where().among("uri", uris)
    either = f"({of_videos.sql} OR {of_files.sql})"
    return index.every(
        "windows", where.add(either, *of_videos.values, *of_files.values), **near.bounds
    )


def footage_near(index: Index, near: Near, *, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """What probed files can speak for, in videos that share an instant with a range.

    Columns as ``_FOOTAGE``. Of each video the row of this fingerprint, or else the newest.
    """
    where = _of_task(task).add("status <> 'erased' AND content_id <> ''")
    rows = index.every("videos", where, **near.bounds, columns=_FOOTAGE).to_pylist()
    rows.sort(key=lambda row: (row["fingerprint"] == fingerprint, row["indexed_at"]))
    return list({row["video_id"]: row for row in rows}.values())


def misplaced(index: Index, due: pa.Table, *, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """Finished videos that have yielded to a file that is no more what it was, or is worse.

    Args:
        index: which is asked.
        due: column uri: files that are to be done anew.
        task: of the videos.
        fingerprint: of the videos.

    Returns:
        Columns video_id, uri, to_uri, is_outdated: it is no more what it was. Else it is worse by
        the rule of ``pipeline.plan.overlap``: it was gone from the archive then.
    """
    where = _of_task(task).add("status <> 'erased'")
    found = index.asked("videos", where, _MISPLACED, [fingerprint], due=due)
    return list(found.to_pylist())


def rows_near(
    index: Index, table: TableName, camera: str, start: datetime, end: datetime, *, task: str
) -> pa.Table:
    """Rows of exactly this camera and task that share an instant with ``[start, end)``."""
    return index.select(
        table, _of_task(task), span=Span.parse(start, end), cameras=Cameras(exact=(camera,))
    )


def erased_videos(index: Index, content_ids: Iterable[str] | None = None) -> pa.Table:
    """What was erased as a whole, whatever the task: all of it, or of these contents.

    Columns video_id, content_id, camera.
    """
    where = Where().add(_ERASED["videos"])
    if content_ids is not None:
        where.among("content_id", content_ids)
    return index.every("videos", where, columns=["video_id", "content_id", "camera"])


def cut_ids(index: Index) -> set[str]:
    """Ids of videos of which a part was erased, whatever the task."""
    where = Where().add("status = 'erased'")
    return _ids(index.every("windows", where, columns=["video_id"]))


def erased_ranges(
    index: Index, cameras: Iterable[str], start: datetime, end: datetime
) -> dict[str, list[tuple[datetime, datetime]]]:
    """What was erased of each of exactly these cameras, whatever the video and the task.

    All ranges that share an instant with ``[start, end)``; cameras without any are left out.
    """
    ranges: dict[str, list[tuple[datetime, datetime]]] = {}
    if (exact := Cameras(exact=tuple(cameras))).exact:
        for table, is_erased in _ERASED.items():
            rows = index.every(
                table,
                Where().add(is_erased),
                span=Span.parse(start, end),
                cameras=exact,
                columns=("camera", "start", "end"),
            )
            for row in rows.to_pylist():
                ranges.setdefault(row["camera"], []).append((row["start"], row["end"]))
    return ranges


def erased_media(
    index: Index, content_ids: Iterable[str], but: Collection[str]
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """What was erased of these contents under other video ids than those of ``but``.

    The clock of their camera was set right since, which moves a video and not what it shows.

    Returns:
        By content id and camera: media time, start and end in nanoseconds.
    """
    of_contents = Where().add("status <> 'erased'").among("content_id", content_ids)
    columns = ["video_id", "content_id", "camera", "start", "end"]
    held = index.every("videos", of_contents, columns=columns).to_pylist()
    others = {row["video_id"]: row for row in held if row["video_id"] not in but}
    if not others:
        return {}
    around = Near(
        cameras={row["camera"] for row in others.values()},
        start=min(row["start"] for row in others.values()),
        end=max(row["end"] for row in others.values()),
    )
    where = Where().add("status = 'erased' AND media_start_ns IS NOT NULL")
    rows = index.every(
        "windows",
        where.among("video_id", others),
        **around.bounds,
        columns=["video_id", "media_start_ns", "media_end_ns"],
    )
    erased: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows.to_pylist():
        one = others[row["video_id"]]
        span = row["media_start_ns"], row["media_end_ns"]
        erased.setdefault((one["content_id"], one["camera"]), []).append(span)
    return erased


def latest_configs(index: Index, task: Names = None) -> list[str]:
    """Of each task, in the order of their names, the configuration that indexed its last video."""
    tasks = sorted(index.distinct("videos", ("task",), task=task)["task"].to_pylist())
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
