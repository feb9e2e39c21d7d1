"""Levels by points, spend, orders and engagements: all of them or any, over one window."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import Line, Refunded, RefundLine
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Program
from services.loyalty.domain.tiers import progress
from tests.loyalty.domain.shop import Member, Shop, at

DOCUMENT = """\
program: levels
holds_from: "2010-12-01T00:00"
timezone: Europe/London
currencies:
  points: {{}}
  status: {{qualifies: true, window: {window}}}
  orders: {{qualifies: true, measures: orders, window: {window}}}
  acts: {{qualifies: true, measures: engagements, window: {window}}}
  spent: {{qualifies: true, measures: spend in GBP, window: {window}}}
spend: {{exclude: {{sku: [POST]}}}}
tiers:
  by: status
  levels:
    basic: {{from: 0}}
    silver: {silver}
    gold: {gold}
  kept: {{for: 3 months}}
  at_end: {{{at_end}warn: 10 days}}
earn:
  base: {{event: purchase, give: {{points: 1 per 1.00 GBP, status: 1 per 1.00 GBP}}}}
"""
SILVER = "{any: [{spent: 100.00 GBP}, {acts: 3}]}"
GOLD = "{all: [{status: 500}, {orders: 4}]}"


def program(
    silver: str = SILVER, gold: str = GOLD, window: str = "{rolling: 3 months}", at_end: str = ""
) -> Program:
    return parse_program(DOCUMENT.format(silver=silver, gold=gold, window=window, at_end=at_end), 1)


def enrolled(**more: Any) -> Member:
    return Shop(program(**more)).enrols("ada", "2011-01-01")


def windows(member: Member) -> dict[str, int]:
    """What the working state counts, by currency."""
    return {name: sum(held.values()) for name, held in member.account.windows.items()}


def test_all_conditions_are_needed() -> None:
    ada = enrolled()
    ada.buys("o1", 600_00, at="2011-01-10")
    assert ada.tier == "silver"
    for number in (2, 3, 4):
        assert ada.tier == "silver"
        ada.buys(f"o{number}", 1_00, at=f"2011-01-1{number}")
    assert ada.tier == "gold"


def test_any_condition_is_enough() -> None:
    ada = enrolled()
    for day in (1, 2, 3):
        assert ada.tier == "basic"
        ada.engages("product.reviewed", f"2011-02-0{day}")
    assert ada.tier == "silver"
    bob = ada.shop.enrols("bob", "2011-02-04")
    bob.buys("b1", 99_99, at="2011-02-05")
    assert bob.tier == "basic"
    bob.buys("b2", 1, at="2011-02-05 13:00")
    assert bob.tier == "silver"


def test_spend_counts_only_what_earns() -> None:
    ada = enrolled()
    ada.buys(
        "o1", Line(1, "POST", 1, 200_00), Line(2, "TEA", 1, 40_00), at="2011-01-10", prepaid=24_00
    )
    assert windows(ada)["spent"] == 36_00


def test_an_order_counts_until_it_is_back_whole() -> None:
    ada = enrolled()
    for number in (1, 2, 3, 4):
        ada.buys(f"o{number}", 200_00, 200_00, at=f"2011-01-1{number}")
    assert ada.tier == "gold"
    ada.returns("o2", {1: 1}, at="2011-01-20")
    assert (ada.tier, windows(ada)["orders"]) == ("gold", 4)
    ada.returns("o2", {2: 1}, at="2011-01-21")
    assert (ada.tier, windows(ada)["orders"]) == ("silver", 3)
    assert ada.heard("tier.changed")[-1]["reason"] == "refunded"
    ada.shop.proves()


def test_a_refund_undoes_only_the_way_that_it_paved() -> None:
    ada = enrolled()
    for day in (1, 2, 3):
        ada.engages("product.reviewed", f"2011-02-0{day}")
    ada.buys("o1", 150_00, at="2011-02-04")
    ada.cancels("o1", "2011-02-05")
    assert (ada.tier, windows(ada)["spent"]) == ("silver", 0)


def test_each_condition_renews_the_period_when_it_completes_them() -> None:
    ada = enrolled(gold="{all: [{status: 500}, {orders: 2}]}")
    ada.buys("o1", 500_00, at="2011-01-10")
    ada.buys("o2", 1_00, at="2011-01-20")
    assert ada.tier == "gold"
    ada.buys("o3", 1_00, at="2011-04-05")  # January is out of the window by now
    ada.buys("o4", 1_00, at="2011-04-06")
    assert ada.heard("tier.kept") == []
    ada.buys("o5", 500_00, at="2011-04-07")
    assert ada.heard("tier.kept")[-1]["level"] == "gold"
    ada.shop.waits_until("2011-07-07")
    assert ada.tier == "gold"


def test_the_review_asks_for_all_conditions_and_the_warning_names_them() -> None:
    ada = enrolled(gold="{all: [{status: 500}, {orders: 2}]}")
    ada.buys("o1", 500_00, at="2011-01-10")
    ada.buys("o2", 1_00, at="2011-01-20")
    ada.buys("o3", 600_00, at="2011-03-01")
    ada.shop.waits_until("2011-04-12")
    [warned] = ada.heard("tier.warned")
    assert (warned["level"], warned["missing"], warned["how"]) == ("gold", 0, "all")
    assert warned["conditions"] == [
        {"currency": "status", "needs": 500, "missing": 0},
        {"currency": "orders", "needs": 2, "missing": 1},
    ]
    ada.shop.waits_until("2011-04-22")
    assert ada.tier == "silver"


@pytest.mark.parametrize(
    ("window", "silver_on"),
    [("calendar_year", "basic"), ("member_year", "silver"), ("{rolling: 12 months}", "silver")],
)
def test_orders_count_in_any_kind_of_window(window: str, silver_on: str) -> None:
    ada = enrolled(window=window, silver="{any: [{orders: 3}]}", gold="{from: 9000}")
    for number, day in enumerate(("2011-11-01", "2011-12-01"), 1):
        ada.buys(f"o{number}", 1_00, at=day)
    bob = ada.shop.enrols("bob", "2011-12-02")
    bob.buys("b1", 1_00, at="2011-12-02 13:00")
    bob.buys("b2", 1_00, at="2011-12-03")
    bob.buys("b3", 1_00, at="2012-01-01")
    assert bob.tier == silver_on


def test_progress_says_what_is_missing_of_each_condition() -> None:
    terms = program()
    ada = Shop(terms).enrols("ada", "2011-01-01")
    ada.buys("o1", 150_00, at="2011-01-10")
    shown = progress(terms, ada.account, at("2011-01-11"))
    assert shown is not None
    assert shown.lifts == {"status": 350, "orders": 3}
    assert shown.keeps == {"spent": 100_00, "acts": 3}
    assert shown.counted["spent"] == 150_00


def test_conditions_of_closed_windows_are_judged_together_when_a_purchase_comes_late() -> None:
    ada = enrolled(window="calendar_year", gold="{all: [{status: 500}, {orders: 2}]}")
    ada.buys("o1", 499_00, at="2011-11-01")
    ada.shop.waits_until("2012-02-20")
    ada.engages("other", "2012-02-21")
    assert ada.shop.store.history["ada", "window:orders/2011"] == [0, 1]
    ada.buys("o2", 1_00, at="2011-12-10", known_at="2012-02-22")
    assert ada.tier == "gold"
    ada.shop.proves()


ORDERS = ("o1", "o2", "o3")


@settings(deadline=None, max_examples=60)
@given(
    bought=st.lists(st.integers(0, 300_00), min_size=3, max_size=3),
    back=st.lists(
        st.tuples(st.sampled_from(ORDERS), st.integers(0, 3), st.integers(0, 200_00)), max_size=8
    ),
)
def test_what_counts_is_what_is_kept_in_whatever_order_it_came_back(
    bought: list[int], back: list[tuple[str, int, int]]
) -> None:
    ada = enrolled(silver="{any: [{spent: 250.00 GBP}, {orders: 3}]}", gold="{from: 90000}")
    for order, pence in zip(ORDERS, bought, strict=True):
        lines = Line(1, "TEA", 3, pence), Line(2, "MUG", 1, 100)
        assert ada.buys(order, *lines).status == "accepted"
    for order, pieces, pence in back:
        ada.does(Refunded(order, "GBP", [RefundLine(1, pieces, pence)], pence // 7))
    kept = dict.fromkeys(ORDERS, 0)
    for order, pence in zip(ORDERS, bought, strict=True):
        came = [each for each in back if each[0] == order]
        pieces = min(3, sum(each[1] for each in came))
        lined = min(3 * pence, pieces * pence + min(3 * pence, sum(each[2] for each in came)))
        unlined = sum(each[2] // 7 for each in came)
        kept[order] = max(0, 3 * pence + 100 - lined - unlined)
    counted = windows(ada)
    assert counted["spent"] == sum(kept.values())
    assert counted["orders"] == sum(money > 0 for money in kept.values())
    enough = counted["spent"] >= 250_00 or counted["orders"] >= 3
    assert (ada.tier == "silver") == enough
    ada.shop.proves()


@pytest.mark.parametrize(
    ("silver", "gold", "wrong"),
    [
        ("{from: 5, all: [{orders: 1}]}", GOLD, "it is reached in two ways"),
        ("{benefits: {}}", GOLD, "nothing says when it is reached"),
        ("{all: []}", GOLD, "it lists nothing"),
        ("{all: [{orders: 1, acts: 2}]}", GOLD, "a condition is of one currency"),
        ("{any: [{orders: 1}, {orders: 2}]}", GOLD, "it is in the list twice"),
        ("{any: [{orders: 0}]}", GOLD, "0 is always there"),
        ("{any: [{points: 5}]}", GOLD, "'points' does not qualify"),
        ("{any: [{stars: 5}]}", GOLD, "there is no currency 'stars'"),
        ("{any: [{orders: 5.00 GBP}]}", GOLD, "'orders' does not count GBP"),
        ("{any: [{spent: 500}]}", GOLD, "'spent' does not count points"),
        ("{any: [{spent: 5.00 EUR}]}", GOLD, "'spent' does not count EUR"),
        ("{from: 50}", "{from: 40}", "it is not above the level before"),
    ],
)
def test_levels_that_do_not_fit_together_are_refused(silver: str, gold: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        program(silver, gold)


def test_what_counts_by_itself_is_given_by_nothing_else() -> None:
    gift = "gifts: {birthday: {give: [5 orders]}}\n"
    rule = "  more: {event: purchase, give: {spent: 5}}\n"
    text = DOCUMENT.format(silver=SILVER, gold=GOLD, window="calendar_year", at_end="")
    for wrong in (text + gift, text + rule):
        with pytest.raises(ValueError, match="counts by itself"):
            parse_program(wrong, 1)


def test_levels_compare_one_window() -> None:
    text = DOCUMENT.format(silver=SILVER, gold=GOLD, window="calendar_year", at_end="")
    mixed = text.replace("orders, window: calendar_year", "orders, window: {rolling: 3 months}")
    with pytest.raises(ValueError, match="different windows"):
        parse_program(mixed, 1)
