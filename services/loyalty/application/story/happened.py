"""What happened: one sentence for each kind of activity, whatever became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from services.loyalty.application.story import pools
from services.loyalty.application.story.told import Told, or_none
from services.loyalty.application.story.words import (
    NONE,
    Message,
    Money,
    Value,
    phrase,
    say,
)
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
    Line,
    MergeAnswered,
    MergeOffered,
    MergeReceived,
    MergeRequested,
    Opening,
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
)
from services.loyalty.domain.moments import APPROVAL, CLAIM, CLOSING, REFERRAL, STAMPS, VOUCHER

_FEW = 4
"""So many lines that came back are told one by one."""


def happened(told: Told) -> Iterator[Message]:
    """What came in; of what had waited, what that was."""
    body, parked = told.decision.activity.body, told.decision.facts.parked
    yield HAPPENED[type(body)](told, body)
    if parked is not None:
        yield HAPPENED[type(parked)](told, parked)


def _enrolment(_: Told, body: Enrolled) -> Message:
    return say(
        "happened.enrolment",
        channel=or_none(body.channel),
        code="given" if body.referred_by else NONE,
    )


def _opening(told: Told, body: Opening) -> Message:
    level = body.standing.level
    return say(
        "happened.opening",
        since=told.moment(body.enrolled_at),
        level=told.level(level) if level else NONE,
    )


def _profile(_: Told, body: ProfileUpdated) -> Message:
    fields = list(dict.fromkeys([*body.fields, *(("zone",) if body.zone else ())]))
    return say("happened.profile", fields=fields)


def _segment(told: Told, body: Segmented) -> Message:
    return say(
        "happened.segment",
        segment=body.segment,
        since=told.moment(body.starts_at),
        until=told.end(body.ends_at),
    )


def _status(told: Told, body: StatusChanged) -> Message:
    return say(
        "happened.status",
        status=body.status,
        reason=_because(told, body.reason),
        actor=or_none(body.actor),
    )


def _block(told: Told, body: Blocked) -> Message:
    return say(
        "happened.block",
        what=body.what,
        blocked="yes" if body.blocked else "no",
        reason=_because(told, body.reason),
        actor=or_none(body.actor),
    )


def _approval(_: Told, body: Approved) -> Message:
    return say(
        "happened.approval",
        actor=body.actor,
        approved="yes" if body.approved else "no",
        adjustment=body.adjustment,
    )


def _because(told: Told, code: str) -> Value:
    return told.reason(code) if code else NONE


def _purchase(_: Told, body: Purchased) -> Message:
    return say(
        "happened.purchase",
        order=body.order,
        paid=_paid(body.lines, body.discount, body.currency),
        lines=len(body.lines),
        channel=or_none(body.channel),
        guest="yes" if body.guest else "no",
    )


def _paid(lines: Sequence[Line], discount: int, currency: str) -> Money:
    return Money(sum(line.paid for line in lines) - discount, currency)


def _delivery(_: Told, body: Delivered) -> Message:
    return say("happened.delivery", order=body.order)


def _amendment(_: Told, body: Amended) -> Message:
    return say(
        "happened.amendment",
        order=body.order,
        paid=_paid(body.lines, body.discount, body.currency),
        lines=len(body.lines),
    )


def _cancellation(told: Told, body: Cancelled) -> Message:
    return say("happened.cancellation", order=body.order, reason=_because(told, body.reason))


def _refund(_: Told, body: Refunded) -> Message:
    return say("happened.refund", order=body.order, what=list(_returned(body)))


def _returned(body: Refunded) -> Iterator[Value]:
    if len(body.lines) > _FEW:
        yield phrase("part.many_lines", len(body.lines), lines=len(body.lines))
    else:
        for line in body.lines:
            stands_for: dict[str, Any] = {"position": line.position}
            if line.quantity:
                stands_for["quantity"] = line.quantity
                yield phrase(
                    "part.pieces", stands_for, pieces=line.quantity, position=line.position
                )
            if line.amount:
                amount = Money(line.amount, body.currency)
                yield phrase(
                    "part.amount_of_line", stands_for, amount=amount, position=line.position
                )
    if body.amount:
        yield Money(body.amount, body.currency)


def _engagement(_: Told, body: Engaged) -> Message:
    return say(
        "happened.engagement",
        of=body.of,
        about=or_none(body.about),
        channel=or_none(body.channel),
    )


def _redemption(told: Told, body: RedemptionRequested) -> Message:
    if body.money:
        return say(
            "happened.payment",
            points=body.points,
            amount=Money(body.amount, body.money),
            order=or_none(body.for_order),
        )
    return say("happened.redemption", reward=told.reward(body.reward))


def _adjustment(told: Told, body: Adjusted) -> Message:
    return say(
        "happened.adjustment",
        actor=body.actor,
        how="grant" if body.points >= 0 else "take",
        points=told.points(abs(body.points), body.currency),
        reason=told.reason(body.reason),
    )


def _tier(told: Told, body: TierGiven) -> Message:
    key = "happened.tier" if body.level else "happened.tier_end"
    more: dict[str, Value] = (
        {"level": told.level(body.level), "until": told.end(body.until)} if body.level else {}
    )
    return say(key, actor=body.actor, reason=told.reason(body.reason), **more)


def _transfer(told: Told, body: TransferRequested) -> Message:
    return say(
        "happened.transfer",
        points=told.points(body.points, body.currency),
        member=body.to_member,
    )


def _transfer_in(told: Told, body: TransferReceived) -> Message:
    points = sum(lot.points for lot in body.lots)
    return say(
        "happened.transfer_in",
        points=told.points(points, body.currency),
        member=body.from_member,
    )


def _transfer_back(told: Told, body: TransferReturned) -> Message:
    points = sum(lot.points for lot in body.lots)
    return say(
        "happened.transfer_back",
        points=told.points(points, body.currency),
        member=body.to_member,
        reason=_because(told, body.reason),
    )


def _tick(told: Told, body: Tick) -> Message:
    name = body.name
    match body.moment:
        case "activation" if name:
            return say("happened.delivery_missing", order=name)
        case "tier_review" if name:
            return say("happened.tiers_changed", version=told.program.version)
        case "tier_review" | "grace_end" | "tier_warning":
            level = told.level(told.before.standing.level)
            return say(f"happened.{body.moment}", level=level)
        case "lapse":
            return _lapse(told, name)
        case "occasion":
            return say("happened.occasion", occasion=name)
    return say(f"happened.{body.moment}")


def _lapse(told: Told, name: str) -> Message:
    if name in (APPROVAL, CLOSING):
        return say(f"happened.lapse_{name}")
    if name.startswith(CLAIM):
        return say("happened.lapse_offer", offer=name.removeprefix(CLAIM))
    if name.startswith(STAMPS):
        return say("happened.lapse_stamps", card=told.giver(name.removeprefix(STAMPS)))
    if name.startswith(REFERRAL):
        return say("happened.lapse_referral", order=name.removeprefix(REFERRAL))
    assert name.startswith(VOUCHER), name
    return say("happened.lapse_voucher", voucher=name.removeprefix(VOUCHER))


def _resumed(told: Told, body: Resumed) -> Message:
    occurred_at = told.decision.facts.parked_occurred_at
    return say("happened.resumed", seq=body.seq, at=told.moment(occurred_at))


def _lapsed(told: Told, body: Lapsed) -> Message:
    occurred_at = told.decision.facts.parked_occurred_at
    return say("happened.lapsed", seq=body.seq, at=told.moment(occurred_at))


def _stuck(told: Told, body: Stuck) -> Message:
    return say(
        "happened.stuck", moment=body.moment, at=told.moment(body.at), error=or_none(body.error)
    )


def _unstuck(*_: object) -> Message:
    return say("happened.unstuck")


def _referral_qualified(told: Told, body: ReferralQualified) -> Message:
    return say("happened.referral_qualified", rule=told.giver(body.rule))


def _referral_cancelled(*_: object) -> Message:
    return say("happened.referral_cancelled")


def _referral_settled(*_: object) -> Message:
    return say("happened.referral_settled")


def _hold(told: Told, body: HoldRequested) -> Message:
    if body.reward:
        return say("happened.hold_reward", reward=told.reward(body.reward))
    if body.money:
        return say(
            "happened.hold_payment",
            points=body.points,
            amount=Money(body.amount, body.money),
            order=or_none(body.for_order),
        )
    return say("happened.hold", points=told.points(body.points, body.currency))


def _capture(_: Told, body: HoldCaptured) -> Message:
    return say("happened.capture", hold=body.hold, points=body.points or NONE)


def _void(_: Told, body: HoldVoided) -> Message:
    return say("happened.void", hold=body.hold)


def _extension(told: Told, body: Extended) -> Message:
    return say(
        "happened.extension",
        actor=body.actor,
        currency=told.currency(body.currency),
        until=told.end(body.until),
        reason=told.reason(body.reason),
    )


def _reinstatement(told: Told, body: Reinstated) -> Message:
    return say(
        "happened.reinstatement",
        actor=body.actor,
        currency=told.currency(body.currency),
        points=body.points or NONE,
        until=told.end(body.until),
        reason=told.reason(body.reason),
    )


def _claim(_: Told, body: PurchaseClaimed) -> Message:
    return say("happened.claim", member=body.by)


def _claimed(_: Told, body: ClaimedPurchase) -> Message:
    bought = body.purchase
    return say(
        "happened.claimed",
        order=body.order,
        receipt=body.receipt,
        paid=_paid(bought.lines, bought.discount, bought.currency),
        lines=len(bought.lines),
    )


def _claim_back(told: Told, body: ClaimReturned) -> Message:
    return say("happened.claim_back", member=body.by, reason=_because(told, body.reason))


def _merge(told: Told, body: MergeRequested) -> Message:
    return say(
        "happened.merge",
        into=body.into,
        reason=_because(told, body.reason),
        actor=or_none(body.actor),
    )


def _merge_offer(_: Told, body: MergeOffered) -> Message:
    return say("happened.merge_offer", member=body.from_member)


def _merge_answer(_: Told, body: MergeAnswered) -> Message:
    return say("happened.merge_answer", into=body.into, refused=or_none(body.refused))


def _merge_in(_: Told, body: MergeReceived) -> Message:
    return say("happened.merge_in", member=body.from_member, part=body.part, parts=body.parts)


def _redemption_cancellation(told: Told, body: RedemptionCancelled) -> Message:
    return say(
        "happened.redemption_cancellation",
        redemption=body.redemption,
        points=body.points or NONE,
        reason=_because(told, body.reason),
        actor=or_none(body.actor),
    )


def _voucher_use(_: Told, body: VoucherUsed) -> Message:
    return say("happened.voucher_use", voucher=body.voucher, order=or_none(body.used_on))


def _voucher_void(told: Told, body: VoucherVoided) -> Message:
    return say(
        "happened.voucher_void",
        voucher=body.voucher,
        reason=_because(told, body.reason),
        actor=or_none(body.actor),
    )


def _gift_claim(told: Told, body: GiftClaimed) -> Message:
    return say("happened.gift_claim", offer=body.offer, reward=told.reward(body.reward))


def _benefit_use(told: Told, body: BenefitUsed) -> Message:
    return say(
        "happened.benefit_use", benefit=told.benefit(body.benefit), about=or_none(body.about)
    )


HAPPENED: dict[type[AnyBody], Callable[[Told, Any], Message]] = {
    Enrolled: _enrolment,
    Opening: _opening,
    ProfileUpdated: _profile,
    Segmented: _segment,
    StatusChanged: _status,
    Blocked: _block,
    Approved: _approval,
    Purchased: _purchase,
    Delivered: _delivery,
    Amended: _amendment,
    Cancelled: _cancellation,
    Refunded: _refund,
    Engaged: _engagement,
    RedemptionRequested: _redemption,
    Adjusted: _adjustment,
    TierGiven: _tier,
    TransferRequested: _transfer,
    TransferReceived: _transfer_in,
    TransferReturned: _transfer_back,
    Tick: _tick,
    Resumed: _resumed,
    Lapsed: _lapsed,
    Stuck: _stuck,
    Unstuck: _unstuck,
    ReferralQualified: _referral_qualified,
    ReferralCancelled: _referral_cancelled,
    ReferralSettled: _referral_settled,
    HoldRequested: _hold,
    HoldCaptured: _capture,
    HoldVoided: _void,
    Extended: _extension,
    Reinstated: _reinstatement,
    PurchaseClaimed: _claim,
    ClaimedPurchase: _claimed,
    ClaimReturned: _claim_back,
    RedemptionCancelled: _redemption_cancellation,
    VoucherUsed: _voucher_use,
    VoucherVoided: _voucher_void,
    GiftClaimed: _gift_claim,
    BenefitUsed: _benefit_use,
    MergeRequested: _merge,
    MergeOffered: _merge_offer,
    MergeAnswered: _merge_answer,
    MergeReceived: _merge_in,
    **pools.HAPPENED,
}
"""For each kind of body, the sentence about it."""
