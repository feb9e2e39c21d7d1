"""Messages in every order, in one batch and across batches, and messages that come again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import pytest

from services.demo.timeline import Post
from services.loyalty.domain.calendar import DAY, HOUR
from tests.events.messages import NOW
from tests.storm.books import (
    Totals,
    as_folded,
    books_verify,
    dead_letters,
    fold,
    heard_once,
    totals,
)
from tests.storm.deployment import Deployment
from tests.storm.shoppers import bought, joined, returned

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]

AT = NOW - 2 * DAY
ROUNDS = 4


def story(member: str) -> list[Post]:
    """An enrolment, a purchase of four units, and two refunds of it."""
    return [
        joined(member, AT),
        bought(member, f"o-{member}", AT + HOUR, units=4, price="12.50"),
        returned(member, f"o-{member}", AT + 2 * HOUR, id=f"a-{member}", units=1),
        returned(member, f"o-{member}", AT + 3 * HOUR, id=f"b-{member}", units=2),
    ]


def rounds_of(posts: Sequence[Post], cuts: Sequence[bool]) -> Iterator[list[Post]]:
    """The posts, cut after each one for which ``cuts`` says so."""
    last: list[Post] = []
    for post, cut in zip(posts, (*cuts, True), strict=True):
        last.append(post)
        if cut:
            yield last
            last = []


async def plays(deployment: Deployment, rounds: Sequence[Sequence[Post]]) -> None:
    """Each round is produced while no worker is there, and read by one that then comes."""
    for posts in rounds:
        await deployment.produce(posts)
        worker = deployment.start("work", WORKER_LANES="1")
        await deployment.settled()
        await deployment.stop(worker)


async def test_purchase_and_refunds_come_to_the_same_in_every_order_and_every_batching(
    deployment: Deployment,
) -> None:
    await deployment.stand_still(NOW)
    relay = deployment.start("relay")
    rounds: list[list[Post]] = [[] for _ in range(ROUNDS)]
    cases = list(product(permutations(range(4)), product([False, True], repeat=3)))
    for number, (order, cuts) in enumerate(cases):
        told = story(f"m{number}")
        for round_, posts in enumerate(rounds_of([told[index] for index in order], cuts)):
            rounds[round_] += posts
    await plays(deployment, rounds)
    await deployment.stop(relay)

    found = await totals(deployment)
    expected = without_member(fold(story("m0"), now=NOW).totals, "m0")
    for number, case in enumerate(cases):
        assert without_member(found, f"m{number}") == expected, case
    assert await deployment.value("SELECT count(*) FROM journal WHERE outcome = 'parked'") > 0
    assert await deployment.value("SELECT count(*) FROM parked") == 0
    in_one = [f"m{number}" for number, (_, cuts) in enumerate(cases) if not any(cuts)]
    assert await transactions(deployment, in_one) == 1
    await heard_once(deployment)
    await books_verify(deployment)


def without_member(found: Totals, member: str) -> Totals:
    return {place[1:]: points for place, points in found.items() if place[0] == member}


async def transactions(deployment: Deployment, members: Sequence[str]) -> int:
    """The fewest transactions in which any of the members' journals was written."""
    fewest = await deployment.value(
        "SELECT min(n) FROM (SELECT count(DISTINCT xmin::text) AS n FROM journal"
        " WHERE member_id = ANY($1) GROUP BY member_id) AS written",
        members,
    )
    return int(fewest)


async def test_a_message_that_comes_again_counts_once_and_an_id_used_twice_is_a_dead_letter(
    deployment: Deployment,
) -> None:
    await deployment.stand_still(NOW)
    relay = deployment.start("relay")
    members = ["in-one-batch", "across-batches", "in-both", "reuses-in-one", "reuses-later"]
    first = [joined(member, AT) for member in members]
    sale = {member: bought(member, f"o-{member}", AT + HOUR) for member in members}
    reused = {
        member: bought(member, f"other-{member}", AT + HOUR, id=f"order-o-{member}")
        for member in members
    }
    first += [sale[member] for member in members]
    first += [sale["in-one-batch"], sale["in-both"], sale["in-both"], reused["reuses-in-one"]]
    again = [sale["across-batches"], sale["in-both"], sale["in-both"], reused["reuses-later"]]
    last = [sale["reuses-in-one"], reused["reuses-in-one"], joined("in-both", AT)]
    await plays(deployment, [first, again, last])
    await deployment.stop(relay)

    assert await dead_letters(deployment) == {"id_reused": 3}
    await as_folded(deployment, fold([*first, *again, *last], now=NOW))
    counted = {member: without_member(await totals(deployment), member) for member in members}
    assert all(counted[member] == counted["in-one-batch"] for member in members)
    await heard_once(deployment)
    await books_verify(deployment)
