"""Numbers for Prometheus about this process's HTTP face."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class HttpMetrics:
    """Requests by route and status, and how long they took. Each application counts in its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "loyalty_http_requests",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "loyalty_http_request_seconds",
            "Time from the request's first byte to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return bytes(generate_latest(self._registry))


class Measured:
    """Observes every request; ``stopwatch`` answers seconds that only ever grow."""

    def __init__(
        self, app: ASGIApp, *, metrics: HttpMetrics, stopwatch: Callable[[], float]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._stopwatch = stopwatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = self._stopwatch()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            took_s = self._stopwatch() - started_s
            self._metrics.observe(_method(scope), _route(scope), status, took_s)


def _route(scope: Scope) -> str:
    """The route's template, never the path: paths name members, and would be endless labels."""
    return str(getattr(scope.get("route"), "path", "none"))


def _method(scope: Scope) -> str:
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return scope["method"] if scope["method"] in known else "other"
