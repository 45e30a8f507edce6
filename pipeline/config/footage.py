"""Which files, when they were taken, and what is made of them before an engine looks."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from pipeline.config.section import ByContent, Operational, Seconds, Section
from pipeline.records.camera_names import of_camera
from pipeline.storage.access import Access, named_hosts
from pipeline.timebase import ClockCorrection, datetime_to_ns, seconds_to_ns

Ambiguous = Literal["earlier", "later", "refuse"]


class SourcesConfig(Section):
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
    profile: str = "auto"
    """How a recorder names its files, tried after both: the name of a profile, as ``frigate``, the
    path of a YAML file, ``auto`` for all that timereel knows, or ``none``."""
    sound: bool = False
    """Whether folders are searched for recordings of sound alone, too; where a run listens, they
    always are."""
    camera: str | None = None
    """For every file whose path names none; None takes the file's own name."""
    timezone: str = "UTC"
    """IANA zone of times written without one."""
    ambiguous: Ambiguous = "earlier"
    """Which of the two is meant in the hour that comes twice when summer time ends."""
    settle_s: Seconds = Field(default=0.0, ge=0)
    """A file that was modified less than so long ago is still being written: its end, from the
    last cut between two shards, is left to a later run. 0 takes every file as it is."""

    roots: tuple[str, ...] = ()
    """Folders and prefixes of URLs; nothing outside of them is opened, also not through links, list
    files or ``..``. Without any, list files may name every path that this user may read."""
    hosts: tuple[str, ...] = ("*",)
    """Servers that ``http(s)://`` may ask, as ``name`` or ``name:port``; ``*`` is every public one.
    Private, loopback and link-local addresses must be listed. What you name yourself, on the
    command line or in ``locations``, counts as listed."""

    @property
    def access(self) -> Access:
        """What of this may be opened."""
        return Access(roots=self.roots, hosts=self.hosts)

    def naming(self, locations: Iterable[str]) -> Self:
        """The same for a run over ``locations``, which the user has named: their hosts count."""
        hosts = (*self.hosts, *named_hosts((*locations, *self.roots)))
        return self.model_copy(update={"hosts": tuple(dict.fromkeys(hosts))})

    @field_validator("regexes")
    @classmethod
    def _compile(cls, regexes: tuple[str, ...]) -> tuple[str, ...]:
        import regex  # noqa: PLC0415 - few configs have one

        for one in regexes:
            try:
                regex.compile(one)
            except (regex.error, RecursionError) as exc:  # the latter: groups in groups
                raise ValueError(f"{one!r} is no regular expression: {exc}") from exc
        return regexes

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError) as exc:
            raise ValueError(f"{name!r} is no IANA time zone; try Europe/Berlin") from exc
        return name


class CameraClock(Section):
    """What must be added to the time that a camera's clock shows to get UTC."""

    offset_s: float = Field(default=0.0, ge=-1e10, le=1e10)
    """Seconds that are added to the time of the camera's clock."""
    rate_ppm: float = Field(default=0.0, ge=-100_000, le=100_000)
    """Microseconds per second that passed: positive for a clock that runs slow."""
    since: datetime | None = None
    """When the clock was right (before ``offset_s``) and has drifted since. Without it the start of
    every file is right, and ``rate_ppm`` counts from there."""

    @field_validator("since")
    @classmethod
    def _in_utc(cls, since: datetime | None) -> datetime | None:
        try:
            return since and since.replace(tzinfo=since.tzinfo or UTC).astimezone(UTC)
        except OverflowError as exc:
            raise ValueError(f"{since} is not in the years 1 to 9999 of UTC") from exc

    @property
    def correction(self) -> ClockCorrection:
        """The same in integers; ``since`` is UTC where it names no zone."""
        return ClockCorrection(
            offset_ns=seconds_to_ns(self.offset_s),
            rate_ppb=round(self.rate_ppm * 1000),
            since_ns=None if self.since is None else datetime_to_ns(self.since),
        )


class ClockConfig(CameraClock):
    """How far the cameras' clocks are to be believed."""

    cameras: dict[str, CameraClock] = Field(default_factory=dict)
    """By camera name or glob; the name itself, or else the first glob that matches, takes the place
    of the values above."""

    def of(self, camera: str) -> ClockCorrection:
        """What holds for one camera."""
        return of_camera(self.cameras, camera, self).correction


class SampleConfig(Section):
    """Which frames are looked at."""

    fps: float = Field(default=10.0, ge=0.001, le=1000)
    """Points of the sample grid per second; a frame is taken if it is on screen at one."""
    mode: Literal["exact", "within", "keyframe"] = "exact"
    """``within`` takes a cheaper frame that begins no further than ``tolerance_s`` from the grid
    point, ``keyframe`` the keyframe that came last. Every frame keeps its own true time."""
    tolerance_s: Seconds | None = Field(default=None, gt=0)
    """Of ``within``; None is half a step of the grid, which is also the most."""
    max_gap_s: Seconds = Field(default=10.0, gt=0)
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


class FrameConfig(Section):
    """How large pictures are; both keep the aspect ratio and never enlarge."""

    luma_width: int = Field(default=160, ge=32, le=640)
    """Pixels of the grey pictures that the gate and engines without a model read."""
    rgb_max_pixels: int = Field(default=768 * 448, ge=32 * 32)
    """Pixel budget of one frame for a model; sides become multiples of 32."""


class DecodeConfig(Section):
    """Limits that protect a worker from hostile files: what they let pass is the same anyway."""

    max_pixels: Operational[int] = Field(default=64_000_000, gt=0)
    """Coded width x height; larger videos are failed before they are decoded."""
    max_packets: Operational[int] = Field(default=20_000_000, gt=0)
    """Packets of one video; longer videos are failed before they are decoded."""
    max_duration_s: Operational[Seconds] = Field(default=31 * 86_400.0, gt=0)
    """From the first frame to the end of the last, by their times; headers are not believed."""
    max_stall_s: Operational[Seconds] = Field(default=120.0, gt=0)
    """A worker that waits longer for one packet to be read or decoded is ended and replaced."""
    max_shard_s: Operational[Seconds] = Field(default=4 * 3600.0, gt=0)
    """Seconds of decoding after which the rest of a shard is failed."""


class PlanConfig(Section):
    """How videos are cut."""

    shard_cost_s: Seconds = Field(default=30.0, ge=1e-6)
    """Predicted CPU seconds of decoding per shard; cuts fall on keyframes."""
    max_window_frames: int = Field(default=1000, ge=1)
    """A window is one prompt. All of a shard have so many but for the last, or the last two."""


class ObjectGateConfig(Section):
    """An object detector that looks at the windows that move, before a model is asked."""

    model: ByContent[str] = "models/nanodet-g"
    """Folder with ``model.yaml`` and the ONNX file it names, on every node; see docs/engines.md."""
    labels: tuple[str, ...] = Field(default=("person", "vehicle"), min_length=1)
    """Labels or classes of that model; one of them must be in the picture."""
    fps: float = Field(default=2.0, ge=0.001, le=1000)
    """Pictures per second that are looked at, of those that the model would be shown."""
    tell: bool = False
    """The model is told before its question what the detector saw, where and when. All of those
    pictures are looked at then; without it the first that shows an object ends the search."""
    threads: Operational[int] = Field(default=1, ge=1)
    """Threads of one call; decode tasks run beside each other."""

    def answering(self) -> dict[str, Any]:
        """All that decides an answer; runs without ``tell`` are what they were before it."""
        kept = super().answering()
        if not self.tell:
            del kept["tell"]
        return kept


class GateConfig(Section):
    """Which windows need no engine."""

    kind: Literal["none", "motion"] = "none"
    """``motion`` does not send windows to the model in which nothing changes."""
    threshold: float = Field(default=6.0, gt=0)
    """Robust standard deviations by which one block of the picture must change."""
    objects: ObjectGateConfig | None = None
    """Of windows in which something moves, only those that show such an object go to the model."""

    @model_validator(mode="after")
    def _objects_are_looked_for_where_something_moves(self) -> Self:
        if self.objects is not None and self.kind == "none":
            raise ValueError("objects are looked for in windows that move: set kind: motion")
        return self

    def answering(self) -> dict[str, Any]:
        """All that decides an answer; runs without ``objects`` are what they were before it."""
        kept = super().answering()
        if self.objects is None:
            del kept["objects"]
        return kept
