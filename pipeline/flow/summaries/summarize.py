"""summarize, for days of cameras: read the index, write new summaries, commit. Decodes nothing.

A day is summarized again if its videos, the settings or the model have changed; of its videos only
those that changed are. If the process is killed at any point, or stops because the budget is spent,
the same call does what is missing.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import Config, ModelEngineConfig, config_for_stored
from pipeline.errors import EXIT_BUDGET, EXIT_OK, ConfigError
from pipeline.flow.cluster import running_ray, waits_for
from pipeline.flow.driver.interrupt import Interruption
from pipeline.flow.driver.run_identity import new_run
from pipeline.flow.driver.spent import SECONDS_PER_HOUR, Spent
from pipeline.flow.graph import SummarizedDay, summary_graph
from pipeline.flow.summaries.pending_days import DayKey, days_with_videos, pending_day
from pipeline.index import Writer, apply_orders, latest_configs, open_index
from pipeline.index.lease import take_lease
from pipeline.records import SUMMARY_LEVELS, Run, RunFigures, Summary, SummaryLevel
from pipeline.summarize import PROMPT_ID, SummaryDay, summarize_day
from pipeline.tables.shared import Provenance
from pipeline.tables.summaries import summaries_table
from pipeline.timebase import days_between, ns_to_datetime

DAYS_PER_BATCH = 256
"""Days that are read and summarized together; the driver holds their texts in memory."""


@dataclass(slots=True)
class SummaryReport:
    """Counts of one call."""

    days: int = 0
    days_skipped: int = 0
    written: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMMARY_LEVELS, 0))
    """By level."""
    extractive: int = 0
    """How many of those written are extractive."""
    errors: dict[str, int] = field(default_factory=dict)
    """Why the model failed to write a summary, and how often."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    gpu_s: float = 0.0
    """GPU-seconds that were reserved."""
    stopped: str = ""
    """Why the call ended before all days were summarized; "" if it did not."""
    days_left: int = 0
    """Days of cameras that other runs summarize now."""
    others: tuple[Run, ...] = ()
    """Those runs."""

    def book(self, summaries: Sequence[Summary]) -> None:
        """Count one day and its new summaries."""
        self.days += 1
        for summary in summaries:
            self.written[summary.level] += 1
            self.extractive += summary.method == "extractive"
            self.num_prompt_tokens += summary.num_prompt_tokens
            self.num_output_tokens += summary.num_output_tokens
            if summary.error:
                self.errors[summary.error] = self.errors.get(summary.error, 0) + 1

    def figures(self) -> RunFigures:
        """The counts for the row of this run in the table ``runs``."""
        return RunFigures(
            num_prompt_tokens=self.num_prompt_tokens,
            num_output_tokens=self.num_output_tokens,
            gpu_s=self.gpu_s,
        )

    def to_json(self) -> dict[str, Any]:
        """The object that ``timereel summarize --json`` prints."""
        return {
            "days": {"done": self.days, "skipped": self.days_skipped},
            "summaries": dict(self.written),
            "extractive": self.extractive,
            "errors": dict(self.errors),
            "tokens": {"prompt": self.num_prompt_tokens, "output": self.num_output_tokens},
            "left": {"days": self.days_left, "to": [run.run_id for run in self.others]},
            "stopped": self.stopped,
        }


def summarize_index(
    index_uri: str,
    config: Config,
    *,
    level: SummaryLevel = "day",
    start: str | None = None,
    end: str | None = None,
    camera: Sequence[str] | None = None,
    address: str | None = None,
    spent: Spent | None = None,
) -> SummaryReport:
    """Summarize every day of every camera that has a video of the task in ``[start, end)``.

    ``spent`` is what the run has spent of its budget before. When the budget is spent, the call
    ends, and ``stopped`` in the report says so. Cameras that another run summarizes now are left to
    it, and the report says so.

    Raises:
        ConfigError: a time is invalid, or the model's context has no room for lines.
        EngineStartError: the engine cannot be started.
        IndexFormatError: there is no index.
        LeaseLostError: this run sent no heartbeat for so long that another run took its cameras.
    """
    # Open for reading first: that fails if there is no index, while a writer would create one.
    keys = days_with_videos(open_index(index_uri), config, start, end, camera)
    report = SummaryReport()
    if not keys:
        return report
    writer = Writer(index_uri)
    apply_orders(writer.open())
    run = new_run(config.task.name, config.summaries_fingerprint, "summarize")
    cameras = {name for name, _ in keys}
    with take_lease(writer.store, run, cameras, figures=report.figures) as lease:
        leased = [key for key in keys if key[0] in lease.cameras]
        report.days_left, report.others = len(keys) - len(leased), lease.others
        summarize_days(
            writer.leased(lease.confirm),
            config,
            leased,
            level=level,
            address=address,
            spent=spent or Spent(),
            report=report,
        )
        error = report.stopped or "; ".join(report.errors)
        lease.end(*(("budget", EXIT_BUDGET) if report.stopped else ("done", EXIT_OK)), error)
    apply_orders(writer.open())
    return report


def summarize_days(
    writer: Writer,
    config: Config,
    keys: Sequence[DayKey],
    *,
    level: SummaryLevel,
    spent: Spent,
    address: str | None = None,
    report: SummaryReport | None = None,
) -> SummaryReport:
    """Summarize those of the days that are not up to date; raises as ``summarize_index``.

    The writer's lease must hold the cameras. What is done is counted in ``report``.
    """
    run = _Run(config, writer, level, spent, report or SummaryReport())
    for first in range(0, len(keys), DAYS_PER_BATCH):
        batch = keys[first : first + DAYS_PER_BATCH]
        days = [
            day
            for key in batch
            if (day := pending_day(writer.open(), config, key, level)) is not None
        ]
        run.report.days_skipped += len(batch) - len(days)
        if days and not run.is_budget_spent():
            run.summarize(days, address)
        if run.report.stopped:
            break
    return run.report


def stored_configs(
    index_uri: str, overrides: Sequence[str] = (), task: str | None = None
) -> list[Config]:
    """For each task, a configuration with the task of its latest video; see ``config_for_stored``.

    Raises:
        ConfigError: nothing is indexed for the task, or a model answered and ``overrides`` name no
            engine.
    """
    configs = latest_configs(open_index(index_uri), task)
    if not configs:
        of_task = f" for the task {task!r}" if task else ""
        raise ConfigError(f"{index_uri}: nothing is indexed{of_task}; run timereel index first")
    return [config_for_stored(text, tuple(overrides)) for text in configs]


class _Run:
    """One call: its settings, its report, and the summaries that are not committed yet."""

    def __init__(
        self,
        config: Config,
        writer: Writer,
        level: SummaryLevel,
        spent: Spent,
        report: SummaryReport,
    ) -> None:
        self.config = config
        self.writer = writer
        self.level = level
        self.spent = spent
        self.report = report
        self.uncommitted: list[tuple[SummaryDay, list[Summary]]] = []
        self.committed_at_s = time.monotonic()

    def is_budget_spent(self) -> bool:
        """Whether the call must stop; the report then says why."""
        self.report.stopped = self.spent.exceeded(self.config.budget)
        return bool(self.report.stopped)

    def summarize(self, days: Sequence[SummaryDay], address: str | None) -> None:
        """Summarize the days, and commit their summaries as they come."""
        by_key = {(day.camera, day.date): day for day in days}
        gpu_hours_before = self.spent.gpu_hours
        interruption = Interruption(
            waits_for=lambda: waits_for(self.config), stall_s=self.config.cluster.stall_s
        )
        try:
            engine = self.config.engine
            if isinstance(engine, ModelEngineConfig) and self.config.writes_summaries:
                with running_ray(self.config, address), interruption:
                    self.spent.reserve_gpus(
                        engine.gpus_per_replica * min(engine.replicas, len(days))
                    )
                    summarized = summary_graph(days, self.config, self.level)
                    self._book(by_key, interruption.each(summarized))
            else:
                with interruption:
                    self._book(by_key, interruption.each(self._without_a_model(days)))
        finally:
            self.spent.reserve_gpus(0)
            self.report.gpu_s += (self.spent.gpu_hours - gpu_hours_before) * SECONDS_PER_HOUR
            self._commit()

    def _without_a_model(self, days: Sequence[SummaryDay]) -> Iterator[SummarizedDay]:
        for day in days:
            summaries = summarize_day(day, self.config.summaries, None, level=self.level)
            yield (day.camera, day.date), asyncio.run(summaries)

    def _book(self, days: Mapping[DayKey, SummaryDay], summarized: Iterator[SummarizedDay]) -> None:
        for num_done, (key, summaries) in enumerate(summarized, 1):
            day = days[key]
            indexed = {summary.summary_id for video in day.videos for summary in video.indexed}
            new = [summary for summary in summaries if summary.summary_id not in indexed]
            self.report.book(new)
            for summary in new:
                self.spent.book(summary)
            self.uncommitted.append((day, new))
            if num_done < len(days) and self.is_budget_spent():
                return
            if time.monotonic() - self.committed_at_s >= self.config.commit.seconds:
                self._commit()

    def _commit(self) -> None:
        if self.uncommitted:
            videos = [video for day, _ in self.uncommitted for video in day.videos]
            table = summaries_table(
                (summary for _, summaries in self.uncommitted for summary in summaries),
                {video.video_id: video.start_ns for video in videos},
                Provenance(
                    task=self.config.task.name,
                    model=self.config.model,
                    prompt_id=PROMPT_ID,
                    fingerprint=self.config.summaries_fingerprint,
                    config="",
                ),
            )
            dates = {
                day
                for video in videos
                for day in days_between(
                    ns_to_datetime(video.span.start_ns), ns_to_datetime(video.span.end_ns)
                )
            }
            self.writer.write_summaries(table, dates)
            apply_orders(self.writer.open())  # these days were read before what was ordered since
            self.uncommitted = []
        self.committed_at_s = time.monotonic()
