"""Longer lives by hand: extending points that would expire, and reinstating expired ones."""

from __future__ import annotations

from fastapi import APIRouter, Response, Security

from services.loyalty.application.spending import Asked
from services.loyalty.domain.activity import Extended, Reinstated
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.http import examples, models, openapi
from services.loyalty.http.instants import instant
from services.loyalty.http.members import MemberId
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import (
    COMMON,
    IdempotencyKey,
    answer,
    name_of,
    settled_by,
)

router = APIRouter(prefix="/v1/members/{member_id}", tags=["spending"])


@router.post(
    "/extensions",
    summary="Let points expire later",
    status_code=201,
    response_model=models.LongerLife,
    responses=openapi.answers(
        "unknown_currency",
        "not_later",
        "nothing_to_extend",
        *COMMON,
        example=examples.LONGER_LIFE,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def extend(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.ExtensionRequest
) -> Response:
    """By an operator, with a reason code and an actor, both of which stay in the journal. Points
    that are held come back to the later end. Of points that expire by inactivity the one date
    moves, for all of them.
    """
    name = name_of("ex", member_id, key)
    body = Extended(
        wanted.currency,
        instant("body.until", wanted.until),
        wanted.reason,
        wanted.actor,
        instant("body.expiring_by", wanted.expiring_by) if wanted.expiring_by else 0,
    )
    return await answer(parts, member_id, key, name, wanted, body, accepted=_accepted)


@router.post(
    "/reinstatements",
    summary="Let expired points live again",
    status_code=201,
    response_model=models.LongerLife,
    responses=openapi.answers(
        "unknown_currency",
        "not_later",
        "nothing_to_reinstate",
        "more_than_expired",
        *COMMON,
        example=examples.LONGER_LIFE,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def reinstate(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.ReinstatementRequest
) -> Response:
    """By an operator, with a reason code and an actor, both of which stay in the journal. What is
    owed is paid first.
    """
    name = name_of("ri", member_id, key)
    body = Reinstated(
        wanted.currency,
        instant("body.until", wanted.until),
        wanted.reason,
        wanted.actor,
        wanted.points or 0,
        instant("body.expired_from", wanted.expired_from) if wanted.expired_from else 0,
    )
    return await answer(parts, member_id, key, name, wanted, body, accepted=_accepted)


def _accepted(asked: Asked) -> models.LongerLife:
    body = asked.decision.activity.body
    assert isinstance(body, Extended | Reinstated)
    return models.LongerLife(
        points=asked.decision.trace["points"],
        currency=body.currency,
        expires_at=rfc3339(body.until),
        reason=body.reason,
        **settled_by(asked),
    )
