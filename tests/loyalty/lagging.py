"""A lane that lags, on a store in memory: it decides the next batch while one is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice, repeat
from unittest.mock import patch

from services.loyalty.application import attempt
from services.loyalty.application.attempt import Attempt
from services.loyalty.application.batch import Outcome
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Incoming
from tests.loyalty.domain.shop import Shop
from tests.loyalty.fake_store import settled


class Lane:
    """Reads each batch ahead and takes so many turns of deciding it before the one in front is
    recorded.

    Attributes:
        waits: how many turns, batch by batch; all where it does not say.
        ahead: how many were taken.
    """

    def __init__(self, shop: Shop, waits: Iterable[int] = ()) -> None:
        self.shop = shop
        self.waits = chain(waits, repeat(10**6))
        self.ahead = 0

    def begin(self, batch: Sequence[Incoming]) -> Attempt:
        shop = self.shop
        return Attempt(shop.session, shop.programs, shop.clock, batch)

    def follows(self, batch: Sequence[Incoming], before: Attempt) -> Attempt:
        """The attempt at a batch, begun before another one is recorded."""
        settled(before.decide())
        begun = self.begin(batch)
        settled(begun.read_ahead(before))
        with patch.object(attempt, "TURN", 1):
            self.ahead += sum(1 for _ in islice(begun.turns(), next(self.waits)))
        return begun

    def record(self, batch: Sequence[Incoming], begun: Attempt) -> list[Outcome]:
        shop = self.shop
        outcomes = settled(
            record_batch(shop.session, shop.programs, shop.clock, batch, begun=begun)
        )
        shop.audits()
        for message, outcome in zip(batch, outcomes, strict=True):
            outcome.decision = shop.store.decisions.get((message.member, outcome.seq))
        return outcomes

    def records(self, *batches: Sequence[Incoming]) -> list[list[Outcome]]:
        found = []
        begun = self.begin(batches[0])
        for batch, following in zip(batches, (*batches[1:], None), strict=True):
            after = self.follows(following, begun) if following is not None else None
            found.append(self.record(batch, begun))
            if after is not None:
                begun = after
        return found
