"""Making reports of the books from what stands under their cuts.

A report has an opening and a closing cut. Reports that follow each other share them, so that any
number of them is made from one pass over the rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import TypeAlias
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from services.loyalty.db.cuts import OUTSIDE, Cut, CutReader, Span, section_of
from services.loyalty.domain import bookreport, deferral
from services.loyalty.domain.activity import AnyBody, decode_body
from services.loyalty.domain.approved import Approval, Approvals
from services.loyalty.domain.bookreport import (
    Approved,
    Closed,
    CurrencyBooks,
    Footing,
    Report,
    Worth,
)
from services.loyalty.domain.calendar import (
    Instant,
    add_months,
    from_datetime,
    local_date,
    midnight,
    month_text,
    rfc3339,
)
from services.loyalty.domain.consideration import Change, Consideration, Found, Row, decided_body
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.movements import OPENING, PERIOD, Carried, Leg, Movements
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Receipt, decode_receipt

Progress = Callable[[int, int], None]
"""Gets members done and in all."""

_POSTS_VOUCHERS = 2
"""The first format of the report that does."""
_Made: TypeAlias = dict[int, Row]
_Chain: TypeAlias = list[tuple[Row, Receipt]]
_Chains: TypeAlias = defaultdict[str, _Chain]

_facts = msgspec.json.Decoder(Facts).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """A report that is wanted: of which period, known by when, by which close, what the close
    before reported (None before the first), and in which format.
    """

    period: str
    known_by: Instant
    closed: Closed | None = None
    before: Report | None = None
    form: int = bookreport.FORMAT


@dataclass(slots=True)
class _Read:
    """What was read of all members, by place among the cuts."""

    legs: defaultdict[tuple[int, str, str, str, str, str], int] = field(
        default_factory=lambda: defaultdict(int)
    )
    curve: defaultdict[tuple[int, str, str, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    held: defaultdict[tuple[int, str, str], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    chains: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    carried: defaultdict[tuple[str, str, int, int | None, str], int] = field(
        default_factory=lambda: defaultdict(int)
    )
    vouchers: defaultdict[tuple[str, str, int, int | None, str], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0])
    )


async def make(
    connection: asyncpg.Connection,
    cuts: Sequence[Cut],
    wanted: Sequence[Wanted],
    programs: Mapping[int, Program],
    approvals: Approvals,
    *,
    progress: Progress | None = None,
) -> list[Report]:
    """The reports between each cut and the next, from one pass, one stretch of members after the
    other.
    """
    assert programs, "before anything is published there are no books"
    assert len(cuts) == len(wanted) + 1
    makings = [
        _Making(each, cuts[number].until, cuts[number + 1].until, number + 1, programs, approvals)
        for number, each in enumerate(wanted)
    ]
    reading = _Reading(CutReader(connection, cuts), makings, Consideration(programs, approvals))
    await reading.read(progress)
    return [making.report(reading) for making in makings]


class _Reading:
    """One pass over all rows."""

    def __init__(
        self, reader: CutReader, makings: Sequence[_Making], consideration: Consideration
    ) -> None:
        self._reader = reader
        self._makings = makings
        self._consideration = consideration
        self.months = sorted({month for making in makings for month in making.months})
        self.seen = _Read()

    async def read(self, progress: Progress | None) -> None:
        done, total = 0, await self._reader.prepare()
        async for span, count in self._reader.spans():
            await self._read(span)
            await self._read_consideration(span)
            done += count
            if progress:
                progress(done, total)

    async def _read(self, span: Span) -> None:
        reader, seen = self._reader, self.seen
        for *leg, points in await reader.legs(span):
            seen.legs[tuple(leg)] += points
        for *sums, redeemed, lost in await reader.curve(span, self.months):
            _add(seen.curve[tuple(sums)], (redeemed, lost))
        for first, currency, bucket, points, legs in await reader.held(span):
            _add(seen.held[first, currency, bucket], (points, legs))
        for first, members, activities in await reader.chains(span):
            _add(seen.chains[first], (members, activities))
        for *alike, points in await reader.carried(span):
            seen.carried[tuple(alike)] += points
        for currency, money, came, went, state, *sums in await reader.vouchers(span):
            _add(seen.vouchers[currency, money, came, went, state], sums)

    def _of(self, first: int) -> _Making:
        """The report to which what a cut is the first to hold is new; what the opening cut of all
        holds belongs to the first.
        """
        return self._makings[max(first, 1) - 1]

    async def _read_consideration(self, span: Span) -> None:
        least = self._makings[0].least
        async for rows in _by_row(self._reader.issued(span, least)):
            entries = [LedgerEntry(*row[8:]) for row in rows]
            making = self._of(rows[0]["place"] // 2)
            for found in self._consideration.issued(making.row(_issuing(rows[0])), entries):
                making.find(found)
        for member, firsts in await self._reader.returning(span, least):
            makings = {making.closing: making for making in map(self._of, firsts)}
            async for making, found in self._returned(member, list(makings.values())):
                if found.section >= making.least:
                    making.find(found)

    async def _returned(
        self, member: str, makings: Sequence[_Making]
    ) -> AsyncIterator[tuple[_Making, Found]]:
        """What became of the consideration of a member's orders that changed."""
        made, chains = await self._orders(member)
        now = await self._reader.receipts(member, list(chains))
        before: list[tuple[str, _Made, _Chains]] = []
        for order, chain in chains.items():
            if order not in now:  # known from a merged account, and nothing came of it here
                continue
            last = decode_receipt(now[order])
            if not last.of:
                continued = made.get(last.seq), chain
            else:
                before = before or await self._before(member)
                continued = _continued(before, last, chain)
            for making in makings:
                for found in self._consideration.returned(*making.rows(*continued), last):
                    yield making, found

    async def _before(self, member: str) -> list[tuple[str, _Made, _Chains]]:
        """The orders of members whose accounts became part of this one's."""
        others = await self._reader.absorbed(member)
        return [(other, *await self._orders(other)) for other in others]

    async def _orders(self, member: str) -> tuple[_Made, _Chains]:
        """Rows of a member that made an order, by seq, and by order those that changed it."""
        made: _Made = {}
        chains: _Chains = defaultdict(list)
        async for row in self._reader.orders(member):
            facts = _facts(row[6])
            changed = facts.receipt
            each = _row(row, decided_body(decode_body(row[5]), facts))
            if changed is None:
                made[each.seq] = each
            else:
                chains[changed.order].append((each, changed))
        return made, chains


def _add(sums: list[int], more: Sequence[int]) -> None:
    sums[:] = [was + one for was, one in zip(sums, more, strict=True)]


class _Making:
    """One report in the making.

    Attributes:
        closing: the number of its closing cut; the opening one is that before.
        least: from which section on consideration is read: what was there before the close before
            stands in that close's report.
        months: first instants of the months up to its end.
    """

    def __init__(
        self,
        wanted: Wanted,
        since: Instant,
        until: Instant,
        closing: int,
        programs: Mapping[int, Program],
        approvals: Approvals,
    ) -> None:
        self._wanted = wanted
        self._since, self._until = since, until
        self.closing = closing
        self._approvals = approvals
        before = wanted.before
        self.least = OPENING if before is None else PERIOD
        self._deferred = deferral.Ledger(
            None if before is None else deferral.standing(before.deferred)
        )
        self._unpriced: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._program = held_at(programs, until - 1)
        self.months = _months(programs, until, self._program.zone)
        self._movements: defaultdict[str, Movements] = defaultdict(Movements)
        self._curve: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
        self._held: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._vouchers: defaultdict[tuple[str, str], dict[str, list[int]]] = defaultdict(dict)
        self._members = self._activities = self._legs = 0

    # As rows are read -------------------------------------------------------------------------

    def row(self, row: Row) -> Row:
        """A row that says in which section of this report it stands."""
        return row._replace(section=section_of(row.section, self.closing))

    def rows(
        self, purchase: Row | None, chain: Sequence[tuple[Row, Receipt]]
    ) -> tuple[Row | None, list[tuple[Row, Receipt]]]:
        """The same of a purchase and of what changed it."""
        here = None if purchase is None else self.row(purchase)
        return here, [(self.row(row), receipt) for row, receipt in chain]

    def find(self, found: Found) -> None:
        if isinstance(found, Change):
            self._deferred.add(found)
        elif found.section != OPENING:
            self._unpriced[found.currency, found.reason] += found.points

    # Once all are read ------------------------------------------------------------------------

    def report(self, reading: _Reading) -> Report:
        """The report, from what its cuts hold of all that was read."""
        seen = reading.seen
        for (place, currency, *leg), points in seen.legs.items():
            section = section_of(place, self.closing)
            if section != OUTSIDE:
                self._movements[currency].add(Leg(section, *leg), points)
        for (place, currency, issued, number), sums in seen.curve.items():
            if section_of(place, self.closing) != OUTSIDE:
                self._add_to_curve(currency, issued, self._month(reading.months, number), *sums)
        for (first, currency, bucket), (points, legs) in seen.held.items():
            if first <= self.closing:
                self._held[currency][bucket] += points
                self._legs += legs
        for first, (members, activities) in seen.chains.items():
            if first <= self.closing:
                self._members += members
                self._activities += activities
        self._take_vouchers(seen)
        return self._together()

    def _take_vouchers(self, seen: _Read) -> None:
        for (currency, issued, came, went, state), points in seen.carried.items():
            for life in self._life(came, went, state):
                self._movements[currency].carry(Carried(issued, *life, points))
        for (currency, money, came, went, state), sums in seen.vouchers.items():
            for issued_in, ended_in, how in self._life(came, went, state):
                if ended_in == OPENING:
                    continue  # it had ended before
                columns = ["opening" if issued_in == OPENING else "issued"]
                columns += [] if ended_in is None else [how]
                for column in columns:
                    _add(self._vouchers[currency, money].setdefault(column, [0, 0, 0]), sums)

    def _life(
        self, came: int, went: int | None, state: str
    ) -> Iterator[tuple[int, int | None, str]]:
        """Sections in which vouchers were issued and ended, and how; none where that is later."""
        issued = section_of(came, self.closing)
        ended = OUTSIDE if went is None else section_of(went, self.closing)
        if issued != OUTSIDE:
            yield (issued, None, "open") if ended == OUTSIDE else (issued, ended, state)

    def _month(self, months: Sequence[Instant], number: int) -> str:
        """The month of this report in which one of all reports' lies: 0 is all that came before."""
        place = bisect_right(self.months, months[number - 1]) if number else 0
        return _month_at(self.months, place, self._program)

    def _add_to_curve(
        self, currency: str, issued: str, month: str, redeemed: int, lost: int
    ) -> None:
        curve = self._curve.setdefault(currency, {})
        was = curve.get((issued, month), (0, 0))
        if issued:
            curve[issued, month] = was[0] + redeemed, was[1] + lost

    def _together(self) -> Report:
        wanted, approvals = self._wanted, self._approvals
        currencies = [self._books(currency) for currency in sorted(self._movements)]
        ledger = {
            currency: dict(sorted(buckets.items()))
            for currency, buckets in sorted(self._held.items())
        }
        opening = {name: each.months([OPENING]) for name, each in self._movements.items()}
        closing = {name: each.months() for name, each in self._movements.items()}
        differences = bookreport.differences(currencies, ledger)
        balance = {name: sum(buckets.values()) for name, buckets in ledger.items()}
        deferred = self._deferred.rows(
            opening, closing, approvals, since=self._since, until=self._until
        )
        vouchers = bookreport.voucher_rolls(self._vouchers)
        before = wanted.before
        gifts = bookreport.gift_vouchers(
            vouchers if wanted.form >= _POSTS_VOUCHERS else (),
            never_posted=before is not None and before.format < _POSTS_VOUCHERS,
        )
        return Report(
            format=wanted.form,
            period=wanted.period,
            since=rfc3339(self._since),
            happened_before=rfc3339(self._until),
            known_by=rfc3339(wanted.known_by),
            status="closed" if wanted.closed else "provisional",
            closed=wanted.closed,
            currencies=currencies,
            vouchers=vouchers,
            deferred=deferred,
            unpriced=bookreport.unpriced_points(self._unpriced),
            journals=deferral.postings(deferred, approvals, self._until, gifts),
            approvals=[_approved(each) for each in approvals.held_before(self._until)],
            proof=Footing(
                members=self._members,
                activities=self._activities,
                entries=self._legs // 2,
                ledger=ledger,
                trial_balance=balance,
                differences=differences,
                foots=not differences and not any(balance.values()),
            ),
        )

    def _books(self, currency: str) -> CurrencyBooks:
        terms = self._program.currency(currency)
        minor, per, money = terms.worth or (0, 1, "")
        worth = Worth(not terms.qualifies, Fraction(minor, per), money)
        curve = self._curve.get(currency, {})
        return bookreport.currency_books(currency, self._movements[currency], worth, curve)


def _continued(
    before: Sequence[tuple[str, _Made, _Chains]], last: Receipt, chain: _Chain
) -> tuple[Row | None, _Chain]:
    """The row that made an order at another account, and the whole chain of those that changed it:
    what that account's own report says already is no part of any section here.
    """
    purchase, earlier = None, _Chain()
    for other, made, chains in before:
        if other == last.of:
            purchase = made.get(last.seq)
        told = chains.get(last.order, ())
        earlier += [(row._replace(section=-1), receipt) for row, receipt in told]
    return purchase, [*earlier, *chain]


def held_at(programs: Mapping[int, Program], at: Instant) -> Program:
    """The version that held at an instant; before the first one, the first."""
    versions = sorted(programs.values(), key=lambda each: each.version)
    held = [each for each in versions if each.holds_from <= at]
    return held[-1] if held else versions[0]


def month_of(text: str, zone: ZoneInfo) -> tuple[Instant, Instant]:
    """The first instant of a month like ``2011-03``, and that of the next.

    Raises:
        ValueError: not such a text.
    """
    first = date.fromisoformat(f"{text}-01")
    if month_text(first) != text:
        raise ValueError(text)
    return midnight(first, zone), midnight(add_months(first, 1), zone)


def _months(programs: Mapping[int, Program], until: Instant, zone: ZoneInfo) -> list[Instant]:
    """First instants of the months from the first version's to the cut's."""
    first = min(each.holds_from for each in programs.values())
    day, starts = local_date(first, zone).replace(day=1), []
    while (start := midnight(day, zone)) < until:
        starts.append(start)
        day = add_months(day, 1)
    return starts or [midnight(day, zone)]


def _month_at(months: Sequence[Instant], place: int, program: Program) -> str:
    """The month of a place among first instants; place 0 is all that came before."""
    day = local_date(months[max(place, 1) - 1], program.zone)
    return month_text(day if place else add_months(day, -1))


async def _by_row(
    entries: AsyncIterator[asyncpg.Record],
) -> AsyncIterator[list[asyncpg.Record]]:
    """Entries of one journal row after the other."""
    rows: list[asyncpg.Record] = []
    async for entry in entries:
        if rows and (rows[0][0], rows[0][1]) != (entry[0], entry[1]):
            yield rows
            rows = []
        rows.append(entry)
    if rows:
        yield rows


def _issuing(row: asyncpg.Record) -> Row:
    body, facts = row[6], row[7]
    decided = decided_body(decode_body(body), _facts(facts or "{}")) if body else None
    return _row(row[1:], decided)


def _row(row: Sequence[object], body: AnyBody | None) -> Row:
    seq, section, kind, version, effective_at = row[:5]
    return Row(seq, section, kind, version, from_datetime(effective_at), body)  # type: ignore[arg-type]  # as the statement orders them


def _approved(each: Approval) -> Approved:
    return Approved(
        number=each.number,
        what=each.what,
        of=each.of,
        issued=each.issued,
        value=each.value,
        holds_from=rfc3339(each.holds_from),
        approved_by=each.approved_by,
        approved_at=rfc3339(each.approved_at),
    )
