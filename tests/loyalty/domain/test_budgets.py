"""A campaign's budget is for all members together, and never gives a point more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.application.batch import Outcome
from services.loyalty.domain.activity import Amended
from services.loyalty.domain.program import Budget, Cap, Limit, Program, Rule
from tests.loyalty.domain.shop import (
    Shop,
    at,
    base,
    decision_of,
    fired,
    line,
    missed,
    programme,
    purchase,
    rate,
    rule,
)

KEY = "budget:spree"
FEBRUARY = at("2011-02-01 00:00")


def spree(points: int = 600, *, partial: bool = True, give: Any = 250, **more: Any) -> Rule:
    more.setdefault("on_refund", "revoke")
    return rule(
        "spree", give={"points": give}, budget=Budget("points", points, partial=partial), **more
    )


def open_shop(*rules: Rule, **more: Any) -> Shop:
    return Shop(programme(*rules, **more))


def used(shop: Shop) -> int:
    return shop.store.counters.get(KEY, (0, 0))[1]


def cuts(outcome: Outcome) -> dict[str, list[tuple[str, int]]]:
    told = decision_of(outcome).trace["fired"]
    return {fact["rule"]: fact["cut"] for fact in told if "cut" in fact}


def test_all_members_share_it_and_the_last_gets_what_is_left() -> None:
    shop = open_shop(base(), spree())
    ada, bob, eve = (shop.enrols(name) for name in ("ada", "bob", "eve"))
    assert fired(ada.buys("1", 10_00)) == {"base": 10, "spree": 250}
    assert fired(bob.buys("2", 10_00)) == {"base": 10, "spree": 250}
    last = eve.buys("3", 10_00)
    assert fired(last) == {"base": 10, "spree": 100}
    assert cuts(last) == {"spree": [("budget", 150)]}
    assert missed(ada.buys("4", 10_00)) == {"spree": "budget_spent"}
    assert used(shop) == 600
    shop.proves()


def test_by_policy_who_finds_too_little_gets_nothing_and_it_stays_for_others() -> None:
    shop = open_shop(spree(600, partial=False, give=rate(10)))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    ada.buys("1", 50_00)
    short = bob.buys("2", 20_00)
    assert fired(short) == {"spree": 0}
    assert cuts(short) == {"spree": [("budget", 200)]}
    assert bob.available == 0
    assert fired(bob.buys("3", 10_00)) == {"spree": 100}
    assert missed(bob.buys("4", 1_00)) == {"spree": "budget_spent"}
    assert used(shop) == 600


def test_a_campaign_that_can_give_nothing_gives_none_of_its_currencies() -> None:
    both = rule(
        "spree",
        give={"points": 250, "status": 10},
        budget=Budget("points", 300, partial=False),
    )
    shop = open_shop(both)
    ada = shop.enrols("ada")
    ada.buys("1", 10_00)
    assert not ada.buys("2", 10_00).details
    assert sum(ada.account.windows["status"].values()) == 10
    assert used(shop) == 250


def test_nothing_is_taken_from_it_for_what_something_else_cuts() -> None:
    limited = spree(600, limit=Limit("month", points=300))
    shop = open_shop(limited, caps=(Cap("points", 280, "month"),))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    ada.buys("1", 10_00)
    assert fired(ada.buys("2", 10_00)) == {"spree": 30}
    assert used(shop) == 280
    assert fired(bob.buys("3", 10_00)) == {"spree": 250}
    bob.buys("4", 10_00)
    assert used(shop) == 560


def test_what_the_budget_cuts_is_not_counted_by_limits_and_caps() -> None:
    shop = open_shop(
        base(),
        spree(100, limit=Limit("month", points=300)),
        caps=(Cap("points", 1000, "month"),),
    )
    ada = shop.enrols("ada")
    ada.buys("1", 10_00, at="2011-01-05")
    assert ada.account.counters["spree/2011-01"] == [1, 100]
    assert ada.account.counters["cap:points/2011-01"] == [0, 110]


def test_a_refund_gives_it_back_while_the_campaign_runs() -> None:
    shop = open_shop(spree(250))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    ada.buys("1", 10_00)
    cut = bob.buys("2", 10_00)
    assert missed(cut) == {"spree": "budget_spent"}
    ada.cancels("1")
    assert used(shop) == 0
    assert bob.available == 0  # no earlier cut is granted later
    assert fired(bob.buys("3", 10_00)) == {"spree": 250}
    shop.proves()


def test_a_refund_gives_nothing_back_once_the_campaign_is_over() -> None:
    shop = open_shop(spree(250, valid_until=at("2011-02-01 00:00")))
    ada = shop.enrols("ada")
    ada.buys("1", 10_00, at="2011-01-31")
    back = ada.cancels("1", at="2011-02-01")
    assert ada.available == 0
    assert used(shop) == 250
    assert decision_of(back).trace["budget_kept"] == [(KEY, 250)]
    shop.proves()


def test_a_rule_that_is_gone_takes_nothing_back_into_its_budget() -> None:
    first = programme(spree(250))
    second = programme(base(), version=2, holds_from=at("2011-02-01 00:00"))
    shop = Shop(first, second)
    ada = shop.enrols("ada")
    ada.buys("1", 10_00, at="2011-01-05")
    ada.cancels("1", at="2011-02-05")
    assert (ada.available, used(shop)) == (0, 250)


def test_what_an_amendment_restores_is_charged_again_as_far_as_there_is_room() -> None:
    shop = open_shop(spree(250, min_spend={"GBP": 100_00}))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    ada.buys("1", line(1, 100_00))
    ada.returns("1", amount=10_00)
    assert (ada.available, used(shop)) == (0, 0)
    bob.buys("2", 100_00)
    restored = ada.amends("1", line(1, 120_00))
    assert used(shop) == 250
    if ada.available:
        assert decision_of(restored).trace["over_budget"] == [(KEY, 250)]
        ada.cancels("1")
        assert used(shop) == 250  # bob's are out still
    shop.proves()


def test_an_amendment_restores_before_it_gives_more() -> None:
    shop = open_shop(spree(100, give=rate(), on_refund="prorate"))
    ada = shop.enrols("ada")
    ada.buys("1", line(1, 60_00), line(2, 60_00))
    assert (ada.available, used(shop)) == (100, 100)
    ada.amends("1", line(1, 20_00), line(2, 200_00))
    assert used(shop) <= 100
    assert ada.available == used(shop)
    shop.proves()


@pytest.mark.parametrize(("cap", "grants"), [(1000, 250), (600, 100), (500, 0), (300, 0)])
def test_the_cap_of_the_version_that_holds_is_that_of_all(cap: int, grants: int) -> None:
    raised = programme(spree(cap), version=2, holds_from=at("2011-02-01 00:00"))
    shop = Shop(programme(spree(500)), raised)
    ada = shop.enrols("ada")
    for order in "12":
        ada.buys(order, 10_00, at="2011-01-05")
    assert fired(ada.buys("3", 10_00, at="2011-01-31")) == {}
    assert sum(fired(ada.buys("4", 10_00, at="2011-02-05")).values()) == grants
    ada.cancels("1", at="2011-02-06")
    assert used(shop) == 500 + grants - 250
    shop.proves()


def test_a_batch_takes_from_what_its_earlier_activities_left() -> None:
    shop = open_shop(spree(600))
    members = [shop.enrols(name).name for name in ("ada", "bob", "eve", "joe")]
    when = at("2011-01-05")
    shop.clock.at = when
    shop.records(*(shop.incoming(each, purchase(each, 10_00), when) for each in members))
    got = [shop.member(each).available for each in members]
    assert got == [250, 250, 100, 0]
    shop.proves()


def test_an_amendment_of_a_later_version_than_the_purchase_it_comes_with() -> None:
    shop = Shop(programme(base()), programme(base(), spree(600), version=2, holds_from=FEBRUARY))
    ada = shop.enrols("ada")
    shop.clock.at = at("2011-02-02")
    bought = shop.incoming("ada", purchase("1", line(1, 10_00)), at("2011-01-31"))
    amended = shop.incoming("ada", Amended("1", "GBP", [line(1, 20_00)]), at("2011-02-01 10:00"))
    assert [one.status for one in shop.records(bought, amended)] == ["accepted", "accepted"]
    assert (ada.available, used(shop)) == (20, 0)
    shop.proves()


def test_a_programme_without_counters_reads_none() -> None:
    shop = open_shop(base())
    assert not shop.programs.counting
    ada = shop.enrols("ada")
    assert not decision_of(ada.buys("1", 10_00)).facts.allowances
    assert not shop.store.counters


def _program(budget: int, partial: bool, on_refund: str) -> Program:
    return programme(
        base(),
        spree(budget, partial=partial, give=rate(3), on_refund=on_refund),
        rule("other", "engagement", give={"points": 40}, budget=Budget("points", 100)),
    )


@given(
    st.integers(1, 900),
    st.booleans(),
    st.sampled_from(["prorate", "revoke", "keep"]),
    st.lists(
        st.tuples(
            st.sampled_from(["ada", "bob", "eve"]),
            st.sampled_from(["buys", "returns", "cancels", "engages", "amends"]),
            st.integers(1, 4),
            st.integers(1, 200_00),
        ),
        max_size=25,
    ),
)
def test_what_stands_of_a_campaign_never_exceeds_its_budget(
    budget: int, partial: bool, on_refund: str, steps: list[tuple[str, str, int, int]]
) -> None:
    shop = Shop(_program(budget, partial, on_refund))
    for name in ("ada", "bob", "eve"):
        shop.enrols(name)
    for name, what, order, pence in steps:
        member = shop.member(name)
        if what == "buys":
            member.buys(f"{order}", pence)
        elif what == "returns":
            member.returns(f"{order}", {1: 1})
        elif what == "cancels":
            member.cancels(f"{order}")
        elif what == "amends":
            member.amends(f"{order}", line(1, pence), line(2, pence // 2 + 1))
        else:
            member.engages("app.opened")
        over = any("over_budget" in one.trace for one in shop.store.decisions.values())
        standing = _standing(shop)
        assert used(shop) <= standing
        assert used(shop) <= budget
        assert standing == used(shop) or over
    shop.proves()


def _standing(shop: Shop) -> int:
    """What is left of all that the campaign gave."""
    receipts = [shop.member(who).receipt(order) for who, order in shop.store.receipts]
    return sum(
        posting.points - sum(posting.reversed)
        for receipt in receipts
        for posting in receipt.postings
        if posting.rule == "spree"
    )
