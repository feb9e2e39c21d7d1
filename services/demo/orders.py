"""Turns invoice lines into what a shop would have told us: purchases, refunds, cancellations.

A return in the file does not say what it returns, so it is matched: same customer, same stock
code, the most recent earlier purchase with enough left; where none has enough, over several of
them, the most recent first. What no purchase of the file explains was bought before the file
begins and becomes a refund of an unknown order, whose id is made up and begins with
:data:`MADE_UP`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

from services.demo.retail import SHOP_ZONE, BadFileError, Row, read_file
from services.loyalty.domain.calendar import Instant, local_date

MADE_UP = "made-up-"
DISCOUNT = "D"


class SoldLine(NamedTuple):
    """A line of a purchase; positions count from 1, ``unit_price`` is pence."""

    position: int
    sku: str
    quantity: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class Purchase:
    """An invoice that sold something. ``discount`` (pence) is what its own D lines took off."""

    order: str
    member: str
    at: Instant
    country: str
    lines: tuple[SoldLine, ...]
    discount: int = 0


@dataclass(frozen=True, slots=True)
class Refund:
    """What one invoice gave back of one order: quantities by position, and pence that name no line.

    ``known`` says that the order is in the file.
    """

    invoice: str
    order: str
    member: str
    at: Instant
    lines: tuple[tuple[int, int], ...] = ()
    amount: int = 0
    known: bool = True


@dataclass(frozen=True, slots=True)
class Cancellation:
    """An order was called off whole on the day on which it was made."""

    invoice: str
    order: str
    member: str
    at: Instant


Sale: TypeAlias = Purchase | Refund | Cancellation


@dataclass(slots=True)
class Tally:
    """How many lines and invoices became what, and what was left out."""

    lines: int = 0
    members: int = 0
    purchases: int = 0
    purchase_lines: int = 0
    refunds: int = 0
    refunds_of_unknown_orders: int = 0
    cancellations: int = 0
    returns_split_over_orders: int = 0
    discounts: int = 0
    guest_invoices_left_out: int = 0
    guest_lines_left_out: int = 0
    stock_write_offs_left_out: int = 0
    empty_lines_left_out: int = 0


def read_sales(path: Path) -> tuple[list[Sale], Tally]:
    """:func:`to_sales` of a file.

    Raises:
        BadFileError: the file is not one of invoice lines, or no member bought anything.
    """
    try:
        sales, tally = to_sales(read_file(path))
        if not tally.purchases:
            raise BadFileError("no line of it was bought by a customer with an id")
    except BadFileError as error:
        raise BadFileError(f"{path}: {error}") from error
    return sales, tally


def to_sales(rows: Iterable[Row]) -> tuple[list[Sale], Tally]:
    """All that members bought and gave back, in order of time, and the count of everything.

    Raises:
        BadFileError: an invoice names two customers.
    """
    tally = Tally()
    guests: set[str] = set()
    ours = [row for row in rows if _is_members(row, tally, guests)]
    tally.guest_invoices_left_out = len(guests)
    shelf = _Shelf(tally)
    sales: list[Sale] = []
    for invoice in _invoices(ours):
        sales += shelf.take(invoice)
    tally.members = len({sale.member for sale in sales})
    return sales, tally


def _is_members(row: Row, tally: Tally, guests: set[str]) -> bool:
    tally.lines += 1
    if row.customer and row.quantity:
        return True
    if row.customer:
        tally.empty_lines_left_out += 1
    elif row.quantity < 0 and not row.invoice.startswith("C"):
        tally.stock_write_offs_left_out += 1
    else:
        tally.guest_lines_left_out += 1
        guests.add(row.invoice)
    return False


def _invoices(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows by invoice, in order of the time at which each was complete, then of the file."""
    by_invoice: dict[str, list[Row]] = {}
    for row in rows:
        lines = by_invoice.setdefault(row.invoice, [])
        if lines and lines[0].customer != row.customer:
            raise BadFileError(
                f"line {row.number}: invoice {row.invoice} names customer {row.customer},"
                f" but {lines[0].customer} on line {lines[0].number}"
            )
        lines.append(row)
    return sorted(by_invoice.values(), key=lambda lines: (_complete_at(lines), lines[0].number))


def _complete_at(lines: Sequence[Row]) -> Instant:
    return max(line.at for line in lines)


@dataclass(slots=True)
class _Left:
    """What of a sold line was not returned yet."""

    order: str
    position: int
    unit_price: int
    quantity: int


@dataclass(slots=True)
class _Order:
    """A purchase as returns see it: its time, the pence paid and the units still kept."""

    at: Instant
    money: int
    units: int
    untouched: bool = True


@dataclass(slots=True)
class _Back:
    """What one invoice gives back of one order."""

    lines: dict[int, int] = field(default_factory=dict)
    amount: int = 0


class _Shelf:
    """All that members bought and have not returned."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._lines: dict[tuple[str, str], list[_Left]] = {}
        self._orders: dict[str, dict[str, _Order]] = {}

    def take(self, invoice: Sequence[Row]) -> list[Sale]:
        """What an invoice of one member says: at most one purchase, then what came back."""
        sold = [row for row in invoice if row.quantity > 0]
        returned = [row for row in invoice if row.quantity < 0 and row.sku != DISCOUNT]
        off = [row for row in invoice if row.quantity < 0 and row.sku == DISCOUNT]
        discount = sum(-row.quantity * row.unit_price for row in off)
        at = _complete_at(invoice)
        self._tally.discounts += discount > 0
        sales: list[Sale] = []
        if sold:
            purchase = _purchase(sold, at, discount)
            discount -= purchase.discount
            self._put(purchase)
            sales.append(purchase)
        return sales + self._give_back(invoice[0], at, returned, discount)

    def _put(self, purchase: Purchase) -> None:
        self._tally.purchases += 1
        self._tally.purchase_lines += len(purchase.lines)
        for line in purchase.lines:
            left = _Left(purchase.order, line.position, line.unit_price, line.quantity)
            self._lines.setdefault((purchase.member, line.sku), []).append(left)
        worth = sum(line.quantity * line.unit_price for line in purchase.lines)
        units = sum(line.quantity for line in purchase.lines)
        orders = self._orders.setdefault(purchase.member, {})
        orders[purchase.order] = _Order(purchase.at, worth - purchase.discount, units)

    def _give_back(
        self, first: Row, at: Instant, returned: Sequence[Row], discount: int
    ) -> list[Sale]:
        backs: dict[str, _Back] = {}
        unknown = _Back()
        for row in returned:
            missing = self._return(row, backs)
            if missing:
                unknown.lines[len(unknown.lines) + 1] = missing
        if discount:
            unknown.amount = self._take_off(first.customer, discount, backs)
        alone = not (unknown.lines or discount)
        cancelled = self._cancelled(first.customer, at, backs) if alone else None
        for order in backs:
            self._orders[first.customer][order].untouched = False
        if cancelled:
            self._tally.cancellations += 1
            return [Cancellation(first.invoice, cancelled, first.customer, at)]
        refunds: list[Sale] = [_refund(first, at, order, back) for order, back in backs.items()]
        if unknown.lines or unknown.amount:
            refunds.append(_refund(first, at, MADE_UP + first.invoice, unknown, known=False))
            self._tally.refunds_of_unknown_orders += 1
        self._tally.refunds += len(refunds)
        return refunds

    def _return(self, row: Row, backs: dict[str, _Back]) -> int:
        """Takes a returned row from the shelf; answers how many units no purchase explains."""
        wanted = -row.quantity
        bought = self._lines.get((row.customer, row.sku), ())
        by_order = [list(lines) for _, lines in groupby(bought, _order_of)]
        chosen = next((lines for lines in reversed(by_order) if _units(lines) >= wanted), None)
        sources = [chosen] if chosen else list(reversed(by_order))
        touched = 0
        for lines in sources:
            took = self._take_units(row, lines, wanted, backs)
            wanted -= took
            touched += took > 0
        self._tally.returns_split_over_orders += touched > 1
        return wanted

    def _take_units(
        self, row: Row, lines: Sequence[_Left], wanted: int, backs: dict[str, _Back]
    ) -> int:
        """Takes up to ``wanted`` units from lines of one order, the returned price first."""
        took = 0
        for line in sorted(lines, key=lambda line: line.unit_price != row.unit_price):
            units = min(line.quantity, wanted - took)
            if not units:
                continue
            line.quantity -= units
            took += units
            order = self._orders[row.customer][line.order]
            order.units -= units
            order.money = max(0, order.money - units * line.unit_price)
            taken = backs.setdefault(line.order, _Back()).lines
            taken[line.position] = taken.get(line.position, 0) + units
        return took

    def _take_off(self, member: str, discount: int, backs: dict[str, _Back]) -> int:
        """Lowers what recent orders paid by a later discount; answers what found no order."""
        recent = list(reversed(self._orders.get(member, {}).items()))
        enough = next(((name, order) for name, order in recent if order.money >= discount), None)
        for name, order in [enough] if enough else recent:
            amount = min(order.money, discount)
            if amount:
                order.money -= amount
                discount -= amount
                backs.setdefault(name, _Back()).amount += amount
        return discount

    def _cancelled(self, member: str, at: Instant, backs: dict[str, _Back]) -> str | None:
        """The order that came back whole, at once, and on its own day."""
        if len(backs) != 1:
            return None
        name = next(iter(backs))
        order = self._orders[member][name]
        same_day = local_date(at, SHOP_ZONE) == local_date(order.at, SHOP_ZONE)
        return name if order.untouched and not order.units and same_day else None


def _order_of(line: _Left) -> str:
    return line.order


def _units(lines: Sequence[_Left]) -> int:
    return sum(line.quantity for line in lines)


def _purchase(sold: Sequence[Row], at: Instant, discount: int) -> Purchase:
    lines = tuple(
        SoldLine(n, row.sku, row.quantity, row.unit_price) for n, row in enumerate(sold, 1)
    )
    worth = sum(line.quantity * line.unit_price for line in lines)
    return Purchase(
        sold[0].invoice, sold[0].customer, at, sold[0].country, lines, min(discount, worth)
    )


def _refund(first: Row, at: Instant, order: str, back: _Back, *, known: bool = True) -> Refund:
    lines = tuple(sorted(back.lines.items()))
    return Refund(first.invoice, order, first.customer, at, lines, back.amount, known)
