"""Whatever a command prints that is not rows: no file name in it can command a terminal."""

import logging

import typer

from pipeline.records.sanitize import sanitized_lines


def echo(text: str, *, err: bool = False) -> None:
    """Print to stdout or stderr, with a space for each run of unsafe characters."""
    typer.echo(sanitized_lines(text), err=err)


class LogFormatter(logging.Formatter):
    """For the log lines of libraries, which quote file names as well."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, tracebacks included."""
        return sanitized_lines(super().format(record))
