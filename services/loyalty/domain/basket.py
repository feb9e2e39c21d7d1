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
    lines = body.lines
    values = [line.quantity * line.unit_price - line.discount for line in lines]
    if body.discount:
        values = _less(values, body.discount)
    spends = _spends(program, body, values)
    exclude = program.exclude
    if exclude.sku or exclude.category or exclude.brand:
        spends = [
            0 if _excluded(line, exclude) else spend
            for line, spend in zip(lines, spends, strict=True)
        ]
    if program.basis.shipping and body.shipping:
        extra = spread(body.shipping, [body.shipping if spend else 0 for spend in spends])
        spends = [spend + more for spend, more in zip(spends, extra, strict=True)]
    return [
        ReceiptLine(line.position, line.quantity, value, spend)
        for line, value, spend in zip(lines, values, spends, strict=True)
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
    if not program.basis.tax and any(line.tax for line in body.lines):
        spends = [
            value - (line.tax * value // line.paid if line.paid else 0)
            for line, value in zip(body.lines, values, strict=True)
        ]
    if body.prepaid and not program.basis.prepaid:
        spends = _less(spends, _prepaid_share(body.prepaid, spends, values))
    return spends


def _prepaid_share(prepaid: int, spends: list[int], values: list[int]) -> int:
    """The prepaid part as it falls on the earning money: net of tax where tax does not earn
    (rounded against us).
    """
    paid, earning = sum(values), sum(spends)
    return prepaid if paid == earning or not paid else min(prepaid, paid) * earning // paid


def _less(amounts: list[int], off: int) -> list[int]:
    return [amount - share for amount, share in zip(amounts, spread(off, amounts), strict=True)]


def _excluded(line: Line, exclude: Filter) -> bool:
    return (
        line.sku in exclude.sku or line.category in exclude.category or line.brand in exclude.brand
    )


def chosen(filter_: Filter, lines: Sequence[Line]) -> list[int]:
    """Indexes of the lines that a filter chooses."""
    return [index for index, line in enumerate(lines) if _chooses(filter_, line)]


def _chooses(filter_: Filter, line: Line) -> bool:
    return (
        (not filter_.sku or line.sku in filter_.sku)
        and (not filter_.category or line.category in filter_.category)
        and (not filter_.brand or line.brand in filter_.brand)
        and line.sku not in filter_.exclude_sku
        and line.category not in filter_.exclude_category
        and line.brand not in filter_.exclude_brand
    )
