"""Holdouts: what a rule brings, by those whom it leaves out."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from fastapi import APIRouter, Path, Query, Security
from pydantic import AwareDatetime, ConfigDict, Field

from services.loyalty.domain import holdout_report as domain
from services.loyalty.domain.calendar import Instant, from_datetime
from services.loyalty.domain.holdout_report import trial_of
from services.loyalty.domain.money import UnknownCurrency, exponent_of
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
    next: str | None = Field(
        description="The `cursor` of the next page, which counts on from here; null once all "
        "members are compared."
    )


@router.get(
    "/{rule}",
    summary="What a rule brings",
    responses=openapi.answers("unknown_holdout", "invalid_cursor", example=examples.HOLDOUT),
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
    limit: Annotated[
        int, Query(description="The most members of the page.", ge=1, le=20_000, examples=[5_000])
    ] = 5_000,
    cursor: Annotated[
        str | None,
        Query(description="The `next` of the page before.", max_length=4_000, examples=["h…"]),
    ] = None,
) -> Holdout:
    """What members spent who get the rule, beside those whom its holdout leaves out.

    All members are compared, not only those who did what it rewards, page by page: every order of
    theirs in the time is read. The figures of a page are those of all pages up to it, so those of
    the last are the answer.
    """
    now = await parts.now()
    read = _read(cursor, rule) if cursor is not None else _Page(rule)
    trial = trial_of(
        parts.programs,
        rule,
        now=now,
        since=read.since or _instant(since),
        until=read.until or _instant(until),
    )
    if trial is None:
        raise Problem("unknown_holdout", f"No version has a holdout for {rule!r}.")
    made = domain.Comparison(trial, _counted(read.treated), _counted(read.held_out))
    after = await parts.store.compare_holdout(made, read.after, limit)
    say = languages.of(*parts.programs.back_from(now))
    return Holdout(
        **made.told(),
        name=say.name_in(shown.NAMED_APART, rule) or rule,
        next=_cursor(made, after) if after else None,
    )


def _instant(moment: datetime | None) -> Instant:
    return from_datetime(moment) if moment is not None else 0


# Pages: a cursor holds what was counted so far --------------------------------------------------


_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class _Counted(msgspec.Struct, array_like=True, frozen=True):
    members: _Count = 0
    buyers: _Count = 0
    orders: _Count = 0
    reached: _Count = 0
    spend: dict[str, _Count] = {}
    points: dict[str, _Count] = {}


class _Page(msgspec.Struct, array_like=True, frozen=True):
    """Where a page begins: after which member, in which time, and what was counted before."""

    rule: str
    after: str = ""
    since: _Count = 0
    until: _Count = 0
    treated: _Counted = _Counted()
    held_out: _Counted = _Counted()


def _cursor(made: domain.Comparison, after: str) -> str:
    trial, groups = made.trial, (made.treated, made.held_out)
    figures = (
        _Counted(
            group.members,
            group.buyers,
            group.orders,
            group.reached,
            dict(group.spend),
            dict(group.points),
        )
        for group in groups
    )
    page = _Page(trial.rule, after, trial.since, trial.until, *figures)
    return "h" + urlsafe_b64encode(msgspec.json.encode(page)).decode()


def _read(cursor: str, rule: str) -> _Page:
    try:
        page = msgspec.json.decode(urlsafe_b64decode(cursor.removeprefix("h")), type=_Page)
        for money in (*page.treated.spend, *page.held_out.spend):
            exponent_of(money)
    except (ValueError, UnknownCurrency):
        raise Problem("invalid_cursor") from None
    if page.rule != rule:
        raise Problem("invalid_cursor")
    return page


def _counted(figures: _Counted) -> domain.Group:
    return domain.Group(
        figures.members,
        figures.buyers,
        figures.orders,
        figures.reached,
        Counter(figures.spend),
        Counter(figures.points),
    )
