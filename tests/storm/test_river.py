"""The whole path on a slice of the shop's real sales, from its topics to a consumer of ours."""

from __future__ import annotations

import pytest

from services.demo.orders import read_sales
from services.demo.performance import BUNDLED
from services.demo.script import acts
from services.demo.timeline import Post, happenings
from services.loyalty.domain.calendar import DAY, Instant
from tests.storm.books import as_folded, books_verify, fold, heard_once
from tests.storm.deployment import Deployment

pytestmark = [pytest.mark.real_kafka, pytest.mark.real_postgres]

DAYS = 35
"""Long enough for points to become available and for members to rise."""


def posts_until(days: int) -> tuple[list[Post], Instant]:
    """What the shop sent in its first days, and the end of the last."""
    sales, _ = read_sales(BUNDLED)
    end = sales[0].at + days * DAY
    early = [sale for sale in sales if sale.at < end]
    story = happenings(early, acts(early, ()))
    return [each for each in story if isinstance(each, Post)], end


async def test_five_weeks_of_a_shop_come_out_as_they_went_in(deployment: Deployment) -> None:
    posts, now = posts_until(DAYS)
    await deployment.stand_still(now)
    await deployment.produce(posts)  # first: a partition without news counts as read up to now
    workers = [deployment.start("work"), deployment.start("work")]
    relay, scheduler = deployment.start("relay"), deployment.start("schedule", TICK_WAIT="3650d")
    await deployment.at_work(*workers)
    await deployment.settled()
    await deployment.until(lambda: nothing_is_due(deployment), "all due moments are decided")
    await deployment.settled()
    await deployment.stop(*workers, relay, scheduler)

    folded = fold(posts, now=now)
    await as_folded(deployment, folded)
    assert "silver" in folded.levels.values()
    assert any(kind == "activation" for _, _, kind, *_ in folded.totals)
    assert await heard_once(deployment) > len(posts)
    await books_verify(deployment)


async def nothing_is_due(deployment: Deployment) -> bool:
    return not await deployment.value(
        "SELECT EXISTS (SELECT FROM account, clock WHERE due_at <= now)"
    )
