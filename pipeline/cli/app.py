"""``timereel ...``: the command-line application.

Rows go to stdout; progress, logs and errors go to stderr. Each command imports what it needs
itself, so that ``timereel query`` does not import Ray.
"""

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from pipeline.cli import (
    alerts,
    ask,
    clip,
    clock,
    evaluate,
    evidence,
    export,
    index,
    inspect,
    maintain,
    mcp,
    minutes,
    query,
    report,
    serve,
    sources,
    status,
    submit,
    task,
    track,
)
from pipeline.cli.terminal import LogFormatter, echo
from pipeline.errors import EXIT_BUG, EXIT_USAGE, TimereelError

app = typer.Typer(
    name="timereel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (
    index,
    inspect,
    sources,
    task,
    clock,
    query,
    status,
    submit,
    serve,
    clip,
    evidence,
    track,
    report,
    minutes,
    export,
    evaluate,
    maintain,
    mcp,
    ask,
    alerts,
):
    app.add_typer(commands.app)


def _print_version(is_set: bool) -> None:  # noqa: FBT001 - Typer's form of a flag
    if is_set:
        from importlib.metadata import version  # noqa: PLC0415

        echo(f"timereel {version('timereel')}")
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
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        app(args=argv)
    except TimereelError as exc:
        echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    except Exception as exc:  # noqa: BLE001 - a bug: what Python would print may quote file names
        echo("".join(traceback.format_exception(exc)), err=True)
        sys.exit(EXIT_BUG)
    sys.exit(EXIT_USAGE)  # not reached: the app itself exits
