"""`import timereel`: one way to open an index, also beside a folder named pipeline."""

import subprocess
import sys

import pytest

import timereel
from pipeline.index import Writer
from tests.conftest import ROOT
from tests.index_rows import at, event, rows, video


@pytest.fixture
def folder(tmp_path):
    """A working directory with an index of one event, and somebody else's package pipeline."""
    writer = Writer(tmp_path / "index")
    writer.finish_videos(rows("videos", video()), rows("events", event("one", at(0), at(1))))
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("mine = 1")
    return tmp_path


def python(folder, *args, code=0):
    """What Python prints in a folder, which is first on its path."""
    done = subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


OPENED = "import timereel; print(timereel.open('index').events().num_rows)"


def test_an_index_is_opened_by_one_call(folder):
    assert timereel.open(folder / "index").events()["event_id"].to_pylist() == ["one"]


def test_a_folder_that_is_no_index_is_an_error_of_timereels_own(tmp_path):
    with pytest.raises(timereel.TimereelError, match="nowhere"):
        timereel.open(tmp_path / "nowhere")


def test_a_folder_named_pipeline_in_the_working_directory_is_passed_over(folder):
    assert python(folder, "-c", OPENED) == "1\n"


def test_a_folder_named_pipeline_beside_a_script_is_passed_over(folder):
    (folder / "script.py").write_text(OPENED)
    assert python(folder, "script.py") == "1\n"


def test_the_command_line_runs_as_a_module(folder):
    listed = python(folder, "-m", "timereel", "query", "--index", "index", "--format", "jsonl")
    assert '"event_id": "one"' in listed


def test_the_path_is_as_before(folder):
    code = "import sys; before = [*sys.path]; import timereel; print(sys.path == before)"
    assert python(folder, "-c", code) == "True\n"


@pytest.mark.parametrize("other", ["import pipeline", "import sys; sys.modules['pipeline'] = sys"])
def test_where_another_pipeline_was_imported_before_the_error_names_it(folder, other):
    said = python(folder, "-c", f"{other}; import timereel", code=1)
    assert "ImportError: timereel needs a package of its own named pipeline" in said
    assert ("pipeline/__init__.py" in said) or ("<module 'sys'" in said)
