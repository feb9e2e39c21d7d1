"""What members may have beside points: gifts to choose from, and the benefits of their tier."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Path, Response, Security

from services.loyalty.application.spending import Asked
from services.loyalty.domain.activity import BenefitUsed, GiftClaimed
from services.loyalty.domain.benefits import entitlements
from services.loyalty.domain.calendar import local_date, rfc3339
from services.loyalty.http import examples, openapi
from services.loyalty.http import voucher_models as models
from services.loyalty.http.languages import InLanguages
from services.loyalty.http.members import MemberId, seen
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.security import key_holder
from services.loyalty.http.spending import COMMON, IdempotencyKey, answer, name_of, settled_by

router = APIRouter(prefix="/v1/members/{member_id}", tags=["vouchers"])

_NAME = r"^[a-z0-9-]{1,100}$"
OfferId: TypeAlias = Annotated[
    str, Path(description="The offer's id.", pattern=_NAME, examples=["g9-birthday"])
]
BenefitName: TypeAlias = Annotated[
    str, Path(description="The benefit's name.", pattern=_NAME, examples=["free-upgrade"])
]


@router.get(
    "/offers",
    summary="Gifts to choose from",
    responses=openapi.answers("unknown_member", "no_program", example=examples.OFFERS),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def offers(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> models.Offers:
    """Gifts of which the member may choose one reward, and by when."""
    found = await seen(parts, member_id)
    say = languages.of(*parts.programs.back_from(found.as_of))
    return models.Offers(
        member_id=member_id,
        as_of=rfc3339(found.as_of),
        offers=[
            models.OfferShown(
                offer=offer.id,
                gift=offer.gift,
                name=say.name("gifts", offer.gift),
                description=say.description("gifts", offer.gift),
                choose=offer.rewards,
                choices=[
                    models.Choice(
                        reward=reward,
                        name=say.name("rewards", reward),
                        description=say.description("rewards", reward),
                    )
                    for reward in offer.rewards
                ],
                claim_by=rfc3339(offer.until),
            )
            for offer in found.account.offers
        ],
    )


@router.post(
    "/offers/{offer}/claim",
    summary="Choose a gift",
    status_code=201,
    response_model=models.GiftTaken,
    responses=openapi.answers(
        "unknown_offer", "not_offered", "sold_out", *COMMON, example=examples.CLAIMED, status=201
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def claim(
    parts: PartsHere,
    member_id: MemberId,
    offer: OfferId,
    key: IdempotencyKey,
    wanted: models.GiftClaimRequest,
) -> Response:
    """The reward is issued at once, with its voucher if it has one."""
    body = GiftClaimed(offer, wanted.reward)
    return await answer(
        parts,
        member_id,
        key,
        name_of("gc", member_id, key),
        wanted,
        body,
        accepted=_claimed,
        target=offer,
    )


@router.get(
    "/benefits",
    summary="Benefits of the tier, and what is left of them",
    responses=openapi.answers("unknown_member", "no_program", example=examples.BENEFITS),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def benefits(
    parts: PartsHere, member_id: MemberId, languages: InLanguages
) -> models.Benefits:
    """What the level held entitles to, as of now."""
    found = await seen(parts, member_id)
    today = local_date(found.as_of, found.program.zone)
    level = found.account.standing.level
    say = languages.of(found.program)
    return models.Benefits(
        member_id=member_id,
        as_of=rfc3339(found.as_of),
        level=level or None,
        level_name=say.name("levels", level) if level else None,
        benefits=[
            models.Entitled(
                name=each.name,
                label=say.name("benefits", each.name),
                description=say.description("benefits", each.name),
                terms=each.terms,
                used=each.used,
                left=each.left,
                period=each.period or None,
            )
            for each in entitlements(found.program, found.account, today)
        ],
    )


@router.post(
    "/benefits/{benefit}/uses",
    summary="Record the use of a benefit",
    status_code=201,
    response_model=models.BenefitTaken,
    responses=openapi.answers(
        "benefit_not_held", "benefit_used_up", *COMMON, example=examples.BENEFIT_USED, status=201
    ),
    dependencies=[Security(key_holder, scopes=["members:write"])],
)
async def use(
    parts: PartsHere,
    member_id: MemberId,
    benefit: BenefitName,
    key: IdempotencyKey,
    wanted: models.BenefitRequest,
) -> Response:
    """Refused once it is used up, or where the tier that brought it is lost."""
    body = BenefitUsed(benefit, wanted.about or "")
    return await answer(
        parts,
        member_id,
        key,
        name_of("bu", member_id, key),
        wanted,
        body,
        accepted=_taken,
        target=benefit,
    )


def _claimed(asked: Asked) -> models.GiftTaken:
    [reward] = asked.decision.rewards
    return models.GiftTaken(
        offer=asked.decision.trace["offer"],
        reward=reward.reward,
        voucher=reward.voucher or None,
        **settled_by(asked),
    )


def _taken(asked: Asked) -> models.BenefitTaken:
    trace = asked.decision.trace
    return models.BenefitTaken(
        benefit=trace["benefit"],
        terms=trace["terms"],
        left=trace.get("left"),
        **settled_by(asked),
    )
