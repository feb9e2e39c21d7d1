"""A change of the tiers, for members with a standing: at its instant, by a stated plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.application.dry_run import Moved, moved
from services.loyalty.domain.activity import TierGiven
from services.loyalty.domain.program import Level, Program, Tiers, Window
from services.loyalty.domain.rejudging import rejudges
from tests.loyalty.domain.shop import Member, Shop, at, both, programme, status, tiers
from tests.loyalty.fake_store import settled

CHANGE = "2011-03-01 00:00"
PLANS = ("keep_until_review", "rise_at_once", "judge_at_once")
FIRST = programme(both(), tiers())


def ladder(plan: str, silver: int = 800, gold: int = 6000) -> Tiers:
    levels = (Level("basic", 0), Level("silver", silver), Level("gold", gold))
    return replace(tiers(), levels=levels, on_change=plan)


def second(plan: str, **levels: int) -> Program:
    return programme(both(), ladder(plan, **levels), version=2, holds_from=at(CHANGE))


def members(*versions: Program) -> dict[str, Member]:
    """With 900, 1200 and 5500 points of January."""
    shop = Shop(*versions)
    found = {}
    for name, pounds in (("low", 900), ("mid", 1200), ("high", 5500)):
        found[name] = shop.enrols(name, "2011-01-01")
        found[name].buys(f"o-{name}", pounds * 100, at="2011-01-10")
    return found


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("keep_until_review", ["basic", "silver", "gold"]),
        ("rise_at_once", ["silver", "silver", "gold"]),
        ("judge_at_once", ["silver", "silver", "silver"]),
    ],
)
def test_members_rise_and_fall_by_the_plan_at_the_instant(plan: str, expected: list[str]) -> None:
    found = members(FIRST, second(plan))
    shop = found["low"].shop
    shop.waits_until(at(CHANGE) - 1)
    assert [member.tier for member in found.values()] == ["basic", "silver", "gold"]
    shop.waits_until(CHANGE)
    assert [member.tier for member in found.values()] == expected
    for member in found.values():
        moments = [moment for moment in member.ticks() if moment == ("tier_review", at(CHANGE))]
        assert len(moments) == (0 if plan == "keep_until_review" else 1)
        for told in member.heard("tier.changed")[1:]:
            assert told["reason"] == "rules_changed"
    shop.proves()


def test_who_does_something_first_is_judged_before_it() -> None:
    ada = members(FIRST, second("rise_at_once"))["low"]
    ada.engages("other", "2011-03-02")
    assert [kind for kind, _, _ in ada.journal()][-2:] == ["tick", "engagement"]
    assert ada.tier == "silver"


def test_a_version_that_leaves_the_tiers_alone_judges_nobody() -> None:
    ada = members(
        FIRST,
        second("judge_at_once"),
        replace(second("judge_at_once"), version=3, holds_from=at("2011-03-20 00:00")),
    )["mid"]
    ada.cancels("o-mid", "2011-03-02")
    ada.shop.waits_until("2011-03-25")
    assert len([moment for moment, _ in ada.ticks() if moment == "tier_review"]) == 1
    assert not rejudges(FIRST, FIRST)
    assert not rejudges(FIRST, programme(both(), ladder("judge_at_once", 1000, 5000)))


def test_what_was_given_by_hand_stands_and_so_does_a_soft_landing() -> None:
    found = members(FIRST, second("judge_at_once", silver=3000))
    low, high = found["low"], found["high"]
    low.does(TierGiven("gold", 0, "x", "y"), "2011-01-20")
    later = replace(second("judge_at_once", silver=9000, gold=9999), holds_from=at("2011-05-01"))
    softly = Shop(FIRST, later).enrols("soft", "2011-01-01")
    softly.buys("o", 5000_00, at="2011-01-10")
    softly.shop.waits_until("2011-05-02")
    high.shop.waits_until("2011-03-02")
    assert (low.tier, high.tier, softly.tier) == ("gold", "silver", "silver")


def test_a_longer_window_counts_months_that_had_been_closed() -> None:
    longer = programme(
        both(),
        status(Window("rolling", 12)),
        ladder("rise_at_once", 1000, 5000),
        version=2,
        holds_from=at("2011-10-01 00:00"),
    )
    ada = Shop(FIRST, longer).enrols("ada", "2011-01-01")
    ada.buys("o1", 700_00, at="2011-01-10")
    ada.buys("o2", 400_00, at="2011-08-10")
    ada.engages("other", "2011-09-10")
    assert ada.shop.store.history["ada", "window:status/2011-01"] == [0, 700]
    ada.shop.waits_until("2011-10-02")
    assert (ada.tier, ada.account.windows["status"]["2011-01"]) == ("silver", 700)
    ada.cancels("o1", "2011-10-03")
    assert ada.tier == "basic"
    ada.shop.proves()


@settings(deadline=None, max_examples=40)
@given(
    bought=st.lists(st.integers(0, 9000), min_size=1, max_size=4),
    plan=st.sampled_from(PLANS),
    silver=st.integers(1, 5000),
    more=st.integers(1, 5000),
)
def test_the_dry_run_names_exactly_those_whose_level_then_changes(
    bought: list[int], plan: str, silver: int, more: int
) -> None:
    version = second(plan, silver=silver, gold=silver + more)
    shop = Shop(FIRST, version)
    names = [f"m{number}" for number in range(len(bought))]
    for name, pounds in zip(names, bought, strict=True):
        shop.enrols(name, "2011-01-01").buys(f"o-{name}", pounds * 100, at="2011-01-10")
    accounts = settled(shop.session.load_accounts(names))
    before = len(shop.store.journal)
    told = settled(moved(shop.session, shop.programs, accounts))
    assert len(shop.store.journal) == before, "a dry run records nothing"
    shop.waits_until(at(CHANGE) - 1)
    was = {name: shop.member(name).tier for name in names}
    shop.waits_until(CHANGE)
    now = {name: shop.member(name).tier for name in names}
    assert told == [Moved(n, was[n], now[n]) for n in sorted(names) if was[n] != now[n]]
    if plan == "rise_at_once":
        order = ["basic", "silver", "gold"]
        assert all(order.index(now[name]) >= order.index(was[name]) for name in names)
