"""What members pay for points, and when it is recognised: IFRS 15 Example 52 and what follows."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.activity import Line, PurchaseClaimed
from services.loyalty.domain.approved import Approval, Approvals, NotApprovable
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.consideration import (
    Change,
    Found,
    Unpriced,
    allocate,
    half_up,
    transaction_price,
)
from services.loyalty.domain.deferral import (
    Ledger,
    minor,
    postings,
    recognised,
    standing,
    total_expected,
)
from services.loyalty.domain.movements import MonthPoints
from services.loyalty.domain.program import Span
from tests.loyalty.domain.shop import (
    Shop,
    at,
    base,
    both,
    line,
    points,
    programme,
    rate,
    rule,
    status,
)
from tests.loyalty.paid import paid

WORTH = (1, 1, "GBP")
NINETY_FIVE = Fraction(95, 100)
POINTS = points(worth=WORTH)
TENTH = rule("base", give={"points": rate(1, 10)})
"""A point for every ten pence: 10,000 for 1,000.00."""


def approved(number: int, value: str, since: str = "2010-01-01", **more: str) -> Approval:
    return Approval(number, "redemption", "points", value, at(since), "Ann", at(since), **more)


EXPECTED = Approvals([approved(1, "0.95")])


def found(shop: Shop, approvals: Approvals = EXPECTED) -> list[Found]:
    """What the whole journal of a shop says about consideration."""
    return [each for told in paid(shop, approvals).values() for each in told]


def allocated(shop: Shop, funding: str = "purchase", approvals: Approvals = EXPECTED) -> Fraction:
    return sum(
        (
            each.amount
            for each in found(shop, approvals)
            if isinstance(each, Change) and each.funding == funding
        ),
        Fraction(0),
    )


def test_example_52_of_ifrs_15() -> None:
    """Goods for 100,000 come with 10,000 points, each worth 1 and expected to be redeemed by 95 in
    100: 8,676 wait. 4,500 of 9,500 redeemed recognise 4,110; 8,500 of 9,700 recognise 3,493 more.
    """
    [share] = allocate(100_000, [10_000 * NINETY_FIVE])
    assert (share, 100_000 - share) == (8_676, 91_324)
    first = MonthPoints(outstanding=5_500, redeemed=4_500, lost=0)
    second = MonthPoints(outstanding=1_500, redeemed=8_500, lost=0)
    assert total_expected(first, NINETY_FIVE) == 9_500
    assert total_expected(second, Fraction(97, 100)) == 9_700
    after_one = recognised(share, first, NINETY_FIVE)
    after_two = recognised(share, second, Fraction(97, 100))
    assert (after_one, after_two - after_one) == (4_110, 3_493)


def test_example_52_from_the_journal() -> None:
    shop = Shop(programme(TENTH, POINTS))
    shop.enrols("ada").buys("o1", 100_000, at="2011-01-05")
    [change] = found(shop)
    assert change == Change(1, "points", "2011-01", "GBP", "purchase", Fraction(8_676))


def test_what_is_posted_for_example_52_and_in_the_year_after() -> None:
    year_end = at("2012-01-01")
    accounts = [
        Approval(number, "account", name, code, at("2010-01-01"), "Ann", 0)
        for number, (name, code) in enumerate(
            {"sales_revenue": "4000", "deferred_revenue": "2310", "loyalty_revenue": "4010"}.items()
        )
    ]
    approvals = Approvals([approved(9, "0.95"), approved(10, "0.97", "2012-01-01"), *accounts])
    first = Ledger()
    first.add(Change(1, "points", "2011-01", "GBP", "purchase", Fraction(8_676)))
    rows = first.rows(
        {},
        {"points": {"2011-01": MonthPoints(5_500, 4_500, 0)}},
        approvals,
        since=at("2011-01-01"),
        until=year_end,
    )
    assert [
        (line.debit_code, line.credit_code, line.amount)
        for line in postings(rows, approvals, year_end)
    ] == [("4000", "2310", "86.76"), ("2310", "4010", "41.10")]
    second = Ledger(standing(rows)).rows(
        {},
        {"points": {"2011-01": MonthPoints(1_500, 8_500, 0)}},
        approvals,
        since=year_end,
        until=at("2013-01-01"),
    )
    [row] = second
    assert (row.points_expected, row.recognised_before, row.recognised_now) == (
        "9700",
        "41.10",
        "34.93",
    )
    assert [line.amount for line in postings(second, approvals, at("2013-01-01"))] == ["34.93"]


def test_the_price_is_net_of_tax_after_discounts_and_without_what_points_paid() -> None:
    lines = [Line(1, "A", 1, 120_00, tax=20_00), Line(2, "B", 2, 30_00, 12_00)]
    assert transaction_price(lines, 0) == 148_00
    assert transaction_price(lines, 16_80) == 133_20  # a tenth off, of the tax as well
    assert transaction_price(lines, 0, prepaid=84_00) == 74_00
    assert transaction_price([Line(1, "A", 1, 0)], 0) == 0


def test_funding_is_what_the_rule_says_and_by_default_what_it_rewards() -> None:
    shop = Shop(
        programme(
            base(),
            rule("partner", give={"points": 10}, funding="third_party"),
            rule("welcome", "enrolled", give={"points": 100}, funding="gratuitous"),
            POINTS,
        )
    )
    ada = shop.enrols("ada")
    ada.buys("o1", 50_00, at="2011-01-05")
    ada.is_adjusted(7, at="2011-01-06")
    ada.is_adjusted(-3, at="2011-01-06")
    sums = {
        (each.funding, each.issued): each.amount for each in found(shop) if isinstance(each, Change)
    }
    assert sums == {
        ("gratuitous", "2010-12"): 100 * NINETY_FIVE,
        ("purchase", "2011-01"): Fraction(47),  # 50.00 × 47.5 ÷ 5047.5
        ("third_party", "2011-01"): Fraction(10),  # every point is paid for
        ("gratuitous", "2011-01"): 7 * NINETY_FIVE,
    }


def test_the_estimate_is_that_of_the_issue_and_never_changes() -> None:
    shop = Shop(programme(TENTH, POINTS))
    shop.enrols("ada").buys("o1", 100_000, at="2011-01-05")
    later = Approvals([approved(1, "0.95"), approved(2, "0.5", "2011-01-06")])
    assert allocated(shop, approvals=later) == 8_676
    own = Approvals([approved(1, "0.5"), approved(2, "0.95", issued="2011-01")])
    assert allocated(shop, approvals=own) == 8_676
    assert allocated(shop, approvals=Approvals()) == 9_091  # of every point


def test_refunds_in_parts_take_back_the_whole() -> None:
    shop = Shop(programme(both(), rule("gift", give={"points": 3}), POINTS, status()))
    ada = shop.enrols("ada")
    ada.buys("o1", line(1, 33_33, 3), line(2, 7_01), at="2011-01-05")
    assert allocated(shop) > 0
    for day in ("2011-01-06", "2011-01-07", "2011-01-08"):
        before = allocated(shop)
        ada.returns("o1", {1: 1}, at=day)
        assert allocated(shop) < before
    ada.cancels("o1", at="2011-01-09")
    assert allocated(shop) == 0


def test_an_amendment_pays_for_the_points_that_it_adds() -> None:
    shop = Shop(programme(TENTH, POINTS))
    ada = shop.enrols("ada")
    ada.buys("o1", line(1, 50_000), at="2011-01-05")
    ada.amends("o1", line(1, 50_000), line(2, 50_000), at="2011-02-06")
    assert {each.issued: each.amount for each in found(shop) if isinstance(each, Change)} == {
        "2011-01": 4_338,
        "2011-02": 4_338,
    }
    ada.cancels("o1", at="2011-03-01")
    assert allocated(shop) == 0


def test_money_without_a_worth_is_reported_and_not_guessed() -> None:
    euros = {"GBP": rate()["GBP"], **rate(money="EUR")}
    shop = Shop(programme(rule("base", give={"points": euros}), POINTS))
    shop.enrols("ada").buys("o1", 50_00, currency="EUR", at="2011-01-05")
    assert found(shop) == [Unpriced(1, "points", "", "no_worth_in_money", 50)]
    worth = Approval(2, "worth", "points", "0.02 EUR", at("2010-01-01"), "Ann", 0)
    [change] = found(shop, Approvals([approved(1, "0.95"), worth]))
    assert isinstance(change, Change)
    assert (change.money, change.amount) == ("EUR", Fraction(93))  # 5000 × 95 ÷ 5095
    silent = Shop(programme(base(), points()))
    silent.enrols("ada").buys("o1", 50_00, at="2011-01-05")
    assert found(silent) == [Unpriced(1, "points", "", "no_worth", 50)]


def test_a_parked_purchase_is_priced_once_it_goes_on() -> None:
    shop = Shop(programme(TENTH, POINTS))
    ada = shop.member("ada")
    ada.buys("o1", 100_000, at="2010-12-05")
    shop.enrols("ada", "2010-12-06")
    assert allocated(shop) == 8_676


def test_a_guest_paid_for_the_points_that_a_member_claims() -> None:
    shop = Shop(programme(TENTH, POINTS, claim_within=Span(days=40)))
    shop.member("r1").buys("o1", 100_000, at="2011-01-05", guest=True)
    ada = shop.enrols("ada", "2011-01-06")
    shop.member("r1").does(PurchaseClaimed("c1", "r1", "ada"), "2011-01-07")
    shop.delivers_derived()
    assert allocated(shop) == 8_676
    ada.cancels("o1", at="2011-01-08")
    assert allocated(shop) == 0


def test_all_is_recognised_once_nothing_more_can_be_redeemed() -> None:
    assert recognised(8_676, MonthPoints(0, 4_500, 5_500), NINETY_FIVE) == 8_676
    assert recognised(8_676, MonthPoints(0, 0, 10_000), NINETY_FIVE) == 8_676
    assert recognised(8_676, MonthPoints(10_000, 0, 0), NINETY_FIVE) == 0
    assert recognised(8_676, MonthPoints(500, 4_500, 5_000), NINETY_FIVE) == half_up(
        Fraction(8_676 * 4_500, 5_000)
    )


@given(
    st.integers(0, 10**12),
    st.lists(st.fractions(0, 10**9, max_denominator=10**6), max_size=6),
)
def test_a_price_is_shared_whole_and_never_beyond_itself(price: int, alone: list[Fraction]) -> None:
    parts = allocate(price, alone)
    assert len(parts) == len(alone)
    assert all(part >= 0 for part in parts)
    assert 0 <= sum(parts) <= price


@given(
    st.integers(0, 10**9),
    st.builds(MonthPoints, *[st.integers(0, 10**7)] * 3),
    st.fractions(0, 1, max_denominator=1000),
)
def test_what_is_recognised_lies_between_nothing_and_all(
    share: int, month: MonthPoints, redemption: Fraction
) -> None:
    done = recognised(share, month, redemption)
    assert 0 <= done <= share
    if not month.outstanding:
        assert done == share


changes = st.builds(
    Change,
    st.integers(0, 2),
    st.just("points"),
    st.sampled_from(["2011-01", "2011-02"]),
    st.sampled_from(["GBP", "JPY"]),
    st.sampled_from(["purchase", "gratuitous", "third_party"]),
    st.fractions(0, 10**6, max_denominator=100),
)


@given(
    st.lists(changes, max_size=12),
    st.tuples(*[st.builds(MonthPoints, *[st.integers(0, 1000)] * 3)] * 2),
)
def test_every_row_and_every_posting_foots(
    made: list[Change], months: tuple[MonthPoints, MonthPoints]
) -> None:
    book = Ledger()
    for each in made:
        book.add(each)
        if each.amount:
            book.add(each._replace(amount=-each.amount / 3, refund=True))
    closing = {"points": dict(zip(["2011-01", "2011-02"], months, strict=True))}
    rows = book.rows({}, closing, EXPECTED, since=at("2011-01-01"), until=at("2011-03-01"))
    net: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        now, back = minor(row.allocated_now), minor(row.refunded_now)
        now += minor(row.imported_now or "0")
        assert minor(row.allocated_before) + now - back == minor(row.allocated)
        done = minor(row.recognised_before) + minor(row.recognised_now)
        assert done == minor(row.recognised)
        assert minor(row.allocated) - done == minor(row.deferred)
        net[row.money, row.funding] += now - back - minor(row.recognised_now)
    waits = ("deferred_revenue", "deferred_partner_revenue", "loyalty_provision")
    for posted in postings(rows, EXPECTED, at("2011-03-01")):
        sign = (posted.credit in waits) - (posted.debit in waits)
        assert sign
        assert minor(posted.amount) > 0
        net[posted.money, posted.funding] -= sign * minor(posted.amount)
    assert not any(net.values())


@pytest.mark.parametrize(
    ("what", "of", "value", "issued"),
    [
        ("redemption", "points", "1.2", ""),
        ("redemption", "points", "-1", ""),
        ("redemption", "points", "0.95", "2011-13"),
        ("redemption", "", "0.95", ""),
        ("worth", "points", "0.95", ""),
        ("worth", "points", "0.01 GBP", "2011-01"),
        ("account", "cash", "1000", ""),
        ("account", "deferred_revenue", "=1+1", ""),
    ],
)
def test_what_makes_no_sense_is_not_approved(what: str, of: str, value: str, issued: str) -> None:
    with pytest.raises(NotApprovable):
        Approval(1, what, of, value, 0, "Ann", 0, issued)  # type: ignore[arg-type]  # any text may come


def test_the_latest_date_holds_and_of_one_date_the_latest_approval() -> None:
    dated = Approvals(
        [approved(1, "0.9"), approved(2, "0.8", "2011-02-01"), approved(3, "0.7", "2011-02-01")]
    )
    day = at("2011-02-01")
    assert [dated.redemption("points", "2011-01", when) for when in (day - DAY, day)] == [
        Fraction(9, 10),
        Fraction(7, 10),
    ]
    assert dated.redemption("miles", "2011-01", day) == 1
