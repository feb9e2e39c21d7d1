"""Holds: points set aside for a while, then spent whole or in parts, or given back.

Held points are nobody else's: they do not expire, and no clawback takes them. A hold remembers the
lots that it drew from and gives back to those; what is given back pays arrears first, and what has
outlived its lot meanwhile expires in the same decision, or lives on for as long as the programme
says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.loyalty.domain import spenders
from services.loyalty.domain.account import HeldLot, Hold, Idle, Lot
from services.loyalty.domain.activity import HoldCaptured, HoldRequested, HoldVoided
from services.loyalty.domain.calendar import SECOND, Instant, rfc3339
from services.loyalty.domain.catalogue import count_redemption, uncount_redemption
from services.loyalty.domain.decision import HoldKept
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.lots import end_of
from services.loyalty.domain.paying import check_payment, payment_told
from services.loyalty.domain.program import Program
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.spending import (
    check_affordable,
    issue,
    redeemed,
    reward_to_redeem,
    spendable,
)

_replace = msgspec.structs.replace


def hold(draft: Draft, body: HoldRequested) -> None:
    spenders.check(draft, body.by)
    terms = draft.program.holds
    if any(held.id == body.hold for held in draft.holds):
        raise Refusal("hold_exists", hold=body.hold)
    if len(draft.holds) >= terms.most:
        raise Refusal("too_many_holds", most=terms.most)
    if body.ttl_s > terms.longest_s:
        raise Refusal("hold_too_long", longest_s=terms.longest_s)
    made = _wanted(draft, body)
    drawn = draft.draw(made.currency, made.points)
    for lot, points in drawn:
        draft.post(
            "hold",
            lot.currency,
            points,
            ("available", "held"),
            lot_from=lot.key,
            lot_to=lot.key,
            cause=made.id,
            order=made.for_order,
        )
    held = [HeldLot(lot.currency, lot.issued, lot.expires_at, points) for lot, points in drawn]
    made = _replace(made, drawn=held)
    draft.holds = [*draft.holds, made]
    draft.holds_kept.append(HoldKept(made))
    draft.trace = {
        "hold": made.id,
        "points": made.points,
        "ends_at": rfc3339(made.ends_at),
        "draws": [(lot.key, points) for lot, points in drawn],
    }
    draft.announce(
        "loyalty.points.held.v1",
        {
            "hold": made.id,
            "currency": made.currency,
            "points": made.points,
            "ends_at": rfc3339(made.ends_at),
            **purpose(made, made.points),
            **spenders.told(body.by),
        },
    )


def _wanted(draft: Draft, body: HoldRequested) -> Hold:
    """The hold that is asked for, with nothing drawn yet."""
    at, terms = draft.effective_at, draft.program.holds
    ends_at = at + (body.ttl_s or terms.last_s) * SECOND
    made = Hold(body.hold, body.currency, body.points, [], draft.seq, at, ends_at)
    if body.reward:
        reward = reward_to_redeem(draft, body.reward)
        return _replace(
            made,
            currency=reward.currency,
            points=reward.cost,
            reward=reward.id,
            counters=count_redemption(draft, reward),
        )
    if body.money:
        pays = check_payment(draft, body.points, money=body.money, amount=body.amount)
        return _replace(
            made,
            currency=pays.currency,
            for_order=body.for_order,
            money=body.money,
            amount=body.amount,
            worth=pays.worth,
            step=pays.step,
            ends_at=at + (body.ttl_s or pays.hold_s) * SECOND,
        )
    spendable(draft.program, body.currency)
    if made.points <= 0:
        raise Refusal("nothing_to_hold")
    check_affordable(draft, made.currency, made.points)
    return made


def purpose(held: Hold, points: int) -> dict[str, Any]:
    """What so many points of a hold are for, as events tell it."""
    if held.reward:
        return {"reward": held.reward}
    if held.money:
        return payment_told(held.for_order, held.money, held.worth_of(points))
    return {}


def capture(draft: Draft, body: HoldCaptured) -> None:
    held = _open(draft, body.hold)
    left = held.left
    points = body.points or left
    if points > left:
        raise Refusal("more_than_held", hold=held.id, held=left, missing=points - left)
    if held.reward and points != left:
        raise Refusal("captured_whole_only", hold=held.id, points=left)
    if held.step and points % held.step:
        raise Refusal("not_a_step", step=held.step, points=points)
    draws = _split(held.drawn, points)
    redeemed(
        draft,
        body.redemption,
        [(lot.currency, lot.key, lot.points) for lot in draws],
        from_bucket="held",
        cause=held.reward or ("spend_points" if held.money else held.id),
        told={
            **purpose(held, points),
            "hold": held.id,
            "currency": held.currency,
            "points": points,
        },
    )
    if held.reward:
        reward = draft.program.reward_now(held.reward)
        assert reward is not None, "a reward that is dropped has a successor"
        issue(draft, reward, body.redemption, points=points, counters=held.counters)
    rest = _rest(held.drawn, points)
    held = _replace(held, captured=held.captured + points, drawn=rest)
    draft.trace = {
        "hold": held.id,
        "points": points,
        "draws": [(lot.key, lot.points) for lot in draws],
    }
    if rest and not body.release_rest:
        _keep(draft, held)
        return
    if rest:
        _release(draft, held, "captured")
    _end(draft, held, "captured")


def _split(drawn: Sequence[HeldLot], points: int) -> list[HeldLot]:
    """The first ``points`` of what is held."""
    taken: list[HeldLot] = []
    for lot in drawn:
        part = min(points, lot.points)
        if not part:
            break
        taken.append(_replace(lot, points=part))
        points -= part
    return taken


def _rest(drawn: Sequence[HeldLot], points: int) -> list[HeldLot]:
    """What is held beyond the first ``points``."""
    rest: list[HeldLot] = []
    for lot in drawn:
        part = min(points, lot.points)
        points -= part
        if part < lot.points:
            rest.append(_replace(lot, points=lot.points - part))
    return rest


def void(draft: Draft, body: HoldVoided) -> None:
    held = _open(draft, body.hold)
    draft.trace = {"hold": held.id, "points": held.left}
    _release(draft, held, "voided")
    _end(draft, held, "voided")


def lapse_due(draft: Draft, at: Instant) -> None:
    """Gives back what holds set aside whose end has come."""
    for held in [held for held in draft.holds if held.ends_at <= at]:
        draft.trace.setdefault("lapsed", []).append({"hold": held.id, "points": held.left})
        _release(draft, held, "lapsed")
        _end(draft, held, "lapsed")


def close(draft: Draft) -> None:
    """Gives back everything that is held, because the account has ended."""
    for held in draft.holds:
        _release(draft, held, "closed")
        _end(draft, held, "closed")


def _open(draft: Draft, name: str) -> Hold:
    for held in draft.holds:
        if held.id == name:
            return held
    ended = draft.facts.hold
    if ended is None:
        raise Refusal("unknown_hold", hold=name)
    raise Refusal("hold_ended", hold=name, how=ended.state, ended_at=rfc3339(ended.ended_at))


def _keep(draft: Draft, held: Hold) -> None:
    draft.holds = [held if each.id == held.id else each for each in draft.holds]
    draft.holds_kept.append(HoldKept(held))


def _end(draft: Draft, held: Hold, state: str) -> None:
    draft.holds = [each for each in draft.holds if each.id != held.id]
    draft.holds_kept.append(HoldKept(_replace(held, drawn=[]), state, draft.effective_at))


def _release(draft: Draft, held: Hold, reason: str) -> None:
    uncount_redemption(draft, held.counters)
    for lot in held.drawn:
        draft.post(
            "release",
            lot.currency,
            lot.points,
            ("held", "available"),
            lot_from=lot.key,
            lot_to=lot.key,
            cause=held.id,
            order=held.for_order,
        )
        _return(draft, lot, held.id)
    draft.announce(
        "loyalty.points.released.v1",
        {
            "hold": held.id,
            "currency": held.currency,
            "points": held.left,
            "reason": reason,
            **({"order": held.for_order} if held.for_order else {}),
        },
    )


def _return(draft: Draft, held: HeldLot, cause: str) -> None:
    """What becomes of points that have just come back to their lot."""
    left = held.points - draft.repay(held.currency, held.points, held.key, cause=cause)
    if not left:
        return
    now = draft.effective_at
    lot = Lot(held.currency, held.issued, held.expires_at, 0, "", left, 0)
    end = end_of(draft.program, draft.idle, lot)
    until = released_until(draft.program, draft.idle, held, now)
    if until <= now:
        draft.expire_late(held.currency, left, "available", held.key)
        draft.add_totals(held.key, LotTotals(expired=left))
    elif until > end:
        extend(draft, lot, until, cause)
    else:
        draft.put(lot)


def released_until(
    program: Program, idle: Mapping[str, Idle], held: HeldLot, now: Instant
) -> Instant:
    """The exclusive end of the life of points that a hold gives back now: that of their lot, or
    that to which they were extended meanwhile; where it is over, they get as long as the programme
    grants what comes back late. Not after ``now`` where they expire at once.
    """
    lot = Lot(held.currency, held.issued, held.expires_at, 0, "", held.points, 0)
    until = max(end_of(program, idle, lot), held.extended_to)
    late = program.holds.released_live_s
    return now + late * SECOND if until <= now and late else until


def extend(draft: Draft, lot: Lot, until: Instant, cause: str) -> None:
    """Moves available points, which no open lot has any more, to the lot of the same month that
    lives longer.
    """
    key = lot_key(lot.currency, lot.issued, until)
    draft.post(
        "extension",
        lot.currency,
        lot.points,
        ("available", "available"),
        lot_from=lot.key,
        lot_to=key,
        cause=cause,
    )
    draft.add_totals(lot.key, LotTotals(successors=(key,)))
    draft.put(Lot(lot.currency, lot.issued, until, 0, "", lot.points, lot.points))
