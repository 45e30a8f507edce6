"""Files that hold what the index has already: read once, and then known by their names."""

from dataclasses import replace

import pytest

import pipeline.index as pi
from tests.state.scripted import T0_NS, Archive, Recording, config_of

FIRST = Recording(
    uri="gate/a.mp4", camera="gate", start_ns=T0_NS, rate=0, num_frames=20, showing=((3, 9),)
)


class Counting(Archive):
    """Says which files were probed."""

    def __init__(self, *recordings):
        super().__init__()
        self.recordings = {recording.uri: recording for recording in recordings}
        self.probed = []

    def probe(self, source, **how):
        self.probed.append(source.uri)
        video, packets = super().probe(source, **how)
        return replace(video, etag=source.etag), packets

    def read_by(self, index):
        """The files that a run probes."""
        self.probed.clear()
        self.index(str(index), config_of(0))
        return list(self.probed)


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "index"
    assert Counting(FIRST).read_by(folder) == ["gate/a.mp4"]
    return folder


def test_a_copy_is_read_by_one_run(index):
    both = Counting(FIRST, replace(FIRST, uri="gate/b.mp4"))
    before = pi.open(index).events().to_pylist()
    assert both.read_by(index) == ["gate/b.mp4"]
    assert both.read_by(index) == []
    assert pi.open(index).events().to_pylist() == before


def test_two_copies_that_come_together_are_read_by_one_run(tmp_path):
    both = Counting(FIRST, replace(FIRST, uri="gate/b.mp4"))
    assert both.read_by(tmp_path) == ["gate/a.mp4", "gate/b.mp4"]
    assert both.read_by(tmp_path) == []


def test_a_file_that_was_renamed_is_read_by_one_run(index):
    renamed = Counting(replace(FIRST, uri="gate/2026/a.mp4"))
    assert renamed.read_by(index) == ["gate/2026/a.mp4"]
    assert renamed.read_by(index) == []


class Touched(Counting):
    """Its files have other times of change than before, and the same bytes."""

    version = 1

    def listed(self):
        return [replace(one, etag=f"{one.etag} {self.version}") for one in super().listed()]


def test_a_file_that_was_touched_is_read_by_one_run_for_each_time(index):
    touched = Touched(FIRST)
    for touched.version in (1, 2):
        assert touched.read_by(index) == ["gate/a.mp4"]
        assert touched.read_by(index) == []
    [row] = pi.open(index).videos().to_pylist()
    assert [copy["uri"] for copy in row["copies"]] == ["gate/a.mp4"]


def test_other_content_under_the_name_of_a_copy_is_indexed(index):
    copy = replace(FIRST, uri="gate/b.mp4")
    Counting(FIRST, copy).read_by(index)
    other = replace(copy, content=1, start_ns=T0_NS + 60 * 10**9)
    assert Counting(FIRST, other).read_by(index) == ["gate/b.mp4"]
    assert {row["uri"] for row in pi.open(index).videos().to_pylist()} == {
        "gate/a.mp4",
        "gate/b.mp4",
    }
