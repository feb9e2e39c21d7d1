"""What the routes work with: handed over once, when the application is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from services.loyalty.application.clock import Clock
from services.loyalty.application.intake import LIMITS, Limits
from services.loyalty.application.online import OnlineStore
from services.loyalty.application.programs import Programs
from services.loyalty.domain.calendar import Instant
from services.loyalty.http.metrics import HttpMetrics


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of the HTTP face.

    Attributes:
        body_bytes: the largest request body.
        events: how far an event may lie from the clock, and how long it may be.
        attempts: how often a write is decided anew because another changed its account meanwhile.
        key_memory_s: how long a good API key is remembered, and so how long a revocation may take.
    """

    body_bytes: int = 1_048_576
    events: Limits = LIMITS
    attempts: int = 100
    key_memory_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Storage, programmes, the clock, limits and metrics of one application."""

    store: OnlineStore
    programs: Programs
    clock: Clock
    limits: HttpLimits
    metrics: HttpMetrics

    async def now(self) -> Instant:
        """What time it is, with every version of the programme read that is published by now."""
        async with self.store.session() as session:
            await self.programs.refresh(session)
            return await self.clock.now(session)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsHere: TypeAlias = Annotated[Parts, Depends(_parts)]
