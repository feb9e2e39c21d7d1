"""Vouchers by member and by code, and redemptions undone.

Codes are bearer secrets: they are answered to keys with a scope of their own, never stored with the
answer to an Idempotency-Key, and never logged.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Path, Query, Response, Security

from services.loyalty.application.codes import read_code
from services.loyalty.application.online import CodedVoucher
from services.loyalty.application.spending import Asked
from services.loyalty.domain.activity import RedemptionCancelled, VoucherUsed, VoucherVoided
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.voucher import EXPIRED, OPEN, Voucher
from services.loyalty.http import examples, openapi, shown
from services.loyalty.http import voucher_models as models
from services.loyalty.http.languages import InLanguages, Speech
from services.loyalty.http.members import MemberId, id_of, seen
from services.loyalty.http.parts import Parts, PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import COMMON, IdempotencyKey, answer, name_of, settled_by

router = APIRouter(prefix="/v1", tags=["vouchers"])

SHOWN = 200
_ENDED = ("unknown_voucher", "voucher_used", "voucher_expired", "voucher_voided")

Code: TypeAlias = Annotated[
    str,
    Path(
        description="The voucher's code; case, spaces and hyphens do not matter.",
        max_length=64,
        examples=["7Q3KV-9ZBM4-01XTE-RW8HC"],
    ),
]
VoucherId: TypeAlias = Annotated[
    str,
    Path(description="The voucher's id.", pattern=r"^v[0-9]{1,18}-[0-9]{1,5}$", examples=["v13-0"]),
]
RedemptionId: TypeAlias = Annotated[str, id_of("redemption", "rd-5f0c7a2be94d10c86d1b")]


@router.get(
    "/members/{member_id}/vouchers",
    summary="A member's vouchers",
    responses=openapi.answers("unknown_member", "no_program", example=examples.VOUCHERS),
    dependencies=[Security(key_holder, scopes=["vouchers:read"])],
)
async def of_member(
    parts: PartsHere,
    member_id: MemberId,
    languages: InLanguages,
    state: Annotated[
        models.State | None, Query(description="Only those in this state.", examples=["open"])
    ] = None,
) -> models.Vouchers:
    """With their codes, newest first. What has expired by now is shown so, recorded or not. Those
    of a merged account keep its `member_id`.
    """
    found = await seen(parts, member_id)
    held = [one for each in found.ids for one in await parts.store.load_coded(each, SHOWN)]
    held.sort(key=lambda one: -one.voucher.issued_at)
    say = languages.of(*parts.programs.back_from(found.as_of))
    all_of_them = [_with_code(each, found.as_of, say) for each in held]
    return models.Vouchers(
        member_id=found.member,
        as_of=rfc3339(found.as_of),
        vouchers=[each for each in all_of_them if state in (None, each.state)],
    )


@router.get(
    "/vouchers/{code}",
    summary="Look a voucher up by its code",
    responses=openapi.answers("unknown_voucher", "no_program", example=examples.VOUCHER),
    dependencies=[Security(key_holder, scopes=["vouchers:read"])],
)
async def by_code(parts: PartsHere, code: Code, languages: InLanguages) -> models.VoucherShown:
    """Whether it can be used, what it is worth, and the terms that the shop is to heed."""
    held = await _found(parts, code)
    found = await seen(parts, held.member)
    return _with_code(held, found.as_of, languages.of(*parts.programs.back_from(found.as_of)))


@router.post(
    "/vouchers/{code}/use",
    summary="Use a voucher up",
    status_code=201,
    response_model=models.VoucherChanged,
    responses=openapi.answers(*_ENDED, *COMMON, example=examples.USED, status=201),
    dependencies=[Security(key_holder, scopes=["vouchers:use"])],
)
async def use(
    parts: PartsHere, code: Code, key: IdempotencyKey, wanted: models.UseRequest
) -> Response:
    """Once: of several at the same time exactly one is accepted."""
    held = await _found(parts, code)
    body = VoucherUsed(held.voucher.id, wanted.order_id or "")
    name = name_of("vu", held.member, key)
    return await answer(
        parts, held.member, key, name, wanted, body, accepted=_changed, target=body.voucher
    )


@router.post(
    "/members/{member_id}/vouchers/{voucher}/void",
    summary="Void a voucher",
    status_code=201,
    response_model=models.VoucherChanged,
    responses=openapi.answers(*_ENDED, *COMMON, example=examples.VOIDED_VOUCHER, status=201),
    dependencies=[Security(key_holder, scopes=["members:adjust"])],
)
async def void(
    parts: PartsHere,
    member_id: MemberId,
    voucher: VoucherId,
    key: IdempotencyKey,
    wanted: models.VoidRequest,
) -> Response:
    """It can no longer be used. Points are not given back: cancel its redemption for that."""
    body = VoucherVoided(voucher, wanted.reason, wanted.actor)
    name = name_of("vv", member_id, key)
    return await answer(
        parts, member_id, key, name, wanted, body, accepted=_changed, target=body.voucher
    )


@router.post(
    "/members/{member_id}/redemptions/{redemption}/cancellation",
    summary="Cancel a redemption",
    status_code=201,
    response_model=models.Cancellation,
    responses=openapi.answers(
        "unknown_redemption",
        "already_cancelled",
        "more_than_redeemed",
        "whole_only",
        *_ENDED[1:],
        *COMMON,
        example=examples.CANCELLATION,
        status=201,
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def cancel(
    parts: PartsHere,
    member_id: MemberId,
    redemption: RedemptionId,
    key: IdempotencyKey,
    wanted: models.CancellationRequest,
) -> Response:
    """Each point returns to the lot that it came from, those that expire last first, after what the
    member owes. A voucher must be unused and is voided with it.
    """
    body = RedemptionCancelled(redemption, wanted.points or 0, wanted.reason, wanted.actor or "")
    name = name_of("rc", member_id, key)
    return await answer(
        parts, member_id, key, name, wanted, body, accepted=_cancelled, target=redemption
    )


async def _found(parts: Parts, typed: str) -> CodedVoucher:
    code = read_code(typed)
    held = await parts.store.find_code(code) if code else None
    if held is None:
        raise Problem("unknown_voucher")
    return held


def _with_code(held: CodedVoucher, as_of: Instant, say: Speech) -> models.VoucherShown:
    told = _told(held.member, held.voucher)
    if held.voucher.state == OPEN and held.voucher.expires_at <= as_of:
        told |= {"state": EXPIRED, "ended_at": told["expires_at"]}
    voucher = held.voucher
    return models.VoucherShown(
        code=held.code,
        name=say.name("rewards", voucher.reward),
        description=say.description("rewards", voucher.reward),
        reason_name=say.name_in(["reasons"], voucher.reason),
        **told,
    )


def _told(member: str, voucher: Voucher) -> dict[str, Any]:
    worth = voucher.worth and models.Worth(
        amount=decimal_text(voucher.worth, voucher.money), currency=voucher.money
    )
    return {
        "voucher": voucher.id,
        "member_id": member,
        "state": voucher.state,
        "reward": voucher.reward,
        "how": voucher.how,
        "by": voucher.by,
        "points": voucher.points,
        "currency": voucher.currency or None,
        "worth": worth or None,
        "percent": _percent(voucher.percent) if voucher.percent else None,
        "item": voucher.item or None,
        "terms": voucher.terms,
        "issued_at": rfc3339(voucher.issued_at),
        "expires_at": rfc3339(voucher.expires_at),
        "ended_at": shown.moment(voucher.ended_at),
        "order_id": voucher.order or None,
        "reason": voucher.reason or None,
    }


def _percent(hundredths: int) -> str:
    return format((Decimal(hundredths) / 100).normalize(), "f")


def _changed(asked: Asked) -> models.VoucherChanged:
    [voucher] = asked.decision.vouchers
    return models.VoucherChanged(
        voucher=models.VoucherEnded(**_told(asked.member, voucher)), **settled_by(asked)
    )


def _cancelled(asked: Asked) -> models.Cancellation:
    [row] = asked.decision.redemptions
    returned = asked.decision.trace["returned"]
    return models.Cancellation(
        redemption=row.redemption,
        reward=row.reward,
        currency=row.currency,
        points=sum(each["points"] for each in returned),
        left=row.left,
        returned=[
            models.Returned(
                points=each["points"],
                expires_at=shown.moment(int(each.get("successor", each["lot"]).split("/")[2])),
                lot_had_expired="successor" in each,
            )
            for each in returned
        ],
        voucher=row.voucher or None,
        **settled_by(asked),
    )
