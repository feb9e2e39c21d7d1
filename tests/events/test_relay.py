"""The relay on a real broker and a real database."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from services.events import outbox, publishing, relay
from services.events.broker import started
from services.events.codec import parse_event_id
from services.events.database import closed
from services.events.halt import Fenced, WatermarkDiffers
from services.events.outbox import Standing
from services.events.publishing import batch_of
from services.events.topics import DEAD_LETTERS, DERIVED, EVENTS, RELAY
from services.events.watermark import Watermark, check_history, read_watermark
from services.loyalty.domain.calendar import to_datetime
from tests.events.conftest import Shop, recreate_topic, running, until
from tests.events.messages import NOW

pytestmark = pytest.mark.real_kafka

_INSERT = """
    INSERT INTO outbox (member_id, seq, n, recorded_at, at, type, target, data)
    VALUES ($1, $2, $3, $4, $4, $5, $6, $7)
"""


async def record(shop: Shop, members: int, seqs: range, *, at: int = NOW) -> int:
    """Puts two events per member and seq into the outbox; answers how many."""
    rows = [
        (f"m{member}", seq, n, to_datetime(at), "loyalty.points.accrued.v1", None, '{"points":1}')
        for seq in seqs
        for member in range(members)
        for n in range(2)
    ]
    async with closed(await shop.books.open("test")) as connection:
        await connection.executemany(_INSERT, rows)
    return len(rows)


async def drained(shop: Shop) -> None:
    async def empty() -> bool:
        return bool(await shop.value("SELECT count(*) FROM outbox") == 0)

    await until(empty)


async def published(shop: Shop, topic: str = EVENTS) -> list[str]:
    """Ids of what a consumer sees of a topic, in the order in which it sees them."""
    return [json.loads(one.value)["id"] for one in await shop.read(topic)]


def in_order_per_member(ids: list[str]) -> bool:
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in map(parse_event_id, ids):
        seen[one.member].append((one.seq, one.n))
    return all(places == sorted(set(places)) for places in seen.values())


async def test_everything_is_published_once_and_in_order_per_member(shop: Shop) -> None:
    count = await record(shop, 10, range(1, 6))
    async with running(shop.relay(limit=7)):
        await drained(shop)
        count += await record(shop, 10, range(6, 8))
        await drained(shop)
    ids = await published(shop)
    assert len(ids) == len(set(ids)) == count
    assert in_order_per_member(ids)


async def test_records_name_their_batch_and_the_watermark_the_last_one(shop: Shop) -> None:
    await record(shop, 3, range(1, 3))
    async with running(shop.relay(limit=5)):
        await drained(shop)
    batches = {batch_of(one.headers) for one in await shop.read(EVENTS)}
    assert batches == {Standing(1, 1), Standing(1, 2), Standing(1, 3)}
    assert await read_watermark(shop.kafka) == Watermark(1, 3)
    assert await shop.value("SELECT n FROM relay") == 3


async def test_a_derived_row_goes_to_its_target_and_a_notice_to_the_dead_letters(
    shop: Shop,
) -> None:
    body = '{"kind":"transfer_back","transfer":"t","to_member":"b","currency":"points","lots":[]}'
    letter = '{"reason":"not_json"}'
    moment = to_datetime(NOW)
    async with closed(await shop.books.open("test")) as connection:
        await connection.execute(_INSERT, "a", 1, 0, moment, "derived", "b", body)
        place = ("commerce.purchases/3", 17, 0)
        await connection.execute(_INSERT, *place, moment, "loyalty.dead-letter.v1", None, letter)
    async with running(shop.relay()):
        await drained(shop)
    (derived,) = await shop.read(DERIVED)
    assert derived.key == b"b"
    told = json.loads(derived.value)
    assert (told["member"], told["target"], told["batch"]) == ("a", "b", 1)
    (notice,) = await shop.read(DEAD_LETTERS)
    told = json.loads(notice.value)
    assert told["subject"] == "commerce.purchases/3"
    assert told["data"] == {"reason": "not_json"}


async def test_a_crash_after_kafka_committed_and_before_the_delete_doubles_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = await record(shop, 5, range(1, 4))
    delete = outbox.delete
    crashes: list[int] = []

    async def crashes_once(*arguments: Any) -> None:
        if not crashes:
            crashes.append(1)
            raise ConnectionResetError
        await delete(*arguments)

    monkeypatch.setattr(outbox, "delete", crashes_once)
    async with running(shop.relay(limit=7)):
        await drained(shop)
    ids = await published(shop)
    assert crashes
    assert len(ids) == len(set(ids)) == count
    assert in_order_per_member(ids)


@pytest.mark.parametrize("step", ["begin_transaction", "commit_transaction"])
async def test_a_crash_before_kafka_committed_sends_the_same_batch_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    count = await record(shop, 5, range(1, 4))
    send = publishing.send_batch
    crashes: list[int] = []

    async def crashes_once(producer: Any, held: Standing, records: Any) -> None:
        if held.n == 2 and not crashes:
            crashes.append(1)

            async def fails() -> None:
                raise KafkaError("cut off")

            monkeypatch.setattr(producer, step, fails)
        await send(producer, held, records)

    monkeypatch.setattr(relay, "send_batch", crashes_once)
    async with running(shop.relay(limit=7)):
        await drained(shop)
    ids = await published(shop)
    assert crashes
    assert len(ids) == len(set(ids)) == count
    assert in_order_per_member(ids)


async def test_a_commit_that_went_through_unheard_doubles_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = await record(shop, 5, range(1, 4))
    send = publishing.send_batch
    crashes: list[int] = []

    async def unheard(producer: Any, held: Standing, records: Any) -> None:
        await send(producer, held, records)
        if held.n == 2 and not crashes:
            crashes.append(1)
            raise KafkaError("cut off")

    monkeypatch.setattr(relay, "send_batch", unheard)
    async with running(shop.relay(limit=7)):
        await drained(shop)
    ids = await published(shop)
    assert crashes
    assert len(ids) == len(set(ids)) == count


async def test_a_claim_of_a_relay_that_was_replaced_is_refused(shop: Shop) -> None:
    await record(shop, 1, range(1, 3))
    async with (
        closed(await shop.books.open("a")) as first,
        closed(await shop.books.open("b")) as second,
    ):
        held = await outbox.take_ownership(first, "first")
        assert await outbox.take_ownership(second, "second") == held
        async with first.transaction():
            with pytest.raises(Fenced):
                await outbox.claim(first, held, "first", 10)
            await first.execute("UPDATE outbox SET claim = NULL")
        async with second.transaction():
            assert len(await outbox.claim(second, held, "second", 10)) == 4
        await second.execute("UPDATE outbox SET claim = NULL")
        with pytest.raises(Fenced):
            await outbox.claim(second, held, "second", 10)
    assert await shop.value("SELECT n FROM relay") == 1


async def test_every_claim_is_a_prefix_of_each_member(shop: Shop) -> None:
    await record(shop, 4, range(1, 5))
    async with closed(await shop.books.open("a")) as connection:
        held = await outbox.take_ownership(connection, "me")
        taken: list[tuple[str, int, int]] = []
        for _ in range(7):
            async with connection.transaction():
                rows = await outbox.claim(connection, held, "me", 5)
            held = Standing(held.incarnation, held.n + 1)
            taken += [(row.member_id, row.seq, row.n) for row in rows]
            for member in {row[0] for row in taken}:
                places = [(seq, n) for who, seq, n in taken if who == member]
                assert places == sorted(places)
    assert len(taken) == 32


async def test_a_second_relay_waits_for_its_turn(shop: Shop) -> None:
    first, second = shop.relay(), shop.relay()
    async with running(second):
        async with running(first):
            await asyncio.sleep(0.5)
            await record(shop, 2, range(1, 3))
            await drained(shop)
        assert {first.published, second.published} == {8, 0}
        await record(shop, 2, range(3, 5))
        async with running(shop.relay()):
            await drained(shop)
    ids = await published(shop)
    assert len(ids) == len(set(ids)) == 16


async def refused(shop: Shop, part: Any) -> str:
    with pytest.raises(WatermarkDiffers, match="loyalty recover") as refusal:
        async with running(part) as task:
            await asyncio.wait([task], timeout=15)
    async with closed(await shop.books.open("test")) as connection:
        with pytest.raises(WatermarkDiffers):
            await check_history(shop.kafka, connection)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


async def test_a_restored_database_is_refused_by_relay_and_worker(shop: Shop) -> None:
    await record(shop, 2, range(1, 5))
    async with running(shop.relay(limit=4)):
        await drained(shop)
    await shop.fetch("UPDATE relay SET n = n - 1")
    assert "restored" in await refused(shop, shop.relay())
    assert "restored" in await refused(shop, shop.worker())


@pytest.mark.parametrize("batches", [1, 3])
async def test_a_lost_topic_is_refused(shop: Shop, batches: int) -> None:
    await record(shop, 2, range(1, 1 + batches))
    async with running(shop.relay(limit=4)):
        await drained(shop)
    await recreate_topic(shop.kafka, RELAY)
    with pytest.raises(WatermarkDiffers, match="Kafka has lost"):
        async with running(shop.relay()) as task:
            await asyncio.wait([task], timeout=15)


async def test_batches_that_kafka_still_hides_are_waited_for(shop: Shop) -> None:
    """As behind a commit that was answered, whose markers Kafka has not written yet."""
    async with started(shop.kafka, shop.kafka.producer("tests")) as hides:
        await hides.begin_transaction()
        await hides.send_and_wait(RELAY, b"not the watermark", key=b"tests", partition=0)
        await record(shop, 2, range(1, 5))
        async with running(shop.relay(limit=2)), closed(await shop.books.open("test")) as books:
            await drained(shop)
            assert await read_watermark(shop.kafka) is None
            checked = asyncio.create_task(check_history(shop.kafka, books))
            await asyncio.sleep(0.5)
            assert not checked.done()
            await hides.commit_transaction()
            await asyncio.wait_for(checked, 5)


async def test_the_watermark_is_found_behind_aborted_batches(shop: Shop) -> None:
    await record(shop, 1, range(1, 2))
    async with running(shop.relay()):
        await drained(shop)
    producer = shop.kafka.producer("tests")
    await producer.start()
    for _ in range(70):
        await producer.begin_transaction()
        await producer.send_and_wait(RELAY, b'{"incarnation":9,"n":9}', key=b"watermark")
        await producer.abort_transaction()
    await producer.stop()
    assert await read_watermark(shop.kafka) == Watermark(1, 1)
