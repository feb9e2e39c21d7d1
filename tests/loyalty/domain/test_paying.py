"""Points as money for an order: what they pay, and every reason why they may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.activity import RedemptionRequested
from services.loyalty.domain.consistency import least_step
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.domain.paying import most_points, worth_of
from services.loyalty.domain.program import Rate, SpendPoints
from tests.loyalty.domain.shop import Member, Shop, at, base, programme

TERMS = SpendPoints("points", {"GBP": Rate(100, 1_00, "GBP")}, 200, 100, 5_000, 600)


def rich(welcome: int = 1000, terms: SpendPoints | None = TERMS) -> Member:
    ada = Shop(programme(base(), spend_points=terms)).enrols("ada", "2011-01-01")
    ada.is_adjusted(welcome, "2011-01-02")
    return ada


def for_order(amount: int, money: str = "GBP") -> dict[str, Any]:
    return {"for_order": "o9", "money": money, "amount": amount}


def test_a_hold_for_an_order_says_what_its_points_pay() -> None:
    ada = rich()
    hold = ada.holds(300, "2011-01-03 10:00", **for_order(20_00))
    [heard] = ada.heard("points.held")
    assert heard["worth"] == {"amount": "3.00", "currency": "GBP"}
    assert (heard["order"], heard["ends_at"]) == ("o9", "2011-01-03T10:10:00Z")
    assert ada.captures(hold, 150).reason == "not_a_step"
    ada.captures(hold, 100)
    ada.captures(hold)
    told = [(each["points"], each["worth"]["amount"]) for each in ada.heard("points.redeemed")]
    assert told == [(100, "1.00"), (200, "2.00")]


def test_points_pay_at_once_without_a_hold() -> None:
    ada = rich()
    assert ada.does(RedemptionRequested("r1", "", 200, "o9", "GBP", 4_00)).status == "accepted"
    assert (ada.available, ada.balance("redeemed")) == (800, 200)
    [heard] = ada.heard("points.redeemed")
    assert heard["worth"] == {"amount": "2.00", "currency": "GBP"}
    assert not ada.shop.store.rewards


@pytest.mark.parametrize(
    ("points", "order", "reason", "facts"),
    [
        (100, for_order(20_00), "below_minimum", {"minimum": 200}),
        (250, for_order(20_00), "not_a_step", {"step": 100}),
        (500, for_order(9_99), "above_share", {"most_points": 400, "most": "4.99"}),
        (1100, for_order(90_00), "insufficient_points", {"missing": 100}),
        (300, for_order(90_00, "EUR"), "no_rate", {"rates": ["GBP"]}),
    ],
)
def test_a_payment_is_refused_with_the_facts_of_its_reason(
    points: int, order: dict[str, Any], reason: str, facts: dict[str, Any]
) -> None:
    ada = rich()
    ada.holds(points, **order)
    assert ada.told.reason == reason
    assert ada.told.details.items() >= facts.items()
    assert ada.held == 0


def test_all_reasons_are_told_at_once() -> None:
    ada = rich(welcome=20)
    ada.holds(150, **for_order(1_00))
    assert ada.told.reason == "payment_impossible"
    told = [each["code"] for each in ada.told.details["reasons"]]
    assert told == ["below_minimum", "not_a_step", "above_share", "insufficient_points"]


def test_where_points_are_no_money_none_is_paid() -> None:
    ada = rich(terms=None)
    ada.holds(200, **for_order(20_00))
    assert ada.told.reason == "points_are_no_money"


def test_a_hold_keeps_the_terms_under_which_it_was_made() -> None:
    later = programme(
        version=2,
        holds_from=at("2011-01-03 10:05"),
        spend_points=SpendPoints("points", {"GBP": Rate(200, 1_00, "GBP")}, 200, 200),
    )
    ada = Shop(programme(spend_points=TERMS), later).enrols("ada", "2011-01-01")
    ada.is_adjusted(500, "2011-01-02")
    hold = ada.holds(300, "2011-01-03 10:00", **for_order(20_00))
    ada.captures(hold, 100, "2011-01-03 10:06")
    assert ada.heard("points.redeemed")[0]["worth"]["amount"] == "1.00"


rates = st.builds(Rate, st.integers(1, 5000), st.integers(1, 5000), st.just("GBP"))


@given(rate=rates, times=st.integers(1, 500))
def test_a_step_is_always_worth_whole_minor_units(rate: Rate, times: int) -> None:
    step = least_step([rate])
    assert step * rate.per % rate.points == 0
    assert worth_of(rate, step * times) == times * worth_of(rate, step)
    assert all(few * rate.per % rate.points for few in range(1, min(step, 50)))


@given(rate=rates, amount=st.integers(1, 10**7), share=st.integers(1, 10_000))
def test_the_most_points_of_an_order_stay_within_its_share_and_a_step_more_does_not(
    rate: Rate, amount: int, share: int
) -> None:
    terms = SpendPoints("points", {"GBP": rate}, 0, least_step([rate]), share)
    most = most_points(terms, rate, amount)
    allowed = amount * share // 10_000
    assert most % terms.step == 0
    assert worth_of(rate, most) <= allowed < worth_of(rate, most + terms.step)


# The document ---------------------------------------------------------------------------------

DOCUMENT = """
program: test
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {{points: {{}}, {currencies}}}
{keys}
"""


def written(keys: str, currencies: str = "status: {qualifies: true, window: calendar_year}") -> str:
    return DOCUMENT.format(keys=keys, currencies=currencies)


def test_a_programme_says_how_points_pay_and_how_long_they_are_held() -> None:
    text = "holds: {last: 45 minutes, released_live: 24 hours}\n" + (
        "spend_points: {rate: [100 per 1.00 GBP, 90 per 1.20 EUR], min: 210, max_share: 12.5 %}"
    )
    program = parse_program(written(text), 1)
    assert (program.holds.last_s, program.holds.longest_s) == (45 * 60, 7 * 86_400)
    assert (program.holds.most, program.holds.released_live_s) == (20, 86_400)
    terms = program.spend_points
    assert terms is not None
    assert (terms.currency, terms.step, terms.least) == ("points", 3, 210)
    assert (terms.max_share, terms.hold_s) == (1_250, 30 * 60)
    assert terms.rates["EUR"] == Rate(90, 1_20, "EUR")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("spend_points: {rate: 100 per 1.00 GBP, currency: status}", "cannot be spent"),
        ("spend_points: {rate: 100 per 1.00 GBP, currency: stars}", "there is no currency"),
        ("spend_points: {rate: 150 per 1.00 GBP, step: 100}", "no whole number of minor units"),
        ("spend_points: {rate: 100 per 1.00 GBP, min: 250, step: 100}", "no multiple of the step"),
        ("spend_points: {rate: [1 per 0.01 GBP, 2 per 0.01 GBP]}", "in the list twice"),
        ("spend_points: {rate: 1 per 0.01 GBP, max_share: 101 %}", "not a share"),
        ("spend_points: {rate: 1 per 0.01 GBP, max_share: 0 %}", "not a share"),
        ("spend_points: {rate: 1 per 0.01 GBP, hold: 8 days}", "longer than the longest"),
        ("holds: {last: 8 days}", "longer than the longest"),
        ("holds: {last: 0 minutes}", "it lasts no time"),
        ("holds: {last: a while}", "not a length of time"),
    ],
)
def test_what_does_not_fit_together_is_named(keys: str, reason: str) -> None:
    with pytest.raises(ProgramMistakes) as caught:
        parse_program(written(keys), 1)
    assert [mistake for mistake in caught.value.mistakes if reason in mistake.reason]


def test_with_several_currencies_a_programme_says_which_of_them_pays() -> None:
    keys = "spend_points: {rate: 100 per 1.00 GBP}"
    with pytest.raises(ProgramMistakes, match="more than one kind"):
        parse_program(written(keys, "coins: {}"), 1)
