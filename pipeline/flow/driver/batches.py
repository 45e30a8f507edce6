"""Which sources are probed and planned together."""

from collections.abc import Iterator, Sequence

from pipeline.records import Source


def batches(
    sources: Sequence[Source], *, max_videos: int, max_bytes: int
) -> Iterator[tuple[int, int]]:
    """Half-open ranges of sources: as many as are within both limits, but at least one."""
    start = num_bytes = 0
    for at, source in enumerate(sources):
        if at > start and (at - start == max_videos or num_bytes + source.num_bytes > max_bytes):
            yield start, at
            start, num_bytes = at, 0
        num_bytes += source.num_bytes
    if sources:
        yield start, len(sources)
