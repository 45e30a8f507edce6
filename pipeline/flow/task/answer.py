"""engine -> parse for windows that a model answers, with verification. No Ray here."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pipeline.config import Config
from pipeline.engine import ModelEngine
from pipeline.engine.ask import CUT_OFF, halves
from pipeline.engine.verification import plan_verification, spans_to_check
from pipeline.errors import SourceError, WindowError
from pipeline.flow.task.read_answer import read_answer, verify_of
from pipeline.flow.task.stages import as_window, result_of, with_colour
from pipeline.media import decode_frames
from pipeline.plan import packets_for
from pipeline.processes.watchdog import watchdog
from pipeline.records import Completion, Verification, Window, WindowPlan, WindowResult
from pipeline.records.sanitize import storable
from pipeline.timebase import TimeRange

DecodeAgain = Callable[[Window, WindowPlan], Awaitable[Window | None]]
"""Decodes other frames in and around a window; gives None if they cannot be decoded."""


async def answer_window(
    window: Window, engine: ModelEngine, config: Config, decode_again: DecodeAgain | None = None
) -> list[WindowResult]:
    """engine -> parse: the result of the window, or the results of its parts.

    If the answer is cut off, the window is halved until the answers fit; the parts tile the window.
    With ``decode_again`` and ``engine.verify`` the same engine then verifies each event.
    """
    completion = await _completion_of(window, engine)
    parts = halves(window) if completion.finish_reason == CUT_OFF else None
    if parts is None:
        result = result_of(window, completion, config)
        if decode_again is None or result.status != "analysed":
            return [result]
        return [await _with_verification(result, window, engine, config, decode_again)]
    results_by_part = await asyncio.gather(
        *(answer_window(part, engine, config, decode_again) for part in parts)
    )
    first, *others = [result for results in results_by_part for result in results]
    return [_with_tokens_of(completion, first), *others]


async def _completion_of(window: Window, engine: ModelEngine) -> Completion:
    """What the engine says, as text that every table holds."""
    try:
        completion = await engine.answer(window)
    except WindowError as exc:
        completion = Completion(text="", finish_reason="error", error=str(exc))
    return replace(completion, text=storable(completion.text), error=storable(completion.error))


async def _with_verification(
    result: WindowResult,
    window: Window,
    engine: ModelEngine,
    config: Config,
    decode_again: DecodeAgain,
) -> WindowResult:
    verify = verify_of(config)
    if verify is None or window.packets is None:
        return result
    observations, _ = read_answer(result, config.task, window.video)
    frame_ns = window.frame_ns.tolist()

    async def verification(span: TimeRange) -> Verification | None:
        assert window.packets is not None  # noqa: S101 - checked above
        plan = plan_verification(
            span,
            window.plan,
            window.video,
            window.packets.shown_pts,
            verify,
            max_frames=config.plan.max_window_frames,
        )
        shown = await decode_again(window, plan) if plan else None
        if shown is None:
            return None
        return Verification(
            span=shown.plan.span,
            frame_pts=shown.plan.frame_pts,
            completion=await _completion_of(shown, engine),
        )

    spans = spans_to_check(observations, window.plan, frame_ns, verify)
    answers = await asyncio.gather(*map(verification, spans))
    verifications = tuple(answer for answer in answers if answer is not None)
    for answer in verifications:
        result = _with_tokens_of(answer.completion, result)
    return replace(result, verifications=verifications)


def decode_verification(window: Window, plan: WindowPlan, config: Config) -> Window | None:
    """The frames of ``plan`` as a window; None if one of them is missing or may be damaged.

    ``window`` is the window that is verified; its pixels are not needed.

    Raises:
        UnreachableError: the store of the file does not answer.
    """
    if window.packets is None:
        raise ValueError(f"window {window.plan.window_id} has no packets to decode from")
    packets = packets_for(window.packets, plan.frame_pts)
    try:
        with watchdog(config.decode.max_stall_s):
            frames = list(
                decode_frames(
                    window.video,
                    packets,
                    plan.frame_pts,
                    frame=config.frame,
                    rgb=True,
                    max_pixels=config.decode.max_pixels,
                    access=config.sources.access,
                )
            )
    except SourceError:
        return None
    if len(frames) < len(plan.frame_pts) or any(frame.suspect for frame in frames):
        return None
    decoded = as_window(plan, window.shard_id, window.video, frames, decode_cpu_s=0.0)
    return with_colour(decoded, frames)


def _with_tokens_of(completion: Completion, result: WindowResult) -> WindowResult:
    """Add the tokens of another answer, which were spent even if that answer is not used."""
    return replace(
        result,
        num_prompt_tokens=result.num_prompt_tokens + completion.num_prompt_tokens,
        num_output_tokens=result.num_output_tokens + completion.num_output_tokens,
    )
