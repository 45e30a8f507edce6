"""The engine ``signals``: what can be seen in small grey pictures without a model."""

from typing import Literal

from pydantic import Field

from pipeline.config.engine_kind import EngineKind, ShardEngine
from pipeline.config.engines import EngineConfig
from pipeline.config.section import Seconds
from pipeline.config.task import Task


class SignalsEngineConfig(EngineConfig):
    """The embedded engine: no model, any video."""

    kind: Literal["signals"] = "signals"
    min_event_s: Seconds = Field(default=0.3, ge=0)
    """Shorter motion is noise."""
    merge_gap_s: Seconds = Field(default=1.5, ge=0)
    """Motion that pauses for less goes on."""
    standing_s: Seconds = Field(default=90.0, gt=0)
    """What has stood perfectly still for so long has become part of the scene."""
    frozen_s: Seconds = Field(default=20.0, gt=0)
    """A picture without any change for so long is a ``frozen`` event."""


SIGNALS_TASK = Task(
    name="signals",
    labels={
        "motion": "something moves against the learned background",
        "scene_cut": "the picture changes to another one from one frame to the next",
        "black": "the picture is black",
        "frozen": "a live picture stops changing at all",
        "blocked": "the view is covered or has lost its detail",
    },
    prompt="",
)
"""All that the engine can see; it needs no prompt."""


def _open_shards(settings: SignalsEngineConfig, task: Task) -> ShardEngine:
    from pipeline.engine.signals.engine import SignalsEngine  # noqa: PLC0415 - once it is asked

    return SignalsEngine(settings, task)


KIND = EngineKind(
    settings=SignalsEngineConfig,
    wants_rgb=False,
    open_shards=_open_shards,
    task=SIGNALS_TASK,
    dark_label="black",
)
