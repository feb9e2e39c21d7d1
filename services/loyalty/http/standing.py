"""What people decide about a member by hand: status, blocks, and adjustments that wait for one."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Response, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.queries import Seen
from services.loyalty.application.spending import Asked
from services.loyalty.domain.account import Approval
from services.loyalty.domain.activity import Approved, Blocked, StatusChanged
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.http import examples, openapi, shown
from services.loyalty.http.languages import InLanguages, Speech
from services.loyalty.http.members import MemberId, id_of, seen
from services.loyalty.http.models import MAX_POINTS, Actor, Moment, Name, Reason, Settled, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import COMMON, IdempotencyKey, answer, name_of, settled_by

router = APIRouter(prefix="/v1/members/{member_id}", tags=["members"])

AdjustmentId: TypeAlias = Annotated[str, id_of("adjustment", "ad-0d31c6f58a92b7e4406c")]
What: TypeAlias = Literal["earning", "spending"]


class StatusRequest(Shown):
    """The status that an account shall have."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STATUS_REQUEST]})

    status: Literal["active", "suspended", "closed"] = Field(
        description="`active` reopens the account."
    )
    reason: Reason
    actor: Actor


class StatusSet(Settled):
    """The status that an account has now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STATUS_SET]})

    status: Literal["active", "suspended", "closed"] = Field(description="Of the account.")
    points_kept_until: Moment | None = Field(
        description="Of a closed account: before when reopening it keeps its points; null where "
        "they are forfeited."
    )


class BlockRequest(Shown):
    """Earning or spending is to be blocked, or no longer."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BLOCK_REQUEST]})

    what: What = Field(description="What is blocked.")
    blocked: bool = Field(description="Whether it is.", strict=True)
    reason: Reason
    actor: Actor


class BlockSet(Settled):
    """What is blocked now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BLOCK_SET]})

    blocked: list[What] = Field(description="All that is blocked.")


class ApprovalRequest(Shown):
    """A second person decides on an adjustment."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DECISION_REQUEST]})

    approved: bool = Field(description="Whether it shall be carried out.", strict=True)
    actor: Actor


class ApprovalGiven(Settled):
    """What was decided. A declined adjustment is gone."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ADJUSTMENT_APPROVAL]})

    adjustment: str = Field(description="The adjustment's id.")
    approved: bool = Field(description="Whether it was carried out.")


class WaitingAdjustment(Shown):
    """An adjustment that waits for a second person."""

    adjustment: str = Field(description="Its id.")
    currency: str = Field(description="The currency of the points.")
    points: int = Field(
        description="Granted if positive, taken if negative.", ge=-MAX_POINTS, le=MAX_POINTS
    )
    reason: str = Field(description="The reason code.")
    reason_name: Name
    actor: str = Field(description="Who asked for it, and so does not decide on it.")
    lapses_at: Moment = Field(description="Before when it has to be decided on.")


class WaitingAdjustments(Shown):
    """All adjustments of a member that wait."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.WAITING_ADJUSTMENTS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which it holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    waiting: list[WaitingAdjustment] = Field(description="In the order in which they were asked.")


@router.post(
    "/status",
    summary="Suspend, close or reopen",
    status_code=201,
    response_model=StatusSet,
    responses=openapi.answers("status_unchanged", *COMMON, example=examples.STATUS_SET, status=201),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def set_status(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: StatusRequest
) -> Response:
    """A suspended member goes on earning and cannot spend. A closed account loses its tier, and its
    points at once or after the time that the programme gives to reopen it.
    """
    name = name_of("st", member_id, key)
    body = StatusChanged(wanted.status, wanted.reason, wanted.actor)
    return await answer(parts, member_id, key, name, wanted, body, accepted=_status_set)


@router.post(
    "/blocks",
    summary="Block or allow earning or spending",
    status_code=201,
    response_model=BlockSet,
    responses=openapi.answers("block_unchanged", *COMMON, example=examples.BLOCK_SET, status=201),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def block(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: BlockRequest
) -> Response:
    """Beside the status. What is bought while earning is blocked is recorded, so that its refund
    finds it, and earns nothing, also later.
    """
    name = name_of("bl", member_id, key)
    body = Blocked(wanted.what, wanted.blocked, wanted.reason, wanted.actor)
    return await answer(parts, member_id, key, name, wanted, body, accepted=_block_set)


@router.get(
    "/adjustments",
    summary="Adjustments that wait for a second person",
    responses=openapi.answers("unknown_member", "no_program", example=examples.WAITING_ADJUSTMENTS),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def waiting_adjustments(
    parts: PartsHere, member_id: MemberId, languages: InLanguages
) -> WaitingAdjustments:
    """Each with who asked for it, and until when it waits."""
    found = await seen(parts, member_id)
    return _waiting(found, languages.of(found.program))


@router.post(
    "/adjustments/{adjustment}/approval",
    summary="Approve or decline an adjustment",
    status_code=201,
    response_model=ApprovalGiven,
    responses=openapi.answers(
        "unknown_adjustment",
        "second_person_needed",
        "unknown_currency",
        "insufficient_points",
        *COMMON,
        example=examples.ADJUSTMENT_APPROVAL,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def approve(
    parts: PartsHere,
    member_id: MemberId,
    adjustment: AdjustmentId,
    key: IdempotencyKey,
    wanted: ApprovalRequest,
) -> Response:
    """By another person than the one who asked for it. An approval that is refused, because the
    points to take are not there, leaves it waiting.
    """
    name = name_of("ap", member_id, key)
    body = Approved(adjustment, wanted.approved, wanted.actor)
    return await answer(
        parts, member_id, key, name, wanted, body, accepted=_approval, target=adjustment
    )


def _status_set(asked: Asked) -> StatusSet:
    account = asked.decision.account
    return StatusSet.model_validate(
        {
            **settled_by(asked),
            "status": account.status,
            "points_kept_until": shown.moment(account.affairs.forfeits_at),
        }
    )


def _block_set(asked: Asked) -> BlockSet:
    blocked = sorted(asked.decision.account.affairs.blocked)
    return BlockSet.model_validate({**settled_by(asked), "blocked": blocked})


def _approval(asked: Asked) -> ApprovalGiven:
    body = asked.decision.activity.body
    assert isinstance(body, Approved)
    return ApprovalGiven(adjustment=body.adjustment, approved=body.approved, **settled_by(asked))


def _waiting(found: Seen, say: Speech) -> WaitingAdjustments:
    return WaitingAdjustments(
        member_id=found.member,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        waiting=[_shown(one, say) for one in found.account.affairs.approvals],
    )


def _shown(asked: Approval, say: Speech) -> WaitingAdjustment:
    return WaitingAdjustment(
        adjustment=asked.adjustment,
        currency=asked.currency,
        points=asked.points,
        reason=asked.reason,
        reason_name=say.name("reasons", asked.reason),
        actor=asked.actor,
        lapses_at=rfc3339(asked.lapses_at),
    )
