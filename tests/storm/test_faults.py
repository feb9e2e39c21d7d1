"""Processes that die, and such as come back from the dead, while the load goes on."""

from __future__ import annotations

import asyncio
import os
from random import Random, SystemRandom

import pytest

from services.loyalty.domain.calendar import DAY
from tests.storm.books import as_folded, books_verify, fold, heard_once
from tests.storm.deployment import Deployment
from tests.storm.shoppers import Shoppers
from tests.storm.weather import Storm, feeding

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """From LOYALTY_TEST_STORM_SEED, or by chance; printed, so that a storm can be had again."""
    chosen = int(os.environ.get("LOYALTY_TEST_STORM_SEED") or SystemRandom().randrange(10**6))
    with capsys.disabled():
        print(f"\nthe storm's seed: LOYALTY_TEST_STORM_SEED={chosen}", flush=True)
    return chosen


async def test_nothing_is_lost_or_doubled_while_processes_die_and_return(
    deployment: Deployment, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.settings |= {"BATCH_SIZE": "50"}
    shoppers = Shoppers(Random(seed), await deployment.now() - DAY)
    await deployment.produce(shoppers.join())
    workers = [deployment.start("work") for _ in range(3)]
    storm = Storm(deployment, Random(seed + 1), workers, deployment.start("relay"))
    await deployment.at_work(*workers)
    await deployment.settled()
    async with feeding(deployment, shoppers):
        await asyncio.gather(
            storm.over_workers(kills=12, freezes=5),
            storm.over_the_relay(kills=9, cuts=4, freezes=3),
        )
    await deployment.settled()
    await deployment.at_work(*storm.workers, storm.relay)
    await deployment.stop(*storm.workers, storm.relay)

    assert storm.met.total() >= 30
    await as_folded(deployment, fold(shoppers.posts, now=await deployment.now()))
    events = await heard_once(deployment)
    await books_verify(deployment)
    with capsys.disabled():
        met = ", ".join(f"{kind} {times} times" for kind, times in sorted(storm.met.items()))
        fenced = sum(each.said(" fenced: ") for each in deployment.processes)
        print(f"{met}; fenced {fenced} times; {len(shoppers.posts)} messages, {events} events")
