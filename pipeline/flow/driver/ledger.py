"""Which shards and videos are whole: the driver's memory of one batch. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.flow.task.packed_shard import PackedShard
from pipeline.flow.task.stages import OpenShard
from pipeline.records import Video, WindowResult


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeShard:
    """All results of one shard, by start."""

    video: Video
    results: tuple[WindowResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeVideo:
    """All results of one video, by start."""

    video: Video
    num_shards: int
    results: tuple[WindowResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingVideo:
    """A video of which some shards cannot be read now."""

    video: Video
    num_shards: int
    results: tuple[WindowResult, ...]
    """Of its whole shards, by start."""
    dropped: tuple[WindowResult, ...]
    """What this run has found in the others, which are done anew."""
    error: str


@dataclass(slots=True)
class _OpenVideo:
    video: Video
    num_shards: int
    open_shards: set[str]
    results: list[WindowResult]


@dataclass(slots=True)
class _OpenShard:
    missing_ns: int
    """Time of the planned windows without a result; windows may be parted, time may not."""
    results: list[WindowResult] = field(default_factory=list)
    num_known: int = 0
    """The first results, for which this run has done nothing."""


class Ledger:
    """Takes results in any order and gives back what has become whole."""

    def __init__(self) -> None:
        self._videos: dict[str, _OpenVideo] = {}
        self._shards: dict[str, _OpenShard] = {}
        self._left_open: dict[str, tuple[OpenShard, _OpenShard]] = {}

    def expect(
        self, video: Video, shards: Iterable[PackedShard], committed: Iterable[WindowResult]
    ) -> list[PackedShard]:
        """Open a video; returns the shards that still need work.

        ``committed`` are results of an earlier run. They count only where they make a shard
        whole, which is how they were committed.
        """
        results: dict[str, list[WindowResult]] = {}
        for result in committed:
            results.setdefault(result.shard_id, []).append(result)
        opened = _OpenVideo(video=video, num_shards=0, open_shards=set(), results=[])
        todo = []
        for shard in shards:
            opened.num_shards += 1
            found = results.get(shard.shard_id, [])
            if found and sum(result.span.duration_ns for result in found) == shard.planned_ns:
                opened.results.extend(found)
                continue
            opened.open_shards.add(shard.shard_id)
            self._shards[shard.shard_id] = _OpenShard(shard.planned_ns)
            todo.append(shard)
        self._videos[video.video_id] = opened
        return todo

    def add_known(self, result: WindowResult) -> WholeShard | None:
        """Book a result that needs no work; these come before what is worked for."""
        self._shards[result.shard_id].num_known += 1
        return self.add(result)

    def add(self, result: WindowResult) -> WholeShard | None:
        """Book one result; returns its shard if that made it whole."""
        if result.shard_id in self._left_open:
            self._left_open[result.shard_id][1].results.append(result)
            return None
        shard = self._shards[result.shard_id]
        shard.results.append(result)
        shard.missing_ns -= result.span.duration_ns
        if shard.missing_ns < 0:
            raise AssertionError(f"shard {result.shard_id}: more results than planned time")
        if shard.missing_ns:
            return None
        del self._shards[result.shard_id]
        opened = self._videos[result.video_id]
        opened.open_shards.remove(result.shard_id)
        opened.results.extend(shard.results)
        return WholeShard(video=opened.video, results=_by_start(shard.results))

    def leave_open(self, left: OpenShard) -> None:
        """Await no more of a shard; what came of it, or comes yet, does not count."""
        if left.shard_id not in self._left_open:
            self._left_open[left.shard_id] = left, self._shards.pop(left.shard_id)

    @property
    def has_open_shards(self) -> bool:
        """Whether a result is still awaited."""
        return bool(self._shards)

    def take_whole_videos(self) -> list[WholeVideo]:
        """Videos with every shard in; each is given out once."""
        whole = [opened for opened in self._videos.values() if not opened.open_shards]
        for opened in whole:
            del self._videos[opened.video.video_id]
        return [
            WholeVideo(
                video=opened.video,
                num_shards=opened.num_shards,
                results=_by_start(opened.results),
            )
            for opened in whole
        ]

    def take_pending_videos(self) -> list[PendingVideo]:
        """Videos with shards that were left open; each is given out once."""
        shards: dict[str, list[tuple[OpenShard, _OpenShard]]] = {}
        for left in self._left_open.values():
            shards.setdefault(left[0].video_id, []).append(left)
        self._left_open.clear()
        opened = {video_id: self._videos.pop(video_id) for video_id in shards}
        return [
            PendingVideo(
                video=opened[video_id].video,
                num_shards=opened[video_id].num_shards,
                results=_by_start(opened[video_id].results),
                dropped=tuple(
                    result for _, shard in of_video for result in shard.results[shard.num_known :]
                ),
                error=of_video[0][0].error,
            )
            for video_id, of_video in shards.items()
        ]


def _by_start(results: Iterable[WindowResult]) -> tuple[WindowResult, ...]:
    return tuple(sorted(results, key=lambda result: result.span))
