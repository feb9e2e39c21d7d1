"""The edge on the in-process broker, which a first try uses: one worker, one relay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from services.embedded import MockBroker
from services.events.broker import Kafka
from services.events.database import Database
from services.events.topics import EVENTS, MEMBERS, PURCHASES, partition_counts
from services.events.watermark import Watermark, read_watermark
from services.loyalty.db.verify import verify
from services.loyalty.domain.account import decode_account
from services.loyalty.domain.calendar import HOUR
from tests.events.conftest import PARTITIONS, Shop, recorded, running, until
from tests.events.messages import NOW, enrolled, event, purchased
from tests.postgres import Database as OwnDatabase


@pytest.fixture
async def mock_shop(books: Database, database: OwnDatabase) -> AsyncIterator[Shop]:
    with closing(MockBroker(partition_counts(PARTITIONS))) as broker:
        kafka = Kafka({"bootstrap_servers": broker.bootstrap}, real=False)
        yield Shop(kafka, books, database.owner_url)


async def test_what_comes_in_is_recorded_and_goes_out_again(mock_shop: Shop) -> None:
    shop, members = mock_shop, [f"m{number}" for number in range(30)]

    async def drained() -> bool:
        return bool(await shop.value("SELECT count(*) FROM outbox") == 0)

    async with running(shop.worker()), running(shop.relay()):
        await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in members])
        await recorded(shop, len(members))
        await until(drained)

        async def read_to_now() -> bool:
            oldest = await shop.value("SELECT extract(epoch FROM min(read_to)) FROM position")
            return bool(oldest and int(oldest) == NOW // 1_000_000)

        await until(read_to_now)
    events = await shop.read(EVENTS)
    assert {event.key.decode() for event in events} == set(members)
    mark = await read_watermark(shop.kafka)
    assert mark == Watermark(1, await shop.value("SELECT n FROM relay"))
    async with running(shop.relay()) as relay:
        assert not relay.done()
    assert len(await shop.read(EVENTS)) == len(events)


async def test_a_merge_goes_through_the_whole_river(mock_shop: Shop) -> None:
    """Asked, answered and carried out over the topic of what accounts send to each other."""
    shop = mock_shop

    async def points_of(member: str) -> int:
        state = await shop.value("SELECT state FROM account WHERE member_id = $1", member)
        return sum(lot.points for lot in decode_account(state).lots)

    async def merged() -> bool:
        status = await shop.value("SELECT status FROM account WHERE member_id = 'old'")
        return status == "merged" and await points_of("new") == both

    async def returned() -> bool:
        return await points_of("new") < both

    async with running(shop.worker()), running(shop.relay()):
        await shop.produce(MEMBERS, ("old", enrolled("old")), ("new", enrolled("new")))
        await recorded(shop, 2)
        await shop.produce(PURCHASES, ("old", purchased("old", "o1")))
        await recorded(shop, 3)
        both = await points_of("old") + await points_of("new")
        told = {"member_id": "old", "into": "new", "reason": "duplicate"}
        asked = event("commerce.member.merged.v1", told, at=NOW - HOUR, id="merge")
        await shop.produce(MEMBERS, ("old", asked))
        await until(merged)
        back = {"member_id": "old", "order_id": "o1", "reason": "changed_mind"}
        cancelled = event("commerce.purchase.cancelled.v1", back, at=NOW - HOUR, id="back")
        await shop.produce(PURCHASES, ("old", cancelled))
        await until(returned)
    async with shop.owner() as connection:
        verdict = await verify(connection)
        assert verdict.sound, verdict.first
        assert not any(verdict.in_transit.values())
