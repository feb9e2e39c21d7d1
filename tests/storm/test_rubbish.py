"""Messages that nobody should send, among good ones, on a broker that takes anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from services.demo.timeline import Post
from services.events.broker import started
from services.events.topics import DEAD_LETTERS, PURCHASES
from services.loyalty.domain.calendar import DAY, HOUR
from tests.events.messages import NOW, event
from tests.storm.books import as_folded, books_verify, dead_letters, fold, heard_once
from tests.storm.deployment import Deployment
from tests.storm.shoppers import bought, joined

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]

MEMBER = "m1"
MIB = 1024 * 1024
TOO_MUCH = b"\xff" * 2 * MIB
AT = NOW - HOUR


def sale(name: str, at: int = AT, **changed: Any) -> Post:
    """A purchase in which something is not as it should be."""
    line = {"position": 1, "sku": "22423", "quantity": 1, "unit_price": "10.00"}
    fields = {"member_id": MEMBER, "order_id": name, "currency": "GBP", "lines": [line]} | changed
    present = {key: text for key, text in fields.items() if text is not None}
    value = event("commerce.purchase.completed.v1", present, at=at, id=f"order-{name}")
    return Post(PURCHASES, MEMBER, at, value)


def costing(price: str) -> list[dict[str, Any]]:
    return [{"position": 1, "sku": "22423", "quantity": 1, "unit_price": price}]


def of_nobody(post: Post) -> Post:
    """The same event, of a member whose id is an e-mail address."""
    return Post(PURCHASES, MEMBER, AT, post.value.replace(b'"m1"', b'"ann@shop.test"'))


RUBBISH = [
    ("not_json", Post(PURCHASES, MEMBER, AT, b"\x00\xff rubbish")),
    ("not_json", Post(PURCHASES, MEMBER, AT, sale("cut").value[:-20])),
    ("not_a_cloudevent", Post(PURCHASES, MEMBER, AT, b'{"hello": "world"}')),
    ("not_a_cloudevent", Post(PURCHASES, MEMBER, AT, b"[1, 2, 3]")),
    ("unknown_type", Post(PURCHASES, MEMBER, AT, event("shop.x.v1", {}, at=AT, id="x"))),
    ("impossible_amount", sale("negative", lines=costing("-10.00"))),
    ("impossible_amount", sale("tenth-of-a-penny", lines=costing("10.001"))),
    ("impossible_amount", sale("discount", discount="11.00")),
    ("unknown_currency", sale("pounds", currency="QQQ")),
    ("date_out_of_range", sale("future", NOW + 3 * DAY)),
    ("date_out_of_range", sale("past", NOW - 11 * 366 * DAY)),
    ("no_member", sale("nobody", member_id=None)),
    ("member_id_is_personal", of_nobody(sale("personal"))),
    ("key_mismatch", sale("other", member_id="m2")),
    ("too_large", Post(PURCHASES, MEMBER, AT, TOO_MUCH)),
]


async def let_through(deployment: Deployment, *, megabytes: int) -> None:
    """Has the broker take messages of that size."""
    allowed = {"max.message.bytes": str(megabytes * MIB)}
    resource = ConfigResource(ConfigResourceType.TOPIC, PURCHASES, configs=allowed)
    async with started(deployment.shop.kafka, deployment.shop.kafka.admin()) as admin:
        await admin.alter_configs([resource])


async def taken(producer: AIOKafkaProducer, post: Post) -> bool:
    """Whether the broker takes the message, which is so some time after it was told to."""
    try:
        await producer.send_and_wait(post.topic, post.value, key=post.member.encode())
    except MessageSizeTooLargeError:
        return False
    return True


@pytest.fixture
async def anything(deployment: Deployment) -> AsyncIterator[AIOKafkaProducer]:
    """A producer without limits of its own."""
    options = deployment.shop.kafka.options
    producer = AIOKafkaProducer(**options, max_request_size=4 * MIB)
    async with started(deployment.shop.kafka, producer):
        yield producer


async def test_the_broker_itself_refuses_two_mebibytes_unless_told_otherwise(
    anything: AIOKafkaProducer,
) -> None:
    with pytest.raises(MessageSizeTooLargeError):
        await anything.send_and_wait(PURCHASES, TOO_MUCH, key=MEMBER.encode())


async def test_rubbish_among_good_messages_becomes_dead_letters_and_stops_nobody(
    deployment: Deployment, anything: AIOKafkaProducer
) -> None:
    await deployment.stand_still(NOW)
    await let_through(deployment, megabytes=4)
    posts = [joined(MEMBER, NOW - DAY)]
    for number, (_, rubbish) in enumerate(RUBBISH):
        posts += [rubbish, bought(MEMBER, f"good-{number}", AT)]
    worker, relay = deployment.start("work", BREAKER="1"), deployment.start("relay")
    for post in posts:
        await deployment.until(partial(taken, anything, post), "the broker takes it")
    await deployment.settled()
    await deployment.stop(worker, relay)

    found = await deployment.rows("SELECT reason, detail, size FROM dead_letter ORDER BY offset_")
    assert [row[0] for row in found] == [reason for reason, _ in RUBBISH]
    assert all(0 < len(row[1]) <= 400 and "ann@" not in row[1] for row in found)
    assert found[-1][2] == len(TOO_MUCH)
    good = "SELECT count(*) FROM journal WHERE kind = 'purchase' AND outcome = 'accepted'"
    assert await deployment.value(good) == len(RUBBISH)
    notices = [json.loads(one.value)["data"] for one in await deployment.shop.read(DEAD_LETTERS)]
    assert [notice["reason"] for notice in notices] == [reason for reason, _ in RUBBISH]
    await heard_once(deployment)
    await books_verify(deployment)


def garbled(rng: Random, number: int) -> Post:
    """A good message of which a few bytes were changed on the way."""
    value = bytearray(bought(MEMBER, f"garbled-{number}", AT).value)
    for _ in range(rng.randint(1, 3)):
        value[rng.randrange(len(value))] = rng.choice(b'"\\{}[]:,0159-+.eEnu\x00\x7f\xff aZ')
    return Post(PURCHASES, MEMBER, AT, bytes(value))


async def test_whatever_bytes_come_they_are_recorded_or_refused_and_never_undecidable(
    deployment: Deployment,
) -> None:
    await deployment.stand_still(NOW)
    rng = Random(6)
    posts = [joined(MEMBER, NOW - DAY), *[garbled(rng, number) for number in range(500)]]
    worker, relay = deployment.start("work", BREAKER="500"), deployment.start("relay")
    await deployment.produce(posts)
    await deployment.settled()
    await deployment.stop(worker, relay)

    await as_folded(deployment, fold(posts, now=NOW))
    assert "undecidable" not in await dead_letters(deployment)
    await heard_once(deployment)
    await books_verify(deployment)


async def test_dead_letters_are_listed_shown_and_replayed_from_the_command_line(
    deployment: Deployment,
) -> None:
    await deployment.stand_still(NOW)
    early, unpaid = sale("early", NOW + 3 * DAY), sale("pounds", currency="QQQ")
    await deployment.produce([joined(MEMBER, NOW - DAY), early, unpaid])
    worker, relay = deployment.start("work"), deployment.start("relay")
    await deployment.settled()
    rows = await deployment.rows(
        "SELECT topic || '/' || partition || '/' || offset_ FROM dead_letter ORDER BY offset_"
    )
    (first,), (second,) = map(tuple, rows)

    everything, one_reason, shown, *refusals = await asyncio.gather(
        deployment.run("dead-letters", "list"),
        deployment.run("dead-letters", "list", "--reason", "unknown_currency"),
        deployment.run("dead-letters", "show", first),
        deployment.run("dead-letters", "replay", first),
        deployment.run("dead-letters", "replay", second),
    )
    assert listed(everything) == [second, first]
    assert listed(one_reason) == [second]
    assert shown[0] == 0
    assert "date_out_of_range" in shown[1]
    assert early.value.decode() in shown[1]
    for refusal in refusals:
        assert "is refused still" in one_line(refusal)

    code, said, wrong = await deployment.run("dead-letters", "replay", first, MAX_EVENT_LEAD="7d")
    assert (code, said) == (0, f"{first}: accepted, seq 2\n"), wrong
    again, left = await asyncio.gather(
        deployment.run("dead-letters", "replay", first), deployment.run("dead-letters", "list")
    )
    assert "was replayed before" in one_line(again)
    assert listed(left) == [second]

    await deployment.settled()
    await deployment.stop(worker, relay)
    await heard_once(deployment)
    await books_verify(deployment)


Ended = tuple[int, str, str]
"""An exit code, standard output and standard error."""


def listed(ended: Ended) -> list[str]:
    """The places of the dead letters that a list names, in its order."""
    code, said, wrong = ended
    assert (code, wrong) == (0, "")
    return [line.split()[0] for line in said.splitlines()]


def one_line(ended: Ended) -> str:
    """What a command says that refuses."""
    code, said, wrong = ended
    assert (code, said, wrong.count("\n")) == (1, "", 1), wrong
    return wrong
