"""Due moments: the instants at which the clock itself changes an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from services.loyalty.domain.account import NO_AFFAIRS, Account, Affairs
from services.loyalty.domain.activity import MOMENTS, Tick
from services.loyalty.domain.calendar import (
    IDLE,
    LONGEST_DAY,
    NEVER,
    Instant,
    add_months,
    local_date,
    midnight,
)
from services.loyalty.domain.lots import end_of
from services.loyalty.domain.periods import days_before
from services.loyalty.domain.program import Gift, Program
from services.loyalty.domain.rejudging import moment_of, name_of
from services.loyalty.domain.tiers import period_end, would_fall

_RANK = {moment: rank for rank, moment in enumerate(MOMENTS)}
_ACTIVATION, _HOLD_END, _REVIEW, _GRACE, _EXPIRY, _LAPSE, _NOTICE, _WARNING, _OCCASION = (
    _RANK[name]
    for name in (
        "activation",
        "hold_end",
        "tier_review",
        "grace_end",
        "expiry",
        "lapse",
        "notice",
        "tier_warning",
        "occasion",
    )
)


APPROVAL, CLOSING = "approval", "closing"
"""Names of the lapses of adjustments that wait, and of the points that a closed account keeps."""

CLAIM, STAMPS, REFERRAL, VOUCHER = "claim:", "collect:", "referral:", "voucher:"
"""How the names of lapses begin, whose own ids follow: the card's, the order's, the voucher's.
Deadlines on one instant are decided in the order of their names, what is parked first.
"""


_OF_LEVEL: Final = "tier-anniversary"


class Moment(NamedTuple):
    """A due moment; the order of these values is the order in which they are decided."""

    at: Instant
    rank: int
    name: str = ""
    seq: int = 0

    @property
    def tick(self) -> Tick:
        """The Tick of this moment."""
        return Tick(MOMENTS[self.rank], self.at, self.name)


_NONE = Moment(-1, 0)
"""Before every moment."""


class Versions(Protocol):
    """The published versions of a programme, by the instants from which they hold."""

    def spans(self, after: Instant, until: Instant) -> list[tuple[Program, Instant, Instant]]:
        """Versions with the part of ``(after, until]`` in which each holds, earliest first."""
        ...


def next_moment(
    versions: Versions, account: Account, born_on: date | None, *, until: Instant
) -> Moment | None:
    """The first due moment of an account that is not decided yet, up to and including ``until``,
    judged by the version that holds then; None where there is none, and while a Tick has failed.
    """
    if account.status == "stuck" or (account.status == "unenrolled" and not account.waiting):
        return None
    after, decided = account.as_of, _NONE
    if account.ticked is not None:  # there may be more on the very instant
        after, decided = after - 1, Moment(after, *account.ticked)
    for program, start, end in versions.spans(after, until):
        found = _Search(start, end, decided).of(program, account, born_on)
        if found is not None:
            return found
    return None


class _Search:
    """The first moment in ``(after, until]`` that comes after those decided on its instant."""

    __slots__ = ("after", "decided", "first", "until")

    def __init__(self, after: Instant, until: Instant, decided: Moment) -> None:
        self.after = after
        self.until = until  # no later than the first found so far
        self.decided = decided
        self.first: Moment | None = None

    def of(self, program: Program, account: Account, born_on: date | None) -> Moment | None:  # noqa: PLR0912 - one branch for each kind of moment
        """The first moment of an account under one version of the programme."""
        for waiting in account.waiting:
            self._meet(waiting.lapses_at, _LAPSE, "", waiting.seq)
        for offer in account.offers:
            self._meet(offer.until, _LAPSE, f"{CLAIM}{offer.id}")
        for voucher in account.vouchers:
            self._meet(voucher.expires_at, _LAPSE, f"{VOUCHER}{voucher.id}")
        if account.status == "unenrolled":
            return self.first
        if account.lots:
            self._meet_lots(program, account)
        if account.referral is not None:
            for held in account.referrals:
                if held.order and not held.settled:
                    self._meet(held.ends_at, _LAPSE, f"{REFERRAL}{held.order}")
        for hold in account.holds:
            self._meet(hold.ends_at, _HOLD_END)
        if account.affairs is not NO_AFFAIRS:
            self._meet_affairs(account.affairs)
        if account.status not in ("active", "suspended"):
            return self.first
        if program.rejudges:
            self._meet(moment_of(program, account), _REVIEW, name_of(program))
        if account.standing.reaches or account.standing.grace_until:
            self._meet_tier(program, account)
        for name, card in account.cards.items():
            for stamp in card.stamps:
                self._meet(stamp.ends_at, _LAPSE, f"{STAMPS}{name}")
        for gift in program.gifts:
            self._meet_occasion(gift, program.zone, account, born_on)
        return self.first

    def _meet(self, at: Instant, rank: int, name: str = "", seq: int = 0) -> None:
        if not self.after < at <= self.until or at >= NEVER:
            return
        if self.first is not None and at == self.until and rank > self.first.rank:
            return
        moment = Moment(at, rank, name, seq)
        if moment > self.decided and (self.first is None or moment < self.first):
            self.first, self.until = moment, at

    def _meet_affairs(self, affairs: Affairs) -> None:
        self._meet(affairs.forfeits_at, _LAPSE, CLOSING)
        for approval in affairs.approvals:
            self._meet(approval.lapses_at, _LAPSE, APPROVAL)

    def _meet_lots(self, program: Program, account: Account) -> None:
        ends: dict[tuple[str, Instant], None] = {}
        for lot in account.lots:
            at, end = lot.activates_at, lot.expires_at
            if self.after < at <= self.until:
                self._meet(at, _ACTIVATION, lot.awaits)
            if end == IDLE:
                end = end_of(program, account.idle, lot)
            if 0 < end < NEVER:
                ends[program.currency_now(lot.currency), end] = None
        for currency, end in ends:
            self._meet(end, _EXPIRY)
            terms = program.currencies.get(currency)
            if terms is not None and terms.expiry is not None:
                for days in terms.expiry.notices:
                    self._meet(days_before(end, days, program.zone), _NOTICE)

    def _meet_tier(self, program: Program, account: Account) -> None:
        if program.tiers is None:
            return
        self._meet(account.standing.grace_until, _GRACE)
        end = period_end(account.standing)
        if not 0 < end < NEVER:
            return
        self._meet(end, _REVIEW)
        for days in program.tiers.warn_days:
            at = days_before(end, days, program.zone)
            if self.after < at <= self.until and would_fall(program, account):
                self._meet(at, _WARNING)

    def _meet_occasion(
        self, gift: Gift, tz: ZoneInfo, account: Account, born_on: date | None
    ) -> None:
        at = _occasion(gift, tz, account, born_on, self.after)
        if not at or at > self.until:
            return
        if Moment(at, _OCCASION, gift.occasion) <= self.decided:
            at = _occasion(gift, tz, account, born_on, at)
        self._meet(at, _OCCASION, gift.occasion)


def _occasion(
    gift: Gift, tz: ZoneInfo, account: Account, born_on: date | None, after: Instant
) -> Instant:
    if gift.occasion == "anniversary":
        return next_yearly(
            local_date(account.enrolled_at, tz), gift.leap_day, gift.years, after, tz
        )
    if gift.occasion == _OF_LEVEL:
        standing = account.standing
        if not standing.reaches and not standing.grace_until:  # everybody's level has none
            return 0
        return next_yearly(local_date(standing.since, tz), gift.leap_day, gift.years, after, tz)
    return next_yearly(born_on, gift.leap_day, 1, after, tz) if born_on else 0


@lru_cache(maxsize=65536)
def _yearly(first: date, leap_day: str, year: int, tz: ZoneInfo) -> Instant:
    day = add_months(first, 12 * (year - first.year))
    if leap_day == "mar_1" and (first.month, first.day) == (2, 29) and day.day == 28:
        day = date(year, 3, 1)
    return midnight(day, tz)


def next_yearly(first: date, leap_day: str, years: int, after: Instant, tz: ZoneInfo) -> Instant:
    """The next anniversary of a date after an instant, every so many years; 29 February by the
    programme's rule.
    """
    year = local_date(after, tz).year
    year = max(year, first.year + years)
    year += -(year - first.year) % years
    at = _yearly(first, leap_day, year, tz)
    return at if at > after else _yearly(first, leap_day, year + years, tz)


def due_at(versions: Versions, account: Account, born_on: date | None) -> Instant | None:
    """The next due moment of an account, as its row stores it; None where nothing is due ever."""
    found = next_moment(versions, account, born_on, until=NEVER)
    return found.at if found else None


def due_by(versions: Versions, account: Account, born_on: date | None) -> Instant | None:
    """An instant by which :func:`due_at` is not over yet: never later, and seldom earlier, in a
    fraction of its time. It asks neither in which order moments fall nor whether a warning would be
    given; a scheduler's visit finds that out.
    """
    if account.ticked is not None:
        return due_at(versions, account, born_on)
    if account.status == "stuck" or (account.status == "unenrolled" and not account.waiting):
        return None
    for program, start, end in versions.spans(account.as_of, NEVER):
        at = _soonest(program, account, born_on, start, end + 1)
        if at <= end:
            return at
    return None


def due_after(
    versions: Versions, account: Account, born_on: date | None, due: Instant | None
) -> Instant | None:
    """The same after a Decision that does not reschedule, where ``due`` was known before it: what
    it did not change has no earlier moment, so only the rest is looked at.
    """
    after = account.as_of
    if account.ticked is not None or (due is not None and due <= after):
        return due_by(versions, account, born_on)
    if account.status in ("stuck", "unenrolled"):
        return due
    for program, start, end in versions.spans(after, NEVER if due is None else due - 1):
        at = _soonest_change(program, account, start, end + 1)
        if at <= end:
            return at
    return due


def _soonest_end(account: Account, after: Instant, before: Instant) -> Instant:
    """The first end of what waits or is held, between two instants; else the latter."""
    for waiting in account.waiting:
        if after < waiting.lapses_at < before:
            before = waiting.lapses_at
    for hold in account.holds:
        if after < hold.ends_at < before:
            before = hold.ends_at
    return before


def _soonest(
    program: Program, account: Account, born_on: date | None, after: Instant, before: Instant
) -> Instant:
    """The first instant after one and before another at which anything may be due; that other where
    there is none.
    """
    if account.waiting or account.holds:
        before = _soonest_end(account, after, before)
    if account.offers or account.vouchers:
        before = _deadline(account, after, before)
    if account.status == "unenrolled":
        return before
    before = _soonest_change(program, account, after, before)
    if account.cards or account.referral is not None:
        before = _soonest_progress(account, after, before)
    if account.affairs is not NO_AFFAIRS:
        before = _soonest_affair(account.affairs, after, before)
    if account.status not in ("active", "suspended"):
        return before
    for gift in program.gifts:
        if gift.occasion != _OF_LEVEL:
            at = _occasion(gift, program.zone, account, born_on, after)
            if after < at < before:
                before = at
    return before


def _soonest_change(program: Program, account: Account, after: Instant, before: Instant) -> Instant:
    """The same of what nearly every decision changes: the lots, and the tier with what counts for
    it.
    """
    before = _soonest_lot(program, account, after, before)
    if account.status not in ("active", "suspended"):
        return before
    if program.rejudges and after < moment_of(program, account) < before:
        before = program.holds_from
    standing = account.standing
    if not standing.reaches and not standing.grace_until:  # everybody's level has no end
        return before
    if program.tiers is not None:
        if after < standing.grace_until < before:
            before = standing.grace_until
        end = period_end(standing)
        if 0 < end < NEVER:
            before = _ahead(end, program.tiers.warn_days, program.zone, after, before)
    for gift in program.gifts:
        if gift.occasion == _OF_LEVEL:
            at = _occasion(gift, program.zone, account, None, after)
            if after < at < before:
                before = at
    return before


def _soonest_lot(program: Program, account: Account, after: Instant, before: Instant) -> Instant:
    ahead = program.told_ahead
    for lot in account.lots:
        at, end = lot.activates_at, lot.expires_at
        if after < at < before:
            before = at
        if end == IDLE:
            end = end_of(program, account.idle, lot)
        if 0 < end < before + ahead and end < NEVER:
            terms = program.currencies.get(program.currency_now(lot.currency))
            expiry = terms.expiry if terms is not None else None
            notices = expiry.notices if expiry is not None else ()
            before = _ahead(end, notices, program.zone, after, before)
    return before


def _soonest_progress(account: Account, after: Instant, before: Instant) -> Instant:
    """The same of stamps, and of the return window on which a referral rests."""
    ends = [stamp.ends_at for card in account.cards.values() for stamp in card.stamps]
    if account.referral is not None:
        ends += [held.ends_at for held in account.referrals if not held.settled]
    return min((end for end in ends if after < end < before), default=before)


def _deadline(account: Account, after: Instant, before: Instant) -> Instant:
    """The first end of an offer or a voucher after one instant and before another, else that."""
    ends = [offer.until for offer in account.offers]
    ends += [voucher.expires_at for voucher in account.vouchers]
    return min((end for end in ends if after < end < before), default=before)


def _soonest_affair(affairs: Affairs, after: Instant, before: Instant) -> Instant:
    ends = (affairs.forfeits_at, *(each.lapses_at for each in affairs.approvals))
    return min((end for end in ends if after < end < before), default=before)


def _ahead(
    end: Instant, days_ahead: Sequence[int], tz: ZoneInfo, after: Instant, before: Instant
) -> Instant:
    """The first of an end, the days ahead of it, and ``before`` that comes after ``after``."""
    if after < end < before:
        before = end
    if not days_ahead:
        return before
    # Where even the earliest midnight is too late, none needs to be looked up.
    days_left = (end - before) // LONGEST_DAY
    for days in days_ahead:
        if days >= days_left:
            at = days_before(end, days, tz)
            if after < at < before:
                before = at
                days_left = (end - before) // LONGEST_DAY
    return before
