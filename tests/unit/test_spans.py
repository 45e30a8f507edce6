"""Spans are made where they are wanted, and what they need is named."""

import sys

import pytest

from pipeline.config import load_config
from pipeline.errors import ConfigError
from pipeline.flow import spans


def test_wanted_spans_without_their_extra_are_refused_in_one_sentence(monkeypatch):
    spans._provider.cache_clear()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    spans.require_exporter(load_config())
    wanted = load_config(None, ("cluster.traces=http://collector:4318/v1/traces",))
    with pytest.raises(
        ConfigError, match=r"cluster\.traces needs .* pip install 'timereel\[otel\]'"
    ):
        spans.require_exporter(wanted)


def test_an_address_for_spans_holds_no_password():
    with pytest.raises(ConfigError, match=r"cluster\.traces"):
        load_config(None, ("cluster.traces=http://me:secret@collector:4318/v1/traces",))
