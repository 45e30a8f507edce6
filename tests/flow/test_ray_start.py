"""Where Ray cannot be started or joined, one sentence says what to do."""

import os
import subprocess
import sys

import pytest
from ray._private.utils import check_version_info

from pipeline.errors import ConfigError
from pipeline.flow.cluster import _in_one_sentence
from tests.conftest import LOBBY
from tests.flow.ray_head import free_ports

pytestmark = pytest.mark.ray


def refusal(tmp_path, *options, **env):
    """The exit code of an index run, and the last line that it wrote."""
    command = [sys.executable, "-m", "timereel", "index", LOBBY, "--index", str(tmp_path / "index")]
    done = subprocess.run(
        [*command, *options], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_temporary_folder_with_a_long_path_is_named(tmp_path):
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    code, line = refusal(tmp_path, TMPDIR=str(folder))
    assert (code, str(folder) in line) == (2, True)
    assert "set TMPDIR to a shorter one" in line


def test_a_cluster_that_does_not_answer_is_named(tmp_path):
    [port] = free_ports(1)
    code, line = refusal(tmp_path, "--address", f"127.0.0.1:{port}")
    assert (code, f"no Ray answers at 127.0.0.1:{port}" in line) == (7, True)


def test_a_cluster_of_another_ray_is_told_with_both_versions():
    cluster = {"ray_version": "2.0.0", "python_version": "3.9.1"}
    with pytest.raises(RuntimeError) as raised:
        check_version_info(cluster, "the driver")
    error = _in_one_sentence(raised.value, "10.0.0.1:6379")
    assert isinstance(error, ConfigError)
    assert "10.0.0.1:6379 needs the same Ray and Python" in str(error)
    assert "Ray: 2.0.0 Python: 3.9.1" in str(error)


def test_a_cluster_that_refuses_the_token_is_told_with_the_variables_to_set():
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError("Failed to connect to GCS. RPC error: InvalidAuthToken")
    told = _in_one_sentence(error, "10.0.0.1:6379")
    assert isinstance(told, ConfigError)
    assert "10.0.0.1:6379 refuses the token: set RAY_AUTH_MODE=token" in str(told)
