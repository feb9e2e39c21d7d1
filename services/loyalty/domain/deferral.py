"""Deferred revenue: when the consideration of points is recognised, and what finance posts.

Standards: IFRS 15 B39 to B47 and ASC 606-10-55-41 to 55-49; the example is IFRS 15's 52.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

import msgspec

from services.loyalty.domain.approved import Approvals
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.consideration import (
    FUNDINGS,
    GRATUITOUS,
    PURCHASE,
    THIRD_PARTY,
    Change,
    half_up,
)
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.movements import OPENING, MonthPoints


def total_expected(points: MonthPoints, redemption: Fraction) -> Fraction:
    """How many points of a month are expected to be redeemed in all (IFRS 15 B46 and Example 52,
    ASC 606-10-55-48): those issued × the share that finance approved.

    Facts bound the estimate: never fewer than were redeemed, never more than still can be.
    """
    least, most = points.redeemed, points.redeemed + points.outstanding
    return min(Fraction(most), max(Fraction(least), redemption * points.issued))


def recognised(allocated: int, points: MonthPoints, redemption: Fraction) -> int:
    """What of the consideration is recognised by now: allocated × redeemed ÷ total expected, a
    cumulative catch-up (IFRS 15 B42 and B46, ASC 606-10-55-44 and 55-48).

    Where nothing more can be redeemed, or is expected to be, all of it is (IFRS 15 B46, ASC
    606-10-55-48: the likelihood has become remote).
    """
    expected = total_expected(points, redemption)
    return half_up(allocated * points.redeemed / expected) if expected else allocated


class MonthDeferred(msgspec.Struct, frozen=True, omit_defaults=True):
    """The consideration of one month's points in one money, by who pays for it; amounts are decimal
    texts. ``allocated`` and ``recognised`` are totals to date, ``deferred`` their difference.

    Attributes:
        currency: the currency of points.
        issued: their month of issue.
        money: ISO 4217.
        funding: ``purchase``, ``third_party`` or ``gratuitous``.
        points_redeemed: points of the month that were redeemed to date, whoever paid for them.
        points_expected: how many are expected to be, in all.
        redemption: the share that finance expects to be redeemed.
        allocated_before: what had been allocated before this period.
        allocated_now: what was allocated in this period.
        refunded_now: what refunds took back of it in this period.
        recognised_before: what had been recognised before this period.
        recognised_now: what this period recognises; a negative amount takes back.
        exact: ``allocated`` before it was rounded, as a fraction of minor units, where it differs.
        imported_now: what came along with imported points in this period, where anything did.
    """

    currency: str
    issued: str
    money: str
    funding: str
    points_redeemed: int
    points_expected: str
    redemption: str
    allocated_before: str
    allocated_now: str
    refunded_now: str
    allocated: str
    recognised_before: str
    recognised_now: str
    recognised: str
    deferred: str
    exact: str = ""
    imported_now: str = ""


class JournalLine(msgspec.Struct, frozen=True):
    """A posting for the general ledger: one debit and one credit of the same amount.

    A code is empty where finance approved none. ``why`` is ``allocated``, ``refunded``,
    ``recognised``, ``taken_back``, ``imported`` or ``released``. ``funding`` is that of points, or
    ``gift_vouchers``: vouchers that carry none.
    """

    why: str
    funding: str
    debit: str
    debit_code: str
    credit: str
    credit_code: str
    money: str
    amount: str


_ALLOCATED = {
    PURCHASE: ("sales_revenue", "deferred_revenue"),
    THIRD_PARTY: ("partner_receivable", "deferred_partner_revenue"),
    GRATUITOUS: ("marketing_expense", "loyalty_provision"),
}
"""Debit and credit of what points are issued with: a purchase's share waits (IFRS 15 B40, ASC
606-10-55-42); what nobody pays for is a cost of marketing at once.
"""
_IMPORTED = {funding: ("opening_balance", credit) for funding, (_, credit) in _ALLOCATED.items()}
"""Debit and credit of what came along with imported points: an account that finance clears against
the books of the system before, where it stood already.
"""
_RECOGNISED = {
    PURCHASE: ("deferred_revenue", "loyalty_revenue"),
    THIRD_PARTY: ("deferred_partner_revenue", "partner_revenue"),
    GRATUITOUS: ("loyalty_provision", "rewards_settled"),
}
"""Debit and credit of what is recognised as points are redeemed (IFRS 15 B40 and B46)."""

_Key = tuple[str, str, str, str]


GIFT_VOUCHERS = "gift_vouchers"
_OF_VOUCHERS = {
    "allocated": _ALLOCATED[GRATUITOUS],
    "recognised": _RECOGNISED[GRATUITOUS],
    "released": ("loyalty_provision", "marketing_expense"),
}
"""Debit and credit of vouchers that carry no points: nobody pays for them, so what they are worth
is a cost of marketing when they are issued, settled when they are used, and none after all when
they expire or are voided.
"""


class GiftVouchers(NamedTuple):
    """What vouchers without points were worth in a period, in minor units of ``money``: those
    issued, used, and expired or voided.
    """

    money: str
    issued: int
    used: int
    released: int


class Before(msgspec.Struct, frozen=True):
    """Where a month's consideration stood at the last close: minor units, and the exact total."""

    allocated: int
    recognised: int
    exact: Fraction


class Ledger:
    """Consideration by month of issue, money and funding, over one period."""

    def __init__(self, before: Mapping[_Key, Before] | None = None) -> None:
        self._closed = before
        self._before: defaultdict[_Key, Fraction] = defaultdict(Fraction)
        self._now: defaultdict[_Key, Fraction] = defaultdict(Fraction)
        self._refunded: defaultdict[_Key, Fraction] = defaultdict(Fraction)
        self._imported: defaultdict[_Key, Fraction] = defaultdict(Fraction)
        for key, each in (before or {}).items():
            self._before[key] = each.exact

    def add(self, change: Change) -> None:
        """Adds what a row allocated or took back."""
        key = change.currency, change.issued, change.money, change.funding
        if change.section == OPENING:
            self._before[key] += change.amount
        elif change.refund:
            self._refunded[key] -= change.amount
        else:
            self._now[key] += change.amount
            if change.imported:
                self._imported[key] += change.amount

    def rows(
        self,
        opening: Mapping[str, Mapping[str, MonthPoints]],
        closing: Mapping[str, Mapping[str, MonthPoints]],
        approvals: Approvals,
        *,
        since: Instant,
        until: Instant,
    ) -> list[MonthDeferred]:
        """One row per month of issue, money and funding, from points by currency and month."""
        keys = self._before.keys() | self._now.keys() | self._refunded.keys()
        order = {funding: place for place, funding in enumerate(FUNDINGS)}
        made: list[MonthDeferred] = []
        for key in sorted(keys, key=lambda key: (*key[:3], order[key[3]])):
            currency, issued, money, funding = key
            points = closing.get(currency, {}).get(issued, _NO_POINTS)
            share = approvals.redemption(currency, issued, until - 1)
            was = self._was(key, opening, approvals, since)
            exact = self._before[key] + self._now[key] - self._refunded[key]
            allocated, refunded = half_up(exact), half_up(self._refunded[key])
            imported = half_up(self._imported.get(key, Fraction(0)))
            done = recognised(allocated, points, share)

            def text(amount: int, money: str = money) -> str:
                return decimal_text(amount, money)

            made.append(
                MonthDeferred(
                    currency=currency,
                    issued=issued,
                    money=money,
                    funding=funding,
                    points_redeemed=points.redeemed,
                    points_expected=_decimal(total_expected(points, share)),
                    redemption=_decimal(share),
                    allocated_before=text(was.allocated),
                    allocated_now=text(allocated - was.allocated + refunded - imported),
                    refunded_now=text(refunded),
                    allocated=text(allocated),
                    recognised_before=text(was.recognised),
                    recognised_now=text(done - was.recognised),
                    recognised=text(done),
                    deferred=text(allocated - done),
                    exact="" if exact.denominator == 1 else str(exact),
                    imported_now=text(imported) if imported else "",
                )
            )
        return made

    def _was(
        self,
        key: _Key,
        opening: Mapping[str, Mapping[str, MonthPoints]],
        approvals: Approvals,
        since: Instant,
    ) -> Before:
        """Where it stood at the beginning: as the last close has it, and before the first close as
        it can be told from what had happened by then.
        """
        if self._closed is not None:
            return self._closed.get(key, Before(0, 0, Fraction(0)))
        allocated = half_up(self._before[key])
        points = opening.get(key[0], {}).get(key[1], _NO_POINTS)
        share = approvals.redemption(key[0], key[1], since - 1)
        return Before(allocated, recognised(allocated, points, share), self._before[key])


def postings(
    rows: Iterable[MonthDeferred],
    approvals: Approvals,
    until: Instant,
    vouchers: Iterable[GiftVouchers] = (),
) -> list[JournalLine]:
    """What finance posts for a period: every amount once debited and once credited."""
    return [*_of_points(rows, approvals, until), *_of_vouchers(vouchers, approvals, until)]


def _of_vouchers(
    vouchers: Iterable[GiftVouchers], approvals: Approvals, until: Instant
) -> Iterator[JournalLine]:
    for each in vouchers:
        for why, amount in (
            ("allocated", each.issued),
            ("recognised", each.used),
            ("released", each.released),
        ):
            if amount:
                accounts = _OF_VOUCHERS[why]
                yield _line(why, GIFT_VOUCHERS, accounts, each.money, amount, approvals, until)


def _of_points(
    rows: Iterable[MonthDeferred], approvals: Approvals, until: Instant
) -> list[JournalLine]:
    sums: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows:
        for why, text in (
            ("allocated", row.allocated_now),
            ("refunded", row.refunded_now),
            ("recognised", row.recognised_now),
            ("imported", row.imported_now),
        ):
            sums[row.money, row.funding, why] += minor(text or "0")
    made: list[JournalLine] = []
    for money, funding, why in sorted(
        sums, key=lambda key: (key[0], FUNDINGS.index(key[1]), _WHYS.index(key[2]))
    ):
        amount = sums[money, funding, why]
        debit, credit = _ACCOUNTS.get(why, _ALLOCATED)[funding]
        if (amount < 0) != (why == "refunded"):
            debit, credit = credit, debit
        if not amount:
            continue
        told = "taken_back" if amount < 0 and why == "recognised" else why
        made.append(_line(told, funding, (debit, credit), money, abs(amount), approvals, until))
    return made


def _line(
    why: str,
    funding: str,
    accounts: tuple[str, str],
    money: str,
    amount: int,
    approvals: Approvals,
    until: Instant,
) -> JournalLine:
    debit, credit = accounts
    return JournalLine(
        why,
        funding,
        debit,
        approvals.account(debit, until - 1),
        credit,
        approvals.account(credit, until - 1),
        money,
        decimal_text(amount, money),
    )


def standing(rows: Iterable[MonthDeferred]) -> dict[_Key, Before]:
    """Where a closed report left every month's consideration, for the period after it."""
    return {
        (row.currency, row.issued, row.money, row.funding): Before(
            minor(row.allocated),
            minor(row.recognised),
            Fraction(row.exact) if row.exact else Fraction(minor(row.allocated)),
        )
        for row in rows
    }


def minor(text: str) -> int:
    """Minor units of a decimal text with all places of its money, which may be negative."""
    return int(text.replace(".", ""))


def _decimal(share: Fraction) -> str:
    """A rational as a decimal text of at most six places, for people."""
    rounded = half_up(share * 10**6)
    whole, rest = divmod(rounded, 10**6)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


_ACCOUNTS = {"recognised": _RECOGNISED, "imported": _IMPORTED}
_WHYS = ("imported", "allocated", "refunded", "recognised")
_NO_POINTS = MonthPoints(0, 0, 0)
