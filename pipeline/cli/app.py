"""``timereel ...``: thin. Rows go to stdout; progress, logs and errors to stderr.

Each command imports what it needs itself: ``timereel query`` must not pay for Ray.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from pipeline.cli import index, inspect, maintain, query
from pipeline.errors import EXIT_USAGE, TimereelError

app = typer.Typer(
    name="timereel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (index, inspect, query, maintain):
    app.add_typer(commands.app)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer's form of a flag
    if asked:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"timereel {version('timereel')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Which this is."),
    ] = False,
) -> None:
    """Turn archives of long video into a time index, and ask it."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command; end with the exit codes of ``errors.py``."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        app(args=argv)
    except TimereelError as exc:
        typer.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    sys.exit(EXIT_USAGE)  # the app always ends by itself
