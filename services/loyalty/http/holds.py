"""Holds: points set aside at checkout, to be captured, voided, or given back by the clock."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Response, Security

from services.loyalty.application.online import HoldRow
from services.loyalty.application.queries import Seen
from services.loyalty.application.spending import Asked
from services.loyalty.domain.account import Hold
from services.loyalty.domain.activity import HoldCaptured, HoldRequested, HoldVoided
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.http import examples, models, openapi, shown
from services.loyalty.http.languages import InLanguages, Speech
from services.loyalty.http.members import MemberId, id_of, seen
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import (
    COMMON,
    PAYING,
    REWARDS,
    IdempotencyKey,
    answer,
    invalid,
    name_of,
    order_cost,
    settled_by,
)

router = APIRouter(prefix="/v1/members/{member_id}/holds", tags=["spending"])

HOLDS_SHOWN = 100
HoldId: TypeAlias = Annotated[str, id_of("hold", "hd-2a91c4407dd0f1e6b388")]


@router.post(
    "",
    summary="Hold points",
    status_code=201,
    response_model=models.HoldMade,
    responses=openapi.answers(
        "unknown_currency",
        "insufficient_points",
        "spending_blocked",
        "too_many_holds",
        "hold_too_long",
        "nothing_to_hold",
        *REWARDS,
        *PAYING,
        *COMMON,
        example=examples.HOLD_MADE,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def hold(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.HoldRequest
) -> Response:
    """For a reward, as money for an order, or just so many points of a currency. They are set aside
    at once for every session; what is not captured in time is given back by the clock.
    """
    name = name_of("hd", member_id, key)
    return await answer(parts, member_id, key, name, wanted, requested(name, wanted), accepted=made)


def requested(name: str, wanted: models.HoldRequest) -> HoldRequested:
    """The hold that is wanted."""
    ttl_s, points = wanted.ttl_s or 0, wanted.points or 0
    given = (bool(wanted.reward), bool(wanted.order), bool(wanted.currency), bool(wanted.points))
    match given:
        case (True, False, False, False):
            return HoldRequested(name, reward=wanted.reward or "", ttl_s=ttl_s)
        case (False, False, True, True):
            return HoldRequested(name, wanted.currency or "", points, ttl_s=ttl_s)
    if wanted.order is None or given != (False, True, False, True):
        raise invalid("body", "give 'reward'; or 'order' and 'points'; or 'currency' and 'points'")
    order = wanted.order
    return HoldRequested(
        name,
        points=points,
        for_order=order.order_id,
        money=order.currency,
        amount=order_cost(order),
        ttl_s=ttl_s,
    )


@router.get(
    "",
    summary="Holds",
    responses=openapi.answers("unknown_member", "no_program", example=examples.HOLDS),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def holds(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> models.HoldList:
    """The latest holds of a member, as of now: those that are open, and what became of others."""
    rows = await parts.store.load_holds(member_id, HOLDS_SHOWN)
    found = await seen(parts, member_id)
    if found.member != member_id:  # those of before the merge are no more; they ended
        rows = await parts.store.load_holds(found.member, HOLDS_SHOWN)
    say = languages.of(*parts.programs.back_from(found.as_of))
    return models.HoldList(
        member_id=member_id,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        holds=[_seen(row, found, say) for row in rows],
    )


@router.get(
    "/{hold_id}",
    summary="One hold",
    responses=openapi.answers(
        "unknown_member", "unknown_hold", "no_program", example=examples.HOLD_SEEN
    ),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def one_hold(
    parts: PartsHere, member_id: MemberId, hold_id: HoldId, languages: InLanguages
) -> models.HoldSeen:
    """What is held, and what became of it, as of now."""
    row = await parts.store.load_hold(member_id, hold_id)
    found = await seen(parts, member_id)
    if row is None and found.member != member_id:
        row = await parts.store.load_hold(found.member, hold_id)
    if row is None:
        raise Problem("unknown_hold", hold=hold_id)
    return _seen(row, found, languages.of(*parts.programs.back_from(found.as_of)))


@router.post(
    "/{hold_id}/captures",
    summary="Capture a hold, whole or in part",
    status_code=201,
    response_model=models.Captured,
    responses=openapi.answers(
        "unknown_hold",
        "hold_ended",
        "more_than_held",
        "captured_whole_only",
        "not_a_step",
        *COMMON,
        example=examples.CAPTURED,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def capture(
    parts: PartsHere,
    member_id: MemberId,
    hold_id: HoldId,
    key: IdempotencyKey,
    wanted: models.CaptureRequest,
) -> Response:
    """Spends held points: never more than are held, and never twice."""
    name = name_of("rd", member_id, key)
    body = HoldCaptured(hold_id, name, wanted.points or 0, wanted.release_rest)
    return await answer(
        parts, member_id, key, name, wanted, body, accepted=_captured, target=hold_id
    )


@router.post(
    "/{hold_id}/void",
    summary="Void a hold",
    status_code=201,
    response_model=models.HoldMade,
    responses=openapi.answers(
        "unknown_hold", "hold_ended", *COMMON, example=examples.VOIDED, status=201
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def void(
    parts: PartsHere, member_id: MemberId, hold_id: HoldId, key: IdempotencyKey
) -> Response:
    """Gives back at once what it still sets aside."""
    name = name_of("vd", member_id, key)
    return await answer(
        parts,
        member_id,
        key,
        name,
        models.Shown(),
        HoldVoided(hold_id),
        accepted=made,
        target=hold_id,
    )


def made(asked: Asked) -> models.HoldMade:
    """The hold that the request made or ended: the last one that its decision left."""
    kept = asked.decision.holds[-1]
    return models.HoldMade(
        hold=_shown(kept.hold, kept.state, kept.hold.left, kept.ended_at), **settled_by(asked)
    )


def _captured(asked: Asked) -> models.Captured:
    body, kept = asked.decision.activity.body, asked.decision.holds[-1]
    assert isinstance(body, HoldCaptured)
    held, points = kept.hold, asked.decision.trace["points"]
    return models.Captured(
        redemption=body.redemption,
        reward=held.reward or None,
        points=points,
        currency=held.currency,
        order_id=held.for_order or None,
        worth=shown.money(held.worth_of(points), held.money) if held.money else None,
        hold=held.id,
        left=held.left,
        released=held.points - held.captured - held.left,
        **settled_by(asked),
    )


def _seen(row: HoldRow, found: Seen, say: Speech) -> models.HoldSeen:
    held = _of_row(row, found)
    return models.HoldSeen(
        **held.model_dump(), name=say.name("rewards", held.reward) if held.reward else None
    )


def _of_row(row: HoldRow, found: Seen) -> models.HoldShown:
    """A row, with what has become of it since by the clock."""
    for held in found.account.holds:
        if held.id == row.hold:
            return _shown(held, "open", held.left, 0)
    held = Hold(
        row.hold,
        row.currency,
        row.points,
        [],
        row.seq,
        row.held_at,
        row.ends_at,
        row.captured,
        row.reward,
        row.for_order,
        row.money,
        row.amount,
        row.worth,
    )
    if row.ended_at:
        return _shown(held, row.state, 0, row.ended_at)
    return _shown(held, "lapsed", 0, row.ends_at)


def _shown(held: Hold, state: str, left: int, ended_at: Instant) -> models.HoldShown:
    return models.HoldShown(
        hold=held.id,
        state=models.HOLD_STATE.validate_python(state),
        currency=held.currency,
        points=held.points,
        captured=held.captured,
        held=left,
        released=held.points - held.captured - left,
        reward=held.reward or None,
        order_id=held.for_order or None,
        order_amount=shown.money(held.amount, held.money) if held.money else None,
        worth=shown.money(held.worth, held.money) if held.money else None,
        held_at=rfc3339(held.held_at),
        ends_at=rfc3339(held.ends_at),
        ended_at=shown.moment(ended_at),
    )
