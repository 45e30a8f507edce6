"""The demo model's whole road: video files, Ray, real vLLM, stitching, index, against the truth."""

import pytest

from pipeline.demo.archive import demo_recordings, write_archive
from tests.conftest import ROOT

pytestmark = [pytest.mark.vllm, pytest.mark.ray, pytest.mark.timeout(600)]
pytest.importorskip("vllm")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_archive(folder, demo_recordings(7, num_cameras=1))
    return folder


def test_a_model_that_sees_finds_the_events_of_an_archive_by_the_wall_clock(cli, world, tmp_path):
    index = tmp_path / "index"
    report = cli.json(
        "index", world, "--config", ROOT / "configs" / "demo.yaml", "--index", index, "--json"
    )
    assert report["videos"] == {"done": 3, "skipped": 0, "superseded": 0, "waiting": 0, "failed": 0}
    assert report["windows"]["failed"] == 0
    plan = cli.json("plan", world, "--config", ROOT / "configs" / "demo.yaml", "--json")
    assert plan["windows"] == sum(report["windows"].values())
    assert plan["prompt_tokens"] == pytest.approx(report["tokens"]["prompt"], rel=0.02)
    found = cli.json("evaluate", "--truth", world / "truth.json", "--index", index)
    # Two missed and three invented, of nine. A wrong clock would give next to nothing.
    assert found["event_recall"] >= 0.77
    assert found["event_precision"] >= 0.7
    assert found["identified_start_error_s"] <= 1.5
    through = [r for r in cli.rows("query", "--index", index) if len(r["parts"]) > 1]
    assert through, "the event over the file border must be one row"
