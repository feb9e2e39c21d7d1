"""Problems: every error of the HTTP face as ``application/problem+json`` (RFC 9457).

Business code answers refusals that carry facts; only the table of :mod:`problem_codes` knows which
status number goes with which code. ``code`` is stable and meant for programs, ``detail`` says to a
person what to do next, and whatever else is known (``missing: 120``) stands beside them.
"""

from __future__ import annotations

import http
import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from services.loyalty.http.problem_codes import KINDS

MEDIA_TYPE = "application/problem+json"
HELP_PATH = "/docs/problems"
"""Where the meaning of each code can be read; a problem's ``type`` points there."""

_log = logging.getLogger(__name__)


class Problem(HTTPException):
    """A request that cannot be answered as asked, for a reason that :data:`KINDS` knows.

    Being an ``HTTPException`` lets it pass through the framework's reading of bodies unharmed.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        /,
        *,
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        kind = KINDS[code]
        super().__init__(kind.status, detail or kind.remedy, dict(headers) if headers else None)
        self.code = code
        self.facts = facts


def problem_document(
    code: str, detail: str = "", facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """RFC 9457's members first, then ``code``, then the facts of the case."""
    kind = KINDS[code]
    return {
        "type": f"{HELP_PATH}#{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.remedy,
        "code": code,
        **(facts or {}),
    }


def respond(
    code: str,
    detail: str = "",
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem as a response with the status of its code."""
    return Response(
        msgspec.json.encode(problem_document(code, detail, facts)),
        status_code=KINDS[code].status,
        headers=dict(headers) if headers else None,
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI, problem_of: Mapping[type[Exception], Callable[[Any], Problem]]) -> None:
    """Makes the application answer every error with a problem.

    ``problem_of`` has the problem of each exception that a use case raises on purpose.
    """

    async def on_refusal(request: Request, error: Exception) -> Response:
        return await _on_problem(request, problem_of[type(error)](error))

    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    for kind in problem_of:
        app.add_exception_handler(kind, on_refusal)
    app.add_exception_handler(Exception, _on_exception)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return respond(error.code, error.detail, error.facts, error.headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses: unknown paths, wrong methods, bodies it cannot parse."""
    assert isinstance(error, HTTPException)
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed on {request.url.path}."
        return respond("method_not_allowed", detail, headers=error.headers)
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        return respond(
            "not_found", f"There is nothing at {request.url.path}; see /docs for what there is."
        )
    return respond(
        "not_json" if error.status_code == http.HTTPStatus.BAD_REQUEST else "internal_error"
    )


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(mistake["type"] == "json_invalid" for mistake in found):
        return respond("not_json")
    mistakes = [
        {"place": _place(mistake["loc"]), "reason": str(mistake["msg"])} for mistake in found
    ]
    if any(mistake["place"] == "header.Idempotency-Key" for mistake in mistakes) and _is_missing(
        found
    ):
        return respond("idempotency_key_missing")
    return respond("invalid_request", facts={"mistakes": mistakes})


def _is_missing(found: Any) -> bool:
    return any(
        m["type"] == "missing" and _place(m["loc"]) == "header.Idempotency-Key" for m in found
    )


def _place(location: tuple[str | int, ...]) -> str:
    """``body.lines[2].sku`` for ``("body", "lines", 2, "sku")``."""
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place


async def _on_exception(request: Request, error: Exception) -> Response:
    """Log line and answer carry the same ``instance``; the answer says no more of what failed."""
    instance = uuid4().urn
    # never the path itself: it may name a voucher's code
    route = getattr(request.scope.get("route"), "path", "an unknown path")
    _log.error("%s %s failed as %s", request.method, route, instance, exc_info=error)
    return respond("internal_error", facts={"instance": instance})
