"""What is planned, decoded and answered: shards, frames, windows and their results."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from pipeline.records.footage import PacketIndex, Video, make_id
from pipeline.timebase import Int64Array, TimeRange

WindowStatus = Literal["analysed", "quiet", "failed", "erased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """One prompt: a media-time range and the frames to show for it, in order."""

    window_id: str
    span: TimeRange
    frame_pts: tuple[int, ...]
    content_id: str = ""
    """Hash of the stream as far as it can change what these frames show."""

    @classmethod
    def of(
        cls, video_id: str, content_id: str, span: TimeRange, frame_pts: tuple[int, ...]
    ) -> Self:
        """A window that is named by what it shows."""
        window_id = make_id(video_id, content_id, span.start_ns, span.end_ns, *frame_pts)
        return cls(window_id=window_id, span=span, frame_pts=frame_pts, content_id=content_id)

    def under(self, video_id: str) -> "WindowPlan":
        """The same window of another video."""
        return WindowPlan.of(video_id, self.content_id, self.span, self.frame_pts)


def name_shard(windows: Iterable[WindowPlan]) -> str:
    """The id of the shard that these windows make up."""
    return make_id(*(plan.window_id for plan in windows))


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
class Verification:
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
    verifications: tuple[Verification, ...] = ()
    """Second looks; ``text`` stays the first answer."""
    num_prompt_tokens: int = 0
    """Of all requests, second looks included."""
    num_output_tokens: int = 0
    error: str = ""
    decode_cpu_s: float = 0.0
    engine_s: float = 0.0
    """Its share of a replica's time: all windows of a replica add up to the time it was busy."""

    @property
    def is_unanswered(self) -> bool:
        """Whether the engine was shown frames and has not answered."""
        return self.status == "failed" and bool(self.frame_pts)
