"""What a graph needs of a cluster, and how what is missing is told."""

import pytest

from pipeline.config import load_config
from pipeline.flow.resources import in_words, needed, shortage


def a_config(*settings, model=True):
    engine = ("engine.kind=openai", "engine.base_url=http://x/v1", "engine.model=m")
    return load_config(None, (*(engine if model else ()), *settings))


def missing(config, **total):
    return shortage(config, needed(config), total)


def test_an_engine_in_the_decode_task_needs_the_cpus_of_one_task():
    config = a_config("cluster.decode_cpus=2", model=False)
    assert not missing(config, CPU=2)
    assert "needs 2 CPUs, and there are 1" in missing(config, CPU=1)


@pytest.mark.parametrize(("replicas", "cpus"), [(1, 1.5), (2, 2), (4, 3)])
def test_a_model_needs_one_decode_task_beside_all_its_replicas(replicas, cpus):
    config = a_config(f"engine.replicas={replicas}")
    assert not missing(config, CPU=cpus, GPU=8)
    said = missing(config, CPU=cpus - 0.5, GPU=8)
    assert f"engine.replicas: {replicas}" in said
    assert f"needs {cpus:g} CPUs, and there are {cpus - 0.5:g}" in said


@pytest.mark.parametrize(("replicas", "threads"), [(1, 1), (2, 3)])
def test_what_listens_needs_the_cpus_of_all_its_replicas_and_no_decode_task(replicas, threads):
    speech = f"{{kind: whisper, weights: w, replicas: {replicas}, threads: {threads}}}"
    config = load_config(None, (f"speech={speech}",)).listening
    assert not missing(config, CPU=replicas * threads)
    said = missing(config, CPU=replicas * threads - 0.5)
    assert f"speech.replicas: {replicas} needs {replicas * threads} CPUs" in said


def test_what_listens_on_a_gpu_needs_one_for_each_replica():
    speech = "{kind: whisper, weights: w, replicas: 2, device: cuda}"
    config = load_config(None, (f"speech={speech}",)).listening
    assert "needs 2 GPUs, and there are 1" in missing(config, CPU=8, GPU=1)


def test_captions_are_read_in_a_decode_task():
    config = load_config(None, ("speech={kind: captions}",)).listening
    assert needed(config) == {"CPU": 1}


def test_a_machine_without_a_gpu_is_told_how_to_go_without():
    config = load_config(None, ("engine.kind=vllm", "engine.model=m", "engine.num_gpus=2"))
    said = missing(config, CPU=8)
    assert "2 GPUs, and there are 0" in said
    assert "set engine.num_gpus: 0" in said


def test_where_nothing_is_missing_the_free_part_of_each_resource_is_told():
    said = in_words(a_config(), {"CPU": 4.0, "memory": 9e9}, {"memory": 9e9})
    assert said.startswith("0 of 4 CPUs are free; it may be a model that still loads")
