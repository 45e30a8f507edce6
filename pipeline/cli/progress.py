"""Progress on stderr: a live bar on a terminal, or else a log line every 15 seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from pipeline.flow.driver.report import OnProgress, Report
from pipeline.timebase import NS_PER_S

LOG_INTERVAL_S = 15.0

log = structlog.get_logger()


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """A callback that shows the progress of a report."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines()


class _Lines:
    """Logs progress, at most once per ``LOG_INTERVAL_S``."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def __call__(self, report: Report) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s < LOG_INTERVAL_S:
            return
        self._last_s = now_s
        log.info("progress", **_figures(report))


def _figures(report: Report) -> dict[str, Any]:
    eta_s = report.eta_s
    return {
        "videos": f"{report.num_finished}/{report.num_sources}",
        "hours": round(report.analysed_ns / NS_PER_S / 3600, 3),
        "windows": sum(report.windows.values()),
        "events": report.num_events,
        "real_time": f"{report.real_time_factor:.1f}x",
        "eta": "?" if eta_s is None else f"{eta_s:.0f}s",
    }


@contextmanager
def _bar() -> Iterator[OnProgress]:
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("indexing"),
        BarColumn(),
        TextColumn(
            "{task.fields[videos]} videos  {task.fields[hours]} h  {task.fields[windows]} windows"
            "  {task.fields[events]} events  {task.fields[real_time]}  ETA {task.fields[eta]}"
        ),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(
            "indexing", total=None, videos="0", hours=0, windows=0, events=0, real_time="", eta="?"
        )

        def show(report: Report) -> None:
            progress.update(
                bar,
                total=report.planned_ns or None,
                completed=report.analysed_ns,
                **_figures(report),
            )

        yield show
