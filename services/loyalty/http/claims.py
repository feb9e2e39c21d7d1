"""Claiming what was bought as a guest, with the number of its receipt."""

from __future__ import annotations

import hashlib
from functools import partial

import msgspec
from fastapi import APIRouter, Response, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.spending import Asked, Request, UnknownMember, answer_once
from services.loyalty.domain.activity import PurchaseClaimed
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.member_id import BadMemberId, check_member_id
from services.loyalty.http import examples, openapi
from services.loyalty.http.members import MemberId, seen
from services.loyalty.http.models import Moment, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import IdempotencyKey, render, response

router = APIRouter(prefix="/v1/members/{member_id}", tags=["spending"])


class ClaimRequest(Shown):
    """A member has the receipt of what was bought as a guest."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLAIM_REQUEST]})

    receipt: str = Field(
        description="The number on the receipt, which the purchase has as its `member_id`.",
        min_length=1,
        max_length=128,
    )


class Claim(Shown):
    """A claim that came first. What the purchase earns is posted a moment later."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLAIM]})

    claim: str = Field(description="Its id, made from member and Idempotency-Key.")
    member_id: str = Field(description="The member.")
    receipt: str = Field(description="The receipt number.")
    claimed_at: Moment = Field(description="When it was recorded.")


_NOT_OPEN = {
    "unenrolled": "not_enrolled",
    "closed": "account_closed",
    "merged": "account_merged",
    "erased": "member_erased",
}


@router.post(
    "/claims",
    summary="Claim a guest's purchase",
    status_code=202,
    response_model=Claim,
    responses=openapi.answers(
        "unknown_receipt",
        "already_claimed",
        "claim_too_late",
        "not_a_receipt",
        "unknown_member",
        *_NOT_OPEN.values(),
        "account_stuck",
        "no_program",
        "before_program",
        "idempotency_key_missing",
        "idempotency_key_reused",
        "contended",
        "invalid_request",
        example=examples.CLAIM,
        status=202,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def claim(
    parts: PartsHere, member_id: MemberId, key: IdempotencyKey, wanted: ClaimRequest
) -> Response:
    """Of members who claim one receipt at once, one is first; the others are refused.

    The purchase then counts for the member as of when it was made.
    """
    found = await seen(parts, member_id)
    if found.account.status not in ("active", "suspended"):
        raise Problem(_NOT_OPEN.get(found.account.status, "account_stuck"))
    try:
        check_member_id(wanted.receipt)
        reply, again = await answer_once(
            parts.store,
            parts.programs,
            parts.clock,
            _request(found.member, key, wanted.receipt),
            render=partial(render, _claimed, 202),
            attempts=parts.limits.attempts,
        )
    except (BadMemberId, UnknownMember):
        raise Problem("unknown_receipt") from None
    return response(reply, again=again)


def _request(member: str, key: str, receipt: str) -> Request:
    """The request to the receipt's account, where it is decided; keys are the members' own."""
    digest = hashlib.sha256(f"{member}\0{key}".encode())
    name = f"cl-{digest.hexdigest()[:20]}"
    content = msgspec.json.encode(["claim", member, receipt])
    return Request(
        member=receipt,
        name=name,
        body=PurchaseClaimed(name, receipt, member),
        key_digest=digest.digest(),
        request_digest=hashlib.sha256(content).digest(),
    )


def _claimed(asked: Asked) -> Claim:
    activity = asked.decision.activity
    body = activity.body
    assert isinstance(body, PurchaseClaimed)
    return Claim(
        claim=body.claim,
        member_id=body.by,
        receipt=body.receipt,
        claimed_at=rfc3339(activity.recorded_at),
    )
