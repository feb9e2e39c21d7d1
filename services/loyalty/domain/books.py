"""One member's books, kept from ledger entries alone, and how they compare with what is stored
beside them.

Balances, lots and their totals are a sum over entries; the working state, the totals of lots and
the rows of closed windows are projections that must say the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.loyalty.domain.account import Account
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.ledger import MAY_BE_NEGATIVE, TRANSFERS, LedgerEntry
from services.loyalty.domain.voucher import OPEN, Redemption, Voucher

_IN_LOTS = frozenset({"pending", "available", "held"})
_MOVES = frozenset({"extension", "reinstatement"})
WINDOW_PREFIX = "window:"
"""How the history key of a closed qualifying window begins; its lot's name follows."""


class Difference(NamedTuple):
    """Something that is stored otherwise than the entries say."""

    what: str
    expected: object
    found: object


@dataclass(slots=True)
class HoldEntries:
    """Points that the entries say were set aside by one hold, and given back by it."""

    held: int = 0
    released: int = 0


class MemberBooks:
    """Balances and lots of one member after the entries posted so far.

    Attributes:
        balances: points by (currency, bucket); what came in less what went out. lots: points that
        are left by (bucket, lot), for the buckets whose points lie in lots. taken_in, expired,
        reclaimed: points by lot that ever entered it while it could be spent (other than by coming
            back from a hold), that expired in it, and that left ``expired`` again.
        successors: lots to which points of each were moved for a longer life, or to a pool.
        recalled: points by currency in transit that were taken back out of pools: what these have
            sent less what they were asked for, so below zero while they have not sent all.
        holds: what each hold, by its name, set aside and gave back.
        redeemed, unredeemed: points by redemption that were spent, and that went back.
    """

    def __init__(self) -> None:
        self.redeemed: defaultdict[str, int] = defaultdict(int)
        self.unredeemed: defaultdict[str, int] = defaultdict(int)
        self.balances: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.lots: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.taken_in: defaultdict[str, int] = defaultdict(int)
        self.expired: defaultdict[str, int] = defaultdict(int)
        self.reclaimed: defaultdict[str, int] = defaultdict(int)
        self.successors: defaultdict[str, set[str]] = defaultdict(set)
        self.holds: dict[str, HoldEntries] = {}
        self.recalled: defaultdict[str, int] = defaultdict(int)

    def post(self, entry: LedgerEntry) -> None:
        """Adds one entry."""
        kind, currency, points, source, target, lot_from, lot_to, cause, order = entry
        self.balances[currency, source] -= points
        self.balances[currency, target] += points
        if source in _IN_LOTS:
            self.lots[source, lot_from] -= points
        elif source == "expired":
            self.reclaimed[lot_from] += points
        if target in _IN_LOTS:
            self.lots[target, lot_to] += points
            if target == "available" and source != "held":
                self.taken_in[lot_to] += points
        elif target == "expired":
            self.expired[lot_from or lot_to] += points
        if "transit" in (source, target):
            self._through_transit(entry)
        elif kind == "hold":
            self.holds.setdefault(cause, HoldEntries()).held += points
        elif kind == "release":
            self.holds.setdefault(cause, HoldEntries()).released += points
        elif kind in _MOVES:
            self.successors[lot_from].add(lot_to)
        elif kind == "redemption":
            self.redeemed[order] += points
        elif kind == "redemption_reversal":
            self.unredeemed[order] += points
            if lot_from:  # which had expired, so that they went to another
                self.successors[lot_from].add(lot_to)

    def _through_transit(self, entry: LedgerEntry) -> None:
        """What a lot gave to a pool, or a pool had from a lot, and what is recalled of it."""
        kind, currency, points, _, _, lot_from, lot_to, _, _ = entry
        if kind == "recall":
            self.recalled[currency] += points
        elif kind == "accrual_reversal":
            self.recalled[currency] -= points
            self.reclaimed[lot_from] += points
        elif kind == "transfer_out" and lot_to:
            self.taken_in[lot_to] += points
            self.successors[lot_from].add(lot_to)
        elif kind == "transfer_in" and lot_from:
            self.taken_in[lot_from] += points

    def overdrawn(self, entry: LedgerEntry) -> Difference | None:
        """What the entry, already posted, took below zero that must not be there."""
        currency, bucket, lot = entry.currency, entry.from_bucket, entry.lot_from
        if bucket in MAY_BE_NEGATIVE:
            return None
        left, where = self.balances[currency, bucket], f"{bucket} {currency}"
        if left >= 0 and bucket in _IN_LOTS:
            left, where = self.lots[bucket, lot], f"{bucket} lot {lot}"
        return Difference(f"balance of {where}", ">= 0", left) if left < 0 else None


def impossible(entry: LedgerEntry) -> Difference | None:
    """What no ledger may hold: points below one, or a kind that does not join these buckets."""
    if entry.points <= 0:
        return Difference("points of an entry", "> 0", entry.points)
    if (entry.from_bucket, entry.to_bucket) not in TRANSFERS.get(entry.kind, ()):
        pair = f"{entry.from_bucket} -> {entry.to_bucket}"
        return Difference(f"buckets of {entry.kind}", "a pair that it may join", pair)
    return None


def differences(
    books: MemberBooks,
    account: Account,
    totals: Mapping[str, LotTotals],
    history: Mapping[str, int],
) -> Iterator[Difference]:
    """Where the working state and the rows beside it disagree with the entries.

    ``totals`` are the lot rows, ``history`` the points of the history rows, of this member.
    """
    yield from _open_lots(books, account)
    yield from _windows(books, account, history)
    yield from _arrears(books, account)
    yield from _totals(books, account, totals)


def is_window(lot: str) -> bool:
    """Whether a lot's name is that of a qualifying window: ``currency/window`` and nothing more."""
    return lot.count("/") == 1


def _open_lots(books: MemberBooks, account: Account) -> Iterator[Difference]:
    stated: dict[tuple[str, str], int] = {}
    for lot in account.lots:
        stated["pending" if lot.activates_at else "available", lot.key] = lot.points
    for hold in account.holds:
        for drawn in hold.drawn:
            place = ("held", drawn.key)
            stated[place] = stated.get(place, 0) + drawn.points
    kept = {
        place: points for place, points in books.lots.items() if points and not is_window(place[1])
    }
    for place in sorted(stated.keys() | kept.keys()):
        expected, found = kept.get(place, 0), stated.get(place, 0)
        if expected != found:
            yield Difference(f"{place[0]} lot {place[1]}", expected, found)


def _windows(
    books: MemberBooks, account: Account, history: Mapping[str, int]
) -> Iterator[Difference]:
    stated: defaultdict[str, int] = defaultdict(int)
    for currency, windows in account.windows.items():
        for window, points in windows.items():
            stated[f"{currency}/{window}"] += points
    for key, points in history.items():
        if key.startswith(WINDOW_PREFIX):
            stated[key.removeprefix(WINDOW_PREFIX)] += points
    kept = {lot: points for (bucket, lot), points in books.lots.items() if is_window(lot)}
    for lot in sorted(stated.keys() | kept.keys()):
        expected, found = kept.get(lot, 0), stated.get(lot, 0)
        if expected != found:
            yield Difference(f"window {lot}", expected, found)


def _arrears(books: MemberBooks, account: Account) -> Iterator[Difference]:
    kept = {
        currency: -points
        for (currency, bucket), points in books.balances.items()
        if bucket == "arrears"
    }
    for currency in sorted(kept.keys() | account.arrears.keys()):
        expected, found = kept.get(currency, 0), account.arrears.get(currency, 0)
        if expected != found:
            yield Difference(f"arrears of {currency}", expected, found)


def _totals(
    books: MemberBooks, account: Account, totals: Mapping[str, LotTotals]
) -> Iterator[Difference]:
    """A lot's row and, while it is open, its working state together hold all that ever entered it.

    A pending lot keeps no total of what entered: that goes on in the lot which it becomes.
    """
    opened = {lot.key: lot.taken_in for lot in account.lots}
    lots = totals.keys() | opened.keys() | books.taken_in.keys() | books.expired.keys()
    for lot in sorted(lot for lot in lots | books.reclaimed.keys() if not is_window(lot)):
        row = totals.get(lot, LotTotals())
        stated: dict[str, tuple[object, object]] = {
            "expired": (books.expired.get(lot, 0), row.expired),
            "reclaimed": (books.reclaimed.get(lot, 0), row.reclaimed),
            "successors": (sorted(books.successors.get(lot, ())), list(row.successors)),
        }
        if lot.count("/") == 2 or "/@" in lot:
            stated["taken in"] = (books.taken_in.get(lot, 0), row.taken_in + opened.get(lot, 0))
        for total, (expected, found) in stated.items():
            if expected != found:
                yield Difference(f"{total} of lot {lot}", expected, found)


def spending_differences(
    books: MemberBooks,
    account: Account,
    redemptions: Mapping[str, Redemption],
    vouchers: Mapping[str, Voucher],
) -> Iterator[Difference]:
    """Where redemptions, vouchers and the working state disagree with the entries, or with each
    other, given all rows of this member.
    """
    for name in sorted(redemptions.keys() | books.redeemed.keys() | books.unredeemed.keys()):
        row = redemptions.get(name)
        stated = (row.points, sum(row.returned)) if row else (0, 0)
        kept = (books.redeemed.get(name, 0), books.unredeemed.get(name, 0))
        if stated != kept:
            yield Difference(f"points and returned points of redemption {name}", kept, stated)
        if row and sum(points for _, points in row.draws) != row.points:
            yield Difference(f"draws of redemption {name}", row.points, row.draws)
    for name, voucher in vouchers.items():
        paid_by = redemptions.get(voucher.by) if voucher.points else None
        paid = paid_by.points if paid_by else 0
        if voucher.points != paid:
            yield Difference(f"points of voucher {name}", paid, voucher.points)
        if voucher.state == OPEN and paid_by and paid_by.returned:
            yield Difference(f"state of voucher {name}", "voided", voucher.state)
    held = sorted((v.id, v.expires_at) for v in vouchers.values() if v.state == OPEN)
    stated_open = sorted((each.id, each.expires_at) for each in account.vouchers)
    if held != stated_open:
        yield Difference("open vouchers", stated_open, held)
