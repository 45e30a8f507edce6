"""The engine ``whisper``: faster-whisper, on a CPU or a GPU, with the time of each word."""

from typing import Literal

from pydantic import Field

from pipeline.config.engine_kind import EngineKind, SpeechEngine
from pipeline.config.engines import SpeechEngineConfig
from pipeline.config.section import ByContent, Operational
from pipeline.engine.speech_task import SPEECH_TASK


class WhisperEngineConfig(SpeechEngineConfig):
    """Whisper in the CTranslate2 format."""

    kind: Literal["whisper"] = "whisper"
    weights: ByContent[str]
    """A folder with ``model.bin``; with ``allow_download`` also a name such as ``small``."""
    allow_download: Operational[bool] = False
    """Whether weights that are not on this machine may be fetched from the hub."""
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    """As ``en``; None asks the model anew in each stretch, so that languages may change."""
    compute_type: Literal["int8", "int8_float16", "float16", "float32"] = "int8"
    """Precision of the weights while it computes."""
    device: Operational[Literal["cpu", "cuda"]] = "cpu"
    """Where it runs."""
    threads: Operational[int] = Field(default=1, gt=0)
    """CPU threads of one replica."""

    @property
    def cpus_per_replica(self) -> float:
        """As many as it has threads."""
        return float(self.threads)

    @property
    def gpus_per_replica(self) -> float:
        """One, if it runs there."""
        return 1.0 if self.device == "cuda" else 0.0

    @property
    def answers_as(self) -> str:
        """The name of the weights, without the folders they lie in."""
        return f"whisper-{self.weights.rstrip('/').rpartition('/')[2]}"


def _open_speech(settings: WhisperEngineConfig) -> SpeechEngine:
    from pipeline.engine.whisper.engine import WhisperEngine  # noqa: PLC0415 - loads its library

    return WhisperEngine(settings)


KIND = EngineKind(
    settings=WhisperEngineConfig,
    wants_rgb=False,
    packages=("faster_whisper",),
    open_speech=_open_speech,
    task=SPEECH_TASK,
)
