"""The balances of another system beside ours: where they differ, by member and currency.

``member_id,currency,available,pending``: what a member can spend there (negative for what is owed),
and what has been earned and cannot be spent yet; without that column, only the former is compared.
Of points that count towards tiers, ``available`` is what today's window counts.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO, TypeAlias

import msgspec

from services.loyalty.application.csv_rows import BadRow
from services.loyalty.domain.account import Account
from services.loyalty.domain.calendar import Instant, local_date
from services.loyalty.domain.member_id import BadMemberId, check_member_id
from services.loyalty.domain.periods import window_key, windows_counted
from services.loyalty.domain.program import Program

COLUMNS = ("member_id", "currency", "available", "pending")
_POINTS = re.compile(r"-?\d{1,13}", re.ASCII)

Key: TypeAlias = tuple[str, str]
"""A member and a currency."""

Pair: TypeAlias = tuple[int, int]
"""Points available and pending."""


class Difference(msgspec.Struct, frozen=True):
    """A balance that is another one here; ``here`` less ``there`` is the difference.

    ``status`` is that of the account here, empty where there is none.
    """

    member: str
    status: str
    currency: str
    bucket: str
    there: int
    here: int


class Sums(msgspec.Struct):
    """What was compared of one currency: balances that are the same and that are not, and their
    sums.
    """

    same: int = 0
    different: int = 0
    there: int = 0
    here: int = 0


@dataclass(slots=True)
class Balances:
    """What a file says.

    Attributes:
        told: points available and pending by member and currency.
        pending: whether the file tells pending points.
        bad: rows that cannot be read.
    """

    told: dict[Key, Pair] = field(default_factory=dict)
    pending: bool = False
    bad: list[BadRow] = field(default_factory=list)

    @property
    def currencies(self) -> list[str]:
        """The currencies of which it tells anything."""
        return sorted({currency for _, currency in self.told})


def read_balances(file: TextIO, program: Program) -> Balances:
    """Reads a whole file, whose rows may have any order."""
    read = Balances()
    rows = csv.reader(file, strict=True)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if tuple(header) not in (COLUMNS, COLUMNS[:3]):
            read.bad.append(BadRow(1, f"the first line is not {','.join(COLUMNS)}"))
            return read
        read.pending = len(header) == len(COLUMNS)
        for row in rows:
            if row:
                _read(read, program, rows.line_num, row, len(header))
    except (csv.Error, UnicodeDecodeError) as error:
        read.bad.append(BadRow(rows.line_num + 1, f"it is no CSV in UTF-8: {error}"))
    return read


def _read(read: Balances, program: Program, line: int, row: list[str], columns: int) -> None:
    try:
        if len(row) != columns:
            raise ValueError(f"it has {len(row)} fields, and the first line has {columns}")
        member, currency, *points = (cell.strip() for cell in row)
        check_member_id(member)
        if currency not in program.currencies:
            raise ValueError("currency: the programme has no such currency of points")
        if (member, currency) in read.told:
            raise ValueError("the member's balance of that currency stands here twice")
        for column, text in zip(COLUMNS[2:], points, strict=False):
            if not _POINTS.fullmatch(text):
                raise ValueError(f"{column}: a whole number, as in 740")
        available, pending = ([int(text) for text in points] + [0])[:2]
        read.told[member, currency] = available, pending
    except BadMemberId as bad:
        read.bad.append(BadRow(line, f"member_id: {bad.reason}"))
    except ValueError as error:
        read.bad.append(BadRow(line, str(error)))


class Shadow:
    """Compares, member by member, what a file says with what is here."""

    def __init__(self, balances: Balances, program: Program, now: Instant) -> None:
        self._balances = balances
        self._program = program
        self._now = now
        self._seen: set[str] = set()
        self.sums: dict[str, Sums] = {currency: Sums() for currency in balances.currencies}

    def compare(self, member: str, account: Account) -> Iterator[Difference]:
        """Where a member's balances differ; one that a file does not tell is nothing there."""
        self._seen.add(member)
        for currency, sums in self.sums.items():
            told = self._balances.told.get((member, currency))
            here = balance(self._program, account, currency, self._now)
            if told is not None or any(here):
                yield from self._pair(member, account.status, currency, sums, told or (0, 0), here)

    def rest(self) -> Iterator[Difference]:
        """Members whom a file names and who are not here, after all others."""
        for (member, currency), told in self._balances.told.items():
            if member not in self._seen:
                yield from self._pair(member, "", currency, self.sums[currency], told, (0, 0))

    def _pair(
        self, member: str, status: str, currency: str, sums: Sums, there: Pair, here: Pair
    ) -> Iterator[Difference]:
        names = COLUMNS[2:] if self._balances.pending else COLUMNS[2:3]
        found = [
            Difference(member, status, currency, name, theirs, ours)
            for name, theirs, ours in zip(names, there, here, strict=False)
            if theirs != ours
        ]
        sums.there += sum(there[: len(names)])
        sums.here += sum(here[: len(names)])
        sums.same += not found
        sums.different += bool(found)
        yield from found


def balance(program: Program, account: Account, currency: str, at: Instant) -> Pair:
    """Points available and pending of a currency, those of the currencies that it followed among
    them. What is held is the member's still, and what is owed is less than nothing.
    """
    names = [name for name in _names(account) if program.currency_now(name) == currency]
    pending = sum(account.pending(name) for name in names)
    terms = program.currencies[currency]
    if terms.window is None:
        available = sum(
            account.available(name) + account.held(name) - account.arrears.get(name, 0)
            for name in names
        )
        return available, pending
    if not account.enrolled_at:
        return 0, pending
    day = local_date(at, program.zone)
    window = window_key(terms.window, day, account.enrolled_at, program.zone)
    counted = windows_counted(terms.window.kind, terms.window.months, window)
    held: list[Mapping[str, int]] = [account.windows.get(name, {}) for name in names]
    return sum(windows.get(key, 0) for windows in held for key in counted), pending


def _names(account: Account) -> set[str]:
    """Currencies of which an account has or owes any points."""
    lots = {lot.currency for lot in account.lots}
    held = {lot.currency for hold in account.holds for lot in hold.drawn}
    return lots | held | account.arrears.keys() | account.windows.keys()
