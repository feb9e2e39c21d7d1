"""Refunds are exact: what has been reversed depends on nothing but what has been returned."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import Line, Refunded, RefundLine
from services.loyalty.domain.program import (
    Cap,
    Expiry,
    Filter,
    Limit,
    Pending,
    Program,
    Reward,
    Span,
)
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    base,
    both,
    decision_of,
    end_of_month,
    line,
    missed,
    points,
    programme,
    rate,
    rule,
    status,
)

REWARDS = {"ten": Reward("ten", 10, "points"), "ninety": Reward("ninety", 90, "points")}


def enrolled(program: Program) -> Member:
    return Shop(program).enrols("ada", "2011-01-01")


# The measure ----------------------------------------------------------------------------------


def test_a_line_gives_back_the_floor_of_its_share_and_in_the_end_the_whole() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", line(1, 3_33, quantity=3), line(2, 51))  # 10.50 earn 10: 10 and 0
    [posting] = ada.receipt("o1").postings
    assert posting.allocated == [10, 0]
    left = []
    for _ in range(3):
        ada.returns("o1", {1: 1})
        left.append(ada.available)
    assert left == [7, 4, 0]


def test_pieces_and_money_are_one_measure_and_never_more_than_the_line() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", line(1, 25_00, quantity=4), 50_00)
    ada.returns("o1", {1: 1}, money={2: 10_00})
    assert ada.available == 150 - 25 - 10
    ada.does(Refunded("o1", "GBP", [RefundLine(1, 1, 25_00)]))
    assert ada.available == 150 - 75 - 10
    ada.returns("o1", {1: 9}, money={2: 999_00})
    assert ada.available == 0
    ada.returns("o1", {1: 1}, amount=10_00)
    assert (ada.available, ada.arrears) == (0, 0)


def test_money_that_names_no_line_is_spread_over_what_is_left_of_all_lines() -> None:
    ada = enrolled(programme(base(), exclude=Filter(sku=frozenset({"POST"}))))
    ada.buys("o1", line(1, 60_00), line(2, 30_00), line(3, 10_00, sku="POST"))
    ada.returns("o1", amount=10_00)  # 6.00, 3.00 and 1.00 of postage
    assert ada.available == 90 - 9
    ada.returns("o1", {1: 1})  # now 7.50 lie on line 2 and 2.50 on postage
    assert ada.available == 30 - 7


def test_a_refund_in_other_money_or_of_another_line_is_refused() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", 10_00)
    other = ada.does(Refunded("o1", "EUR", [], 5_00))
    assert (other.reason, other.details) == ("currency_mismatch", {"currency": "GBP"})
    assert ada.returns("o1", {7: 1}).details == {"positions": [7]}
    assert ada.available == 10


def test_a_cancelled_order_gives_back_everything_once() -> None:
    ada = enrolled(programme(base(), rule("kept", give={"points": 5}, on_refund="keep")))
    ada.buys("o1", 10_00, 0)
    ada.returns("o1", money={1: 4_00})
    ada.cancels("o1")
    assert (ada.available, ada.balance("issuance")) == (0, 0)
    assert ada.cancels("o1").reason == "already_cancelled"
    assert ada.heard("points.clawed-back")[-1]["reason"] == "cancellation"


lines_bought = st.lists(
    st.builds(
        lambda quantity, pence, toy: (quantity, pence, "toy" if toy else ""),
        st.integers(1, 6),
        st.one_of(st.just(0), st.integers(1, 50_00)),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
slices = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 20_00), st.integers(0, 30_00)),
    min_size=1,
    max_size=6,
)
GENEROUS = programme(
    both(per="line", round="half_up"),
    rule("toys", give={"points": rate(3)}, filter=Filter(category=frozenset({"toy"}))),
    rule("big", give={"points": 25}, min_spend={"GBP": 40_00}, on_refund="revoke"),
    rule("share", give={"points": 17}, on_refund="prorate"),
    rule("kept", give={"points": 4}, on_refund="keep"),
    caps=(Cap("points", 400, "purchase"),),
)
ORDER_FREE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _bought(lines: Sequence[tuple[int, int, str]]) -> list[Line]:
    return [
        line(position, pence, quantity, category=category)
        for position, (quantity, pence, category) in enumerate(lines, 1)
    ]


def _returned(member: Member, parts: Sequence[tuple[int, int, int, int]], count: int) -> None:
    for position, quantity, pence, amount in parts:
        back = [RefundLine(1 + position % count, quantity, pence)]
        member.does(Refunded("o1", "GBP", back, amount))


@ORDER_FREE
@given(lines=lines_bought, parts=slices, order=st.randoms(use_true_random=False))
def test_what_has_been_reversed_depends_only_on_what_has_been_returned(
    lines: list[tuple[int, int, str]], parts: list[tuple[int, int, int, int]], order: object
) -> None:
    first, second = enrolled(GENEROUS), enrolled(GENEROUS)
    for member, slices_in_order in ((first, parts), (second, order.sample(parts, len(parts)))):  # type: ignore[attr-defined]  # a Random
        member.buys("o1", *_bought(lines))
        _returned(member, slices_in_order, len(lines))
    one, other = first.receipt("o1"), second.receipt("o1")
    assert one == other
    assert first.available - first.arrears == second.available - second.arrears
    assert first.account.counters == second.account.counters
    assert first.account.windows == second.account.windows


@ORDER_FREE
@given(lines=lines_bought, parts=slices, amount=st.booleans())
def test_partial_refunds_sum_to_exactly_the_whole(
    lines: list[tuple[int, int, str]], parts: list[tuple[int, int, int, int]], amount: bool
) -> None:
    ada = enrolled(GENEROUS)
    ada.buys("o1", *_bought(lines))
    _returned(ada, parts, len(lines))
    rest = {position: quantity for position, (quantity, _, _) in enumerate(lines, 1)}
    ada.returns("o1", rest, amount=999_00 if amount else 0)
    receipt = ada.receipt("o1")
    assert all(posting.reversed == posting.allocated for posting in receipt.postings)
    assert (ada.available - ada.arrears, ada.balance("issuance")) == (0, 0)
    assert ada.balance("available", "status") == 0


# Bonuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_refund", "after_some", "after_most"),
    [("revoke", 250, 0), ("prorate", 225, 50), ("keep", 250, 250)],
)
def test_a_threshold_bonus_is_revoked_prorated_or_kept(
    on_refund: str, after_some: int, after_most: int
) -> None:
    big = rule("big", give={"points": 250}, min_spend={"GBP": 200_00}, on_refund=on_refund)
    ada = enrolled(programme(big))
    ada.buys("o1", line(1, 25_00, quantity=10))
    ada.returns("o1", {1: 1})
    assert ada.available == after_some
    ada.returns("o1", {1: 7})
    assert ada.available == after_most
    ada.returns("o1", {1: 2})
    assert ada.available == 0


def test_a_bonus_is_kept_while_a_line_that_earned_it_is_kept() -> None:
    toys = rule(
        "toys", give={"points": 50}, on_refund="keep", filter=Filter(category=frozenset({"toy"}))
    )
    ada = enrolled(programme(toys))
    ada.buys("o1", line(1, 10_00, quantity=2, category="toy"), line(2, 90_00))
    ada.returns("o1", {1: 1, 2: 1})
    assert ada.available == 50
    ada.returns("o1", {1: 1})
    assert ada.available == 0


def test_limits_of_points_come_back_only_as_far_as_they_were_taken() -> None:
    capped = rule(
        "base", give={"points": rate(), "status": rate()}, limit=Limit("month", points=30)
    )
    ada = enrolled(programme(capped))
    ada.buys("o1", 100_00)
    assert (ada.available, ada.account.counters) == (30, {"base/2011-01": [1, 30]})
    ada.cancels("o1")
    assert ada.account.counters == {"base/2011-01": [0, 0]}
    assert missed(ada.buys("o2", 10_00)) == {}


# Whose points ---------------------------------------------------------------------------------


def _kinds(member: Member) -> list[tuple[str, str, int]]:
    return [
        (entry.kind, entry.from_bucket, entry.points)
        for entry in member.entries()
        if entry.cause == "refund" and entry.currency == "points"
    ]


def test_a_clawback_takes_the_purchases_own_pending_points_first() -> None:
    ada = enrolled(programme(base(), points(pending=Pending(Span(days=14)))))
    ada.is_adjusted(500)
    ada.buys("o1", 50_00)
    ada.returns("o1", {1: 1})
    assert _kinds(ada) == [("accrual_reversal", "pending", 50)]


def test_then_its_own_lots_then_what_expired_of_them_then_others_then_arrears() -> None:
    ada = enrolled(programme(base(), points(expiry=end_of_month(1)), rewards=REWARDS))
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.redeems("ninety", "2011-01-10")
    ada.shop.waits_until("2011-03-02")  # ten expired
    ada.buys("o2", 20_00, at="2011-03-03")
    ada.buys("o3", 30_00, at="2011-03-04")
    ada.returns("o1", {1: 1}, at="2011-03-05")
    assert _kinds(ada) == [
        ("accrual_reversal", "expired", 10),
        ("accrual_reversal", "available", 50),
        ("arrears", "arrears", 40),
    ]
    assert ada.heard("points.clawed-back")[-1]["short"] == {"points": 40}
    assert (ada.available, ada.arrears) == (0, 40)


def test_its_own_lot_gives_what_it_still_holds_whoever_put_it_there() -> None:
    ada = enrolled(programme(base(), points(expiry=end_of_month(3)), rewards=REWARDS))
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.redeems("ninety", "2011-01-10")
    ada.buys("o2", 60_00, at="2011-01-20")
    ada.buys("o3", 60_00, at="2011-02-20")
    ada.returns("o1", {1: 1}, at="2011-03-05")
    [january, february] = [entry for entry in ada.entries() if entry.cause == "refund"]
    assert (january.points, january.lot_from.split("/")[1]) == (70, "2011-01")
    assert (february.points, february.lot_from.split("/")[1]) == (30, "2011-02")


def test_what_expired_is_taken_back_at_no_cost_and_only_once() -> None:
    ada = enrolled(programme(base(), points(expiry=end_of_month(1))))
    ada.buys("o1", 40_00, at="2011-01-05")
    ada.buys("o2", 60_00, at="2011-01-06")
    ada.shop.waits_until("2011-04-01")
    for order in ("o1", "o2"):
        ada.cancels(order)
    assert (ada.balance("expired"), ada.arrears, ada.balance("issuance")) == (0, 0, 0)


@pytest.mark.parametrize(
    ("shortfall", "owed", "written_off"),
    [("arrears", 90, 0), ("write_off", 0, -90), ("pending_only", 0, 0)],
)
def test_what_nobody_has_is_owed_or_written_off_or_forgiven(
    shortfall: str, owed: int, written_off: int
) -> None:
    ada = enrolled(programme(base(), points(shortfall=shortfall), rewards=REWARDS))
    ada.buys("o1", 90_00)
    ada.redeems("ninety")
    outcome = ada.cancels("o1")
    assert (ada.arrears, ada.balance("writeoff")) == (owed, written_off)
    if shortfall == "pending_only":
        assert decision_of(outcome).trace["forgiven"] == 90


def test_pending_only_leaves_what_can_be_spent() -> None:
    ada = enrolled(
        programme(base(), points(shortfall="pending_only", pending=Pending(Span(days=14))))
    )
    ada.buys("o1", 90_00, at="2011-01-05")
    ada.buys("o2", 40_00, at="2011-01-25")
    ada.cancels("o1", "2011-01-26")
    ada.cancels("o2", "2011-01-27")
    assert (ada.available, ada.pending) == (90, 0)


def test_arrears_are_repaid_before_a_new_accrual_serves_anything_else() -> None:
    ada = enrolled(programme(base(), rewards=REWARDS))
    ada.buys("o1", 90_00)
    ada.redeems("ninety")
    ada.cancels("o1")
    ada.buys("o2", 30_00)
    assert (ada.arrears, ada.available) == (60, 0)
    ada.buys("o3", 100_00)
    assert (ada.arrears, ada.available, ada.balance("arrears")) == (0, 40, 0)
    assert [entry.points for entry in ada.entries("repayment")] == [30, 60]


def test_pending_points_repay_arrears_when_they_can_be_spent() -> None:
    ada = enrolled(programme(base(), points(pending=Pending(Span(days=2))), rewards=REWARDS))
    ada.is_adjusted(90)
    ada.redeems("ninety")
    ada.buys("o1", 50_00, at="2011-01-05")
    ada.shop.waits_until("2011-01-10")
    ada.redeems("ten")
    ada.cancels("o1")
    assert ada.arrears == 10
    ada.buys("o2", 50_00, at="2011-01-12")
    assert (ada.arrears, ada.pending) == (10, 50)
    ada.shop.waits_until("2011-01-20")
    assert (ada.arrears, ada.available) == (0, 40)


def test_qualifying_points_leave_the_window_of_their_purchase() -> None:
    ada = enrolled(programme(both(), status()))
    ada.buys("o1", 40_00, at="2011-01-05")
    ada.buys("o2", 10_00, at="2011-02-05")
    ada.cancels("o1", "2011-02-10")
    assert ada.account.windows["status"] == {"2011-01": 0, "2011-02": 10}


# Amendments -----------------------------------------------------------------------------------


def test_an_amendment_takes_back_what_is_lower_and_earns_what_is_more() -> None:
    ada = enrolled(programme(base(), rule("first", give={"points": 5}, on_refund="keep")))
    ada.buys("o1", line(1, 10_00, quantity=3), line(2, 20_00))
    ada.amends("o1", line(1, 10_00, quantity=1), line(2, 25_00), line(3, 7_00))
    assert ada.available == 10 + 25 + 7 + 5
    assert [told["activity"] for told in ada.heard("points.accrued")] == ["purchase", "amendment"]
    ada.cancels("o1")
    assert (ada.available, ada.arrears) == (0, 0)


def test_what_a_refund_took_is_part_of_what_an_amendment_shows() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", line(1, 10_00, quantity=3))
    ada.returns("o1", {1: 1})
    ada.amends("o1", line(1, 10_00, quantity=2))
    assert ada.available == 20
    ada.amends("o1", line(1, 10_00, quantity=1))
    assert ada.available == 10


def test_what_came_back_is_its_share_of_a_line_that_grew() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", line(1, 100_00))
    ada.returns("o1", money={1: 50_00})
    ada.amends("o1", line(1, 200_00))
    assert ada.available == 150
    assert [posting.reversed for posting in ada.receipt("o1").postings] == [[25], [25]]


def test_the_discount_on_an_order_goes_on_when_it_is_amended() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", line(1, 100_00), line(2, 50_00), discount=15_00)
    assert ada.available == 135
    ada.amends("o1", line(1, 100_00), line(2, 50_00), discount=15_00)
    assert (ada.available, ada.balance("issuance")) == (135, -135)
    ada.amends("o1", line(1, 100_00), discount=10_00)
    assert ada.available == 90


def test_a_cancelled_order_or_one_in_other_money_is_not_amended() -> None:
    ada = enrolled(programme(base()))
    ada.buys("o1", 10_00)
    assert ada.amends("o1", line(1, 5_00), currency="EUR").reason == "currency_mismatch"
    ada.cancels("o1")
    assert ada.amends("o1", line(1, 5_00)).reason == "already_cancelled"


def test_a_refund_of_points_that_expired_while_pending_costs_nothing() -> None:
    terms = points(pending=Pending(until_delivered=True), expiry=Expiry(Span(days=5), at="exact"))
    ada = enrolled(programme(base(), terms))
    ada.is_adjusted(100, at="2011-01-20")
    ada.buys("o1", 10_00, at="2011-01-05", known_at="2011-01-20")
    ada.shop.waits_until("2011-01-22")
    ada.cancels("o1")
    assert (ada.available, ada.arrears) == (100, 0)


@pytest.mark.parametrize("order", ["tick", "enrolment"])
def test_a_refund_waits_for_its_purchase_whatever_the_order_is_called(order: str) -> None:
    ada = enrolled(programme(base(), wait=Span(days=30)))
    ada.returns(order, {1: 1}, at="2011-01-05")
    ada.shop.waits_until("2011-03-01")
    assert ada.journal()[-1][0] == "lapsed"
    assert not ada.account.waiting
