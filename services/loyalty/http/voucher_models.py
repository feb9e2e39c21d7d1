"""What the HTTP face takes in and gives out about vouchers, gifts, benefits and cancellations."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import ConfigDict, Field

from services.loyalty.http import examples
from services.loyalty.http.models import (
    MAX_POINTS,
    Actor,
    Description,
    Moment,
    Name,
    NameOrNull,
    Reason,
    Settled,
    Shown,
)

State: TypeAlias = Literal["open", "used", "expired", "voided"]


class Worth(Shown):
    """An amount of money."""

    amount: str = Field(description="A decimal string.", examples=["5.00"])
    currency: str = Field(description="Its ISO 4217 code.", examples=["GBP"])


class VoucherEnded(Shown):
    """A voucher, without its code."""

    voucher: str = Field(description="Its id among the member's vouchers.", examples=["v13-0"])
    member_id: str = Field(description="Whose it is.")
    state: State = Field(description="Only `open` can be used.")
    reward: str = Field(description="The reward that it stands for.")
    how: str = Field(description="What gave it: `redemption`, `gift` …")
    by: str = Field(description="The redemption's id, the gift …")
    points: int = Field(description="Points paid for it; 0 for a gift.", ge=0)
    currency: str | None = Field(description="Their currency; null for a gift.")
    worth: Worth | None = Field(description="What it is worth; null where the shop alone knows.")
    percent: str | None = Field(description="What it takes off, in percent.", examples=["12.5"])
    item: str | None = Field(description="What it is exchanged for.")
    terms: dict[str, str] = Field(description="What the shop is to heed, as the programme says.")
    issued_at: Moment = Field(description="When it was issued.")
    expires_at: Moment = Field(description="Exclusive end of its life.")
    ended_at: Moment | None = Field(description="When it was used, expired or voided.")
    order_id: str | None = Field(description="The order on which it was used.")
    reason: str | None = Field(description="Why it was voided.")


class VoucherShown(VoucherEnded):
    """A voucher with its code."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.VOUCHER]})

    name: Name
    description: Description
    reason_name: NameOrNull
    code: str = Field(description="Whoever has it can use the voucher: keep it as you keep a key.")


class Vouchers(Shown):
    """A member's vouchers, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.VOUCHERS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which the states hold.")
    vouchers: list[VoucherShown] = Field(description="The latest two hundred.")


class UseRequest(Shown):
    """The shop honours a voucher."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.USE_REQUEST]})

    order_id: str | None = Field(
        default=None,
        description="The order on which it is used.",
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f]+$",
    )


class VoidRequest(Shown):
    """A voucher is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.VOID_REQUEST]})

    reason: Reason
    actor: Actor


class VoucherChanged(Settled):
    """A voucher that is no longer open."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.USED]})

    voucher: VoucherEnded = Field(description="The voucher as it is now.")


class CancellationRequest(Shown):
    """A redemption is undone, whole or in part."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CANCELLATION_REQUEST]})

    points: int | None = Field(
        default=None,
        description="How many go back; all that are left where it is left out. What came with a "
        "voucher goes back whole.",
        gt=0,
        le=MAX_POINTS,
        strict=True,
    )
    reason: Reason
    actor: Actor | None = Field(default=None, description="Who decided it, where that is known.")


class Returned(Shown):
    """Points that went back to a lot."""

    points: int = Field(description="How many.", gt=0)
    expires_at: Moment | None = Field(description="When they expire; null for never.")
    lot_had_expired: bool = Field(
        description="Whether their lot had expired, so that the programme says when these do."
    )


class Cancellation(Settled):
    """A redemption that was undone."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CANCELLATION]})

    redemption: str = Field(description="The redemption.")
    reward: str = Field(description="Its reward.")
    currency: str = Field(description="The currency of the points.")
    points: int = Field(description="How many went back: what was owed is paid of them.", gt=0)
    left: int = Field(description="Points of it that are still spent.", ge=0)
    returned: list[Returned] = Field(description="Where they went.")
    voucher: str | None = Field(description="The voucher that was voided.")


class Choice(Shown):
    """A reward that a gift offers."""

    reward: str = Field(description="Its id.", examples=["birthday-treat"])
    name: Name
    description: Description


class OfferShown(Shown):
    """A gift that waits for a choice."""

    offer: str = Field(description="Its id.", examples=["g9-birthday"])
    gift: str = Field(description="The gift of the programme.")
    name: Name
    description: Description
    choose: list[str] = Field(description="Rewards of which one can be had.")
    choices: list[Choice] = Field(description="The same, with what people call them.")
    claim_by: Moment = Field(description="Before when.")


class Offers(Shown):
    """Gifts that wait for a choice of the member."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.OFFERS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which they hold.")
    offers: list[OfferShown] = Field(description="Those that can be claimed.")


class GiftClaimRequest(Shown):
    """A member chooses."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.GIFT_CLAIM_REQUEST]})

    reward: str = Field(description="The reward chosen.", min_length=1, max_length=128)


class GiftTaken(Settled):
    """A gift that was claimed."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLAIMED]})

    offer: str = Field(description="The offer, which is closed now.")
    reward: str = Field(description="The reward issued.")
    voucher: str | None = Field(description="Id of its voucher, if it has one.")


class Entitled(Shown):
    """A benefit of the tier that is held."""

    name: str = Field(description="The benefit's id.", examples=["free-upgrade"])
    label: Name
    description: Description
    terms: str = Field(description="How much of it: `unlimited`, `2 per year`.")
    used: int = Field(description="Uses in the period; not counted for `unlimited`.", ge=0)
    left: int | None = Field(description="Uses left in the period; null for `unlimited`.", ge=0)
    period: str | None = Field(description="The period that counts now: `2011`, `2011-03` …")


class Benefits(Shown):
    """What the tier entitles the member to."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BENEFITS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which they hold.")
    level: str | None = Field(description="The level held; null without tiers.")
    level_name: NameOrNull
    benefits: list[Entitled] = Field(description="Its benefits.")


class BenefitRequest(Shown):
    """A member makes use of a benefit."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BENEFIT_REQUEST]})

    about: str | None = Field(
        default=None,
        description="What it was used for, as the shop calls it; never personal data.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$",
    )


class BenefitTaken(Settled):
    """A use of a benefit that was recorded."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BENEFIT_USED]})

    benefit: str = Field(description="The benefit.")
    terms: str = Field(description="How much of it there is.")
    left: int | None = Field(description="Uses left in the period; null for `unlimited`.")
