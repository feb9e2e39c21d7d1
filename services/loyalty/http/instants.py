"""Instants that a request names, in its path's parameters or in its body."""

from __future__ import annotations

from datetime import datetime

from services.loyalty.domain.calendar import Instant, from_datetime
from services.loyalty.http.problems import Problem


def instant(place: str, text: str) -> Instant:
    """An instant as RFC 3339 writes it; ``place`` says where it stands.

    Raises Problem ``invalid_request``.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 1970 < at.year < 9000:
        reason = "should be an RFC 3339 instant with its offset, of a year from 1971 to 8999"
        raise Problem("invalid_request", mistakes=[{"place": place, "reason": reason}])
    return from_datetime(at)
