"""Ask a model, check its answer, ask once more with the reason."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pipeline.engine.parse import parse_completion
from pipeline.errors import WindowError
from pipeline.records import Completion, Window
from pipeline.task import Task

log = logging.getLogger(__name__)


async def ask_twice(
    ask: Callable[[str], Awaitable[Completion]], window: Window, task: Task
) -> Completion:
    """The first answer if it obeys the rules, else the second with its ``error``, if it has one.

    Args:
        ask: takes the complaint about the answer before, "" the first time.
        window: what is asked about.
        task: what the answer must look like.

    Raises:
        WindowError: whatever ``ask`` raises.
    """
    first = await ask("")
    complaint = problem(first, window, task)
    if not complaint:
        return first
    log.info("window %s: asking again: %s", window.plan.window_id, complaint)
    second = await ask(complaint)
    return replace(
        second,
        num_prompt_tokens=first.num_prompt_tokens + second.num_prompt_tokens,
        num_output_tokens=first.num_output_tokens + second.num_output_tokens,
        error=problem(second, window, task),
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
