"""Figures for Prometheus: requests by route and status, how long they took, running decoders."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
