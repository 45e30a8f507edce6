"""``timereel ...``: the command-line application.

Rows go to stdout; progress, logs and errors go to stderr. The module of a command is imported when
the command is asked for, and each imports what it needs itself, so that ``timereel query`` does not
import Ray.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_group

from pipeline.cli.terminal import LogFormatter, echo
from pipeline.errors import EXIT_BUG, EXIT_USAGE, TimereelError
from pipeline.processes.plain_errors import print_plain_errors

_COMMANDS = {
    "index": ("index", "summarize"),
    "inspect": ("frames", "probe", "plan", "doctor", "config"),
    "sources": ("sources",),
    "task": ("task",),
    "clock": ("clock",),
    "query": ("query", "coverage", "runs", "search", "embed"),
    "status": ("status",),
    "submit": ("submit",),
    "serve": ("serve", "demo"),
    "clip": ("clip",),
    "evidence": ("evidence",),
    "track": ("track",),
    "report": ("report",),
    "minutes": ("minutes",),
    "export": ("export",),
    "evaluate": ("evaluate",),
    "maintain": ("compact", "vacuum", "erase", "check", "maintain"),
    "mcp": ("mcp",),
    "ask": ("ask",),
    "alerts": ("alerts",),
}
"""By module of this package, in the order of ``timereel --help``."""
_MODULES = {command: module for module, commands in _COMMANDS.items() for command in commands}


class _Commands(Mapping[str, Any]):
    """Each by its name. Its module is imported with it: all of them take longer than most work."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - Typer does not tell its own type
        commands = import_module(f"pipeline.cli.{_MODULES[name]}").app
        return get_group(commands).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


class _Group(TyperGroup):
    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of Typer
        super().__init__(**options | {"commands": _Commands()})


app = typer.Typer(
    name="timereel",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    print_plain_errors()
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
