"""Facts that go into a decision, and the Decision that comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from services.loyalty.domain.account import Account, Hold
from services.loyalty.domain.activity import Activity, AnyBody
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.voucher import Redemption, Voucher

ENGINE = 1
"""The semantics of decide, of the time zone data and of CEL. Once released, an engine's semantics
stay.
"""


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


@dataclass(frozen=True, slots=True)
class HoldKept:
    """A hold as a Decision left it: ``open``, or ended at an instant (else 0)."""

    hold: Hold
    state: str = "open"
    ended_at: Instant = 0


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


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event to publish: its type, and data that msgspec can write as JSON."""

    type: str
    data: dict[str, Any]


class Derived(msgspec.Struct, frozen=True, gc=False):
    """What concerns another member: a body that will reach ``target`` over ``loyalty.derived``, as
    of when it occurred, by default as of now.
    """

    target: str
    body: AnyBody
    occurred_at: Instant = 0


class IssuedReward(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A reward that the member got: by redemption (``by`` is its id), or as a gift, by a tier or by
    a rule (``by`` is its name), with its voucher if it has one.
    """

    reward: str
    how: str
    by: str
    points: int
    voucher: str = ""


class Decision(msgspec.Struct, gc=False):
    """What follows from one activity: entries, the new working state, events and the trace.

    Attributes:
        outcome: ``accepted``, ``refused`` or ``parked``.
        reason: stable code of a refusal, of what is awaited, or of a lapse; empty when accepted.
        version: programme version that judged.
        effective_at: when it takes effect on the account.
        trace: rules considered: fired with their arithmetic, and not fired with why. msgspec can
            write it as JSON.
        details: facts of a refusal that the caller should see (``{"missing": 120}``).
        receipts: receipts made or changed.
        lots: totals of lots that left the working state, or were reclaimed: to be added to their
            rows.
        history: counters and windows that left the working state, or changed outside it: new values
            by key.
        waits: for ``parked``, what is awaited; the body waits as a row of its own.
        done_waiting: seqs of parked activities that this decision released or lapsed.
        grants: by shared counter, what was taken from it, or given back to it where negative; the
            trace has them too, so that the journal proves the counters.
        code: a referral code that becomes the member's.
        holds: holds made, changed or ended.
        vouchers: vouchers made or changed.
        redemptions: redemptions made or changed.
    """

    activity: Activity
    outcome: str
    reason: str
    version: int
    effective_at: Instant
    account: Account
    facts: Facts = NO_FACTS
    entries: list[LedgerEntry] = []
    events: list[Event] = []
    trace: dict[str, Any] = {}
    details: dict[str, Any] = {}
    receipts: list[Receipt] = []
    lots: dict[str, LotTotals] = {}
    history: dict[str, list[int]] = {}
    rewards: list[IssuedReward] = []
    derived: list[Derived] = []
    waits: str = ""
    lapses_at: Instant = 0
    done_waiting: list[int] = []
    grants: dict[str, int] = {}
    code: str = ""
    holds: list[HoldKept] = []
    vouchers: list[Voucher] = []
    redemptions: list[Redemption] = []
