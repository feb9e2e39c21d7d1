"""Who would rise and fall if a draft began to hold, before it is published."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.dry_run import Moved, counts, draft_after, moved, rises
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.http import examples, openapi
from services.loyalty.http.languages import InLanguages
from services.loyalty.http.media import JSON, YAML_TYPES, read_text
from services.loyalty.http.models import Moment, NameOrNull, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.program import DOCUMENT
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/program", tags=["programme"])


class LevelChange(Shown):
    """How many members of a page would go from one level to another."""

    level: str | None = Field(description="The level held now; null for none.")
    name: NameOrNull
    new_level: str = Field(description="The level held then.", examples=["gold"])
    new_name: NameOrNull
    rises: bool = Field(description="Whether it is the higher one.")
    members: int = Field(description="How many.", ge=1)


class MovedMember(Shown):
    """A member whose level would change."""

    member_id: str = Field(description="The member.", examples=["17850"])
    level: str | None = Field(description="The level held now; null for none.")
    new_level: str = Field(description="The level held then.")


class Rejudged(Shown):
    """What a draft would do to the levels of some members."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REJUDGED]})

    holds_from: Moment = Field(description="The instant that is looked at.")
    plan: str | None = Field(description="What the draft says in `on_change`; null without tiers.")
    members: int = Field(description="Members of the page, whether their level changes or not.")
    changes: list[LevelChange] = Field(description="How many of them go where.")
    who: list[MovedMember] = Field(description="Those of them whose level changes, by their ids.")
    next: str | None = Field(description="The `after` of the next page; null on the last.")


@router.post(
    "/rejudge",
    summary="Who would rise and fall under a draft",
    responses=openapi.answers(
        "program_mistakes", "no_program", "unsupported_media_type", example=examples.REJUDGED
    ),
    openapi_extra=DOCUMENT,
    dependencies=[Security(key_holder, scopes=["members:read"])],
)
async def rejudge(
    parts: PartsHere,
    request: Request,
    languages: InLanguages,
    plan: Annotated[
        Literal["keep_until_review", "rise_at_once", "judge_at_once"] | None,
        Query(
            description="In the place of what the draft says in `on_change`.",
            examples=["judge_at_once"],
        ),
    ] = None,
    limit: Annotated[
        int, Query(description="The most members of the page.", ge=1, le=2_000, examples=[500])
    ] = 500,
    after: Annotated[
        str, Query(description="The `next` of the page before.", max_length=128, examples=["17850"])
    ] = "",
) -> Rejudged:
    """Decides for one member after the other, page by page, what the draft would do at the instant
    from which it holds, and changes nothing.
    """
    text = await read_text(request, JSON, *YAML_TYPES)
    async with parts.store.snapshot() as session:
        now = await parts.clock.now(session)
        programs = await draft_after(session, text, now, plan=plan or "")
        members = await session.load_members(after, limit)
        found = await moved(session, programs, await session.load_accounts(members))
    *_, draft = programs
    say = languages.of(*programs.back_from(draft.holds_from))
    return Rejudged(
        holds_from=rfc3339(draft.holds_from),
        plan=draft.tiers.on_change if draft.tiers else None,
        members=len(members),
        changes=[
            LevelChange(
                level=one.level or None,
                name=say.name_if("levels", one.level),
                new_level=one.new_level,
                new_name=say.name_if("levels", one.new_level),
                rises=rises(draft, one),
                members=times,
            )
            for level, new, times in counts(found)
            for one in [Moved("", level, new)]
        ],
        who=[
            MovedMember(member_id=one.member, level=one.level or None, new_level=one.new_level)
            for one in found
        ],
        next=members[-1] if len(members) == limit else None,
    )
