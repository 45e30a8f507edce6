"""One window of a recording is answered for a task that is still being written. No Ray here."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.config import Config, GateConfig
from pipeline.engine import open_model
from pipeline.errors import ConfigError, SourceError
from pipeline.flow.task.answer import answer_window
from pipeline.flow.task.read_answer import read_answer
from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
from pipeline.records import Observation, Shard, Source, Video, Window, WindowResult
from pipeline.timebase import NS_PER_S, seconds_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a model was asked about one window, and what it answered; times in media seconds."""

    video: Video
    results: tuple[WindowResult, ...]
    """Of the window, or of its parts if one answer had no room; each with its text or its error."""
    events: tuple[Observation, ...]


def try_task(source: Source, config: Config, *, at_s: float = 0.0) -> Trial:
    """Ask about the window that shows ``at_s``, as a run would; the gate lets it pass.

    Raises:
        ConfigError: the engine is no model, or the recording shows nothing at that time.
        EngineStartError: the engine cannot be loaded or reached.
        SourceError: the recording cannot be read.
    """
    if not config.asks_a_model:
        raise ConfigError(
            f"engine.kind={config.engine.kind}: asks no model, and has a task of its own; name a"
            " model by --config or --set engine=..., as docs/engines.md shows"
        )
    config = config.model_copy(update={"gate": GateConfig(kind="none")})
    planned = probe_and_plan(source, config)
    if not isinstance(planned, Planned):
        raise SourceError(planned.error)
    shard = _shard_at(planned, at_s)
    results = tuple(asyncio.run(_answered(shard, config)))
    events = tuple(
        event
        for result in results
        if result.status == "analysed"
        for event in read_answer(result, config.task, planned.video)[0]
    )
    return Trial(video=planned.video, results=results, events=events)


def _shard_at(planned: Planned, at_s: float) -> Shard:
    """The shard with the one window that shows a time, or the first one after it."""
    at_ns = seconds_to_ns(at_s)
    for shard in planned.shards:
        for plan in shard.windows:
            if plan.span.end_ns > at_ns:
                return replace(shard, windows=(plan,))
    last_s = max((shard.span.end_ns for shard in planned.shards), default=0) / NS_PER_S
    raise ConfigError(f"{planned.video.uri}: shows nothing at {at_s:g} s; it ends at {last_s:g} s")


async def _answered(shard: Shard, config: Config) -> list[WindowResult]:
    engine = open_model(config)
    try:
        return [
            result
            for item in _decoded(shard, config)
            for result in (
                await answer_window(item, engine, config) if isinstance(item, Window) else [item]
            )
        ]
    finally:
        engine.shutdown()


def _decoded(shard: Shard, config: Config) -> Iterator[Window | WindowResult]:
    for item in decode_and_gate(shard, config):
        if not isinstance(item, Window | WindowResult):
            raise SourceError(item.error)
        yield item
