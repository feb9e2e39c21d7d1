"""How far a member is with cards of stamps, streaks and challenges, the badges to show, and
referrals.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.queries import Seen
from services.loyalty.domain.account import Card, Referral
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.program import Stamps
from services.loyalty.http import examples, openapi, shown
from services.loyalty.http.languages import InLanguages, Speech
from services.loyalty.http.members import MemberId, seen
from services.loyalty.http.models import Description, Moment, Name, NameOrNull, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.security import key_holder

router = APIRouter(
    prefix="/v1/members/{member_id}",
    tags=["members"],
    dependencies=[Security(key_holder, scopes=["members:read"])],
)


class CardShown(Shown):
    """A card of stamps, a streak or a challenge, and how far the member is with it."""

    card: str = Field(description="Its id.", examples=["six-orders"])
    name: Name
    description: Description
    collected: int = Field(description="Stamps in hand.", ge=0)
    of: int = Field(description="Stamps that fill it.", ge=1)
    times_filled: int = Field(description="How often it was full already.", ge=0)
    next_lapse_at: Moment | None = Field(
        description="When the first stamps in hand are lost, if the card is not full by then."
    )
    collected_for: list[str] | None = Field(
        description="Of a streak the periods, of a challenge what was met already; else null."
    )


class CardsShown(Shown):
    """Every card that the programme has now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STAMPS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which it holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    cards: list[CardShown] = Field(description="In the programme's order.")


class BadgeShown(Shown):
    """A badge that the member has."""

    badge: str = Field(description="Its id.", examples=["explorer"])
    name: Name
    description: Description
    given_at: Moment = Field(description="When the member got it.")


class BadgesShown(Shown):
    """The member's badges."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BADGES]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which it holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    badges: list[BadgeShown] = Field(description="In the order in which they were given.")


class Referred(Shown):
    """That somebody brought the member, and what became of it."""

    state: Literal["open", "pending", "settled"] = Field(
        description="No purchase has qualified yet; one has, inside its return window; or it has"
        " been kept."
    )
    order: str | None = Field(description="The purchase that qualified.")
    rule: str | None = Field(description="By which rule.")
    rule_name: NameOrNull
    ends_at: Moment | None = Field(description="When its return window ends.")


class ReferralShown(Shown):
    """The member's own code, and by whose code the member came, as far as that matters."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REFERRAL]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which it holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    code: str | None = Field(
        description="To be told to friends; null before the programme has referrals, or until the"
        " next activity of a member who joined before it had.",
        examples=["7K2M9QXB4T1D"],
    )
    referred: Referred | None = Field(description="Null for who came alone.")


@router.get(
    "/referral",
    summary="Referral code, and being referred",
    responses=openapi.answers("unknown_member", "no_program", example=examples.REFERRAL),
)
async def referral(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> ReferralShown:
    """The code by which friends are told of the programme. Rewards show among the lots."""
    found = await seen(parts, member_id)
    held = found.account.referral
    say = languages.of(*parts.programs.back_from(found.as_of))
    return ReferralShown(
        member_id=found.member,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        code=found.account.code or None,
        referred=_referred(held, say) if held else None,
    )


def _referred(held: Referral, say: Speech) -> Referred:
    pending: Literal["pending", "open"] = "pending" if held.order else "open"
    return Referred(
        state="settled" if held.settled else pending,
        order=held.order or None,
        rule=held.rule or None,
        rule_name=say.name("earn", held.rule) if held.rule else None,
        ends_at=shown.moment(held.ends_at),
    )


@router.get(
    "/stamps",
    summary="Stamps, streaks and challenges",
    responses=openapi.answers("unknown_member", "no_program", example=examples.STAMPS),
)
async def stamps(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> CardsShown:
    """How far the member is with each card of the programme, as of now."""
    found = await seen(parts, member_id)
    say = languages.of(found.program)
    return CardsShown(
        member_id=found.member,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        cards=[_card(terms, found, say) for terms in found.program.stamps],
    )


@router.get(
    "/badges",
    summary="Badges",
    responses=openapi.answers("unknown_member", "no_program", example=examples.BADGES),
)
async def badges(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> BadgesShown:
    """What the member may show. A badge is given once and never taken back."""
    found = await seen(parts, member_id)
    say = languages.of(*parts.programs.back_from(found.as_of))
    return BadgesShown(
        member_id=found.member,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        badges=[
            BadgeShown(
                badge=badge,
                name=say.name("badges", badge),
                description=say.description("badges", badge),
                given_at=rfc3339(at),
            )
            for badge, at in sorted(found.account.badges.items(), key=lambda item: item[1])
        ],
    )


def _card(terms: Stamps, found: Seen, say: Speech) -> CardShown:
    card = found.account.cards.get(terms.id, Card())
    met = [stamp.slot for stamp in card.stamps]
    return CardShown(
        card=terms.id,
        name=say.name("stamps", terms.id),
        description=say.description("stamps", terms.id),
        collected=len(card.stamps),
        of=terms.collect,
        times_filled=card.filled,
        next_lapse_at=shown.moment(min((stamp.ends_at for stamp in card.stamps), default=0)),
        collected_for=met if terms.every or terms.different else None,
    )
