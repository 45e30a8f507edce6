"""What looks at the windows, and what makes vectors of texts."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from pipeline.config.section import ByContent, Operational, Seconds, Section


class SignalsEngineConfig(Section):
    """The embedded engine: no model, any video."""

    kind: Literal["signals"] = "signals"
    min_event_s: Seconds = Field(default=0.3, ge=0)
    """Shorter motion is noise."""
    merge_gap_s: Seconds = Field(default=1.5, ge=0)
    """Motion that pauses for less goes on."""
    standing_s: Seconds = Field(default=90.0, gt=0)
    """What has stood perfectly still for so long has become part of the scene."""
    frozen_s: Seconds = Field(default=20.0, gt=0)


class RatesConfig(Section):
    """What a GPU is assumed to do and to cost. Only ``timereel plan`` and budgets use it."""

    gpu: str = ""
    prompt_tokens_per_gpu_s: float = Field(gt=0)
    output_tokens_per_gpu_s: float = Field(gt=0)
    output_tokens_per_window: float = Field(default=200.0, gt=0)
    usd_per_gpu_hour: float = Field(default=2.5, ge=0)
    error_factor: float = Field(default=2.0, ge=1)
    """The truth is taken to lie between a figure divided and multiplied by this."""
    source: str = ""


class VerifyConfig(Section):
    """The second look: short ranges around the borders of what was found, with more frames."""

    fps: float = Field(default=4.0, ge=0.001, le=1000)
    reach_s: Seconds = Field(default=2.0, gt=0)
    """Time shown to either side of a border; more than a border may be off."""
    max_looks: int = Field(default=8, gt=0)
    """Per window: what a second look may cost at most."""


class ModelEngineConfig(Section):
    """What every engine that asks a model has."""

    model: str
    max_output_tokens: int = Field(default=1024, gt=0)
    """Of the answer alone."""
    max_concurrency: Operational[int] = Field(default=16, gt=0)
    """Requests in flight per replica."""
    replicas: Operational[int] = Field(default=1, gt=0)
    verify: VerifyConfig | None = None
    """Check each event once more, at its borders; None takes the first answer."""


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
    thinking: bool = False
    """A Thinking checkpoint: reasons before it answers, and needs a reasoning parser."""
    max_thinking_tokens: int = Field(default=4096, gt=0)
    """A Thinking checkpoint that reasons for longer is made to answer."""
    num_gpus: float = Field(default=1.0, ge=0)
    """GPUs of one replica (its tensor-parallel size), all on one node; 0 runs on CPU."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Further vLLM engine arguments, by vLLM's own names."""
    rates: Operational[RatesConfig | None] = None


class OpenAIEngineConfig(ModelEngineConfig):
    """Any OpenAI-compatible endpoint. ``model`` is the name it serves the model under."""

    kind: Literal["openai"]
    num_gpus: ClassVar[float] = 0.0
    base_url: Operational[str] = Field(pattern=r"^https?://")
    """Up to and including ``/v1``."""
    api_key_env: Operational[str | None] = None
    """Name of the environment variable that holds the key; it must be set on every node."""
    server: Literal["any", "vllm"] = "any"
    """``any``: frames go as images, each after its own time as text. ``vllm``: they go as one video
    with exact times, for half the tokens, and the server's own tokens show what the model saw."""
    max_requests_per_minute: Operational[float | None] = Field(default=None, gt=0)
    """Of the whole run, repeated requests included."""
    max_retries: Operational[int] = Field(default=6, ge=0)
    """After 408, 409, 429, 5xx, a timeout or a lost connection; waits grow and carry jitter."""
    timeout_s: Operational[Seconds] = Field(default=300.0, gt=0)
    """For one request, its answer included."""
    jpeg_quality: int = Field(default=92, ge=1, le=100)
    args: dict[str, Any] = Field(default_factory=dict)
    """Further request fields, by the API's own names; null leaves one of ours out."""


def _engine_kind(section: object) -> object:
    """Of a mapping from YAML, or of a section; None for anything else."""
    if isinstance(section, dict):
        return section.get("kind", "signals")
    return getattr(section, "kind", None)


EngineConfig = Annotated[
    Annotated[SignalsEngineConfig, Tag("signals")]
    | Annotated[VllmEngineConfig, Tag("vllm")]
    | Annotated[OpenAIEngineConfig, Tag("openai")],
    Discriminator(
        _engine_kind,
        custom_error_type="engine_kind",
        custom_error_message="must be a section whose kind is signals, vllm or openai, such as "
        "engine: {kind: vllm, model: NAME}",
    ),
]


class EmbeddingConfig(Section):
    """An OpenAI-compatible endpoint that makes vectors of texts, for search by meaning."""

    base_url: str = Field(pattern=r"^https?://")
    """Up to and including ``/v1``."""
    model: str
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    question_prefix: str = ""
    """Put before what is looked for, where a model wants an instruction there."""
    batch_texts: int = Field(default=64, gt=0)
    max_retries: int = Field(default=6, ge=0)
    timeout_s: Seconds = Field(default=60.0, gt=0)
