"""The records of plan, decode, gate and engine: shards, frames, windows and their results."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from pipeline.records.footage import PacketIndex, Video, make_id
from pipeline.records.slides import PageView
from pipeline.records.speech import VoicePrint
from pipeline.timebase import Int64Array, TimeRange

WindowStatus = Literal["analysed", "quiet", "failed", "erased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """One prompt: a media-time range and the frames to show for it, in order."""

    window_id: str
    span: TimeRange
    frame_pts: tuple[int, ...]
    content_id: str = ""
    """Hash of the part of the stream that decides what these frames show."""

    @classmethod
    def of(
        cls, video_id: str, content_id: str, span: TimeRange, frame_pts: tuple[int, ...]
    ) -> Self:
        """A window with an id made from what it shows."""
        window_id = make_id(video_id, content_id, span.start_ns, span.end_ns, *frame_pts)
        return cls(window_id=window_id, span=span, frame_pts=frame_pts, content_id=content_id)

    def under(self, video_id: str) -> "WindowPlan":
        """The same window as a window of another video."""
        return WindowPlan.of(video_id, self.content_id, self.span, self.frame_pts)


def name_shard(windows: Iterable[WindowPlan]) -> str:
    """The id of the shard that consists of these windows."""
    return make_id(*(plan.window_id for plan in windows))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Shard:
    """One unit of decoding: windows that tile ``span``, and the packets needed for them."""

    shard_id: str
    video: Video
    span: TimeRange
    packets: PacketIndex
    windows: tuple[WindowPlan, ...]
    cost_s: float
    """Predicted CPU seconds of decoding."""

    def __repr__(self) -> str:
        return f"Shard({self.shard_id}, {len(self.windows)} windows, {self.packets!r})"


class Colour(Protocol):
    """A small colour picture that is converted to RGB on demand: quiet windows never need RGB."""

    num_bytes: int
    """Memory taken before the conversion, plus that of the RGB picture."""

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Upright picture for a model [H, W, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Frame:
    """One decoded picture."""

    pts: int
    keyframe: bool
    suspect: bool
    """It may be damaged: its GOP has a corrupt packet, a decoder error or a missing frame."""
    luma: npt.NDArray[np.uint8]
    """Small grey picture for the gate and the signals engine [h, w]."""
    colour: Colour | None
    """None if the engine needs no colour."""

    def __repr__(self) -> str:
        return f"Frame(pts={self.pts}, luma={self.luma.shape}, suspect={self.suspect})"

    @property
    def rgb(self) -> npt.NDArray[np.uint8] | None:
        """Upright picture for a model [H, W, 3]; every call converts it again."""
        return None if self.colour is None else self.colour.rgb()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """An object that a detector saw in one frame of a window, before a model was asked."""

    at_ns: int
    """Media time of the frame."""
    label: str
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the upright picture."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Window:
    """The decoded frames of one ``WindowPlan``; row ``i`` of each array is frame ``i``."""

    plan: WindowPlan
    shard_id: str
    video: Video
    frame_pts: Int64Array
    """PTS [T]; fewer than planned if some frames could not be decoded."""
    frame_ns: Int64Array
    """Media time [T]."""
    luma: npt.NDArray[np.uint8]
    """[T, h, w]"""
    rgb: npt.NDArray[np.uint8] | None
    """[T, H, W, 3], or None if the engine needs only luma."""
    suspect_pts: frozenset[int] = frozenset()
    """PTS of frames that may be damaged; only those of this window count."""
    candidates: tuple[tuple[int, npt.NDArray[np.uint8]], ...] = ()
    """PTS and colour picture [H, W, 3] of some frames, to keep as evidence; empty with ``rgb``."""
    decode_cpu_s: float = 0.0
    views: tuple[PageView, ...] = ()
    """The pages that stand on the screen; empty unless slides are looked for."""
    sightings: tuple[Sighting, ...] = ()
    """What the model is told that a detector saw, by time; empty if it is told nothing."""
    packets: PacketIndex | None = None
    """The packets for decoding this window and its surroundings again, which verification does;
    None without verification."""

    def __repr__(self) -> str:
        plan = self.plan
        rgb = None if self.rgb is None else self.rgb.shape
        return (
            f"Window({plan.window_id}, {len(self.frame_pts)} of {len(plan.frame_pts)} frames,"
            f" luma={self.luma.shape}, rgb={rgb}, uri={self.video.uri!r})"
        )

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths, and times that do not increase."""
        if not len(self.frame_pts) == len(self.frame_ns) == len(self.luma):
            raise ValueError(f"{len(self.frame_pts)=} {len(self.frame_ns)=} {len(self.luma)=}")
        if np.any(np.diff(self.frame_ns) <= 0):
            raise ValueError(f"window {self.plan.window_id}: frame times must strictly increase")

    @property
    def num_suspect(self) -> int:
        """How many frames may be damaged."""
        return len(self.suspect_pts.intersection(self.frame_pts.tolist()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What an engine answered for one window, and what the model was shown."""

    text: str
    """JSON of the task's schema; times in seconds since the window's start."""
    finish_reason: str
    markers: tuple[str, ...] = ()
    """The ``<t seconds>`` texts in the tokenised prompt; empty if the engine has no prompt."""
    confidences: tuple[float, ...] = ()
    """Per event of ``text`` the probability of its label; empty if the engine gives none."""
    told: str = ""
    """What the prompt said of the window's ``sightings``."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One frame that the engine was shown, small enough to be kept."""

    pts: int
    webp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A second prompt with more frames of a short range of a window, and its answer."""

    span: TimeRange
    """Media time."""
    frame_pts: tuple[int, ...]
    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """One row of the ``windows`` table: the frames that were shown, and the answer."""

    window_id: str
    shard_id: str
    video_id: str
    span: TimeRange
    """Media time."""
    status: WindowStatus
    frame_pts: tuple[int, ...]
    """PTS of the frames that were decoded and, if the window is not quiet, shown to the engine."""
    num_suspect: int = 0
    quiet_reason: str = ""
    """Why no engine was asked; empty if one was."""
    told: str = ""
    """What the model was told before its question, of what a detector saw."""
    text: str = ""
    finish_reason: str = ""
    markers: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    verifications: tuple[Verification, ...] = ()
    """Further prompts that verified the events; ``text`` stays the first answer."""
    num_prompt_tokens: int = 0
    """Of all requests, those for verification included."""
    num_output_tokens: int = 0
    error: str = ""
    decode_cpu_s: float = 0.0
    views: tuple[PageView, ...] = ()
    """The pages that stand on the screen, one after the other, in media time."""
    voices: tuple[VoicePrint, ...] = ()
    """The voices in it, by time; empty unless speakers are told apart by their voices."""
    pictures: tuple[Picture, ...] = ()
    """Of each observation the frame nearest its middle; not kept in the table ``windows``."""
    engine_s: float = 0.0
    """The window's share of a replica's time: the shares of all windows of a replica add up to the
    time in which it had work."""

    @property
    def is_unanswered(self) -> bool:
        """Whether the engine was shown frames, or given sound, and failed to answer."""
        return self.status == "failed" and bool(self.frame_pts or self.finish_reason)
