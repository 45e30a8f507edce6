"""The engine ``openai``: any OpenAI-compatible endpoint; its model runs somewhere else."""

from typing import Literal

from pydantic import Field

from pipeline.config.engine_kind import EngineKind, ModelEngine, TextEngine
from pipeline.config.engines import Args, EndpointUrl, ModelEngineConfig, Variable
from pipeline.config.footage import FrameConfig, PlanConfig
from pipeline.config.run import SummariesConfig
from pipeline.config.section import Operational, Seconds
from pipeline.config.task import Task


class OpenAIEngineConfig(ModelEngineConfig):
    """Any OpenAI-compatible endpoint. ``model`` is the name it serves the model under."""

    kind: Literal["openai"]
    base_url: Operational[EndpointUrl]
    """Up to and including ``/v1``."""
    api_key_env: Operational[Variable | None] = None
    """Name of the environment variable that holds the key; it must be set on every node."""
    server: Literal["any", "vllm"] = "any"
    """``any``: frames go as images, each after its own time as text. ``vllm``: they go as one video
    with exact times, for half the tokens, and the server's own tokens show what the model saw."""
    max_requests_per_minute: Operational[float | None] = Field(default=None, gt=0)
    """Of the whole run, repeated requests included."""
    max_retries: Operational[int] = Field(default=6, ge=0)
    """After 408, 409, 429, 5xx, a timeout or a lost connection; waits grow and carry jitter."""
    timeout_s: Operational[Seconds] = Field(default=300.0, gt=0)
    """For one request, from connecting to the last byte of its answer."""
    jpeg_quality: int = Field(default=92, ge=1, le=100)
    """Quality of the pictures that are sent, from 1 to 100."""
    args: Args = Field(default_factory=dict)
    """Further request fields, by the API's own names; null leaves one of ours out."""

    @property
    def reads_markers(self) -> bool:
        """Of all servers, vLLM's alone tells the tokens of its prompts."""
        return self.server == "vllm"


def _open_model(
    settings: OpenAIEngineConfig, task: Task, _frame: FrameConfig, _plan: PlanConfig
) -> ModelEngine:
    from pipeline.engine.openai.windows import OpenAIEngine  # noqa: PLC0415 - once it is asked

    return OpenAIEngine(settings, task=task)


def _open_text(settings: OpenAIEngineConfig, summaries: SummariesConfig) -> TextEngine:
    from pipeline.engine.openai.text import OpenAITextEngine  # noqa: PLC0415 - once it is asked

    return OpenAITextEngine(settings, summaries)


KIND = EngineKind(
    settings=OpenAIEngineConfig,
    wants_rgb=True,
    open_model=_open_model,
    open_text=_open_text,
)
