"""``timereel ...``: the command-line application.

Rows go to stdout; progress, logs and errors go to stderr. Each command imports what it needs
itself, so that ``timereel query`` does not import Ray.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from pipeline.cli import evaluate, index, inspect, maintain, query
from pipeline.errors import EXIT_USAGE, TimereelError

app = typer.Typer(
    name="timereel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (index, inspect, query, evaluate, maintain):
    app.add_typer(commands.app)


def _print_version(is_set: bool) -> None:  # noqa: FBT001 - Typer's form of a flag
    if is_set:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"timereel {version('timereel')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print version."),
    ] = False,
) -> None:
    """Turn archives of long video into a time index, and query it."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command, and exit with one of the codes in ``errors.py``."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        app(args=argv)
    except TimereelError as exc:
        typer.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    sys.exit(EXIT_USAGE)  # not reached: the app itself exits
