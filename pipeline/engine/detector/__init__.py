"""The engine ``detector``: a small ONNX network that finds persons and vehicles, also on a CPU."""

from typing import Any, Literal

from pydantic import Field

from pipeline.config.catalogue import merged
from pipeline.config.engine_kind import EngineKind, ShardEngine
from pipeline.config.engines import EngineConfig
from pipeline.config.section import ByContent, Operational, Seconds
from pipeline.config.task import Task


class DetectorEngineConfig(EngineConfig):
    """An object detector that runs where the frames are decoded."""

    kind: Literal["detector"] = "detector"
    model: ByContent[str] = "models/nanodet-g"
    """Folder with ``model.yaml`` and the ONNX file it names, on every node."""
    fps: float = Field(default=2.0, ge=0.001, le=1000)
    """Pictures per second that are looked at; where an object comes or goes, every sampled one."""
    min_looks: int = Field(default=2, ge=1)
    """An object that is found in fewer pictures is not believed."""
    gap_s: Seconds = Field(default=1.5, ge=0)
    """An object that is not found for less is still there."""
    batch_frames: Operational[int] = Field(default=8, ge=1)
    """Pictures per call of the network."""
    threads: Operational[int] = Field(default=1, ge=1)
    """Threads of one call; decode tasks run beside each other."""


DETECTOR_TASK = Task(
    name="detector",
    labels={
        "person": "a person is in view",
        "vehicle": "a car, bus, truck or motorcycle is in view",
        "black": "the picture is black: nothing can be seen",
    },
    prompt="",
)
"""What it looks for without a task; a model's other labels may be named beside these."""

_DEFAULTS: dict[str, Any] = {
    "sample": {"fps": 10},
    "frame": {"rgb_max_pixels": 512 * 416},
    "plan": {"max_window_frames": 160},
    "gate": {"kind": "motion"},
}
"""Frames are wanted in a few sizes only, and windows in which nothing moves are not looked at."""


def _resolve(tree: dict[str, Any]) -> dict[str, Any]:
    return merged(_DEFAULTS, tree)


def _open_shards(settings: DetectorEngineConfig, task: Task) -> ShardEngine:
    from pipeline.engine.detector.engine import DetectorEngine  # noqa: PLC0415 - once it is asked

    return DetectorEngine(settings, task)


KIND = EngineKind(
    settings=DetectorEngineConfig,
    wants_rgb=True,
    packages=("onnxruntime", "onnxruntime-gpu"),
    open_shards=_open_shards,
    task=DETECTOR_TASK,
    dark_label="black",
    tracks_objects=True,
    resolve=_resolve,
)
