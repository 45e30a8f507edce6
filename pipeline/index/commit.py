"""Writes an index: every commit replaces the rows it names, so a repeated one changes nothing."""

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from copy import copy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.index import earlier_clocks
from pipeline.index.evidence_commits import remove_outdated_evidence, replace_evidence
from pipeline.index.filters import Span, Where
from pipeline.index.grouping import chunks, groups, ids_of, is_among
from pipeline.index.query import Index
from pipeline.index.rejoin import rejoin, times_by_camera
from pipeline.index.replace import (
    Confirm,
    all_of,
    change,
    conflict_retries,
    equal,
    is_one_of,
    on_dates,
    replace,
    unleased,
)
from pipeline.index.resume_state import CameraRange
from pipeline.index.store import GENERATIONS_PROPERTY, Store
from pipeline.index.summary_commits import remove_outdated_summaries, replace_summaries
from pipeline.index.validate import conform
from pipeline.index.video_lookup import KnownVideos
from pipeline.tables.schema import TABLES, WINDOWS, TableName
from pipeline.timebase import days_between

JoinFinished: TypeAlias = Callable[[pa.Table, AbstractSet[str], AbstractSet[str]], pa.Table]
"""Existing rows of ``events``; ids of the videos that are done; ids of videos that these replace
-> the rows that replace the existing ones."""

_SPAN = ("date", "camera", "start", "end")


class Writer:
    """Writes one index, and makes it if it does not exist.

    Several writers, in several processes, may work on one index at once. Their commits are
    optimistic: after a conflict the second writer reads the new version and tries again.
    """

    def __init__(self, uri: str | Path, storage_options: Mapping[str, str] | None = None) -> None:
        self.store = Store.at(uri, storage_options)
        self.store.create()
        for attempt in conflict_retries():
            with attempt:
                self.store.record_tables()
        self.index = Index(self.store)
        self._known = KnownVideos(self.index)
        self._confirm: Confirm = unleased

    def leased(self, confirm: Confirm) -> "Writer":
        """The same writer, which asks before each commit whether its lease still holds."""
        writer = copy(self)
        writer._confirm = confirm  # noqa: SLF001 - its own copy
        return writer

    def write_windows(self, rows: pa.Table, evidence: pa.Table | None = None) -> None:
        """Replace all windows of the shards in ``rows``.

        They are whole shards, or all that is left out of one as erased, if nothing else is known.
        A shard id belongs to one video, task and fingerprint, and its dates never change.
        ``evidence`` has the pictures of these windows, of which there may be none.
        """
        # Pictures first: if the process is killed in between, the shards are not whole, and the
        # next run writes their pictures again.
        replace_evidence(self.index, rows, evidence, self._confirm)
        rows = conform("windows", rows)
        for task, of_task in groups(rows, "task"):
            for fingerprint, group in groups(of_task, "fingerprint"):
                for shard_ids, part in chunks(group, "shard_id"):
                    predicate = all_of(
                        on_dates(part["date"].to_pylist()),
                        equal("task", task),
                        equal("fingerprint", fingerprint),
                        is_one_of("video_id", part["video_id"].to_pylist()),
                        is_one_of("shard_id", shard_ids),
                    )
                    replace(self.store, "windows", part, predicate, self._confirm)

    def drop_shards(self, shard_ids: Collection[str], *, task: str, fingerprint: str) -> None:
        """Remove the windows of committed shards that no plan contains any more."""
        where = Where().add("task = ? AND fingerprint = ?", task, fingerprint)
        where.is_one_of("shard_id", shard_ids)
        columns = ["date", "start", "end", "video_id", "shard_id"]
        rows = self.index.select_all("windows", where, columns=columns)
        for chunk_ids, part in chunks(rows, "shard_id"):
            predicate = all_of(
                on_dates(part["date"].to_pylist()),
                equal("task", task),
                equal("fingerprint", fingerprint),
                is_one_of("video_id", part["video_id"].to_pylist()),
                is_one_of("shard_id", chunk_ids),
            )
            replace(self.store, "windows", WINDOWS.empty_table(), predicate, self._confirm)
            replace_evidence(self.index, part, None, self._confirm)

    def reopen(
        self, video_ids: Iterable[str], near: CameraRange, task: str, fingerprint: str
    ) -> None:
        """Set done videos to pending, before the data that their rows describe changes.

        Their events, segments and windows stay until they are replaced. If the run is killed in
        between, the next run sees that the videos are unfinished, in any configuration.
        """
        where = Where().add("task = ? AND fingerprint = ?", task, fingerprint)
        where.is_one_of("video_id", video_ids)
        columns = ["date", "video_id", "fingerprint", "status", "indexed_at"]
        rows = self.index.select_all("videos", where, **near.bounds, columns=columns)
        self._reopen(task, rows)

    def finish_videos(
        self,
        videos: pa.Table,
        events: pa.Table | None = None,
        segments: pa.Table | None = None,
        utterances: pa.Table | None = None,
        *,
        slides: pa.Table | None = None,
        join: JoinFinished | None = None,
        reach: timedelta = timedelta(0),
        keep: bool = False,
    ) -> None:
        """Replace all earlier answers to the same task by those of complete videos.

        For each (video_id, task) in ``videos``, what was found under every fingerprint is
        replaced, and windows of other fingerprints are removed. The ``videos`` row is written last:
        it says that all other rows exist. So an earlier row that says the same of replaced data is
        set to pending first. Also removed are an earlier failure of the same uri and task, an
        earlier content of the uri whose time overlaps, if only by the camera's own clock (the file
        has grown or was repaired), and the same content at another time (its clock was corrected).
        Other contents of the same uri stay if their time does not overlap, because recorders reuse
        file names. After a crash the same call completes everything.

        Args:
            videos: all of one task.
            events: of these videos alone; for a caller that does not join events over files.
            segments: of these videos.
            utterances: of these videos.
            slides: of these videos.
            join: makes the events instead, from the existing ones; called again after a conflict.
            reach: how far from a video an event may be that is joined with an event of the video.
            keep: do not remove the answers of other fingerprints to the same videos; readers get
                the newest of each video, unless they name another.
        """
        videos = conform("videos", videos)
        events = conform("events", TABLES["events"].empty_table() if events is None else events)
        given: dict[TableName, pa.Table | None] = {
            "segments": segments,
            "utterances": utterances,
            "slides": slides,
        }
        found = {
            name: conform(name, TABLES[name].empty_table() if rows is None else rows)
            for name, rows in given.items()
        }
        all_rows = (videos, events, *found.values())
        tasks = {task for rows in all_rows for task in rows["task"].to_pylist()}
        if len(tasks) > 1:
            raise ValueError(f"one call finishes one task, not {sorted(tasks)}")
        for name, rows in {"events": events, **found}.items():
            if unknown := ids_of(rows, "video_id") - ids_of(videos, "video_id"):
                raise ValueError(f"{name} of {sorted(unknown)[:3]}, which are not in videos")
        only = None
        if keep:
            [only] = {*ids_of(videos, "fingerprint"), *ids_of(events, "fingerprint")}
            for attempt in conflict_retries():
                with attempt:
                    self.store.mark("videos", GENERATIONS_PROPERTY)
        for video_ids, part in chunks(videos, "video_id"):
            in_part = is_among("video_id", video_ids)
            join_part = join or _unjoined(events.filter(in_part), only)
            found_in_part = {name: rows.filter(in_part) for name, rows in found.items()}
            self._finish(part, join_part, found_in_part, reach, only)

    def write_pending(self, videos: pa.Table) -> None:
        """Write videos as pending that have open shards, unless their task has answers to them.

        Nothing else changes: the rows that these videos will replace stay until they are complete.
        """
        videos = conform("videos", videos)
        for task, of_task in groups(videos, "task"):
            answered = Where().add("task = ? AND status <> 'pending'", task)
            answered.is_one_of("video_id", of_task["video_id"].to_pylist())
            ids = ids_of(
                self.index.select_all("videos", answered, columns=["video_id"]), "video_id"
            )
            new = of_task.filter(~is_among("video_id", ids))
            for fingerprint, group in groups(new, "fingerprint"):
                for video_ids, part in chunks(group, "video_id"):
                    predicate = all_of(
                        on_dates(part["date"].to_pylist()),
                        equal("task", task),
                        equal("fingerprint", fingerprint),
                        is_one_of("video_id", video_ids),
                    )
                    replace(self.store, "videos", part, predicate, self._confirm)

    def write_summaries(self, rows: pa.Table, dates: Collection[date]) -> None:
        """Replace the summaries of chapters, videos and days.

        Args:
            rows: of one task; for a video either every chapter or none.
            dates: of the videos; a removed chapter may have begun on any of them.
        """
        self.store.create_table("summaries")
        replace_summaries(self.store, conform("summaries", rows), dates, self._confirm)

    def open(self) -> Index:
        """The index for reading; it sees every commit."""
        return self.index

    def _finish(
        self,
        videos: pa.Table,
        join: JoinFinished,
        found: Mapping[TableName, pa.Table],
        reach: timedelta,
        only: str | None,
    ) -> None:
        task = videos["task"][0].as_py()
        previous = self._previous(task, videos)
        dates = _dates_of(videos) | _dates_of(previous)
        stale = self._stale_windows(task, videos, previous, dates, only)
        same = ids_of(videos, "video_id")
        of_videos = _of_fingerprint(is_one_of("video_id", same), only)
        # Other contents of these files no longer exist, so they go for every fingerprint.
        others = (ids_of(previous, "video_id") | ids_of(stale, "video_id")) - same
        if others:
            of_videos = f"({of_videos}) OR ({is_one_of('video_id', others)})"
        of_videos = all_of(equal("task", task), of_videos)
        changed = (videos, previous, stale)
        times = times_by_camera(row for rows in changed for row in rows.select(_SPAN).to_pylist())
        replaced = previous
        if only is not None:
            replaced = previous.filter(
                is_among("video_id", others) | (pc.field("fingerprint") == only)
            )
        self._reopen(task, replaced)
        rejoin(
            self.index,
            task,
            times,
            reach,
            lambda existing: join(existing, same, others),
            confirm=self._confirm,
        )
        for name, rows in found.items():
            on = on_dates(dates | set(rows["date"].to_pylist()))
            replace(self.store, name, rows, all_of(on, of_videos), self._confirm)
        cameras = ids_of(videos, "camera")
        remove_outdated_summaries(
            self.index, task, same | others, cameras, dates, confirm=self._confirm
        )
        for fingerprint, rows in groups(stale, "fingerprint"):
            predicate = all_of(
                on_dates(rows["date"].to_pylist()),
                equal("task", task),
                equal("fingerprint", fingerprint),
                is_one_of("video_id", ids_of(rows, "video_id")),
            )
            replace(self.store, "windows", rows.slice(0, 0), predicate, self._confirm)
        remove_outdated_evidence(
            self.index, videos, others, dates, keep=only is not None, confirm=self._confirm
        )
        on = on_dates([*videos["date"].to_pylist(), *previous["date"].to_pylist()])
        replace(self.store, "videos", videos, all_of(on, of_videos), self._confirm)

    def _reopen(self, task: str, videos: pa.Table) -> None:
        done = videos.filter(pc.field("status").isin(["done", "partial"]))
        for fingerprint, rows in groups(done, "fingerprint"):
            predicate = all_of(
                on_dates(rows["date"].to_pylist()),
                equal("task", task),
                equal("fingerprint", fingerprint),
                is_one_of("video_id", ids_of(rows, "video_id")),
                # Only the rows that were read: a row that another run has written since stays done.
                is_one_of("indexed_at", {at.isoformat() for at in rows["indexed_at"].to_pylist()}),
            )
            change(self.store, "videos", {"status": "pending"}, predicate, self._confirm)

    def _previous(self, task: str, videos: pa.Table) -> pa.Table:
        """Rows of the same videos, or of earlier contents of the files that could be read."""
        names = ids_of(videos, "video_id") | ids_of(videos, "uri")
        files = self._known.files(self.index.files("videos"), names)
        read = _read(videos)
        of_uris = Where().add("task = ? AND status <> 'failed'", task)
        of_uris.is_one_of("uri", ids_of(read, "uri"))
        columns = earlier_clocks.COLUMNS
        earlier = self.index.select_from_files(files, "videos", of_uris, columns=columns)
        others = earlier_clocks.under_other_clocks(earlier, read)
        same_content = "content_id = read_content AND content_id <> ''"
        where = _same_files(
            ids_of(videos, "video_id") | others,
            videos,
            or_if=f"status = 'failed' OR {same_content}",
        )
        where.add("task = ?", task)
        # That a content was erased is remembered, though its file holds another one by now.
        contents = sorted(ids_of(read, "content_id"))
        where.add("(status <> 'erased' OR content_id IN (SELECT unnest(?::VARCHAR[])))", contents)
        return self.index.select_from_files(
            files,
            "videos",
            where,
            columns=[*_SPAN, "video_id", "fingerprint", "status", "indexed_at"],
        )

    def _stale_windows(
        self,
        task: str,
        videos: pa.Table,
        previous: pa.Table,
        dates: set[date],
        only: str | None,
    ) -> pa.Table:
        """Outdated windows of these videos, or of earlier contents of their uris.

        A killed job leaves windows without a ``videos`` row, so they are also found by their uri.
        """
        video_ids = ids_of(videos, "video_id") | ids_of(previous, "video_id")
        current = pc.binary_join_element_wise(videos["video_id"], videos["fingerprint"], "/")
        where = _same_files(video_ids, videos, or_if="false").add("task = ?", task)
        where.add(
            "video_id || '/' || fingerprint NOT IN (SELECT unnest(?::VARCHAR[]))",
            current.to_pylist(),
        )
        if only is not None:
            same = sorted(ids_of(videos, "video_id"))
            where.add("video_id NOT IN (SELECT unnest(?::VARCHAR[]))", same)
        where.add(on_dates(dates))
        span = Span.parse(_midnight(min(dates)), _midnight(max(dates) + timedelta(days=1)))
        columns = ["date", "camera", "start", "end", "video_id", "fingerprint"]
        return self.index.select_all("windows", where, span=span, columns=columns)


def _unjoined(events: pa.Table, only: str | None) -> JoinFinished:
    """A join that replaces the events of the videos and joins nothing over files."""

    def join(existing: pa.Table, done: AbstractSet[str], replaced: AbstractSet[str]) -> pa.Table:
        removed = is_among("video_id", done)
        if only is not None:
            removed &= pc.field("fingerprint") == only
        return pa.concat_tables(
            [existing.filter(~(removed | is_among("video_id", replaced))), events]
        )

    return join


def _of_fingerprint(condition: str, only: str | None) -> str:
    return condition if only is None else all_of(condition, equal("fingerprint", only))


def _read(videos: pa.Table) -> pa.Table:
    """Those for which ``WAS_READ`` holds.

    A file that could not be read says nothing of what it held before.
    """
    has_frames = pc.list_value_length(pc.field("footage")) > 0
    return videos.filter((pc.field("status") != "failed") | has_frames)


def _same_files(video_ids: set[str], videos: pa.Table, *, or_if: str) -> Where:
    """Rows with these ids, or of a file that was read, if they overlap it or meet ``or_if``."""
    read = _read(videos)
    times = [pc.cast(read[name], pa.int64()).to_pylist() for name in ("start", "end")]
    return Where().add(
        f"""(video_id IN (SELECT unnest(?::VARCHAR[])) OR EXISTS (
            SELECT 1 FROM (
                SELECT unnest(?::VARCHAR[]) AS read_uri, unnest(?::VARCHAR[]) AS read_content,
                    unnest(?::BIGINT[]) AS start_us, unnest(?::BIGINT[]) AS end_us
            ) WHERE read_uri = uri AND (
                "start" < make_timestamptz(end_us) AND "end" > make_timestamptz(start_us)
                OR {or_if}
            )))""",  # noqa: S608 - or_if is a constant of this module
        sorted(video_ids),
        read["uri"].to_pylist(),
        read["content_id"].to_pylist(),
        *times,
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _dates_of(rows: pa.Table) -> set[date]:
    ranges = zip(rows["start"].to_pylist(), rows["end"].to_pylist(), strict=True)
    return {day for start, end in ranges for day in days_between(start, end)}
