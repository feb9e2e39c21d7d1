"""Making a report of the books from what stands under its two cuts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from services.loyalty.db.cuts import CutReader, Cuts, Span
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
from services.loyalty.domain.decision import Facts
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.movements import OPENING, Carried, Leg, Movements
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Receipt, decode_receipt

Progress = Callable[[int, int], None]
"""Gets members done and in all."""

_POSTS_VOUCHERS = 2
"""The first format of the report that does."""

_facts = msgspec.json.Decoder(Facts).decode


class Making:
    """One report in the making. ``before`` is that of the close before, None before the first."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        cuts: Cuts,
        programs: Mapping[int, Program],
        approvals: Approvals,
        *,
        before: Report | None = None,
        form: int = bookreport.FORMAT,
    ) -> None:
        """``form`` is the format of the report."""
        assert programs, "before anything is published there are no books"
        self._form = form
        self._never_posted = before is not None and before.format < _POSTS_VOUCHERS
        self._reader = CutReader(connection, cuts)
        self._cuts = cuts
        self._programs = programs
        self._approvals = approvals
        standing = None if before is None else deferral.standing(before.deferred)
        self._least = 0 if before is None else OPENING + 1
        self._consideration = Consideration(programs, approvals)
        self._deferred = deferral.Ledger(standing)
        self._movements: defaultdict[str, Movements] = defaultdict(Movements)
        self._curve: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
        self._held: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._vouchers: defaultdict[tuple[str, str], dict[str, list[int]]] = defaultdict(dict)
        self._unpriced: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._members = self._activities = self._legs = 0
        self._program = held_at(programs, cuts.until - 1)

    async def report(
        self,
        *,
        period: str,
        known_by: Instant,
        closed: Closed | None,
        progress: Progress | None = None,
    ) -> Report:
        """Reads everything, one stretch of members after the other, and puts it together."""
        months = _months(self._programs, self._cuts.until, self._program.zone)
        done, total = 0, await self._reader.prepare()
        async for span, count in self._reader.spans():
            await self._read(span, months)
            done += count
            if progress:
                progress(done, total)
        return self._together(period, known_by, closed)

    async def _read(self, span: Span, months: Sequence[Instant]) -> None:
        for section, currency, kind, bucket, issued, expires, points in await self._reader.legs(
            span
        ):
            self._movements[currency].add(Leg(section, kind, bucket, issued, expires), points)
        for currency, issued, place, redeemed, lost in await self._reader.curve(span, months):
            month = _month_at(months, place, self._program)
            self._add_to_curve(currency, issued, month, redeemed, lost)
        for currency, bucket, points, legs in await self._reader.held(span):
            self._held[currency][bucket] += points
            self._legs += legs
        members, activities = await self._reader.chains(span)
        self._members += members
        self._activities += activities
        await self._read_vouchers(span)
        await self._read_consideration(span)

    async def _read_vouchers(self, span: Span) -> None:
        for currency, *carried in await self._reader.carried(span):
            self._movements[currency].carry(Carried(*carried))
        for currency, money, came, went, state, *sums in await self._reader.vouchers(span):
            if went == OPENING:
                continue  # it had ended before
            columns = ["opening" if came == OPENING else "issued"]
            columns += [] if went is None else [state]
            for column in columns:
                known = self._vouchers[currency, money].setdefault(column, [0, 0, 0])
                known[:] = [was + more for was, more in zip(known, sums, strict=True)]

    def _add_to_curve(
        self, currency: str, issued: str, month: str, redeemed: int, lost: int
    ) -> None:
        curve = self._curve.setdefault(currency, {})
        was = curve.get((issued, month), (0, 0))
        if issued:
            curve[issued, month] = was[0] + redeemed, was[1] + lost

    async def _read_consideration(self, span: Span) -> None:
        async for rows in _by_row(self._reader.issued(span, self._least)):
            entries = [LedgerEntry(*row[8:]) for row in rows]
            for found in self._consideration.issued(_issuing(rows[0]), entries):
                self._find(found)
        for member in await self._reader.returning(span, self._least):
            async for found in self._returned(member):
                if found.section >= self._least:
                    self._find(found)

    def _find(self, found: Found) -> None:
        if isinstance(found, Change):
            self._deferred.add(found)
        elif found.section != OPENING:
            self._unpriced[found.currency, found.reason] += found.points

    async def _returned(self, member: str) -> AsyncIterator[Found]:
        """What became of the consideration of a member's orders that changed."""
        made: dict[int, Row] = {}
        chains: defaultdict[str, list[tuple[Row, Receipt]]] = defaultdict(list)
        async for row in self._reader.orders(member):
            facts = _facts(row[6])
            changed = facts.receipt
            each = _row(row, decided_body(decode_body(row[5]), facts))
            if changed is None:
                made[each.seq] = each
            else:
                chains[changed.order].append((each, changed))
        now = await self._reader.receipts(member, list(chains))
        for order, chain in chains.items():
            last = decode_receipt(now[order])
            for found in self._consideration.returned(made.get(last.seq), chain, last):
                yield found

    def _together(self, period: str, known_by: Instant, closed: Closed | None) -> Report:
        cuts, approvals = self._cuts, self._approvals
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
            opening, closing, approvals, since=cuts.since, until=cuts.until
        )
        vouchers = bookreport.voucher_rolls(self._vouchers)
        gifts = bookreport.gift_vouchers(
            vouchers if self._form >= _POSTS_VOUCHERS else (), never_posted=self._never_posted
        )
        return Report(
            format=self._form,
            period=period,
            since=rfc3339(cuts.since),
            happened_before=rfc3339(cuts.until),
            known_by=rfc3339(known_by),
            status="closed" if closed else "provisional",
            closed=closed,
            currencies=currencies,
            vouchers=vouchers,
            deferred=deferred,
            unpriced=bookreport.unpriced_points(self._unpriced),
            journals=deferral.postings(deferred, approvals, cuts.until, gifts),
            approvals=[_approved(each) for each in approvals.held_before(cuts.until)],
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
