"""Which sources are probed and planned together. No Ray here."""

from collections.abc import Iterator, Sequence

from pipeline.records import Source


def batches(
    sources: Sequence[Source], *, max_videos: int, max_bytes: int
) -> Iterator[tuple[int, int]]:
    """Half-open ranges of positions in ``sources``.

    Each range holds as many sources as both limits allow, but at least one.
    """
    start = num_bytes = 0
    for i, source in enumerate(sources):
        if i > start and (i - start == max_videos or num_bytes + source.num_bytes > max_bytes):
            yield start, i
            start, num_bytes = i, 0
        num_bytes += source.num_bytes
    if sources:
        yield start, len(sources)
