"""The catalogue and the campaigns' budgets as operations see them: with what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.programs import NoProgram
from services.loyalty.application.queries import stock_left
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.program import Program, Reward, Rule
from services.loyalty.http import examples, openapi, shown
from services.loyalty.http.languages import InLanguages, Speech
from services.loyalty.http.models import Description, Moment, Name, Shown
from services.loyalty.http.parts import Parts, PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(
    prefix="/v1",
    tags=["programme"],
    dependencies=[Security(key_holder, scopes=["program:read"])],
)


class Stocked(Shown):
    """A reward of the catalogue, or one that is only ever a gift."""

    reward: str = Field(description="The reward's id.")
    name: Name
    description: Description
    cost: int | None = Field(description="What it costs; null for what is only ever a gift.")
    currency: str | None = Field(description="The currency of the cost.")
    gift_only: bool = Field(description="Whether it is only ever a gift.")
    tiers: list[str] = Field(description="The levels that may redeem it; empty for all.")
    segments: list[str] = Field(description="The segments that may redeem it; empty for all.")
    limit: str | None = Field(description="How often a member may redeem it; null for no limit.")
    valid_from: Moment | None = Field(description="From when it can be redeemed.")
    valid_until: Moment | None = Field(description="Until when, exclusive.")
    stock: int | None = Field(description="How many there are in all; null for no end of them.")
    left: int | None = Field(description="How many of them are left.")


class Catalogue(Shown):
    """All rewards of the version that holds now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CATALOGUE]})

    as_of: Moment = Field(description="The instant for which it holds.")
    program_version: int = Field(description="The version that holds then.")
    rewards: list[Stocked] = Field(description="In the order of the programme.")


class Budgeted(Shown):
    """The budget of a campaign."""

    rule: str = Field(description="The earning rule.")
    name: Name
    description: Description
    currency: str = Field(description="The currency of the budget.")
    points: int = Field(description="The whole budget.")
    left: int = Field(description="What is left of it.")
    short: Literal["partial", "nothing"] = Field(
        description="What a member gets where less is left than the rule gives."
    )
    valid_from: Moment | None = Field(description="From when the campaign runs.")
    valid_until: Moment | None = Field(description="Until when, exclusive.")


class Budgets(Shown):
    """All budgets of the version that holds now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BUDGETS]})

    as_of: Moment = Field(description="The instant for which they hold.")
    program_version: int = Field(description="The version that holds then.")
    budgets: list[Budgeted] = Field(description="In the order of the programme.")


@router.get(
    "/rewards",
    summary="The catalogue with what is left of its stock",
    responses=openapi.answers("unknown_program", example=examples.CATALOGUE),
)
async def rewards(parts: PartsHere, languages: InLanguages) -> Catalogue:
    """Every reward of the version that holds now, those that are only ever gifts too."""
    program, as_of, left = await _left(parts)
    say = languages.of(program)
    return Catalogue(
        as_of=rfc3339(as_of),
        program_version=program.version,
        rewards=[_stocked(reward, left, say) for reward in program.rewards.values()],
    )


@router.get(
    "/budgets",
    summary="The budgets of campaigns with what is left",
    responses=openapi.answers("unknown_program", example=examples.BUDGETS),
)
async def budgets(parts: PartsHere, languages: InLanguages) -> Budgets:
    """Of every earning rule that has one, in the version that holds now."""
    program, as_of, left = await _left(parts)
    say = languages.of(program)
    return Budgets(
        as_of=rfc3339(as_of),
        program_version=program.version,
        budgets=[_budgeted(rule, left, say) for rule in program.budgeted.values()],
    )


async def _left(parts: Parts) -> tuple[Program, Instant, Mapping[str, int]]:
    """The version that holds now, now, and what is left of its shared counters."""
    async with parts.store.session() as session:
        await parts.programs.refresh(session)
        now = await parts.clock.now(session)
        try:
            return parts.programs.at(now), now, await stock_left(session, parts.programs, now)
        except NoProgram as error:
            raise Problem("unknown_program") from error


def _stocked(reward: Reward, left: Mapping[str, int], say: Speech) -> Stocked:
    limit = reward.limit
    return Stocked(
        reward=reward.id,
        name=say.name("rewards", reward.id),
        description=say.description("rewards", reward.id),
        cost=None if reward.gift_only else reward.cost,
        currency=reward.currency or None,
        gift_only=reward.gift_only,
        tiers=sorted(reward.tier),
        segments=sorted(reward.segment),
        limit=f"{limit.times} per {limit.period}" if limit else None,
        valid_from=shown.moment(reward.valid_from),
        valid_until=shown.moment(reward.valid_until),
        stock=reward.stock,
        left=left.get(reward.stock_key),
    )


def _budgeted(rule: Rule, left: Mapping[str, int], say: Speech) -> Budgeted:
    assert rule.budget is not None
    return Budgeted(
        rule=rule.id,
        name=say.name("earn", rule.id),
        description=say.description("earn", rule.id),
        currency=rule.budget.currency,
        points=rule.budget.points,
        left=left[rule.budget_key],
        short="partial" if rule.budget.partial else "nothing",
        valid_from=shown.moment(rule.valid_from),
        valid_until=shown.moment(rule.valid_until),
    )
