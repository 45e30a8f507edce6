"""The wheel, installed into an empty environment, works beside somebody else's package pipeline."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import timereel
from tests.conftest import LOBBY, LOBBY_VISITS_S, ROOT

# Ray and all other dependencies are installed first, which a slow machine does in many minutes.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(3600)]

# The demo model (6.35 MB in the wheel), the clip (3.28 MB) and the sentence that `timereel doctor`
# plays (0.07 MB); everything else is code and text.
DATA = {"model.safetensors", "lobby.mp4", "speech.ogg"}
MAX_DATA_BYTES = 9_700_000
MAX_OTHER_BYTES = 1_200_000


def run(*command, **more):
    """What a command prints that knows nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], env=environment, capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, as a build writes into its folder and takes what an earlier one left."""
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "out", "*.egg-info")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
        "--wheel-dir", folder, folder / "source",
    )  # fmt: skip
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def contents(wheel):
    """Every file in the wheel, by its name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The commands of an environment that has the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    return folder / "bin"


@pytest.fixture
def beside(tmp_path):
    """A working directory with a package named pipeline that cannot even be imported."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise OSError('not timereel')")
    return tmp_path


def test_it_holds_our_packages_whole_and_nothing_but_them(contents):
    about = f"timereel-{timereel.__version__}.dist-info"
    tops = {name.partition("/")[0] for name in contents}
    assert tops == {"pipeline", "timereel", "timereel_torch_builds.py", about}
    ours = {
        str(path.relative_to(ROOT))
        for package in ("pipeline", "timereel")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert {name for name in contents if name.startswith(("pipeline/", "timereel/"))} == ours


def test_it_holds_the_model_the_clip_and_the_licence(contents):
    folder = "pipeline/demo/checkpoint/"
    for line in contents[f"{folder}SHA256SUMS"].decode().splitlines():
        expected, name = line.split()
        assert hashlib.sha256(contents[folder + name]).hexdigest() == expected, name
    assert contents["pipeline/demo/lobby.mp4"] == LOBBY.read_bytes()
    assert any(name.endswith("licenses/LICENSE") for name in contents)


def test_it_holds_no_code_that_trains_and_no_test(contents):
    words = ("training", "train", "tests", "test", "jobs")
    assert not [name for name in contents if set(Path(name).with_suffix("").parts) & {*words}]
    demo = [text for name, text in contents.items() if name.startswith("pipeline/demo/")]
    assert not [text for text in demo if b"import torch" in text]


def test_code_and_text_are_small_beside_the_model_the_clip_and_the_sentence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {one.filename: one.compress_size for one in archive.infolist()}
    data = {name: size for name, size in sizes.items() if Path(name).name in DATA}
    assert len(data) == len(DATA)
    assert sum(data.values()) <= MAX_DATA_BYTES
    assert wheel.stat().st_size - sum(data.values()) <= MAX_OTHER_BYTES


def test_a_clip_is_indexed_and_asked(installed, beside):
    timereel_ = installed / "timereel"
    # A service, or a container whose files are read-only, has no home to write to.
    index = ("env", "HOME=/dev/null/home", timereel_, "index")
    told = run(*index, LOBBY, "--index", "index", "--json", cwd=beside)
    assert json.loads(told)["videos"]["done"] == 1
    rows = run(timereel_, "query", "--index", "index", "--format", "jsonl", cwd=beside)
    found = [json.loads(row) for row in rows.splitlines()]
    assert len(found) == len(LOBBY_VISITS_S)
    for row, (start_s, end_s) in zip(found, LOBBY_VISITS_S, strict=True):
        assert (row["media_start"], row["media_end"]) == pytest.approx((start_s, end_s), abs=0.5)
    opened = "import timereel; print(timereel.open('index').events().num_rows)"
    assert run(installed / "python", "-c", opened, cwd=beside) == f"{len(found)}\n"


def test_a_child_process_finds_our_package(installed, beside):
    plan = run(installed / "python", "-m", "timereel", "plan", LOBBY, "--json", cwd=beside)
    assert json.loads(plan)["failures"] == []


def test_what_torch_calls_does_no_harm(installed, beside):
    called = (
        "import sys; from importlib.metadata import entry_points;"
        " [repair] = entry_points(group='torch.backends'); repair.load()();"
        " print({'pipeline', 'torch'} & set(sys.modules))"
    )
    assert run(installed / "python", "-c", called, cwd=beside) == "set()\n"
