"""decide: the only place where rules live.

Pure: the same programme, account, activity and facts give the same Decision, byte for byte. What
each kind of activity means is in the module of its subject; here it is looked up, refused or
parked.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any, cast

from services.loyalty.domain import (
    absorbing,
    benefits,
    gifts,
    guests,
    holds,
    idle,
    level_gifts,
    longevity,
    membership,
    merging,
    openings,
    pooling,
    pools,
    purchases,
    redemptions,
    referrals,
    returning,
    spenders,
    spending,
    stamps,
    tiers,
    vouchers,
)
from services.loyalty.domain.account import Account, Waiting
from services.loyalty.domain.activity import (
    Adjusted,
    Amended,
    AnyBody,
    Approved,
    BenefitUsed,
    Blocked,
    Cancelled,
    ClaimedPurchase,
    ClaimReturned,
    Delivered,
    Engaged,
    Enrolled,
    Extended,
    GiftClaimed,
    HoldCaptured,
    HoldRequested,
    HoldVoided,
    Lapsed,
    MergeAnswered,
    MergeOffered,
    MergeReceived,
    MergeRequested,
    Opening,
    PoolAnswered,
    PoolAsked,
    PoolContributed,
    PoolJoinRequested,
    PoolLeaveRequested,
    PoolLeft,
    PoolRecalled,
    PoolShort,
    PoolSpendersNamed,
    ProfileUpdated,
    PurchaseClaimed,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    ReferralCancelled,
    ReferralQualified,
    ReferralSettled,
    Refunded,
    Reinstated,
    Resumed,
    Segmented,
    StatusChanged,
    Stuck,
    Tick,
    TierGiven,
    TransferReceived,
    TransferRequested,
    TransferReturned,
    Unstuck,
    VoucherUsed,
    VoucherVoided,
    kind_of,
)
from services.loyalty.domain.calendar import DAY, NEVER, QUARTER, Instant, local_date, rfc3339
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import fire
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import ended_before
from services.loyalty.domain.program import Program
from services.loyalty.domain.reasons import Refused
from services.loyalty.domain.refusal import Park, Refusal
from services.loyalty.domain.spending import send_back
from services.loyalty.domain.status import BLOCKED, DECIDE, ENDED, FORWARD, PARK, verdict
from services.loyalty.domain.ticks import tick

MAX_WAITING = 100
"""Parked activities per member; one more is refused ``too_many_parked``."""

SEGMENTS_KEPT = 366 * DAY
"""So long after its end a segment is remembered, because a late activity sees it as it was then."""


def effective_at(account: Account, activity: Activity) -> Instant:
    """When an activity takes effect: an account's clock runs neither backwards nor ahead, and it
    stands still while a Tick has failed.
    """
    if account.status == "stuck":
        return account.as_of
    return min(activity.recorded_at, max(activity.occurred_at, account.as_of))


def decide(program: Program, account: Account, activity: Activity, facts: Facts) -> Decision:
    """What follows from an activity for one account. The account has been brought up to the
    activity's instant.

    Never raises for anything that a producer or a member can do: that is a Decision with outcome
    ``refused``.

    Raises:
        CodeNeeded: a voucher is issued for which the facts hold no code.
    """
    body = activity.body
    at = effective_at(account, activity)
    occurred_at = facts.parked_occurred_at or activity.occurred_at
    draft = Draft(program, account, activity, facts, occurred_at=occurred_at, effective_at=at)
    kind = kind_of(body)
    what, reason = verdict(draft.status, kind)
    try:
        if min(occurred_at, activity.recorded_at) < program.holds_from:
            raise Refusal("before_program")
        if what == PARK:
            guests.wait_or_forward(draft, body, reason)
        elif what == FORWARD:
            merging.forward(draft, body)
        elif what != DECIDE:
            raise Refusal(cast("Refused", reason))
        else:
            if draft.affairs.blocked:
                _check_blocks(account, kind)
            if program.successors:
                tiers.succeed(draft)
            _DECIDERS[type(body)](draft, body)
    except Refusal as refusal:
        return _refused(program, account, activity, facts, refusal)
    except Park as park:
        return _parked(program, account, activity, facts, park)
    _follow(draft)
    _tidy(draft, account)
    return draft.finish("accepted")


def _follow(draft: Draft) -> None:
    """What follows from a decision as a whole, whatever it was about."""
    program = draft.program
    if draft.risen or draft.tier_undone:
        level_gifts.follow(draft)
    if draft.facts.code and not draft.code and draft.status in ("active", "suspended"):
        referrals.take_code(draft)
    if program.keeps_returnable and draft.receipts:
        returning.follow(draft)
    if draft.status == "merged":
        merging.pass_on(draft)
        return
    if draft.affairs.household is not None:
        pooling.follow(draft)
    if draft.status in ENDED and not draft.affairs.forfeits_at and (draft.lots or draft.holds):
        membership.forfeit(draft)
    if program.idle:
        idle.follow(draft)


def _check_blocks(account: Account, kind: str) -> None:
    for what in account.affairs.blocked:
        reason, kinds = BLOCKED[what]
        if kind in kinds:
            raise Refusal(reason)


def _refused(
    program: Program, account: Account, activity: Activity, facts: Facts, refusal: Refusal
) -> Decision:
    """A refusal leaves the account as it was, but for its clock."""
    draft = Draft(
        program,
        account,
        activity,
        facts,
        occurred_at=activity.occurred_at,
        effective_at=effective_at(account, activity),
    )
    body = facts.parked or activity.body
    if isinstance(activity.body, Resumed):
        _stop_waiting(draft, activity.body.seq)
    if isinstance(body, TransferReceived):
        send_back(draft, body, refusal.code)
    elif isinstance(body, ClaimedPurchase):
        guests.send_back(draft, body, refusal.code)
    elif isinstance(body, ReferralQualified):
        referrals.give_back(draft, body)
    elif isinstance(body, MergeOffered):
        absorbing.send_back(draft, body, refusal.code)
    else:
        pools.send_back(draft, body, refusal.code)
    draft.trace = {"refused": refusal.code, **refusal.details}
    draft.announce(
        "loyalty.activity.refused.v1",
        {"activity": kind_of(body), "reason": refusal.code, "id": activity.id, **refusal.details},
    )
    return draft.finish("refused", refusal.code, **refusal.details)


def _parked(
    program: Program, account: Account, activity: Activity, facts: Facts, park: Park
) -> Decision:
    resumed = activity.body.seq if isinstance(activity.body, Resumed) else 0
    forever = park.reason in ("awaits_tick", "awaits_contribution")
    if len(account.waiting) >= MAX_WAITING and not forever and not resumed:
        return _refused(program, account, activity, facts, Refusal("too_many_parked"))
    at = effective_at(account, activity)
    draft = Draft(
        program, account, activity, facts, occurred_at=activity.occurred_at, effective_at=at
    )
    lapses_at = NEVER if forever else guests.lapses_at(draft, park.awaits)
    others = [waiting for waiting in account.waiting if waiting.seq != resumed]
    if park.awaits == guests.CLAIM:  # what came back before it waits as long
        others = [Waiting(w.seq, w.awaits, max(w.lapses_at, lapses_at)) for w in others]
    draft.waiting = [*others, Waiting(resumed or draft.seq, park.awaits, lapses_at)]
    draft.trace = {"parked": park.reason, "awaits": park.awaits}
    draft.announce(
        "loyalty.activity.parked.v1",
        {
            "activity": kind_of(facts.parked or activity.body),
            "reason": park.reason,
            "id": activity.id,
        },
    )
    decision = draft.finish("parked", park.reason)
    if not resumed:  # what waits again, now for something else, has its row already
        decision.waits = park.awaits
        decision.lapses_at = lapses_at
    return decision


def _tidy(draft: Draft, account: Account) -> None:
    """On the first decision of a new day, moves counters whose period is over, and closed windows,
    to their rows, and forgets segments left long ago.
    """
    before = account.as_of
    if before // QUARTER == draft.effective_at // QUARTER:
        return
    today = draft.today
    was = local_date(before, draft.tz)
    if today == was:
        return
    for key in [key for key in draft.counters if ended_before(key.rpartition("/")[2], today)]:
        draft.history[key] = draft.counters.pop(key)
    if (today.year, today.month) != (was.year, was.month) and draft.windows:
        tiers.close_windows(draft)
    if draft.cards:
        stamps.settle(draft)
    if draft.affairs.level_gifts:
        level_gifts.forget(draft)
    forgotten = draft.effective_at - SEGMENTS_KEPT
    if draft.segments and any(held.ends_at <= forgotten for held in draft.segments):
        draft.segments = [held for held in draft.segments if held.ends_at > forgotten]


def _engagement(draft: Draft, body: Engaged) -> None:
    if body.of == referrals.MADE and body.about and draft.program.referrals:
        referrals.engage(draft)
    occasion = Occasion(draft, channel=body.channel, of=body.of, about=body.about)
    fire(occasion, f"engagement:{body.of}", body.of)
    if draft.program.stamps:
        stamps.collect(occasion, "engagement")


def _lapsed(draft: Draft, body: Lapsed) -> None:
    parked = draft.facts.parked
    assert parked is not None
    awaited = next(held.awaits for held in draft.waiting if held.seq == body.seq)
    reason = f"awaits_{awaited}" if awaited in ("enrolment", "claim") else "awaits_purchase"
    _stop_waiting(draft, body.seq)
    if draft.guest is not None and draft.guest.claimed_by:
        draft.trace = {"claimed": True}  # it has gone where it belongs, and can come back no more
        return
    if isinstance(parked, TransferReceived):
        send_back(draft, parked, "lapsed")
    elif isinstance(parked, ReferralQualified):
        referrals.give_back(draft, parked)
    draft.trace = {"lapsed": kind_of(parked), "reason": reason}
    draft.announce(
        "loyalty.activity.lapsed.v1",
        {"activity": kind_of(parked), "parked": body.seq, "reason": reason},
    )


def _resumed(draft: Draft, body: Resumed) -> None:
    parked = draft.facts.parked
    assert parked is not None
    _stop_waiting(draft, body.seq)
    what, reason = verdict(draft.account.status, kind_of(parked))
    if what == PARK:
        guests.wait_or_forward(draft, parked, reason)
    elif what == FORWARD:
        merging.forward(draft, parked)
    elif what != DECIDE:
        raise Refusal(cast("Refused", reason))
    else:
        _check_blocks(draft.account, kind_of(parked))
        _DECIDERS[type(parked)](draft, parked)


def _stop_waiting(draft: Draft, seq: int) -> None:
    draft.waiting = [waiting for waiting in draft.waiting if waiting.seq != seq]
    draft.done_waiting.append(seq)


def _stuck(draft: Draft, body: Stuck) -> None:
    draft.stuck_from, draft.status = draft.account.status, "stuck"
    draft.trace = {"stuck": body.moment, "at": rfc3339(body.at), "error": body.error}


def _unstuck(draft: Draft, _: Unstuck) -> None:
    if draft.account.status != "stuck":
        raise Refusal("not_stuck")
    # msgspec knows a default by identity, and a text that was read is another object
    draft.status, draft.stuck_from = intern(draft.account.stuck_from), ""


_DECIDERS: dict[type[AnyBody], Callable[[Draft, Any], None]] = {
    Enrolled: membership.enrolment,
    ProfileUpdated: membership.profile,
    Segmented: membership.segment,
    StatusChanged: membership.status,
    Purchased: purchases.purchase,
    Delivered: purchases.delivery,
    Amended: purchases.amendment,
    Cancelled: purchases.cancellation,
    Refunded: purchases.refund,
    Engaged: _engagement,
    RedemptionRequested: spending.redemption,
    Adjusted: spending.adjustment,
    TierGiven: tiers.give,
    TransferRequested: spending.transfer,
    TransferReceived: spending.transfer_in,
    TransferReturned: spending.transfer_back,
    Tick: tick,
    Resumed: _resumed,
    Lapsed: _lapsed,
    Stuck: _stuck,
    Unstuck: _unstuck,
    ReferralQualified: referrals.qualified,
    ReferralCancelled: referrals.cancelled,
    ReferralSettled: referrals.settled,
    HoldRequested: holds.hold,
    HoldCaptured: holds.capture,
    HoldVoided: holds.void,
    Extended: longevity.extension,
    Reinstated: longevity.reinstatement,
    PurchaseClaimed: guests.claim,
    ClaimedPurchase: guests.claimed,
    ClaimReturned: guests.returned,
    RedemptionCancelled: redemptions.undo,
    VoucherUsed: vouchers.use,
    VoucherVoided: vouchers.void,
    GiftClaimed: gifts.claim,
    BenefitUsed: benefits.use,
    Blocked: membership.block,
    Approved: spending.approval,
    Opening: openings.opening,
    MergeRequested: merging.ask,
    MergeOffered: absorbing.answer,
    MergeAnswered: merging.answered,
    MergeReceived: absorbing.absorb,
    PoolJoinRequested: pools.join,
    PoolLeaveRequested: pools.leave,
    PoolAsked: pools.ask,
    PoolAnswered: pools.answered,
    PoolLeft: pools.left,
    PoolSpendersNamed: spenders.name,
    PoolContributed: pooling.contributed,
    PoolRecalled: pooling.recalled,
    PoolShort: pooling.short,
}
