"""Spans of a run for OpenTelemetry, sent to ``cluster.traces``; without that, nothing is made."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from structlog.contextvars import get_contextvars

from pipeline.config import Config
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

# ruff: noqa: PLC0415 - OpenTelemetry is an extra, and a run without spans need not load it

_SENT_EACH_MS = 100
"""Ray may end a worker at any time, and with it what was not sent."""


def require_exporter(config: Config) -> None:
    """Raise ConfigError if spans are wanted and what sends them is not installed."""
    if config.cluster.traces is not None:
        try:
            _provider(config.cluster.traces)
        except ImportError as exc:
            raise ConfigError(
                "cluster.traces needs the extra otel: pip install 'timereel[otel]'"
            ) from exc


@contextmanager
def span(name: str, config: Config) -> Iterator[None]:
    """A span with the ids that log lines have here. All spans of a run are one trace."""
    if config.cluster.traces is None:
        yield
        return
    ids = {key: str(value) for key, value in get_contextvars().items()}
    tracer = _provider(config.cluster.traces).get_tracer("timereel")
    started = tracer.start_span(name, context=_of_run(ids.get("run_id", "")), attributes=ids)
    try:
        yield
    finally:
        started.end()


@cache
def _provider(url: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # A collector that is down costs spans, and must not fill the log of each worker.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(resource=Resource.create({"service.name": "timereel"}))
    exporter = OTLPSpanExporter(endpoint=url)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_SENT_EACH_MS))
    return provider


def _of_run(run_id: str) -> "Context":
    """The same for all processes of a run, so that nothing has to be passed among them."""
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    digest = hashlib.blake2b(run_id.encode(), digest_size=24).digest()
    trace_id, span_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:])
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent))
