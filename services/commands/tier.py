"""A level given by hand from the command line."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from uuid import uuid4

from services.commands.adjust import record_by_hand, settled
from services.failures import Refusal
from services.loyalty.domain.activity import TierGiven
from services.loyalty.domain.calendar import Instant, from_datetime, rfc3339
from services.settings import Settings


async def give(settings: Settings, options: Namespace) -> None:
    """Records the level and says what came of it; the same ``--id`` never counts twice."""
    name = options.id or str(uuid4())
    until = _end(options.until)
    body = TierGiven(options.level or "", until, options.reason, options.by)
    outcome = await record_by_hand(settings, options.member, body, name)
    if settled(outcome, name):
        ends = f" until {rfc3339(until)}" if until else ""
        given = f"{options.level}{ends}" if options.level else "no level by hand any more"
        print(f"member {options.member}, seq {outcome.seq}: {given}, recorded as {name}")


def _end(text: str | None) -> Instant:
    if text is None:
        return 0
    try:
        end = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(f"{text!r} is no time in RFC 3339, such as 2012-01-01T00:00:00Z") from error
    if end.tzinfo is None:
        raise Refusal(f"{text!r} names no offset: end it with Z, as in 2012-01-01T00:00:00Z")
    return from_datetime(end)
