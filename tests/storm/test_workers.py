"""Workers that share the partitions, and take them over from each other, under load."""

from __future__ import annotations

from random import Random

import pytest

from services.loyalty.domain.calendar import DAY
from tests.storm.books import as_folded, books_verify, fold, heard_once
from tests.storm.deployment import Deployment, Process
from tests.storm.shoppers import Shoppers
from tests.storm.weather import feeding

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]


async def test_workers_that_join_and_leave_under_load_share_the_work_and_double_nothing(
    deployment: Deployment,
) -> None:
    deployment.settings |= {"BATCH_SIZE": "100", "WORKER_LANES": "1"}
    shoppers = Shoppers(Random(2), await deployment.now() - DAY)
    await deployment.produce(shoppers.join())
    first, second, relay = (deployment.start(each) for each in ("work", "work", "relay"))
    await deployment.at_work(first, second)
    await deployment.settled()
    async with feeding(deployment, shoppers):
        await deployment.until(lambda: share(first, second), "both hold partitions")
        await deployment.goes_on(300)
        third = deployment.start("work")
        await deployment.until(lambda: share(first, second, third), "all hold partitions")
        await deployment.goes_on(300)
        await deployment.stop(first)
        await deployment.goes_on(300)
        await deployment.stop(second)
        await deployment.goes_on(300)
    await deployment.settled()
    await deployment.stop(third, relay)

    for worker in (first, second, third):
        assert not worker.said("messages=0 "), f"{worker.name} had nothing to do"
    await as_folded(deployment, fold(shoppers.posts, now=await deployment.now()))
    await heard_once(deployment)
    await books_verify(deployment)


async def share(*workers: Process) -> bool:
    return all(worker.holds for worker in workers)
