"""A lane that lags, on a store in memory: it decides the next batch while one is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice, pairwise, repeat
from unittest.mock import patch

from services.loyalty.application import attempt
from services.loyalty.application.attempt import Attempt
from services.loyalty.application.batch import Outcome
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

    def behind(self, first: Sequence[Incoming], then: Sequence[Incoming]) -> Attempt:
        """Records a batch, and answers what was begun of the next one before."""
        begun = self.begin(first)
        after = self.follows(then, begun)
        self.shop.records(*first, begun=begun)
        return after

    def records(self, *batches: Sequence[Incoming]) -> list[list[Outcome]]:
        found = []
        begun = self.begin(batches[0])
        for batch, following in pairwise(batches):
            after = self.follows(following, begun)
            found.append(self.shop.records(*batch, begun=begun))
            begun = after
        return [*found, self.shop.records(*batches[-1], begun=begun)]
