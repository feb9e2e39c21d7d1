"""A database that is put back to an earlier moment while Kafka goes on."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.events.codec import VOIDED, EventId, parse_event_id
from services.events.letters import NOTICE
from services.events.topics import EVENTS
from services.loyalty.domain.calendar import HOUR
from tests.events.messages import NOW
from tests.storm.books import as_folded, books_verify, fold
from tests.storm.deployment import Deployment, Process
from tests.storm.shoppers import Shoppers
from tests.storm.storefront import Storefront

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]

RECOVER = 8
"""The exit code of a process that refuses to go on before `loyalty recover`."""

COMMANDS = ("serve", "work", "relay", "schedule")


async def on_server(deployment: Deployment, *statements: str) -> None:
    url = urlsplit(deployment.database.owner_url)._replace(path="/postgres").geturl()
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def back_up(deployment: Deployment) -> None:
    name = deployment.database.name
    await deployment.pool.expire_connections()
    terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    for attempt in range(3):  # a session that just ends may still be counted on a busy machine
        try:
            await on_server(deployment, terminate, f"CREATE DATABASE {name}_backup TEMPLATE {name}")
            return
        except asyncpg.ObjectInUseError:
            if attempt == 2:
                raise


async def restore(deployment: Deployment) -> None:
    name = deployment.database.name
    await on_server(
        deployment,
        f"DROP DATABASE {name} WITH (FORCE)",
        f"ALTER DATABASE {name}_backup RENAME TO {name}",
    )


async def all_at_work(deployment: Deployment) -> list[Process]:
    worker, relay, scheduler = (deployment.start(each) for each in ("work", "relay", "schedule"))
    server = await deployment.serve()
    await deployment.at_work(worker)
    return [worker, relay, scheduler, server]


async def refuses(deployment: Deployment, process: Process) -> None:
    """It ends with one line of its own that names the remedy."""
    assert await deployment.code_of(process, seconds=45) == RECOVER, process.last_words()
    lines = process.log.read_text().splitlines()
    told = [line for line in lines if line.startswith("loyalty: ")]
    assert len(told) == 1, process.last_words()
    assert "restored" in told[0]
    assert told[0].endswith("run `loyalty recover`")
    assert not process.said("Traceback"), process.last_words()


async def standing(deployment: Deployment) -> dict[tuple[str, int, int], tuple[str, object]]:
    """The events that a consumer counts, once it has taken out what was taken back."""
    counted: dict[EventId, tuple[str, object]] = {}
    for record in await deployment.shop.read(EVENTS):
        event = json.loads(record.value)
        member, said = event["subject"], event["data"]
        if event["type"] == VOIDED:
            counted = {
                each: what
                for each, what in counted.items()
                if (each.member, each.incarnation) != (member, said["incarnation"])
                or each.seq <= said["after_seq"]
            }
        else:
            assert parse_event_id(event["id"]) not in counted
            counted[parse_event_id(event["id"])] = event["type"], said
    places = {each[1:]: what for each, what in counted.items()}
    assert len(places) == len(counted), "two incarnations speak of one place"
    return places


async def recorded_events(
    deployment: Deployment,
) -> dict[tuple[str, int, int], tuple[str, object]]:
    rows = await deployment.rows(
        "SELECT member_id, seq, n, type, data FROM witness WHERE type <> $1", NOTICE
    )
    return {tuple(row)[:3]: (row[3], json.loads(row[4])) for row in rows}


async def test_after_a_restore_nobody_goes_on_before_recover_and_then_nothing_is_missing(
    deployment: Deployment, storefront: Storefront
) -> None:
    """What a server still records between restore and recovery counts like all else."""
    await deployment.stand_still(NOW)
    shoppers = Shoppers(Random(7), NOW + HOUR)
    running = [deployment.start("work"), deployment.start("relay")]
    await deployment.produce(shoppers.join() + shoppers.go_on(400))
    await deployment.settled()
    await deployment.stop(*running)
    await back_up(deployment)
    running = await all_at_work(deployment)
    await deployment.produce(shoppers.go_on(400))
    await deployment.settled()
    published = len(await standing(deployment))
    await restore(deployment)
    for member in shoppers.members[:10]:
        assert await storefront.grant(deployment.url, member, 10, key="meanwhile") == 201

    await deployment.produce(shoppers.go_on(100))
    for process in running:
        await refuses(deployment, process)
    for process in [deployment.start(command) for command in COMMANDS]:
        await refuses(deployment, process)
    code, said, wrong = await deployment.run("recover")
    assert code == 0, wrong
    assert said.startswith("Incarnation 2 begins after batch ")
    running = await all_at_work(deployment)
    await deployment.settled()
    await deployment.produce(shoppers.go_on(100))
    await deployment.settled()
    await deployment.stop(*running)

    await as_folded(deployment, fold(shoppers.posts, now=NOW), spent=storefront.moved)
    counted = await standing(deployment)
    assert len(counted) > published
    assert counted == await recorded_events(deployment)
    code, said, _ = await deployment.run("recover")
    assert (code, said) == (0, "Kafka and the database agree: there is nothing to recover.\n")
    await books_verify(deployment)
