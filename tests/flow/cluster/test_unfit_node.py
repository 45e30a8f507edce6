"""A node of the cluster without timereel, or with another version, ends a run in one sentence."""

import os
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
import ray

import timereel
from pipeline.flow.nodes import unfit_node, worker_start
from tests.conftest import LOBBY, ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

HOOK = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))(); import pipeline"


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python with all that is installed here except timereel."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "venv", with_pip=False)
    installed, libraries = Path(ray.__file__).parents[1], folder / "libraries"
    libraries.mkdir()
    for path in installed.iterdir():
        if "timereel" not in path.name and path.suffix != ".pth":
            (libraries / path.name).symlink_to(path)
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(str(libraries))
    return folder / "venv" / "bin" / "python"


@pytest.fixture
def bare_node(head, bare_python, tmp_path):
    """A node of that Python; it alone has six CPUs."""
    log = tmp_path / "node.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [bare_python, "-c", "from ray.scripts.scripts import main; main()", "start",
             f"--address={head['GCS']}", "--block", "--num-cpus=6",
             f"--temp-dir={head['FOLDER']}", "--object-store-memory=100000000"],
            env={k: v for k, v in head.items() if k not in ("RAY_ADDRESS", "PYTHONPATH")},
            cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    deadline_s = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.2)
    yield
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.usefixtures("bare_node")
def test_a_node_without_timereel_ends_the_run_with_its_name_and_the_way_out(head, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "timereel", "index", LOBBY, "--index", tmp_path / "index",
         "--address", head["GCS"], "--set", "cluster.decode_cpus=6"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env={key: value for key, value in head.items() if key != "RAY_ADDRESS"},
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert (done.returncode, len(told)) == (2, 1), done.stderr
    assert "cannot import timereel (ModuleNotFoundError: No module named 'timereel')" in told[0]
    assert "install the same on every node" in told[0]


def start_worker(python: Path | str, folder: Path, version: str) -> str:
    """What a worker of a cluster whose driver has ``version`` says of its import of pipeline."""
    hook = folder / "hook"
    hook.write_bytes(ray.cloudpickle.dumps(worker_start(version)))
    done = subprocess.run(
        [python, "-c", HOOK, hook], env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return unfit_node(RuntimeError(done.stderr))


def test_a_node_with_another_version_names_both(bare_python, tmp_path):
    for package in ("pipeline", "timereel"):
        (tmp_path / package).symlink_to(ROOT / package)
    told = start_worker(bare_python, tmp_path, "0.0.1")
    assert f"it has timereel {timereel.__version__} with {bare_python}" in told
    assert "the driver has timereel 0.0.1" in told
    assert not start_worker(bare_python, tmp_path, timereel.__version__)
