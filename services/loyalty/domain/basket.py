"""What the lines of an order cost, and how much of that may earn."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs
from msgspec.structs import astuple

from services.loyalty.domain.activity import Line
from services.loyalty.domain.program import Filter, Program
from services.loyalty.domain.receipt import ReceiptLine
from services.loyalty.domain.shares import spread


def receipt_lines(
    program: Program, lines: list[Line], *, discount: int = 0, shipping: int = 0, prepaid: int = 0
) -> list[ReceiptLine]:
    """The lines with their value (what was paid, after every discount) and spend (the part that may
    earn).

    Order-wide discounts, and a prepaid part that does not earn, are spread over the lines in
    proportion to what each cost, by largest remainder, so that no penny is lost or doubled.
    """
    exclude = program.exclude
    skus, categories, brands = exclude.sku, exclude.category, exclude.brand
    positions: list[int] = []
    quantities: list[int] = []
    values: list[int] = []
    excluded: list[int] = []
    taxed = False
    position: int
    quantity: int
    unit_price: int
    off: int
    tax: int
    for index, line in enumerate(lines):
        # all fields at once: one by one, each would be looked up by its name
        position, sku, quantity, unit_price, off, tax, category, brand = astuple(line)
        positions.append(position)
        quantities.append(quantity)
        values.append(quantity * unit_price - off)
        taxed = taxed or tax != 0
        if sku in skus or (categories and category in categories) or (brands and brand in brands):
            excluded.append(index)
    if discount:
        values = _less(values, discount)
    spends = values
    if taxed and not program.basis.tax:
        spends = _untaxed(lines, values)
    if prepaid and not program.basis.prepaid:
        spends = _less(spends, _prepaid_share(prepaid, spends, values))
    if excluded:
        spends = spends.copy()
        for index in excluded:
            spends[index] = 0
    if shipping and program.basis.shipping:
        extra = spread(shipping, [shipping if spend else 0 for spend in spends])
        spends = [spend + more for spend, more in zip(spends, extra, strict=True)]
    return [
        ReceiptLine(positions[index], quantities[index], value, spends[index])
        for index, value in enumerate(values)
    ]


def discounted(lines: Sequence[Line], discount: int) -> list[Line]:
    """The lines with their share of a discount on the whole order in their own."""
    if not discount:
        return list(lines)
    shares = spread(discount, [line.paid for line in lines])
    return [
        structs.replace(line, discount=line.discount + share)
        for line, share in zip(lines, shares, strict=True)
    ]


def _untaxed(lines: list[Line], values: list[int]) -> list[int]:
    return [
        value - (line.tax * value // line.paid if line.paid else 0)
        for line, value in zip(lines, values, strict=True)
    ]


def _prepaid_share(prepaid: int, spends: list[int], values: list[int]) -> int:
    """The prepaid part as it falls on the earning money: net of tax where tax does not earn
    (rounded against us).
    """
    paid, earning = sum(values), sum(spends)
    return prepaid if paid == earning or not paid else min(prepaid, paid) * earning // paid


def _less(amounts: list[int], off: int) -> list[int]:
    return [amount - share for amount, share in zip(amounts, spread(off, amounts), strict=True)]


def chosen(filter_: Filter, lines: list[Line]) -> list[int]:
    """Indexes of the lines that a filter chooses."""
    indexes = list(range(len(lines)))
    if filter_.sku:
        indexes = [index for index in indexes if lines[index].sku in filter_.sku]
    if filter_.category and indexes:
        indexes = [index for index in indexes if lines[index].category in filter_.category]
    if filter_.brand and indexes:
        indexes = [index for index in indexes if lines[index].brand in filter_.brand]
    if filter_.leaves_out_lines and indexes:
        out = (filter_.exclude_sku, filter_.exclude_category, filter_.exclude_brand)
        indexes = [index for index in indexes if not _is_of(lines[index], *out)]
    return indexes


def _is_of(
    line: Line, skus: frozenset[str], categories: frozenset[str], brands: frozenset[str]
) -> bool:
    return line.sku in skus or line.category in categories or line.brand in brands
