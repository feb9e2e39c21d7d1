"""Books kept from entries alone agree with the working state, or say where not."""

from __future__ import annotations

import pytest

from services.loyalty.domain.account import Account, Lot
from services.loyalty.domain.books import MemberBooks, differences, impossible
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.ledger import LedgerEntry

LOT = Lot("points", "2011-02", 900, 0, "", 30, 50)
PENDING = Lot("points", "2011-02", 900, 500, "", 50, 50)


def _entry(
    kind: str, points: int, buckets: str, lots: str = ">", currency: str = "points"
) -> LedgerEntry:
    source, _, target = buckets.partition(">")
    left, _, entered = lots.partition(">")
    return LedgerEntry(kind, currency, points, source, target, left, entered, "", "")


EARNED = [
    _entry("accrual", 50, "issuance>pending", f">{PENDING.key}"),
    _entry("activation", 50, "pending>available", f"{PENDING.key}>{LOT.key}"),
    _entry("redemption", 20, "available>redeemed", f"{LOT.key}>"),
    _entry("accrual", 7, "issuance>available", ">status/2011-02", "status"),
    _entry("accrual", 9, "issuance>available", ">status/2010-02", "status"),
    _entry("arrears", 4, "arrears>issuance"),
]
STATE = Account(lots=[LOT], windows={"status": {"2011-02": 7}}, arrears={"points": 4})
HISTORY = {"window:status/2010-02": 9, "base/2010-02": 3}


def _books(entries: list[LedgerEntry]) -> MemberBooks:
    books = MemberBooks()
    for entry in entries:
        books.post(entry)
    return books


def test_a_state_that_follows_from_its_entries_differs_nowhere() -> None:
    assert list(differences(_books(EARNED), STATE, {}, HISTORY)) == []


def test_balances_of_all_buckets_come_to_nothing() -> None:
    assert sum(_books(EARNED).balances.values()) == 0


@pytest.mark.parametrize("missing", range(len(EARNED)))
def test_no_entry_can_be_left_out(missing: int) -> None:
    fewer = EARNED[:missing] + EARNED[missing + 1 :]
    assert list(differences(_books(fewer), STATE, {}, HISTORY))


def test_a_lot_that_expired_keeps_its_totals_in_its_row() -> None:
    spent = [
        *EARNED[:3],
        _entry("expiration", 30, "available>expired", f"{LOT.key}>"),
        _entry("accrual_reversal", 5, "expired>issuance", f"{LOT.key}>"),
    ]
    totals = {LOT.key: LotTotals(taken_in=50, expired=30, reclaimed=5)}
    assert list(differences(_books(spent), Account(), totals, {})) == []
    [found] = differences(_books(spent), Account(), {LOT.key: LotTotals(50, 30, 0)}, {})
    assert found == (f"reclaimed of lot {LOT.key}", 5, 0)


def test_what_a_lot_does_not_hold_cannot_leave_it() -> None:
    entry = _entry("redemption", 31, "available>redeemed", f"{LOT.key}>")
    overdrawn = _books([*EARNED[:3], entry]).overdrawn(entry)
    assert overdrawn
    assert overdrawn.found == -1


def test_only_some_buckets_go_below_zero() -> None:
    owed = _entry("arrears", 5, "arrears>issuance")
    assert _books([owed]).overdrawn(owed) is None
    back = _entry("redemption_reversal", 5, "redeemed>available", f">{LOT.key}")
    assert _books([back]).overdrawn(back)


@pytest.mark.parametrize(
    "entry",
    [
        _entry("accrual", 0, "issuance>available"),
        _entry("accrual", -1, "issuance>available"),
        _entry("accrual", 5, "available>issuance"),
        _entry("gift", 5, "issuance>available"),
    ],
)
def test_an_entry_that_no_ledger_may_hold_is_told(entry: LedgerEntry) -> None:
    assert impossible(entry)
