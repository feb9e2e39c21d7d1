"""Campaigns: whole steps of money, groups of which one rule fires, holdouts, limits per tier
period, days by the member's calendar, and whom rules turn away.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.activity import Enrolled, ProfileUpdated
from services.loyalty.domain.holdout import WHOLE, is_held_out
from services.loyalty.domain.program import (
    Boost,
    Boosts,
    Cap,
    Filter,
    Limit,
    LocalDays,
    Pending,
    Program,
    Rate,
    Rule,
)
from services.loyalty.domain.recurrence import read_recurrence
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    both,
    decision_of,
    fired,
    line,
    missed,
    points,
    programme,
    rate,
    rule,
    status,
    tiers,
)


def ada_of(*parts: Rule | object, **more: Any) -> Member:
    """A member of a shop with these rules, since the first of January 2011."""
    return Shop(programme(*parts, **more)).enrols("ada", "2011-01-01")  # type: ignore[arg-type]  # passed on


def steps(gives: int = 50, per: int = 100_00) -> dict[str, Rate]:
    """So many points for each full so many pence."""
    return {"GBP": Rate(gives, per, "GBP", full=True)}


def spend_and_get(**more: Any) -> Rule:
    """50 points for each full 100 pounds."""
    return rule("steps", give={"points": steps()}, **({"on_refund": "revoke"} | more))


# Whole steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("pence", "earned"), [(99_99, 0), (100_00, 50), (399_99, 150)])
def test_points_come_for_each_full_step_only(pence: int, earned: int) -> None:
    ada = ada_of(spend_and_get())
    outcome = ada.buys("o1", pence)
    assert ada.available == earned
    [fact] = decision_of(outcome).trace["fired"]
    assert (fact["rate"], fact["steps"]) == ((50, 100_00), earned // 50)


def test_a_refund_takes_the_steps_that_the_kept_spend_no_longer_makes() -> None:
    ada = ada_of(spend_and_get())
    ada.buys("o1", 150_00, 100_00)
    ada.returns("o1", money={1: 50_00})
    assert ada.available == 100
    ada.returns("o1", money={1: 1})
    assert ada.available == 50
    ada.returns("o1", {2: 1})
    assert ada.available == 0


def test_steps_are_prorated_where_the_rule_says_so() -> None:
    ada = ada_of(spend_and_get(on_refund="prorate"))
    ada.buys("o1", 200_00)
    ada.returns("o1", money={1: 50_00})
    assert ada.available == 75


def test_steps_are_kept_while_a_line_is_where_the_rule_says_so() -> None:
    ada = ada_of(spend_and_get(on_refund="keep"))
    ada.buys("o1", 200_00, 1_00)
    ada.returns("o1", {1: 1})
    assert ada.available == 100
    ada.returns("o1", {2: 1})
    assert ada.available == 0


def test_boosts_of_single_lines_count_for_steps_by_their_share_of_the_spend() -> None:
    toys = Boost("toys", {"points": (2, 1)}, Filter(category=frozenset({"toy"})))
    ada = ada_of(spend_and_get(), boosts=Boosts((toys,), applies_to=frozenset({"steps"})))
    ada.buys("o1", line(1, 100_00, category="toy"), line(2, 100_00))
    assert ada.available == 150
    [posting] = ada.receipt("o1").postings
    assert posting.allocated == [100, 50]


def test_an_amendment_makes_no_steps_of_its_own() -> None:
    ada = ada_of(spend_and_get(), base())
    ada.buys("o1", line(1, 90_00))
    ada.amends("o1", line(1, 290_00))
    assert ada.available == 290


@given(
    st.lists(st.integers(1, 400_00), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 150_00)), max_size=5),
    st.randoms(use_true_random=False),
)
def test_what_is_taken_of_steps_depends_only_on_what_came_back(
    prices: list[int], returns: list[tuple[int, int]], random: Any
) -> None:
    shop = Shop(programme(spend_and_get()))
    ada, bob = (shop.enrols(name, "2011-01-01") for name in ("ada", "bob"))
    there = [(place, pence) for place, pence in returns if place <= len(prices)]
    for member in (ada, bob):
        member.buys("o1", *prices)
        random.shuffle(there)
        for place, pence in there:
            member.returns("o1", money={place: pence})
    assert ada.available == bob.available
    back = [sum(pence for at, pence in there if at == place) for place in range(1, 5)]
    kept = sum(max(0, price - gone) for price, gone in zip(prices, back, strict=False))
    assert ada.available == 50 * (kept // 100_00)
    for member in (ada, bob):
        member.cancels("o1")
        assert member.available == 0


# The order's total, and what is turned away ---------------------------------------------------


def test_a_rule_may_have_a_greatest_spend() -> None:
    ada = ada_of(base(), rule("small", give={"points": 5}, max_spend={"GBP": 50_00}))
    assert fired(ada.buys("o1", 50_00)) == {"base": 50, "small": 5}
    assert missed(ada.buys("o2", 50_01)) == {"small": "above_max_spend"}


@pytest.mark.parametrize(
    ("excluded", "bought", "why"),
    [
        ({"exclude_channel": {"app"}}, {"channel": "app"}, "excluded_channel"),
        ({"exclude_store": {"quay"}}, {"store": "quay"}, "excluded_store"),
        ({"exclude_payment": {"voucher"}}, {"payment": "voucher"}, "excluded_payment"),
        ({"exclude_tier": {"basic"}}, {}, "excluded_tier"),
        ({"exclude_segment": {"staff"}}, {}, "excluded_segment"),
    ],
)
def test_an_activity_is_turned_away_by(
    excluded: dict[str, set[str]], bought: dict[str, str], why: str
) -> None:
    filter_ = Filter(**{key: frozenset(items) for key, items in excluded.items()})  # type: ignore[arg-type]  # by name
    ada = ada_of(base(filter=filter_), tiers())
    ada.is_in("staff", "2011-01-02")
    assert missed(ada.buys("o1", 10_00, at="2011-01-03", **bought)) == {"base": why}
    elsewhere = Filter(exclude_channel=frozenset({"app"}), exclude_tier=frozenset({"gold"}))
    assert ada_of(base(filter=elsewhere), tiers()).buys("o1", 10_00).status == "accepted"


def test_a_late_purchase_sees_the_segment_held_when_it_occurred() -> None:
    ada = ada_of(rule("vips", give={"points": 5}, filter=Filter(segment=frozenset({"vip"}))))
    ada.is_in("vip", "2011-02-01", "2011-03-01")
    ada.is_in("vip", "2011-06-01", "2011-07-01")
    ada.is_in("vip", "2011-06-10", "2011-06-10")
    for order, then, sees in (
        ("o1", "2011-01-31", False),
        ("o2", "2011-02-15", True),
        ("o3", "2011-03-02", False),
        ("o4", "2011-06-09", True),
        ("o5", "2011-06-11", False),
    ):
        outcome = ada.buys(order, 1_00, at=then, known_at="2011-08-01")
        assert bool(fired(outcome)) is sees, order


def test_a_segment_that_goes_on_is_one_membership() -> None:
    ada = ada_of()
    ada.is_in("vip", "2011-02-01", "2011-03-01")
    ada.is_in("vip", "2011-03-01", "2011-04-01")
    ada.is_in("vip", "2011-03-20")
    [held] = ada.account.segments
    assert held.starts_at == at("2011-02-01")


def test_what_a_shop_flips_daily_is_remembered_a_dozen_times() -> None:
    ada = ada_of()
    for day in range(1, 31):
        ada.is_in("vip", f"2011-03-{day:02}", f"2011-03-{day:02} 18:00")
    assert len(ada.account.segments) == 12
    assert min(held.starts_at for held in ada.account.segments) == at("2011-03-19")


def test_an_amendment_does_not_slip_past_an_exclusion() -> None:
    no_vouchers = Filter(exclude_payment=frozenset({"voucher"}))
    double = Boost("double", {"points": (2, 1)}, no_vouchers)
    boosts = Boosts((double,), applies_to=frozenset({"base"}))
    ada = ada_of(base(filter=no_vouchers), boosts=boosts)
    ada.buys("o1", line(1, 10_00), payment="voucher")
    ada.amends("o1", line(1, 90_00))
    assert ada.available == 0
    ada.buys("o2", line(1, 10_00), payment="card")
    outcome = ada.amends("o2", line(1, 30_00))
    assert (fired(outcome), missed(outcome)) == (
        {"base": 20},
        {"double": "not_told_by_amendment"},
    )


# Groups ---------------------------------------------------------------------------------------


def _grouped(fires: str, *more: Rule, **terms: Any) -> Member:
    small = rule("small", give={"points": 20}, group="offers")
    large = rule("large", give={"points": rate()}, group="offers", **terms)
    return ada_of(small, large, *more, groups={"offers": fires})


def test_of_a_group_the_best_rule_for_the_member_fires() -> None:
    ada = _grouped("best")
    outcome = ada.buys("o1", 50_00)
    assert fired(outcome) == {"large": 50}
    assert missed(outcome) == {"small": "lost_in_group"}
    assert decision_of(outcome).trace["groups"] == [
        {
            "group": "offers",
            "fires": "best",
            "won": "large",
            "would_give": {"small": {"points": 20}, "large": {"points": 50}},
        }
    ]
    assert fired(ada.buys("o2", 10_00)) == {"small": 20}


def test_of_a_group_the_first_rule_fires_where_the_programme_says_so() -> None:
    ada = _grouped("first")
    assert fired(ada.buys("o1", 50_00)) == {"small": 20}


def test_a_rule_that_would_not_fire_shuts_nobody_out() -> None:
    ada = _grouped("best", limit=Limit("day", times=1))
    assert fired(ada.buys("o1", 50_00, at="2011-01-05 10:00")) == {"large": 50}
    outcome = ada.buys("o2", 50_00, at="2011-01-05 11:00")
    assert fired(outcome) == {"small": 20}
    assert missed(outcome) == {"large": "limit_reached"}
    assert "groups" not in decision_of(outcome).trace


def test_what_is_best_is_told_by_what_points_are_worth() -> None:
    coins = replace(points(), name="coins", worth=(10, 1, "GBP"))
    ada = ada_of(
        rule("many", give={"points": 50}, group="offers"),
        rule("dear", give={"coins": 6}, group="offers"),
        points(worth=(1, 1, "GBP")),
        coins,
        groups={"offers": "best"},
    )
    outcome = ada.buys("o1", 1_00)
    assert missed(outcome) == {"many": "lost_in_group"}


def test_an_amendment_earns_by_the_rule_that_won_before() -> None:
    ada = ada_of(
        rule("flat", give={"points": 60}, group="offers"),
        rule("rated", give={"points": rate()}, group="offers"),
        groups={"offers": "best"},
    )
    ada.buys("o1", line(1, 50_00))
    ada.amends("o1", line(1, 150_00))
    assert ada.available == 60


# Holdouts -------------------------------------------------------------------------------------


def test_a_holdout_leaves_out_its_share_of_members_and_always_the_same() -> None:
    members = [f"member-{number}" for number in range(4000)]
    held = [name for name in members if is_held_out("shop", "spring", name, 1_000)]
    assert 320 < len(held) < 480
    assert held == [name for name in members if is_held_out("shop", "spring", name, 1_000)]
    wider = {name for name in members if is_held_out("shop", "spring", name, 2_000)}
    assert set(held) < wider
    other = {name for name in members if is_held_out("shop", "summer", name, 1_000)}
    assert len(other & set(held)) < 90
    assert all(is_held_out("shop", "spring", name, WHOLE) for name in members)


def test_who_is_held_out_gets_nothing_of_the_rule_and_the_trace_says_so() -> None:
    shop = Shop(programme(base(), rule("extra", give={"points": 7}, holdout=5_000)))
    for number in range(12):
        name = f"m{number}"
        outcome = shop.enrols(name, "2011-01-01").buys("o1", 10_00)
        if is_held_out("test", "extra", name, 5_000):
            assert (fired(outcome), missed(outcome)) == ({"base": 10}, {"extra": "held_out"})
        else:
            assert fired(outcome) == {"base": 10, "extra": 7}
    shop.proves()


def test_a_boost_may_leave_members_out_too() -> None:
    double = Boost("double", {"points": (2, 1)}, holdout=5_000)
    boosts = Boosts((double,), applies_to=frozenset({"base"}))
    shop = Shop(programme(base(), boosts=boosts))
    for number in range(12):
        name = f"m{number}"
        outcome = shop.enrols(name, "2011-01-01").buys("o1", 10_00)
        held = is_held_out("test", "double", name, 5_000)
        assert fired(outcome) == {"base": 10 if held else 20}
        assert missed(outcome) == ({"double": "held_out"} if held else {})


# Limits per tier period -----------------------------------------------------------------------


def _treated(**terms: Any) -> Member:
    treat = rule("treat", give={"points": 5}, limit=Limit("tier_period", times=1))
    return ada_of(both(), treat, tiers(**terms))


def test_a_limit_per_tier_period_begins_anew_with_the_next_period() -> None:
    ada = _treated()
    assert fired(ada.buys("o1", 1000_00, at="2011-01-05"))["treat"] == 5  # basic, for ever
    assert ada.tier == "silver"
    assert fired(ada.buys("o2", 1_00, at="2011-01-06"))["treat"] == 5
    assert missed(ada.buys("o3", 1000_00, at="2011-02-06"))["treat"] == "limit_reached"
    ada.shop.waits_until("2011-04-10")
    assert ada.tier == "silver"
    assert fired(ada.buys("o4", 1_00, at="2011-04-11"))["treat"] == 5
    assert missed(ada.buys("o5", 1_00, at="2011-04-12"))["treat"] == "limit_reached"
    ada.shop.proves()


def test_undoing_a_level_and_reaching_it_again_begins_no_new_count() -> None:
    ada = _treated()
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1_00, at="2011-01-06")
    ada.cancels("o1", at="2011-01-07")
    assert ada.tier == "basic"
    ada.buys("o3", 1000_00, at="2011-01-08")
    assert ada.tier == "silver"
    assert missed(ada.buys("o4", 1_00, at="2011-01-09"))["treat"] == "limit_reached"


def test_a_refund_gives_the_time_back_to_its_tier_period() -> None:
    ada = _treated()
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1_00, at="2011-01-06")
    ada.cancels("o2", at="2011-01-07")
    assert fired(ada.buys("o3", 1_00, at="2011-01-08"))["treat"] == 5


def test_a_late_purchase_counts_in_the_tier_period_of_its_day() -> None:
    ada = _treated(fall="to_qualified")
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1_00, at="2011-01-06")
    ada.shop.waits_until("2011-05-10")
    assert ada.tier == "basic"
    late = ada.buys("o3", 1_00, at="2011-02-01", known_at="2011-05-10")
    assert missed(late)["treat"] == "limit_reached"


def test_what_nobody_remembers_any_more_is_not_given_again() -> None:
    ada = _treated(fall="to_qualified")
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1_00, at="2011-01-06")
    ada.buys("o3", 1_00, at="2012-09-01")
    assert not [key for key in ada.account.counters if "silver" in key]
    late = ada.buys("o4", 1_00, at="2011-02-01", known_at="2012-09-02")
    assert missed(late)["treat"] == "limit_reached"
    ada.shop.proves()


# Days -----------------------------------------------------------------------------------------


def test_points_wait_until_a_day_begins() -> None:
    ada = ada_of(base(pending=Pending(until_at=at("2011-02-01 00:00"))))
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.shop.waits_until("2011-01-31 23:59")
    assert (ada.available, ada.pending) == (0, 10)
    ada.shop.waits_until("2011-02-01 00:00")
    assert (ada.available, ada.pending) == (10, 0)
    ada.buys("o2", 10_00, at="2011-02-05")
    assert (ada.available, ada.pending) == (20, 0)


def test_a_programme_wide_day_multiplies_for_everybody() -> None:
    day = Boost(
        "founders-day",
        {"points": (2, 1)},
        days=read_recurrence("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=8"),
    )
    ada = ada_of(base(), boosts=Boosts((day,), applies_to=frozenset({"base"})))
    assert fired(ada.buys("o1", 10_00, at="2011-03-07 23:59")) == {"base": 10}
    assert fired(ada.buys("o2", 10_00, at="2011-03-08 00:00")) == {"base": 20}
    assert fired(ada.buys("o3", 10_00, at="2011-03-09 00:00")) == {"base": 10}


def _local() -> Program:
    sundays = LocalDays(
        date(2011, 3, 1), date(2011, 3, 31), read_recurrence("FREQ=WEEKLY;BYDAY=SU")
    )
    return programme(rule("sunday", give={"points": 5}, local=sundays))


def test_days_go_by_the_members_own_calendar_across_daylight_saving() -> None:
    shop = Shop(_local())
    ada = shop.member("ada")
    ada.does(Enrolled(zone="America/New_York"), "2011-01-01")
    # New York: 13 March 2011 begins at 05:00 UTC and, with an hour less, ends at 04:00 UTC.
    assert missed(ada.buys("o1", 1_00, at="2011-03-13 04:59")) == {"sunday": "other_day"}
    assert fired(ada.buys("o2", 1_00, at="2011-03-13 05:00")) == {"sunday": 5}
    assert fired(ada.buys("o3", 1_00, at="2011-03-14 03:59")) == {"sunday": 5}
    assert missed(ada.buys("o4", 1_00, at="2011-03-14 04:00")) == {"sunday": "other_day"}
    # The 31st of March has ended in London, and not yet in New York; neither is a Sunday there.
    assert missed(ada.buys("o5", 1_00, at="2011-04-03 12:00")) == {"sunday": "not_valid_then"}


def test_who_has_no_zone_of_their_own_goes_by_the_programmes() -> None:
    shop = Shop(_local())
    ada = shop.enrols("ada", "2011-01-01")
    assert fired(ada.buys("o1", 1_00, at="2011-03-13 00:00")) == {"sunday": 5}
    ada.does(ProfileUpdated(["time_zone"], "Asia/Tokyo"), "2011-03-13 01:00")
    assert missed(ada.buys("o2", 1_00, at="2011-03-13 16:00")) == {"sunday": "other_day"}
    ada.does(ProfileUpdated(["language"]), "2011-03-14 01:00")
    assert ada.account.zone == "Asia/Tokyo"
    ada.becomes("erased", "2011-03-15 01:00")
    assert ada.account.zone == ""


# The split over lines, after everything -------------------------------------------------------


_LINES = st.lists(
    st.tuples(st.integers(0, 300_00), st.integers(1, 4), st.sampled_from(["", "toy", "sale"])),
    min_size=1,
    max_size=6,
)
_FACTORS = st.sampled_from([(2, 1), (3, 2), (7, 5), (1001, 1000)])


@st.composite
def _programmes(draw: st.DrawFn) -> Program:
    """Rules of every kind, boosted, limited, capped and grouped at random."""
    rounds = draw(st.sampled_from(["down", "half_up", "half_even"]))
    toys = Filter(category=frozenset({"toy"}))
    rules = (
        rule("base", give={"points": rate(), "status": rate(3, 200)}, round=rounds),
        rule("lines", give={"points": rate(2, 150)}, per="line", round=rounds, group="one"),
        rule("each", give={"points": 7}, per="line", filter=toys, group="one"),
        spend_and_get(round=rounds, filter=draw(st.sampled_from([Filter(), toys]))),
        rule(
            "some", give={"points": rate(5)}, limit=Limit("month", points=draw(st.integers(1, 900)))
        ),
        rule("fixed", give={"points": 33}, max_spend={"GBP": 400_00}, group="two"),
        rule("treat", give={"points": 44}, group="two", limit=Limit("tier_period", times=1)),
    )
    boosts = tuple(
        Boost(f"boost{place}", {"points": factor, "status": factor}, filter_)
        for place, (factor, filter_) in enumerate(
            draw(st.lists(st.tuples(_FACTORS, st.sampled_from([Filter(), toys])), max_size=3))
        )
    )
    stacking = draw(st.sampled_from(["best", "add", "multiply"]))
    return programme(
        *rules,
        status(),
        tiers(),
        boosts=Boosts(boosts, stacking, frozenset(each.id for each in rules)),
        caps=(Cap("points", draw(st.integers(1, 2000)), "purchase"), Cap("points", 2500, "month")),
        groups={"one": draw(st.sampled_from(["best", "first"])), "two": "best"},
        exclude=Filter(category=frozenset({"sale"})),
    )


@given(_programmes(), st.lists(_LINES, min_size=1, max_size=3))
def test_what_lines_are_allotted_sums_to_what_was_posted(
    program: Program, orders: list[list[tuple[int, int, str]]]
) -> None:
    shop = Shop(program)
    ada = shop.enrols("ada", "2011-01-01")
    for number, bought in enumerate(orders):
        lines = [
            line(place, pence, quantity, category=category)
            for place, (pence, quantity, category) in enumerate(bought, 1)
        ]
        assert ada.buys(f"o{number}", *lines).status == "accepted"
    posted: dict[tuple[str, str], int] = {}
    for entry in ada.entries("accrual"):
        posted[entry.order, entry.cause] = posted.get((entry.order, entry.cause), 0) + entry.points
    allotted: dict[tuple[str, str], int] = {}
    for number, bought in enumerate(orders):
        for posting in ada.receipt(f"o{number}").postings:
            assert sum(posting.allocated) == posting.points == sum(n for _, n in posting.lots)
            assert len(posting.allocated) == len(bought)
            assert min(posting.allocated) >= 0
            key = (f"o{number}", posting.rule)
            allotted[key] = allotted.get(key, 0) + sum(posting.allocated)
        ada.cancels(f"o{number}")
    assert allotted == posted
    assert (ada.available, ada.arrears) == (0, 0)
