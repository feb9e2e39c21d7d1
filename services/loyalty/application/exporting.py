"""Members as the files of an import have them: what is here now, to be taken in elsewhere.

What an import cannot take is left out and counted, so that whoever moves knows what stays behind.
Points that open holds set aside are written as if these had been voided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from math import floor
from typing import TypeAlias

from msgspec import structs

from services.loyalty.application.opening_columns import FILES
from services.loyalty.domain import refunds, tiers
from services.loyalty.domain.account import Account, Lot, Reach
from services.loyalty.domain.accrual import SETTLED
from services.loyalty.domain.bookreport import Report
from services.loyalty.domain.calendar import IDLE, NEVER, Instant, local_date, rfc3339
from services.loyalty.domain.deferral import minor
from services.loyalty.domain.holds import released_until
from services.loyalty.domain.lots import end_of
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.opening_mistakes import OCCASIONS, ON_REFUND, is_counter
from services.loyalty.domain.periods import after_span, ended_before
from services.loyalty.domain.program import Program, Tiers
from services.loyalty.domain.receipt import Posting, Receipt

Rows: TypeAlias = dict[str, list[list[str]]]
"""By file, rows in the order of its columns."""

EXPORTED = ("active", "suspended")
"""Statuses of the accounts that are exported."""


@dataclass(frozen=True, slots=True)
class Leaver:
    """A member as of now, with what of it is no working state.

    Attributes:
        receipts: of orders that may still come back, or await their delivery.
        windows: points of closed windows that these name, by ``currency/window``.
    """

    member: str
    account: Account
    receipts: Collection[Receipt]
    windows: Mapping[str, int]
    born_on: date | None = None
    language: str = ""


class Deferred:
    """What is deferred of each month's points, handed out with them: the parts of any number of
    lots, one after the other, sum to the whole.
    """

    def __init__(self, report: Report | None) -> None:
        self._left: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
        self._points: dict[tuple[str, str], int] = {}
        self._given: Counter[tuple[str, str]] = Counter()
        for row in report.deferred if report else ():
            if (amount := minor(row.deferred)) > 0:
                key = row.currency, row.issued
                self._left.setdefault(key, []).append((row.money, row.funding, amount))
        for each in report.currencies if report else ():
            for month in each.by_age:
                points = month.available + month.pending + month.held
                self._points[each.currency, month.key] = points

    def part(self, currency: str, issued: str, points: int) -> Iterator[tuple[str, str, int]]:
        """Money, funding and minor units that belong to points of a month."""
        key = currency, issued
        whole, before = self._points.get(key, 0), self._given[key]
        self._given[key] = after = min(whole, before + points)
        for money, funding, amount in self._left.get(key, ()) if whole else ():
            share = floor(Fraction(amount * after, whole)) - floor(Fraction(amount * before, whole))
            if share:
                yield money, funding, share


@dataclass(slots=True)
class Export:
    """Members being written down.

    Attributes:
        points: points written, by currency and bucket.
        left_out: what is left out, by what it is.
    """

    program: Program
    now: Instant
    deferred: Deferred
    members: int = 0
    points: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def rows(self, leaver: Leaver) -> Rows:
        """The rows of one member, of all files."""
        self.members += 1
        return _Writing(self, leaver).rows()


class _Writing:
    """One member being written down."""

    def __init__(self, export: Export, leaver: Leaver) -> None:
        self._export = export
        self._program, self._now = export.program, export.now
        self._leaver, self._account = leaver, leaver.account
        self._rows: Rows = {file: [] for file in FILES}

    def rows(self) -> Rows:
        self._member()
        self._lots()
        account = self._account
        today = local_date(self._now, self._program.zone)
        voided = Counter(key for hold in account.holds for key in hold.counters)
        for key, (times, points) in sorted(account.counters.items()):
            over = ended_before(key.rpartition("/")[2], today)
            if not over and is_counter(self._program, key):
                self._add("counters", counter=key, times=times - voided[key], points=points)
        for occasion in OCCASIONS:
            if occasion in account.gifts:
                self._add("gifts", occasion=occasion, given=rfc3339(account.gifts[occasion]))
        for receipt in sorted(self._leaver.receipts, key=lambda each: each.order):
            self._order(receipt)
        for what, found in (
            ("open vouchers", account.vouchers),
            ("offers of a gift", account.offers),
            ("open holds, whose points are written as available", account.holds),
            ("activities that wait", account.waiting),
            ("cards of stamps", account.cards),
            ("badges", account.badges),
            ("adjustments that wait for approval", account.affairs.approvals),
            ("memberships of a pool", _pool_of(account)),
        ):
            self._export.left_out[what] += len(found)
        return self._rows

    def _add(self, file: str, **values: object) -> None:
        told = {name: "" if value is None else str(value) for name, value in values.items()}
        told["member_id"] = self._leaver.member
        self._rows[file].append([told.get(column, "") for column in FILES[file]])

    def _member(self) -> None:
        account, standing = self._account, self._account.standing
        level = tiers.level_now(self._program, standing.level)
        live = self._live()
        own = [reach for reach in live if tiers.level_now(self._program, reach.level) == level]
        held = max(own, key=lambda reach: reach.until, default=None)
        self._add(
            "members",
            enrolled=rfc3339(account.enrolled_at),
            status=account.status,
            blocked=" ".join(sorted(account.affairs.blocked)),
            tier=level,
            tier_since=rfc3339(standing.since) if standing.since else "",
            tier_until=_end(held.until) if held else "",
            tier_basis=self._basis(held) if held else "",
            grace_until=_end(standing.grace_until) if standing.grace_until else "",
            purchases=account.purchases or "",
            born_on=self._leaver.born_on,
            language=self._leaver.language,
            time_zone=account.zone,
        )
        for reach in live:
            if reach is not held:
                self._add(
                    "tiers",
                    level=tiers.level_now(self._program, reach.level),
                    since=rfc3339(reach.at),
                    until=_end(reach.until),
                    basis=self._basis(reach),
                )

    def _live(self) -> list[Reach]:
        return [reach for reach in self._account.standing.reaches if reach.until > self._now]

    def _basis(self, reach: Reach) -> str:
        """The window, where what it counts is at hand; else a word, or nothing."""
        if not reach.window:
            return reach.cause if reach.cause in ("manual", "fell") else ""
        level = tiers.level_of(self._terms, tiers.level_now(self._program, reach.level))
        counted = tiers.counted_in(self._program, self._account, reach.window)
        return reach.window if level.allows(counted) else ""

    @property
    def _terms(self) -> Tiers:
        assert self._program.tiers is not None
        return self._program.tiers

    def _lots(self) -> None:
        account, owed = self._account, dict(self._account.arrears)
        found: dict[str, Lot] = {}
        for lot in account.lots:
            if lot.awaits.startswith(SETTLED):
                self._export.left_out["points of a referral under way"] += lot.points
            else:
                found[lot.key] = lot
        for drawn in (each for hold in account.holds for each in hold.drawn):
            paid = min(owed.get(drawn.currency, 0), drawn.points)  # as a release would
            if paid:
                owed[drawn.currency] -= paid
            until = released_until(self._program, account.idle, drawn, self._now)
            own = self._ends(drawn.currency, drawn.expires_at)
            end = drawn.expires_at if until == own else until
            lot = Lot(drawn.currency, drawn.issued, end, 0, "", drawn.points - paid, 0)
            if until <= self._now:
                self._export.left_out["points on hold whose lots have expired"] += lot.points
            elif lot.points:
                more = found[lot.key].points if lot.key in found else 0
                found[lot.key] = structs.replace(lot, points=lot.points + more)
        for lot in sorted(found.values(), key=_place):
            self._lot(lot, lot.points)
        for currency, points in sorted(owed.items()):
            if points:
                name = self._program.currency_now(currency)
                self._export.points[name, "arrears"] -= points
                self._add("lots", currency=name, points=-points)
        for key, points in sorted((self._windows() | dict(self._leaver.windows)).items()):
            currency, _, window = key.partition("/")
            name = self._program.currency_now(currency)
            if points and name in self._program.currencies:
                self._export.points[name, "available"] += points
                earned = _first_day(window)
                self._add("lots", currency=name, points=points, earned=earned)

    def _windows(self) -> dict[str, int]:
        """Points by window that still count for something, or that an order names."""
        account = self._account
        over = tiers.windows_over(
            self._program,
            account.windows,
            structs.replace(account.standing, reaches=self._live()),
            account.lots,
            account.enrolled_at,
            at=self._now,
        )
        named = {
            (posting.currency, posting.window)
            for receipt in self._leaver.receipts
            for posting in receipt.postings
        }
        left_out = set(over) - named
        return {
            f"{currency}/{window}": points
            for currency, held in account.windows.items()
            for window, points in held.items()
            if (currency, window) not in left_out
        }

    def _lot(self, lot: Lot, points: int) -> None:
        name = self._program.currency_now(lot.currency)
        qualifies = self._program.currency(lot.currency).qualifies
        self._export.points[name, "pending" if lot.activates_at else "available"] += points
        self._add(
            "lots",
            currency=name,
            points=points,
            earned=_first_day(lot.issued),
            available=rfc3339(lot.activates_at) if lot.activates_at else "",
            awaits=lot.awaits,
            **self._life(lot.currency, lot.expires_at, qualifies=qualifies),
        )
        if not qualifies:
            shares = self._export.deferred.part(lot.currency, lot.issued, points)
            for money, funding, amount in shares:
                self._add(
                    "consideration",
                    currency=name,
                    earned=lot.issued,
                    money=money,
                    amount=decimal_text(amount, money),
                    funding=funding,
                )

    def _life(self, currency: str, expires_at: Instant, *, qualifies: bool) -> dict[str, str]:
        if qualifies:
            return {}
        end = self._ends(currency, expires_at)
        moves = {"while_active": "yes"} if expires_at == IDLE and end < NEVER else {}
        return {"expires": _end(end)} | moves

    def _ends(self, currency: str, expires_at: Instant) -> Instant:
        """When points end, those that live while their member is active as it is now."""
        lot = Lot(currency, "", expires_at, 0, "", 0, 0)
        return end_of(self._program, self._account.idle, lot)

    def _order(self, receipt: Receipt) -> None:
        money = receipt.currency

        def text(amount: int) -> str:
            return decimal_text(amount, money) if amount else ""

        self._add(
            "purchases",
            order_id=receipt.order,
            bought=rfc3339(receipt.occurred_at),
            money=money,
            delivered=rfc3339(receipt.delivered_at) if receipt.delivered_at else "",
            returned=text(receipt.returned_unlined),
        )
        for line in receipt.lines:
            self._add(
                "lines",
                order_id=receipt.order,
                position=line.position,
                quantity=line.quantity,
                paid=decimal_text(line.value, money),
                earning=decimal_text(line.spend, money),
                returned_quantity=line.returned_quantity or "",
                returned=text(line.returned_amount),
            )
        seen: Counter[tuple[str, str]] = Counter()
        for posting in receipt.postings:
            seen[posting.rule, posting.currency] += 1
            if posting.on_refund in ON_REFUND and SETTLED not in posting.lots[0][0]:
                again = seen[posting.rule, posting.currency]  # an amendment earned by it once more
                rule = posting.rule if again == 1 else f"{posting.rule} ({again})"
                self._posting(receipt, posting, rule)

    def _posting(self, receipt: Receipt, posting: Posting, rule: str) -> None:
        _, issued, *rest = posting.lots[0][0].split("/", 3)
        wait = rest[1] if len(rest) > 1 else ""
        awaits = wait.startswith("d")
        available = self._delivery_by(posting) if awaits else int(wait[1:] or 0) if wait else 0
        if awaits and not available:
            return  # all of it came back, and nothing awaits the delivery any more
        if not posting.window and 0 < self._ends(posting.currency, int(rest[0])) <= self._now:
            return  # what is left of it has expired, and a refund costs the member nothing
        told: dict[str, object] = {
            "rule": rule,
            "currency": self._program.currency_now(posting.currency),
            "earned": _first_day(posting.window or issued),
            "available": rfc3339(available) if available > self._now else "",
            "awaits_delivery": "yes" if awaits else "",
            "on_refund": "" if posting.on_refund == "prorate" else posting.on_refund,
            "min_spend": _amount(posting.min_spend, receipt.currency),
            "all_or_none": "" if posting.prorates or posting.steps else "yes",
            "step": _amount(posting.step, receipt.currency),
            "steps": posting.steps or "",
        }
        if not posting.window:
            told |= self._life(posting.currency, int(rest[0]), qualifies=False)
        for place in sorted(posting.eligible) or range(len(receipt.lines)):
            position, points = receipt.lines[place].position, posting.allocated[place]
            self._add("earned", order_id=receipt.order, position=position, points=points, **told)

    def _delivery_by(self, posting: Posting) -> Instant:
        """By when the delivery must have come that a posting awaits, 0 where none of it does."""
        key = posting.lots[0][0]
        found = (lot.activates_at for lot in self._account.lots if lot.key == key)
        return next(found, 0)


def _place(lot: Lot) -> tuple[Instant, str, Instant, str, str]:
    """Where a lot stands among those of its account: the soonest to expire first."""
    return (lot.expires_at or NEVER, lot.issued, lot.activates_at, lot.awaits, lot.currency)


def may_come_back(program: Program, account: Account, receipt: Receipt, now: Instant) -> bool:
    """Whether an order is inside its return window, or awaits its delivery, and not all back."""
    if refunds.is_all_back(receipt, refunds.returned(receipt)):
        return False
    since = receipt.delivered_at or receipt.occurred_at
    inside = after_span(since, program.returns, program.zone) > now
    return inside or any(lot.awaits == receipt.order for lot in account.lots)


def windows_named(account: Account, receipts: Iterable[Receipt]) -> Iterator[str]:
    """History keys of closed windows from which a refund of these orders takes points."""
    for receipt in receipts:
        for posting in receipt.postings:
            if posting.window and posting.window not in account.windows.get(posting.currency, {}):
                yield f"window:{posting.currency}/{posting.window}"


def _pool_of(account: Account) -> list[str]:
    household = account.affairs.household
    return [household.pool] if household is not None and household.pool else []


def _end(at: Instant) -> str:
    return "never" if at >= NEVER else rfc3339(at) if at else ""


def _amount(minor_units: int, money: str) -> str:
    return decimal_text(minor_units, money) if minor_units else ""


def _first_day(issued: str) -> str:
    """A month as it is, of a window of a year its first day."""
    return f"{issued}-01-01" if len(issued) == len("2011") else issued
