"""A report of the books between two cuts through the ledger, and its tables.

A cut is named by two instants: what had happened before the one (exclusive), and what was known by
the other (inclusive). An account's clock never runs back, so a cut takes the beginning of every
member's chain and nothing else: what it holds is what the books could have shown.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

import msgspec

from services.loyalty.domain import deferral
from services.loyalty.domain.calendar import IDLE, NEVER, rfc3339
from services.loyalty.domain.consideration import half_up
from services.loyalty.domain.deferral import JournalLine, MonthDeferred
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.movements import PERIOD, PRIOR, Movements

FORMAT = 2
"""Of the report. A close names the one that it was made in, and is made again in that one. The
first posts nothing of vouchers that carry no points.
"""

Table: TypeAlias = Literal[
    "rollforward",
    "liability",
    "age",
    "expiry",
    "breakage",
    "vouchers",
    "deferred",
    "unpriced",
    "journals",
]


class RollForward(msgspec.Struct, frozen=True):
    """A bucket from its opening to its closing: opening + period + prior_period = closing.

    ``period`` and ``prior_period`` hold points by column, negative where they leave the bucket;
    ``prior_period`` is what had happened before the period and was not known when that was closed.
    """

    bucket: str
    opening: int
    period: dict[str, int]
    prior_period: dict[str, int]
    closing: int


class Liability(msgspec.Struct, frozen=True):
    """Points owed to members: ``total`` is the sum of the five before it. ``arrears`` are owed by
    members; they stand apart, because what one member owes pays nothing of what another has.
    ``worth`` is what the total is worth in ``money``, where the programme says so.
    """

    available: int
    held: int
    pending: int
    in_transit: int
    open_vouchers: int
    total: int
    arrears: int
    worth: str
    money: str


class Outstanding(msgspec.Struct, frozen=True):
    """Points outstanding of one month of issue (``2011-02``) or one end of life: an instant,
    ``never``, ``inactivity`` (which moves with the member), or ``open`` (which an activation sets).
    """

    key: str
    available: int
    pending: int
    held: int
    in_transit: int


class Breakage(msgspec.Struct, frozen=True):
    """What became of a month's points, to date of each ``month``. ``points`` are those that were
    issued in all and not taken back since.
    """

    issued: str
    month: str
    points: int
    redeemed: int
    lost: int


class CurrencyBooks(msgspec.Struct, frozen=True):
    """The books of one currency of points. ``breakage`` and what follows from a month of issue have
    no rows for one that counts towards tiers (``spendable`` is false), and neither is it owed.
    """

    currency: str
    spendable: bool
    rollforward: list[RollForward]
    liability: Liability
    by_age: list[Outstanding]
    by_expiry: list[Outstanding]
    breakage: list[Breakage]


class VoucherMoves(msgspec.Struct, frozen=True):
    """opening + issued − used − expired − voided = closing, of vouchers or of what they carry."""

    opening: int
    issued: int
    used: int
    expired: int
    voided: int
    closing: int


class VoucherRoll(msgspec.Struct, frozen=True):
    """Vouchers that carry points of one currency and are worth one money, from opening to closing.
    Both are empty for those that carry none (gifts), or whose worth the shop alone can tell.

    Attributes:
        vouchers: how many.
        points: the points that they carry.
        worth: what they are worth, in minor units of ``money``.
    """

    currency: str
    money: str
    vouchers: VoucherMoves
    points: VoucherMoves
    worth: VoucherMoves


class UnpricedPoints(msgspec.Struct, frozen=True):
    """Points issued in the period without consideration, and why."""

    currency: str
    reason: str
    points: int


class Approved(msgspec.Struct, frozen=True):
    """An approval that the report rests on."""

    number: int
    what: str
    of: str
    issued: str
    value: str
    holds_from: str
    approved_by: str
    approved_at: str


class Footing(msgspec.Struct, frozen=True):
    """How the report foots to the ledger.

    Attributes:
        members, activities, entries: how much stands under the closing cut.
        ledger: by currency and bucket, what the ledger holds under the cut: each member's entries
            up to its last seq, summed without regard to kinds, sections or times.
        trial_balance: by currency, all buckets together: nothing but 0 balances.
        differences: where roll-forward and ledger differ; none where the report foots.
        foots: whether the report is what the ledger holds.
    """

    members: int
    activities: int
    entries: int
    ledger: dict[str, dict[str, int]]
    trial_balance: dict[str, int]
    differences: list[str]
    foots: bool


class Closed(msgspec.Struct, frozen=True):
    """The close that made the report final: when, by whom, and the checkpoint whose heads say what
    was known of each member.
    """

    checkpoint: int
    at: str
    by: str


class Report(msgspec.Struct, frozen=True):
    """The books of one period.

    Attributes:
        period: the month (``2011-03``), empty for other spans.
        since: the opening cut: what had happened before it.
        happened_before: the closing cut: what had happened before it.
        known_by: what was known by this instant; of a closed period that of its close.
        status: ``closed``, or ``provisional``: another look may know more.
        closed: the close, of a closed period.
        vouchers: vouchers in a section of their own.
        deferred: consideration of points by month of issue.
        unpriced: points issued without consideration.
        journals: what finance posts.
        approvals: what finance approved for it.
        proof: that it foots.
    """

    format: int
    period: str
    since: str
    happened_before: str
    known_by: str
    status: str
    closed: Closed | None
    currencies: list[CurrencyBooks]
    vouchers: list[VoucherRoll]
    deferred: list[MonthDeferred]
    unpriced: list[UnpricedPoints]
    journals: list[JournalLine]
    approvals: list[Approved]
    proof: Footing


class Worth(msgspec.Struct, frozen=True):
    """What a currency of points is: whether it can be spent, and a point's worth in minor units."""

    spendable: bool
    minor: Fraction
    money: str


def currency_books(
    currency: str,
    movements: Movements,
    worth: Worth,
    curve: Mapping[tuple[str, str], tuple[int, int]],
) -> CurrencyBooks:
    """The books of a currency from its legs, and from what its months lost or redeemed by month:
    (issued, month) → (redeemed, lost).
    """
    rows = [_rolled(movements, bucket) for bucket in movements.buckets]
    closing = {row.bucket: row.closing for row in rows}
    return CurrencyBooks(
        currency=currency,
        spendable=worth.spendable,
        rollforward=rows,
        liability=_liability(closing if worth.spendable else {}, movements.open_vouchers, worth),
        by_age=_outstanding(movements, "issued"),
        by_expiry=_outstanding(movements, "expires"),
        breakage=_breakage(movements, curve) if worth.spendable else [],
    )


def _rolled(movements: Movements, bucket: str) -> RollForward:
    opening = movements.opening(bucket)
    period, prior = (movements.moved(bucket, section) for section in (PERIOD, PRIOR))
    closing = opening + sum(period.values()) + sum(prior.values())
    return RollForward(bucket, opening, period, prior, closing)


def _liability(closing: Mapping[str, int], vouchers: int, worth: Worth) -> Liability:
    available, held, pending, in_transit = (
        closing.get(bucket, 0) for bucket in ("available", "held", "pending", "transit")
    )
    total = available + held + pending + in_transit + vouchers
    money = worth.money
    return Liability(
        available=available,
        held=held,
        pending=pending,
        in_transit=in_transit,
        open_vouchers=vouchers,
        total=total,
        arrears=-closing.get("arrears", 0),
        worth=decimal_text(half_up(total * worth.minor), money) if money else "",
        money=money,
    )


def _outstanding(movements: Movements, what: str) -> list[Outstanding]:
    name = _life if what == "expires" else str
    return [
        Outstanding(name(key), held["available"], held["pending"], held["held"], held["transit"])
        for key, held in sorted(movements.held(what), key=lambda pair: _in_time(pair[0]))
    ]


def _in_time(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (0, key)


def _life(expires: str) -> str:
    """The end of life that a lot's name holds, for people."""
    if not expires.isdigit() or int(expires) == NEVER:
        return "never"
    if int(expires) == IDLE:
        return "inactivity"
    return rfc3339(int(expires)) if int(expires) else "open"


def _breakage(
    movements: Movements, curve: Mapping[tuple[str, str], tuple[int, int]]
) -> list[Breakage]:
    points = movements.months()
    rows: list[Breakage] = []
    redeemed = lost = 0
    before = ""
    for issued, month in sorted(curve):
        if issued != before:
            redeemed, lost, before = 0, 0, issued
        redeemed += curve[issued, month][0]
        lost += curve[issued, month][1]
        rows.append(Breakage(issued, month, points[issued].issued, redeemed, lost))
    return rows


def differences(
    books: Iterable[CurrencyBooks], ledger: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Where a roll-forward is not what the ledger holds, or its columns do not balance."""
    found: list[str] = []
    seen: dict[str, dict[str, int]] = {}
    for each in books:
        seen[each.currency] = {row.bucket: row.closing for row in each.rollforward}
        columns: dict[str, int] = {}
        for row in each.rollforward:
            for moved in (row.period, row.prior_period):
                for column, points in moved.items():
                    columns[column] = columns.get(column, 0) + points
        found += [
            f"{each.currency}: {column} comes to {points} over all buckets"
            for column, points in columns.items()
            if points
        ]
    for currency in sorted(seen.keys() | ledger.keys()):
        ours, theirs = seen.get(currency, {}), ledger.get(currency, {})
        found += [
            f"{currency} {bucket}: closing {ours.get(bucket, 0)}, ledger {theirs.get(bucket, 0)}"
            for bucket in sorted(ours.keys() | theirs.keys())
            if ours.get(bucket, 0) != theirs.get(bucket, 0)
        ]
    return found


def voucher_rolls(
    found: Mapping[tuple[str, str], Mapping[str, Sequence[int]]],
) -> list[VoucherRoll]:
    """Rows from counts, points and worth by (currency, money) and column."""
    return [
        VoucherRoll(*key, *(_voucher_moves(columns, place) for place in range(3)))
        for key, columns in sorted(found.items())
    ]


def _voucher_moves(columns: Mapping[str, Sequence[int]], place: int) -> VoucherMoves:
    opening, issued, used, expired, voided = (
        columns[name][place] if name in columns else 0
        for name in ("opening", "issued", "used", "expired", "voided")
    )
    closing = opening + issued - used - expired - voided
    return VoucherMoves(opening, issued, used, expired, voided, closing)


def gift_vouchers(
    rolls: Iterable[VoucherRoll], *, never_posted: bool
) -> Iterator[deferral.GiftVouchers]:
    """What is to be posted of vouchers that carry no points. With ``never_posted`` those that were
    open before, too: the close before was made in a format that knew nothing of them.
    """
    for roll in rolls:
        worth = roll.worth
        if roll.money and not roll.currency:
            issued = worth.issued + (worth.opening if never_posted else 0)
            released = worth.expired + worth.voided
            yield deferral.GiftVouchers(roll.money, issued, worth.used, released)


def unpriced_points(found: Mapping[tuple[str, str], int]) -> list[UnpricedPoints]:
    """Rows from points by (currency, reason)."""
    return [UnpricedPoints(*key, points) for key, points in sorted(found.items()) if points]


# Texts ------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Report).decode


def encode_report(report: Report) -> bytes:
    """The one canonical JSON of a report."""
    return _encode(report)


def decode_report(text: bytes | str) -> Report:
    """The report that :func:`encode_report` wrote."""
    return _decode(text)


def as_csv(report: Report, table: Table) -> str:
    """One table of a report as CSV (RFC 4180), every row with the two instants and the status."""
    heads, rows = _table(report, table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["happened_before", "known_by", "status", *heads])
    head = (report.happened_before, report.known_by, report.status)
    writer.writerows([*head, *row] for row in rows)
    return text.getvalue()


def _table(report: Report, table: Table) -> tuple[list[str], list[list[object]]]:
    if table == "rollforward":
        return _rollforward_table(report)
    if table == "liability":
        return _flat(
            Liability, [(each.currency, each.liability) for each in report.currencies], "currency"
        )
    if table in ("age", "expiry", "breakage"):
        kind = Breakage if table == "breakage" else Outstanding
        rows = [(each.currency, row) for each in report.currencies for row in _rows_of(each, table)]
        return _flat(kind, rows, "currency")
    if table == "vouchers":
        return _voucher_table(report)
    kinds: dict[str, tuple[type[msgspec.Struct], Sequence[msgspec.Struct]]] = {
        "deferred": (MonthDeferred, report.deferred),
        "unpriced": (UnpricedPoints, report.unpriced),
        "journals": (JournalLine, report.journals),
    }
    kind_of, found = kinds[table]
    return _flat(kind_of, [("", row) for row in found])


def _rows_of(books: CurrencyBooks, table: str) -> Sequence[msgspec.Struct]:
    if table == "breakage":
        return books.breakage
    return books.by_age if table == "age" else books.by_expiry


def _flat(
    kind: type[msgspec.Struct], rows: Iterable[tuple[str, msgspec.Struct]], first: str = ""
) -> tuple[list[str], list[list[object]]]:
    fields = list(kind.__struct_fields__)
    lines = [
        [*([name] if first else []), *(getattr(row, field) for field in fields)]
        for name, row in rows
    ]
    return [*([first] if first else []), *fields], lines


def _voucher_table(report: Report) -> tuple[list[str], list[list[object]]]:
    """One row per currency, money and measure."""
    heads = list(VoucherMoves.__struct_fields__)
    lines: list[list[object]] = [
        [each.currency, each.money, what, *(getattr(getattr(each, what), head) for head in heads)]
        for each in report.vouchers
        for what in ("vouchers", "points", "worth")
    ]
    return ["currency", "money", "measure", *heads], lines


def _rollforward_table(report: Report) -> tuple[list[str], list[list[object]]]:
    """One row per currency, bucket and section; the columns that any of them has."""
    columns = list(
        dict.fromkeys(
            column
            for each in report.currencies
            for row in each.rollforward
            for column in (*row.period, *row.prior_period)
        )
    )
    lines: list[list[object]] = []
    for each in report.currencies:
        for row in each.rollforward:
            for section, moved in (("period", row.period), ("prior_period", row.prior_period)):
                opening = (
                    row.opening if section == "period" else row.opening + sum(row.period.values())
                )
                lines.append(
                    [
                        each.currency,
                        row.bucket,
                        section,
                        opening,
                        *(moved.get(column, 0) for column in columns),
                        opening + sum(moved.values()),
                    ]
                )
    return ["currency", "bucket", "section", "opening", *columns, "closing"], lines
