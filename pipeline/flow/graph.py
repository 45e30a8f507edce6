"""The Ray Data graphs, with every Ray argument of the project.

Each row carries one pickled record. Pixels cross the object store only between decode tasks and the
actors of a model, window by window. An embedded engine runs in the task that decodes the frames.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeAlias

import pyarrow as pa
import ray
import ray.data
import structlog
from structlog.contextvars import bound_contextvars, get_contextvars

from pipeline.config import Config, ModelEngineConfig, SpeechEngineConfig
from pipeline.engine import TextEngine, open_model, open_shards, open_speech, open_text_model
from pipeline.errors import ConfigError, EngineStartError, SummaryError, UnreachableError
from pipeline.flow import metrics
from pipeline.flow.nodes import unfit_node
from pipeline.flow.spans import span
from pipeline.flow.task.answer import decode_verification
from pipeline.flow.task.crash_isolation import decode_isolated, probe_isolated
from pipeline.flow.task.deck import looks_for_decks, with_deck
from pipeline.flow.task.enrol import open_voices
from pipeline.flow.task.listen import listen, plan_source
from pipeline.flow.task.packed_shard import PackedShard, pack, pack_shard, unpack, unpack_shard
from pipeline.flow.task.stages import (
    Failure,
    Outstanding,
    Planned,
    ShardOutcome,
    answer_shard,
    decode_and_gate,
)
from pipeline.flow.task.supervisor import EngineSupervisor, OpenEngine, Replica
from pipeline.processes.logs import LogLine, begin_work, take_warnings
from pipeline.records import (
    Completion,
    Shard,
    Source,
    Summary,
    SummaryLevel,
    Video,
    Window,
    WindowPlan,
)
from pipeline.summarize import Summarizer, SummaryDay, summarize_day

log = structlog.get_logger()

ROW = pa.schema([pa.field("record", pa.large_binary(), nullable=False)])

# Windows that one call of an actor answers. Few, because all rows of a call come back together.
WINDOWS_PER_CALL = 4
# Verifications that are decoded for one replica at a time; each is a process beside the decoders.
VERIFICATIONS_AT_ONCE = 4
# Days that one replica summarizes at a time, so that the single calls at their ends overlap.
DAYS_AT_ONCE = 4

SummarizedDay: TypeAlias = tuple[tuple[str, date], list[Summary]]
"""Camera and UTC date, and the summaries of that day."""


def probe_graph(
    sources: Sequence[Source], config: Config
) -> Iterator[tuple[Video, tuple[PackedShard, ...]] | Failure | Outstanding]:
    """list -> probe -> plan, one task per source, results as they come."""
    run, finds_decks = get_contextvars(), looks_for_decks(config)

    def probe(batch: pa.Table) -> Iterator[pa.Table]:
        for source in _records(batch):
            begin_work(run, uri=source.uri)
            with span("probe", config):
                planned = (probe_isolated if _has_killed() else plan_source)(source, config)
            if isinstance(planned, Planned):
                video = with_deck(planned.video, config) if finds_decks else planned.video
                yield _table([pack((video, tuple(map(pack_shard, planned.shards))))])
            else:
                yield _table([pack(planned)])
            yield from _told()

    ds = _dataset("probe", [pack(source) for source in sources]).map_batches(
        probe, batch_size=1, batch_format="pyarrow", num_cpus=config.cluster.decode_cpus / 2
    )
    return _results(ds)


def answer_graph(
    shards: Sequence[PackedShard],
    config: Config,
    *,
    open_engine: OpenEngine = open_model,
) -> Iterator[ShardOutcome]:
    """decode -> gate -> engine -> parse, results as they come, in any order."""
    decoding: dict[str, Any] = {
        "batch_size": 1,
        "batch_format": "pyarrow",
        "num_cpus": config.cluster.decode_cpus,
        "compute": ray.data.TaskPoolStrategy(size=config.cluster.max_decode_tasks),
    }
    planned = _dataset("answer", [shard.packed for shard in shards])
    engine, run = config.engine, get_contextvars()
    if isinstance(engine, SpeechEngineConfig):
        return _results(_listening(planned, config, engine, decoding))
    if not isinstance(engine, ModelEngineConfig):

        def decode_and_answer(batch: pa.Table) -> Iterator[pa.Table]:
            for shard in _shards(batch, run):
                decoded = _decode_and_gate(shard, config)
                for result in answer_shard(decoded, config, open_shards(config)):
                    yield _table([pack(result)])
                yield from _told()

        return _results(planned.map_batches(decode_and_answer, **decoding))

    def decode(batch: pa.Table) -> Iterator[pa.Table]:
        for shard in _shards(batch, run):
            for item in _decode_and_gate(shard, config):
                yield _table([pack(item)])
            yield from _told()

    # For twice as many windows as the engine takes at once: a call lasts as long as its
    # slowest window, and meanwhile windows of other calls must take the free places.
    calls = -(-2 * engine.max_concurrency // WINDOWS_PER_CALL)
    ds = planned.map_batches(decode, **decoding).map_batches(
        _ModelActor,
        fn_constructor_args=(config, open_engine, run),
        batch_size=WINDOWS_PER_CALL,
        batch_format="pyarrow",
        # Must differ from decoding's: Ray fuses stages with equal CPUs into one actor.
        num_cpus=config.cluster.decode_cpus / 2,
        num_gpus=engine.gpus_per_replica or None,
        compute=ray.data.ActorPoolStrategy(
            size=engine.replicas,
            max_tasks_in_flight_per_actor=calls + calls // 2 + 1,
            max_concurrent_calls_per_actor=calls,
        ),
    )
    return _results(ds)


def _listening(
    planned: ray.data.Dataset, config: Config, engine: SpeechEngineConfig, decoding: dict[str, Any]
) -> ray.data.Dataset:
    """Decoding takes a hundredth of the time of listening, so both happen in one place."""
    run = get_contextvars()
    if config.engine_kind.reads_captions:

        def read_captions(batch: pa.Table) -> Iterator[pa.Table]:
            for shard in _shards(batch, run):
                for result in listen(shard, config, None):
                    yield _table([pack(result)])
                yield from _told()

        return planned.map_batches(read_captions, **decoding)
    return planned.map_batches(
        _ListeningActor,
        fn_constructor_args=(config, run),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=engine.cpus_per_replica,
        num_gpus=engine.gpus_per_replica or None,
        compute=ray.data.ActorPoolStrategy(size=engine.replicas),
    )


class _ListeningActor:
    """Holds one replica of what listens; one shard at a time."""

    def __init__(self, config: Config, run: Mapping[str, Any]) -> None:
        begin_work(run)
        self._config = config
        self._run = run
        self._engine = open_speech(config)
        self._network = open_voices(config)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        for shard in _shards(batch, self._run):
            with span("listen", self._config):
                for result in listen(shard, self._config, self._engine, self._network):
                    yield _table([pack(result)])
            yield from _told()


class _ModelActor:
    """Holds one replica of the model; answers several batches of windows at once."""

    def __init__(self, config: Config, open_engine: OpenEngine, run: Mapping[str, Any]) -> None:
        import asyncio  # noqa: PLC0415 - pickled by value with the class

        begin_work(run)
        self._config = config
        self._run = run
        self._num_asked = 0
        self._verifications = asyncio.Semaphore(VERIFICATIONS_AT_ONCE)
        self._replica = Replica(config, open_engine, self._decode_again)

    async def __call__(self, batch: pa.Table) -> AsyncIterator[pa.Table]:
        import asyncio  # noqa: PLC0415 - pickled by value with the class

        outcomes = await asyncio.gather(*map(self._answer, _records(batch)))
        yield _table([pack(result) for results in outcomes for result in results])
        for table in _told():
            yield table

    async def _answer(self, item: Window | ShardOutcome | LogLine) -> Sequence[object]:
        if not isinstance(item, Window):
            return [item]
        self._ask(1)
        try:
            with (
                bound_contextvars(
                    **self._run,
                    video_id=item.video.video_id,
                    shard_id=item.shard_id,
                    window_id=item.plan.window_id,
                ),
                span("answer", self._config),
            ):
                return await self._replica.answer_item(item)
        finally:
            self._ask(-1)

    def _ask(self, more: int) -> None:
        self._num_asked += more
        metrics.ASKED_WINDOWS.set(self._num_asked)

    async def _decode_again(self, window: Window, plan: WindowPlan) -> Window | None:
        packed = pack(replace(window, rgb=None))
        async with self._verifications:
            decoded: Window | UnreachableError | None = unpack(
                await _decode_verification.remote(packed, plan, self._config)
            )
        if isinstance(decoded, UnreachableError):
            raise decoded
        return decoded


# No CPU: the decode tasks may have all CPUs, and may wait for the actor that waits for this task.
@ray.remote(num_cpus=0)
def _decode_verification(window: bytes, plan: WindowPlan, config: Config) -> bytes:
    try:
        # A verification that has killed a worker is not tried again.
        return pack(None if _has_killed() else decode_verification(unpack(window), plan, config))
    except UnreachableError as exc:
        return pack(exc)  # Ray would turn the message of a raised error into a traceback


def _decode_and_gate(shard: Shard, config: Config) -> Iterator[Window | ShardOutcome]:
    with span("decode", config):
        if _has_killed():
            log.warning("a worker died with this shard; it is decoded again in a child process")
            yield from decode_isolated(decode_and_gate, shard, config)
        else:
            yield from decode_and_gate(shard, config)


def _has_killed() -> bool:
    """Whether this task runs again because the worker died that ran it before."""
    # Ray Data repeats a task whose worker has died; Ray's counter of attempts is not public.
    worker: Any = ray._private.worker.global_worker  # noqa: SLF001
    return bool(worker.core_worker.get_current_task_attempt_number())


def summary_graph(
    days: Sequence[SummaryDay],
    config: Config,
    level: SummaryLevel,
    open_engine: Callable[[Config], TextEngine] = open_text_model,
) -> Iterator[SummarizedDay]:
    """Summaries of each day of a camera, as they come, in any order."""
    engine = config.engine
    assert isinstance(engine, ModelEngineConfig)  # noqa: S101 - without a model nothing needs Ray
    ds = _dataset("summarize", [pack(day) for day in days]).map_batches(
        _SummarizerActor,
        fn_constructor_args=(config, level, open_engine, get_contextvars()),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=config.cluster.decode_cpus / 2,
        num_gpus=engine.gpus_per_replica or None,
        compute=ray.data.ActorPoolStrategy(
            size=min(engine.replicas, len(days)),
            max_tasks_in_flight_per_actor=2 * DAYS_AT_ONCE,
            max_concurrent_calls_per_actor=DAYS_AT_ONCE,
        ),
    )
    return _results(ds)


class _SummarizerActor:
    """Holds one replica of the model; summarizes several days at once."""

    def __init__(
        self,
        config: Config,
        level: SummaryLevel,
        open_engine: Callable[[Config], TextEngine],
        run: Mapping[str, Any],
    ) -> None:
        begin_work(run)
        self._config = config
        self._level: SummaryLevel = level
        self._engines = EngineSupervisor(config, open_engine)
        engine = self._engines.engine
        try:
            self._summarizer = Summarizer.within(
                engine.context, config.summaries, self._ask, engine.num_tokens
            )
        except ConfigError as exc:
            raise EngineStartError(str(exc)) from exc

    async def _ask(self, messages: list[dict[str, Any]], schema: str) -> Completion:
        return await self._engines.ask(lambda engine: engine.ask(messages, schema), SummaryError)

    async def __call__(self, batch: pa.Table) -> AsyncIterator[pa.Table]:
        for day in _records(batch):
            summaries = await summarize_day(
                day, self._config.summaries, self._summarizer, level=self._level
            )
            yield _table([pack(((day.camera, day.date), summaries))])
            for table in _told():
                yield table


def _table(packed: Sequence[bytes]) -> pa.Table:
    return pa.table([packed], schema=ROW)


def _packed(table: pa.Table) -> Iterator[pa.Buffer]:
    return (row.as_buffer() for row in table["record"])


def _records(table: pa.Table) -> Iterator[Any]:
    return map(unpack, _packed(table))


def _shards(table: pa.Table, run: Mapping[str, Any]) -> Iterator[Shard]:
    """The shards of a task, each with its ids in the log lines of this process."""
    for packed in _packed(table):
        shard = unpack_shard(packed)
        begin_work(run, video_id=shard.video.video_id, shard_id=shard.shard_id)
        yield shard


def _told() -> Iterator[pa.Table]:
    """What this process tells the driver beside its results: its warnings, for the log there."""
    metrics.count_retries()
    if lines := take_warnings():
        yield _table(list(map(pack, lines)))


def _dataset(name: str, packed: Sequence[bytes]) -> ray.data.Dataset:
    # One block per record: a block is what one task works on. ``from_arrow`` first runs a task for
    # each block, and while no CPU is free for it, neither a signal nor the stall ends the wait.
    dataset: ray.data.Dataset = ray.data.from_blocks([_table([record]) for record in packed])
    dataset.set_name(f"timereel_{name}")  # which Ray's dashboard shows
    return dataset


def _results(ds: ray.data.Dataset) -> Iterator[Any]:
    try:
        for table in ds.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for record in _records(table):
                if isinstance(record, LogLine):
                    metrics.WORKER_WARNINGS.inc()
                    record.repeat()
                else:
                    yield record
    except ray.exceptions.RayError as exc:
        if unfit := unfit_node(exc):
            raise ConfigError(unfit) from exc
        # An actor that dies in its constructor reaches the driver as text only.
        lines = [line for line in str(exc).splitlines() if EngineStartError.__name__ in line]
        if not lines:
            raise
        raise EngineStartError(lines[-1].partition(": ")[2] or lines[-1]) from exc
