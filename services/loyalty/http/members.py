"""Reads about one member. Everything is shown as of now, and reading changes nothing."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Path, Query, Security

from services.loyalty.application.queries import Seen, see
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.http import examples, models, openapi, shown
from services.loyalty.http.languages import InLanguages
from services.loyalty.http.parts import Parts, PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(
    prefix="/v1/members/{member_id}",
    tags=["members"],
    dependencies=[Security(key_holder, scopes=["members:read"])],
)

MemberId: TypeAlias = Annotated[
    str,
    Path(
        description="The member's opaque id.",
        max_length=128,
        pattern=r"^[^\x00-\x1f]+$",
        examples=["17850"],
    ),
]


def id_of(what: str, example: str) -> Any:
    """The path parameter that is the id of something made by a request."""
    return Path(
        description=f"The {what}'s id.",
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        examples=[example],
    )


FIRST_PAGE = 2**62  # above every seq
ISSUED_SHOWN = 100
_CURSOR = re.compile(r"s([1-9][0-9]{0,17})", re.ASCII)


async def seen(parts: Parts, member_id: str, *, stock: bool = False) -> Seen:
    """The member as of now. Raises Problem ``unknown_member`` or ``unknown_program``."""
    found = await see(parts.store, parts.programs, parts.clock, member_id, stock=stock)
    if found is None:
        raise Problem("unknown_member", f"There is no member {member_id}.")
    return found


@router.get(
    "",
    summary="A member at a glance",
    responses=openapi.answers("unknown_member", "no_program", example=examples.MEMBER),
)
async def glance(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> models.Member:
    """Balances, and the tier with progress to the next one and what keeps it, as of now."""
    found = await seen(parts, member_id)
    return shown.member(found, languages.of(found.program))


@router.get(
    "/balances",
    summary="Balances",
    responses=openapi.answers("unknown_member", "no_program", example=examples.BALANCES),
)
async def balances(parts: PartsHere, member_id: MemberId) -> models.Balances:
    """What can be spent, what is pending, held and owed, in each currency that can be spent."""
    found = await seen(parts, member_id)
    return models.Balances(
        member_id=found.member,
        as_of=rfc3339(found.as_of),
        notice=shown.notice(found),
        balances=shown.balances(found.program, found.account),
    )


@router.get(
    "/tier",
    summary="Tier and progress",
    responses=openapi.answers("unknown_member", "no_program", "no_tier", example=examples.TIER),
)
async def tier(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> models.Tier:
    """The level held, until when, what would lift it, what keeps it, and what it brings."""
    found = await seen(parts, member_id)
    say = languages.of(found.program)
    held = shown.tier(found.program, found.account, found.as_of, say)
    if held is None:
        raise Problem("no_tier")
    return held


@router.get(
    "/lots",
    summary="Open lots",
    responses=openapi.answers("unknown_member", "no_program", example=examples.LOTS),
)
async def lots(parts: PartsHere, member_id: MemberId) -> models.Lots:
    """Which points expire when, and when pending ones can be spent."""
    return shown.lots(await seen(parts, member_id))


@router.get(
    "/rewards",
    summary="Rewards to redeem, and rewards got",
    responses=openapi.answers("unknown_member", "no_program", example=examples.REWARDS),
)
async def rewards(parts: PartsHere, member_id: MemberId, languages: InLanguages) -> models.Rewards:
    """The catalogue: what the member can have now, and of the rest every reason why not."""
    found = await seen(parts, member_id, stock=True)
    issued = [
        one for each in found.ids for one in await parts.store.load_issued(each, ISSUED_SHOWN)
    ]
    issued.sort(key=lambda one: -one.issued_at)
    return shown.rewards(found, issued, languages.of(*parts.programs.back_from(found.as_of)))


@router.get(
    "/entries",
    summary="The journal, newest first",
    responses=openapi.answers("unknown_member", "invalid_cursor", example=examples.ENTRIES),
)
async def entries(
    parts: PartsHere,
    member_id: MemberId,
    languages: InLanguages,
    limit: Annotated[
        int, Query(description="The most items of the page.", ge=1, le=200, examples=[50])
    ] = 50,
    cursor: Annotated[
        str | None, Query(description="The `next` of the page before.", examples=["s12"])
    ] = None,
) -> models.Entries:
    """What happened, which points moved, and why: with the trace of every decision.

    Pages are stable: what is recorded meanwhile comes before the first page and shifts nothing.
    """
    before = page_before(cursor)
    page = await parts.store.load_page(member_id, before, limit + 1)
    if not page and before == FIRST_PAGE:
        raise Problem("unknown_member", f"There is no member {member_id}.")
    say = languages.of(*parts.programs.back_from(await parts.now()))
    more = len(page) > limit
    page = page[:limit]
    return models.Entries(
        member_id=member_id,
        items=[shown.journal_item(item, say) for item in page],
        next=f"s{page[-1].seq}" if more else None,
    )


def page_before(cursor: str | None) -> int:
    """The seq before which a page of the journal ends. Raises Problem ``invalid_cursor``."""
    if cursor is None:
        return FIRST_PAGE
    read = _CURSOR.fullmatch(cursor)
    if read is None:
        raise Problem("invalid_cursor")
    return int(read[1])
