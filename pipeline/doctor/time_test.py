"""The time self-test: clips in which the light goes out at times that the engine must find.

The engine is opened and asked as a run would, so that a server which drops frames, shifts times or
loses them is found before an archive is indexed with it.
"""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.config import Config
from pipeline.config.task import Task
from pipeline.demo.scene import render
from pipeline.demo.timeline import Slot, make_timeline
from pipeline.engine import open_model, open_shards
from pipeline.engine.parse import parse_completion
from pipeline.errors import WindowError
from pipeline.records import Completion, Video, Window, WindowPlan, make_id
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange

NUM_CLIPS = 6
MIN_ON_TIME = 2 / 3
"""Share of clips whose time must be right: models err, endpoints that lose time are never right."""

_MIN_FRAMES = 8
_FRAME_HEIGHT, _FRAME_WIDTH = 96, 160
_LARGE = 2
_LUMA_STEP = 2
# Not at zero, so that a time that counts from somewhere else is seen.
_WINDOW_START_S = 3600

_QUESTION = Task(
    name="doctor",
    labels={"light_off": "the light is off: the whole view is dark"},
    prompt=(
        "When is the light off in this video? Report each such stretch once, from the first to the "
        "last dark picture, in seconds as the texts before the pictures give them.\n{labels}"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A window and the first and last moment at which it shows a dark picture; media time."""

    window: Window
    dark: TimeRange
    step_ns: int
    """Between two markers: closer than that nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeVerdict:
    """How well an engine gives times."""

    is_on_time: bool
    detail: str


def for_time_test(config: Config) -> tuple[Config, str]:
    """The run with a task that asks for dark pictures, and the label of those."""
    kind = config.engine_kind
    if kind.dark_label:
        return config.model_copy(update={"task": kind.task}), kind.dark_label
    return config.model_copy(update={"task": _QUESTION}), next(iter(_QUESTION.labels))


def make_clip(seed: int, config: Config) -> Clip:
    """A camera that stands still; the light is off for about a third of the clip."""
    fps = config.sample.fps
    # As many as the run will send: some endpoints drop what is more than they take. An embedded
    # engine has to learn what is usual first.
    num_frames = config.plan.max_window_frames if config.asks_a_model else round(20 * fps)
    num_frames = max(num_frames, _MIN_FRAMES)
    rng = np.random.default_rng((seed, 4711))
    first = int(rng.integers(num_frames // 6, num_frames // 2))
    last = min(num_frames - 2, first + int(rng.integers(num_frames // 4, num_frames // 2 + 1)))
    if seed % 2:
        # So that it shows if pictures at the end are missing.
        last = num_frames - 2
    frame_ns = np.rint(np.arange(num_frames) * NS_PER_S / fps).astype(np.int64)
    # Between two frames, so that no rounding decides whether one is dark.
    slot = Slot(label="light_off", start_s=(first - 0.5) / fps, end_s=(last + 0.5) / fps)
    scale = _LARGE if config.frame.rgb_max_pixels >= _LARGE**2 * _FRAME_HEIGHT * _FRAME_WIDTH else 1
    scene = make_timeline(
        rng, [slot], height_px=scale * _FRAME_HEIGHT, width_px=scale * _FRAME_WIDTH
    )
    rgb = np.stack([render(scene, ns / NS_PER_S) for ns in frame_ns.tolist()])
    if not config.asks_a_model:
        rgb[first : last + 1] = 0
    start_ns = _WINDOW_START_S * NS_PER_S
    span = TimeRange(start_ns, start_ns + round(num_frames * NS_PER_S / fps))
    video = _video(rgb.shape[1], rgb.shape[2], span, num_frames)
    frame_ns += start_ns
    window = Window(
        plan=WindowPlan(
            window_id=make_id("doctor", seed, span),
            span=span,
            frame_pts=tuple(frame_ns.tolist()),
        ),
        shard_id="doctor",
        video=video,
        frame_pts=frame_ns,
        frame_ns=frame_ns,
        luma=rgb[:, ::_LUMA_STEP, ::_LUMA_STEP].mean(axis=3).astype(np.uint8),
        rgb=rgb if config.wants_rgb else None,
    )
    dark = TimeRange(int(frame_ns[first]), int(frame_ns[last]))
    return Clip(window=window, dark=dark, step_ns=round(2 * NS_PER_S / fps))


def _video(height: int, width: int, span: TimeRange, num_frames: int) -> Video:
    return Video(
        video_id="doctor",
        content_id="doctor",
        uri="generated",
        num_bytes=0,
        etag="",
        camera="doctor",
        clock="none",
        start_ns=0,
        stream_index=0,
        codec="none",
        width=width,
        height=height,
        rotation=0,
        time_base=Fraction(1, NS_PER_S),
        origin_pts=0,
        footage=(span,),
        num_frames=num_frames,
        num_keyframes=1,
    )


def answer_windows(config: Config, windows: Sequence[Window]) -> list[Completion]:
    """One answer per window; what the engine refuses has its reason as ``error``.

    Raises:
        EngineStartError: the engine cannot be loaded or reached.
    """
    if not config.asks_a_model:
        # Each clip is a video of its own.
        return [next(open_shards(config).answer([window])) for window in windows]

    async def all_at_once() -> list[Completion]:
        engine = open_model(config)

        async def one(window: Window) -> Completion:
            try:
                return await engine.answer(window)
            except WindowError as exc:
                return Completion(text="", finish_reason="error", error=str(exc))

        try:
            return await asyncio.gather(*map(one, windows))
        finally:
            engine.shutdown()

    return asyncio.run(all_at_once())


def judge_times(
    clips: Sequence[Clip], answers: Sequence[Completion], task: Task, label: str
) -> TimeVerdict:
    """Whether enough answers tell the one dark stretch of their clip, to within a marker."""
    offs_s: list[float] = []
    num_on_time = 0
    problems: list[str] = []
    for clip, answer in zip(clips, answers, strict=True):
        try:
            spans = _told(clip, answer, task, label)
        except WindowError as exc:
            problems.append(str(exc))
            continue
        if not spans:
            problems.append("the change was not seen")
            continue
        nearest = min(spans, key=lambda span: abs(span.start_ns - clip.dark.start_ns))
        off_ns = (nearest.start_ns - clip.dark.start_ns, nearest.end_ns - clip.dark.end_ns)
        offs_s.append(off_ns[0] / NS_PER_S)
        is_on_time = all(abs(off) <= clip.step_ns + 50 * NS_PER_MS for off in off_ns)
        num_on_time += is_on_time and len(spans) == 1
    step_s = clips[0].step_ns / NS_PER_S
    detail = f"{num_on_time} of {len(clips)} stretches found to within {step_s:g} s, one marker"
    if offs_s:
        detail += f"; starts off by {statistics.median(offs_s):+.2f} s in the median"
    if num_on_time >= MIN_ON_TIME * len(clips):
        return TimeVerdict(is_on_time=True, detail=detail)
    if problems:
        detail += f"; {len(problems)} not found at all: {problems[0]}"
    return TimeVerdict(
        is_on_time=False,
        detail=f"{detail}. This engine's times cannot be trusted: do not index with it",
    )


def _told(clip: Clip, answer: Completion, task: Task, label: str) -> list[TimeRange]:
    if answer.error:
        raise WindowError(answer.error)
    window = clip.window
    found, _ = parse_completion(
        answer.text,
        answer.finish_reason,
        window.plan,
        task,
        window.video,
        markers=answer.markers,
    )
    return [one.span for one in found if one.label == label]
