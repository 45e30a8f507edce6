"""Ask a model, check its answer, ask once more with the reason, or about less time."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from pipeline.config.task import Task
from pipeline.engine.parse import parse_completion
from pipeline.engine.prompt import FRAMES_PER_PATCH
from pipeline.errors import WindowError
from pipeline.records import Completion, Window, WindowPlan, make_id
from pipeline.timebase import TimeRange

log = structlog.get_logger()

CUT_OFF = "length"
"""The finish reason of an answer that has filled all the room it had."""
MIN_FRAMES = 4
"""Fewer a half may not have; so a window of 32 frames becomes eight at most."""


class WindowTooLargeError(WindowError):
    """The model takes no request of this size; it may take one about fewer frames."""


async def ask_twice(
    ask: Callable[[str], Awaitable[Completion]], window: Window, task: Task
) -> Completion:
    """The first answer if it obeys the rules, else the second with its ``error``, if it has one.

    One that was cut off is not asked for again while its window can be parted: two halves have
    twice the room, and the same question would fill the same room. A request that is too large
    for the model ends like an answer that was cut off.

    Args:
        ask: takes the complaint about the answer before, "" the first time.
        window: what is asked about.
        task: what the answer must look like.

    Raises:
        WindowError: whatever ``ask`` raises.
    """
    try:
        return await _ask_twice(ask, window, task)
    except WindowTooLargeError as exc:
        if halves(window) is None:
            raise
        return Completion(text="", finish_reason=CUT_OFF, error=str(exc))


async def _ask_twice(
    ask: Callable[[str], Awaitable[Completion]], window: Window, task: Task
) -> Completion:
    first = await ask("")
    complaint = problem(first, window, task)
    if not complaint:
        return first
    if first.finish_reason == CUT_OFF and halves(window):
        return replace(first, error=complaint)
    log.info("the window is asked again", window_id=window.plan.window_id, error=complaint)
    second = await ask(complaint)
    return replace(
        second,
        num_prompt_tokens=first.num_prompt_tokens + second.num_prompt_tokens,
        num_output_tokens=first.num_output_tokens + second.num_output_tokens,
        error=problem(second, window, task),
    )


def halves(window: Window) -> tuple[Window, Window] | None:
    """The window as two that tile it; None if they would show too little.

    Cut between two temporal patches, so that each half has whole ones.
    """
    num_frames = len(window.frame_pts)
    if num_frames < 2 * MIN_FRAMES:
        return None
    middle = num_frames // 2 // FRAMES_PER_PATCH * FRAMES_PER_PATCH
    cut_ns = int(window.frame_ns[middle])
    span = window.plan.span
    first = _part(window, slice(0, middle), TimeRange(span.start_ns, cut_ns))
    second = _part(window, slice(middle, None), TimeRange(cut_ns, span.end_ns))
    # The tokens of the whole are counted once.
    return first, replace(second, decode_cpu_s=0.0)


def _part(window: Window, rows: slice, span: TimeRange) -> Window:
    frame_pts = window.frame_pts[rows]
    return replace(
        window,
        plan=WindowPlan(
            window_id=make_id(window.plan.window_id, span.start_ns, span.end_ns),
            span=span,
            frame_pts=tuple(int(pts) for pts in frame_pts),
        ),
        frame_pts=frame_pts,
        frame_ns=window.frame_ns[rows],
        luma=window.luma[rows],
        rgb=None if window.rgb is None else window.rgb[rows],
    )


def problem(completion: Completion, window: Window, task: Task) -> str:
    """Which rule the answer breaks; "" if none."""
    try:
        parse_completion(
            completion.text,
            completion.finish_reason,
            window.plan,
            task,
            window.video,
            markers=completion.markers,
        )
    except WindowError as exc:
        return str(exc)
    return ""
