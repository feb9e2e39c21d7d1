"""Instants as operators type them."""

from __future__ import annotations

from datetime import datetime

from services.failures import Refusal
from services.loyalty.domain.calendar import Instant, from_datetime


def read_instant(text: str) -> Instant:
    """An instant in RFC 3339.

    Raises:
        Refusal: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(f"{text!r} is no time in RFC 3339, such as 2012-01-01T00:00:00Z") from error
    if at.tzinfo is None:
        raise Refusal(f"{text!r} names no offset: end it with Z, as in 2012-01-01T00:00:00Z")
    return from_datetime(at)
