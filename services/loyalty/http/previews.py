"""What a basket would earn, before anybody pays for it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.intake import read_event
from services.loyalty.application.previews import ORDER, SOURCE, Previewed, preview
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.domain.activity import Purchased
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.decision import Decision
from services.loyalty.http import examples, models, openapi, shown
from services.loyalty.http.failures import unacceptable
from services.loyalty.http.languages import InLanguages, Speech
from services.loyalty.http.models import Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/previews", tags=["members"])

Amount = Annotated[str, Field(examples=["19.90"])]


class PreviewLine(Shown):
    """A line of the basket, as the purchase would carry it."""

    position: int = Field(description="Names the line in its order.", ge=0)
    sku: str = Field(description="What would be sold.", examples=["22423"])
    quantity: int = Field(description="Whole units.", ge=1)
    unit_price: Amount = Field(description="Price of one unit, tax included.")
    discount: Amount | None = Field(default=None, description="Taken off the whole line.")
    tax: Amount | None = Field(default=None, description="Tax contained in what the line costs.")
    category: str | None = Field(default=None, description="The line's category.")
    brand: str | None = Field(default=None, description="The line's brand.")


class PreviewRequest(Shown):
    """A basket: the data of `commerce.purchase.completed.v1`, before there is an order."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PREVIEW_REQUEST]})

    member_id: str | None = Field(
        default=None, description="Whose basket; a guest's, who would join now, where left out."
    )
    currency: str = Field(description="ISO 4217 code of every amount here.", examples=["GBP"])
    lines: list[PreviewLine] = Field(description="What is in the basket.", min_length=1)
    discount: Amount | None = Field(default=None, description="Order-wide.")
    shipping: Amount | None = Field(default=None, description="Charged beside the lines.")
    prepaid: Amount | None = Field(
        default=None, description="To be paid by points, vouchers or gift cards."
    )
    channel: str | None = Field(default=None, description="Where: `web`, `store`, `app` …")
    store: str | None = Field(default=None, description="The shop, brand site or branch.")
    payment_method: str | None = Field(default=None, description="`card`, `invoice` …")


class Gain(Shown):
    """Points that one rule would give."""

    rule: str = Field(description="The rule.", examples=["base"])
    name: models.Name
    currency: str = Field(description="The currency of the points.", examples=["points"])
    points: int = Field(description="How many.", gt=0)
    available: str | None = Field(
        default=None, description="From when they could be spent, or `when delivered`; null: now."
    )
    expires_at: str | None = Field(default=None, description="When they would expire; null: never.")


class Preview(Shown):
    """What would follow from the purchase, if it were made now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PREVIEW]})

    member_id: str | None = Field(description="The member; null for a guest.")
    as_of: models.Moment = Field(description="The instant at which it is judged.")
    program_version: int = Field(description="The version that judges.")
    outcome: str = Field(description="`accepted`, `refused` or `parked`, with the reason.")
    reason: str | None = Field(description="A stable code; null where it is accepted.")
    earned: list[Gain] = Field(description="What it would earn, rule by rule.")
    joining: list[Gain] = Field(description="What a guest would get for joining.")
    rewards: list[str] = Field(
        description="Rewards that it would bring beside points, by their ids.",
        examples=[["five-off"]],
    )
    trace: dict[str, Any] = Field(
        description="Which rules fire with what arithmetic, and why the others do not."
    )
    balances: list[models.Balance] = Field(description="What can be spent on it now.")
    tier: models.Tier | None = Field(description="Tier and progress after the purchase.")
    names: models.Names


@router.post(
    "",
    summary="What a basket would earn",
    response_model=Preview,
    responses=openapi.answers(
        "unknown_member", "no_program", "unacceptable", "invalid_request", example=examples.PREVIEW
    ),
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def show(parts: PartsHere, basket: PreviewRequest, languages: InLanguages) -> Preview:
    """Through the same rules as the purchase itself, for a member or a guest; nothing is changed.

    It shows what could be spent on it, and how far the next tier would then be.
    """
    found = await preview(
        parts.store,
        parts.programs,
        parts.clock,
        basket.member_id or "",
        await _purchase(parts, basket),
    )
    if found is None:
        raise Problem("unknown_member", f"There is no member {basket.member_id}.")
    return _shown(found, languages.of(found.program))


async def _purchase(parts: PartsHere, basket: PreviewRequest) -> Purchased:
    """The purchase as intake would read it, so that what it would refuse is refused here."""
    async with parts.store.session() as session:
        now = await parts.clock.now(session)
    data = basket.model_dump(exclude_none=True)
    event = {
        "specversion": "1.0",
        "id": ORDER,
        "source": SOURCE,
        "type": "commerce.purchase.completed.v1",
        "time": rfc3339(now),
        "data": {"member_id": "guest", **data, "order_id": ORDER},
    }
    try:
        read = read_event(msgspec.json.encode(event), now=now, limits=parts.limits.events)
    except Unacceptable as refusal:
        raise unacceptable(refusal.code, refusal.detail, refusal.member) from refusal
    assert isinstance(read.activity.body, Purchased)
    return read.activity.body


def _shown(found: Previewed, say: Speech) -> Preview:
    decision = found.decision
    trace = msgspec.to_builtins(decision.trace)
    return Preview(
        member_id=found.member or None,
        as_of=rfc3339(found.as_of),
        program_version=decision.version,
        outcome=decision.outcome,
        reason=decision.reason or None,
        earned=_gains(decision, say),
        joining=_gains(found.joining, say) if found.joining else [],
        rewards=[one.reward for one in decision.rewards],
        trace=trace,
        names=shown.names_in(trace, say),
        balances=shown.balances(found.program, found.before),
        tier=shown.tier(found.program, decision.account, found.as_of, say),
    )


def _gains(decision: Decision, say: Speech) -> list[Gain]:
    return [
        Gain.model_validate({**posting, "name": say.name_in(shown.NAMED_APART, rule) or rule})
        for event in decision.events
        if event.type == "loyalty.points.accrued.v1"
        for posting in event.data["postings"]
        for rule in [posting["rule"]]
    ]
