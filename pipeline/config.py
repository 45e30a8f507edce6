"""One frozen settings tree per run. Defaults stand here and nowhere else.

A YAML file is whole: no inheritance. Unknown keys are refused, ``None`` means off.
"""

import hashlib
import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.catalogue import resolved
from pipeline.errors import ConfigError
from pipeline.task import SIGNALS_TASK, Task
from pipeline.timebase import ClockCorrection, datetime_to_ns, seconds_to_ns
from pipeline.weights import weights_id

# Raise when decoding, gating, prompting, parsing or stitching change what comes out.
ALGORITHM_VERSION = 1
# Raise when chapters or the checks of a summary change.
SUMMARIES_VERSION = 2


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourcesConfig(_Section):
    """Which files, which camera each belongs to, and when it began."""

    locations: tuple[str, ...] = ()
    """Files, folders, globs, URLs and list files, where the command line names none."""
    templates: tuple[str, ...] = (
        "{camera}_{start:%Y%m%dT%H%M%S%z}",
        "{camera}/{start:%Y%m%dT%H%M%S%z}",
        "{camera}_{start:%Y%m%dT%H%M%S.%f%z}",
        "{camera}/{start:%Y%m%dT%H%M%S.%f%z}",
    )
    """Matched against the end of the path without its extension; ``/`` separates folders."""
    regexes: tuple[str, ...] = ()
    """With named groups ``camera`` and ``start`` (ISO 8601), tried after the templates."""
    camera: str | None = None
    """For every file whose path names none; None takes the file's own name."""
    timezone: str = "UTC"
    """IANA zone of times written without one."""
    ambiguous: Literal["earlier", "later", "refuse"] = "earlier"
    """Which of the two is meant in the hour that comes twice when summer time ends."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError) as exc:
            raise ValueError(f"{name!r} is no IANA time zone; try Europe/Berlin") from exc
        return name


class CameraClock(_Section):
    """What must be added to the time that a camera's clock shows to get UTC."""

    offset_s: float = Field(default=0.0, ge=-1e10, le=1e10)
    rate_ppm: float = Field(default=0.0, ge=-100_000, le=100_000)
    """Microseconds per second that passed: positive for a clock that runs slow."""
    since: datetime | None = None
    """When the clock was right (before ``offset_s``) and has drifted since. Without it the start of
    every file is right, and ``rate_ppm`` counts from there."""

    @property
    def correction(self) -> ClockCorrection:
        """The same in integers; ``since`` is UTC where it names no zone."""
        since = self.since
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        return ClockCorrection(
            offset_ns=seconds_to_ns(self.offset_s),
            rate_ppb=round(self.rate_ppm * 1000),
            since_ns=None if since is None else datetime_to_ns(since),
        )


class ClockConfig(CameraClock):
    """How far the cameras' clocks are to be believed."""

    cameras: dict[str, CameraClock] = Field(default_factory=dict)
    """By camera name or glob; the first that matches takes the place of the values above."""

    def of(self, camera: str) -> ClockCorrection:
        """What holds for one camera."""
        found = (own for name, own in self.cameras.items() if fnmatchcase(camera, name))
        return next(found, self).correction


class SampleConfig(_Section):
    """Which frames are looked at."""

    fps: float = Field(default=10.0, gt=0, le=1000)
    """Points of the sample grid per second; a frame is taken if it is on screen at one."""
    mode: Literal["exact", "within", "keyframe"] = "exact"
    """``within`` takes a cheaper frame that begins no further than ``tolerance_s`` from the grid
    point, ``keyframe`` the keyframe that came last. Every frame keeps its own true time."""
    tolerance_s: float | None = Field(default=None, gt=0)
    """Of ``within``; None is half a step of the grid, which is also the most."""
    max_gap_s: float = Field(default=10.0, gt=0)
    """A frame followed by none for longer (and for 10 usual intervals) ends the footage."""

    @property
    def tolerance(self) -> float:
        """Seconds by which ``within`` may leave the grid."""
        return 0.5 / self.fps if self.tolerance_s is None else self.tolerance_s

    @model_validator(mode="after")
    def _one_frame_per_point(self) -> Self:
        if self.tolerance > 0.5 / self.fps:
            raise ValueError(
                f"sample.tolerance_s={self.tolerance_s} is more than half a step of the grid"
                f" ({0.5 / self.fps:g} s at sample.fps={self.fps:g})"
            )
        return self


class FrameConfig(_Section):
    """How large pictures are; both keep the aspect ratio and never enlarge."""

    luma_width: int = Field(default=160, ge=32, le=640)
    rgb_max_pixels: int = Field(default=768 * 448, ge=32 * 32)
    """Pixel budget of one frame for a model; sides become multiples of 32."""


class DecodeConfig(_Section):
    """Limits that protect a worker from hostile files."""

    max_pixels: int = Field(default=64_000_000, gt=0)
    """Coded width x height; larger videos are failed before they are decoded."""
    max_packets: int = Field(default=20_000_000, gt=0)
    max_duration_s: float = Field(default=31 * 86_400.0, gt=0)
    """From the first frame to the end of the last, by their times; headers are not believed."""
    max_stall_s: float = Field(default=120.0, gt=0)
    """A worker that waits longer for one packet to be read or decoded is ended and replaced."""
    max_shard_s: float = Field(default=4 * 3600.0, gt=0)
    """Seconds of decoding after which the rest of a shard is failed."""


# What they let pass is the same whatever they are.
_LIMITS = ("max_pixels", "max_packets", "max_duration_s", "max_stall_s", "max_shard_s")


class PlanConfig(_Section):
    """How videos are cut."""

    shard_cost_s: float = Field(default=30.0, gt=0)
    """Predicted CPU seconds of decoding per shard; cuts fall on keyframes."""
    max_window_frames: int = Field(default=1000, ge=1)
    """A window is one prompt; the frames of a shard are shared out evenly."""


class GateConfig(_Section):
    """Which windows need no engine."""

    kind: Literal["none", "motion"] = "none"
    threshold: float = Field(default=6.0, gt=0)
    """Robust standard deviations by which one block of the picture must change."""


class SignalsEngineConfig(_Section):
    """The embedded engine: no model, any video."""

    kind: Literal["signals"] = "signals"
    min_event_s: float = Field(default=0.3, ge=0)
    """Shorter motion is noise."""
    merge_gap_s: float = Field(default=1.5, ge=0)
    """Motion that pauses for less goes on."""
    standing_s: float = Field(default=90.0, gt=0)
    """What has stood perfectly still for so long has become part of the scene."""
    frozen_s: float = Field(default=20.0, gt=0)


class RatesConfig(_Section):
    """What a GPU is assumed to do and to cost. Only ``timereel plan`` and budgets use it."""

    gpu: str = ""
    prompt_tokens_per_gpu_s: float = Field(gt=0)
    output_tokens_per_gpu_s: float = Field(gt=0)
    output_tokens_per_window: float = Field(default=200.0, gt=0)
    usd_per_gpu_hour: float = Field(default=2.5, ge=0)
    error_factor: float = Field(default=2.0, ge=1)
    """The truth is taken to lie between a figure divided and multiplied by this."""
    source: str = ""


class VerifyConfig(_Section):
    """The second look: short ranges around the borders of what was found, with more frames."""

    fps: float = Field(default=4.0, gt=0, le=1000)
    reach_s: float = Field(default=2.0, gt=0)
    """Time shown to either side of a border; more than a border may be off."""
    max_looks: int = Field(default=8, gt=0)
    """Per window: what a second look may cost at most."""


class ModelEngineConfig(_Section):
    """What every engine that asks a model has."""

    model: str
    max_output_tokens: int = Field(default=1024, gt=0)
    """Of the answer alone."""
    max_concurrency: int = Field(default=16, gt=0)
    """Requests in flight per replica."""
    replicas: int = Field(default=1, gt=0)
    verify: VerifyConfig | None = None
    """Check each event once more, at its borders; None takes the first answer."""


class VllmEngineConfig(ModelEngineConfig):
    """Qwen3-VL, or any other vision model of vLLM's, inside Ray actors.

    ``model`` is a name of ``configs/models``, hub id, local folder, or s3://, gs:// or az:// URL.
    """

    kind: Literal["vllm"]
    frames: Literal["video", "images"] = "video"
    """``video``: Qwen3-VL's way, exact times before each pair of frames. ``images``: for any other
    vision model; each frame goes as an image after its own time."""
    weights: str | None = None
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
    rates: RatesConfig | None = None


class OpenAIEngineConfig(ModelEngineConfig):
    """Any OpenAI-compatible endpoint. ``model`` is the name it serves the model under."""

    kind: Literal["openai"]
    num_gpus: ClassVar[float] = 0.0
    base_url: str = Field(pattern=r"^https?://")
    """Up to and including ``/v1``."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; it must be set on every node."""
    server: Literal["any", "vllm"] = "any"
    """``any``: frames go as images, each after its own time as text. ``vllm``: they go as one video
    with exact times, for half the tokens, and the server's own tokens show what the model saw."""
    max_requests_per_minute: float | None = Field(default=None, gt=0)
    """Of the whole run, repeated requests included."""
    max_retries: int = Field(default=6, ge=0)
    """After 408, 409, 429, 5xx, a timeout or a lost connection; waits grow and carry jitter."""
    timeout_s: float = Field(default=300.0, gt=0)
    """For one request, its answer included."""
    jpeg_quality: int = Field(default=92, ge=1, le=100)
    args: dict[str, Any] = Field(default_factory=dict)
    """Further request fields, by the API's own names; null leaves one of ours out."""


# Sections that say where, when and for how much a run works.
_NOT_WHAT_A_ROW_SAYS = (
    "index",
    "sources",
    "clock",
    "summaries",
    "commit",
    "budget",
    "cluster",
    "embedding",
    "retention_days",
)
# How an engine is reached and how fast it is asked.
_NOT_THE_ANSWER = (
    "replicas",
    "max_concurrency",
    "rates",
    "base_url",
    "api_key_env",
    "max_requests_per_minute",
    "max_retries",
    "timeout_s",
)


def _engine_kind(section: Any) -> str:  # noqa: ANN401 - a mapping from YAML, or a section
    if isinstance(section, dict):
        return str(section.get("kind", "signals"))
    return str(section.kind)


EngineConfig = Annotated[
    Annotated[SignalsEngineConfig, Tag("signals")]
    | Annotated[VllmEngineConfig, Tag("vllm")]
    | Annotated[OpenAIEngineConfig, Tag("openai")],
    Discriminator(_engine_kind),
]


class StitchConfig(_Section):
    """How observations become events."""

    max_gap_s: float = Field(default=2.0, ge=0)
    """Same label and fields, no further apart: one event."""


class SummariesConfig(_Section):
    """How chapters, videos and days are told; changing it never does a video again."""

    level: Literal["chapter", "video", "day"] | None = None
    """Written at the end of each run, up to this; None leaves it to ``timereel summarize``."""
    instructions: str = ""
    """Added to the question: a language, or what matters to the readers."""
    max_sentences: int = Field(default=6, gt=0, le=50)
    """Of one text."""
    max_prompt_tokens: int = Field(default=8192, gt=0)
    """Of one call; longer logs are told in parts first. The model's context bounds it, too."""
    max_output_tokens: int = Field(default=1536, gt=0)
    min_chapter_s: float = Field(default=60.0, ge=0)
    max_chapter_s: float = Field(default=900.0, gt=0)
    gap_s: float = Field(default=300.0, gt=0)
    """So long a time without anything to tell ends a chapter."""


class CommitConfig(_Section):
    """How often results reach the index."""

    shards: int = Field(default=256, gt=0)
    seconds: float = Field(default=60.0, gt=0)
    batch_videos: int | None = Field(default=None, gt=0)
    """Sources probed and planned together; None: 256, or 4096 where a model is loaded per batch."""
    batch_bytes: int = Field(default=10**12, gt=0)
    """Of the sources in a batch; the driver holds about 0.3 MB per hour of footage."""


class BudgetConfig(_Section):
    """Where a run stops by itself. What is whole is kept; the same command goes on from there."""

    max_tokens: int | None = Field(default=None, gt=0)
    """Of prompts and answers together."""
    max_gpu_hours: float | None = Field(default=None, gt=0)
    """Of all replicas, idle or not, since the first was asked for."""


class ClusterConfig(_Section):
    """What the Ray graph may use; the answers do not depend on it."""

    decode_cpus: float = Field(default=1.0, gt=0)
    """CPUs per decode task; one process per core is fastest."""
    max_decode_tasks: int | None = Field(default=None, gt=0)
    object_store_bytes: int | None = Field(default=None, gt=0)
    """Of the embedded Ray; None lets Ray choose."""


class EmbeddingConfig(_Section):
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
    timeout_s: float = Field(default=60.0, gt=0)


class Config(_Section):
    """Everything a run may be told."""

    index: str | None = None
    """Folder or URL of the index, where the command line names none."""
    task: Task = SIGNALS_TASK
    sources: SourcesConfig = SourcesConfig()
    clock: ClockConfig = ClockConfig()
    sample: SampleConfig = SampleConfig()
    frame: FrameConfig = FrameConfig()
    decode: DecodeConfig = DecodeConfig()
    plan: PlanConfig = PlanConfig()
    gate: GateConfig = GateConfig()
    engine: EngineConfig = SignalsEngineConfig()
    stitch: StitchConfig = StitchConfig()
    summaries: SummariesConfig = SummariesConfig()
    commit: CommitConfig = CommitConfig()
    budget: BudgetConfig = BudgetConfig()
    cluster: ClusterConfig = ClusterConfig()
    embedding: EmbeddingConfig | None = None
    """Only asked by ``timereel embed`` and ``timereel search --semantic``."""
    retention_days: dict[str, float | None] = Field(default_factory=dict)
    """Camera or glob -> days that are kept; the first that matches decides, None keeps all."""

    def keep_days(self, camera: str) -> float | None:
        """How many days of a camera are kept; None keeps all."""
        days = (d for glob, d in self.retention_days.items() if fnmatchcase(camera, glob))
        return next(days, None)

    @property
    def wants_rgb(self) -> bool:
        """Whether the engine looks at colour pictures."""
        return self.engine.kind != "signals"

    @property
    def batch_videos(self) -> int:
        """Sources in a batch: many where GPUs would idle while the next one is probed."""
        return self.commit.batch_videos or (4096 if self.wants_rgb else 256)

    @property
    def num_gpus(self) -> float:
        """GPUs that all replicas hold together."""
        engine = self.engine
        return engine.num_gpus * engine.replicas if isinstance(engine, VllmEngineConfig) else 0.0

    @property
    def model(self) -> str:
        """What answers, as the rows name it."""
        match self.engine:
            case SignalsEngineConfig():
                return f"signals-{ALGORITHM_VERSION}"
            case VllmEngineConfig(model=model, revision=revision):
                return f"{model}@{revision}" if revision else model
            case OpenAIEngineConfig(model=model):
                return model

    @property
    def prompt_id(self) -> str:
        """Names the exact question: system text, prompt, labels and answer schema."""
        return _digest([self.task.system, self.task.question, self.task.json_schema()])

    @property
    def fingerprint(self) -> str:
        """Names everything that decides what a row says, but for what names the video itself.

        A model folder counts by what it holds, wherever it lies. Content, camera and corrected
        clock are in ``video_id``: setting one clock does not send all cameras back to the model.
        """
        kept = self.model_dump(mode="json", exclude={*_NOT_WHAT_A_ROW_SAYS, "engine"})
        for limit in _LIMITS:
            kept["decode"].pop(limit)
        return _digest([ALGORITHM_VERSION, kept | {"engine": self._answering()}])

    @property
    def summaries_fingerprint(self) -> str:
        """Names everything but the inputs that decides what a summary says."""
        # Without a model nothing of the engine matters: events are counted, captions quoted.
        engine = None if self.engine.kind == "signals" else self._answering()
        kept = self.summaries.model_dump(mode="json", exclude={"level"})
        return _digest([SUMMARIES_VERSION, kept, engine])

    def _answering(self) -> dict[str, Any]:
        """What of the engine decides an answer; a model folder counts by what it holds."""
        kept = self.engine.model_dump(mode="json")
        for key in _NOT_THE_ANSWER:
            kept.pop(key, None)
        if isinstance(self.engine, VllmEngineConfig):
            for key in ("model", "weights"):
                if where := kept[key]:
                    kept[key] = weights_id(where) or where
        return kept

    def to_json(self) -> str:
        """The resolved tree, as it is stored with the run."""
        return self.model_dump_json()


def _digest(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def load_config(path: Path | None = None, overrides: tuple[str, ...] = ()) -> Config:
    """Read a YAML file, apply ``key.path=value`` overrides, validate once.

    ``task`` may be the path of a task file, relative to the config file; ``engine.model`` may be
    a name of the model catalogue. Without ``path`` the defaults run: the signals engine.

    Raises:
        ConfigError: names the file and each wrong key with its value.
    """
    tree = _read_yaml(path) if path else {}
    for override in overrides:
        _apply(tree, override)
    if isinstance(tree.get("task"), str):
        tree["task"] = _read_yaml((path.parent if path else Path()) / tree["task"])
    try:
        return Config.model_validate(resolved(tree))
    except ValidationError as exc:
        raise ConfigError(_explain(path, exc)) from exc


def stored_config(text: str, overrides: tuple[str, ...] = ()) -> Config:
    """The tree that ``Config.to_json`` wrote, with overrides.

    Raises:
        ConfigError: names each wrong key with its value.
    """
    tree = json.loads(text)
    for override in overrides:
        _apply(tree, override)
    try:
        return Config.model_validate(tree)
    except ValidationError as exc:
        raise ConfigError(_explain(Path("the stored config"), exc)) from exc


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}); check the path") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: is not YAML: {exc}") from exc
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{path}: must hold keys and values, not {type(tree).__name__}")
    return tree or {}


def _apply(tree: dict[str, Any], override: str) -> None:
    dotted, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {override}: must look like sample.fps=2")
    *parents, leaf = dotted.split(".")
    node = tree
    for key in parents:
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {override}: {key} is a value, not a section")
    try:
        node[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as exc:
        raise ConfigError(f"--set {override}: {value!r} is not a YAML value: {exc}") from exc


_NO_SUCH_KEY = "there is no such setting; `timereel config show FILE` lists all"


def _explain(path: Path | None, exc: ValidationError) -> str:
    lines = [
        f"  {'.'.join(map(str, error['loc'])) or 'config'} = {error['input']!r}: "
        + (_NO_SUCH_KEY if error["type"] == "extra_forbidden" else error["msg"])
        for error in exc.errors()
    ]
    return "\n".join([f"{path or 'config'} is not valid:", *lines])
