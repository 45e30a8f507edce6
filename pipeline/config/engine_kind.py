"""What an engine is to the rest: how it answers, and one frozen description of its kind."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pipeline.config.engines import (
    EngineConfig,
    ModelEngineConfig,
    RatesConfig,
    SpeechEngineConfig,
)
from pipeline.config.footage import FrameConfig, PlanConfig
from pipeline.config.run import SummariesConfig
from pipeline.config.task import Task
from pipeline.records import Completion, Said, Stretch, Window


class ShardEngine(Protocol):
    """Answers the consecutive windows of one shard, in order."""

    def answer(self, windows: Iterable[Window]) -> Iterator[Completion]:
        """Yield one completion per window; ``error`` is set where a window has no valid answer."""
        ...


class ModelEngine(Protocol):
    """Answers windows independently of each other; calls overlap."""

    async def answer(self, window: Window) -> Completion:
        """Answer one window.

        Raises:
            WindowError: this window has no valid answer; the others go on.
            EngineDiedError: no window can be answered any more, by this engine.
        """
        ...

    def shutdown(self) -> None:
        """Stop what the engine has started."""
        ...


class SpeechEngine(Protocol):
    """Tells what is said in stretches of sound, one after the other."""

    def transcribe(self, stretch: Stretch) -> tuple[Said, ...]:
        """What is said in at most 30 seconds of one track; media time.

        Raises:
            WindowError: there is no answer that can be believed; other stretches go on.
        """
        ...

    def shutdown(self) -> None:
        """Stop what the engine has started."""
        ...


class TextEngine(Protocol):
    """Answers messages without pictures, many at once: what writes summaries."""

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        ...

    def num_tokens(self, text: str) -> int:
        """How many tokens the model needs for ``text``; an upper bound will do."""
        ...

    async def ask(self, messages: list[dict[str, Any]], schema: str) -> Completion:
        """Answer in JSON of ``schema`` (text).

        Raises:
            SummaryError: there is no answer.
            EngineDiedError: nothing can be asked any more, of this engine.
        """
        ...

    def shutdown(self) -> None:
        """Stop what the engine has started."""
        ...


class PromptCounter(Protocol):
    """Counts the tokens of prompts of one task for one model."""

    @property
    def is_exact(self) -> bool:
        """Whether the model's own tokenizer counts."""
        ...

    def of(self, frame_ns: Sequence[int], start_ns: int, *, num_pixels: int) -> int:
        """Tokens of the prompt for frames of ``num_pixels`` at these media times."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What windows will take, known before the model is asked."""

    prompt_tokens: PromptCounter
    max_output_tokens: int
    """Of one window, thoughts included."""
    rates: RatesConfig | None


Settings = TypeVar("Settings", bound=EngineConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind(Generic[Settings]):
    """One kind of engine: the object that an entry point of ``timereel.engines`` names.

    An engine has one of ``open_shards``, ``open_model``, ``open_speech`` and ``reads_captions``.
    Every setting decides an answer but for those that its section marks ``Operational``.

    Raises:
        ValueError: it opens neither or both, or its settings are not those of a model.
    """

    settings: type[Settings]
    wants_rgb: bool
    """Whether it looks at colour frames; the small grey ones are always there."""
    packages: tuple[str, ...] = ()
    """Python packages of which one must be installed; none if empty."""
    open_shards: Callable[[Settings, Task], ShardEngine] | None = None
    """Opens what answers the windows of one shard, inside the task that decodes it."""
    open_model: Callable[[Settings, Task, FrameConfig, PlanConfig], ModelEngine] | None = None
    """Opens one replica of a model, in an actor of its own; raises EngineStartError."""
    open_text: Callable[[Settings, SummariesConfig], TextEngine] | None = None
    """Opens the same model for words alone; without it summaries count and quote."""
    open_speech: Callable[[Settings], SpeechEngine] | None = None
    """Opens one replica of what listens, in an actor of its own; raises EngineStartError."""
    reads_captions: bool = False
    """Whether it tells what the captions of a recording say, and listens to nothing."""
    task: Task | None = None
    """The task of an engine that always looks for the same; None for a model."""
    dark_label: str = ""
    """Of ``task``: the label of a dark picture, which tests the engine's times."""
    tracks_objects: bool = False
    """Whether each of its events is about one object, with its boxes over time."""
    forecast: Callable[[Settings, Task], Forecast | None] | None = None
    """What its windows will take; None where these settings do not let it be known."""
    resolve: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Fills in what names in the settings of a run stand for, before they are validated."""

    def __post_init__(self) -> None:
        """Whether the parts fit each other."""
        is_model = issubclass(self.settings, ModelEngineConfig)
        hears = issubclass(self.settings, SpeechEngineConfig)
        opens = (
            self.open_shards is not None,
            self.open_model is not None,
            (self.open_speech is not None) != self.reads_captions,
        )
        if opens != (not is_model and not hears, is_model, hears) or (
            self.open_text and not is_model
        ):
            raise ValueError(
                f"{self.settings.__name__}: the settings of an engine with open_model (and of no "
                "other) extend ModelEngineConfig, those of one with open_speech or reads_captions "
                "SpeechEngineConfig; one without these needs open_shards"
            )
        if self.dark_label and (self.task is None or self.dark_label not in self.task.labels):
            raise ValueError(f"dark_label={self.dark_label}: is no label of task")
