"""The examples for KubeRay hold nothing that it does not know: names, types, required keys."""

import copy
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "tests" / "golden" / "kuberay.yaml").read_text())
KUBERAY = jsonschema.Draft202012Validator(SCHEMA)
NAMED_BY_USERS = {"requests", "limits", "rayStartParams", "clusterSelector"}
EXAMPLES = ("rayjob.yaml", "raycronjob.yaml")


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / "configs" / "cluster" / name).read_text())


def places(node: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of every key whose name KubeRay or Kubernetes has chosen."""
    if isinstance(node, list):
        for number, one in enumerate(node):
            yield from places(one, (*path, number))
    elif isinstance(node, dict) and (not path or path[-1] not in NAMED_BY_USERS):
        for key, one in node.items():
            yield (*path, key)
            yield from places(one, (*path, key))


def changed(manifest: dict, path: tuple, change: object) -> dict:
    made = copy.deepcopy(manifest)
    node = made
    for step in path[:-1]:
        node = node[step]
    change(node, path[-1])
    return made


def test_the_schema_is_one():
    KUBERAY.check_schema(SCHEMA)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid_and_a_misspelt_key_or_a_value_of_another_type_is_not(name):
    manifest = read(name)
    KUBERAY.validate(manifest)
    paths = list(places(manifest))
    assert len(paths) > 9
    for path in paths:
        misspelt = changed(
            manifest, path, lambda node, key: node.update({f"{key}s": node.pop(key)})
        )
        assert not KUBERAY.is_valid(misspelt), path
        mistyped = changed(manifest, path, lambda node, key: node.update({key: 1.5}))
        assert not KUBERAY.is_valid(mistyped), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("requests", "memory"), "16 GB"),
        (("requests", "cpu"), None),
        (("requests",), None),
    ],
)
def test_an_amount_is_a_number_or_a_text_that_kubernetes_reads(path, value):
    manifest = read("rayjob.yaml")
    container = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"][
        "containers"
    ][0]
    node = container["resources"]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    assert not KUBERAY.is_valid(manifest)


def test_what_a_job_cannot_do_without_is_required():
    for name, path in (
        ("raycronjob.yaml", ("spec", "schedule")),
        ("raycronjob.yaml", ("spec", "jobTemplate")),
        ("rayjob.yaml", ("spec", "rayClusterSpec", "headGroupSpec")),
        ("rayjob.yaml", ("spec", "rayClusterSpec", "workerGroupSpecs", 0, "groupName")),
    ):
        lacking = changed(read(name), path, lambda node, key: node.pop(key))
        assert not KUBERAY.is_valid(lacking), path
