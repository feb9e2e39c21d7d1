"""What accounts send to each other arrives, as over Kafka, when a test lets it."""

from __future__ import annotations

from services.events import codec
from services.events.codec import EventId
from services.loyalty.application.clock import Clock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import from_datetime

_UNDERWAY = """
    SELECT member_id, seq, n, target, at, data FROM outbox
    WHERE target IS NOT NULL AND claim IS NULL ORDER BY recorded_at, member_id, seq, n LIMIT $1
"""
_CLAIM = "UPDATE outbox SET claim = 1 WHERE (member_id, seq, n) = ($1, $2, $3)"


async def arrive(
    session: PgSession,
    programs: Programs,
    clock: Clock,
    at_most: int = 10_000,
    *,
    again: bool = False,
) -> int:
    """In one batch, and perhaps with a copy of each; answers how many there were."""
    messages: list[Incoming] = []
    for member, seq, n, target, at, data in await session.connection.fetch(_UNDERWAY, at_most):
        origin = EventId(1, member, seq, n)
        raw = codec.derived_bytes(origin, 1, target, from_datetime(at), data)
        messages.append(codec.read_derived(raw, key=target.encode()).incoming)
        await session.connection.execute(_CLAIM, member, seq, n)
    if messages:
        copies = messages if again else []
        await record_batch(session, programs, clock, [*messages, *copies])
    return len(messages)
