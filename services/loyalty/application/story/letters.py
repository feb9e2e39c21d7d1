"""What is told of an event that was never decided: why it is a dead letter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from services.loyalty.application.refusal import CODES
from services.loyalty.application.story.words import Message, Moment, say
from services.loyalty.domain.calendar import Instant

REASONS = frozenset({*CODES, "id_reused", "undecidable"})
"""Why a message becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up: where it is kept, and whose it seems (else empty).

    ``replayed_at`` is when it was recorded after all, else 0.
    """

    place: str
    member: str
    reason: str
    detail: str
    received_at: Instant
    replayed_at: Instant


def tell_letter(letter: DeadLetter, zone: ZoneInfo) -> Iterator[Message]:
    """Why it was given up, where it is, and whether it was recorded since."""
    yield say(f"dead.{letter.reason}")
    at = Moment(letter.received_at, zone)
    yield say("dead.place", place=letter.place, at=at, detail=letter.detail)
    if letter.replayed_at:
        yield say("dead.replayed", at=Moment(letter.replayed_at, zone))
