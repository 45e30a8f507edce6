"""Is this machine fit for a run, and does its engine tell the time? Answers, not guesses."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from pipeline.config import Config, ModelEngineConfig, ObjectGateConfig
from pipeline.doctor.speech_test import hear_sentence
from pipeline.doctor.time_test import (
    NUM_CLIPS,
    answer_windows,
    for_time_test,
    judge_times,
    make_clip,
)
from pipeline.engine import open_object_gate, open_speech
from pipeline.engine.voices import VoiceNetwork
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Completion

Verdict = Literal["ok", "warn", "FAIL"]

_PACKAGES = ("ray", "pyarrow", "deltalake", "duckdb", "av", "numpy")
# Their versions decide whether a model runs at all, whichever package asks for them.
_MODEL_PACKAGES = ("torch", "torchvision", "transformers", "xgrammar")
_SHARED = "/dev/shm"  # noqa: S108 - looked at, not written to
_MIN_SHARED_BYTES = 2 * 2**30
_MIN_DISK_BYTES = 10 * 2**30
_NVIDIA_QUERY = "--query-gpu=name,memory.total,driver_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding."""

    name: str
    verdict: Verdict
    detail: str


def examine(config: Config) -> Iterator[Check]:
    """Every finding as it is made; the last ones are of the engine."""
    yield from _environment(config)
    if config.gate.objects:
        yield _object_gate(config.gate.objects)
    if not config.hears:
        yield from _time_self_test(config)
    if listening := config.listening:
        yield _speech(listening)


def _environment(config: Config) -> Iterator[Check]:
    yield Check(
        name="timereel",
        verdict="ok",
        detail=f"{_version('timereel')}, Python {platform.python_version()}; "
        f"{', '.join(_versions(_PACKAGES))}",
    )
    needed = config.engine_kind.packages
    versions = _versions((*needed, *_MODEL_PACKAGES))
    lacks = bool(needed) and not _versions(needed)
    yield Check(
        name="model packages",
        verdict="FAIL" if lacks else "ok",
        detail=f"engine {config.engine.kind} needs one of {', '.join(needed)}; have "
        f"{', '.join(versions) or 'none'}"
        if lacks
        else ", ".join(versions) or "none, and none needed",
    )
    yield _gpu(config)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check(name="cpus", verdict="ok", detail=f"{cpus} usable of {os.cpu_count()}")
    yield _space("shared memory", _SHARED, _MIN_SHARED_BYTES, "Ray's object store spills sooner")
    temporary = tempfile.gettempdir()
    yield _space("disk", temporary, _MIN_DISK_BYTES, "Ray keeps logs and spilled pixels there")


def _versions(packages: Sequence[str]) -> list[str]:
    """Those that are installed, each with its version."""
    return [f"{name} {version}" for name in packages if (version := _version(name))]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _gpu(config: Config) -> Check:
    engine = config.engine
    num_wanted = engine.gpus_per_replica if isinstance(engine, ModelEngineConfig) else 0
    tool = shutil.which("nvidia-smi")
    gpus: list[str] = []
    if tool:
        asked = subprocess.run(  # noqa: S603 - found on PATH, no input of the user's
            [tool, _NVIDIA_QUERY, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        gpus = asked.stdout.splitlines() if asked.returncode == 0 else []
    detail = "; ".join(gpus) or "none seen by nvidia-smi"
    if num_wanted > len(gpus):
        detail += f"; engine.num_gpus={num_wanted:g}: set 0 to run on CPU, or use a cluster"
        return Check(name="gpus", verdict="FAIL", detail=detail)
    return Check(name="gpus", verdict="ok", detail=detail)


def _space(name: str, folder: str, least_bytes: int, why: str) -> Check:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as exc:
        return Check(name=name, verdict="warn", detail=f"{folder}: {exc.strerror}")
    detail = f"{folder}: {usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB free"
    if usage.free < least_bytes:
        return Check(name=name, verdict="warn", detail=f"{detail}; {why}")
    return Check(name=name, verdict="ok", detail=detail)


def _time_self_test(config: Config) -> Iterator[Check]:
    config, label = for_time_test(config)
    clips = [make_clip(seed, config) for seed in range(NUM_CLIPS)]
    try:
        answers = answer_windows(config, [clip.window for clip in clips])
    except EngineStartError as exc:
        yield Check(name="engine", verdict="FAIL", detail=str(exc))
        return
    yield Check(name="engine", verdict="ok", detail=f"{config.engine.kind}: {config.model}")
    if isinstance(config.engine, ModelEngineConfig):
        yield _markers(config.engine, answers)
    verdict = judge_times(clips, answers, config.task, label)
    yield Check(name="time", verdict="ok" if verdict.is_on_time else "FAIL", detail=verdict.detail)


def _object_gate(gate: ObjectGateConfig) -> Check:
    """Whether the detector that looks before a model can be opened and knows its labels."""
    try:
        open_object_gate(gate)
    except EngineStartError as exc:
        return Check(name="gate.objects", verdict="FAIL", detail=str(exc))
    detail = f"{gate.model} finds {', '.join(gate.labels)}"
    return Check(name="gate.objects", verdict="ok", detail=detail)


def _speech(config: Config) -> Check:
    """Whether what listens hears known words at their times; captions are not listened to."""
    name = f"{config.engine.kind}: {config.model}"
    if config.engine_kind.reads_captions:
        return Check(name="speech", verdict="ok", detail=name)
    try:
        if config.voices:
            VoiceNetwork(config.voices)
            name += f", voices: {config.voices.weights.rpartition('/')[2]}"
        engine = open_speech(config)
        try:
            hearing = hear_sentence(config, engine)
        finally:
            engine.shutdown()
    except (EngineStartError, WindowError) as exc:
        return Check(name="speech", verdict="FAIL", detail=str(exc))
    verdict: Verdict = "ok" if hearing.is_right else "FAIL"
    return Check(name="speech", verdict=verdict, detail=f"{name} {hearing.detail}")


def _markers(engine: ModelEngineConfig, answers: Sequence[Completion]) -> Check:
    refused = [answer.error for answer in answers if answer.error.startswith("markers:")]
    if refused:
        return Check(name="markers", verdict="FAIL", detail=refused[0])
    if not engine.reads_markers:
        return Check(
            name="markers",
            verdict="ok",
            detail="written beside the images; this kind of server does not tell what it shows "
            "the model, so that the next test alone says whether times arrive",
        )
    return Check(name="markers", verdict="ok", detail="those of the frames, in every prompt")
