"""What finance approves: how much of the points will be redeemed, what they are worth in other
money, and the codes of accounts.

Each is a dated fact with the name of who approved it. It is only ever added to: a new estimate is a
new approval from a later date, and nothing here is fitted to what was observed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, TypeAlias

import msgspec

from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.mistakes import Misread
from services.loyalty.domain.notation import read_worth

What: TypeAlias = Literal["redemption", "worth", "account"]

ACCOUNTS: dict[str, str] = {
    "sales_revenue": "revenue of what was sold with the points",
    "deferred_revenue": "what buyers have paid for points that are not redeemed yet",
    "loyalty_revenue": "what buyers have paid for points, once these are redeemed",
    "partner_receivable": "what third parties owe for the points that they fund",
    "deferred_partner_revenue": "what third parties pay for points that are not redeemed yet",
    "partner_revenue": "what third parties pay for points, once these are redeemed",
    "marketing_expense": "the cost of points and vouchers that nobody pays for",
    "loyalty_provision": "what is set aside for points and vouchers that nobody pays for",
    "opening_balance": "what came along with imported points: cleared against the books before",
    "rewards_settled": "what rewards took of the provision: it meets the cost of rewards",
}
"""Every account that a posting names, with what it holds."""

CERTAIN = Fraction(1)
"""Redemption expected where nobody approved another: of every point, so nothing is recognised
before it must be.
"""

_SHARE = re.compile(r"0(\.[0-9]{1,6})?|1(\.0{1,6})?", re.ASCII)
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,31}", re.ASCII)


class NotApprovable(ValueError):
    """What cannot be approved as it is written; the message says why."""


class Approval(msgspec.Struct, frozen=True, omit_defaults=True):
    """One approval.

    Attributes:
        number: its place among all of them; the first is 1.
        what: ``redemption`` (the share of points expected to be redeemed), ``worth`` (of a point in
            money other than the programme's) or ``account`` (the code of an account).
        of: the currency of points, or the account.
        value: ``0.95``, ``0.012 EUR`` or ``2310``.
        holds_from: from when it holds.
        approved_by, approved_at: who approved it, and when.
        issued: the month of issue that it is for; empty for every month.
    """

    number: int
    what: What
    of: str
    value: str
    holds_from: Instant
    approved_by: str
    approved_at: Instant
    issued: str = ""

    def __post_init__(self) -> None:
        if not self.of or not self.approved_by.strip():
            raise NotApprovable("say what is approved, and who approves it")
        if self.issued and (self.what != "redemption" or not _MONTH.fullmatch(self.issued)):
            raise NotApprovable("only redemption is of a month of issue, written like 2011-02")
        if self.what == "redemption" and not _SHARE.fullmatch(self.value):
            raise NotApprovable("redemption is a share of 0 to 1, written like 0.95")
        if self.what == "account" and self.of not in ACCOUNTS:
            raise NotApprovable(f"the accounts are {', '.join(ACCOUNTS)}")
        if self.what == "account" and not _CODE.fullmatch(self.value):
            raise NotApprovable("a code has up to 32 letters, digits, and . _ / - between them")
        if self.what == "worth":
            _worth(self.value)


class Approvals:
    """All approvals, asked by what holds at an instant. Of several the latest date holds, and of
    one date the latest approval; one of a month of issue goes before those of every month.
    """

    def __init__(self, approvals: Iterable[Approval] = ()) -> None:
        self._all = sorted(approvals, key=lambda each: (each.holds_from, each.number))
        self._dates = [each.holds_from for each in self._all]

    def held_before(self, at: Instant) -> list[Approval]:
        """Those whose date comes before an instant, in the order of their dates."""
        return [each for each in self._all if each.holds_from < at]

    def held(self, at: Instant) -> int:
        """How many hold at an instant: between two instants of one number nothing changes."""
        return bisect_right(self._dates, at)

    def redemption(self, currency: str, issued: str, at: Instant) -> Fraction:
        """The share of a month's points that is expected to be redeemed, as approved for ``at``."""
        value = self._value("redemption", currency, at, issued)
        return Fraction(value) if value else CERTAIN

    def worth(self, currency: str, money: str, at: Instant) -> Fraction | None:
        """What a point is worth in minor units of a money, as approved for ``at``; else None."""
        for each in self._of("worth", currency, at):
            minor, per, code = _worth(each.value)
            if code == money:
                return Fraction(minor, per)
        return None

    def account(self, name: str, at: Instant) -> str:
        """The code of an account, as approved for ``at``; empty where there is none."""
        return self._value("account", name, at)

    def _value(self, what: What, of: str, at: Instant, issued: str = "") -> str:
        found = self._of(what, of, at)
        own = (each.value for each in found if each.issued == issued)
        return next(own, "") or next((each.value for each in found if not each.issued), "")

    def _of(self, what: What, of: str, at: Instant) -> list[Approval]:
        """Those that hold at an instant, the latest first."""
        return [
            each
            for each in reversed(self._all)
            if (each.what, each.of) == (what, of) and each.holds_from <= at
        ]


def _worth(text: str) -> tuple[int, int, str]:
    try:
        return read_worth(text)
    except Misread as error:
        raise NotApprovable(f"worth: {error}") from None
