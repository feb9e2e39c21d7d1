"""Who would rise and fall if a draft began to hold: decided as then, with nothing recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from services.loyalty.application.batch import Batch
from services.loyalty.application.facts import read_facts
from services.loyalty.application.programs import NoProgram, Programs
from services.loyalty.application.store import Decided, Loaded, Session
from services.loyalty.domain.activity import Tick
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.document import check_successor, compile_program, read_document
from services.loyalty.domain.program import Program
from services.loyalty.domain.rejudging import name_of


class Moved(NamedTuple):
    """A member whose level would change, and the levels before and after."""

    member: str
    level: str
    new_level: str


async def draft_after(session: Session, text: str, now: Instant, *, plan: str = "") -> Programs:
    """The published versions, followed by a draft; it holds from when it says, if that is ahead of
    now and of them. ``plan`` takes the place of what it says for members.

    Raises:
        ProgramMistakes: all that is wrong with it, at once.
        NoProgram: nothing is published that it could change.
    """
    published = await session.load_programs(0)
    if not published:
        raise NoProgram
    number, newest_from, newest = published[-1]
    document = read_document(text)
    check_successor(read_document(newest), document)
    draft = compile_program(document, version=number + 1)
    if plan and draft.tiers is not None:
        draft = replace(draft, tiers=replace(draft.tiers, on_change=plan))
    programs = Programs()
    await programs.refresh(session)
    programs.add(replace(draft, holds_from=max(draft.holds_from, now, newest_from + 1)))
    return programs


async def moved(
    session: Session, programs: Programs, accounts: Mapping[str, Loaded]
) -> list[Moved]:
    """Members among these whose level the newest version changes at the instant from which it
    holds, in the order of their ids.
    """
    *_, draft = programs
    if not draft.rejudges:
        return []
    at = draft.holds_from
    due = {member: _due(loaded, at) for member, loaded in accounts.items()}
    reads = await read_facts(session, programs, at, due)
    batch = Batch(programs, at, due, reads)
    found = []
    for member in sorted(due):
        batch.catch_up(member, at)
        if write := batch.leave(member):
            found += _changes(member, due[member], write.decided, name_of(draft))
    return found


def _due(one: Loaded, at: Instant) -> Loaded:
    return Loaded(
        one.member,
        one.version,
        one.account,
        one.head,
        at,
        one.hmac_key,
        one.born_on,
        one.born_set_at,
    )


def rises(draft: Program, one: Moved) -> bool:
    """Whether a member's new level is above the one before."""
    assert draft.tiers is not None
    names = [level.name for level in draft.tiers.levels]
    before = names.index(one.level) if one.level in names else -1
    return names.index(one.new_level) > before


def counts(found: Iterable[Moved]) -> list[tuple[str, str, int]]:
    """How many go from which level to which."""
    counted = Counter((one.level, one.new_level) for one in found)
    return [(level, new, times) for (level, new), times in sorted(counted.items())]


def _changes(member: str, loaded: Loaded, decided: list[Decided], name: str) -> list[Moved]:
    level = loaded.account.standing.level
    for each in decided:
        body, new = each.decision.activity.body, each.decision.account.standing.level
        if isinstance(body, Tick) and body.name == name and body.moment == "tier_review":
            return [Moved(member, level, new)] if new != level else []
        level = new
    return []
