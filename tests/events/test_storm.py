"""Workers and relays killed and frozen at random moments: nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.events.codec import parse_event_id
from services.events.topics import EVENTS, MEMBERS, PURCHASES
from services.loyalty.domain.calendar import HOUR, to_datetime
from tests.events.conftest import Shop, until
from tests.events.messages import NOW, enrolled, purchased
from tests.postgres import Database as OwnDatabase

pytestmark = pytest.mark.real_kafka

MEMBER_IDS = [f"m{number}" for number in range(100)]
ORDERS = 12_000
WORKER_KILLS, FREEZES, RELAY_KILLS = 10, 3, 20
FROZEN_S = 8.0
"""Longer than Kafka waits for a member of a group before its partitions go to another."""

_SHADOW = """
    CREATE TABLE shadow (member_id text, seq bigint, n smallint);
    CREATE FUNCTION cast_shadow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO shadow SELECT member_id, seq, n FROM written WHERE target IS NULL;
        RETURN NULL;
    END $$;
    CREATE TRIGGER cast_shadow AFTER INSERT ON outbox REFERENCING NEW TABLE AS written
        FOR EACH STATEMENT EXECUTE FUNCTION cast_shadow();
"""


class Processes:
    """Processes of the ``loyalty`` command, which can be killed, frozen and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *command],
                env=os.environ | self._environment,
                stdout=log,
                stderr=log,
            )
        self._all.append(started)
        return started

    def end(self) -> None:
        for one in self._all:
            one.kill()
            one.wait()


@contextmanager
def processes(shop: Shop, database: OwnDatabase, log: Path) -> Iterator[Processes]:
    made = Processes(
        {
            "LOYALTY_DATABASE_URL": database.url,
            "LOYALTY_KAFKA_BOOTSTRAP": shop.kafka.place,
            "LOYALTY_CLOCK": "row",
            "LOYALTY_WORKER_LANES": "2",
            "LOYALTY_WORKER_SESSION": "6s",
            "LOYALTY_BATCH_SIZE": "100",
        },
        log,
    )
    try:
        yield made
    finally:
        made.end()


async def kill_workers(made: Processes, chance: random.Random) -> None:
    """Two workers, of which one at a time is killed and started again, or frozen for a while."""
    workers = [made.start("work"), made.start("work")]
    blows = ["kill"] * WORKER_KILLS + ["freeze"] * FREEZES
    chance.shuffle(blows)
    for blow in blows:
        await asyncio.sleep(chance.uniform(1.5, 4))
        struck = chance.randrange(2)
        if blow == "kill":
            workers[struck].kill()
            workers[struck].wait()
            workers[struck] = made.start("work")
        else:
            workers[struck].send_signal(signal.SIGSTOP)
            await asyncio.sleep(FROZEN_S)
            workers[struck].send_signal(signal.SIGCONT)


async def kill_relays(made: Processes, chance: random.Random) -> None:
    relay = made.start("relay")
    for _ in range(RELAY_KILLS):
        await asyncio.sleep(chance.uniform(1.5, 3))
        relay.kill()
        relay.wait()
        relay = made.start("relay")


async def sell(shop: Shop, orders: list[tuple[str, str]]) -> None:
    """Purchases that come in all the while, one in twenty of them twice."""
    for start in range(0, len(orders), 200):
        messages = [
            (member, purchased(member, order, at=NOW - HOUR))
            for member, order in orders[start : start + 200]
        ]
        await shop.produce(PURCHASES, *messages, *messages[::20])
        await asyncio.sleep(0.6)


async def test_a_storm_loses_nothing_and_doubles_nothing(
    shop: Shop, database: OwnDatabase, tmp_path: Path
) -> None:
    chance = random.Random(20110110)
    async with shop.owner() as owner:
        await owner.execute(_SHADOW)
        await owner.execute("INSERT INTO clock (id, now) VALUES (1, $1)", to_datetime(NOW))
    orders = [(chance.choice(MEMBER_IDS), f"o{number}") for number in range(ORDERS)]
    await shop.produce(MEMBERS, *[(member, enrolled(member)) for member in MEMBER_IDS])
    log = tmp_path / "processes.log"
    with processes(shop, database, log) as made:
        await asyncio.gather(
            sell(shop, orders), kill_workers(made, chance), kill_relays(made, chance)
        )

        async def all_recorded_and_published() -> bool:
            bought = await shop.value("SELECT count(*) FROM journal WHERE kind = 'purchase'")
            behind = await shop.value("SELECT sum(position) FROM position")
            waiting = await shop.value("SELECT count(*) FROM outbox")
            produced = len(MEMBER_IDS) + ORDERS + ORDERS // 20
            return bool(bought >= ORDERS and behind >= produced and not waiting)

        try:
            await until(all_recorded_and_published, seconds=60)
        except AssertionError:
            sys.stdout.write(log.read_text()[-8000:])
            raise
    await nothing_lost_or_doubled(shop, orders)


async def nothing_lost_or_doubled(shop: Shop, orders: list[tuple[str, str]]) -> None:
    bought = await shop.fetch(
        "SELECT member_id, body::json ->> 'order' FROM journal WHERE kind = 'purchase'"
    )
    assert sorted(map(tuple, bought)) == sorted(orders)
    assert await shop.value("SELECT count(*) FROM dead_letter") == 0
    async with shop.owner() as owner:
        expected = await owner.fetch("SELECT member_id, seq, n FROM shadow")
    seen = [parse_event_id(json.loads(one.value)["id"]) for one in await shop.read(EVENTS)]
    places = defaultdict(list)
    for event in seen:
        assert event.incarnation == 1
        places[event.member].append((event.seq, event.n))
    assert all(found == sorted(set(found)) for found in places.values()), "in order, each once"
    assert {(event.member, event.seq, event.n) for event in seen} == set(map(tuple, expected))
