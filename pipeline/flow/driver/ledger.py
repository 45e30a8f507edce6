"""Which shards and videos of one batch are whole. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pipeline.flow.task.packed_shard import PackedShard
from pipeline.flow.task.stages import OpenShard
from pipeline.records import Video, WindowResult


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeShard:
    """A shard with all of its results, sorted by start."""

    video: Video
    results: tuple[WindowResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeVideo:
    """A video with all of its results, sorted by start."""

    video: Video
    num_shards: int
    results: tuple[WindowResult, ...]
    is_growing: bool = False
    """Whether the file is still being written, so that its end has no results yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingVideo:
    """A video with shards that cannot be read now."""

    video: Video
    num_shards: int
    results: tuple[WindowResult, ...]
    """Of its whole shards, sorted by start."""
    dropped: tuple[WindowResult, ...]
    """This run's results of the other shards, which a later run answers from their start."""
    error: str


@dataclass(slots=True)
class _OpenVideo:
    video: Video
    num_shards: int
    open_shards: set[str]
    results: list[WindowResult]
    is_growing: bool


@dataclass(slots=True)
class _OpenShard:
    missing_ns: int
    """Planned time without a result. Windows are not counted, since a window may be split."""
    results: list[WindowResult] = field(default_factory=list)
    num_known: int = 0
    """How many of the first results took no work of this run."""

    def drop(self) -> list[WindowResult]:
        """Take out the results that took work of this run."""
        dropped = self.results[self.num_known :]
        del self.results[self.num_known :]
        self.missing_ns += sum(result.span.duration_ns for result in dropped)
        return dropped


class Ledger:
    """Takes results in any order; returns shards and videos when they have become whole."""

    def __init__(self) -> None:
        self._videos: dict[str, _OpenVideo] = {}
        self._shards: dict[str, _OpenShard] = {}
        self._unreadable: dict[str, tuple[OpenShard, _OpenShard]] = {}

    def expect(
        self,
        video: Video,
        shards: Iterable[PackedShard],
        committed: Iterable[WindowResult],
        *,
        is_growing: bool = False,
    ) -> list[PackedShard]:
        """Open a video; returns the shards that still need work.

        ``committed`` are results of an earlier run. They count only where they make a shard whole,
        since shards are committed as a whole. Of a video that ``is_growing``, ``shards`` lacks the
        end.
        """
        by_shard: dict[str, list[WindowResult]] = {}
        for result in committed:
            by_shard.setdefault(result.shard_id, []).append(result)
        open_video = _OpenVideo(
            video=video, num_shards=0, open_shards=set(), results=[], is_growing=is_growing
        )
        todo = []
        for shard in shards:
            open_video.num_shards += 1
            results = by_shard.get(shard.shard_id, [])
            if results and sum(result.span.duration_ns for result in results) == shard.planned_ns:
                open_video.results.extend(results)
                continue
            open_video.open_shards.add(shard.shard_id)
            self._shards[shard.shard_id] = _OpenShard(shard.planned_ns)
            todo.append(shard)
        self._videos[video.video_id] = open_video
        return todo

    def add_known(self, result: WindowResult) -> WholeShard | None:
        """Book a result that took no work; must be called before ``add`` for the same shard."""
        self._shards[result.shard_id].num_known += 1
        return self.add(result)

    def add(self, result: WindowResult) -> WholeShard | None:
        """Book one result; returns its shard if the result made it whole."""
        if result.shard_id in self._unreadable:
            self._unreadable[result.shard_id][1].results.append(result)
            return None
        shard = self._shards[result.shard_id]
        shard.results.append(result)
        shard.missing_ns -= result.span.duration_ns
        if shard.missing_ns < 0:
            raise AssertionError(f"shard {result.shard_id}: more results than planned time")
        if shard.missing_ns:
            return None
        del self._shards[result.shard_id]
        open_video = self._videos[result.video_id]
        open_video.open_shards.remove(result.shard_id)
        # Pictures are written with their shard; until the video is whole they would fill memory.
        open_video.results.extend(replace(result, pictures=()) for result in shard.results)
        return WholeShard(video=open_video.video, results=_by_start(shard.results))

    def leave_open(self, shard: OpenShard) -> None:
        """Wait no longer for a shard; its results so far, and those still to come, do not count."""
        if shard.shard_id not in self._unreadable:
            self._unreadable[shard.shard_id] = shard, self._shards.pop(shard.shard_id)

    def start_again(self) -> list[WindowResult]:
        """Wait for all results of open shards anew; returns those that no longer count."""
        return [result for shard in self._shards.values() for result in shard.drop()]

    @property
    def has_open_shards(self) -> bool:
        """Whether the batch still waits for a result."""
        return bool(self._shards)

    def take_whole_videos(self) -> list[WholeVideo]:
        """Videos with every shard whole; each is returned once."""
        whole = [video for video in self._videos.values() if not video.open_shards]
        for open_video in whole:
            del self._videos[open_video.video.video_id]
        return [
            WholeVideo(
                video=open_video.video,
                num_shards=open_video.num_shards,
                results=_by_start(open_video.results),
                is_growing=open_video.is_growing,
            )
            for open_video in whole
        ]

    def take_pending_videos(self) -> list[PendingVideo]:
        """Videos with shards that could not be read; each is returned once."""
        unreadable: dict[str, list[tuple[OpenShard, _OpenShard]]] = {}
        for shard, booked in self._unreadable.values():
            unreadable.setdefault(shard.video_id, []).append((shard, booked))
        self._unreadable.clear()
        videos = {video_id: self._videos.pop(video_id) for video_id in unreadable}
        return [
            PendingVideo(
                video=videos[video_id].video,
                num_shards=videos[video_id].num_shards,
                results=_by_start(videos[video_id].results),
                dropped=tuple(result for _, booked in shards for result in booked.drop()),
                error=shards[0][0].error,
            )
            for video_id, shards in unreadable.items()
        ]


def _by_start(results: Iterable[WindowResult]) -> tuple[WindowResult, ...]:
    return tuple(sorted(results, key=lambda result: result.span))
