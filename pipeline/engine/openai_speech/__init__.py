"""The engine ``openai_speech``: any endpoint with OpenAI's ``/v1/audio/transcriptions``."""

from typing import Literal

from pydantic import Field

from pipeline.config.engine_kind import EngineKind, SpeechEngine
from pipeline.config.engines import Args, EndpointUrl, SpeechEngineConfig, Variable
from pipeline.config.section import Operational, Seconds
from pipeline.engine.speech_task import SPEECH_TASK


class OpenAISpeechConfig(SpeechEngineConfig):
    """Any endpoint that transcribes as OpenAI's does: vLLM, speaches, LocalAI and others."""

    kind: Literal["openai_speech"] = "openai_speech"
    base_url: Operational[EndpointUrl]
    """Up to and including ``/v1``."""
    model: str
    """The name under which it serves the model."""
    api_key_env: Operational[Variable | None] = None
    """Name of the environment variable that holds the key; it must be set on every node."""
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    """As ``en``; None lets the model find out in each stretch, so that languages may change."""
    max_requests_per_minute: Operational[float | None] = Field(default=None, gt=0)
    """Of the whole run, repeated requests included."""
    max_retries: Operational[int] = Field(default=6, ge=0)
    """After 408, 409, 429, 5xx, a timeout or a lost connection; waits grow and carry jitter."""
    timeout_s: Operational[Seconds] = Field(default=300.0, gt=0)
    """For one request, from connecting to the last byte of its answer."""
    args: Args = Field(default_factory=dict)
    """Further form fields, by the API's own names; null leaves one of ours out."""

    @property
    def answers_as(self) -> str:
        """The name of the model."""
        return self.model


def _open_speech(settings: OpenAISpeechConfig) -> SpeechEngine:
    from pipeline.engine.openai_speech.engine import OpenAISpeechEngine  # noqa: PLC0415

    return OpenAISpeechEngine(settings)


KIND = EngineKind(
    settings=OpenAISpeechConfig, wants_rgb=False, open_speech=_open_speech, task=SPEECH_TASK
)
