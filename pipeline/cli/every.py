"""Runs a job again and again on one machine, for those who have no scheduler."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from pipeline.cli.ages import parse_duration_s
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_USAGE, ConfigError, TimereelError

_MAX_S = 30 * 86_400


def repeat(run: Callable[[], int], every: str) -> NoReturn:
    """Call ``run`` at most once per ``every`` until a signal comes; one call never meets another.

    A run that ends badly is told, and the next one begins in time. Only what no later run can
    mend ends the loop: a wrong configuration or command line, an index that cannot be used, a bug.

    Raises:
        ConfigError: ``every`` is no duration from 1 s to 30 days.
        TimereelError: a run ended with exit code 2 or 1.
    """
    period_s = parse_duration_s(every, "--every")
    if not 1 <= period_s <= _MAX_S:
        raise ConfigError(f"--every {every}: must be from 1s to 30d")
    try:
        with _sigterm_as_ctrl_c():
            while True:
                began_s = time.monotonic()
                _told(run)
                time.sleep(max(0.0, began_s + period_s - time.monotonic()))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _told(run: Callable[[], int]) -> None:
    try:
        run()
    except TimereelError as exc:
        if exc.exit_code in (EXIT_USAGE, EXIT_BUG):
            raise
        echo(f"error: {exc}", err=True)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM ends the loop at once, but while the driver commits, which handles it by itself."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
