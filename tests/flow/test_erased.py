"""Erased footage is not indexed again: not with new settings, as a copy or in another encoding."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
import ray

import pipeline.index as pi
from pipeline.config import load_config
from pipeline.flow.driver.archive import index_archive
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from pipeline.index.store import Store
from pipeline.sources import list_sources
from tests.videos import make_video

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("own_ray")]

NINE = datetime(2026, 3, 14, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def own_ray():
    """A Ray that several runs share."""
    ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def index(tmp_path):
    """Runs a job over an archive of two cameras; gives the states that coverage has for each."""
    archive = tmp_path / "archive"
    archive.mkdir()
    for camera in ("gate", "yard"):
        make_video(archive / f"{camera}_20260314T090000Z.mp4", num_frames=150)

    def run(*overrides, include_erased=False):
        config = load_config(None, ("plan.max_window_frames=20", *overrides))
        report = index_archive(
            list_sources([str(archive)], config.sources),
            config,
            str(tmp_path / "index"),
            include_erased=include_erased,
            on_progress=lambda _: None,
        )
        states = {"gate": [], "yard": []}
        for row in pi.open(tmp_path / "index").coverage().to_pylist():
            start, end = ((row[at] - NINE).total_seconds() for at in ("start", "end"))
            states[row["camera"]].append((start, end, row["state"]))
        return report, states

    run.archive, run.store = archive, Store.at(tmp_path / "index")
    return run


def test_erased_footage_is_not_indexed_again_without_include_erased(index):
    seen = [(0.0, 6.0, "analysed")]
    assert index()[1] == {"gate": seen, "yard": seen}
    erase(index.store, Scope.parse(video="*/yard_*.mp4"))
    half_past_two = NINE + timedelta(seconds=2.5)
    erase(index.store, Scope.parse(None, "gate", half_past_two, NINE + timedelta(seconds=3)))
    left = {
        "gate": [(0.0, 2.0, "analysed"), (2.0, 4.0, "erased"), (4.0, 6.0, "analysed")],
        "yard": [(0.0, 6.0, "erased")],
    }
    report, states = index()
    assert report.videos_skipped == 2
    assert states == left

    # A copy, and another encoding of the same hour.
    yard = index.archive / "yard_20260314T090000Z.mp4"
    (index.archive / "copies").mkdir()
    shutil.copy(yard, index.archive / "copies" / yard.name)
    make_video(yard, num_frames=150, gop=5)
    report, states = index("sample.fps=5")
    assert report.failures == []
    assert states == left
    rows = pi.open(index.store.root).windows().to_pylist()
    assert {row["fingerprint"] for row in rows if row["camera"] == "gate"} == {
        load_config(None, ("plan.max_window_frames=20", "sample.fps=5")).fingerprint
    }
    assert not any(row["frame_pts"] for row in rows if row["status"] == "erased")

    assert index("sample.fps=5", include_erased=True)[1] == {"gate": seen, "yard": seen}
    report, states = index("sample.fps=5")
    assert report.videos_done == 0
    assert states == {"gate": seen, "yard": seen}


def test_footage_older_than_its_retention_is_not_indexed(index):
    age_days = (datetime.now(tz=UTC) - NINE) / timedelta(days=1)
    report, states = index(f"retention_days={{gate: {age_days - 1}, '*': {age_days + 1}}}")
    assert states == {"gate": [(0.0, 6.0, "erased")], "yard": [(0.0, 6.0, "analysed")]}
    assert report.windows["analysed"] == 3
