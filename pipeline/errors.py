"""Everything that goes wrong on purpose, by who can fix it.

TimereelError
  ConfigError        asked for something that cannot be done; nothing was started       exit 2
  NoSourcesError     the sources match nothing                                          exit 5
  EngineStartError   the engine cannot be started or reached                            exit 3
  EngineDiedError    the engine's process is gone; another can take its place
  IndexFormatError   the index was written by a newer timereel, or is not an index      exit 2
  LeaseLostError     another run has taken over what this one was at; run it again      exit 7
  StalledError       no result came for too long, for a reason that may pass            exit 7
  ClusterError       Ray cannot be started or joined now                                exit 7
  InterruptedQueryError  nobody waits for the answer of a query any more
  IndexFullError     the disk of the index has no room; once it has, run it again       exit 7
  IndexRightsError   this user may not read or write a part of the index                exit 2
  IndexDamagedError  a part of the index is gone or cannot be read                      exit 8
  SourceError        one input is bad: it becomes a failed row and the job goes on      exit 4
  UnreachableError   where an input lies does not answer: the next run does it          exit 7
  TargetError        a file that was asked for cannot be written; there is none then    exit 7
  WindowError        one window cannot be answered: it becomes a failed row
  SummaryError       one summary cannot be written by the model: it is counted and quoted instead

A bug is any other exception; nothing catches those.
"""

from typing import ClassVar, Literal, TypeAlias

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_ENGINE = 3
EXIT_SOME_FAILED = 4
EXIT_NO_SOURCES = 5
EXIT_BUDGET = 6
"""The budget is spent: whole shards are committed, and the same command goes on."""
EXIT_INCOMPLETE = 7
"""Footage is outstanding for a reason that passes; the same command goes on."""
EXIT_DAMAGED = 8
"""A part of the index is gone, cannot be read, or contradicts another."""
EXIT_LATE = 9
"""Cameras are covered less far than ``timereel status --late`` demands."""
EXIT_INTERRUPTED = 130

FailOn: TypeAlias = Literal["never", "new", "any"]
"""Which failed files end a run with ``EXIT_SOME_FAILED``; new: not in the same way before."""


class TimereelError(Exception):
    """Base of every deliberate error; ``exit_code`` is what a process ends with."""

    exit_code: ClassVar[int] = EXIT_USAGE


class ConfigError(TimereelError):
    """The configuration or the command line cannot be run."""


class NoSourcesError(TimereelError):
    """The given sources match no file."""

    exit_code = EXIT_NO_SOURCES


class EngineStartError(TimereelError):
    """The engine cannot be started or reached."""

    exit_code = EXIT_ENGINE


class EngineDiedError(TimereelError):
    """The engine's process is gone, and every window that was in it; another can be opened."""

    exit_code = EXIT_ENGINE


class IndexFormatError(TimereelError):
    """The folder is no index, or one of a newer version."""


class LeaseLostError(TimereelError):
    """Another run has taken over the cameras of this one, which must commit nothing more."""

    exit_code = EXIT_INCOMPLETE


class StalledError(TimereelError):
    """No result came for so long that the run ended itself."""

    exit_code = EXIT_INCOMPLETE

    def __init__(self, stall_s: float, waits_for: str) -> None:
        super().__init__(
            f"no result came for {stall_s:g} s (cluster.stall_s): {waits_for}; committed shards "
            "stand, and the same command goes on"
        )


class ClusterError(TimereelError):
    """Ray cannot be started or joined; nothing was analysed."""

    exit_code = EXIT_INCOMPLETE


class InterruptedQueryError(TimereelError):
    """A query was ended on purpose before it had an answer."""

    def __init__(self) -> None:
        super().__init__("the query was interrupted; ask again if the answer is still wanted")


class IndexFullError(TimereelError):
    """Nothing more can be written into the index; what is committed stands."""

    exit_code = EXIT_INCOMPLETE

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(
            f"no room to write {where} ({cause}); what is committed stands: make room, or let "
            "timereel vacuum remove what was replaced, which needs none; then run the same command"
        )


class IndexRightsError(TimereelError):
    """This user may not read or write a part of the index; it must never count as damaged."""


class IndexDamagedError(IndexFormatError):
    """A part of the index is gone or cannot be read; it must never read as an empty one."""

    exit_code = EXIT_DAMAGED

    def __init__(self, root: str, what: str) -> None:
        self._parts = root, what
        super().__init__(
            f"index at {root} is damaged: {what}; timereel check --index {root} says what is lost, "
            "and with --repair mends it"
        )

    def __reduce__(self) -> tuple[type["IndexDamagedError"], tuple[str, str]]:
        """Let the error cross a process border: pickle would give the whole message as the root."""
        return type(self), self._parts


class SourceError(TimereelError):
    """One input cannot be used; the message names the file, the cause and the way out."""

    exit_code = EXIT_SOME_FAILED


class UnreachableError(TimereelError):
    """A store or mount did not answer, or not in full: nothing is known of the input itself.

    The message says what was asked, what came, and what to do.
    """

    exit_code = EXIT_INCOMPLETE


class TargetError(TimereelError):
    """What was asked for cannot be written where it was asked for; nothing half written remains."""

    exit_code = EXIT_INCOMPLETE


class WindowError(TimereelError):
    """One window has no valid answer; the message becomes its ``error``."""

    exit_code = EXIT_SOME_FAILED


class SummaryError(TimereelError):
    """A model has not written a summary that holds; an extractive one takes its place."""

    exit_code = EXIT_SOME_FAILED


_ELSEWHERE: dict[type[TimereelError], str] = {
    SourceError: "this recording is gone, has changed, or may not be opened here",
    UnreachableError: "the store of this recording does not answer",
    IndexFormatError: "the index cannot be read; the log of the server says why",
    IndexRightsError: "the index may not be read here; the log of the server says why",
    IndexFullError: "there is no room for more in the index",
}


def told_elsewhere(exc: TimereelError) -> str:
    """The message for who is not told where files lie; what it leaves out belongs in the log."""
    return next((told for kind, told in _ELSEWHERE.items() if isinstance(exc, kind)), str(exc))
