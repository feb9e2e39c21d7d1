"""Rewards with stock, limits, gates and dates: who can have them, and every reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from services.loyalty.application.batch import Outcome
from services.loyalty.domain.activity import RedemptionRequested
from services.loyalty.domain.catalogue import (
    count_redemption,
    refuse_unless_available,
    uncount_redemption,
)
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.program import Gift, Limit, Reward
from services.loyalty.domain.refusal import Refusal
from tests.loyalty.domain.shop import Member, Shop, at, both, decision_of, programme, tiers


def open_shop(*rewards: Reward, **more: Any) -> Shop:
    catalogue = {reward.id: reward for reward in rewards}
    return Shop(programme(both(), tiers(), rewards=catalogue, **more))


def rich(shop: Shop, name: str = "ada", points: int = 1000) -> Member:
    member = shop.enrols(name)
    member.is_adjusted(points, at="2011-01-02")
    return member


def codes(outcome: Outcome) -> list[str]:
    assert outcome.status == "refused"
    return [reason["code"] for reason in outcome.details["reasons"]]


def test_stock_is_for_all_members_together() -> None:
    shop = open_shop(Reward("mug", 10, "points", stock=2))
    ada, bob = rich(shop), rich(shop, "bob")
    assert ada.redeems("mug").status == "accepted"
    assert bob.redeems("mug").status == "accepted"
    outcome = ada.redeems("mug")
    assert (outcome.reason, codes(outcome)) == ("sold_out", ["sold_out"])
    assert (ada.available, bob.available) == (990, 990)
    assert shop.store.counters == {"stock:mug": (2, 2)}
    shop.proves()


def test_a_batch_sells_no_more_than_there_is() -> None:
    shop = open_shop(Reward("mug", 10, "points", stock=1))
    members = [rich(shop, name) for name in ("ada", "bob", "eve")]
    when = at("2011-01-05")
    shop.clock.at = when
    asked = [shop.incoming(each.name, RedemptionRequested("r", "mug"), when) for each in members]
    assert [outcome.reason for outcome in shop.records(*asked)] == ["", "sold_out", "sold_out"]
    shop.proves()


@pytest.mark.parametrize(("period", "again"), [("month", "2011-02-01"), ("year", "2012-01-01")])
def test_a_limit_counts_redemptions_of_a_period(period: str, again: str) -> None:
    shop = open_shop(Reward("mug", 10, "points", limit=Limit(period, times=2)))
    ada = rich(shop)
    for day in ("2011-01-05", "2011-01-06"):
        assert ada.redeems("mug", at=day).status == "accepted"
    outcome = ada.redeems("mug", at="2011-01-31")
    assert outcome.reason == "limit_reached"
    assert (outcome.details["times"], outcome.details["period"]) == (2, period)
    assert rich(shop, "bob").redeems("mug").status == "accepted"
    assert ada.redeems("mug", at=again).status == "accepted"
    shop.proves()


def test_a_late_redemption_counts_in_the_period_in_which_it_occurred() -> None:
    shop = open_shop(Reward("mug", 10, "points", limit=Limit("month", times=1)))
    ada = rich(shop)
    ada.redeems("mug", at="2011-01-05")
    ada.is_adjusted(1, at="2011-02-10")
    assert ada.redeems("mug", at="2011-01-20").reason == "limit_reached"
    assert ada.redeems("mug", at="2011-02-01").status == "accepted"
    shop.proves()


def test_dates_are_days_of_the_programme() -> None:
    dates: dict[str, Any] = {
        "valid_from": at("2011-02-01 00:00"),
        "valid_until": at("2011-03-01 00:00"),
    }
    ada = rich(open_shop(Reward("mug", 10, "points", **dates)))
    early = ada.redeems("mug", at="2011-01-31 23:59")
    assert (early.reason, early.details["valid_from"]) == ("not_valid_yet", "2011-02-01T00:00:00Z")
    assert ada.redeems("mug", at="2011-02-01 00:00").status == "accepted"
    late = ada.redeems("mug", at="2011-03-01 00:00")
    assert (late.reason, late.details["valid_until"]) == ("no_longer_valid", "2011-03-01T00:00:00Z")


def test_tiers_and_segments_open_it() -> None:
    gates: dict[str, Any] = {"tier": frozenset({"silver"}), "segment": frozenset({"vip"})}
    shop = open_shop(Reward("mug", 10, "points", **gates))
    ada = rich(shop)
    assert codes(ada.redeems("mug")) == ["tier_too_low", "not_in_segment"]
    ada.is_in("vip", "2011-01-10", "2011-02-01")
    assert ada.redeems("mug").reason == "tier_too_low"
    ada.buys("1", 1000_00, at="2011-01-20")
    assert ada.redeems("mug").status == "accepted"
    assert ada.redeems("mug", at="2011-02-01 12:00").reason == "not_in_segment"
    shop.proves()


def test_every_reason_is_told_at_once() -> None:
    shop = open_shop(
        Reward(
            "mug",
            5000,
            "points",
            stock=0,
            limit=Limit("year", times=1),
            tier=frozenset({"gold"}),
            segment=frozenset({"vip"}),
            valid_from=at("2012-01-01"),
        )
    )
    outcome = rich(shop).redeems("mug")
    assert outcome.reason == "reward_unavailable"
    assert codes(outcome) == [
        "not_valid_yet",
        "tier_too_low",
        "not_in_segment",
        "sold_out",
        "insufficient_points",
    ]
    assert outcome.details["reasons"][-1]["missing"] == 4000
    [told] = shop.member("ada").heard("activity.refused")
    assert told["reasons"] == outcome.details["reasons"]


def test_a_single_reason_is_the_code_and_its_facts_stand_beside_it() -> None:
    outcome = rich(open_shop(Reward("mug", 1200, "points", stock=5))).redeems("mug")
    assert outcome.reason == "insufficient_points"
    facts = {"currency": "points", "cost": 1200, "available": 1000, "missing": 200}
    assert outcome.details == facts | {"reasons": [{"code": "insufficient_points"} | facts]}


def test_a_refusal_takes_no_piece_and_no_time() -> None:
    shop = open_shop(Reward("mug", 1200, "points", stock=5, limit=Limit("year", times=1)))
    ada = rich(shop)
    ada.redeems("mug")
    assert not shop.store.counters
    ada.is_adjusted(300)
    assert ada.redeems("mug").status == "accepted"


def test_gifts_take_from_stock_and_a_gift_that_is_gone_leaves_the_rest() -> None:
    card = Reward("card", gift_only=True, stock=1)
    gift = Gift("anniversary", "anniversary", {"points": 50}, ("card",))
    shop = open_shop(card, gifts=(gift,))
    ada, bob = shop.enrols("ada", "2010-12-05"), shop.enrols("bob", "2010-12-06")
    shop.waits_until("2011-12-10")
    assert (ada.available, bob.available) == (50, 50)
    assert len(ada.heard("reward.issued")) == 1
    assert not bob.heard("reward.issued")
    assert shop.store.counters == {"stock:card": (1, 1)}
    shop.proves()


@pytest.mark.parametrize(("stock", "status"), [(3, "accepted"), (2, "refused"), (1, "refused")])
def test_a_stock_goes_on_under_the_next_version_with_what_is_used(stock: int, status: str) -> None:
    def version(number: int, stock: int, since: str) -> Any:
        rewards = {"mug": Reward("mug", 10, "points", stock=stock)}
        return programme(both(), version=number, holds_from=at(since), rewards=rewards)

    shop = Shop(version(1, 2, "2010-12-01"), version(2, stock, "2011-02-01"))
    ada = shop.enrols("ada", "2010-12-02")
    ada.is_adjusted(100, at="2010-12-03")
    for _ in range(2):
        assert ada.redeems("mug", at="2011-01-05").status == "accepted"
    assert ada.redeems("mug", at="2011-01-31").reason == "sold_out"
    assert ada.redeems("mug", at="2011-02-05").status == status
    shop.proves()


def test_what_an_undone_redemption_took_is_there_again() -> None:
    reward = Reward("mug", 10, "points", stock=1, limit=Limit("month", times=1))
    shop = open_shop(reward)
    ada = rich(shop)
    when = at("2011-01-05")
    draft = Draft(
        shop.programs.at(when),
        ada.account,
        Activity(RedemptionRequested("r", "mug"), when, when),
        Facts(allowances={"stock:mug": 1}),
        occurred_at=when,
        effective_at=when,
    )
    taken = count_redemption(draft, reward)
    assert taken == ["stock:mug", "reward:mug/2011-01"]
    with pytest.raises(Refusal) as refused:
        refuse_unless_available(draft, reward)
    assert [each["code"] for each in refused.value.details["reasons"]] == [
        "limit_reached",
        "sold_out",
    ]
    uncount_redemption(draft, taken)
    assert (draft.grants, draft.counters) == ({"stock:mug": 0}, {"reward:mug/2011-01": [0, 0]})


def test_what_is_taken_stands_in_facts_and_trace() -> None:
    ada = rich(open_shop(Reward("mug", 10, "points", stock=7)))
    decision = decision_of(ada.redeems("mug"))
    assert decision.facts.allowances == {"stock:mug": 7}
    assert decision.trace["grants"] == {"stock:mug": 1}
