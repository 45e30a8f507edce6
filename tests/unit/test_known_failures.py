"""A file that fails again with the same error is reported, but is not a new failure of the run."""

from unittest import mock

import pytest
from typer.testing import CliRunner

from pipeline.cli.index import app
from pipeline.flow.driver import archive as driver
from pipeline.index import open_index
from tests.hard.without_ray import leave_out_ray
from tests.videos import make_video


@pytest.fixture
def index(tmp_path):
    """Runs ``timereel index`` on a folder, here; gives its exit code and what it says."""
    (tmp_path / "recordings").mkdir()
    make_video(tmp_path / "recordings" / "good.mp4", num_frames=10)

    def run(*options):
        ran = CliRunner().invoke(
            app, [
                "index", str(tmp_path / "recordings"), "--index", str(tmp_path / "index"), *options,
            ],
        )  # fmt: skip
        return ran.exit_code, ran.stderr

    run.bad = tmp_path / "recordings" / "bad.mp4"
    run.uri = str(tmp_path / "index")
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        leave_out_ray()
        yield run


def test_only_the_first_run_over_a_bad_file_fails_but_every_run_reports_the_file(index):
    index.bad.touch()
    code, said = index()
    assert code == 4
    assert "failed: " in said
    code, said = index()
    assert code == 0
    assert "failed as before: " in said
    assert "bad.mp4" in said
    assert open_index(index.uri).videos()["status"].to_pylist().count("failed") == 1


@pytest.mark.parametrize(
    ("fail_on", "first", "again"), [("never", 0, 0), ("new", 4, 0), ("any", 4, 4)]
)
def test_fail_on_chooses_which_failures_count(index, fail_on, first, again):
    index.bad.touch()
    assert index("--fail-on", fail_on)[0] == first
    assert index("--fail-on", fail_on)[0] == again


@pytest.mark.parametrize("fail_on", ["never", "new", "any"])
def test_without_a_failure_every_run_ends_with_0(index, fail_on):
    assert index("--fail-on", fail_on)[0] == 0


def test_a_second_bad_file_and_other_bytes_of_the_first_are_new(index):
    index.bad.touch()
    assert index()[0] == 4
    index.bad.with_name("bad2.mp4").touch()
    code, said = index()
    assert code == 4
    assert "bad.mp4" in said.split("failed as before: ")[1]
    assert index()[0] == 0
    index.bad.write_bytes(b"no video")
    assert index()[0] == 4
    assert index()[0] == 0


def test_a_bad_file_is_known_under_other_settings_and_new_for_another_task(index):
    index.bad.touch()
    assert index()[0] == 4
    assert index("--set", "sample.fps=3")[0] == 0
    assert index("--set", "task={name: other, labels: {motion: m}}")[0] == 4
