"""An archive whose recordings are scripts: what stands for media and for a model, and nothing else.

Listing, planning, ownership, the ledger, the driver, the rows and the index are the real ones.
"""

import errno
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from unittest.mock import patch

import numpy as np
from deltalake import DeltaTable

from pipeline.config import Config, load_config
from pipeline.errors import UnreachableError
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.archive import index_archive
from pipeline.flow.task.packed_shard import pack_shard, unpack_shard
from pipeline.flow.task.stages import (
    Failure,
    Planned,
    answer_shard,
    decode_and_gate,
    probe_and_plan,
)
from pipeline.index import replace as replacing
from pipeline.records import Completion, Frame, PacketIndex, Source, Video, Window, make_id
from pipeline.timebase import NS_PER_S, TimeRange, pts_to_ns

T0_NS = 1_772_352_000 * NS_PER_S  # 2026-03-01T08:00:00Z
GOP = 4
GAP_S = 0.1
"""Shorter than any frame: events join over a border of windows or files, and over no frame."""

# Frames per second between 3 and 7, in the time bases of real containers and in odd ones.
RATES = (
    (Fraction(1, 25), 5),
    (Fraction(1, 30), 7),
    (Fraction(1001, 30000), 6),
    (Fraction(1, 90000), 24024),
    (Fraction(1, 7), 1),
)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One file: when it began by the camera's clock, and which of its frames show something."""

    uri: str
    camera: str
    start_ns: int
    rate: int
    """Index into ``RATES``."""
    num_frames: int
    width: int = 64
    content: int = 0
    """Another number is another recording of the same name."""
    showing: tuple[tuple[int, int], ...] = ()
    """Half-open ranges of frame numbers."""

    @property
    def time_base(self) -> Fraction:
        return RATES[self.rate][0]

    @property
    def pts(self) -> np.ndarray:
        return np.arange(self.num_frames, dtype=np.int64) * RATES[self.rate][1]

    @property
    def end_pts(self) -> int:
        return self.num_frames * RATES[self.rate][1]

    @property
    def content_id(self) -> str:
        return make_id(self.camera, self.content, self.rate, self.showing, self.num_frames)

    def shows(self, number: int) -> bool:
        """Whether a frame shows something."""
        return any(low <= number < high for low, high in self.showing)

    def source(self) -> Source:
        """As it is listed."""
        return Source(
            uri=self.uri,
            num_bytes=1000 * self.num_frames,
            etag=self.content_id,
            camera=self.camera,
            start_ns=self.start_ns,
            clock="path",
        )

    def video(self, config: Config) -> Video:
        """As it is probed."""
        correction = correction_of(config, self.camera)
        start_ns = correction.utc_ns(self.start_ns)
        return Video(
            video_id=make_id(self.content_id, self.camera, start_ns, str(correction)),
            content_id=self.content_id,
            uri=self.uri,
            num_bytes=1000 * self.num_frames,
            etag=self.content_id,
            camera=self.camera,
            clock="path",
            start_ns=start_ns,
            stream_index=0,
            codec="h264",
            width=self.width,
            height=48,
            rotation=0,
            time_base=self.time_base,
            origin_pts=0,
            footage=(TimeRange(0, pts_to_ns(self.end_pts, self.time_base)),),
            num_frames=self.num_frames,
            num_keyframes=-(-self.num_frames // GOP),
            correction=correction,
        )

    def packets(self) -> PacketIndex:
        """One packet per frame, a keyframe for each GOP."""
        return PacketIndex(
            pts=self.pts,
            dts=self.pts,
            num_bytes=np.full(self.num_frames, 1000, np.int32),
            keyframe=np.arange(self.num_frames) % GOP == 0,
            discard=np.zeros(self.num_frames, bool),
        )


def recording(uri: str, start_s: float, num_frames: int) -> Recording:
    """One of the camera that its folder is named after, at a rate of odd nanoseconds."""
    return Recording(
        uri=uri, camera=uri.partition("/")[0], start_ns=T0_NS + round(start_s * NS_PER_S), rate=4,
        num_frames=num_frames, showing=((0, 99),),
    )  # fmt: skip


def correction_of(config: Config, camera: str):
    """A camera's correction; the scripts name every camera alone."""
    return config.clock.of(camera)


def config_of(setting: int, clock: dict[str, float] | None = None) -> Config:
    """Two settings with different windows; ``clock`` holds offset_s and rate_ppm of ``gate``."""
    made = _config_of(setting)
    if not clock:
        return made
    cameras = {"gate": {**clock}}
    return made.model_copy(update={"clock": type(made.clock).model_validate({"cameras": cameras})})


@functools.cache
def _config_of(setting: int) -> Config:
    return load_config(
        overrides=(
            "sample.fps=50",
            f"plan.max_window_frames={(4, 6)[setting]}",
            "plan.shard_cost_s=0.0015",
            f"stitch.max_gap_s={GAP_S}",
            "commit.shards=2",
            "commit.batch_videos=3",
            "sources.settle_s=3600",
        )
    )


class Archive:
    """The scripts, and what goes wrong while they are read."""

    def __init__(self) -> None:
        self.recordings: dict[str, Recording] = {}
        self.unanswered: dict[str, int] = {}
        """URI -> of how many windows the model answers one not; 1: it answers none."""
        self.num_readable: dict[str, int] = {}
        """URI -> how many frames a failing store gives out; none: the file cannot be probed."""
        self.written: set[str] = set()
        """URIs of files that recorders are writing."""
        self.asked: set[str] = set()
        """Ids of the windows that the model was shown, since somebody has cleared them."""

    def listed(self) -> list[Source]:
        """What a listing finds."""
        return [
            replace(
                self.recordings[uri].source(),
                mtime_ns=time.time_ns() if uri in self.written else None,
            )
            for uri in sorted(self.recordings)
        ]

    def probe(self, source: Source, *, correction, **_: object) -> tuple[Video, PacketIndex]:
        """Stands for ``pipeline.media.probe``."""
        recording = self.recordings[source.uri]
        if self.num_readable.get(source.uri) == 0:
            raise UnreachableError(f"{source.uri}: the store does not answer")
        config = self._config
        assert correction == correction_of(config, source.camera)
        return recording.video(config), recording.packets()

    def decode(
        self, video: Video, _: PacketIndex, want_pts: Sequence[int], **__: object
    ) -> Iterator[Frame]:
        """Stands for ``pipeline.media.decode_frames``: what shows something is white."""
        recording = self.recordings[video.uri]
        ticks = RATES[recording.rate][1]
        for pts in want_pts:
            if pts // ticks >= self.num_readable.get(video.uri, recording.num_frames):
                raise UnreachableError(f"{video.uri}: the store does not answer")
            shown = recording.shows(pts // ticks)
            yield Frame(
                pts=pts,
                keyframe=pts // ticks % GOP == 0,
                suspect=False,
                luma=np.full((2, 2), 255 * shown, np.uint8),
                colour=None,
            )

    def answer(self, windows: Iterator[Window]) -> Iterator[Completion]:
        """Stands for a model: one event for each run of white frames."""
        for window in windows:
            window_id = window.plan.window_id
            self.asked.add(window_id)
            one_of = self.unanswered.get(window.video.uri)
            if one_of and int(window_id, 16) % one_of == 0:
                yield Completion(text="", finish_reason="", error="the model did not answer")
                continue
            yield Completion(text=json.dumps(_told(window)), finish_reason="stop")

    def index(self, uri: str, config: Config, only: str | None = None, **choices: bool):
        """One run over what is listed, or ``only`` one file of it, in this process."""
        self._config = config
        with ExitStack() as stack:
            for name, stand_in in {
                "running_ray": lambda *_: nullcontext(),
                "probe_graph": self._probe_graph,
                "answer_graph": self._answer_graph,
            }.items():
                stack.enter_context(patch.object(driver, name, stand_in))
            stack.enter_context(patch("pipeline.flow.task.stages.probe", self.probe))
            stack.enter_context(patch("pipeline.flow.task.stages.decode_frames", self.decode))
            listed = [source for source in self.listed() if only in (None, source.uri)]
            return index_archive(listed, config, uri, on_progress=lambda _: None, **choices)

    def _probe_graph(self, sources, config):
        for source in sources:
            planned = probe_and_plan(source, config)
            assert not isinstance(planned, Failure), planned.error
            if isinstance(planned, Planned):
                yield planned.video, tuple(map(pack_shard, planned.shards))
            else:
                yield planned

    def _answer_graph(self, shards, config):
        opened = [unpack_shard(shard.packed) for shard in shards]  # the driver forgets its own
        return (
            result
            for shard in opened
            for result in answer_shard(decode_and_gate(shard, config), config, self)
        )


def _told(window: Window) -> dict[str, object]:
    events = []
    shown = [bool(luma.max()) for luma in window.luma] + [False]
    borders_ns = [*window.frame_ns.tolist(), window.plan.span.end_ns]
    first = 0
    for number, is_shown in enumerate(shown):
        if is_shown and (number == 0 or not shown[number - 1]):
            first = number
        if not is_shown and number and shown[number - 1]:
            start_s, end_s = (
                (borders_ns[at] - window.plan.span.start_ns) / NS_PER_S for at in (first, number)
            )
            events.append({"label": "motion", "start": start_s, "end": end_s})
    return {"events": events, "summary": ""}


class KilledError(BaseException):
    """The process dies here: no handler of the code under test runs for long."""


@contextmanager
def at_write(number: int, happens: Callable[[], None], *, before: bool) -> Iterator[None]:
    """Call ``happens`` before or after the so-many-th commit to any table."""
    left = [number]

    def hooked(original):
        def write(*args, **kwargs):
            left[0] -= 1
            is_now = left[0] == 0
            if is_now and before:
                happens()
            made = original(*args, **kwargs)
            if is_now and not before:
                happens()
            return made

        return write

    with (
        patch.object(replacing, "write_deltalake", hooked(replacing.write_deltalake)),
        patch.object(DeltaTable, "delete", hooked(DeltaTable.delete)),
        patch.object(DeltaTable, "update", hooked(DeltaTable.update)),
    ):
        yield


def kill() -> None:
    """See ``KilledError``."""
    raise KilledError


def disk_is_full() -> None:
    """What the table library raises then; nothing was written."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def grown(recording: Recording, num_frames: int) -> Recording:
    """The same file some frames later."""
    return replace(recording, num_frames=recording.num_frames + num_frames)
