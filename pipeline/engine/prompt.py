"""What a model is asked about one window, and what it must be shown for the frames. Pure.

Frames go in as one video on a clock of 1000 "frames" per second, so that a frame's index is its
time in milliseconds since the window's start: any frame rate, variable ones too, stays exact.
Qwen3-VL turns each pair of frames into one temporal patch and writes ``<t seconds>`` before it.
Where a server takes only images, the same texts are written here, one before each frame.
"""

import math
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from pipeline.config import FrameConfig, PlanConfig
from pipeline.config.task import MAX_COORDINATE, Task
from pipeline.errors import WindowError
from pipeline.records import Sighting, Window
from pipeline.timebase import NS_PER_MS, NS_PER_S

FRAMES_PER_PATCH = 2
"""Frames that share one marker (Qwen3-VL's temporal patch)."""
PIXELS_PER_TOKEN = 32 * 32
"""Pixels of one temporal patch that become one token (16-pixel patches, merged 2 x 2)."""

_CLOCK_HZ = 1000
_MIN_SIDE = 32
# A marker stands right before its pictures; the same text in the question or the answer does not.
_MARKER = re.compile(r"(<\d+\.\d seconds>)<\|vision_start\|>")
_TIME = re.compile(r"<\d+\.\d seconds>")
_MAX_COMPLAINT_CHARS = 300
_MAX_TOLD = 64
"""Boxes; about 20 tokens each."""
_TOLD = (
    "An object detector has looked at this video, too. It may be wrong. It saw, as [x_min, y_min, "
    "x_max, y_max] from 0 to 1000:"
)


def messages(
    task: Task,
    *,
    shown: Sequence[dict[str, Any]] = ({"type": "video"},),
    told: str = "",
    complaint: str = "",
) -> list[dict[str, Any]]:
    """The conversation in the form chat templates take: system, then video before question.

    The question comes last so that everything before it is one prefix for all questions about
    the window. ``shown`` is the video as the server takes it, ``told`` is of that window, too.
    ``complaint`` says what was wrong with the answer before; it comes after the question for the
    same reason.
    """
    question = f"{told}\n\n{task.question}" if told else task.question
    if complaint:
        # The complaint may quote the model, and the model the picture: keep special tokens out.
        quoted = complaint.replace("<|", "< |")[:_MAX_COMPLAINT_CHARS]
        question = (
            f"{question}\n\nYour previous answer was refused: {quoted}. Answer again. Use only "
            "times between the first and the last marker of this video, do not repeat an event, "
            "and keep it short."
        )
    user = {"role": "user", "content": [*shown, {"type": "text", "text": question}]}
    if task.system is None:
        return [user]
    return [{"role": "system", "content": [{"type": "text", "text": task.system}]}, user]


def told(window: Window) -> str:
    """What a model is told of what a detector saw in the window's frames; "" if nothing.

    Boxes are in thousandths of the picture's sides, as a task asks for them. Where a detector saw
    very much, the largest boxes are told, since a prompt has a bounded length.
    """
    frame_ns = {*window.frame_ns.tolist()}
    seen = [one for one in window.sightings if one.at_ns in frame_ns]
    if not seen:
        return ""
    largest = sorted(seen, key=lambda one: -_area(one))[:_MAX_TOLD]
    width, height = window.video.upright_size
    lines = [_TOLD]
    for at_ns, some in groupby(sorted(largest, key=lambda one: one.at_ns), lambda one: one.at_ns):
        boxes = "; ".join(f"{one.label} {_thousandths(one, width, height)}" for one in some)
        lines.append(f"{(at_ns - window.plan.span.start_ns) / NS_PER_S:.1f} s: {boxes}")
    return "\n".join(lines)


def _area(one: Sighting) -> float:
    x0, y0, x1, y1 = one.box
    return (x1 - x0) * (y1 - y0)


def _thousandths(one: Sighting, width: int, height: int) -> list[int]:
    sides = zip(one.box, (width, height, width, height), strict=True)
    return [min(max(round(at / side * MAX_COORDINATE), 0), MAX_COORDINATE) for at, side in sides]


def shown_ms(frame_ns: Sequence[int], start_ns: int) -> tuple[int, ...]:
    """The times that a model is given for the frames, in ms since the window's start.

    A frame that came on screen before the window began is what is on screen as it begins. A
    single frame is shown twice: the model's video processor takes no fewer than two.
    """
    ms = tuple(max(0, (int(ns) - start_ns + NS_PER_MS // 2) // NS_PER_MS) for ns in frame_ns)
    return ms * FRAMES_PER_PATCH if len(ms) == 1 else ms


def video_metadata(ms: Sequence[int]) -> dict[str, Any]:
    """Metadata, as vLLM takes it, for frames at ``ms``; nothing may be resampled."""
    return {
        "fps": float(_CLOCK_HZ),
        "frames_indices": list(ms),
        "total_num_frames": ms[-1] + 1,
        "duration": (ms[-1] + 1) / _CLOCK_HZ,
        "do_sample_frames": False,
    }


def expected_markers(frame_ns: Sequence[int], start_ns: int) -> tuple[str, ...]:
    """The ``<t seconds>`` texts that must stand before the frames: one per pair, its mean time.

    An odd last frame is a pair with itself. The arithmetic is the processor's own, in floats, so
    that a mean such as 0.25 rounds the same way (to even, of the binary value).
    """
    ms = shown_ms(frame_ns, start_ns)
    return tuple(
        f"<{(first / _CLOCK_HZ + second / _CLOCK_HZ) / 2:.1f} seconds>"
        for first, second in zip(ms[::2], (*ms[1::2], ms[-1]), strict=False)
    )


def processor_kwargs(frame: FrameConfig, plan: PlanConfig) -> dict[str, Any]:
    """Bounds that keep Qwen3-VL's processor from resizing frames, which have their final size.

    Its defaults shrink long windows and enlarge short ones, and have changed before.
    """
    return {
        "size": {
            "shortest_edge": FRAMES_PER_PATCH * _MIN_SIDE**2,
            "longest_edge": whole_patches(plan.max_window_frames) * frame.rgb_max_pixels,
        },
        "cap_pixels_per_frame": False,
        "do_sample_frames": False,
    }


def whole_patches(num_frames: int) -> int:
    """Frames that ``num_frames`` become: an odd last one is shown twice."""
    return math.ceil(num_frames / FRAMES_PER_PATCH) * FRAMES_PER_PATCH


def image_markers(frame_ns: Sequence[int], start_ns: int) -> tuple[str, ...]:
    """The ``<t seconds>`` texts to write before frames that go as images: each its own time."""
    ms = shown_ms(frame_ns, start_ns)[: len(frame_ns)]
    return tuple(f"<{one / _CLOCK_HZ:.1f} seconds>" for one in ms)


def found_markers(prompt: str) -> tuple[str, ...]:
    """The markers in a decoded prompt (special tokens kept), in order."""
    return tuple(_MARKER.findall(prompt))


def checked_markers(
    prompt: str,
    *,
    num_tokens: int,
    frame_ns: Sequence[int],
    start_ns: int,
    num_pixels: int,
) -> tuple[str, ...]:
    """The times the model was really shown; they must be those of the frames sent.

    Args:
        prompt: the tokenised prompt as text, special tokens kept.
        num_tokens: vision tokens in it.
        frame_ns: media times of the frames that were sent.
        start_ns: of the window.
        num_pixels: of one frame.

    Raises:
        WindowError: the model was shown other times, or the frames were resized or dropped.
    """
    found = found_markers(prompt)
    expected = expected_markers(frame_ns, start_ns)
    if found != expected:
        raise WindowError(
            f"markers: the model was shown {_summary(found)} for frames at {_summary(expected)}; "
            "this model, server or version changes the frames' times"
        )
    wanted = num_video_tokens(len(shown_ms(frame_ns, start_ns)), num_pixels=num_pixels)
    if num_tokens != wanted:
        raise WindowError(
            f"markers: {num_tokens} vision tokens for {wanted} expected; the frames were resized "
            "or dropped: see mm_processor_kwargs in engine.args, or of the server"
        )
    return found


def checked_image_markers(
    before: Sequence[str], frame_ns: Sequence[int], start_ns: int
) -> tuple[str, ...]:
    """The times that stand before the pictures; they must be those of the frames sent.

    Args:
        before: per picture of the tokenised prompt, the text between it and the one before it.
        frame_ns: media times of the frames that were sent.
        start_ns: of the window.

    Raises:
        WindowError: the model was shown other times, or its chat template moves them.
    """
    # The first text is the system's, too, and may name a marker.
    found = tuple((_TIME.findall(text) or ("none",))[-1] for text in before)
    expected = image_markers(frame_ns, start_ns)
    if found != expected or any(len(_TIME.findall(text)) > 1 for text in before[1:]):
        raise WindowError(
            f"markers: before its pictures the model was shown {_summary(found)} for frames at "
            f"{_summary(expected)}; its chat template or its processor moves texts or pictures"
        )
    return found


def _summary(markers: Sequence[str]) -> str:
    if not markers:
        return "no marker"
    return f"{len(markers)} from {markers[0]} to {markers[-1]}"


def num_video_tokens(num_frames: int, *, num_pixels: int) -> int:
    """Vision tokens of ``num_frames`` pictures whose sides are multiples of 32 pixels."""
    return math.ceil(num_frames / FRAMES_PER_PATCH) * (num_pixels // PIXELS_PER_TOKEN)
