"""The envelope around the body of an activity."""

from __future__ import annotations

from typing import Final

from services.loyalty.domain.activity import AnyBody
from services.loyalty.domain.calendar import Instant


class Activity:
    """One body with its times. ``source`` and ``id`` name it for its producer (CloudEvents 1.0);
    both are empty for activities that the service makes itself. ``recorded_at`` is ours and comes
    from the one Clock.
    """

    def __init__(
        self,
        body: AnyBody,
        occurred_at: Instant,
        recorded_at: Instant,
        source: str = "",
        id: str = "",
    ) -> None:
        self.body: Final = body
        self.occurred_at: Final = occurred_at
        self.recorded_at: Final = recorded_at
        self.source: Final = source
        self.id: Final = id
