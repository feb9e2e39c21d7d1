"""The checkpoint of the day: made by one scheduler, published by the relay, once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.events.database import Database, closed
from services.events.scheduler import Scheduler
from services.events.topics import CHECKPOINTS, EVENTS
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.db.checkpoints import make_daily
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.checkpoint import Checkpoint, is_signed_by
from tests.events.conftest import Shop, running, until
from tests.events.messages import NOW

KEY = Ed25519PrivateKey.generate()


def scheduler(books: Database, clock: FixedClock) -> Scheduler:
    async def checkpoint(connection: Any, now: Instant) -> None:
        await make_daily(connection, KEY, at=now)

    kafka: Any = None
    return Scheduler(kafka, books, Programs(), clock, checkpoint=checkpoint)


async def tidied(books: Database, clock: FixedClock) -> None:
    async with closed(await books.open("test")) as connection:
        await scheduler(books, clock).tidy(connection)


async def test_schedulers_side_by_side_make_one_checkpoint_a_day(books: Database) -> None:
    clock = FixedClock(NOW)
    for _ in range(3):
        await asyncio.gather(*[tidied(books, clock) for _ in range(4)])
        clock.at += DAY
    async with closed(await books.open("test")) as connection:
        numbers = await connection.fetch("SELECT number FROM checkpoint ORDER BY number")
    assert [row[0] for row in numbers] == [1, 2, 3]


@pytest.mark.real_kafka
async def test_the_relay_publishes_a_checkpoint_once_and_where_no_member_is_told(
    shop: Shop,
) -> None:
    await tidied(shop.books, FixedClock(NOW))
    async with running(shop.relay()):

        async def sent() -> bool:
            return bool(await shop.value("SELECT count(*) FROM outbox") == 0)

        await until(sent)
    (published,) = await shop.read(CHECKPOINTS)
    event = json.loads(published.value)
    assert (event["id"], event["type"]) == ("1/checkpoint/root/1/0", "loyalty.checkpoint.made.v1")
    assert is_signed_by(msgspec.convert(event["data"], Checkpoint), KEY.public_key())
    assert await shop.read(EVENTS) == []
