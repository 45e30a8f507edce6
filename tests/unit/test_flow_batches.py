from pipeline.flow.driver.batches import batches
from pipeline.records import Source


def ranges(*num_bytes: int, max_videos: int = 3, max_bytes: int = 10):
    sources = [
        Source(uri=str(i), num_bytes=size, etag="", camera="c", start_ns=None, clock="none")
        for i, size in enumerate(num_bytes)
    ]
    return list(batches(sources, max_videos=max_videos, max_bytes=max_bytes))


def test_batches_tile_the_sources_within_both_limits():
    assert ranges() == []
    assert ranges(1, 1, 1) == [(0, 3)]
    assert ranges(1, 1, 1, 1) == [(0, 3), (3, 4)]
    assert ranges(5, 5, 1) == [(0, 2), (2, 3)]
    assert ranges(5, 6) == [(0, 1), (1, 2)]


def test_a_source_above_the_limit_is_the_only_one_of_its_batch():
    assert ranges(1, 99, 1, 1) == [(0, 1), (1, 2), (2, 4)]
    assert ranges(99) == [(0, 1)]
