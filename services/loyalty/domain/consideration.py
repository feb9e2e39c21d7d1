"""What members pay for points: the part of a price that is allocated to the points it earned.

A purchase that earns points sells two things, the goods and a material right to more (IFRS 15 B39
and B40; ASC 606-10-55-41 and 55-42). Its price is shared by both in proportion to what each would
cost by itself. That is settled when the points are issued and never estimated again; only a refund
takes its part back. All of it follows from what the journal holds, so nothing of it is in `decide`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor, lcm
from typing import NamedTuple, TypeAlias

from services.loyalty.domain.activity import (
    Amended,
    AnyBody,
    ClaimedPurchase,
    Line,
    Opening,
    OpeningLot,
    OpeningPosting,
    Purchased,
    Resumed,
)
from services.loyalty.domain.approved import Approvals
from services.loyalty.domain.basket import discounted
from services.loyalty.domain.calendar import Instant, local_date, month_text
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.program import Program
from services.loyalty.domain.purchases import added
from services.loyalty.domain.receipt import Posting, Receipt
from services.loyalty.domain.shares import largest_remainder

PURCHASE, GRATUITOUS, THIRD_PARTY = "purchase", "gratuitous", "third_party"
FUNDINGS = (PURCHASE, THIRD_PARTY, GRATUITOUS)

_UNRULED = frozenset({"tick", "adjustment"})
"""Kinds of activity whose points no rule gives: their causes are names of gifts, or reasons."""


class Row(NamedTuple):
    """A journal row as far as it says what points are paid with. ``body`` is what was decided, see
    :func:`decided_body`. ``section`` says on which side of a cut it stands.
    """

    seq: int
    section: int
    kind: str
    version: int
    effective_at: Instant
    body: AnyBody | None = None


class Change(NamedTuple):
    """Consideration that points of a month of issue received, or that a refund took back (< 0).

    ``amount`` is in minor units of ``money``. Shares of a price are whole; what is worth and points
    multiplied is exact, and rounded once where it is summed. What is ``imported`` came along with
    the points, and nobody pays it now.
    """

    section: int
    currency: str
    issued: str
    money: str
    funding: str
    amount: Fraction
    refund: bool = False
    imported: bool = False


class Unpriced(NamedTuple):
    """Points issued without consideration, and why: ``no_worth``, ``no_worth_in_money`` or
    ``imported``.
    """

    section: int
    currency: str
    money: str
    reason: str
    points: int


Found: TypeAlias = Change | Unpriced


class _Part(NamedTuple):
    """Points that one rule issued, before they have a share of a price; ``bought`` are those that
    came with the order of the row's body.
    """

    rule: str
    currency: str
    points: int
    issued: str
    bought: bool


class _Share(NamedTuple):
    """What those points received; ``money`` is empty where that is nothing for the ``reason``."""

    funding: str
    money: str
    amount: Fraction
    reason: str = ""


def decided_body(body: AnyBody, facts: Facts) -> AnyBody | None:
    """The body that was decided: of a resumed row what had waited, and of a guest's purchase that a
    member claimed the purchase.
    """
    decided = facts.parked if isinstance(body, Resumed) else body
    return decided.purchase if isinstance(decided, ClaimedPurchase) else decided


def half_up(amount: Fraction) -> int:
    """The nearest whole number; a half is rounded up."""
    return floor(amount + Fraction(1, 2))


def transaction_price(lines: Sequence[Line], discount: int, prepaid: int = 0) -> int:
    """What was paid for lines after every discount, net of tax, in minor units (IFRS 15.47, ASC
    606-10-32-2: tax collected for others is no part of it).

    What was paid by points or vouchers is no new consideration: the part of it is left out.
    """
    values = discounted(lines, discount)
    gross = sum(line.paid for line in values)
    tax = sum(
        line.tax * value.paid // line.paid if line.paid else 0
        for line, value in zip(lines, values, strict=True)
    )
    net = gross - tax
    return net - min(prepaid, gross) * net // gross if gross else net


def allocate(price: int, alone: Sequence[Fraction]) -> list[int]:
    """The whole parts of a price that go to points with these stand-alone prices (IFRS 15.74 and
    76; ASC 606-10-32-29 and 32-31): the goods' own stand-alone price is what was paid for them.

    All points together get price × theirs ÷ (price + theirs), rounded once; among them it is split
    by largest remainder.
    """
    total = alone[0] if len(alone) == 1 else sum(alone, Fraction(0))
    if not total or not price:
        return [0] * len(alone)
    part, of = price * total.numerator, price * total.denominator + total.numerator
    whole = (2 * part + of) // (2 * of)
    if len(alone) == 1:
        return [whole]
    common = lcm(*(each.denominator for each in alone))
    return largest_remainder(whole, [int(each * common) for each in alone])


class Consideration:
    """Reads journal rows and says what their points were paid with."""

    def __init__(self, programs: Mapping[int, Program], approvals: Approvals) -> None:
        self._programs = programs
        self._approvals = approvals
        self._fundings: dict[int, dict[str, str]] = {}
        self._points: dict[tuple[int, int, str, str, str, str], tuple[Fraction, str, str]] = {}

    def issued(self, row: Row, entries: Sequence[LedgerEntry]) -> Iterator[Found]:
        """What the points received that a row issued; none of the entries is of an order whose
        receipt was there before, which :meth:`returned` reads.
        """
        if isinstance(row.body, Opening):
            yield from self._imported(row, row.body)
            return
        order = row.body.order if isinstance(row.body, Purchased) else ""
        made = [
            _Part(
                entry.cause,
                entry.currency,
                entry.points,
                _month(entry.lot_to),
                bool(order) and entry.order == order,
            )
            for entry in entries
            if self._spendable(row, entry.currency)
        ]
        price, money = _price_of(row.body)
        for part, share in zip(made, self._shares(row, made, price, money), strict=True):
            yield _found(row.section, part, share, share.amount)

    def _imported(self, row: Row, body: Opening) -> Iterator[Found]:
        """What came along with points, and the points of months with which nothing did."""
        for paid in body.paid:
            yield Change(
                row.section,
                paid.currency,
                paid.issued,
                paid.money,
                paid.funding,
                Fraction(paid.amount),
                imported=True,
            )
        told = {(paid.currency, paid.issued) for paid in body.paid}
        for lot in body.lots:
            if self._spendable(row, lot.currency) and self._issued(row, lot) not in told:
                yield Unpriced(row.section, lot.currency, "", "imported", lot.points)

    def _issued(self, row: Row, lot: OpeningLot | OpeningPosting) -> tuple[str, str]:
        zone = self._programs[row.version].zone
        return lot.currency, month_text(local_date(lot.earned_at, zone))

    def returned(
        self, purchase: Row | None, chain: Sequence[tuple[Row, Receipt]], last: Receipt
    ) -> Iterator[Found]:
        """What every row that changed a receipt did to the consideration of its points.

        ``chain`` holds these rows in order, each with the receipt as it found it; ``last`` is the
        receipt after all of them, ``purchase`` the row that made it. What one row left is what the
        next one found, so the rules of refunds are not told a second time here.
        """
        first = chain[0][1]
        price, money = _price_of(purchase.body if purchase else None)
        made = self._of_postings(purchase, first, first.postings, price, money)
        held = [
            (part, share, sum(posting.reversed))  # of what was imported, some may have come back
            for (part, share), posting in zip(made, first.postings, strict=True)
        ]
        for index, (row, before) in enumerate(chain):
            after = chain[index + 1][1] if index + 1 < len(chain) else last
            kept: list[tuple[_Part, _Share, int]] = []
            rest = iter(after.postings)
            posting = next(rest, None)
            for part, share, back in held:
                gone = part.points
                if posting is not None and _same(posting, part):
                    gone = sum(posting.reversed)
                    kept.append((part, share, gone))
                    posting = next(rest, None)
                difference = _taken_back(share, gone, part) - _taken_back(share, back, part)
                if difference and share.money:
                    yield _found(row.section, part, share, -difference, refund=True)
            fresh = [*([posting] if posting is not None else []), *rest]
            if fresh:
                price, money = _price_of_more(before, row.body)
                parts = self._of_postings(row, after, fresh, price, money)
                for (part, share), posted in zip(parts, fresh, strict=True):
                    back = sum(posted.reversed)
                    yield _found(row.section, part, share, share.amount)
                    if back and share.money:
                        took = _taken_back(share, back, part)
                        yield _found(row.section, part, share, -took, refund=True)
                    kept.append((part, share, back))
            held = kept

    def _of_postings(
        self,
        row: Row | None,
        receipt: Receipt,
        postings: Sequence[Posting],
        price: int,
        money: str,
    ) -> list[tuple[_Part, _Share]]:
        body = row.body if row else None
        bought = isinstance(body, Purchased | Amended) and body.order == receipt.order
        parts = [
            _Part(one.rule, one.currency, one.points, _month(one.lots[0][0]), bought)
            for one in postings
        ]
        if row is None:
            return [(part, _Share(GRATUITOUS, "", Fraction(0))) for part in parts]
        if isinstance(body, Opening):
            return [(part, self._brought(row, body, receipt, part)) for part in parts]
        counted = [part for part in parts if self._spendable(row, part.currency)]
        shares = iter(self._shares(row, counted, price, money))
        nothing = _Share(GRATUITOUS, "", Fraction(0))
        return [
            (part, next(shares) if self._spendable(row, part.currency) else nothing)
            for part in parts
        ]

    def _brought(self, row: Row, body: Opening, receipt: Receipt, part: _Part) -> _Share:
        """The share of an imported order's points in what came along with the points of their
        month: all of one month count alike, and what is taken back of them together is never more
        than came.
        """
        key = part.currency, part.issued, receipt.currency, PURCHASE
        amount = sum(
            paid.amount
            for paid in body.paid
            if (paid.currency, paid.issued, paid.money, paid.funding) == key
        )
        if not amount:
            return _Share(GRATUITOUS, "", Fraction(0))
        held = sum(lot.points for lot in body.lots if self._issued(row, lot) == key[:2])
        earned = sum(
            sum(each.allocated)
            for order in body.orders
            for each in order.postings
            if self._issued(row, each) == key[:2]
        )
        return _Share(PURCHASE, receipt.currency, Fraction(amount * part.points, max(held, earned)))

    def _shares(self, row: Row, parts: Sequence[_Part], price: int, money: str) -> list[_Share]:
        """What each part receives: its share of the price, what a third party pays, or its cost.

        A point alone is worth × redemption expected at issue (IFRS 15 B42, ASC 606-10-55-44). A
        third party pays for every point, redeemed or not.
        """
        shares: list[_Share] = []
        alone: list[tuple[int, Fraction]] = []
        for index, part in enumerate(parts):
            funding = self._funding(row, part.rule)
            if funding == PURCHASE and not part.bought:
                funding = GRATUITOUS
            each, code, why = self._point(row, part, funding, money)
            amount = each * part.points
            if funding == PURCHASE and code:
                alone.append((index, amount))
            shares.append(_Share(funding, code, amount, why))
        split = allocate(price, [amount for _, amount in alone])
        for (index, _), allocated in zip(alone, split, strict=True):
            shares[index] = shares[index]._replace(amount=Fraction(allocated))
        return shares

    def _point(self, row: Row, part: _Part, funding: str, money: str) -> tuple[Fraction, str, str]:
        """What one point receives alone, its money, and else why it receives nothing."""
        held = self._approvals.held(row.effective_at)
        key = held, row.version, part.currency, part.issued, funding, money
        known = self._points.get(key)
        if known is None:
            worth, code, why = self._worth(row, part.currency, money if funding == PURCHASE else "")
            expected = self._approvals.redemption(part.currency, part.issued, row.effective_at)
            alone = worth if funding == THIRD_PARTY else worth * expected
            known = self._points[key] = alone, code, why
        return known

    def _worth(self, row: Row, currency: str, money: str) -> tuple[Fraction, str, str]:
        """A point's worth in minor units, the money, and else why there is none. The programme
        states it in one money; another needs an approval, because no rate is guessed.
        """
        stated = self._programs[row.version].currency(currency).worth
        if stated is None:
            return Fraction(0), "", "no_worth"
        minor, per, code = stated
        if not money or money == code:
            return Fraction(minor, per), code, ""
        approved = self._approvals.worth(currency, money, row.effective_at)
        if approved is None:
            return Fraction(0), "", "no_worth_in_money"
        return approved, money, ""

    def _spendable(self, row: Row, currency: str) -> bool:
        program = self._programs.get(row.version)
        return program is not None and not program.currency(currency).qualifies

    def _funding(self, row: Row, rule: str) -> str:
        """Who pays for what a rule gave: as the version says that judged, not a later one."""
        if row.kind in _UNRULED:
            return GRATUITOUS
        known = self._fundings.get(row.version)
        if known is None:
            rules = self._programs[row.version].rules
            known = self._fundings[row.version] = {one.id: one.funding for one in rules}
        return known.get(rule, GRATUITOUS)


def _price_of(body: AnyBody | None) -> tuple[int, str]:
    """The price of a purchase and its money; no money where there is no purchase."""
    if not isinstance(body, Purchased):
        return 0, ""
    return transaction_price(body.lines, body.discount, body.prepaid), body.currency


def _price_of_more(before: Receipt, body: AnyBody | None) -> tuple[int, str]:
    """The price of what an amendment adds to an order, and its money."""
    if not isinstance(body, Amended):
        return 0, ""
    lines = added(before, discounted(body.lines, body.discount))
    return transaction_price(lines, 0), body.currency


def _found(
    section: int, part: _Part, share: _Share, amount: Fraction, *, refund: bool = False
) -> Found:
    if not share.money:
        return Unpriced(section, part.currency, "", share.reason, part.points)
    return Change(section, part.currency, part.issued, share.money, share.funding, amount, refund)


def _taken_back(share: _Share, back: int, part: _Part) -> Fraction:
    """How much of a share goes back with so many of its points: whole where the share is part of a
    price, and measured from the beginning, so that any number of refunds sums to the whole.
    """
    exact = share.amount * back / part.points
    return Fraction(half_up(exact)) if share.funding == PURCHASE else exact


def _same(posting: Posting, part: _Part) -> bool:
    key = posting.rule, posting.currency, posting.points
    return key == (part.rule, part.currency, part.points)


def _month(lot: str) -> str:
    """The month of issue that a lot's name holds."""
    return lot.split("/", 2)[1] if "/" in lot else ""
