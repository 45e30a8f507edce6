"""The engine ``captions``: what texts beside or in a recording say is said. It needs no model.

The texts are read where the recording is, in the task that would listen to it.
"""

from typing import Literal

from pydantic import field_validator

from pipeline.config.engine_kind import EngineKind
from pipeline.config.engines import SpeechEngineConfig
from pipeline.config.voices import VoicesConfig
from pipeline.engine.speech_task import SPEECH_TASK


class CaptionsEngineConfig(SpeechEngineConfig):
    """WebVTT and SubRip beside a recording, transcripts of Teams and Zoom, and its text tracks."""

    kind: Literal["captions"] = "captions"

    @field_validator("voices")
    @classmethod
    def _hears_no_voice(cls, voices: VoicesConfig | None) -> None:
        if voices is not None:
            raise ValueError("captions say who speaks, and no sound is read; leave it out")


KIND = EngineKind(
    settings=CaptionsEngineConfig, wants_rgb=False, reads_captions=True, task=SPEECH_TASK
)
