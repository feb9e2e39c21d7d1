"""The worker on a real broker and a real database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from services.events import lane, position
from services.events.broker import started
from services.events.database import closed
from services.events.halt import BreakerOpen, Fenced, PositionLost
from services.events.topics import MEMBERS, PURCHASES
from services.loyalty.application import batch
from services.loyalty.application.attempt import Attempt
from services.loyalty.domain.calendar import DAY, HOUR, MINUTE
from services.loyalty.domain.decide import decide
from tests.events.conftest import PARTITIONS, Shop, recorded, recreate_topics, running, until
from tests.events.messages import NOW, enrolled, event, purchased

pytestmark = pytest.mark.real_kafka

MEMBER_IDS = [f"m{number}" for number in range(20)]


async def enrol(shop: Shop, *members: str) -> None:
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in members])


async def buy(shop: Shop, *orders: tuple[str, str]) -> None:
    await shop.produce(PURCHASES, *[(member, purchased(member, order)) for member, order in orders])


async def delete_all(shop: Shop, topic: str) -> None:
    """Does what retention does, at once."""
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    async with started(shop.kafka, shop.kafka.admin()) as admin:
        await admin.delete_records({place: RecordsToDelete(before_offset=-1) for place in places})


async def outcomes(shop: Shop, kind: str = "purchase") -> dict[str, int]:
    rows = await shop.fetch(
        "SELECT outcome, count(*) FROM journal WHERE kind = $1 GROUP BY 1", kind
    )
    return dict(map(tuple, rows))


async def read_to_the_end(shop: Shop, count: int) -> None:
    async def reached() -> bool:
        return bool(await shop.value("SELECT coalesce(sum(position), 0) FROM position") >= count)

    await until(reached)


async def test_what_is_produced_is_recorded_and_the_position_moves_with_it(shop: Shop) -> None:
    await enrol(shop, *MEMBER_IDS)
    await buy(shop, *[(member, f"o-{member}") for member in MEMBER_IDS])
    async with running(shop.worker()):
        await read_to_the_end(shop, 40)
    assert await outcomes(shop, "enrolment") == {"accepted": 20}
    assert await outcomes(shop) == {"accepted": 20}


async def test_messages_that_can_never_be_accepted_become_dead_letters_with_a_reason(
    shop: Shop,
) -> None:
    unknown = event("commerce.cart.filled.v1", {"member_id": "m1"}, at=NOW, id="cart")
    await enrol(shop, "m1")
    await shop.produce(
        PURCHASES,
        ("m1", b"\x00\xff rubbish"),
        ("m1", None),
        ("m1", unknown),
        ("m2", purchased("m1", "o-key")),
        ("m1", b"x" * 2 * 1024 * 1024),
        ("m1", purchased("m1", "o-good")),
    )
    async with running(shop.worker()):
        await read_to_the_end(shop, 7)
    letters = await shop.fetch("SELECT reason, size, octet_length(body) FROM dead_letter")
    found = {row[0]: row[1] for row in letters}
    assert set(found) >= {"unknown_type", "key_mismatch", "too_large"}
    assert found["too_large"] == 2 * 1024 * 1024
    assert len(letters) == 5
    assert all(row[1] == row[2] for row in letters), "the original bytes are kept whole"
    assert await outcomes(shop) == {"accepted": 1}
    notices = await shop.fetch("SELECT data FROM outbox WHERE type = 'loyalty.dead-letter.v1'")
    assert len(notices) == 5
    assert all("rubbish" not in row[0] and "xxx" not in row[0] for row in notices)


async def test_both_copies_of_a_duplicate_in_one_batch_count_once(shop: Shop) -> None:
    await enrol(shop, "m1")
    await buy(shop, ("m1", "o1"), ("m1", "o1"), ("m1", "o1"))
    async with running(shop.worker()):
        await read_to_the_end(shop, 4)
    assert await outcomes(shop) == {"accepted": 1}
    assert await shop.value("SELECT count(*) FROM dead_letter") == 0


async def test_a_duplicate_in_a_later_batch_counts_once_and_a_reused_id_is_a_dead_letter(
    shop: Shop,
) -> None:
    await enrol(shop, "m1")
    await buy(shop, ("m1", "o1"))
    async with running(shop.worker()):
        await read_to_the_end(shop, 2)
        await buy(shop, ("m1", "o1"), ("m1", "o2"))
        await read_to_the_end(shop, 4)
        await shop.produce(PURCHASES, ("m1", purchased("m1", "o1", price="99.00")))
        await read_to_the_end(shop, 5)
    assert await outcomes(shop) == {"accepted": 2}
    letters = await shop.fetch("SELECT reason, member_id FROM dead_letter")
    assert [tuple(row) for row in letters] == [("id_reused", "m1")]


async def test_a_purchase_that_was_read_before_its_enrolment_is_not_parked_in_one_batch(
    shop: Shop,
) -> None:
    await buy(shop, ("m1", "o1"))
    await shop.produce(MEMBERS, ("m1", enrolled("m1", at=NOW - MINUTE)))
    async with running(shop.worker()):
        await read_to_the_end(shop, 2)
    assert await outcomes(shop) == {"accepted": 1}


def decisions_fail(monkeypatch: pytest.MonkeyPatch, *orders: str) -> None:
    """Lets the decision on each of these orders fail."""

    def fails(program: Any, account: Any, activity: Any, facts: Any) -> Any:
        if getattr(activity.body, "order", "") in orders:
            raise ZeroDivisionError("secret contents")
        return decide(program, account, activity, facts)

    monkeypatch.setattr(batch, "decide", fails)


async def test_a_message_on_which_a_decision_fails_is_found_among_many(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions_fail(monkeypatch, "o-m3", "o-m11")
    await enrol(shop, *MEMBER_IDS)
    await buy(shop, *[(member, f"o-{member}") for member in MEMBER_IDS])
    async with running(shop.worker()):
        await read_to_the_end(shop, 40)
    letters = await shop.fetch("SELECT reason, detail, member_id FROM dead_letter ORDER BY 3 DESC")
    assert [tuple(row) for row in letters] == [
        ("undecidable", "ZeroDivisionError", "m3"),
        ("undecidable", "ZeroDivisionError", "m11"),
    ]
    assert await outcomes(shop) == {"accepted": 18}


@pytest.fixture
def read_ahead(monkeypatch: pytest.MonkeyPatch) -> list[Attempt]:
    """Attempts that were begun while another batch was being recorded."""
    begun: list[Attempt] = []
    read = Attempt.read_ahead

    async def noted(self: Attempt, before: Attempt) -> None:
        begun.append(self)
        await read(self, before)

    monkeypatch.setattr(Attempt, "read_ahead", noted)
    return begun


@pytest.mark.parametrize("fresh_s", [1.0, -1.0])
async def test_a_worker_that_lags_decides_ahead_and_doubles_nothing(
    shop: Shop, read_ahead: list[Attempt], monkeypatch: pytest.MonkeyPatch, fresh_s: float
) -> None:
    monkeypatch.setattr(lane, "FRESH_S", fresh_s)  # below 0 nothing is fresh enough
    await enrol(shop, *MEMBER_IDS)
    orders = [(member, f"o-{number}-{member}") for number in range(40) for member in MEMBER_IDS]
    await buy(shop, *orders, *orders[::9])  # some are sent once more
    async with running(shop.worker(batch_size=15)):
        for at_least in (100, 300, 500, 700):
            await recorded(shop, at_least)
            await shop.fetch("UPDATE position SET epoch = epoch + 1")  # as if taken over
        await read_to_the_end(shop, 20 + 800 + 89)
    assert len(read_ahead) > 10
    assert await outcomes(shop) == {"accepted": 800}
    assert (
        await shop.value("SELECT count(DISTINCT order_id) FROM ledger WHERE order_id <> ''") == 800
    )


async def test_a_message_that_fails_ahead_is_found_and_all_around_it_is_recorded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, read_ahead: list[Attempt]
) -> None:
    decisions_fail(monkeypatch, "o-7-m3", "o-23-m11")
    await enrol(shop, *MEMBER_IDS)
    await buy(shop, *[(who, f"o-{number}-{who}") for number in range(30) for who in MEMBER_IDS])
    async with running(shop.worker(batch_size=10)):
        await read_to_the_end(shop, 620)
    assert len(read_ahead) > 10
    letters = await shop.fetch("SELECT reason, member_id FROM dead_letter ORDER BY 2 DESC")
    assert [tuple(row) for row in letters] == [("undecidable", "m3"), ("undecidable", "m11")]
    assert await outcomes(shop) == {"accepted": 598}


async def test_the_breaker_stops_the_worker_and_survives_a_restart(shop: Shop) -> None:
    await enrol(shop, "m1")
    await shop.produce(PURCHASES, *[("m1", b"rubbish")] * 5, ("m1", purchased("m1", "o1")))
    for _ in range(2):
        with pytest.raises(BreakerOpen, match="more than 3 unusable messages in a row"):
            async with running(shop.worker(breaker=3)) as worker:
                await asyncio.wait([worker], timeout=15)
        assert await shop.value("SELECT count(*) FROM dead_letter") == 3
        assert await shop.value("SELECT max(dead_in_a_row) FROM position") == 3
    async with running(shop.worker(breaker=10)):
        await read_to_the_end(shop, 7)
    assert await shop.value("SELECT count(*) FROM dead_letter") == 5
    assert await shop.value("SELECT max(dead_in_a_row) FROM position") == 0
    assert await outcomes(shop) == {"accepted": 1}


async def test_without_a_programme_the_worker_waits_and_gives_nothing_up(
    shop: Shop,
) -> None:
    async with shop.owner() as owner:
        document = await owner.fetchval("SELECT document FROM program_version")
        await owner.execute("ALTER TABLE program_version DISABLE TRIGGER USER")
        await owner.execute("DELETE FROM program_version")
        await enrol(shop, "m1")
        async with running(shop.worker()):
            await asyncio.sleep(2)
            assert await shop.value("SELECT count(*) FROM dead_letter") == 0
            assert await shop.value("SELECT coalesce(sum(position), 0) FROM position") == 0
            await owner.execute(
                "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
                " published_by) VALUES (1, '2010-12-01', '2010-11-01', $1, 'x', 'tests')",
                document,
            )
            await read_to_the_end(shop, 1)
    assert await outcomes(shop, "enrolment") == {"accepted": 1}


async def test_aborted_transactions_and_markers_are_passed_over(shop: Shop) -> None:
    await enrol(shop, "m1")
    async with started(shop.kafka, shop.kafka.producer("tests")) as producer:
        for order, commits in (("o1", True), ("o2", False), ("o3", True), ("o4", False)):
            await producer.begin_transaction()
            await producer.send_and_wait(PURCHASES, purchased("m1", order), key=b"m1")
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    async with running(shop.worker()):
        await read_to_the_end(shop, 1 + 8)
        await buy(shop, ("m1", "o5"))
        await read_to_the_end(shop, 1 + 9)
    assert await outcomes(shop) == {"accepted": 3}


async def test_a_session_whose_epoch_has_passed_writes_nothing(shop: Shop) -> None:
    place = TopicPartition(PURCHASES, 0)
    async with (
        closed(await shop.books.open("a")) as first,
        closed(await shop.books.open("b")) as second,
    ):
        held = await position.acquire(first, {place: 5}, {place: 9})
        assert held[place].position == 5
        taken = await position.acquire(second, {place: 0}, {place: 9})
        assert taken[place].position == 5
        with pytest.raises(Fenced):
            await position.advance(first, [position.Advance(held[place], 8, 0, 0)])
        await position.advance(second, [position.Advance(taken[place], 7, NOW, 2)])
        with pytest.raises(Fenced):
            await position.advance(second, [position.Advance(taken[place], 8, 0, 0)])
    rows = await shop.fetch("SELECT position, epoch, dead_in_a_row FROM position")
    assert [tuple(row) for row in rows] == [(7, 2, 2)]


async def test_a_worker_that_is_fenced_takes_over_again_and_doubles_nothing(shop: Shop) -> None:
    await enrol(shop, *MEMBER_IDS)
    async with running(shop.worker()):
        for round_ in range(6):
            await shop.fetch("UPDATE position SET epoch = epoch + 1")
            await buy(shop, *[(member, f"o-{round_}-{member}") for member in MEMBER_IDS])
        await read_to_the_end(shop, 140)
    assert await outcomes(shop) == {"accepted": 120}


async def test_a_lost_connection_is_waited_for_and_doubles_nothing(shop: Shop) -> None:
    await enrol(shop, *MEMBER_IDS)
    async with running(shop.worker()):
        for round_ in range(4):
            async with shop.owner() as owner:
                await owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                    " current_database() AND application_name LIKE 'loyalty worker%'"
                )
            await buy(shop, *[(member, f"o-{round_}-{member}") for member in MEMBER_IDS])
        await read_to_the_end(shop, 100)
    assert await outcomes(shop) == {"accepted": 80}


async def test_workers_that_come_and_go_share_the_partitions_and_double_nothing(shop: Shop) -> None:
    await enrol(shop, *MEMBER_IDS)
    orders = [(member, f"o-{number}-{member}") for number in range(100) for member in MEMBER_IDS]

    async def taken(times: int) -> None:
        async def so_often() -> bool:
            return bool(await shop.value("SELECT coalesce(min(epoch), 0) FROM position") >= times)

        await until(so_often)

    async with running(shop.worker(batch_size=100)):
        await taken(1)
        sending = asyncio.create_task(buy(shop, *orders[:1500]))
        async with running(shop.worker(lanes=2, batch_size=100)):
            await taken(2)
            await sending
            await buy(shop, *orders[1500:])
            await read_to_the_end(shop, 1700)
        await read_to_the_end(shop, 2020)
    assert await outcomes(shop) == {"accepted": 2000}


async def test_a_position_before_the_log_stops_the_worker_with_one_line(shop: Shop) -> None:
    await enrol(shop, *MEMBER_IDS)
    async with running(shop.worker()):
        await read_to_the_end(shop, 20)
    await enrol(shop, *MEMBER_IDS)
    await delete_all(shop, MEMBERS)
    with pytest.raises(PositionLost, match="deleted unread") as stopped:
        async with running(shop.worker()) as worker:
            await asyncio.wait([worker], timeout=15)
    assert "\n" not in str(stopped.value)


async def test_a_recreated_topic_stops_the_worker(shop: Shop) -> None:
    await enrol(shop, "m1")
    async with running(shop.worker()):
        await read_to_the_end(shop, 1)
    await recreate_topics(shop.kafka)
    with pytest.raises(PositionLost, match="recreated"):
        async with running(shop.worker()) as worker:
            await asyncio.wait([worker], timeout=15)


async def test_partitions_without_news_count_as_read_up_to_now(shop: Shop) -> None:
    async with running(shop.worker()):

        async def all_read() -> bool:
            rows = await shop.fetch("SELECT DISTINCT extract(epoch FROM read_to) FROM position")
            return [int(row[0] or 0) for row in rows] == [NOW // 1_000_000]

        await until(all_read)
        count = await shop.value("SELECT count(*) FROM position")
        assert count == 4 * PARTITIONS
        written = await shop.value("SELECT sum(xmin::text::bigint) FROM position")
        await asyncio.sleep(0.5)
        assert await shop.value("SELECT sum(xmin::text::bigint) FROM position") == written, (
            "while the clock stands still nothing is written"
        )
        shop.clock.at = NOW + DAY

        async def all_read_on() -> bool:
            oldest = await shop.value("SELECT extract(epoch FROM min(read_to)) FROM position")
            return int(oldest) == (NOW + DAY) // 1_000_000

        await until(all_read_on)


async def test_a_partition_with_an_open_transaction_is_not_read_to_its_end(shop: Shop) -> None:
    """What it holds may be older than our clock, and the ticks must not run ahead of it."""

    async def all_read_up_to(at: int, but: int) -> None:
        async def read() -> bool:
            behind = "SELECT count(*) FROM position WHERE read_to IS DISTINCT FROM to_timestamp($1)"
            return bool(await shop.value(behind, at // 1_000_000) == but)

        await until(read)

    await enrol(shop, "m1")
    producer = shop.kafka.producer("tests")
    async with started(shop.kafka, producer), running(shop.worker()):
        await all_read_up_to(NOW, but=0)
        await producer.begin_transaction()
        await producer.send_and_wait(PURCHASES, purchased("m1", "o1"), key=b"m1")
        shop.clock.at = NOW + DAY
        await all_read_up_to(NOW + DAY, but=1)
        await asyncio.sleep(0.5)
        await all_read_up_to(NOW + DAY, but=1)
        await producer.commit_transaction()
        await all_read_up_to(NOW + DAY, but=0)
    assert await outcomes(shop) == {"accepted": 1}


async def test_an_event_from_ahead_of_our_clock_does_not_pull_the_ticks_ahead(shop: Shop) -> None:
    await shop.produce(MEMBERS, ("m1", enrolled("m1", at=NOW + HOUR)))
    async with running(shop.worker(idle_s=60)):
        await recorded(shop, 1)
    newest = await shop.value("SELECT extract(epoch FROM max(read_to)) FROM position")
    assert int(newest) == NOW // 1_000_000
