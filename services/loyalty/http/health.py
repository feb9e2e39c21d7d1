"""Health, for whatever starts and watches the process, and numbers for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response, Security
from pydantic import Field

from services.loyalty.application.api_keys import ApiKey
from services.loyalty.http import examples, metrics, openapi
from services.loyalty.http.models import Shown
from services.loyalty.http.parts import Parts, PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(tags=["operations"])


class Live(Shown):
    """The process answers."""

    status: str = Field(description="Always `live`.")


class Ready(Shown):
    """The process can do its work."""

    status: str = Field(description="Always `ready`.")
    checks: dict[str, str] = Field(description="What was looked at; each `ok`.")


@router.get(
    "/health/live",
    summary="Whether the process answers",
    responses=openapi.answers(example=examples.LIVE),
)
async def live() -> Live:
    """Needs no key and looks at nothing else: restart the process when this fails."""
    return Live(status="live")


@router.get(
    "/health/ready",
    summary="Whether requests can be served",
    responses=openapi.answers("not_ready", example=examples.READY),
)
async def ready(parts: PartsHere) -> Ready:
    """Needs no key. The database answers, its schema is current and a programme is published."""
    checks = await _checks(parts)
    if any(found != "ok" for found in checks.values()):
        raise Problem("not_ready", checks=checks, headers={"Retry-After": "5"})
    return Ready(status="ready", checks=checks)


async def _checks(parts: Parts) -> dict[str, str]:
    found = await parts.store.check()
    if found["schema"] != "ok":
        return {**found, "program": "unknown"}
    async with parts.store.session() as session:
        published = await session.latest_program_version()
    return {**found, "program": "ok" if published else "none is published"}


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses=openapi.answers(example=examples.METRICS, media_type="text/plain"),
)
async def numbers(
    parts: PartsHere, _key: Annotated[ApiKey, Security(key_holder, scopes=["metrics:read"])]
) -> Response:
    """Requests by route and status, and how long they took, of this process alone."""
    return Response(parts.metrics.text(), media_type=metrics.MEDIA_TYPE)
