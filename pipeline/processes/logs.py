"""How this process logs: lines for people on a terminal, else one JSON object per line.

Neither holds control characters: a log line quotes file names and errors.

Library code calls ``structlog.get_logger()`` and gives ids as fields (``uri``, ``video_id``,
``window_id``); the driver binds ``run_id`` once for the whole run. Only entry points call
``configure_logs``: the command line and the actors of Ray.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.records.sanitize import sanitized_lines


def configure_logs() -> None:
    """Send log lines of level INFO and above to stderr; calling it again changes nothing."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    for_people: list[Processor] = [
        structlog.processors.format_exc_info,
        _sanitize,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
    as_json: list[Processor] = [
        structlog.processors.dict_tracebacks,
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
