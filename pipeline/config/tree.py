"""The whole tree, and which of it decides what a row says."""

import hashlib
import json
from collections.abc import Collection, Iterable
from glob import escape
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.alerts import AlertsConfig
from pipeline.config.embedding import EmbeddingConfig
from pipeline.config.engine_kind import EngineKind
from pipeline.config.engines import ModelEngineConfig, SpeechEngineConfig
from pipeline.config.footage import (
    ClockConfig,
    DecodeConfig,
    FrameConfig,
    GateConfig,
    PlanConfig,
    SampleConfig,
    SourcesConfig,
)
from pipeline.config.registry import (
    AnyEngineConfig,
    AnySpeechConfig,
    default_engine,
    default_task,
    find_kind,
)
from pipeline.config.run import (
    BudgetConfig,
    ClusterConfig,
    CommitConfig,
    EvidenceConfig,
    SlidesConfig,
    StitchConfig,
    SummariesConfig,
)
from pipeline.config.section import Operational, Section
from pipeline.config.task import Task
from pipeline.config.voices import VoicesConfig
from pipeline.config.zones import ZoneConfig
from pipeline.records.camera_names import for_known, of_camera

# Raise when decoding, gating, prompting, parsing or stitching change what comes out.
ALGORITHM_VERSION = 1
# Raise when cutting sound or sentences changes what is heard.
SPEECH_VERSION = 1
# Raise when telling voices apart changes who speaks.
VOICES_VERSION = 1
# Raise when chapters or the checks of a summary change.
SUMMARIES_VERSION = 2

SLIDES_WIDTH = 320
"""Pixels that a grey picture must have across, for slides."""

Days = Annotated[float, Field(ge=0, le=36_525)]
"""At most a century."""


ZoneName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
"""``none`` is what a query calls everything outside of zones."""


class Config(Section):
    """All settings of a run."""

    index: Operational[str | None] = None
    """Folder or URL of the index, where the command line names none."""
    task: Task = Field(default_factory=default_task)
    sources: Operational[SourcesConfig] = SourcesConfig()
    clock: Operational[ClockConfig] = ClockConfig()
    sample: SampleConfig = SampleConfig()
    frame: FrameConfig = FrameConfig()
    decode: DecodeConfig = DecodeConfig()
    plan: PlanConfig = PlanConfig()
    gate: GateConfig = GateConfig()
    engine: AnyEngineConfig = Field(default_factory=default_engine)
    speech: Operational[AnySpeechConfig | None] = None
    """What tells what is said, as ``kind: captions``, with the settings that ``engine`` has for
    that kind. It is a pass of its own: changing it does not ask ``engine`` again."""
    stitch: StitchConfig = StitchConfig()
    zones: Operational[dict[ZoneName, ZoneConfig]] = Field(default_factory=dict)
    """Zones and lines by name. Their events are derived from boxes, so no model is asked again."""
    slides: SlidesConfig | None = None
    """Which pages are shown and when, for the table ``slides``; None does not look for any. Needs
    ``frame.luma_width`` of 320 or more."""
    summaries: Operational[SummariesConfig] = SummariesConfig()
    evidence: Operational[EvidenceConfig] = EvidenceConfig()
    commit: Operational[CommitConfig] = CommitConfig()
    budget: Operational[BudgetConfig] = BudgetConfig()
    alerts: Operational[AlertsConfig] = AlertsConfig()
    cluster: Operational[ClusterConfig] = ClusterConfig()
    embedding: Operational[EmbeddingConfig | None] = None
    """Only asked by ``timereel embed``, ``search --semantic`` and ``mcp``."""
    retention_days: Operational[dict[str, Days | None]] = Field(default_factory=dict)
    """Camera or glob -> days that are kept, None keeps all; the name itself decides, or else the
    first glob that matches."""

    @field_validator("zones")
    @classmethod
    def _no_zone_is_none(cls, zones: dict[str, ZoneConfig]) -> dict[str, ZoneConfig]:
        if "none" in zones:
            raise ValueError("none: a query calls everything outside of zones so; another name")
        return zones

    @model_validator(mode="after")
    def _objects_are_looked_for_in_colour(self) -> Self:
        if self.gate.objects is not None and not self.wants_rgb:
            raise ValueError(
                f"gate.objects is for engines that look at colour; {self.engine.kind} does not"
            )
        if self.gate.objects is not None and self.gate.objects.tell and not self.asks_a_model:
            raise ValueError(f"gate.objects.tell: {self.engine.kind} is no model that can be told")
        return self

    @model_validator(mode="after")
    def _legible_pages(self) -> Self:
        if self.slides and self.frame.luma_width < SLIDES_WIDTH:
            raise ValueError(
                f"frame.luma_width={self.frame.luma_width}: slides are not told apart in pictures"
                f" so small; set frame.luma_width to {SLIDES_WIDTH}, or slides to null"
            )
        return self

    def keep_days(self, camera: str) -> float | None:
        """How many days of a camera are kept; None keeps all."""
        return of_camera(self.retention_days, camera, None)

    def knowing(self, cameras: Collection[str]) -> Self:
        """The same, with every setting under the name of one of these cameras meant for it alone.

        Whoever knows the cameras asks this first; a config by itself cannot tell names from globs.
        """
        clock = self.clock.model_copy(update={"cameras": for_known(self.clock.cameras, cameras)})
        days = for_known(self.retention_days, cameras)
        zones = {
            name: zone.model_copy(update={"camera": escape(zone.camera)})
            if zone.camera in cameras
            else zone
            for name, zone in self.zones.items()
        }
        return self.model_copy(update={"clock": clock, "retention_days": days, "zones": zones})

    def zones_of(self, camera: str) -> dict[str, ZoneConfig]:
        """The zones in the pictures of a camera, by name."""
        return {name: zone for name, zone in self.zones.items() if zone.is_of(camera)}

    def zones_id(self, camera: str) -> str:
        """Names what is reported of a camera's zones; "" if it has none."""
        zones = {
            name: zone.model_dump(mode="json", exclude={"camera"})
            for name, zone in self.zones_of(camera).items()
        }
        return _digest(zones) if zones else ""

    def naming(self, locations: Iterable[str]) -> Self:
        """The same for a run over ``locations``, which the user has named."""
        return self.model_copy(update={"sources": self.sources.naming(locations)})

    @property
    def engine_kind(self) -> EngineKind[Any]:
        """What the engine is and how it opens."""
        return find_kind(self.engine.kind)

    @property
    def hears(self) -> bool:
        """Whether the engine tells what is said, and not what is seen."""
        return isinstance(self.engine, SpeechEngineConfig)

    @property
    def voices(self) -> VoicesConfig | None:
        """What tells speakers apart by their voices; None if nothing does."""
        return self.engine.voices if isinstance(self.engine, SpeechEngineConfig) else None

    @property
    def listening(self) -> Self | None:
        """The pass of the same run that listens; None if there is none."""
        if self.hears or self.speech is None:
            return self if self.hears else None
        task = find_kind(self.speech.kind).task or self.task
        return self.model_copy(
            update={
                "task": task,
                "engine": self.speech,
                "speech": None,
                "summaries": SummariesConfig(),
                "zones": {},
            }
        )

    @property
    def listed_sources(self) -> SourcesConfig:
        """How files are listed: with recordings of sound alone, where the run listens."""
        sound = self.sources.sound or self.listening is not None
        return self.sources.model_copy(update={"sound": sound})

    @property
    def asks_a_model(self) -> bool:
        """Whether windows are answered by a model, each for itself, outside of decode tasks."""
        return isinstance(self.engine, ModelEngineConfig)

    @property
    def wants_rgb(self) -> bool:
        """Whether the engine looks at colour pictures."""
        return self.engine_kind.wants_rgb

    @property
    def reads_pages(self) -> bool:
        """Whether the words on slides are read."""
        return self.slides is not None and self.slides.read_text

    @property
    def tracks_objects(self) -> bool:
        """Whether each event is about one object, so that its boxes say what continues it."""
        return self.task.boxes or self.engine_kind.tracks_objects

    @property
    def writes_summaries(self) -> bool:
        """Whether the engine's model can write them; else they count events and quote captions."""
        return self.engine_kind.open_text is not None

    @property
    def batch_videos(self) -> int:
        """Sources in a batch: many where GPUs would idle while the next one is probed."""
        return self.commit.batch_videos or (4096 if self.asks_a_model else 256)

    @property
    def num_gpus(self) -> float:
        """GPUs that all replicas hold together."""
        engine = self.engine
        return (
            engine.gpus_per_replica * engine.replicas
            if isinstance(engine, ModelEngineConfig | SpeechEngineConfig)
            else 0.0
        )

    @property
    def model(self) -> str:
        """What answers, as the rows name it."""
        engine = self.engine
        return (
            engine.answers_as
            if isinstance(engine, ModelEngineConfig | SpeechEngineConfig)
            else f"{engine.kind}-{ALGORITHM_VERSION}"
        )

    @property
    def prompt_id(self) -> str:
        """Names the exact question: system text, prompt, labels and answer schema."""
        return _digest([self.task.system, self.task.question, self.task.json_schema()])

    @property
    def fingerprint(self) -> str:
        """Names everything that decides what a row says, but for what names the video itself.

        Content, camera and corrected clock are in ``video_id``: setting one clock does not send
        all cameras back to the model.
        """
        kept = self.answering()
        if self.hears:  # what only decides how pictures are looked at decides nothing here
            versions = [SPEECH_VERSION] if self.voices is None else [SPEECH_VERSION, VOICES_VERSION]
            return _digest([*versions, self.task.name, kept["engine"]])
        if self.slides is None:
            del kept["slides"]  # earlier versions did not look for any
        if any(field.description for field in self.task.fields.values()):
            # Earlier prompts had no descriptions: an answer without them is another answer.
            kept["question"] = self.task.question
        return _digest([ALGORITHM_VERSION, kept])

    @property
    def summaries_fingerprint(self) -> str:
        """Names everything but the inputs that decides what a summary says."""
        # Without a model nothing of the engine matters: events are counted, captions quoted.
        engine = self.engine.answering() if self.writes_summaries else None
        return _digest([SUMMARIES_VERSION, self.summaries.answering(), engine])

    def to_json(self) -> str:
        """The resolved tree, as it is stored with the run, but for who is told what."""
        return self.model_dump_json(exclude={"alerts"})


def _digest(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
