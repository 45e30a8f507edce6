"""Reads the observations of a row of ``windows``, with or without its verifications.

Needs neither a model nor pixels. No Ray here.
"""

from dataclasses import replace

from pipeline.config import Config, ModelEngineConfig, VerifyConfig
from pipeline.config.task import Task
from pipeline.engine.parse import parse_completion
from pipeline.engine.verification import Seen, revise
from pipeline.errors import WindowError
from pipeline.records import Observation, Verification, Video, WindowPlan, WindowResult
from pipeline.tables.said import read_said


def read_answer(
    result: WindowResult, task: Task, video: Video
) -> tuple[tuple[Observation, ...], str]:
    """The observations (media time) and the caption of the first answer."""
    return parse_completion(
        result.text,
        result.finish_reason,
        _plan_of(result),
        task,
        video,
        markers=result.markers,
        confidences=result.confidences,
    )


def checked(result: WindowResult, config: Config, video: Video) -> WindowResult:
    """A result of an index, as a failed one if its answer breaks a rule that this version has.

    An index may come from somebody else, or from a version with fewer rules.
    """
    if result.status != "analysed":
        return result
    try:
        if config.hears:
            read_said(result.text, result.span)
        else:
            read_answer(result, config.task, video)
    except WindowError as exc:
        return replace(result, status="failed", error=f"the stored answer is not valid: {exc}")
    return result


def read_verified_answer(
    result: WindowResult, config: Config, video: Video
) -> tuple[tuple[Observation, ...], str]:
    """The observations of the first answer as the verifications revise them, and the caption."""
    observations, caption = read_answer(result, config.task, video)
    verify = verify_of(config)
    if verify is None or not result.verifications:
        return observations, caption
    fields = identity_fields(config.task)
    revised = revise(
        observations,
        [
            verified
            for verification in result.verifications
            if (verified := _verified(verification, result, config.task, video))
        ],
        _plan_of(result),
        [video.media_ns(pts) for pts in result.frame_pts],
        verify,
        identity=lambda observation: (
            observation.label,
            *(field for field in observation.fields if field[0] in fields),
        ),
    )
    return tuple(revised), caption


def verify_of(config: Config) -> VerifyConfig | None:
    """The settings of verification; None if events are not verified."""
    return config.engine.verify if isinstance(config.engine, ModelEngineConfig) else None


def identity_fields(task: Task) -> frozenset[str]:
    """The task's fields that identify an object: those with a fixed set of values."""
    return frozenset(name for name, field in task.fields.items() if field.values is not None)


def _verified(
    verification: Verification, result: WindowResult, task: Task, video: Video
) -> Seen | None:
    """None if the verification has no valid answer: it then neither confirms nor rejects events."""
    completion = verification.completion
    plan = WindowPlan(
        window_id=result.window_id, span=verification.span, frame_pts=verification.frame_pts
    )
    if completion.error:
        return None
    try:
        observations, _ = parse_completion(
            completion.text,
            completion.finish_reason,
            plan,
            task,
            video,
            markers=completion.markers,
        )
    except WindowError:
        return None
    num_markers = max(1, len(completion.markers))
    return Seen(
        span=verification.span,
        found=observations,
        step_ns=verification.span.duration_ns // num_markers,
    )


def _plan_of(result: WindowResult) -> WindowPlan:
    return WindowPlan(window_id=result.window_id, span=result.span, frame_pts=result.frame_pts)
