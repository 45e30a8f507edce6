"""The frozen records that cross a stage border. Nothing here does work.

Media time is nanoseconds since ``Video.origin_pts`` (the container's start); ``Video.utc`` turns it
into wall-clock time, and nothing else does. Every range is half-open.
"""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.timebase import (
    UNCORRECTED,
    BoolArray,
    ClockCorrection,
    Int64Array,
    TimeRange,
    pts_to_ns,
    without,
)

Clock = Literal["path", "sidecar", "creation_time", "mtime", "none"]
WindowStatus = Literal["analysed", "quiet", "failed", "erased"]
Verdict = Literal["confirmed", "moved", "split"]
VideoStatus = Literal["done", "partial", "failed", "erased"]


def make_id(*parts: object) -> str:
    """24 hex digits named by what a thing is, so that doing it twice gives the same name."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input as the listing saw it; ``problem`` says why it cannot even be opened."""

    uri: str
    num_bytes: int
    etag: str
    """Changes when the content may have: the store's etag, or mtime of a local file."""
    camera: str
    start_ns: int | None
    """UTC of media time 0 if a path or sidecar says so, by the camera's own clock."""
    clock: Clock
    mtime_ns: int | None = None
    warnings: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """What ``probe`` learned about one source without decoding it."""

    video_id: str
    content_id: str
    """Hash of the video stream's packets: equal for byte-identical copies."""
    uri: str
    num_bytes: int
    etag: str
    camera: str
    clock: Clock
    start_ns: int
    """UTC of media time 0, corrected."""
    stream_index: int
    codec: str
    width: int
    """Coded size in pixels, before ``rotation``."""
    height: int
    rotation: int
    """Degrees counter-clockwise that make the picture upright: 0, 90, 180 or 270."""
    sar: Fraction = Fraction(1)
    """Width of a pixel over its height, before ``rotation``."""
    time_base: Fraction
    origin_pts: int
    """Tick of media time 0."""
    footage: tuple[TimeRange, ...]
    """Media time in which a frame is on screen; more than one where the stream has gaps."""
    ceded: tuple[TimeRange, ...] = ()
    """The part of ``footage`` that other files of the camera speak for."""
    num_frames: int
    num_keyframes: int
    correction: ClockCorrection = UNCORRECTED
    warnings: tuple[str, ...] = ()

    @property
    def span(self) -> TimeRange:
        """Media time from the first frame to the end of the last."""
        return TimeRange(self.footage[0].start_ns, self.footage[-1].end_ns)

    @property
    def owned(self) -> tuple[TimeRange, ...]:
        """The part of ``footage`` that this file speaks for."""
        return tuple(without(self.footage, self.ceded))

    def media_ns(self, pts: int) -> int:
        """Media time of a tick."""
        return pts_to_ns(pts - self.origin_pts, self.time_base)

    def utc_ns(self, media_ns: int) -> int:
        """Wall clock at a media time."""
        return self.start_ns + self.correction.elapsed_ns(media_ns)

    def media(self, utc: TimeRange) -> TimeRange:
        """Media time of a stretch of wall clock."""
        start_ns, end_ns = (
            self.correction.media_ns(at - self.start_ns) for at in (utc.start_ns, utc.end_ns)
        )
        return TimeRange(start_ns, max(end_ns, start_ns + 1))

    def utc(self, media: TimeRange) -> TimeRange:
        """Wall clock of a stretch of media time; what touches goes on touching."""
        start_ns = self.utc_ns(media.start_ns)
        return TimeRange(start_ns, max(self.utc_ns(media.end_ns), start_ns + 1))


NO_PTS = np.iinfo(np.int64).min
"""Stands in ``PacketIndex`` for a timestamp the container does not have."""

LEAD_IN_KEYFRAMES = 3
"""Intra-refresh streams need up to so many before what is wanted to show it right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIndex:
    """The packets of one video stream in decode order; row ``i`` of each array is packet ``i``."""

    pts: Int64Array
    dts: Int64Array
    num_bytes: npt.NDArray[np.int32]
    keyframe: BoolArray
    discard: BoolArray
    """Decoded for reference only, never shown (before an edit list's start)."""

    def __len__(self) -> int:
        """Number of packets."""
        return len(self.pts)

    def __getitem__(self, part: slice) -> "PacketIndex":
        """The packets of a range in decode order."""
        return PacketIndex(
            pts=self.pts[part],
            dts=self.dts[part],
            num_bytes=self.num_bytes[part],
            keyframe=self.keyframe[part],
            discard=self.discard[part],
        )

    @property
    def shown_pts(self) -> Int64Array:
        """Ticks at which a new frame comes on screen, ascending, each once."""
        return np.unique(self.pts[~self.discard & (self.pts != NO_PTS)])


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """One prompt: a media-time range and the frames to show for it, in order."""

    window_id: str
    span: TimeRange
    frame_pts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One unit of decoding: windows that tile ``span``, and the packets needed for them."""

    shard_id: str
    video: Video
    span: TimeRange
    packets: PacketIndex
    windows: tuple[WindowPlan, ...]
    cost_s: float
    """Predicted CPU seconds of decoding."""


class Colour(Protocol):
    """A small colour picture that becomes RGB when it is asked for: quiet windows never ask."""

    num_bytes: int
    """Held until then, and of the RGB picture."""

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Upright picture for a model [H, W, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One decoded picture as an engine gets it."""

    pts: int
    keyframe: bool
    suspect: bool
    """In a GOP with a corrupt packet, a decoder error or a missing frame."""
    luma: npt.NDArray[np.uint8]
    """Small grey picture for the gate and the signals engine [h, w]."""
    colour: Colour | None
    """None where no model asks for pixels."""

    @property
    def rgb(self) -> npt.NDArray[np.uint8] | None:
        """Upright picture for a model [H, W, 3], made anew each time."""
        return None if self.colour is None else self.colour.rgb()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The decoded frames of one ``WindowPlan``; row ``i`` of each array is frame ``i``."""

    plan: WindowPlan
    shard_id: str
    video: Video
    frame_pts: Int64Array
    """Ticks [T]; fewer than planned where frames could not be decoded."""
    frame_ns: Int64Array
    """Media time [T]."""
    luma: npt.NDArray[np.uint8]
    """[T, h, w]"""
    rgb: npt.NDArray[np.uint8] | None
    """[T, H, W, 3], or None where the engine needs only luma."""
    suspect_pts: frozenset[int] = frozenset()
    """Ticks of frames that may be damaged; others than those of this window do not count."""
    decode_cpu_s: float = 0.0
    packets: PacketIndex | None = None
    """What decoding this window and its surroundings again needs; None where nobody will."""

    def __post_init__(self) -> None:
        """Frames and times must agree, and time must advance."""
        if not len(self.frame_pts) == len(self.frame_ns) == len(self.luma):
            raise ValueError(f"{len(self.frame_pts)=} {len(self.frame_ns)=} {len(self.luma)=}")
        if np.any(np.diff(self.frame_ns) <= 0):
            raise ValueError(f"window {self.plan.window_id}: frame times must strictly increase")

    @property
    def num_suspect(self) -> int:
        """Frames that may be damaged."""
        return len(self.suspect_pts.intersection(self.frame_pts.tolist()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What an engine answered for one window: the receipt of the answer."""

    text: str
    """JSON of the task's schema; times in seconds since the window's start."""
    finish_reason: str
    markers: tuple[str, ...] = ()
    """The ``<t seconds>`` texts found in the tokenised prompt; empty for engines without one."""
    confidences: tuple[float, ...] = ()
    """Per event of ``text``: the probability of its label; empty where the engine knows none."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A second look at a short range of a window: what was shown, and what came back."""

    span: TimeRange
    """Media time."""
    frame_pts: tuple[int, ...]
    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """One row of the ``windows`` table: what was looked at, and what came back."""

    window_id: str
    shard_id: str
    video_id: str
    span: TimeRange
    """Media time."""
    status: WindowStatus
    frame_pts: tuple[int, ...]
    """Ticks of the frames that were looked at."""
    num_suspect: int = 0
    text: str = ""
    finish_reason: str = ""
    markers: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    looks: tuple[Look, ...] = ()
    """Second looks; ``text`` stays the first answer."""
    num_prompt_tokens: int = 0
    """Of all requests, second looks included."""
    num_output_tokens: int = 0
    error: str = ""
    decode_cpu_s: float = 0.0
    engine_s: float = 0.0
    """Its share of a replica's time: all windows of a replica add up to the time it was busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where something was at one moment; pixels of the upright source picture."""

    at_ns: int
    """Media time in an observation, UTC in an event."""
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One claim of an engine about one window; media time."""

    window_id: str
    span: TimeRange
    label: str
    text: str
    confidence: float | None
    boxes: tuple[Box, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    """The task's extra fields, in the task's order."""
    verdict: Verdict | None = None
    """Of the second look; None if there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A stretch of one camera's time that a file speaks for; UTC in whole microseconds."""

    span: TimeRange
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The share of an event in one file."""

    video_id: str
    uri: str
    span: TimeRange
    """UTC."""
    media: TimeRange
    """Media time of that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One stitched fact; UTC. ``parts[0]`` is the file it began in."""

    event_id: str
    camera: str
    span: TimeRange
    label: str
    text: str
    confidence: float | None
    boxes: tuple[Box, ...]
    fields: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    window_ids: tuple[str, ...]
    verdict: Verdict | None = None
    """Of the second look; None if there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One timestamped text; UTC. ``level`` is how much time one text stands for."""

    segment_id: str
    camera: str
    video_id: str
    uri: str
    level: Literal["window", "video"]
    span: TimeRange
    media: TimeRange
    text: str
    window_ids: tuple[str, ...] = field(default=())


SummaryLevel = Literal["chapter", "video", "day"]
SUMMARY_LEVELS: tuple[SummaryLevel, ...] = ("chapter", "video", "day")
SummaryMethod = Literal["model", "extractive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One timestamped text: what a summary is made from, and each sentence of it; UTC."""

    span: TimeRange
    text: str
    sources: tuple[str, ...]
    """Ids of the segments and events that say so."""
    label: str = ""
    """Of an event; "" for a caption or a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What happened in a chapter, a video, or a camera's day (UTC date); UTC."""

    summary_id: str
    level: SummaryLevel
    camera: str
    video_id: str
    """"" for a day."""
    uri: str
    span: TimeRange
    title: str
    sentences: tuple[Line, ...]
    method: SummaryMethod
    """``extractive``: counted and quoted, without a model."""
    error: str
    """Why a model that was asked did not write it; "" if it did, or was not asked."""
    inputs_id: str
    """Names everything it was made from: equal while nothing needs to be done again."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0

    @property
    def text(self) -> str:
        """The sentences, one after the other."""
        return " ".join(sentence.text for sentence in self.sentences)
