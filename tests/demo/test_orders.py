"""From invoice lines to purchases, and to refunds that name them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.demo.orders import Cancellation, Purchase, Refund, Sale, SoldLine, Tally, to_sales
from services.demo.retail import BadFileError, Row
from services.loyalty.domain.calendar import DAY, HOUR, MINUTE

START = 1_291_190_400_000_000


def rows(text: str, member: str = "m1") -> list[Row]:
    """Rows from ``day invoice sku quantity price``; a sixth word is the customer (``-``: guest)."""
    made: list[Row] = []
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), 2):
        day, invoice, sku, quantity, price, *rest = line.split()
        customer = (rest or [member])[0]
        at = START + int(float(day) * DAY)
        made.append(
            Row(number, invoice, sku, int(quantity), at, int(price), customer.strip("-"), "France")
        )
    return made


def sales(text: str) -> list[Sale]:
    return to_sales(rows(text))[0]


def tally(text: str) -> Tally:
    return to_sales(rows(text))[1]


def test_an_invoice_becomes_a_purchase_whose_lines_have_positions() -> None:
    (purchase,) = sales("0 1 mug 2 100\n0 1 cup 1 250\n0 1 mug 3 100")
    lines = (SoldLine(1, "mug", 2, 100), SoldLine(2, "cup", 1, 250), SoldLine(3, "mug", 3, 100))
    assert purchase == Purchase("1", "m1", START, "France", lines)


def test_an_invoice_written_over_two_minutes_is_one_purchase_at_its_last_line() -> None:
    (purchase,) = sales("0 1 mug 2 100\n0.25 1 cup 1 250")
    assert purchase.at == START + DAY // 4


def test_lines_at_no_price_are_kept() -> None:
    (purchase,) = sales("0 1 mug 2 0")
    assert isinstance(purchase, Purchase)
    assert purchase.lines == (SoldLine(1, "mug", 2, 0),)


def test_a_return_names_the_line_of_its_purchase() -> None:
    (_, refund) = sales("0 1 cup 1 250\n0 1 mug 5 100\n3 C2 mug -2 100")
    assert refund == Refund("C2", "1", "m1", START + 3 * DAY, ((2, 2),))


def test_a_return_takes_the_most_recent_purchase_with_enough_left() -> None:
    returns = "2 C3 mug -3 100\n3 C4 mug -2 100\n4 C5 mug -2 100"
    refunds = sales("0 1 mug 5 100\n1 2 mug 2 100\n" + returns)[2:]
    assert [(r.order, r.lines) for r in refunds if isinstance(r, Refund)] == [
        ("1", ((1, 3),)),
        ("2", ((1, 2),)),
        ("1", ((1, 2),)),
    ]


def test_a_return_that_no_purchase_covers_is_split_over_several_the_most_recent_first() -> None:
    text = "0 1 mug 2 100\n1 2 mug 3 100\n2 C3 mug -4 100"
    refunds = sales(text)[2:]
    assert [(r.order, r.lines) for r in refunds if isinstance(r, Refund)] == [
        ("2", ((1, 3),)),
        ("1", ((1, 1),)),
    ]
    assert tally(text).returns_split_over_orders == 1


def test_a_sku_sold_twice_on_one_invoice_comes_back_from_the_line_of_the_same_price_first() -> None:
    (_, refund) = sales("0 1 mug 2 100\n0 1 mug 2 90\n1 C2 mug -3 90")
    assert isinstance(refund, Refund)
    assert refund.lines == ((1, 1), (2, 2))


def test_what_was_bought_before_the_file_is_refunded_of_an_order_labelled_as_made_up() -> None:
    (_, known, unknown) = sales("0 1 mug 2 100\n1 C2 mug -3 100\n1 C2 vase -1 900")
    assert known == Refund("C2", "1", "m1", START + DAY, ((1, 2),))
    assert unknown == Refund("C2", "made-up-C2", "m1", START + DAY, ((1, 1), (2, 1)), known=False)


def test_nothing_is_returned_to_another_member_or_before_it_was_bought() -> None:
    text = "0 C1 mug -1 100 m1\n1 2 mug 1 100 m1\n1 3 mug 1 100 m2\n2 C4 mug -1 100 m3"
    made = sales(text)
    assert [sale.order for sale in made if isinstance(sale, Refund)] == ["made-up-C1", "made-up-C4"]


def test_an_order_that_comes_back_whole_on_its_day_is_cancelled() -> None:
    made, counts = to_sales(
        rows("0 541431 23166 74215 104 12346\n0.011 C541433 23166 -74215 104 12346")
    )
    assert isinstance(made[0], Purchase)
    assert made[0].lines[0].quantity * made[0].lines[0].unit_price == 7_718_360
    assert made[1] == Cancellation("C541433", "541431", "12346", START + int(0.011 * DAY))
    assert made[1].at - made[0].at < 16 * MINUTE
    assert (counts.cancellations, counts.refunds) == (1, 0)


@pytest.mark.parametrize(
    "returned",
    [
        "2 C2 mug -5 100",  # not on its day
        "0.1 C2 mug -4 100",  # not whole
        "0.1 C2 mug -5 100\n0.1 C2 vase -1 100",  # and something else
        "0.1 C2 mug -1 100\n0.2 C3 mug -4 100",  # not at once
    ],
)
def test_every_other_return_stays_a_refund_by_line(returned: str) -> None:
    assert not any(isinstance(sale, Cancellation) for sale in sales("0 1 mug 5 100\n" + returned))


def test_a_discount_on_the_invoice_lowers_what_the_order_paid() -> None:
    (purchase,) = sales("0 1 mug 5 100\n0 1 D -1 120")
    assert isinstance(purchase, Purchase)
    assert (purchase.discount, len(purchase.lines)) == (120, 1)


def test_a_discount_given_later_lowers_the_most_recent_order_that_paid_enough() -> None:
    refunds = sales("0 1 mug 5 100\n1 2 mug 1 100\n2 C3 D -1 150")[2:]
    assert refunds == [Refund("C3", "1", "m1", START + 2 * DAY, amount=150)]


def test_a_discount_beyond_all_that_was_paid_is_split_and_its_rest_is_of_an_unknown_order() -> None:
    refunds = sales("0 1 mug 5 100\n1 2 mug 1 100\n2 C3 D -1 650")[2:]
    assert [(r.order, r.amount, r.known) for r in refunds if isinstance(r, Refund)] == [
        ("2", 100, True),
        ("1", 500, True),
        ("made-up-C3", 50, False),
    ]


def test_postage_and_corrections_travel_as_lines() -> None:
    (purchase,) = sales("0 1 mug 5 100\n0 1 POST 1 1800\n0 1 M 1 5")
    assert isinstance(purchase, Purchase)
    assert [line.sku for line in purchase.lines] == ["mug", "POST", "M"]


def test_guests_and_stock_write_offs_are_counted_and_left_out() -> None:
    guests = "0 1 mug 5 100 -\n0 1 cup 5 100 -\n0 C2 cup -1 100 -\n0 3 cup -9 0 -"
    counts = tally(guests + "\n0 4 cup 1 100 m1\n0 4 cup 0 9 m1")
    assert (counts.guest_invoices_left_out, counts.guest_lines_left_out) == (2, 3)
    assert (counts.stock_write_offs_left_out, counts.empty_lines_left_out) == (1, 1)
    assert (counts.lines, counts.members, counts.purchases, counts.purchase_lines) == (6, 1, 1, 1)


def test_an_invoice_of_two_customers_is_refused_with_both_lines() -> None:
    with pytest.raises(BadFileError, match="line 3: invoice 1 names customer m2, but m1 on line 2"):
        to_sales(rows("0 1 mug 1 1 m1\n0 1 cup 1 1 m2"))


invoice_rows = st.builds(
    Row,
    number=st.integers(2, 999),
    invoice=st.just(""),
    sku=st.sampled_from(["mug", "cup", "POST", "D"]),
    quantity=st.integers(-6, 6),
    at=st.integers(0, 4).map(lambda hours: START + hours * 9 * HOUR),
    unit_price=st.integers(0, 300),
    customer=st.sampled_from(["m1", "m2", ""]),
    country=st.just("France"),
)


def spread(drawn: list[Row]) -> list[Row]:
    """The rows on a few invoices of one customer each."""
    return [
        row._replace(invoice=f"{row.customer}{row.at}{n % 3}", number=n)
        for n, row in enumerate(drawn, 2)
    ]


@given(st.lists(invoice_rows, max_size=40))
def test_no_line_is_returned_more_than_bought_and_every_unit_is_accounted_for(
    drawn: list[Row],
) -> None:
    named = spread(drawn)
    made, counts = to_sales(named)
    purchases = [sale for sale in made if isinstance(sale, Purchase)]
    bought = {(p.order, line.position): line.quantity for p in purchases for line in p.lines}
    back: Counter[tuple[str, int]] = Counter()
    unknown = 0
    for sale in made:
        if isinstance(sale, Cancellation):
            whole = {key: units for key, units in bought.items() if key[0] == sale.order}
            back.update(whole)
        elif isinstance(sale, Refund) and sale.known:
            back.update({(sale.order, position): units for position, units in sale.lines})
        elif isinstance(sale, Refund):
            unknown += sum(units for _, units in sale.lines)
    assert all(0 < units <= bought[key] for key, units in back.items())
    ours = [row for row in named if row.customer]
    assert sum(bought.values()) == sum(max(row.quantity, 0) for row in ours)
    given_back = -sum(min(row.quantity, 0) for row in ours if row.sku != "D")
    assert back.total() + unknown == given_back
    assert counts.lines == len(named)
    assert [sale.at for sale in made] == sorted(sale.at for sale in made)


@given(st.lists(invoice_rows, max_size=30))
def test_no_order_gives_back_more_money_by_discounts_than_it_took(drawn: list[Row]) -> None:
    named = spread(drawn)
    made, _ = to_sales(named)
    paid: dict[str, int] = {}
    for sale in made:
        if isinstance(sale, Purchase):
            worth = sum(line.quantity * line.unit_price for line in sale.lines)
            paid[sale.order] = worth - sale.discount
            assert paid[sale.order] >= 0
        elif isinstance(sale, Refund) and sale.known:
            paid[sale.order] -= sale.amount
            assert paid[sale.order] >= 0
