"""A lane that lags, on a store in memory and a feed that has everything at hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from services.events import lane, recording
from services.events.inbox import Message, Partition, draw
from services.events.lane import WorkerOptions
from services.events.pace import Pace
from services.events.recording import Recorder, Tally
from services.loyalty.application.attempt import Attempt
from services.loyalty.application.store import Incoming
from tests.loyalty.domain.shop import Shop, at, base, points, programme, purchase

MEMBERS = ("ada", "bob", "eve", "kim", "lea", "zoe")


class Feed:
    """One partition, all of which has arrived and is decoded."""

    stale = waits_for_more = False

    def __init__(self, messages: Sequence[Incoming]) -> None:
        end = len(messages)
        self.partition = Partition("shop", 0, 1, 0, 0, 0, fetched_to=end, end=end)
        self.partition.waiting = deque(
            Message(self.partition, offset, offset + 1, offset, offset, b"", message)
            for offset, message in enumerate(messages)
        )

    @property
    def queued(self) -> int:
        return self.partition.queued

    def decode(self, each: int, now: int) -> None: ...

    def decoding(self, each: int, now: int) -> Iterator[None]:
        return iter(())

    def draw(self, limit: int) -> list[Message]:
        return draw([self.partition], limit)

    async def commit(self, timeout_s: float) -> bool:
        return True


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose edge writes nothing."""

    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(recording, "advance", nothing)
    monkeypatch.setattr(recording, "insert_letters", nothing)
    opened = Shop(programme(base(), points()))
    for name in MEMBERS:
        opened.enrols(name)
    return opened


async def played(shop: Shop) -> tuple[Partition, Tally]:
    """What a lane comes to with batches of two: an order by each member."""
    feed: Any = Feed(
        [shop.incoming(each, purchase(each, 10_00), at("2011-02-01")) for each in MEMBERS]
    )
    tally = Tally()
    pace = Pace(2, 2, 2)
    recorder = Recorder(None, shop.session, shop.programs, shop.clock, 100, pace, tally)
    shift = lane._Shift(feed, None, recorder, WorkerOptions(batch_size=2))
    while not feed.partition.all_recorded:
        await shift.record()
    return feed.partition, tally


async def test_a_lane_with_more_than_a_batch_decides_ahead(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[Attempt] = []
    turns = Attempt.turns

    def noted(self: Attempt) -> Iterator[None]:
        ahead.append(self)
        return turns(self)

    monkeypatch.setattr(Attempt, "turns", noted)
    partition, tally = await played(shop)
    assert len(ahead) == 2
    assert (partition.position, tally.messages, tally.batches) == (6, 6, 3)
    assert {member for member, _ in shop.store.receipts} == set(MEMBERS)


async def test_an_account_that_cannot_be_read_ahead_spoils_its_own_messages_alone(
    shop: Shop,
) -> None:
    shop.store.accounts["kim"].state = "{broken"
    partition, tally = await played(shop)
    assert (partition.position, tally.dead_letters) == (6, 1)
    assert {member for member, _ in shop.store.receipts} == set(MEMBERS) - {"kim"}


async def test_what_was_decided_long_ago_is_decided_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "FRESH_S", -1.0)
    read, recorded_at = Attempt.read_ahead, shop.clock.at

    async def slowly(self: Attempt, before: Attempt) -> None:
        await read(self, before)
        shop.clock.at += 1

    monkeypatch.setattr(Attempt, "read_ahead", slowly)
    await played(shop)
    times = [row[8] for (_, seq), row in sorted(shop.store.journal.items()) if seq == 2]
    assert times == [recorded_at + n for n in (0, 0, 1, 1, 1, 1)]
