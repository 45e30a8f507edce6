"""What an engine must do, shown with generated clips: tell times, fail alone, count tokens."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pipeline.config import Config
from pipeline.doctor.time_test import Clip, for_time_test, judge_times, make_clip
from pipeline.engine import open_model, open_shards
from pipeline.errors import WindowError
from pipeline.records import Completion, Window, WindowPlan, make_id
from pipeline.timebase import TimeRange

NUM_CLIPS = 6


def check_engine(config: Config) -> None:
    """Open the configured engine as a run does, and ask it.

    * Times: of a clip that is dark for a while it tells when, to within a marker.
    * Failures: a window without a picture has no answer, and the others have theirs. A model
      raises WindowError or sets ``error``; an engine of shards answers every window, in order.
    * Tokens: a model counts those of each prompt and answer, since budgets rest on them.

    Raises:
        AssertionError: says which of these does not hold, and how.
        EngineStartError: the engine cannot be loaded or reached.
    """
    config, label = for_time_test(config)
    clips = [make_clip(seed, config) for seed in range(NUM_CLIPS)]
    if config.asks_a_model:
        answers = asyncio.run(_answers_of_model(clips, config))
        _check_tokens(answers)
    else:
        answers = [_answer_of_shard(clip.window, config) for clip in clips]
    verdict = judge_times(clips, answers, config.task, label)
    if not verdict.is_on_time:
        raise AssertionError(f"times: {verdict.detail}")


async def _answers_of_model(clips: Sequence[Clip], config: Config) -> list[Completion]:
    engine = open_model(config)

    async def answer(window: Window) -> Completion:
        try:
            return await engine.answer(window)
        except WindowError as exc:
            return Completion(text="", finish_reason="error", error=str(exc))

    try:
        failed, *answers = await asyncio.gather(
            answer(_without_frames(clips[0].window)), *(answer(clip.window) for clip in clips)
        )
    finally:
        engine.shutdown()
    if not failed.error:
        raise AssertionError(
            f"failures: a window without any frame was answered with {failed.text!r}; raise "
            "WindowError where a window has no valid answer"
        )
    return answers


def _answer_of_shard(window: Window, config: Config) -> Completion:
    answers = list(open_shards(config).answer([_without_frames(window), window]))
    if len(answers) != 2:  # noqa: PLR2004 - as many as windows
        raise AssertionError(
            f"failures: {len(answers)} answers came for 2 windows, of which the first has no "
            "frames; yield one for each, in their order"
        )
    return answers[1]


def _check_tokens(answers: Sequence[Completion]) -> None:
    for answer in answers:
        if not answer.error and not (answer.num_prompt_tokens and answer.num_output_tokens):
            raise AssertionError(
                f"tokens: an answer counts {answer.num_prompt_tokens} of its prompt and "
                f"{answer.num_output_tokens} of its own; set both, budgets rest on them"
            )


def _without_frames(window: Window) -> Window:
    """The time before a window, of which no picture could be decoded."""
    span = window.plan.span
    before = TimeRange(span.start_ns - span.duration_ns, span.start_ns)
    plan = WindowPlan(window_id=make_id("contract", before), span=before, frame_pts=())
    return replace(
        window,
        plan=plan,
        frame_pts=window.frame_pts[:0],
        frame_ns=window.frame_ns[:0],
        luma=window.luma[:0],
        rgb=None if window.rgb is None else window.rgb[:0],
    )
