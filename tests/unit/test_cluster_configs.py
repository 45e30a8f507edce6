"""The cluster examples against Ray's own schema, and against what they name."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import timereel
from pipeline.config import load_config

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "configs" / "cluster"


def read(name: str) -> dict:
    return yaml.safe_load((CLUSTER / name).read_text())


def commands() -> list[str]:
    """Every command of the examples that runs one of the project's jobs."""
    joined = re.sub(r"\\\n#?", " ", (CLUSTER / "launcher.yaml").read_text())
    return [
        re.search(r"python -m jobs\.index_archive.*", joined)[0],
        read("rayjob.yaml")["spec"]["entrypoint"],
    ]


def test_rays_launcher_takes_the_cluster():
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(read("launcher.yaml")))


def test_the_versions_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    spec = read("rayjob.yaml")["spec"]["rayClusterSpec"]
    assert f"ray[data,default]=={spec['rayVersion']}" in project["dependencies"]
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    images = {pod["template"]["spec"]["containers"][0]["image"] for pod in pods}
    assert {image.rpartition(":")[2] for image in images} == {timereel.__version__}


@pytest.mark.parametrize("number", [0, 1])
def test_their_commands_name_a_config_and_settings_that_there_are(number):
    words = commands()[number].split()
    assert (ROOT / "jobs" / "index_archive.py").exists()
    config = words[words.index("--config") + 1]
    settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert load_config(ROOT / config, tuple(settings)).engine.replicas == 8


def test_every_replica_of_the_model_has_a_pod_with_its_gpus():
    spec = read("rayjob.yaml")["spec"]
    (model,) = [g for g in spec["rayClusterSpec"]["workerGroupSpecs"] if g["groupName"] == "model"]
    limits = model["template"]["spec"]["containers"][0]["resources"]["limits"]
    config = load_config(ROOT / "configs" / "surveillance.yaml", ("engine.replicas=8",))
    assert model["replicas"] * int(limits["nvidia.com/gpu"]) == config.num_gpus
