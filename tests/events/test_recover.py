"""Going on after a restore, on a real broker and a database that is really set back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka.errors import KafkaError

from services.events import recover as recovery
from services.events.codec import VOIDED, parse_event_id
from services.events.database import Database, closed
from services.events.halt import Halted, WatermarkDiffers
from services.events.recover import recover
from services.events.topics import EVENTS, MEMBERS, PURCHASES, RELAY
from services.loyalty.application.intake import read_event
from services.loyalty.application.record import record_batch
from services.loyalty.db import connect
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import HOUR
from tests.events.conftest import Shop, recreate_topic, running, until
from tests.events.messages import NOW, enrolled, event, purchased
from tests.postgres import Database as OwnDatabase

pytestmark = pytest.mark.real_kafka

MEMBER_IDS = [f"m{number}" for number in range(6)]
Backup = Callable[[], Awaitable[Shop]]


@pytest.fixture
async def backup(shop: Shop, database: OwnDatabase) -> AsyncIterator[Backup]:
    """Backs the database up; what it answers is the shop with that backup restored."""
    superuser = urlsplit(database.owner_url)._replace(path="/postgres").geturl()
    copies: list[str] = []

    async def back_up() -> Shop:
        name = f"{database.name}_{len(copies)}"
        copies.append(name)
        async with _on(superuser) as connection:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {database.name}")
        url = urlsplit(database.url)._replace(path=f"/{name}").geturl()

        async def open_connection(purpose: str) -> Any:
            return await connect.connect(url, purpose=purpose)

        return replace(shop, books=Database(open_connection, PgSession))

    yield back_up
    async with _on(superuser) as connection:
        for name in copies:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def _on(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def work(shop: Shop, *, relay: bool = True) -> None:
    """Records all that was produced, and publishes what follows."""

    total = len(await shop.read(MEMBERS)) + len(await shop.read(PURCHASES))

    async def all_done() -> bool:
        behind = await shop.value(
            "SELECT sum(position) FROM position WHERE topic LIKE 'commerce.%'"
        )
        waiting = await shop.value("SELECT count(*) FROM outbox") if relay else 0
        return bool(behind == total and not waiting)

    async with running(shop.worker()):
        if relay:
            async with running(shop.relay(limit=5)):
                await until(all_done)
        else:
            await until(all_done)


async def nobody_works(shop: Shop) -> None:
    for part in (shop.worker(), shop.relay()):
        with pytest.raises(WatermarkDiffers):
            await asyncio.wait_for(part.run(asyncio.Event()), 15)


async def buy(shop: Shop, round_: int) -> None:
    messages = [(member, purchased(member, f"o-{round_}-{member}")) for member in MEMBER_IDS]
    await shop.produce(PURCHASES, *messages)


async def as_a_consumer_counts(shop: Shop) -> list[tuple[str, int, int]]:
    """(member, seq, n) of the events that stand, after what was taken back is taken out."""
    events = [json.loads(record.value) for record in await shop.read(EVENTS)]
    standing = []
    for told in events:
        if told["type"] != VOIDED:
            standing.append(parse_event_id(told["id"]))
            continue
        said = told["data"]
        standing = [
            one
            for one in standing
            if one.member != told["subject"]
            or one.incarnation != said["incarnation"]
            or one.seq <= said["after_seq"]
        ]
    return [(one.member, one.seq, one.n) for one in standing]


async def test_after_a_restore_every_event_counts_exactly_once(shop: Shop, backup: Backup) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    await buy(shop, 1)
    await work(shop)
    await buy(shop, 2)
    await work(shop, relay=False)
    restored = await backup()
    await buy(shop, 3)
    await work(shop)
    lost = len(await as_a_consumer_counts(shop))

    await nobody_works(restored)
    done = await recover(restored.kafka, restored.books, restored.clock)
    assert done is not None
    assert (done.incarnation, done.voided) == (2, len(MEMBER_IDS))
    assert done.kept > 0, "what had waited in the backup was published meanwhile and stands"
    await work(restored)

    counted = await as_a_consumer_counts(restored)
    assert len(counted) == len(set(counted)) == lost
    newest = {member: max(one[1] for one in counted if one[0] == member) for member in MEMBER_IDS}
    journal = await restored.fetch("SELECT member_id, max(seq) FROM journal GROUP BY 1")
    assert newest == dict(map(tuple, journal))
    assert await recover(restored.kafka, restored.books, restored.clock) is None


async def test_a_recovery_that_was_cut_off_is_finished_by_the_next(
    shop: Shop, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    await work(shop)
    restored = await backup()
    await buy(shop, 1)
    await work(shop)
    lost = len(await as_a_consumer_counts(shop))

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "send_batch", cut_off)
        with pytest.raises(KafkaError):
            await recover(restored.kafka, restored.books, restored.clock)
    await nobody_works(restored)
    done = await recover(restored.kafka, restored.books, restored.clock)
    assert done is not None
    assert (done.incarnation, done.voided) == (2, len(MEMBER_IDS))
    await work(restored)
    counted = await as_a_consumer_counts(restored)
    assert len(counted) == len(set(counted)) == lost


@pytest.mark.parametrize("cut", [False, True])
async def test_what_was_recorded_between_restore_and_recovery_counts_and_what_it_displaced_is_void(
    shop: Shop, backup: Backup, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    await work(shop)
    restored = await backup()
    await buy(shop, 1)
    await work(shop)
    review = event(
        "commerce.engagement.recorded.v1",
        {"member_id": "m0", "kind": "product.reviewed"},
        at=NOW - HOUR,
        id="meanwhile",
    )
    async with closed(await restored.books.open("test")) as connection:
        session = restored.books.session(connection)
        incoming = [read_event(review, now=NOW)]
        await record_batch(session, restored.programs, restored.clock, incoming)

    if cut:
        with monkeypatch.context() as patched:
            patched.setattr(recovery, "send_batch", cut_off)
            with pytest.raises(KafkaError):
                await recover(restored.kafka, restored.books, restored.clock)
    done = await recover(restored.kafka, restored.books, restored.clock)
    assert done is not None
    assert (done.voided, done.kept) == (len(MEMBER_IDS), 0)
    await work(restored)
    counted = await as_a_consumer_counts(restored)
    assert len(counted) == len(set(counted))
    newest = {member: max(one[1] for one in counted if one[0] == member) for member in MEMBER_IDS}
    journal = await restored.fetch("SELECT member_id, max(seq) FROM journal GROUP BY 1")
    assert newest == dict(map(tuple, journal))
    reviews = [one for one in await restored.read(EVENTS) if b'"product.reviewed"' in one.value]
    assert len(reviews) == 1


async def cut_off(*_: Any) -> None:
    raise KafkaError("cut off")


async def test_a_backup_from_before_an_earlier_recovery_can_be_restored_too(
    shop: Shop, backup: Backup
) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    await work(shop)
    monday, tuesday = await backup(), await backup()
    await buy(shop, 1)
    await work(shop)
    await recover(tuesday.kafka, tuesday.books, tuesday.clock)
    await buy(shop, 2)
    await work(tuesday)
    lost = len(await as_a_consumer_counts(shop))

    done = await recover(monday.kafka, monday.books, monday.clock)
    assert done is not None
    assert done.incarnation == 3
    await work(monday)
    counted = await as_a_consumer_counts(monday)
    assert len(counted) == len(set(counted)) == lost


async def test_a_backup_that_knows_what_was_taken_back_is_refused(
    shop: Shop, backup: Backup
) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    await work(shop)
    early = await backup()
    await buy(shop, 1)
    await work(shop)
    late = await backup()
    await recover(early.kafka, early.books, early.clock)
    await work(early)
    with pytest.raises(Halted, match="another history"):
        await recover(late.kafka, late.books, late.clock)


async def test_a_lost_watermark_is_found_again_in_what_was_published(shop: Shop) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    await work(shop)
    before = await as_a_consumer_counts(shop)
    await recreate_topic(shop.kafka, RELAY)
    done = await recover(shop.kafka, shop.books, shop.clock)
    assert done is not None
    assert (done.incarnation, done.voided, done.kept) == (2, 0, 0)
    await work(shop)
    assert await as_a_consumer_counts(shop) == before


async def test_where_both_agree_there_is_nothing_to_recover(shop: Shop) -> None:
    assert await recover(shop.kafka, shop.books, shop.clock) is None
    assert await shop.value("SELECT incarnation FROM relay") == 1


async def test_a_recovery_waits_for_nobody(shop: Shop) -> None:
    relay = shop.relay()
    async with running(relay):
        await relay.idle.wait()
        with pytest.raises(Halted, match="stop all parts"):
            await recover(shop.kafka, shop.books, shop.clock)
