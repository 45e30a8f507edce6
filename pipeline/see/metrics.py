"""Figures for Prometheus: requests by route, running decoders, and how far each index is."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.index.status import IndexStatus
from pipeline.records.sanitize import sanitized

MAX_CAMERAS = 100
"""Series of one index: of the cameras that are most behind."""


class Metrics:
    """The figures of one server."""

    def __init__(self, num_decoding: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "timereel_requests", "Answered requests.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "timereel_request_seconds",
            "From the request to the first byte of the answer.",
            ["route"],
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 20),
            registry=self._registry,
        )
        decoding = Gauge("timereel_decoding", "Videos being decoded.", registry=self._registry)
        decoding.set_function(num_decoding)
        self._lag = Gauge(
            "timereel_camera_lag_seconds",
            "Since the end of what was looked at; of the cameras that are most behind.",
            ["index", "task", "camera"],
            registry=self._registry,
        )
        self._pending = Gauge(
            "timereel_pending_seconds",
            "Known footage that waits for a run.",
            ["index", "task"],
            registry=self._registry,
        )
        self._failed = Gauge(
            "timereel_failed_videos",
            "Videos that failed at their last run.",
            ["index", "task"],
            registry=self._registry,
        )
        self._running = Gauge(
            "timereel_running_runs", "Runs that hold cameras.", ["index"], registry=self._registry
        )

    def show(self, status_of: Mapping[str, IndexStatus], now: datetime) -> None:
        """Take the figures of each index by its name in place of those before."""
        for gauge in (self._lag, self._pending, self._failed, self._running):
            gauge.clear()
        for index, status in status_of.items():
            self._running.labels(index).set(len(status.running))
            lags = []
            for row in status.cameras.to_pylist():
                task = sanitized(row["task"])
                self._pending.labels(index, task).inc(row["pending_s"])
                self._failed.labels(index, task).inc(row["num_failed"])
                end = row["covered_end"]
                lag_s = (now - end).total_seconds() if end else float("inf")
                lags.append((lag_s, task, sanitized(row["camera"])))
            for lag_s, *labels in sorted(lags, reverse=True)[:MAX_CAMERAS]:
                self._lag.labels(index, *labels).set(lag_s)

    def text(self) -> Response:
        """All figures, as Prometheus reads them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class Counted:
    """Middleware: counts every answer by its route, so that ids make no new figures."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.count(route, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, send_counted if scope["type"] == "http" else send)
