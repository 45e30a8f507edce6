"""What Python itself prints to stderr: tracebacks of bugs, also in threads, and warnings.

They quote names of files and texts of recordings, which must not command a terminal.
"""

import sys
import threading
import traceback
import warnings
from types import TracebackType

from pipeline.records.sanitize import sanitized_lines


def print_plain_errors() -> None:
    """From here on this process prints them without unsafe characters."""
    sys.excepthook = _bug
    sys.unraisablehook = _unraisable
    threading.excepthook = _bug_in_thread
    warnings.showwarning = _warning


def _bug(kind: type[BaseException], exc: BaseException | None, trace: TracebackType | None) -> None:
    _print("".join(traceback.format_exception(kind, exc, trace)))


def _bug_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        _bug(args.exc_type, args.exc_value, args.exc_traceback)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    _bug(args.exc_type, args.exc_value, args.exc_traceback)


def _warning(  # noqa: PLR0917 - as Python calls it
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,  # noqa: ARG001 - of Python's own
    line: str | None = None,
) -> None:
    _print(warnings.formatwarning(message, category, filename, lineno, line))


def _print(text: str) -> None:
    if sys.stderr is not None:  # it may be closed while the process ends
        sys.stderr.write(sanitized_lines(text))
