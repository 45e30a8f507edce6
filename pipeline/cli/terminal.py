"""Whatever a command prints that is not rows: no file name in it can command a terminal."""

import logging
from datetime import UTC, datetime

import typer

from pipeline.records import Run
from pipeline.records.sanitize import sanitized_lines

_MAX_NAMED_CAMERAS = 5


def echo(text: str, *, err: bool = False) -> None:
    """Print to stdout or stderr, with a space for each run of unsafe characters."""
    typer.echo(sanitized_lines(text), err=err)


class LogFormatter(logging.Formatter):
    """For the log lines of libraries, which quote file names as well."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, tracebacks included."""
        return sanitized_lines(super().format(record))


def skipped_cameras(run: Run, work: str) -> str:
    """Who is at work on cameras that this command leaves to it."""
    silent_s = (datetime.now(tz=UTC) - run.heartbeat_at).total_seconds()
    more = len(run.cameras) - _MAX_NAMED_CAMERAS
    cameras = ", ".join(run.cameras[:_MAX_NAMED_CAMERAS])
    cameras += f" and {more} more" if more > 0 else ""
    return (
        f"skipped: run {run.run_id} (host {run.host}, pid {run.pid}) has been {work} "
        f"{cameras} since {run.start:%Y-%m-%dT%H:%M:%SZ}; heartbeat {silent_s:.0f} s ago"
    )
