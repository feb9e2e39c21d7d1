"""What happened to a member and why, in sentences of the language that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Path, Query, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.replay import refold
from services.loyalty.application.story import shown
from services.loyalty.application.story.languages import TAGS, Language, language
from services.loyalty.application.story.letters import DeadLetter, tell_letter
from services.loyalty.application.story.telling import Explained, explain
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.program import Program
from services.loyalty.http import examples, openapi
from services.loyalty.http.languages import InLanguages
from services.loyalty.http.members import FIRST_PAGE, MemberId, page_before
from services.loyalty.http.models import Moment, Shown
from services.loyalty.http.parts import Parts, PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

READS = [Security(key_holder, scopes=["members:read"])]
router = APIRouter(dependencies=READS)

_TURN = 200
"""So many activities are decided again before others have their turn."""

Part: TypeAlias = Literal["happened", "outcome", "rules", "moved", "followed", "judged"]


class SentenceShown(Shown):
    """One sentence."""

    part: Part = Field(
        description="What it is about: what came in, what became of it, the rules, the points and "
        "their lots, what else followed, or the version that judged."
    )
    key: str = Field(description="Its key in the catalogue, stable.", examples=["rules.rate"])
    params: dict[str, Any] = Field(
        description="Its values: points are numbers, money is an amount with its currency, instants"
        " are RFC 3339, and what the programme calls things are ids; `none` stands for nothing."
    )
    text: str = Field(description="The sentence, in the language of the answer.")


class ActivityExplained(Shown):
    """One activity of a member, explained."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EXPLAINED]})

    member_id: str = Field(description="The member.")
    seq: int = Field(description="Its place in the member's journal.", ge=1)
    kind: str = Field(description="Kind of the activity.", examples=["purchase"])
    outcome: Literal["accepted", "refused", "parked"] = Field(description="What became of it.")
    reason: str | None = Field(description="A stable code of a refusal or of what is awaited.")
    program_version: int = Field(description="The version that judged.")
    occurred_at: Moment = Field(description="When it occurred.")
    recorded_at: Moment = Field(description="When it became known.")
    effective_at: Moment = Field(description="When it took effect.")
    source: str | None = Field(description="Of the event, where somebody sent one.")
    event_id: str | None = Field(description="Of the event, where somebody sent one.")
    heading: str = Field(description="Its place and time, in the language of the answer.")
    sentences: list[SentenceShown] = Field(description="What there is to say, in order.")


class Story(Shown):
    """The story of a member, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STORY]})

    member_id: str = Field(description="The member.")
    language: str = Field(description="The language of headings and texts.", examples=["zh-Hans"])
    timezone: str = Field(description="By whose clock texts tell the time.")
    items: list[ActivityExplained] = Field(description="Activities, newest first.")
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class Explanation(Shown):
    """One activity, explained."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EXPLANATION]})

    language: str = Field(description="The language of headings and texts.", examples=["zh-Hans"])
    timezone: str = Field(description="By whose clock texts tell the time.")
    activity: ActivityExplained = Field(description="What there is to say of it.")


class SaidOfLetter(Shown):
    """One sentence about a dead letter."""

    key: str = Field(description="Its key in the catalogue, stable.")
    params: dict[str, Any] = Field(description="Its values.")
    text: str = Field(description="The sentence, in the language of the answer.")


class LetterExplained(Shown):
    """A message that was refused for good, explained."""

    place: str = Field(description="Its topic, partition and offset.")
    reason: str = Field(description="A stable code.", examples=["unknown_type"])
    received_at: Moment = Field(description="When it was given up.")
    replayed_at: Moment | None = Field(description="When it was recorded after all.")
    sentences: list[SaidOfLetter] = Field(description="What there is to say, in order.")


class EventExplanation(Shown):
    """What became of an event that somebody sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EVENT_EXPLANATION]})

    language: str = Field(description="The language of headings and texts.", examples=["zh-Hans"])
    timezone: str = Field(description="By whose clock texts tell the time.")
    activity: ActivityExplained | None = Field(
        description="What there is to say of it; null where it was never decided."
    )
    dead_letters: list[LetterExplained] = Field(
        description="Where its bytes lie that were refused for good, as long as they are kept."
    )


@router.get(
    "/v1/members/{member_id}/story",
    tags=["members"],
    summary="The story of a member, newest first",
    responses=openapi.answers(
        "unknown_member", "invalid_cursor", "no_program", "journal_broken", example=examples.STORY
    ),
)
async def story(
    parts: PartsHere,
    member_id: MemberId,
    languages: InLanguages,
    full: Annotated[
        bool, Query(description="With every rule, cut, lot and version.", examples=[True])
    ] = False,
    limit: Annotated[
        int, Query(description="The most items of the page.", ge=1, le=100, examples=[20])
    ] = 20,
    cursor: Annotated[
        str | None, Query(description="The `next` of the page before.", examples=["s12"])
    ] = None,
) -> Story:
    """What happened and what came of it, in sentences: decided again from the member's journal.

    A page costs what replaying the member up to there costs. Pages are stable, as those of
    `/entries` are.
    """
    before = page_before(cursor)
    rows = await parts.store.load_journal(member_id, before - 1)
    if not rows and before == FIRST_PAGE:
        raise Problem("unknown_member", f"There is no member {member_id}.")
    first = max(1, len(rows) - limit + 1)
    newest, spoken = await _newest(parts), _spoken(languages)
    told = await _told(parts, rows, first, brief=not full)
    return Story(
        member_id=member_id,
        language=spoken.tag,
        timezone=newest.zone.key,
        items=[_shown(each, spoken) for each in reversed(told)],
        next=f"s{first}" if first > 1 else None,
    )


@router.get(
    "/v1/members/{member_id}/entries/{seq}/explanation",
    tags=["members"],
    summary="Why an activity of the journal did what it did",
    responses=openapi.answers(
        "unknown_member",
        "unknown_entry",
        "no_program",
        "journal_broken",
        example=examples.EXPLANATION,
    ),
)
async def explanation(
    parts: PartsHere,
    member_id: MemberId,
    languages: InLanguages,
    seq: Annotated[
        int, Path(description="Its place in the journal.", ge=1, le=2**53, examples=[2])
    ],
) -> Explanation:
    """What happened, which rules fired with their arithmetic, which did not and why, what was cut,
    which lots were left and entered, what else followed, and which version judged.
    """
    rows = await parts.store.load_journal(member_id, seq)
    if not rows:
        raise Problem("unknown_member", f"There is no member {member_id}.")
    if rows[-1].seq != seq:
        raise Problem("unknown_entry", f"The journal ends at {rows[-1].seq}.", last=rows[-1].seq)
    newest, spoken = await _newest(parts), _spoken(languages)
    [told] = await _told(parts, rows, seq)
    return Explanation(language=spoken.tag, timezone=newest.zone.key, activity=_shown(told, spoken))


@router.get(
    "/v1/activities/explanation",
    tags=["activities"],
    summary="What became of an event, and why",
    responses=openapi.answers(
        "unknown_activity", "no_program", "journal_broken", example=examples.EVENT_EXPLANATION
    ),
)
async def event_explanation(
    parts: PartsHere,
    languages: InLanguages,
    member_id: Annotated[
        str,
        Query(
            description="Whose it is.",
            max_length=128,
            pattern=r"^[^\x00-\x1f]+$",
            examples=["17850"],
        ),
    ],
    source: Annotated[
        str, Query(description="Its source, as it was sent.", max_length=256, examples=["/shop"])
    ],
    id: Annotated[
        str, Query(description="Its id, as it was sent.", max_length=256, examples=["order-1"])
    ],
) -> EventExplanation:
    """The same for an event by its source and id: also one that earned nothing, was refused or
    waits, and one that is a dead letter.
    """
    seq = await parts.store.find_event(source, id, member_id)
    letters = await parts.store.find_letters(source, id, member_id)
    if not seq and not letters:
        raise Problem("unknown_activity")
    newest, spoken = await _newest(parts), _spoken(languages)
    rows = await parts.store.load_journal(member_id, seq) if seq else []
    told = await _told(parts, rows, seq)
    return EventExplanation(
        language=spoken.tag,
        timezone=newest.zone.key,
        activity=_shown(told[0], spoken) if told else None,
        dead_letters=[_letter(letter, newest, spoken) for letter in letters],
    )


# How ----------------------------------------------------------------------------------------------


async def _newest(parts: Parts) -> Program:
    """The version that holds now, with all published ones at hand."""
    return parts.programs.at(await parts.now())


def _spoken(languages: InLanguages) -> Language:
    return language(languages.best(TAGS, TAGS[0]))


async def _told(
    parts: Parts, rows: Sequence[JournalRow], first: int, *, brief: bool = False
) -> list[Explained]:
    """Explains a member's activities from a seq on; others have their turn in between."""
    versions = {program.version: program for program in parts.programs}
    told: list[Explained] = []
    for refolded in refold(rows, versions):
        if not refolded.row.seq % _TURN:
            await asyncio.sleep(0)
        if refolded.row.seq >= first:
            told.append(explain(refolded, versions, brief=brief))
    return told


def _shown(explained: Explained, spoken: Language) -> ActivityExplained:
    return ActivityExplained.model_validate(shown.as_values(explained, spoken))


def _letter(letter: DeadLetter, program: Program, spoken: Language) -> LetterExplained:
    return LetterExplained(
        place=letter.place,
        reason=letter.reason,
        received_at=rfc3339(letter.received_at),
        replayed_at=rfc3339(letter.replayed_at) if letter.replayed_at else None,
        sentences=[
            SaidOfLetter.model_validate(shown.sentence(message, spoken))
            for message in tell_letter(letter, program.zone)
        ],
    )
