"""How this process logs: lines for people on a terminal, else one JSON object per line.

Neither holds control characters: a log line quotes file names and errors.

Library code calls ``structlog.get_logger()``; what it works on (``run_id``, ``video_id``,
``shard_id``, ``window_id``) is bound before it is called. Only entry points call
``configure_logs``, and the tasks and actors of Ray ``begin_work``: what they log as a warning or
worse is kept for ``take_warnings``, so that the driver can repeat it in its own log.
"""

import logging
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.records.sanitize import sanitized_lines

_KEPT = 1000

# Without local variables: a key may be among them.
_traceback = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

_warnings: deque["LogLine"] = deque(maxlen=_KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What another process has logged."""

    level: str
    message: str
    fields: Mapping[str, str]

    def repeat(self) -> None:
        """Log it in this process, too."""
        structlog.get_logger().log(
            logging.getLevelNamesMapping()[self.level.upper()], self.message, **self.fields
        )


def begin_work(run: Mapping[str, object], **work: str) -> None:
    """In a worker: its log lines have the ids of the run and of this work from now on."""
    _configure(_keep)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**run, **work)


def take_warnings() -> list[LogLine]:
    """The warnings and errors that this worker has logged since the last call."""
    taken = []
    while _warnings:
        taken.append(_warnings.popleft())
    return taken


def configure_logs() -> None:
    """Send log lines of level INFO and above to stderr; calling it again changes nothing."""
    _configure()


def _configure(*more: Processor) -> None:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        *more,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    for_people: list[Processor] = [
        structlog.processors.format_exc_info,
        _sanitize,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
    as_json: list[Processor] = [
        _traceback,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=shared + (for_people if sys.stderr.isatty() else as_json),
        # Each line asks for stderr anew: a caller may have replaced the former and closed it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _sanitize(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: sanitized_lines(v) if isinstance(v, str) else v for key, v in event.items()}


def _keep(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if event["level"] in ("warning", "error", "critical"):
        fields = {key: str(event[key]) for key in event if key not in ("event", "level")}
        _warnings.append(LogLine(level=event["level"], message=str(event["event"]), fields=fields))
    return event
