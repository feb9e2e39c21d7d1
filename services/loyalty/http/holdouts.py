"""Holdouts: what a rule brings, by those whom it leaves out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Security
from pydantic import AwareDatetime, ConfigDict, Field

from services.loyalty.domain.calendar import Instant, from_datetime
from services.loyalty.domain.holdout_report import trial_of
from services.loyalty.http import examples, openapi, shown
from services.loyalty.http.languages import InLanguages
from services.loyalty.http.models import Moment, Name, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/program/holdouts", tags=["programme"])


class Group(Shown):
    """What the members of one group did."""

    members: int = Field(description="Members who had enrolled before the end.")
    buyers: int = Field(description="Those of them who bought anything.")
    orders: int = Field(description="All that they bought in the time.")
    reached: int = Field(
        description="Orders for which the rule fired, or would have but for the holdout."
    )
    spend: dict[str, str] = Field(
        description="What was paid for goods and not returned, by currency of money."
    )
    spend_per_member: dict[str, str] = Field(description="The same, for a member in the mean.")
    points: dict[str, int] = Field(
        description="What the rule gave and no refund took back, by currency of points."
    )


class Holdout(Shown):
    """A rule's members beside those whom its holdout leaves out."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.HOLDOUT]})

    program: str = Field(description="The programme's name.")
    rule: str = Field(description="The rule, boost or card.")
    name: Name
    holdout: str = Field(description="The share of members that it leaves out.")
    since: Moment = Field(description="The first instant that is looked at.")
    until: Moment = Field(description="The end, exclusive.")
    treated: Group = Field(description="Members who get it.")
    held_out: Group = Field(description="Members whom it leaves out.")


@router.get(
    "/{rule}",
    summary="What a rule brings",
    responses=openapi.answers("unknown_holdout", example=examples.HOLDOUT),
    dependencies=[Security(key_holder, scopes=["program:read"])],
)
async def compare(
    parts: PartsHere,
    languages: InLanguages,
    rule: Annotated[
        str,
        Path(description="A rule, boost or card.", max_length=40, examples=["spend-and-get"]),
    ],
    since: Annotated[
        AwareDatetime | None,
        Query(
            description="The first instant; the holdout's, if absent.",
            examples=["2011-03-01T00:00:00Z"],
        ),
    ] = None,
    until: Annotated[
        AwareDatetime | None,
        Query(
            description="The end, exclusive; the rule's, or now, if absent.",
            examples=["2011-06-01T00:00:00Z"],
        ),
    ] = None,
) -> Holdout:
    """What members spent who get the rule, beside those whom its holdout leaves out.

    All members are compared, not only those who did what it rewards. It reads every order of the
    time, one by one, so it takes a while for a long one.
    """
    now = await parts.now()
    trial = trial_of(parts.programs, rule, now=now, since=_instant(since), until=_instant(until))
    if trial is None:
        raise Problem("unknown_holdout", f"No version has a holdout for {rule!r}.")
    say = languages.of(*parts.programs.back_from(now))
    told = (await parts.store.compare_holdout(trial)).told()
    return Holdout(**told, name=say.name_in(shown.NAMED_APART, rule) or rule)


def _instant(moment: datetime | None) -> Instant:
    return from_datetime(moment) if moment is not None else 0
