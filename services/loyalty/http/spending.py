"""Requests that move a member's points: redemptions, transfers and adjustments.

The answer to an ``Idempotency-Key`` is stored in the very statement that records its effect, so
that asking again gives the same answer for certain. Refusals are answers too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Header, Response, Security

from services.loyalty.application.online import Reply
from services.loyalty.application.spending import Asked, Check, Request, answer_once
from services.loyalty.domain.activity import (
    Adjusted,
    AnyBody,
    RedemptionRequested,
    TierGiven,
    TransferRequested,
)
from services.loyalty.domain.calendar import from_datetime, rfc3339
from services.loyalty.domain.member_id import BadMemberId, check_member_id
from services.loyalty.domain.money import ImpossibleAmount, UnknownCurrency, minor_units
from services.loyalty.http import examples, models, openapi, shown
from services.loyalty.http.members import MemberId
from services.loyalty.http.parts import Parts, PartsHere
from services.loyalty.http.problem_codes import KINDS
from services.loyalty.http.problems import MEDIA_TYPE, Problem, problem_document
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/members/{member_id}", tags=["spending"])

IdempotencyKey: TypeAlias = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="A key of your own for this request, unique for the member. Trying again with"
        " it gives the first answer again; another request with it is refused.",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        examples=["checkout-7d1f0a"],
    ),
]
REWARDS = (
    "unknown_reward",
    "tier_too_low",
    "sold_out",
    "limit_reached",
    "not_in_segment",
    "not_valid_yet",
    "no_longer_valid",
    "reward_unavailable",
)
PAYING = (
    "points_are_no_money",
    "no_rate",
    "below_minimum",
    "not_a_step",
    "above_share",
    "payment_impossible",
)
COMMON = (
    "unknown_member",
    "no_program",
    "idempotency_key_missing",
    "idempotency_key_reused",
    "not_enrolled",
    "account_suspended",
    "account_closed",
    "account_merged",
    "member_erased",
    "account_stuck",
    "before_program",
    "contended",
    "invalid_request",
)


@router.post(
    "/redemptions",
    summary="Redeem a reward, or pay for an order",
    status_code=201,
    response_model=models.Redemption,
    responses=openapi.answers(
        "insufficient_points",
        "spending_blocked",
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
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.RedemptionRequest
) -> Response:
    """A reward of the catalogue at its cost, or points as money for an order. A refusal lists all
    `reasons`, each with its `code` and its facts, such as how many points are missing. Where there
    is but one, it is the refusal's own `code`; several are `reward_unavailable`, or
    `payment_impossible`.
    """
    name = name_of("rd", member_id, key)
    return await answer(parts, member_id, key, name, wanted, requested(name, wanted))


def requested(name: str, wanted: models.RedemptionRequest, by: str = "") -> RedemptionRequested:
    """The redemption that is wanted, of a pool's points if there is somebody who spends them."""
    if wanted.order is not None and wanted.points is not None and wanted.reward is None:
        order, amount = wanted.order, order_cost(wanted.order)
        return RedemptionRequested(
            name, "", wanted.points, order.order_id, order.currency, amount, by
        )
    if wanted.reward is None or wanted.order is not None or wanted.points is not None:
        raise invalid("body", "give either 'reward', or 'order' and 'points'")
    return RedemptionRequested(name, wanted.reward, by=by)


@router.post(
    "/transfers",
    summary="Transfer points to another member",
    status_code=201,
    response_model=models.Transfer,
    responses=openapi.answers(
        "transfers_not_allowed",
        "transfer_to_self",
        "transfer_too_small",
        "transfer_limit_reached",
        "inside_return_window",
        "spending_blocked",
        "unknown_currency",
        "insufficient_points",
        *COMMON,
        example=examples.TRANSFER,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def transfer(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.TransferRequest
) -> Response:
    """Available points, which keep their expiry. They return if the other account refuses them."""
    _check_target(member_id, wanted.to_member)
    name = name_of("tr", member_id, key)
    body = TransferRequested(name, member_id, wanted.to_member, wanted.currency, wanted.points)
    return await answer(parts, member_id, key, name, wanted, body)


@router.post(
    "/adjustments",
    summary="Grant or take points by hand",
    status_code=201,
    response_model=models.Adjustment,
    responses=openapi.answers(
        "unknown_currency",
        "nothing_to_adjust",
        "too_many_approvals",
        "insufficient_points",
        *COMMON,
        example=examples.ADJUSTMENT,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def adjust(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.AdjustmentRequest
) -> Response:
    """With a reason code and an actor, both of which stay in the journal for ever. Above what the
    programme allows one person alone, it waits for the approval of another.
    """
    name = name_of("ad", member_id, key)
    body = Adjusted(wanted.currency, wanted.points, wanted.reason, wanted.actor, name)
    return await answer(parts, member_id, key, name, wanted, body)


def _payment(asked: Asked, paid: RedemptionRequested) -> models.Redemption:
    worth = asked.decision.trace["worth"]
    return models.Redemption(
        redemption=paid.redemption,
        points=paid.points,
        currency=asked.decision.trace["currency"],
        order_id=paid.for_order,
        worth=shown.money(worth, paid.money),
        **settled_by(asked),
    )


def order_cost(order: models.OrderToPay) -> int:
    """What an order costs, in minor units. Raises Problem where that is no amount of its money."""
    try:
        amount = minor_units(order.amount, order.currency)
    except (ImpossibleAmount, UnknownCurrency) as error:
        raise invalid("body.order.amount", str(error)) from error
    if not amount:
        raise invalid("body.order.amount", "an order that costs nothing needs no points")
    return amount


def invalid(place: str, reason: str) -> Problem:
    """A request that its fields, taken together, make impossible."""
    return Problem("invalid_request", mistakes=[{"place": place, "reason": reason}])


@router.post(
    "/tier",
    summary="Give a level by hand",
    status_code=201,
    response_model=models.TierGiven,
    responses=openapi.answers(
        "unknown_level",
        "end_is_past",
        "no_manual_tier",
        *COMMON,
        example=examples.TIER_GIVEN,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def give_tier(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: models.TierRequest
) -> Response:
    """With or without an end. It holds the tier up beside what was earned, never pulls it down, and
    takes the place of a level given before; a null level ends that.
    """
    name = name_of("tg", member_id, key)
    until = from_datetime(wanted.until) if wanted.until else 0
    body = TierGiven(wanted.level or "", until, wanted.reason, wanted.actor)
    return await answer(parts, member_id, key, name, wanted, body)


def _check_target(member: str, to_member: str) -> None:
    if member == to_member:
        raise Problem("transfer_to_self")
    try:
        check_member_id(to_member)
    except BadMemberId as error:
        mistake = {"place": "body.to_member", "reason": error.reason}
        raise Problem("invalid_request", mistakes=[mistake]) from error


def name_of(prefix: str, member: str, key: str) -> str:
    """A name that follows from member and key: deciding anew, after a race, never changes it."""
    digest = hashlib.blake2b(f"{member}\0{key}".encode(), digest_size=10, person=b"loyalty name")
    return f"{prefix}-{digest.hexdigest()}"


async def answer(  # noqa: PLR0913 - a request has that many sides
    parts: Parts,
    member: str,
    key: str,
    name: str,
    wanted: models.Shown,
    body: AnyBody,
    *,
    accepted: Callable[[Asked], models.Shown] | None = None,
    target: str = "",
    status: int = 201,
    check: Check | None = None,
) -> Response:
    """Decides a request once and answers it; ``accepted`` shows what was carried out, with
    ``status``, and ``target`` is what the path names beside the member. ``check`` may raise a
    Problem before a new one is decided.
    """
    request = Request(
        member=member,
        name=name,
        body=body,
        key_digest=hashlib.sha256(key.encode()).digest(),
        request_digest=_request_digest(wanted, body, target),
    )
    reply, again = await answer_once(
        parts.store,
        parts.programs,
        parts.clock,
        request,
        render=partial(render, accepted or _accepted, status),
        attempts=parts.limits.attempts,
        check=check,
    )
    return response(reply, again=again)


def response(reply: Reply, *, again: bool) -> Response:
    """The kept answer to a request, which says where it has been given before."""
    return Response(
        reply.body,
        status_code=reply.status,
        media_type="application/json" if reply.status < 400 else MEDIA_TYPE,
        headers={"Idempotency-Replayed": "true"} if again else None,
    )


def _request_digest(wanted: models.Shown, body: AnyBody, target: str) -> bytes:
    """What makes two requests the same: the operation, what it is about, and its fields."""
    content = [type(body).__name__, wanted.model_dump(), *([target] if target else [])]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).digest()


def render(accepted: Callable[[Asked], models.Shown], status: int, asked: Asked) -> tuple[int, str]:
    """Status and body of the answer to a decided request."""
    if asked.decision.outcome == "accepted":
        return status, accepted(asked).model_dump_json()
    code, facts = _refusal(asked.decision.reason, asked.decision.details)
    detail = _DETAILS[code].format_map(facts) if code in _DETAILS else ""
    document = problem_document(code, detail, facts)
    return KINDS[code].status, msgspec.json.encode(document).decode()


_DETAILS = {"insufficient_points": "{missing} more points are needed."}


def _refusal(reason: str, details: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The problem code for a reason, and the facts; ``refused`` for one without its own code."""
    return (reason, details) if reason in KINDS else ("refused", {"reason": reason, **details})


def settled_by(asked: Asked) -> dict[str, Any]:
    """What all answers to accepted requests share."""
    return {
        "member_id": asked.member,
        "seq": asked.decision.account.seq,
        "recorded_at": rfc3339(asked.decision.activity.recorded_at),
        "balances": shown.balances(asked.program, asked.decision.account),
    }


def _accepted(asked: Asked) -> models.Settled:
    settled = settled_by(asked)
    match asked.decision.activity.body:
        case RedemptionRequested(money=money) as paid if money:
            return _payment(asked, paid)
        case RedemptionRequested(redemption=name, reward=reward_id):
            reward = asked.program.rewards[reward_id]
            return models.Redemption(
                redemption=name,
                reward=reward_id,
                points=reward.cost,
                currency=reward.currency,
                voucher=asked.decision.rewards[0].voucher or None,
                **settled,
            )
        case TransferRequested(transfer=name, to_member=target, currency=currency, points=points):
            return models.Transfer(
                transfer=name, to_member=target, currency=currency, points=points, **settled
            )
        case TierGiven(level=level, until=until, reason=reason):
            return models.TierGiven(
                level=level or None,
                until=shown.moment(until),
                reason=reason,
                tier=asked.decision.account.standing.level,
                **settled,
            )
        case Adjusted(currency=currency, points=points, reason=reason, adjustment=name):
            waits = any(one.adjustment == name for one in asked.decision.account.affairs.approvals)
            return models.Adjustment(
                currency=currency,
                points=points,
                reason=reason,
                adjustment=name,
                state="waiting" if waits else "done",
                **settled,
            )
    raise AssertionError(f"not a request of this module: {asked.decision.activity.body!r}")
