"""Facts: what one decision needs from outside the account, journaled with its activity."""

from __future__ import annotations

import msgspec

from services.loyalty.domain.activity import AnyBody
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.voucher import Redemption, Voucher


class LotTotals(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Totals of a lot that left the working state; rows of the same lot add up.

    ``expired`` less ``reclaimed`` is what a clawback may still take at no cost to the member, and
    what can be reinstated. ``successors`` are the lots, in the order of their names, to which
    points of this one were moved for a longer life: a clawback follows them.
    """

    taken_in: int = 0
    expired: int = 0
    reclaimed: int = 0
    successors: tuple[str, ...] = ()

    def plus(self, more: LotTotals) -> LotTotals:
        """The totals of both."""
        successors = self.successors
        if more.successors:
            successors = tuple(sorted({*successors, *more.successors}))
        return LotTotals(
            self.taken_in + more.taken_in,
            self.expired + more.expired,
            self.reclaimed + more.reclaimed,
            successors,
        )


class EndedHold(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How and when a hold ended: ``captured``, ``voided``, ``lapsed`` or ``closed``."""

    state: str
    ended_at: Instant


class Referrer(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Whom a referral code names, the status of that account as it was read, and who named it."""

    member: str
    status: str
    friend: str


class Facts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """All that one decision needs from outside the account, journaled with its activity.

    Attributes:
        receipt: the receipt of the order that the activity names, if there is one.
        lots: totals of lots that have left the working state: those that the receipt names and
            what took their place, or those from which points may be reinstated.
        history: counters of past periods and closed windows, by key (see :mod:`history`).
        level_then: the tier held when a late activity occurred, where it differs from the one held
            now.
        parked: for ``resumed`` and ``lapsed``, the body that was parked, and when it had occurred.
        birthday_set_days: for a birthday tick, days since the date of birth was set or changed.
        member: the member's id, where rules of the programme leave members out by it.
        allowances: by shared counter, what is left of it for this activity.
        referrer: whom the referral code that the activity carries names, if anybody.
        waiting: for a claim, what waits at the receipt and when each had occurred, in order.
        code: a referral code drawn for the member, who has none yet.
        hold: how the hold ended that the activity names, if it is open no more.
        redemption: the redemption that the activity names, if there is one.
        voucher: the voucher that the activity, or its redemption, names, if there is one.
        codes: digests of voucher codes that were drawn for this decision. The codes themselves are
            bearer secrets and are never journaled.
        vouchers: those still open, by id, that were given for what the activity may take back.
        given: for a merge, what the member got for enrolling: the rules' ids.
    """

    receipt: Receipt | None = None
    lots: dict[str, LotTotals] = {}
    history: dict[str, list[int]] = {}
    level_then: str | None = None
    parked: AnyBody | None = None
    parked_occurred_at: Instant = 0
    birthday_set_days: int = -1
    member: str = ""
    allowances: dict[str, int] = {}
    referrer: Referrer | None = None
    waiting: list[tuple[AnyBody, Instant]] = []
    code: str = ""
    hold: EndedHold | None = None
    redemption: Redemption | None = None
    voucher: Voucher | None = None
    codes: list[str] = []
    vouchers: dict[str, Voucher] = {}
    given: list[str] = []


NO_FACTS = Facts()
