"""The HTTP application. Nothing is wired at import: :func:`create_app` is handed its parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from services.loyalty.application.clock import Clock
from services.loyalty.application.online import OnlineStore
from services.loyalty.application.programs import Programs
from services.loyalty.http import (
    activities,
    benefits,
    books,
    catalogue,
    claims,
    docs,
    failures,
    health,
    holdouts,
    holds,
    longevity,
    members,
    merging,
    openapi,
    pools,
    previews,
    problems,
    program,
    progress,
    rejudging,
    spending,
    standing,
    stories,
    vouchers,
)
from services.loyalty.http.bodies import BodyLimit
from services.loyalty.http.metrics import HttpMetrics, Measured
from services.loyalty.http.parts import HttpLimits, Parts
from services.loyalty.http.security import Gate

DEFAULT_LIMITS = HttpLimits()


def create_app(
    *,
    store: OnlineStore,
    programs: Programs,
    clock: Clock,
    limits: HttpLimits = DEFAULT_LIMITS,
    stopwatch: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """An application on a store, the programmes and the one clock.

    ``stopwatch`` answers seconds that only ever grow; it measures durations, and is no clock.
    """
    app = bare_app()
    metrics = HttpMetrics()
    app.state.parts = Parts(store, programs, clock, limits, metrics)
    app.state.gate = Gate(store.find_key, remember_s=limits.key_memory_s, stopwatch=stopwatch)
    app.add_middleware(BodyLimit, limit_bytes=limits.body_bytes)
    app.add_middleware(Measured, metrics=metrics, stopwatch=stopwatch)
    return app


def bare_app() -> FastAPI:
    """The routes and their documentation, with nothing behind them: enough for the contract."""
    app = FastAPI(
        title=openapi.TITLE,
        version=openapi.VERSION,
        description=openapi.DESCRIPTION,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    for routes in (
        members,
        stories,
        previews,
        progress,
        spending,
        holds,
        pools,
        longevity,
        claims,
        vouchers,
        benefits,
        standing,
        merging,
        activities,
        program,
        rejudging,
        holdouts,
        catalogue,
        books,
        health,
        docs,
    ):
        app.include_router(routes.router)
    problems.install(app, failures.PROBLEM_OF)

    def documented() -> dict[str, Any]:
        return openapi.document(app)

    app.openapi = documented  # type: ignore[method-assign]  # the framework's own way to replace it
    return app
