"""What the lines of an order cost, and how much of that may earn."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from services.loyalty.domain.activity import Line, Purchased
from services.loyalty.domain.program import Filter, Program
from services.loyalty.domain.receipt import ReceiptLine
from services.loyalty.domain.shares import spread


def receipt_lines(program: Program, body: Purchased) -> list[ReceiptLine]:
    """The lines with their value (what was paid, after every discount) and spend (the part that may
    earn).

    Order-wide discounts, and a prepaid part that does not earn, are spread over the lines in
    proportion to what each cost, by largest remainder, so that no penny is lost or doubled.
    """
    lines: list[Line] = body.lines
    values = [line.quantity * line.unit_price - line.discount for line in lines]
    if body.discount:
        values = _less(values, body.discount)
    spends = _spends(program, body, values)
    exclude = program.exclude
    if exclude.sku or exclude.category or exclude.brand:
        spends = [
            0 if _is_of(line, exclude.sku, exclude.category, exclude.brand) else spends[index]
            for index, line in enumerate(lines)
        ]
    if program.basis.shipping and body.shipping:
        extra = spread(body.shipping, [body.shipping if spend else 0 for spend in spends])
        spends = [spend + more for spend, more in zip(spends, extra, strict=True)]
    return [
        ReceiptLine(line.position, line.quantity, values[index], spends[index])
        for index, line in enumerate(lines)
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


def _spends(program: Program, body: Purchased, values: list[int]) -> list[int]:
    spends = values
    if not program.basis.tax and _is_taxed(body.lines):
        spends = [
            value - (line.tax * value // line.paid if line.paid else 0)
            for line, value in zip(body.lines, values, strict=True)
        ]
    if body.prepaid and not program.basis.prepaid:
        spends = _less(spends, _prepaid_share(body.prepaid, spends, values))
    return spends


def _is_taxed(lines: list[Line]) -> bool:
    for line in lines:  # noqa: SIM110 - compiled, a loop costs less than a generator
        if line.tax:
            return True
    return False


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
