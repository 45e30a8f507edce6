"""A hostile video costs one row: no exception, no dead process, at most 1 GB of memory."""

from collections.abc import Iterator

import pytest

from pipeline.config import Config
from pipeline.flow.task.stages import Failure, decode_and_gate, probe_and_plan
from pipeline.processes.crash_isolation import in_child_process
from pipeline.processes.memory_limit import memory_limit
from pipeline.records import Source
from tests.conftest import LOBBY
from tests.hostile_media import HOSTILE, borders
from tests.memory import peak_bytes
from tests.videos import make_video, source_of

MAX_BYTES = 1_000_000_000


def outcome(sources: list[Source]) -> Iterator[tuple[str, int]]:
    """In a child process: how each file ended, and the largest memory of the process so far."""
    for source in sources:
        yield _outcome(source), peak_bytes()


def _outcome(source: Source) -> str:
    planned = probe_and_plan(source, Config())
    if isinstance(planned, Failure):
        return planned.error
    items = [item for shard in planned.shards for item in decode_and_gate(shard, Config())]
    assert items
    return " ".join(getattr(item, "status", type(item).__name__) for item in items)


@pytest.fixture(scope="module")
def normal_bytes() -> int:
    [(_, peak)] = in_child_process(outcome, [source_of(LOBBY)])
    return peak


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_video_ends_as_a_row_in_bounded_memory(name, tmp_path, normal_bytes):
    path = tmp_path / "hostile.mp4"
    path.write_bytes(HOSTILE[name](tmp_path))
    [(ended, peak)] = in_child_process(outcome, [source_of(path)])
    assert ended
    assert peak - normal_bytes <= MAX_BYTES


def test_a_video_that_is_cut_at_any_border_of_its_boxes_ends_as_a_row(tmp_path, normal_bytes):
    data = (whole := make_video(tmp_path / "whole.mp4", num_frames=10, bframes=0)).read_bytes()
    cut = [tmp_path / f"{at}.mp4" for at in borders(whole)]
    for path in cut:
        path.write_bytes(data[: int(path.stem)])
    ended = list(in_child_process(outcome, list(map(source_of, cut))))
    assert len(ended) == len(cut) > 20
    assert all(text for text, _ in ended)
    assert max(peak for _, peak in ended) - normal_bytes <= MAX_BYTES


@pytest.mark.parametrize("name", ["HLS", "concat", "reference to another file"])
def test_what_names_another_file_does_not_open_it(name, tmp_path):
    path = tmp_path / "hostile.mp4"
    path.write_bytes(HOSTILE[name](tmp_path))
    planned = probe_and_plan(source_of(path), Config())
    assert isinstance(planned, Failure)


def test_a_device_is_a_row():
    planned = probe_and_plan(source_of("/dev/zero"), Config())
    assert isinstance(planned, Failure)
    assert "/dev/zero" in planned.error


def test_a_header_that_asks_for_too_much_memory_is_told(tmp_path):
    path = tmp_path / "hostile.mp4"
    path.write_bytes(HOSTILE["many samples in a fragment"](tmp_path))
    planned = probe_and_plan(source_of(path), Config())
    assert isinstance(planned, Failure)
    assert "asks for more than 1200 MB of memory" in planned.error


def test_a_limit_on_memory_holds_inside_and_not_after():
    with memory_limit(50_000_000):
        assert len(bytearray(10_000_000)) == 10_000_000
        with pytest.raises(MemoryError):
            bytearray(100_000_000)
    assert len(bytearray(100_000_000)) == 100_000_000
