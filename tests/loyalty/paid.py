"""What the journal of a shop says that points were paid with, read as a report reads it."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from services.loyalty.domain.activity import Purchased, decode_body
from services.loyalty.domain.approved import Approvals
from services.loyalty.domain.consideration import (
    PURCHASE,
    Change,
    Consideration,
    Found,
    Row,
    decided_body,
    transaction_price,
)
from services.loyalty.domain.receipt import Receipt, decode_receipt
from tests.loyalty.domain.shop import Shop
from tests.loyalty.proof import _facts

Order = tuple[str, str]
"""A member and an order; the order is empty for what belongs to none."""


def paid(shop: Shop, approvals: Approvals) -> dict[Order, list[Found]]:
    """What points received and refunds took back, by order."""
    reader = Consideration({program.version: program for program in shop.programs}, approvals)
    told: defaultdict[Order, list[Found]] = defaultdict(list)
    made: dict[tuple[str, int], Row] = {}
    chains: defaultdict[Order, list[tuple[Row, Receipt]]] = defaultdict(list)
    for (member, seq), row in shop.store.journal.items():
        facts = _facts(row[15])
        decided = decided_body(decode_body(row[14]), facts)
        each = Row(seq, 1, row[2], row[5], row[9], decided)
        if facts.receipt is not None:
            chains[member, facts.receipt.order].append((each, facts.receipt))
        else:
            made[member, seq] = each
        entries = [
            entry
            for entry in shop.store.entries(member).get(seq, [])
            if facts.receipt is None or not entry.order
            if entry.kind in ("accrual", "opening")
            or (entry.kind == "adjustment" and entry.to_bucket == "available")
        ]
        bought = decided if facts.receipt is None else None
        order = bought.order if isinstance(bought, Purchased) else ""
        told[member, order] += reader.issued(each, entries)
    for (member, order), chain in chains.items():
        if (member, order) not in shop.store.receipts:
            continue  # known from a merged account, and nothing came of it here
        last = decode_receipt(shop.store.receipts[member, order])
        absorbed = reversed(shop.store.account(member).affairs.absorbed) if last.of else ()
        earlier = [
            (row._replace(section=-1), receipt)
            for other in absorbed
            for row, receipt in chains.get((other, order), ())
        ]
        found = reader.returned(made.get((last.of or member, last.seq)), [*earlier, *chain], last)
        told[last.of or member, order] += (each for each in found if each.section > 0)
    return told


def check_paid(shop: Shop) -> None:
    """Raises AssertionError where a purchase's share is more than its price, or refunds leave or
    take what they must not.
    """
    prices = _prices(shop)
    for (member, order), told in paid(shop, Approvals()).items():
        shares = [each for each in told if isinstance(each, Change) and each.funding == PURCHASE]
        left = sum((each.amount for each in shares), Fraction(0))
        assert 0 <= left == int(left), (member, order, left)
        if not order or (member, order) not in shop.store.receipts:
            continue
        receipt = _latest(shop, member, order)
        assert left <= prices.get((member, order), 0) or _amended(shop, member, order)
        posted = [posting for posting in receipt.postings if not posting.window]
        if all(sum(posting.reversed) == posting.points for posting in posted):
            assert left == 0, (member, order, shares)


def _latest(shop: Shop, member: str, order: str) -> Receipt:
    """The receipt as it is by whichever of the member's ids came last."""
    account, receipts = shop.store.account(member), shop.store.receipts
    if account.merged_into:
        for who in _onwards(shop, account.merged_into):
            later = receipts.get((who, order))
            if later is not None and decode_receipt(later).of == member:
                return decode_receipt(later)
    return decode_receipt(receipts[member, order])


def _onwards(shop: Shop, member: str) -> list[str]:
    """A member and those whose accounts took hers over, the last one first."""
    into = shop.store.account(member).merged_into
    return [*(_onwards(shop, into) if into else []), member]


def _prices(shop: Shop) -> dict[Order, int]:
    """The first price of every order."""
    prices: dict[Order, int] = {}
    for (member, _), row in shop.store.journal.items():
        decided = decided_body(decode_body(row[14]), _facts(row[15]))
        if isinstance(decided, Purchased) and row[3] == "accepted":
            price = transaction_price(decided.lines, decided.discount, decided.prepaid)
            prices.setdefault((member, decided.order), price)
    return prices


def _amended(shop: Shop, member: str, order: str) -> bool:
    """Whether something was bought to the order later, at a price of its own."""
    return any(
        who == member and row[2] in ("amendment", "resumed") and order in row[14] + row[15]
        for (who, _), row in shop.store.journal.items()
    )
