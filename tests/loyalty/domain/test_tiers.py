"""Tiers: reached at once, kept for a period, lost by policy, undone only with their own points."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.program import (
    Boost,
    Boosts,
    Filter,
    Gift,
    Level,
    Pending,
    Program,
    Reward,
    Span,
    Window,
)
from services.loyalty.domain.tiers import progress
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    both,
    fired,
    programme,
    rule,
    status,
    tiers,
)

CALENDAR = status(Window("calendar_year"))
MEMBER = status(Window("member_year"))


def enrolled(program: Program, when: str = "2011-01-01") -> Member:
    return Shop(program).enrols("ada", when)


def changes(member: Member) -> list[tuple[str, str, str]]:
    """From, to and reason of every change of tier."""
    return [(told["from"], told["to"], told["reason"]) for told in member.heard("tier.changed")]


# Rising ---------------------------------------------------------------------------------------


def test_a_level_is_reached_the_moment_the_balance_allows() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 999_00, at="2011-01-10")
    assert ada.tier == "basic"
    ada.buys("o2", 1_00, at="2011-01-11 10:00")
    assert ada.tier == "silver"
    [told] = ada.heard("tier.changed")
    assert told == {
        "from": "basic",
        "to": "silver",
        "direction": "up",
        "reason": "reached",
        "until": rfc3339(at("2011-04-12 00:00")),
    }
    ada.buys("o3", 4000_00, at="2011-01-12")
    assert ada.tier == "gold"


def test_a_rolling_window_counts_this_month_and_the_ones_before_it() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 600_00, at="2011-01-31 23:59")
    ada.buys("o2", 400_00, at="2011-04-01 00:00")
    assert ada.tier == "basic"
    bob = ada.shop.enrols("bob", "2011-04-02")
    bob.buys("o1", 600_00, at="2011-05-31")
    bob.buys("o2", 400_00, at="2011-07-31 23:59")
    assert bob.tier == "silver"


def test_calendar_and_member_years_begin_where_they_say() -> None:
    for terms, begins in ((CALENDAR, "2012-01-01 00:00"), (MEMBER, "2011-06-15 00:00")):
        for day, level in ((at(begins) - 1, "silver"), (at(begins), "basic")):
            ada = enrolled(programme(both(), terms, tiers()), "2010-12-02")
            if terms is MEMBER:
                ada = enrolled(programme(both(), terms, tiers(), holds_from=0), "2010-06-15")
            ada.buys("o1", 600_00, at="2011-06-01")
            ada.buys("o2", 400_00, at=day)
            assert ada.tier == level, (begins, day)


def test_reaching_it_again_renews_the_period() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.buys("o2", 1000_00, at="2011-04-02")  # January is out of the window by now
    [kept] = ada.heard("tier.kept")
    assert (kept["level"], kept["until"]) == ("silver", rfc3339(at("2011-07-03 00:00")))
    ada.shop.waits_until("2011-07-02 23:59")
    assert ada.tier == "silver"


def test_points_may_count_only_when_they_can_be_used() -> None:
    terms = status(pending=Pending(Span(days=14)), counts="when_activated")
    ada = enrolled(programme(both(), terms, tiers()))
    ada.buys("o1", 1000_00, at="2011-01-10 00:00")
    assert (ada.tier, ada.account.pending("status")) == ("basic", 1000)
    ada.shop.waits_until("2011-01-25")
    assert (ada.tier, ada.account.windows["status"]) == ("silver", {"2011-01": 1000})


def test_points_that_count_later_find_their_window_although_it_is_over() -> None:
    terms = status(Window("calendar_year"), pending=Pending(Span(days=14)), counts="when_activated")
    ada = enrolled(programme(both(), terms, tiers(kept_until="end_of_next_window")))
    ada.buys("o1", 600_00, at="2011-12-01")
    ada.buys("o2", 500_00, at="2011-12-28")
    ada.engages("other", "2012-01-02")
    ada.shop.waits_until("2012-01-20")
    assert (ada.tier, ada.balance("available", "status")) == ("silver", 1100)
    ada.shop.waits_until("2013-01-05")
    assert changes(ada) == [("basic", "silver", "reached"), ("silver", "basic", "period_ended")]


def test_a_late_purchase_whose_points_count_later_adds_to_a_window_long_over() -> None:
    terms = status(Window("calendar_year"), pending=Pending(Span(days=60)), counts="when_activated")
    ada = enrolled(programme(both(), terms, tiers(kept_until="end_of_next_window")))
    ada.buys("o1", 600_00, at="2011-10-01")
    ada.shop.waits_until("2011-12-20")
    ada.engages("other", "2012-02-01")
    assert ada.shop.store.history["ada", "window:status/2011"] == [0, 600]
    ada.buys("o2", 500_00, at="2011-12-28", known_at="2012-02-02")
    ada.shop.waits_until("2012-03-01")
    assert (ada.tier, ada.balance("available", "status")) == ("silver", 1100)
    ada.engages("other", "2013-02-01")
    assert ada.shop.store.history["ada", "window:status/2011"] == [0, 1100]
    ada.shop.proves()


def test_a_late_purchase_counts_in_the_window_of_its_date() -> None:
    ada = enrolled(programme(both(), CALENDAR, tiers(kept_until="end_of_next_window")))
    ada.buys("o1", 600_00, at="2011-12-01")
    ada.engages("other", "2012-03-01")
    assert ada.shop.store.history["ada", "window:status/2011"] == [0, 600]
    ada.buys("o2", 400_00, at="2011-12-15", known_at="2012-03-05")
    assert ada.shop.store.history["ada", "window:status/2011"] == [0, 1000]
    assert ada.tier == "silver"
    ada.cancels("o2", "2012-03-10")
    assert (ada.tier, ada.shop.store.history["ada", "window:status/2011"]) == ("basic", [0, 600])


def test_gifts_may_count_too() -> None:
    gift = Gift("birthday", "birthday", {"status": 1000})
    shop = Shop(programme(both(), tiers(), gifts=(gift,)))
    ada = shop.enrols("ada", "2011-01-01", born_on=date(1980, 5, 5))
    shop.waits_until("2011-05-06")
    assert ada.tier == "silver"


# Keeping and falling --------------------------------------------------------------------------


def test_a_level_is_kept_at_the_end_of_its_period_where_the_window_allows_it() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 1000_00, at="2011-01-31")
    ada.buys("o2", 1000_00, at="2011-03-31")
    ada.shop.waits_until("2011-05-02")
    assert (ada.tier, ada.heard("tier.kept")[-1]["until"]) == (
        "silver",
        rfc3339(at("2011-08-01 00:00")),
    )


@pytest.mark.parametrize(("fall", "to"), [("one_level", "silver"), ("to_qualified", "basic")])
def test_a_member_falls_by_one_level_or_to_what_the_window_allows(fall: str, to: str) -> None:
    ada = enrolled(programme(both(), tiers(fall=fall)))
    ada.buys("o1", 5000_00, at="2011-01-10")
    ada.shop.waits_until("2011-04-12")
    assert ada.tier == to
    assert changes(ada)[-1] == ("gold", to, "period_ended")
    ada.shop.waits_until("2011-07-10 23:59")
    assert ada.tier == to
    ada.shop.waits_until("2011-07-13")
    assert ada.tier == "basic"


def test_falling_to_what_the_window_allows_may_be_a_level_between() -> None:
    ada = enrolled(programme(both(), tiers(fall="to_qualified")))
    ada.buys("o1", 5000_00, at="2011-01-10")
    ada.buys("o2", 1500_00, at="2011-03-10")
    ada.shop.waits_until("2011-04-12")
    assert ada.tier == "silver"


def test_a_level_reached_by_falling_has_a_period_of_its_own() -> None:
    ada = enrolled(programme(both(), tiers(new_level_kept=Span(months=1))))
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 4000_00, at="2011-01-10")
    ada.buys("o3", 1_00, at="2011-01-20")
    ada.shop.waits_until("2011-04-12")
    assert ada.tier == "silver"
    ada.shop.waits_until("2011-05-10")
    assert ada.tier == "silver"
    ada.shop.waits_until("2011-05-12")
    assert ada.tier == "basic"


def test_grace_lets_a_member_reach_the_level_once_more() -> None:
    ada = enrolled(programme(both(), tiers(grace=Span(days=15))))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.shop.waits_until("2011-04-20")
    assert (ada.tier, ada.account.standing.grace_until) == ("silver", at("2011-04-26 00:00"))
    ada.buys("o2", 1000_00, at="2011-04-25 23:59")
    assert (ada.tier, ada.account.standing.grace_until) == ("silver", 0)
    assert ada.heard("tier.kept")
    bob = ada.shop.enrols("bob", "2011-04-26")
    bob.buys("o1", 1000_00, at="2011-05-01")
    ada.shop.waits_until("2011-08-17")
    assert bob.tier == "basic"


def test_reaching_a_lower_level_in_grace_does_not_pull_down() -> None:
    ada = enrolled(programme(both(), tiers(grace=Span(days=15))))
    ada.buys("o1", 5000_00, at="2011-01-10")
    ada.shop.waits_until("2011-04-13")
    ada.buys("o2", 1000_00, at="2011-04-14")
    assert ada.tier == "gold"
    ada.shop.waits_until("2011-04-27")
    assert ada.tier == "silver"


def test_a_period_may_last_to_the_end_of_the_next_year() -> None:
    ada = enrolled(programme(both(), CALENDAR, tiers(kept_until="end_of_next_window")))
    ada.buys("o1", 1000_00, at="2011-02-10")
    ada.shop.waits_until("2012-12-31 23:59")
    assert ada.tier == "silver"
    ada.shop.waits_until("2013-01-01 00:00")
    assert ada.tier == "basic"
    bob = ada.shop.enrols("bob", "2013-01-02")
    bob.buys("o1", 1000_00, at="2013-02-10")
    bob.buys("o2", 1000_00, at="2014-02-10")
    ada.shop.waits_until("2015-12-31 23:59")
    assert bob.tier == "silver"
    ada.shop.waits_until("2016-01-02")
    assert bob.tier == "basic"


def test_a_member_who_would_fall_is_warned_and_told_what_is_missing() -> None:
    ada = enrolled(programme(both(), tiers(warn_days=(30,))))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.buys("o2", 300_00, at="2011-02-10")
    ada.shop.waits_until("2011-03-14")
    assert ada.heard("tier.warned") == [
        {"level": "silver", "until": rfc3339(at("2011-04-11 00:00")), "missing": 700}
    ]


def test_one_who_will_keep_the_level_is_not_warned() -> None:
    ada = enrolled(programme(both(), tiers(warn_days=(30,))))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.buys("o2", 1000_00, at="2011-02-10")
    ada.shop.waits_until("2011-04-10")
    assert ada.heard("tier.warned") == []


# Refunds --------------------------------------------------------------------------------------


def test_a_refund_undoes_the_level_that_its_own_points_made_at_once() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 900_00, at="2011-01-10")
    ada.buys("o2", 200_00, at="2011-01-11")
    ada.cancels("o2", "2011-01-12")
    assert changes(ada) == [("basic", "silver", "reached"), ("silver", "basic", "refunded")]


def test_a_refund_that_leaves_enough_undoes_nothing() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 900_00, at="2011-01-10")
    ada.buys("o2", 200_00, at="2011-01-11")
    ada.buys("o3", 50_00, at="2011-01-12")
    ada.returns("o1", money={1: 100_00}, at="2011-01-13")
    assert ada.tier == "silver"


def test_a_refund_of_another_window_leaves_the_level_alone() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 500_00, at="2011-01-10")
    ada.buys("o2", 1000_00, at="2011-04-10")
    ada.cancels("o1", "2011-04-11")
    assert ada.tier == "silver"


def test_only_the_renewal_that_the_refunded_points_made_is_undone() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.buys("o2", 1000_00, at="2011-04-05")
    ada.cancels("o2", "2011-04-06")
    assert ada.tier == "silver"
    ada.shop.waits_until("2011-04-12")
    assert ada.tier == "basic"


def test_what_another_purchase_earned_at_the_undone_level_stands() -> None:
    double = Boost("silver", {"points": (2, 1)}, Filter(tier=frozenset({"silver"})))
    boosts = Boosts((double,), "best", frozenset({"base"}))
    ada = enrolled(programme(both(), tiers(), boosts=boosts))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.buys("o2", 10_00, at="2011-01-11")
    ada.cancels("o1", "2011-01-12")
    assert (ada.tier, ada.available) == ("basic", 20)


def test_or_a_refund_waits_for_the_end_of_the_period() -> None:
    ada = enrolled(programme(both(), tiers(refund="at_end")))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.cancels("o1", "2011-01-12")
    assert ada.tier == "silver"
    ada.shop.waits_until("2011-04-12")
    assert ada.tier == "basic"


def test_undoing_gold_leaves_the_silver_that_was_reached_before_it() -> None:
    ada = enrolled(programme(both(), tiers()))
    ada.buys("o1", 1000_00, at="2011-01-10")
    ada.buys("o2", 4000_00, at="2011-01-20")
    ada.cancels("o2", "2011-01-21")
    assert ada.tier == "silver"
    assert ada.account.standing.reaches[0].until == at("2011-04-11 00:00")


# What is shown --------------------------------------------------------------------------------


def test_progress_says_what_lifts_and_what_keeps() -> None:
    program = programme(both(), tiers())
    ada = enrolled(program)
    ada.buys("o1", 1200_00, at="2011-01-10")
    shown = progress(program, ada.account, at("2011-01-11"))
    assert shown is not None
    assert shown.next is not None
    assert (shown.level.name, shown.counted) == ("silver", {"status": 1200})
    assert (shown.next.name, shown.lifts) == ("gold", {"status": 3800})
    assert (shown.keeps, shown.by) == ({"status": 1000}, at("2011-04-11 00:00"))
    assert progress(programme(both()), ada.account, at("2011-01-11")) is None


# From one version to the next -----------------------------------------------------------------


def _ladder(*above: Level, **more: Any) -> Program:
    levels = (Level("basic", 0), Level("silver", 1000), *above)
    ladder = replace(tiers(), levels=levels)
    return programme(both(), ladder, version=2, holds_from=at("2011-02-01 00:00"), **more)


def test_a_late_purchase_under_an_earlier_version_takes_no_level_of_a_later_one_away() -> None:
    later = _ladder(Level("gold", 5000), Level("diamond", 9000))
    ada = Shop(programme(both(), tiers()), later).enrols("ada", "2011-01-01")
    ada.buys("o1", 9500_00, at="2011-02-05")
    assert ada.tier == "diamond"
    ada.buys("o2", 1200_00, at="2011-01-20", known_at="2011-02-06")
    assert ada.tier == "diamond"
    assert changes(ada) == [("basic", "diamond", "reached")]


def test_the_successor_takes_the_place_of_a_level_that_a_version_dropped() -> None:
    renamed = _ladder(
        Level("platinum", 8000),
        successors={"levels": {"gold": "platinum"}},
        rewards={"lounge": Reward("lounge", 10, "points", tier=frozenset({"platinum"}))},
    )
    golden = rule("golden", give={"points": 7}, filter=Filter(tier=frozenset({"gold"})))
    shop = Shop(programme(both(), golden, tiers()), renamed)
    ada = shop.enrols("ada", "2011-01-01")
    ada.buys("o1", 6000_00, at="2011-01-05")
    shop.waits_until("2011-02-02")
    shown = progress(renamed, ada.account, at("2011-02-02"))
    assert shown is not None
    assert shown.level.name == "platinum"
    assert ada.redeems("lounge", "2011-02-05").status == "accepted"
    assert ada.tier == "platinum"
    assert [(told["level"], told["reason"]) for told in ada.heard("tier.kept")] == [
        ("platinum", "renamed")
    ]
    late = ada.buys("o2", 1200_00, at="2011-01-20", known_at="2011-02-06")
    assert fired(late)["golden"] == 7, "the tier held then had its old name"
    assert ada.tier == "platinum", "an earlier version does not know it, and leaves it alone"
    shop.waits_until("2011-07-01")
    assert changes(ada)[1:] == [("platinum", "silver", "period_ended")]
    shop.proves()
