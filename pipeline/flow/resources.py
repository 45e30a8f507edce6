"""What a Ray graph needs of a cluster, and what is missing there. No Ray here."""

from collections.abc import Mapping

from pipeline.config import Config, ModelEngineConfig, SpeechEngineConfig

Resources = Mapping[str, float]
"""Amounts by Ray's names, such as ``CPU`` and ``GPU``."""


def needed(config: Config) -> dict[str, float]:
    """What must exist at the same time, so that each stage of ``answer_graph`` can work.

    That is one decode task beside all replicas of the model, or all replicas of what listens, which
    decodes itself. Ray starts the replicas first and never ends one to let a task run, so with less
    the graph would wait for ever.
    """
    engine, decoding = config.engine, config.cluster.decode_cpus
    if isinstance(engine, SpeechEngineConfig) and not config.engine_kind.reads_captions:
        return {"CPU": engine.replicas * engine.cpus_per_replica, "GPU": config.num_gpus}
    if not isinstance(engine, ModelEngineConfig):
        return {"CPU": decoding}
    return {"CPU": decoding + engine.replicas * decoding / 2, "GPU": config.num_gpus}


def shortage(config: Config, needs: Resources, total: Resources) -> str:
    """What a cluster that has ``total`` lacks, and the way out; empty if it lacks nothing."""
    missing = [
        f"{amount:g} {name}s, and there are {total.get(name, 0):g}"
        for name, amount in needs.items()
        if amount > total.get(name, 0)
    ]
    if not missing:
        return ""
    engine = config.engine
    who = f"one decode task of {config.cluster.decode_cpus:g} CPUs (cluster.decode_cpus)"
    ways = "lower cluster.decode_cpus"
    if isinstance(engine, SpeechEngineConfig) and not config.engine_kind.reads_captions:
        who = f"speech.replicas: {engine.replicas}"
        ways = "lower speech.replicas, or join a larger cluster with --address"
    elif isinstance(engine, ModelEngineConfig):
        who += f" beside engine.replicas: {engine.replicas}"
        ways += " or engine.replicas, or join a larger cluster with --address"
        if engine.gpus_per_replica > total.get("GPU", 0):
            ways = "set engine.num_gpus: 0 to use CPUs, or join a cluster with --address"
    return f"{who} needs {' and '.join(missing)}; {ways}"


def in_words(config: Config, total: Resources, free: Resources) -> str:
    """What may hold up a graph, from the resources that the cluster has and that are free."""
    if missing := shortage(config, needed(config), total):
        return missing
    parts = [
        f"{free.get(name, 0):g} of {amount:g} {name}s are free"
        for name, amount in total.items()
        if name in ("CPU", "GPU")
    ]
    causes = "a store that does not answer, or a long piece of work"
    if isinstance(config.engine, ModelEngineConfig | SpeechEngineConfig):
        causes = f"a model that still loads, an engine or {causes}"
    return f"{', '.join(parts)}; it may be {causes}"
