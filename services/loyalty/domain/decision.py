"""The Decision that comes out of an activity, and what it is made of.

None of it is a document: what is kept of it becomes rows. So these are plain classes, which cost
little to make and to read once they are compiled, and a Decision is read some sixty times.
"""

from __future__ import annotations

from typing import Any

from services.loyalty.domain.account import Account, Hold
from services.loyalty.domain.activity import AnyBody
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts, LotTotals
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.voucher import Redemption, Voucher

ENGINE = 1
"""The semantics of decide, of the time zone data and of CEL. Once released, an engine's semantics
stay.
"""


class HoldKept:
    """A hold as a Decision left it: ``open``, or ended at an instant (else 0)."""

    def __init__(self, hold: Hold, state: str = "open", ended_at: Instant = 0) -> None:
        self.hold = hold
        self.state = state
        self.ended_at = ended_at


class Event:
    """An event to publish: its type, and data that msgspec can write as JSON."""

    def __init__(self, type: str, data: dict[str, Any]) -> None:
        self.type = type
        self.data = data


class Derived:
    """What concerns another member: a body that will reach ``target`` over ``loyalty.derived``, as
    of when it occurred, by default as of now.
    """

    def __init__(self, target: str, body: AnyBody, occurred_at: Instant = 0) -> None:
        self.target = target
        self.body = body
        self.occurred_at = occurred_at


class IssuedReward:
    """A reward that the member got: by redemption (``by`` is its id), or as a gift, by a tier or by
    a rule (``by`` is its name), with its voucher if it has one.
    """

    def __init__(self, reward: str, how: str, by: str, points: int, voucher: str = "") -> None:
        self.reward = reward
        self.how = how
        self.by = by
        self.points = points
        self.voucher = voucher


class Decision:
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
        reschedules: whether more of the account changed than its clock, its points, what is
            counted, and the tier. Where it did not, new due moments come of these alone.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each attribute
        self,
        activity: Activity,
        outcome: str,
        reason: str,
        version: int,
        effective_at: Instant,
        account: Account,
        facts: Facts,
        entries: list[LedgerEntry],
        events: list[Event],
        trace: dict[str, Any],
        details: dict[str, Any],
        receipts: list[Receipt],
        lots: dict[str, LotTotals],
        history: dict[str, list[int]],
        rewards: list[IssuedReward],
        derived: list[Derived],
        done_waiting: list[int],
        grants: dict[str, int],
        code: str,
        holds: list[HoldKept],
        vouchers: list[Voucher],
        redemptions: list[Redemption],
        reschedules: bool = True,
        waits: str = "",
        lapses_at: Instant = 0,
    ) -> None:
        self.activity = activity
        self.outcome = outcome
        self.reason = reason
        self.version = version
        self.effective_at = effective_at
        self.account = account
        self.facts = facts
        self.entries = entries
        self.events = events
        self.trace = trace
        self.details = details
        self.receipts = receipts
        self.lots = lots
        self.history = history
        self.rewards = rewards
        self.derived = derived
        self.waits = waits
        self.lapses_at = lapses_at
        self.done_waiting = done_waiting
        self.grants = grants
        self.code = code
        self.holds = holds
        self.vouchers = vouchers
        self.redemptions = redemptions
        self.reschedules = reschedules
