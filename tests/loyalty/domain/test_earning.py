"""What purchases and engagements earn: amounts, boosts, limits, caps and their split over lines."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.conditions import read_condition
from services.loyalty.domain.program import (
    Basis,
    Boost,
    Boosts,
    Cap,
    Filter,
    Limit,
    Pending,
    Rule,
    Span,
)
from services.loyalty.domain.shares import divide, largest_remainder, spread
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
    tiers,
)

WELCOME = rule("welcome", "enrolled", give={"points": 100})
REVIEW = rule("review", "engagement", give={"points": 50}, of="product.reviewed")


def ada_of(*parts: Rule | object, **more: object) -> Member:
    """A member of a shop with these rules, since the first of January 2011."""
    return Shop(programme(*parts, **more)).enrols("ada", "2011-01-01")  # type: ignore[arg-type]  # passed on


# Amounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounding", "pence", "earned"),
    [
        ("down", 1_99, 1),
        ("half_up", 1_49, 1),
        ("half_up", 1_50, 2),
        ("half_even", 1_50, 2),
        ("half_even", 2_50, 2),
        ("half_even", 2_51, 3),
    ],
)
def test_a_rule_rounds_once_and_in_the_direction_it_states(
    rounding: str, pence: int, earned: int
) -> None:
    ada = ada_of(base(round=rounding))
    ada.buys("o1", pence)
    assert ada.available == earned


def test_rounding_happens_per_order_or_per_line() -> None:
    ada = ada_of(base(), rule("lines", give={"points": rate()}, per="line"))
    outcome = ada.buys("o1", 1_50, 1_50, 1_50)
    assert fired(outcome) == {"base": 4, "lines": 3}


def test_money_without_a_rate_is_refused_and_never_guessed() -> None:
    ada = ada_of(base())
    outcome = ada.buys("o1", 10_00, currency="EUR")
    assert (outcome.status, outcome.reason) == ("refused", "currency_without_rate")
    assert outcome.details == {"currency": "EUR"}


def test_each_money_has_its_own_rate() -> None:
    rates = rate() | rate(1, 120, "EUR")
    ada = ada_of(rule("base", give={"points": rates}))
    ada.buys("o1", 12_00, currency="EUR")
    assert ada.available == 10


def test_a_rule_without_a_rate_for_the_money_says_so() -> None:
    ada = ada_of(base(), rule("euros", give={"points": rate(1, 100, "EUR")}))
    assert missed(ada.buys("o1", 10_00)) == {"euros": "no_rate_for_currency"}


def test_an_order_earns_once() -> None:
    ada = ada_of(base())
    ada.buys("o1", 10_00)
    assert ada.buys("o1", 10_00).reason == "order_exists"
    assert ada.available == 10


# What may earn --------------------------------------------------------------------------------


def test_excluded_lines_earn_nothing_but_are_on_the_receipt() -> None:
    ada = ada_of(base(), exclude=Filter(sku=frozenset({"POST"})))
    ada.buys("o1", line(1, 10_00), line(2, 5_00, sku="POST"))
    assert ada.available == 10
    assert [(each.value, each.spend) for each in ada.receipt("o1").lines] == [
        (1000, 1000),
        (500, 0),
    ]


def test_discounts_and_what_was_prepaid_do_not_earn() -> None:
    ada = ada_of(base())
    ada.buys("o1", line(1, 60_00, discount=10_00), 50_00, discount=20_00, prepaid=30_00)
    assert ada.available == 50
    assert sum(each.value for each in ada.receipt("o1").lines) == 80_00


@pytest.mark.parametrize(
    ("basis", "earned"),
    [
        (Basis(), 120),
        (Basis(tax=False), 100),
        (Basis(shipping=True), 125),
        (Basis(tax=False, shipping=True), 105),
    ],
)
def test_the_basis_says_whether_tax_and_shipping_earn(basis: Basis, earned: int) -> None:
    ada = ada_of(base(), basis=basis)
    ada.buys("o1", line(1, 120_00, tax=20_00), shipping=5_00)
    assert ada.available == earned


def test_rules_choose_lines_and_activities() -> None:
    toys = rule("toys", give={"points": rate(2)}, filter=Filter(category=frozenset({"toy"})))
    app = rule("app", give={"points": 5}, filter=Filter(channel=frozenset({"app"})))
    first = rule("first", give={"points": 7}, filter=Filter(nth=frozenset({1})))
    ada = ada_of(toys, app, first)
    one = ada.buys("o1", line(1, 10_00, category="toy"), line(2, 30_00), channel="app")
    two = ada.buys("o2", line(1, 10_00, category="book"))
    assert fired(one) == {"toys": 20, "app": 5, "first": 7}
    assert missed(two) == {
        "toys": "no_such_line",
        "app": "other_channel",
        "first": "other_purchase_number",
    }


def test_a_segment_counts_as_it_was_when_the_activity_occurred() -> None:
    ada = ada_of(rule("vip", give={"points": 5}, filter=Filter(segment=frozenset({"vip"}))))
    ada.is_in("vip", "2011-01-10", "2011-01-20")
    reasons = [
        missed(ada.buys(f"o{day}", 1_00, at=f"2011-01-{day}", known_at="2011-02-01")).get("vip")
        for day in ("09", "10", "19", "20")
    ]
    assert reasons == ["not_in_segment", None, None, "not_in_segment"]
    ada.engages("other", "2011-03-01")
    assert fired(ada.buys("o4", 1_00, at="2011-01-15", known_at="2011-03-01")) == {"vip": 5}


def test_a_rule_holds_from_its_first_instant_until_before_its_last() -> None:
    spring = rule("spring", give={"points": 5}, valid_from=at("2011-03-01 00:00"))
    until = rule("winter", give={"points": 3}, valid_until=at("2011-03-01 00:00"))
    ada = ada_of(spring, until)
    assert fired(ada.buys("o1", 1_00, at=at("2011-03-01 00:00") - 1)) == {"winter": 3}
    assert fired(ada.buys("o2", 1_00, at=at("2011-03-01 00:00"))) == {"spring": 5}


def test_days_are_civil_days_of_the_programme() -> None:
    sunday = rule("sunday", give={"points": 5}, days=lambda day: date.weekday(day) == 6)
    ada = ada_of(sunday)
    assert fired(ada.buys("o1", 1_00, at="2011-07-03 00:30")) == {"sunday": 5}  # Saturday in UTC
    assert missed(ada.buys("o2", 1_00, at="2011-07-04 00:30")) == {"sunday": "other_day"}


def test_a_condition_that_fails_or_cannot_be_judged_is_a_reason_of_its_own() -> None:
    never = rule("never", give={"points": 1}, when=read_condition("false"))
    broken = rule("broken", give={"points": 1}, when=read_condition("order.lines[9].sku == 'A'"))
    reasons = {"never": "condition", "broken": "condition_error"}
    assert missed(ada_of(never, broken).buys("o1", 1_00)) == reasons
    assert missed(ada_of(broken).buys("o1", 1_00)) == {"broken": "condition_error"}


def test_the_least_spend_is_that_of_the_lines_chosen() -> None:
    big = rule(
        "big",
        give={"points": 9},
        min_spend={"GBP": 20_00},
        filter=Filter(exclude_sku=frozenset({"CARD"})),
    )
    ada = ada_of(base(), big)
    assert missed(ada.buys("o1", line(1, 19_99), line(2, 50_00, sku="CARD"))) == {
        "big": "below_min_spend"
    }
    assert fired(ada.buys("o2", 20_00)) == {"base": 20, "big": 9}


# Boosts ---------------------------------------------------------------------------------------

DOUBLE, TRIPLE = Boost("x2", {"points": (2, 1)}), Boost("x3", {"points": (3, 1)})


@pytest.mark.parametrize(("stacking", "factor"), [("best", 3), ("add", 4), ("multiply", 6)])
def test_boosts_stack_by_the_one_rule_of_the_programme(stacking: str, factor: int) -> None:
    boosts = Boosts((DOUBLE, TRIPLE), stacking, frozenset({"base"}))
    ada = ada_of(base(), rule("other", give={"points": 1}), boosts=boosts)
    outcome = ada.buys("o1", 10_00)
    assert fired(outcome) == {"base": 10 * factor, "other": 1}
    [fact, _] = decision_of(outcome).trace["fired"]
    assert (fact["boosts"], fact["factor"], fact["rate"]) == (["x2", "x3"], (factor, 1), (1, 100))


def test_fractions_of_boosts_are_rounded_once() -> None:
    half = Boost("half", {"points": (3, 2)})
    ada = ada_of(base(), boosts=Boosts((half, half), "multiply", frozenset({"base"})))
    assert fired(ada.buys("o1", 5_00)) == {"base": 11}  # 5 × 9/4


def test_a_boost_of_some_lines_leaves_the_others_alone() -> None:
    toys = Boost("toys", {"points": (3, 2)}, Filter(category=frozenset({"toy"})))
    ada = ada_of(base(), boosts=Boosts((toys, DOUBLE), "multiply", frozenset({"base"})))
    ada.buys("o1", line(1, 10_00, category="toy"), line(2, 10_00))
    [posting] = ada.receipt("o1").postings
    assert posting.allocated == [30, 20]


def test_a_fixed_number_takes_every_boost_that_chooses_one_of_its_lines() -> None:
    toys = Boost("toys", {"points": (3, 2)}, Filter(category=frozenset({"toy"})))
    bonus = rule("bonus", give={"points": 100})
    ada = ada_of(bonus, boosts=Boosts((toys,), "best", frozenset({"bonus"})))
    assert fired(ada.buys("o1", line(1, 5_00, category="toy"), 5_00)) == {"bonus": 150}
    assert fired(ada.buys("o2", line(1, 5_00), 5_00)) == {"bonus": 100}


def test_a_fixed_number_per_line_counts_lines_that_earn_and_boosts_each_by_itself() -> None:
    toys = Boost("toys", {"points": (2, 1)}, Filter(category=frozenset({"toy"})))
    each = rule("each", give={"points": 10}, per="line")
    ada = ada_of(
        each,
        boosts=Boosts((toys,), "best", frozenset({"each"})),
        exclude=Filter(sku=frozenset({"POST"})),
    )
    ada.buys("o1", line(1, 90_00), line(2, 1_00, category="toy"), line(3, 5_00, sku="POST"))
    [posting] = ada.receipt("o1").postings
    assert posting.allocated == [10, 20, 0]


def test_a_late_purchase_takes_the_tier_that_was_held_then() -> None:
    silver = Boost("silver", {"points": (2, 1)}, Filter(tier=frozenset({"silver"})))
    ada = ada_of(both(), tiers(), boosts=Boosts((silver,), "best", frozenset({"base"})))
    ada.buys("o1", 1000_00, at="2011-01-10")
    assert ada.tier == "silver"
    assert fired(ada.buys("o2", 10_00, at="2011-01-09", known_at="2011-01-12")) == {"base": 10}
    assert fired(ada.buys("o3", 10_00, at="2011-01-11", known_at="2011-01-12")) == {"base": 20}
    ada.shop.proves()


# Limits and caps ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "days", "given"),
    [
        ("day", ("2011-01-31 09:00", "2011-01-31 23:59", "2011-02-01 00:00"), 2),
        ("week", ("2011-01-31", "2011-02-06", "2011-02-07"), 2),  # ISO weeks begin on Monday
        ("month", ("2011-01-31", "2011-02-01", "2011-02-28"), 2),
        ("year", ("2011-01-31", "2011-12-31", "2012-01-01"), 2),
        ("lifetime", ("2011-01-31", "2012-12-31", "2013-01-01"), 1),
    ],
)
def test_a_limit_counts_times_in_its_civil_period(
    period: str, days: tuple[str, ...], given: int
) -> None:
    review = rule(
        "review", "engagement", give={"points": 50}, of="product.reviewed", limit=Limit(period, 1)
    )
    ada = ada_of(review)
    outcomes = [ada.engages("product.reviewed", day) for day in days]
    assert sum(bool(fired(outcome)) for outcome in outcomes) == given
    assert {"review": "limit_reached"} in [missed(outcome) for outcome in outcomes]


def test_a_late_activity_takes_the_limit_of_its_own_period() -> None:
    review = rule(
        "review", "engagement", give={"points": 50}, of="product.reviewed", limit=Limit("month", 1)
    )
    ada = ada_of(review)
    ada.engages("product.reviewed", "2011-01-10")
    ada.engages("product.reviewed", "2011-03-10")
    assert ("ada", "review/2011-01") in ada.shop.store.history
    again = ada.engages("product.reviewed", "2011-03-12")
    assert missed(again) == {"review": "limit_reached"}
    body = decision_of(again).activity.body
    assert missed(ada.does(body, "2011-01-20", known_at="2011-03-21")) == {
        "review": "limit_reached"
    }
    assert fired(ada.does(body, "2011-02-20", known_at="2011-03-21")) == {"review": 50}
    assert missed(ada.does(body, "2011-02-21", known_at="2011-03-21")) == {
        "review": "limit_reached"
    }
    ada.shop.proves()


def test_a_limit_of_points_cuts_and_says_what_it_cut() -> None:
    ada = ada_of(base(limit=Limit("month", points=15)))
    ada.buys("o1", 10_00)
    outcome = ada.buys("o2", 10_00)
    [fact] = decision_of(outcome).trace["fired"]
    assert (fact["points"], fact["cut"]) == (5, [("limit", 5)])
    assert missed(ada.buys("o3", 10_00)) == {"base": "limit_reached"}


def test_a_full_refund_gives_a_limit_back_to_the_month_it_was_taken_from() -> None:
    big = rule("big", give={"points": 9}, limit=Limit("month", 1), on_refund="revoke")
    ada = ada_of(big)
    ada.buys("o1", 10_00, at="2011-01-30")
    assert missed(ada.buys("o2", 10_00, at="2011-01-31")) == {"big": "limit_reached"}
    ada.cancels("o1", "2011-02-02")
    assert fired(ada.buys("o3", 10_00, at="2011-01-31", known_at="2011-02-02")) == {"big": 9}
    assert fired(ada.buys("o4", 10_00, at="2011-02-03")) == {"big": 9}


def test_caps_hold_over_all_rules_and_are_given_back() -> None:
    ada = ada_of(
        base(),
        rule("more", give={"points": rate(2)}),
        caps=(Cap("points", 100, "purchase"), Cap("points", 250, "month")),
    )
    outcome = ada.buys("o1", 40_00)
    assert fired(outcome) == {"base": 40, "more": 60}
    assert decision_of(outcome).trace["fired"][1]["cut"] == [("cap_per_purchase", 20)]
    ada.buys("o2", 100_00)
    assert fired(ada.buys("o3", 100_00)) == {"base": 50, "more": 0}
    ada.cancels("o2")
    assert fired(ada.buys("o4", 100_00)) == {"base": 100, "more": 0}


def test_an_amendment_does_not_slip_past_the_cap_of_its_purchase() -> None:
    ada = ada_of(base(), caps=(Cap("points", 100, "purchase"),))
    ada.buys("o1", 90_00)
    ada.amends("o1", line(1, 200_00))
    assert ada.available == 100


# The split over lines -------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_parts_sum_to_the_whole_and_each_is_within_one_of_its_share(
    total: int, weights: list[int]
) -> None:
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    if whole:
        pairs = zip(parts, weights, strict=True)
        assert all(abs(part * whole - total * weight) < whole for part, weight in pairs)


@given(st.integers(0, 10**7), st.lists(st.integers(0, 10**6), max_size=20))
def test_what_is_spread_never_exceeds_the_room(total: int, room: list[int]) -> None:
    parts = spread(total, room)
    assert sum(parts) == min(total, sum(room))
    assert all(0 <= part <= space for part, space in zip(parts, room, strict=True))


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_every_rounding_is_within_one_of_the_quotient(numerator: int, denominator: int) -> None:
    down, up, even = (
        divide(numerator, denominator, how) for how in ("down", "half_up", "half_even")
    )
    assert down == numerator // denominator
    assert down <= even <= up <= down + 1


# Engagements, welcome, pending ----------------------------------------------------------------


def test_an_engagement_earns_by_its_kind_and_is_never_pending() -> None:
    ada = ada_of(REVIEW, WELCOME, points(pending=Pending(Span(days=14))))
    ada.engages("product.reviewed")
    ada.engages("survey.answered")
    assert (ada.available, ada.pending) == (150, 0)
    assert [told["activity"] for told in ada.heard("points.accrued")] == [
        "enrolment",
        "product.reviewed",
    ]


def test_a_rule_may_have_its_own_pending_period() -> None:
    ada = ada_of(base(), rule("slow", give={"points": 5}, pending=Pending(Span(days=2))))
    ada.buys("o1", 10_00)
    assert (ada.available, ada.pending) == (10, 5)
