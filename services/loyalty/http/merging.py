"""Saying that two members are one person."""

from __future__ import annotations

from fastapi import APIRouter, Response, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.spending import Asked
from services.loyalty.domain.activity import MergeRequested
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.status import REFUSE, verdict
from services.loyalty.http import examples, openapi
from services.loyalty.http.members import MemberId, seen
from services.loyalty.http.models import Actor, Moment, Reason, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import COMMON, IdempotencyKey, answer, name_of

router = APIRouter(prefix="/v1/members/{member_id}", tags=["members"])


class MergeRequest(Shown):
    """The member is another one, whose account goes on."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MERGE_REQUEST]})

    into: str = Field(
        description="The member who goes on; of a merged one, who goes on for that one.",
        min_length=1,
        max_length=128,
    )
    reason: Reason
    actor: Actor


class Merge(Shown):
    """A merge that was asked for. `loyalty.member.merged.v1` says that it is done, and
    `loyalty.member.merge-declined.v1` why it will not be.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MERGE]})

    merge: str = Field(description="Its id, made from member and Idempotency-Key.")
    member_id: str = Field(description="The member whose account ends.")
    into: str = Field(description="The member whose account takes it over.")
    requested_at: Moment = Field(description="When it was recorded.")


@router.post(
    "/merge",
    summary="Merge a member into another one",
    status_code=202,
    response_model=Merge,
    responses=openapi.answers(
        "merge_into_self",
        "merge_pending",
        "holds_open",
        "referral_between",
        "shared_points",
        *COMMON,
        example=examples.MERGE,
        status=202,
    ),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def merge(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: MergeRequest
) -> Response:
    """The other account is asked first, and nothing moves before it has agreed: so a moment passes
    before all is there. From then on the old id answers for the member who goes on, also for what
    comes back of its purchases.
    """
    other = await seen(parts, wanted.into)
    what, reason = verdict(other.account.status, "merge_offer")
    if what == REFUSE:
        raise Problem(reason, f"The member {other.member} cannot take another one over.")
    name = name_of("mg", member_id, key)
    body = MergeRequested(name, member_id, other.member, wanted.reason, wanted.actor)
    return await answer(parts, member_id, key, name, wanted, body, accepted=_requested, status=202)


def _requested(asked: Asked) -> Merge:
    activity = asked.decision.activity
    body = activity.body
    assert isinstance(body, MergeRequested)
    return Merge(
        merge=body.merge,
        member_id=body.from_member,
        into=body.into,
        requested_at=rfc3339(activity.recorded_at),
    )
