"""Which shards and videos are whole: the driver's memory of one batch. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.flow.parcel import ShardParcel
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


class Ledger:
    """Takes results in any order and gives back what has become whole."""

    def __init__(self) -> None:
        self._videos: dict[str, _OpenVideo] = {}
        self._shards: dict[str, _OpenShard] = {}

    def expect(
        self, video: Video, shards: Iterable[ShardParcel], committed: Iterable[WindowResult]
    ) -> list[ShardParcel]:
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

    def add(self, result: WindowResult) -> WholeShard | None:
        """Book one result; returns its shard if that made it whole."""
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


def _by_start(results: Iterable[WindowResult]) -> tuple[WindowResult, ...]:
    return tuple(sorted(results, key=lambda result: result.span))
