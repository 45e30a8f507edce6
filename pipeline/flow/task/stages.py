"""The stages of one Ray task in their order, as functions on records. No Ray here."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from structlog.contextvars import bind_contextvars

from pipeline.config import Config, VerifyConfig
from pipeline.engine import ShardEngine, open_object_gate
from pipeline.engine.page_text import open_page_reader
from pipeline.errors import SourceError, UnreachableError, WindowError
from pipeline.flow.task.evidence import (
    candidate_pts,
    small_frame,
    with_candidates,
    with_evidence,
)
from pipeline.flow.task.parts import split
from pipeline.flow.task.read_answer import read_answer, verify_of
from pipeline.gate import MotionGate
from pipeline.media import decode_frames, probe
from pipeline.plan import packets_for, plan_shards
from pipeline.processes.watchdog import watchdog
from pipeline.records import (
    Completion,
    Frame,
    PacketIndex,
    PageView,
    Shard,
    Source,
    Video,
    Window,
    WindowPlan,
    WindowResult,
    WindowStatus,
)
from pipeline.slides import PageTexts, PageWatcher
from pipeline.sources import local_to_utc
from pipeline.timebase import NS_PER_S, seconds_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A source that cannot be indexed, and why."""

    source: Source
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """A source about which nothing is known yet, because its store did not answer."""

    source: Source
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenShard:
    """A shard that could not be read to its end. Its results do not count; a later run answers it.

    The decoding task yields it last for its shard, but results of the shard may arrive after it.
    """

    shard_id: str
    video_id: str
    uri: str
    error: str


ShardOutcome: TypeAlias = WindowResult | OpenShard
"""One outcome of a shard: a result (all of them tile the shard), or that the shard stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A probed source and the shards that tile it."""

    video: Video
    shards: tuple[Shard, ...]


Probed: TypeAlias = Planned | Failure | Outstanding
"""The outcome of a probe."""

_FindPages: TypeAlias = Callable[[WindowPlan, list[Frame], Video], tuple[PageView, ...]]
"""The views of the next window of a shard."""


def probe_and_plan(source: Source, config: Config) -> Probed:
    """list -> probe -> plan of one source."""
    if source.unreachable:
        return Outstanding(source=source, error=source.unreachable)
    if source.problem:
        return Failure(source=source, error=f"{source.uri}: {source.problem}")
    try:
        with watchdog(config.decode.max_stall_s):
            video, packets = probe(
                source,
                sample=config.sample,
                decode=config.decode,
                correction=config.clock.of(source.camera),
                access=config.sources.access,
                to_utc=partial(local_to_utc, config=config.sources),
            )
    except UnreachableError as exc:
        return Outstanding(source=source, error=str(exc))
    except SourceError as exc:
        return Failure(source=source, error=str(exc))
    shards = plan_shards(
        video,
        packets,
        sample=config.sample,
        plan=config.plan,
        rgb_pixels=config.frame.rgb_max_pixels if config.wants_rgb else 0,
    )
    return Planned(video=video, shards=shards)


def decode_and_gate(shard: Shard, config: Config) -> Iterator[Window | ShardOutcome]:
    """decode -> gate: windows for the engine, and the results of quiet and of failed windows.

    The yielded windows and results tile the planned windows exactly. If some frames of a window
    cannot be decoded, the window is split: the decoded frames are shown to the engine, the others
    become a failed range. If the store of the file does not answer, the shard stays open.
    """
    try:
        yield from _decode_and_gate(shard, config)
    except UnreachableError as exc:
        yield left_open(shard.shard_id, shard.video, exc)


def left_open(shard_id: str, video: Video, exc: UnreachableError) -> OpenShard:
    """The shard of a video that cannot be read now."""
    return OpenShard(shard_id=shard_id, video_id=video.video_id, uri=video.uri, error=str(exc))


def _decode_and_gate(shard: Shard, config: Config) -> Iterator[Window | WindowResult]:
    gate = MotionGate(config.gate)
    object_gate = open_object_gate(config.gate.objects)
    verify = verify_of(config)
    find_pages = _page_finder(config)
    frames = _Frames(shard, config)
    candidates = candidate_pts(shard)
    for plan in shard.windows:
        bind_contextvars(window_id=plan.window_id)  # for log lines
        for part, part_frames in _runs(plan, frames.take(plan), shard.video):
            decode_cpu_s = frames.take_cpu_s()
            if not part_frames:
                yield failed_window(part, shard, frames.error, decode_cpu_s)
                continue
            window = as_window(part, shard.shard_id, shard.video, part_frames, decode_cpu_s)
            window = replace(window, views=find_pages(part, part_frames, shard.video))
            if verify:
                window = replace(window, packets=_packets_around(window, shard, verify))
            if gate.is_quiet(window.luma, window.frame_ns):
                yield _quiet(window, "nothing changes")
                continue
            if config.wants_rgb:
                window = with_colour(window, part_frames)
            elif config.evidence.pictures:
                window = with_candidates(window, part_frames, candidates)
            if object_gate:
                sightings = object_gate.wanted(window, gate.moved)
                if not sightings:
                    yield _quiet(window, f"no {', '.join(object_gate.labels)}")
                    continue
                window = replace(window, sightings=sightings if object_gate.tells else ())
            yield window


def _page_finder(config: Config) -> _FindPages:
    """What finds the pages in the consecutive windows of one shard, and reads them if wanted."""
    if config.slides is None:
        return lambda *_: ()
    watcher = PageWatcher(config.slides.fps)
    if not config.slides.read_text:
        return watcher.views
    texts = PageTexts(open_page_reader())
    return lambda plan, frames, video: texts.added(
        watcher.views(plan, frames, video), frames, video
    )


def answer_shard(
    decoded: Iterable[Window | ShardOutcome], config: Config, engine: ShardEngine
) -> Iterator[ShardOutcome]:
    """Embedded engine -> parse, on ``decode_and_gate``. No pixel leaves the process."""
    pending: deque[Window] = deque()
    outcomes: deque[ShardOutcome] = deque()

    def windows() -> Iterator[Window]:
        for item in decoded:
            if isinstance(item, Window):
                pending.append(item)
                yield item
            else:
                outcomes.append(item)

    for completion in engine.answer(windows()):
        yield result_of(pending.popleft(), completion, config)
        while outcomes:
            yield outcomes.popleft()
    yield from outcomes


def result_of(window: Window, completion: Completion, config: Config) -> WindowResult:
    """engine -> parse: if an answer does not parse, the window has failed, and its text is kept."""
    if completion.error:
        return _result(window, completion, status="failed", error=completion.error)
    result = _result(window, completion, status="analysed")
    try:
        observations, _ = read_answer(result, config.task, window.video)
    except WindowError as exc:
        return replace(result, status="failed", error=str(exc))
    return with_evidence(result, window, observations) if config.evidence.pictures else result


class _Frames:
    """The decoded frames of one shard, window by window, and the CPU seconds of decoding."""

    def __init__(self, shard: Shard, config: Config) -> None:
        want_pts = [pts for plan in shard.windows for pts in plan.frame_pts]
        is_large = config.wants_rgb or config.reads_pages
        self._decoded = decode_frames(
            shard.video,
            shard.packets,
            want_pts,
            frame=config.frame if is_large else small_frame(config.frame),
            rgb=is_large or config.evidence.pictures,
            rgb_pts=None if is_large else candidate_pts(shard),
            max_pixels=config.decode.max_pixels,
            access=config.sources.access,
        )
        self._next: Frame | None = None
        self._ended = False
        self._cpu_s = 0.0
        self._remaining_s = config.decode.max_shard_s
        self._max_stall_s = config.decode.max_stall_s
        self.error = "these frames could not be decoded; the file is damaged here"

    def take(self, plan: WindowPlan) -> list[Frame]:
        """The frames of ``plan`` that could be decoded, in order."""
        frames: list[Frame] = []
        while (frame := self._peek()) is not None and frame.pts <= plan.frame_pts[-1]:
            frames.append(frame)
            self._next = None
        return frames

    def take_cpu_s(self) -> float:
        """CPU seconds of decoding since the last call."""
        cpu_s, self._cpu_s = self._cpu_s, 0.0
        return cpu_s

    def _peek(self) -> Frame | None:
        if self._next is None and not self._ended:
            started_s, cpu_s = time.monotonic(), time.process_time()
            try:
                with watchdog(self._max_stall_s):
                    self._next = next(self._decoded, None)
            except SourceError as exc:
                self.error = str(exc)
            self._cpu_s += time.process_time() - cpu_s
            self._remaining_s -= time.monotonic() - started_s
            if self._remaining_s < 0 and self._next is not None:
                self._next = None
                self.error = "the shard has used up decode.max_shard_s; raise it or check the file"
            self._ended = self._next is None
        return self._next


def _runs(
    plan: WindowPlan, frames: list[Frame], video: Video
) -> Iterator[tuple[WindowPlan, list[Frame]]]:
    """Split ``plan`` into runs of frames that are all decoded, or all missing.

    All pictures of a video have the same size, even if the stream changes its size.
    """
    by_pts = {frame.pts: frame for frame in frames}
    is_decoded = [pts in by_pts for pts in plan.frame_pts]
    for part in split(plan, is_decoded, video):
        yield part, [by_pts[pts] for pts in part.frame_pts if pts in by_pts]


def _packets_around(window: Window, shard: Shard, verify: VerifyConfig) -> PacketIndex:
    """The packets of the window and of the time around it that verification may show."""
    reach_ns = seconds_to_ns(verify.reach_s)
    span = window.plan.span
    around = [
        pts
        for pts in shard.packets.shown_pts.tolist()
        if span.start_ns - reach_ns <= shard.video.media_ns(pts) < span.end_ns + reach_ns
    ]
    return packets_for(shard.packets, around)


def as_window(
    plan: WindowPlan, shard_id: str, video: Video, frames: list[Frame], decode_cpu_s: float
) -> Window:
    """The decoded frames of ``plan``, without colour."""
    return Window(
        plan=plan,
        shard_id=shard_id,
        video=video,
        frame_pts=np.array([frame.pts for frame in frames], dtype=np.int64),
        frame_ns=np.array([video.media_ns(frame.pts) for frame in frames], dtype=np.int64),
        luma=np.stack([frame.luma for frame in frames]),
        rgb=None,
        suspect_pts=frozenset(frame.pts for frame in frames if frame.suspect),
        decode_cpu_s=decode_cpu_s,
    )


def with_colour(window: Window, frames: list[Frame]) -> Window:
    """The window with RGB pixels, if the engine needs them; they are converted only now."""
    started_s = time.process_time()
    rgb: npt.NDArray[np.uint8] | None = None
    for i, frame in enumerate(frames):
        picture = frame.rgb
        if picture is None:
            return window
        if rgb is None:
            rgb = np.empty((len(frames), *picture.shape), np.uint8)
        rgb[i] = picture
    cpu_s = window.decode_cpu_s + time.process_time() - started_s
    return replace(window, rgb=rgb, decode_cpu_s=cpu_s)


def failed_window(
    plan: WindowPlan, shard: Shard, error: str, decode_cpu_s: float = 0.0
) -> WindowResult:
    """The result of a window that could not be decoded, with the reason."""
    start_s, end_s = plan.span.start_ns / NS_PER_S, plan.span.end_ns / NS_PER_S
    return WindowResult(
        window_id=plan.window_id,
        shard_id=shard.shard_id,
        video_id=shard.video.video_id,
        span=plan.span,
        status="failed",
        frame_pts=(),
        error=f"{shard.video.uri} at {start_s:.3f}-{end_s:.3f} s: {error}",
        decode_cpu_s=decode_cpu_s,
    )


def _quiet(window: Window, reason: str) -> WindowResult:
    nothing = Completion(text="", finish_reason="")
    return replace(_result(window, nothing, status="quiet"), quiet_reason=reason)


def _result(
    window: Window, completion: Completion, *, status: WindowStatus, error: str = ""
) -> WindowResult:
    return WindowResult(
        window_id=window.plan.window_id,
        shard_id=window.shard_id,
        video_id=window.video.video_id,
        span=window.plan.span,
        status=status,
        frame_pts=tuple(int(pts) for pts in window.frame_pts),
        num_suspect=window.num_suspect,
        told=completion.told,
        text=completion.text,
        finish_reason=completion.finish_reason,
        markers=completion.markers,
        confidences=completion.confidences,
        num_prompt_tokens=completion.num_prompt_tokens,
        num_output_tokens=completion.num_output_tokens,
        error=error,
        decode_cpu_s=window.decode_cpu_s,
        views=window.views,
    )
