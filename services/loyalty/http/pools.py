"""Pools of households: who shares points, and who spends them.

A pool is an account: what the paths below `/v1/members/{member_id}` say of balances, entries, lots,
holds, vouchers and redemptions they say of a pool too, by its own id.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from fastapi import APIRouter, Response, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.online import OnlineSession
from services.loyalty.application.queries import see
from services.loyalty.application.spending import Asked
from services.loyalty.domain import spenders
from services.loyalty.domain.account import Account, Pool, PoolMember
from services.loyalty.domain.activity import (
    PoolJoinRequested,
    PoolLeaveRequested,
    PoolSpendersNamed,
)
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.member_id import BadMemberId, check_member_id
from services.loyalty.domain.program import Program
from services.loyalty.domain.status import DECIDE, verdict
from services.loyalty.http import examples, holds, models, openapi, shown, spending
from services.loyalty.http.members import MemberId, id_of, seen
from services.loyalty.http.models import Moment, Settled, Shown
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
    settled_by,
)

router = APIRouter(prefix="/v1", tags=["pools"])

PoolId: TypeAlias = Annotated[str, id_of("pool", "pool-7")]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
SpentBy: TypeAlias = Annotated[
    str, Field(description="Which member of the pool spends.", min_length=1, max_length=128)
]
State: TypeAlias = Literal["none", "asked", "in"]


class PoolRequest(Shown):
    """A member is to share points with a pool."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.POOL_REQUEST]})

    pool_id: str = Field(
        description="The pool, by an id that no member has.", min_length=1, max_length=128
    )
    founds: bool = Field(
        default=False,
        description="Whether there is no such pool yet and the member becomes its owner.",
        strict=True,
    )


class _Sharing(Shown):
    pool_id: str | None = Field(description="The pool; null without one.")
    state: State = Field(
        description="`asked` until the pool has answered, `in` once points go there."
    )
    since: Moment | None = Field(description="From when points go there.")
    refused: str | None = Field(
        description="Without a pool: why the one that was asked last did not let the member in."
    )


class Sharing(Settled, _Sharing):
    """What was asked of a pool. Its answer follows a moment later."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.POOL_ASKED]})


class MembersPool(_Sharing):
    """The pool that a member shares points with."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MEMBERS_POOL]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which it holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )


class InPool(Shown):
    """A member of a pool."""

    member_id: str = Field(description="The member.")
    since: Moment = Field(description="When the pool let it in.")
    may_spend: bool = Field(description="Whether it may spend the pool's points.")


class PoolShown(Shown):
    """A pool at a glance."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.POOL]})

    pool_id: str = Field(description="The pool.")
    as_of: Moment = Field(description="The instant for which it holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    state: Literal["open", "closed"] = Field(description="A closed pool never opens again.")
    owner: str = Field(description="Its owner, or the last one.")
    members: list[InPool] = Field(description="In the order in which they came.")
    balances: list[models.Balance] = Field(description="What can be spent, and is held.")


class SpendersRequest(Shown):
    """All members of a pool who may spend its points beside the owner."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SPENDERS_REQUEST]})

    spenders: list[Id] = Field(description="They; nobody else may.", max_length=50)
    by: str = Field(
        description="Who names them: the owner of the pool.", min_length=1, max_length=128
    )


class Spenders(Settled):
    """Who may spend beside the owner."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SPENDERS]})

    spenders: list[str] = Field(description="Members of the pool.")


class PoolRedemptionRequest(models.RedemptionRequest):
    """A member of a pool asks for a reward at its cost in the pool's points, or pays with them."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.POOL_REDEMPTION_REQUEST]})

    spent_by: SpentBy


class PoolHoldRequest(models.HoldRequest):
    """Points of a pool to be set aside for one of its members."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.POOL_HOLD_REQUEST]})

    spent_by: SpentBy


_MAY_SPEND = ("not_a_pool", "not_in_pool", "may_not_spend", "spending_blocked")

# The member -----------------------------------------------------------------------------------


@router.get(
    "/members/{member_id}/pool",
    summary="A member's pool",
    responses=openapi.answers("unknown_member", "no_program", example=examples.MEMBERS_POOL),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def of_member(parts: PartsHere, member_id: MemberId) -> MembersPool:
    """Which pool the member's points go to, or is asked to let the member in."""
    found = await seen(parts, member_id)
    return MembersPool(
        member_id=member_id,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        **_shared(found.account),
    )


@router.put(
    "/members/{member_id}/pool",
    summary="Join a pool, or found one",
    status_code=202,
    response_model=Sharing,
    responses=openapi.answers(
        "pools_not_offered",
        "in_a_pool",
        "pool_left_recently",
        *COMMON,
        example=examples.POOL_ASKED,
        status=202,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def join(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: PoolRequest
) -> Response:
    """The pool is asked, and answers a moment later, as a GET then shows. From then on what the
    member earns goes there once it can be spent; what counts for tiers stays with the member.
    """
    _check_name(member_id, wanted.pool_id)
    name = name_of("pj", member_id, key)
    body = PoolJoinRequested(member_id, wanted.pool_id, wanted.founds)
    return await answer(parts, member_id, key, name, wanted, body, accepted=_sharing, status=202)


@router.delete(
    "/members/{member_id}/pool",
    summary="Leave the pool",
    status_code=202,
    response_model=Sharing,
    responses=openapi.answers(
        "in_no_pool", "pool_joined_recently", *COMMON, example=examples.POOL_LEFT, status=202
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def leave(parts: PartsHere, member_id: MemberId, key: IdempotencyKey) -> Response:
    """What the member gave to the pool stays there. A refund of it finds the pool all the same."""
    name = name_of("pl", member_id, key)
    body = PoolLeaveRequested()
    return await answer(parts, member_id, key, name, Shown(), body, accepted=_sharing, status=202)


# The pool -------------------------------------------------------------------------------------


@router.get(
    "/pools/{pool_id}",
    summary="A pool at a glance",
    responses=openapi.answers("unknown_pool", "no_program", example=examples.POOL),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def glance(parts: PartsHere, pool_id: PoolId) -> PoolShown:
    """Whose it is, who is in it and may spend, and what there is to spend."""
    found = await see(parts.store, parts.programs, parts.clock, pool_id)
    pool = found.account.affairs.pool if found is not None else None
    if found is None or pool is None:
        raise Problem("unknown_pool")
    return PoolShown(
        pool_id=pool_id,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        state="closed" if found.account.status == "closed" else "open",
        owner=pool.owner,
        members=[_in_pool(found.program, pool, each) for each in pool.members],
        balances=shown.balances(found.program, found.account),
    )


@router.put(
    "/pools/{pool_id}/spenders",
    summary="Name who may spend",
    response_model=Spenders,
    responses=openapi.answers(
        "unknown_pool",
        "not_a_pool",
        "spenders_not_named",
        "not_the_owner",
        "not_in_pool",
        *COMMON,
        example=examples.SPENDERS,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def name_spenders(
    parts: PartsHere, pool_id: PoolId, key: IdempotencyKey, wanted: SpendersRequest
) -> Response:
    """All of them at once, beside the owner, who always may."""
    name = name_of("ps", pool_id, key)
    body = PoolSpendersNamed(wanted.spenders, wanted.by)
    return await answer(parts, pool_id, key, name, wanted, body, accepted=_spenders, status=200)


@router.post(
    "/pools/{pool_id}/redemptions",
    summary="Redeem a reward, or pay for an order, with the pool's points",
    status_code=201,
    response_model=models.Redemption,
    responses=openapi.answers(
        *_MAY_SPEND,
        "insufficient_points",
        *REWARDS,
        *PAYING,
        "redemption_exists",
        *COMMON,
        example=examples.REDEMPTION,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def redeem(
    parts: PartsHere, pool_id: PoolId, key: IdempotencyKey, wanted: PoolRedemptionRequest
) -> Response:
    """As a member redeems, by a member of the pool who may. A reward for a tier or a segment cannot
    be had: a pool is in none.
    """
    name = name_of("rd", pool_id, key)
    body = spending.requested(name, wanted, wanted.spent_by)
    return await answer(
        parts, pool_id, key, name, wanted, body, check=partial(_may_spend, wanted.spent_by)
    )


@router.post(
    "/pools/{pool_id}/holds",
    summary="Hold points of the pool",
    status_code=201,
    response_model=models.HoldMade,
    responses=openapi.answers(
        *_MAY_SPEND,
        "unknown_currency",
        "insufficient_points",
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
    parts: PartsHere, pool_id: PoolId, key: IdempotencyKey, wanted: PoolHoldRequest
) -> Response:
    """As a member's hold. It is captured and voided below `/v1/members/{pool_id}/holds`."""
    name = name_of("hd", pool_id, key)
    body = msgspec.structs.replace(holds.requested(name, wanted), by=wanted.spent_by)
    return await answer(
        parts,
        pool_id,
        key,
        name,
        wanted,
        body,
        accepted=holds.made,
        check=partial(_may_spend, wanted.spent_by),
    )


# How ------------------------------------------------------------------------------------------


def _check_name(member: str, pool: str) -> None:
    try:
        check_member_id(pool)
    except BadMemberId as error:
        raise invalid("body.pool_id", error.reason) from error
    if member == pool:
        raise invalid("body.pool_id", "it is the member's own id")


async def _may_spend(member: str, session: OnlineSession) -> None:
    """Raises Problem where a member's own account may not spend: the pool's then may not either,
    by that member.
    """
    loaded = (await session.load_accounts([member])).get(member)
    if loaded is None:
        raise Problem("not_in_pool")
    what, reason = verdict(loaded.account.status, "redemption")
    if what != DECIDE:
        raise Problem(reason)
    if "spending" in loaded.account.affairs.blocked:
        raise Problem("spending_blocked")


def _shared(account: Account) -> dict[str, Any]:
    held = account.affairs.household
    if held is None or not held.pool:
        refused = held.refused if held is not None else ""
        return {"pool_id": None, "state": "none", "since": None, "refused": refused or None}
    return {
        "pool_id": held.pool,
        "state": "in" if held.since else "asked",
        "since": shown.moment(held.since),
        "refused": None,
    }


def _sharing(asked: Asked) -> Sharing:
    return Sharing(**settled_by(asked), **_shared(asked.decision.account))


def _spenders(asked: Asked) -> Spenders:
    pool = asked.decision.account.affairs.pool
    assert pool is not None
    return Spenders(**settled_by(asked), spenders=pool.spenders)


def _in_pool(program: Program, pool: Pool, each: PoolMember) -> InPool:
    return InPool(
        member_id=each.member,
        since=rfc3339(each.since),
        may_spend=spenders.may(program, pool, each.member),
    )
