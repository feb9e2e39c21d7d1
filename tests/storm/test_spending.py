"""Points spent over HTTP while workers record events of the same members."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from random import Random

import pytest

from services.loyalty.domain.calendar import HOUR
from tests.events.messages import NOW
from tests.storm.books import as_folded, books_verify, fold, heard_once
from tests.storm.deployment import Deployment
from tests.storm.shoppers import Shoppers
from tests.storm.storefront import Storefront
from tests.storm.weather import feeding

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]

TEA_TOWEL = 300


async def test_of_fifty_redemptions_at_once_of_a_balance_for_one_exactly_one_is_accepted(
    deployment: Deployment, storefront: Storefront
) -> None:
    await deployment.stand_still(NOW)
    shoppers = Shoppers(Random(4), NOW + HOUR, count=1)
    (member,) = shoppers.members
    worker, relay = deployment.start("work"), deployment.start("relay")
    server, url = await deployment.serve(), deployment.url
    await deployment.produce(shoppers.join())
    await deployment.settled()
    has = await storefront.available(url, member)
    assert await storefront.grant(url, member, TEA_TOWEL - has, key="grant") == 201
    async with feeding(deployment, shoppers):
        await deployment.goes_on(50)
        answers = await asyncio.gather(
            *[storefront.redeem(url, member, "tea-towel", key=f"rush-{n}") for n in range(50)]
        )
    await deployment.settled()
    await deployment.stop(server, worker, relay)

    assert Counter(answers) == {201: 1, 409: 49}
    await as_folded(deployment, fold(shoppers.posts, now=NOW), spent=storefront.moved)
    await heard_once(deployment)


async def test_redemptions_race_workers_and_a_server_that_dies_and_each_counts_once(
    deployment: Deployment, storefront: Storefront
) -> None:
    deployment.settings |= {"BATCH_SIZE": "100"}
    await deployment.stand_still(NOW)
    shoppers = Shoppers(Random(5), NOW + HOUR, count=6)
    worker, relay = deployment.start("work"), deployment.start("relay")
    server, url = await deployment.serve(), deployment.url
    await deployment.produce(shoppers.join())
    await deployment.settled()
    async with feeding(deployment, shoppers):
        spending = asyncio.gather(*[spends(storefront, url, member) for member in shoppers.members])
        for times in (20, 80):
            await deployment.until(partial(has_answered, storefront, times), "requests answered")
            server.kill()
            server = await deployment.serve()
        answers = [answer for each in await spending for answer in each]
    await deployment.settled()
    await deployment.stop(server, worker, relay)

    assert storefront.tried_again > 0
    assert set(answers) == {201, 409}
    await as_folded(deployment, fold(shoppers.posts, now=NOW), spent=storefront.moved)
    await heard_once(deployment)
    await books_verify(deployment)


async def has_answered(storefront: Storefront, times: int) -> bool:
    return storefront.answered >= times


async def spends(storefront: Storefront, url: str, member: str) -> list[int]:
    """Grants and wishes in turn, of which some must be refused: the statuses of the answers."""
    answers = []
    for number in range(15):
        answers.append(await storefront.redeem(url, member, "tea-towel", key=f"wish-{number}"))
        answers.append(await storefront.grant(url, member, 170, key=f"grant-{number}"))
    return answers
