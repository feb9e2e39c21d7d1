"""decide: the only place where rules live.

Pure: the same programme, account, activity and facts give the same Decision, byte for byte. What
each kind of activity means is one function below; how points move, tiers stand and receipts are
reversed is in the modules it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from services.loyalty.domain import lots, refunds, tiers
from services.loyalty.domain.account import Account, Membership, Standing, Waiting
from services.loyalty.domain.accrual import accrue, announce_accrual
from services.loyalty.domain.activity import (
    Activity,
    Adjusted,
    Amended,
    AnyBody,
    Cancelled,
    Delivered,
    Engaged,
    Enrolled,
    Lapsed,
    Line,
    ProfileUpdated,
    Purchased,
    RedemptionRequested,
    Refunded,
    Resumed,
    Segmented,
    StatusChanged,
    Stuck,
    Tick,
    TransferReceived,
    TransferredLot,
    TransferRequested,
    TransferReturned,
    Unstuck,
    kind_of,
)
from services.loyalty.domain.basket import receipt_lines
from services.loyalty.domain.calendar import NEVER, Instant, local_date, rfc3339
from services.loyalty.domain.decision import Decision, Derived, Facts, IssuedReward, LotTotals
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import earn
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import after_span, ended_before, expiry_at
from services.loyalty.domain.program import Gift, Program, Rule
from services.loyalty.domain.receipt import Posting, Receipt
from services.loyalty.domain.status import DECIDE, PARK, verdict

MAX_WAITING = 100
"""Parked activities per member; one more is refused ``too_many_parked``."""


class Refusal(Exception):
    """The programme or the account's state does not allow what was asked.

    ``code`` is stable; ``details`` are facts for whoever asked.
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


class Park(Exception):
    """The activity waits for ``awaits``: an order, or the enrolment."""

    def __init__(self, awaits: str, reason: str) -> None:
        super().__init__(reason)
        self.awaits = awaits
        self.reason = reason


def effective_at(account: Account, activity: Activity) -> Instant:
    """When an activity takes effect: an account's clock runs neither backwards nor ahead."""
    return min(activity.recorded_at, max(activity.occurred_at, account.as_of))


def decide(program: Program, account: Account, activity: Activity, facts: Facts) -> Decision:
    """What follows from an activity for one account. The account has been brought up to the
    activity's instant.

    Never raises for anything that a producer or a member can do: that is a Decision with outcome
    ``refused``.
    """
    body = activity.body
    at = effective_at(account, activity)
    occurred_at = facts.parked_occurred_at or activity.occurred_at
    draft = Draft(program, account, activity, facts, occurred_at=occurred_at, effective_at=at)
    kind = kind_of(body)
    what, reason = verdict(account.status, kind)
    try:
        if what == PARK:
            raise Park(reason, f"awaits_{reason}")
        if what != DECIDE:
            raise Refusal(reason)
        _DECIDERS[type(body)](draft, body)
    except Refusal as refusal:
        return _refused(program, account, activity, facts, refusal)
    except Park as park:
        return _parked(program, account, activity, facts, park)
    _tidy(draft, account)
    return draft.finish("accepted")


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
        _send_back(draft, body, refusal.code)
    draft.trace = {"refused": refusal.code, **refusal.details}
    draft.announce(
        "loyalty.activity.refused.v1",
        {"activity": kind_of(body), "reason": refusal.code, "id": activity.id, **refusal.details},
    )
    return draft.finish("refused", refusal.code, **refusal.details)


def _parked(
    program: Program, account: Account, activity: Activity, facts: Facts, park: Park
) -> Decision:
    if isinstance(activity.body, Resumed):
        return _refused(
            program, account, activity, facts, Refusal("still_waiting", awaits=park.awaits)
        )
    if len(account.waiting) >= MAX_WAITING and park.awaits != "tick":
        return _refused(program, account, activity, facts, Refusal("too_many_parked"))
    at = effective_at(account, activity)
    draft = Draft(
        program, account, activity, facts, occurred_at=activity.occurred_at, effective_at=at
    )
    lapses_at = NEVER if park.awaits == "tick" else after_span(at, program.wait, draft.tz)
    draft.waiting = [*account.waiting, Waiting(draft.seq, park.awaits, lapses_at)]
    draft.trace = {"parked": park.reason, "awaits": park.awaits}
    draft.announce(
        "loyalty.activity.parked.v1",
        {"activity": kind_of(activity.body), "reason": park.reason, "id": activity.id},
    )
    decision = draft.finish("parked", park.reason)
    decision.waits = park.awaits
    decision.lapses_at = lapses_at
    return decision


def _tidy(draft: Draft, account: Account) -> None:
    """On the first decision of a new day, moves counters whose period is over, and closed windows,
    to their rows.
    """
    today = draft.today
    was = local_date(account.as_of, draft.tz)
    if today == was:
        return
    for key in [key for key in draft.counters if ended_before(key.rpartition("/")[2], today)]:
        draft.history[key] = draft.counters.pop(key)
    if (today.year, today.month) != (was.year, was.month) and draft.windows:
        tiers.close_windows(draft)
    if draft.segments and any(held.ends_at <= account.as_of for held in draft.segments):
        draft.segments = [held for held in draft.segments if held.ends_at > account.as_of]


# Membership -----------------------------------------------------------------------------------


def _enrolment(draft: Draft, body: Enrolled) -> None:
    if draft.account.enrolled_at:
        raise Refusal("already_enrolled")
    draft.status = "active"
    draft.enrolled_at = draft.effective_at
    tiers.enrol(draft)
    draft.announce(
        "loyalty.member.enrolled.v1", {"tier": draft.standing.level} if draft.standing.level else {}
    )
    occasion = Occasion(draft, channel=body.channel)
    _fire(occasion, draft.program.rules_by_event.get("enrolled", ()), "enrolment")


def _fire(occasion: Occasion, rules: tuple[Rule, ...], activity: str) -> list[Posting]:
    """Fires rules, says what they gave, and lets the tier follow what they posted."""
    postings = earn(occasion, rules)
    draft = occasion.draft
    announce_accrual(draft, activity, postings, occasion.order)
    if draft.program.tiers is None:
        return postings
    credited: dict[str, int] = {}
    for posting in postings:
        counts = posting.currency == draft.program.tiers.currency and _counted(posting)
        if posting.window and counts:
            credited[posting.window] = credited.get(posting.window, 0) + posting.points
    for window, points in credited.items():
        tiers.judge(draft, credited=points, window=window)
    return postings


def _counted(posting: Posting) -> bool:
    """Whether qualifying points count already, and do not wait in a pending lot."""
    return posting.lots[0][0].count("/") == 1


def _profile(draft: Draft, body: ProfileUpdated) -> None:
    draft.announce("loyalty.member.updated.v1", {"fields": body.fields})


def _segment(draft: Draft, body: Segmented) -> None:
    ends_at = body.ends_at or NEVER
    others = [held for held in draft.segments if held.segment != body.segment]
    draft.segments = (
        others
        if ends_at <= body.starts_at
        else [*others, Membership(body.segment, body.starts_at, ends_at)]
    )
    draft.announce("loyalty.member.segmented.v1", {"segment": body.segment})


def _status(draft: Draft, body: StatusChanged) -> None:
    if body.status == draft.account.status:
        raise Refusal("status_unchanged", status=body.status)
    if body.status in ("active", "suspended") and not draft.enrolled_at:
        raise Refusal("not_enrolled")
    if body.status in ("closed", "erased"):
        _forfeit(draft)
        draft.standing, draft.segments, draft.gifts = Standing(), [], {}
    elif draft.account.status == "closed":
        tiers.enrol(draft)
    draft.status = body.status
    draft.announce(
        f"loyalty.member.{_PAST[body.status]}.v1", {"reason": body.reason} if body.reason else {}
    )


_PAST = {"active": "reopened", "suspended": "suspended", "closed": "closed", "erased": "erased"}


def _forfeit(draft: Draft) -> None:
    for lot in draft.lots:
        bucket = "pending" if lot.activates_at else "available"
        draft.post("forfeiture", lot.currency, lot.points, (bucket, "forfeited"), lot_from=lot.key)
        if not lot.activates_at:
            draft.add_totals(lot.key, LotTotals(taken_in=lot.taken_in))
    draft.lots = []


# Purchases and what becomes of them -----------------------------------------------------------


def _purchase(draft: Draft, body: Purchased) -> None:
    if draft.facts.receipt is not None:
        raise Refusal("order_exists", order=body.order)
    draft.purchases += 1
    lines = receipt_lines(draft.program, body)
    occasion = Occasion(
        draft,
        lines=body.lines,
        receipt_lines=lines,
        currency=body.currency,
        order=body.order,
        channel=body.channel,
        store=body.store,
        payment=body.payment,
        shipping=body.shipping,
    )
    if occasion.total and not _has_rate(draft.program, body.currency):
        raise Refusal("currency_without_rate", currency=body.currency)
    postings = _fire(occasion, draft.program.rules_by_event.get("purchase", ()), "purchase")
    draft.receipts[body.order] = Receipt(
        body.order,
        body.currency,
        draft.occurred_at,
        draft.program.version,
        draft.seq,
        lines,
        postings,
    )


@lru_cache(maxsize=256)
def _has_rate(program: Program, money: str) -> bool:
    """Whether any rule has a rate for a currency of money; a currency without one is refused, never
    guessed.
    """
    rates = [
        give.rates
        for rule in program.rules_by_event.get("purchase", ())
        for give in rule.gives
        if give.rates
    ]
    return not rates or any(money in rate for rate in rates)


def _receipt(draft: Draft, order: str) -> Receipt:
    receipt = draft.facts.receipt
    if receipt is None:
        raise Park(order, "awaits_purchase")
    return receipt


def _delivery(draft: Draft, body: Delivered) -> None:
    receipt = _receipt(draft, body.order)
    if receipt.delivered_at:
        raise Refusal("already_delivered", order=body.order)
    activated: dict[str, str] = {}
    told: dict[str, int] = {}
    for lot in [lot for lot in draft.lots if lot.awaits == body.order]:
        activated[lot.key] = lots.activate(draft, lot, order=body.order)
        told[lot.currency] = told.get(lot.currency, 0) + lot.points
    draft.receipts[body.order] = refunds.deliver(draft, receipt, activated)
    for currency, points in told.items():
        draft.announce(
            "loyalty.points.activated.v1",
            {"currency": currency, "points": points, "order": body.order},
        )


def _refund(draft: Draft, body: Refunded) -> None:
    receipt = _receipt(draft, body.order)
    if body.currency != receipt.currency:
        raise Refusal("currency_mismatch", currency=receipt.currency)
    known = {line.position for line in receipt.lines}
    unknown = [item.position for item in body.lines if item.position not in known]
    if unknown:
        raise Refusal("unknown_line", positions=unknown)
    refunds.reverse(draft, refunds.with_return(receipt, body), reason="refund")


def _cancellation(draft: Draft, body: Cancelled) -> None:
    receipt = _receipt(draft, body.order)
    if receipt.cancelled:
        raise Refusal("already_cancelled", order=body.order)
    refunds.reverse(draft, refunds.cancelled(receipt), reason="cancellation")


def _amendment(draft: Draft, body: Amended) -> None:
    """Lower lines count as returned; raised ones and new positions are earned as a purchase of the
    difference.

    The difference is judged by rules with a rate only: what a rule gives once for an order, it has
    given.
    """
    receipt = _receipt(draft, body.order)
    if body.currency != receipt.currency:
        raise Refusal("currency_mismatch", currency=receipt.currency)
    if receipt.cancelled:
        raise Refusal("already_cancelled", order=body.order)
    more = _added(receipt, body.lines)
    back = _taken_off(receipt, body.lines)
    amended = _with_amounts_back(receipt, back)
    refunds.reverse(draft, amended, reason="amendment")
    if more:
        _earn_more(draft, body, draft.receipts[body.order], more)


def _taken_off(receipt: Receipt, lines: list[Line]) -> dict[int, int]:
    """Money by position that the new lines no longer show."""
    now = {line.position: line.paid for line in lines}
    return {
        line.position: line.value - now.get(line.position, 0)
        for line in receipt.lines
        if now.get(line.position, 0) < line.value
    }


def _added(receipt: Receipt, lines: list[Line]) -> list[Line]:
    """New lines, and the raised part of lines, as what would have to be bought to get there."""
    was = {line.position: line.value for line in receipt.lines}
    return [
        Line(
            line.position,
            line.sku,
            line.quantity,
            line.unit_price,
            line.discount,
            line.tax,
            line.category,
            line.brand,
        )
        if line.position not in was
        else Line(
            line.position,
            line.sku,
            1,
            line.paid - was[line.position],
            0,
            0,
            line.category,
            line.brand,
        )
        for line in lines
        if line.paid > was.get(line.position, -1)
    ]


def _with_amounts_back(receipt: Receipt, back: dict[int, int]) -> Receipt:
    """The receipt with the lines at least that much lower: what refunds took before is part of it,
    not on top.
    """
    missing = [
        (line.position, back[line.position] - refunds.returned_by_lines(line))
        for line in receipt.lines
        if line.position in back and back[line.position] > refunds.returned_by_lines(line)
    ]
    return refunds.with_amounts(receipt, missing)


def _earn_more(draft: Draft, body: Amended, receipt: Receipt, more: list[Line]) -> None:
    extra = receipt_lines(draft.program, Purchased(body.order, body.currency, more))
    occasion = Occasion(
        draft, lines=more, receipt_lines=extra, currency=body.currency, order=body.order
    )
    reversed_trace = draft.trace
    rated = tuple(
        rule
        for rule in draft.program.rules_by_event.get("purchase", ())
        if all(give.rates for give in rule.gives) and not rule.min_spend
    )
    postings = _fire(occasion, rated, "amendment")
    draft.trace = {**reversed_trace, **draft.trace}
    quantities = {line.position: line.quantity for line in body.lines}
    draft.receipts[body.order] = refunds.extended(receipt, extra, postings, quantities)


# Engagement, redemption, adjustment, transfer -------------------------------------------------


def _engagement(draft: Draft, body: Engaged) -> None:
    rules = draft.program.rules_by_event
    considered = rules.get(f"engagement:{body.of}", ()) + rules.get("engagement:", ())
    occasion = Occasion(draft, channel=body.channel, of=body.of, about=body.about)
    _fire(occasion, considered, body.of)


def _redemption(draft: Draft, body: RedemptionRequested) -> None:
    reward = draft.program.rewards.get(body.reward)
    if reward is None or reward.gift_only:
        raise Refusal("unknown_reward", reward=body.reward)
    if reward.tier and draft.standing.level not in reward.tier:
        raise Refusal("tier_too_low", reward=body.reward, tiers=sorted(reward.tier))
    available = draft.available(reward.currency)
    if available < reward.cost:
        raise Refusal(
            "insufficient_points",
            currency=reward.currency,
            cost=reward.cost,
            available=available,
            missing=reward.cost - available,
        )
    drawn = draft.draw(reward.currency, reward.cost)
    for lot, points in drawn:
        draft.post(
            "redemption",
            reward.currency,
            points,
            ("available", "redeemed"),
            lot_from=lot.key,
            cause=reward.id,
            order=body.redemption,
        )
    draft.rewards.append(IssuedReward(reward.id, "redemption", body.redemption, reward.cost))
    draft.trace = {
        "reward": reward.id,
        "cost": reward.cost,
        "draws": [(lot.key, points) for lot, points in drawn],
    }
    draft.announce(
        "loyalty.points.redeemed.v1",
        {
            "redemption": body.redemption,
            "reward": reward.id,
            "currency": reward.currency,
            "points": reward.cost,
        },
    )
    draft.announce(
        "loyalty.reward.issued.v1",
        {"reward": reward.id, "by": "redemption", "redemption": body.redemption},
    )


def _adjustment(draft: Draft, body: Adjusted) -> None:
    terms = draft.program.currencies.get(body.currency)
    if terms is None or terms.qualifies:
        raise Refusal("unknown_currency", currency=body.currency)
    if not body.points:
        raise Refusal("nothing_to_adjust")
    if body.points > 0:
        expires_at = (
            NEVER if terms.expiry is None else expiry_at(terms.expiry, draft.effective_at, draft.tz)
        )
        draft.credit(
            "adjustment",
            body.currency,
            body.points,
            from_bucket="issuance",
            issued=draft.month,
            expires_at=expires_at,
            cause=body.reason,
        )
    else:
        available = draft.available(body.currency)
        if available < -body.points:
            raise Refusal(
                "insufficient_points", currency=body.currency, missing=-body.points - available
            )
        for lot, points in draft.draw(body.currency, -body.points):
            draft.post(
                "adjustment",
                body.currency,
                points,
                ("available", "issuance"),
                lot_from=lot.key,
                cause=body.reason,
            )
    draft.trace = {"actor": body.actor}
    draft.announce(
        "loyalty.points.adjusted.v1",
        {"currency": body.currency, "points": body.points, "reason": body.reason},
    )


def _transfer(draft: Draft, body: TransferRequested) -> None:
    terms = draft.program.currencies.get(body.currency)
    if not draft.program.transfers:
        raise Refusal("transfers_not_allowed")
    if terms is None or terms.qualifies:
        raise Refusal("unknown_currency", currency=body.currency)
    if body.points <= 0:
        raise Refusal("nothing_to_transfer")
    available = draft.available(body.currency)
    if available < body.points:
        raise Refusal(
            "insufficient_points", currency=body.currency, missing=body.points - available
        )
    moved = []
    for lot, points in draft.draw(body.currency, body.points):
        draft.post(
            "transfer_out",
            body.currency,
            points,
            ("available", "transit"),
            lot_from=lot.key,
            cause=body.transfer,
        )
        moved.append(TransferredLot(lot.issued, lot.expires_at, points))
    draft.announce(
        "loyalty.points.transferred.v1",
        {"transfer": body.transfer, "currency": body.currency, "points": -body.points},
    )
    draft.derived.append(
        Derived(
            body.to_member,
            TransferReceived(body.transfer, body.from_member, body.to_member, body.currency, moved),
        )
    )


def _transfer_in(draft: Draft, body: TransferReceived) -> None:
    if body.currency not in draft.program.currencies:
        raise Refusal("unknown_currency", currency=body.currency)
    _land(draft, body.transfer, body.currency, body.lots)


def _transfer_back(draft: Draft, body: TransferReturned) -> None:
    _land(draft, body.transfer, body.currency, body.lots)
    if draft.status in ("closed", "erased", "merged"):
        _forfeit(draft)


def _land(draft: Draft, transfer: str, currency: str, moved: list[TransferredLot]) -> None:
    for lot in moved:
        draft.credit(
            "transfer_in",
            currency,
            lot.points,
            from_bucket="transit",
            issued=lot.issued,
            expires_at=lot.expires_at,
            cause=transfer,
        )
    draft.announce(
        "loyalty.points.transferred.v1",
        {"transfer": transfer, "currency": currency, "points": sum(lot.points for lot in moved)},
    )


def _send_back(draft: Draft, body: TransferReceived, reason: str) -> None:
    draft.derived.append(
        Derived(
            body.from_member,
            TransferReturned(body.transfer, body.to_member, body.currency, body.lots, reason),
        )
    )


# Time -----------------------------------------------------------------------------------------


def _tick(draft: Draft, body: Tick) -> None:
    assert draft.effective_at >= body.at, "a tick is decided when its moment has come"
    _MOMENTS[body.moment](draft, body)


def _activation(draft: Draft, body: Tick) -> None:
    if not body.name:
        lots.activate_due(draft, body.at)
        return
    receipt = draft.facts.receipt  # of the order whose delivery has not come in time
    assert receipt is not None
    refunds.cancel_pending(draft, receipt)


def _review(draft: Draft, body: Tick) -> None:
    tiers.review(draft, body.at)


def _grace_end(draft: Draft, body: Tick) -> None:
    tiers.fall(draft, body.at)


def _expire(draft: Draft, body: Tick) -> None:
    lots.expire_due(draft, body.at)


def _notice(draft: Draft, body: Tick) -> None:
    lots.announce_expiring(draft, body.at)


def _warning(draft: Draft, _: Tick) -> None:
    tiers.warn(draft)


def _occasion(draft: Draft, body: Tick) -> None:
    given: list[dict[str, Any]] = []
    for gift in draft.program.gifts:
        if gift.occasion != body.name:
            continue
        why = _gift_refused(draft, gift, body)
        if why:
            draft.trace.setdefault("not", []).append((gift.id, why))
            continue
        _give(draft, gift)
        given.append({"gift": gift.id, "points": dict(gift.points), "rewards": list(gift.rewards)})
    if given:
        draft.trace["gifts"] = given
        draft.gifts = {**draft.gifts, body.name: body.at}


def _gift_refused(draft: Draft, gift: Gift, body: Tick) -> str:
    """Why an occasion gives nothing: too short a membership, given recently, or a date of birth set
    just now.
    """
    if after_span(draft.enrolled_at, gift.member_for, draft.tz) > body.at:
        return "member_too_short"
    if gift.occasion != "birthday":
        return ""
    today = local_date(body.at, draft.tz)
    last = draft.gifts.get(body.name)
    if last is not None:
        given_on = local_date(last, draft.tz)
        if given_on.year == today.year or (today - given_on).days < gift.at_most_once_in:
            return "given_recently"
    if 0 <= draft.facts.birthday_set_days < gift.settled:
        return "birthday_set_recently"
    return ""


def _give(draft: Draft, gift: Gift) -> None:
    for currency, points in gift.points.items():
        accrue(draft, currency, points, cause=gift.id)
    if gift.points:
        draft.announce(
            "loyalty.points.accrued.v1",
            {
                "activity": gift.occasion,
                "postings": [
                    {"rule": gift.id, "currency": currency, "points": points}
                    for currency, points in gift.points.items()
                ],
            },
        )
    for reward in gift.rewards:
        draft.rewards.append(IssuedReward(reward, "gift", gift.id, 0))
        draft.announce(
            "loyalty.reward.issued.v1", {"reward": reward, "by": gift.occasion, "gift": gift.id}
        )


def _lapsed(draft: Draft, body: Lapsed) -> None:
    _stop_waiting(draft, body.seq)
    parked = draft.facts.parked
    assert parked is not None
    if isinstance(parked, TransferReceived):
        _send_back(draft, parked, "lapsed")
    draft.trace = {"lapsed": kind_of(parked)}
    draft.announce("loyalty.activity.lapsed.v1", {"activity": kind_of(parked), "parked": body.seq})


def _resumed(draft: Draft, body: Resumed) -> None:
    parked = draft.facts.parked
    assert parked is not None
    _stop_waiting(draft, body.seq)
    what, reason = verdict(draft.account.status, kind_of(parked))
    if what == PARK:
        raise Park(reason, f"awaits_{reason}")
    if what != DECIDE:
        raise Refusal(reason)
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
    draft.status, draft.stuck_from = draft.account.stuck_from, ""


_MOMENTS: dict[str, Callable[[Draft, Tick], None]] = {
    "activation": _activation,
    "tier_review": _review,
    "grace_end": _grace_end,
    "expiry": _expire,
    "notice": _notice,
    "tier_warning": _warning,
    "occasion": _occasion,
}

_DECIDERS: dict[type[AnyBody], Callable[[Draft, Any], None]] = {
    Enrolled: _enrolment,
    ProfileUpdated: _profile,
    Segmented: _segment,
    StatusChanged: _status,
    Purchased: _purchase,
    Delivered: _delivery,
    Amended: _amendment,
    Cancelled: _cancellation,
    Refunded: _refund,
    Engaged: _engagement,
    RedemptionRequested: _redemption,
    Adjusted: _adjustment,
    TransferRequested: _transfer,
    TransferReceived: _transfer_in,
    TransferReturned: _transfer_back,
    Tick: _tick,
    Resumed: _resumed,
    Lapsed: _lapsed,
    Stuck: _stuck,
    Unstuck: _unstuck,
}
