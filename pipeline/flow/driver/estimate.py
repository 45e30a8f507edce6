"""Estimates a run from its plan alone: frames, tokens, core-hours, GPU-hours, money. No Ray."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from pipeline.config import Config, RatesConfig
from pipeline.engine import Forecast
from pipeline.flow.driver.batches import batches
from pipeline.flow.task.crash_isolation import probe_all_isolated
from pipeline.flow.task.packed_shard import PackedShard, pack_shard, unpack_shard
from pipeline.flow.task.read_answer import verify_of
from pipeline.flow.task.stages import Planned, Probed
from pipeline.media.pixels import source_size, target_size, upright_sar
from pipeline.media.sound import NO_SOUND
from pipeline.plan.overlap import ownerships_of, resolve_overlaps, yield_to_others
from pipeline.records import Ownership, Source, Video
from pipeline.timebase import NS_PER_S

SECONDS_PER_HOUR = 3600.0


def plan_once(sources: Sequence[Source], config: Config) -> Iterator[Probed]:
    """Plan all sources for an index that is still empty: no copies, each moment from one file."""
    seen: set[str] = set()
    owned: dict[str, list[Ownership]] = {}
    config = config.knowing({source.camera for source in sources})
    for start, end in batches(
        sources, max_videos=config.batch_videos, max_bytes=config.commit.batch_bytes
    ):
        batch: list[tuple[Video, tuple[PackedShard, ...]]] = []
        for planned in probe_all_isolated(sources[start:end], config):
            if not isinstance(planned, Planned):
                yield planned
            elif planned.video.video_id not in seen:
                seen.add(planned.video.video_id)
                batch.append((planned.video, tuple(map(pack_shard, planned.shards))))
        ownerships_of_others = resolve_overlaps((video for video, _ in batch), owned)
        for video, packed_shards in batch:
            shards = tuple(unpack_shard(shard.packed) for shard in packed_shards)
            owned.setdefault(video.camera, []).extend(ownerships_of(video))
            reduced = video
            if ownerships := ownerships_of_others.get(video.video_id):
                reduced, shards = yield_to_others(video, shards, ownerships)
            yield Planned(video=reduced, shards=shards)


def shard_figures(planned: Planned) -> Iterator[dict[str, Any]]:
    """The shards of a video: times in seconds of media time, end exclusive."""
    for shard in planned.shards:
        yield {
            "uri": planned.video.uri,
            "shard_id": shard.shard_id,
            "media_start": shard.span.start_ns / NS_PER_S,
            "media_end": shard.span.end_ns / NS_PER_S,
            "windows": len(shard.windows),
            "frames": sum(len(window.frame_pts) for window in shard.windows),
            "decode_cpu_s": round(shard.cost_s, 3),
        }


@dataclass(frozen=True, slots=True)
class Range:
    """An expected figure, with the lowest and the highest that are likely."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> "Range":
        """The same range in another unit."""
        return Range(self.low * factor, self.expected * factor, self.high * factor)


@dataclass(slots=True)
class Estimate:
    """Sums over planned videos.

    Every window counts as if it went to the model. Those that the gate finds quiet cost nothing, so
    that a run may take less.
    """

    config: Config
    num_videos: int = 0
    num_shards: int = 0
    num_windows: int = 0
    num_frames: int = 0
    footage_ns: int = 0
    overlaps: list[dict[str, Any]] = field(default_factory=list)
    """Which file yields which time to which other file of its camera."""
    decode_cpu_s: float = 0.0
    prompt_tokens: int = 0
    sound_ns: int = 0
    """Of the pass that listens."""
    listening_cpu_s: float = 0.0
    _forecast: Forecast | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Count the tokens of a model's prompts; the embedded engine has no prompts."""
        if forecast := self.config.engine_kind.forecast:
            self._forecast = forecast(self.config.engine, self.config.task)

    def add(self, planned: Planned) -> None:
        """Count one video."""
        video = planned.video
        if self.config.hears:
            self.add_sound(planned)
        self.num_videos += 1
        self.num_shards += len(planned.shards)
        self.footage_ns += sum(owned.duration_ns for owned in video.owned)
        self.overlaps.extend(
            {
                "uri": video.uri,
                "media_start": part.span.start_ns / NS_PER_S,
                "media_end": part.span.end_ns / NS_PER_S,
                "to_uri": part.uri,
            }
            for part in video.yielded
        )
        width, height = target_size(
            *source_size(video), upright_sar(video, video.sar), self.config.frame.rgb_max_pixels
        )
        for shard in planned.shards:
            self.decode_cpu_s += shard.cost_s
            self.num_windows += len(shard.windows)
            self.num_frames += sum(len(window.frame_pts) for window in shard.windows)
            if self._forecast is not None:
                self.prompt_tokens += sum(
                    self._forecast.prompt_tokens.of(
                        [video.media_ns(pts) for pts in window.frame_pts],
                        window.span.start_ns,
                        num_pixels=width * height,
                    )
                    for window in shard.windows
                )

    def add_sound(self, planned: Planned) -> None:
        """Count what another pass listens to; captions and videos without sound cost nothing."""
        if NO_SOUND not in planned.video.warnings:
            self.sound_ns += sum(owned.duration_ns for owned in planned.video.owned)
            self.listening_cpu_s += sum(shard.cost_s for shard in planned.shards)

    @property
    def output_tokens(self) -> int:
        """Expected output tokens: the engine's rates have a number per window; 0 without rates."""
        rates = self._rates
        return round(rates.output_tokens_per_window * self.num_windows) if rates else 0

    @property
    def max_output_tokens(self) -> int:
        """Output tokens if every answer, with its thinking, were as long as the settings allow."""
        return self._forecast.max_output_tokens * self.num_windows if self._forecast else 0

    @property
    def gpu_hours(self) -> Range | None:
        """GPU-hours from tokens and assumed rates; None without a GPU or without rates."""
        rates = self._rates
        if rates is None or not self.config.num_gpus:
            return None
        gpu_s = (
            self.prompt_tokens / rates.prompt_tokens_per_gpu_s
            + self.output_tokens / rates.output_tokens_per_gpu_s
        )
        hours = gpu_s / SECONDS_PER_HOUR
        return Range(hours / rates.error_factor, hours, hours * rates.error_factor)

    @property
    def usd(self) -> Range | None:
        """US dollars for the GPU-hours at the assumed price; decoding is not in it."""
        hours, rates = self.gpu_hours, self._rates
        return hours.times(rates.usd_per_gpu_hour) if hours and rates else None

    def _speech(self) -> str:
        hours = f"{self.sound_ns / NS_PER_S / SECONDS_PER_HOUR:,.3f} h of sound"
        if not self.listening_cpu_s:
            return f"captions of {hours}, which cost nothing"
        core_hours = f"{self.listening_cpu_s / SECONDS_PER_HOUR:,.3g} core-hours"
        return f"{hours}, {core_hours} if somebody always speaks; pauses cost nothing"

    @property
    def _rates(self) -> RatesConfig | None:
        return self._forecast.rates if self._forecast else None

    def to_json(self) -> dict[str, Any]:
        """The figures for ``--json``: a range is [low, expected, high], or null if unknown."""
        return {
            "videos": self.num_videos,
            "video_hours": self.footage_ns / NS_PER_S / SECONDS_PER_HOUR,
            "shards": self.num_shards,
            "windows": self.num_windows,
            "frames": self.num_frames,
            "decode_core_hours": self.decode_cpu_s / SECONDS_PER_HOUR,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "max_output_tokens": self.max_output_tokens,
            "gpu_hours": self.gpu_hours and astuple(self.gpu_hours),
            "usd": self.usd and astuple(self.usd),
            "sound_hours": self.sound_ns / NS_PER_S / SECONDS_PER_HOUR,
            "listening_core_hours": self.listening_cpu_s / SECONDS_PER_HOUR,
            "overlaps": self.overlaps,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """The figures for a terminal: name and text of each line."""
        yield "footage", f"{self.footage_ns / NS_PER_S / SECONDS_PER_HOUR:,.3f} h"
        if self.overlaps:
            yielded_s = sum(part["media_end"] - part["media_start"] for part in self.overlaps)
            num_files = len({part["uri"] for part in self.overlaps})
            yield (
                "overlaps",
                f"{num_files:,} files yield {yielded_s:,.1f} s to other files; see --json",
            )
        yield "windows", f"{self.num_windows:,} in {self.num_shards:,} shards"
        yield "frames", f"{self.num_frames:,}"
        yield "decoding", f"{self.decode_cpu_s / SECONDS_PER_HOUR:,.3g} core-hours"
        if self.sound_ns:
            yield "speech", self._speech()
        if self._forecast is None:
            if self.config.asks_a_model:
                yield "tokens", f"not known before, with engine.kind={self.config.engine.kind}"
            return
        gate = "" if self.config.gate.kind == "none" else "; less for windows that are quiet"
        verifications = "; verification comes on top" if verify_of(self.config) else ""
        is_exact = self._forecast.prompt_tokens.is_exact
        method = "" if is_exact else "; text counted without the model's tokenizer"
        yield "prompt tokens", f"{self.prompt_tokens:,}{gate}{verifications}{method}"
        rates = self._rates
        if rates is None:
            yield "output tokens", f"at most {self.max_output_tokens:,}"
            yield (
                "GPU-hours",
                "unknown: set engine.rates, or use a model of the catalogue",
            )
            return
        assumed = f"assuming {rates.output_tokens_per_window:g} per window"
        at_most = f"at most {self.max_output_tokens:,}"
        yield "output tokens", f"{self.output_tokens:,}, {assumed}; {at_most}"
        if (hours := self.gpu_hours) and (usd := self.usd):
            yield "GPU-hours", f"{_shown(hours)}, assumed for {rates.gpu}"
            yield "cost", f"{_shown(usd)} USD at {rates.usd_per_gpu_hour:g} USD per GPU-hour"
            yield "assumptions", rates.source


def _shown(figure: Range) -> str:
    return f"{figure.expected:,.3g} ({figure.low:,.3g} to {figure.high:,.3g})"
