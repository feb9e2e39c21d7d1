"""Checking and publishing a version of the programme.

A published version never changes, follows the newest one, and holds from an instant that is far
enough ahead for every process to know of it by then.
"""

from __future__ import annotations

import asyncio
import hashlib

from services.loyalty.application.clock import Clock
from services.loyalty.application.online import OnlineSession, PublishedVersion
from services.loyalty.domain.calendar import SECOND, Instant
from services.loyalty.domain.document import (
    check_successor,
    compile_program,
    parse_program,
    read_document,
)
from services.loyalty.domain.mistakes import Mistake
from services.loyalty.domain.program import Program
from services.loyalty.domain.rejudging import rejudges
from services.loyalty.domain.warnings import closed_by, warnings_of

AHEAD = 60 * SECOND
"""The least time between a publication and the instant from which its version holds."""


class HoldsTooSoon(Exception):
    """The version would hold before ``earliest``: too soon, or not after the newest one."""

    def __init__(self, holds_from: Instant, earliest: Instant) -> None:
        super().__init__("the version would hold too soon")
        self.holds_from = holds_from
        self.earliest = earliest


class VersionExists(Exception):
    """Another version was published between reading the newest and adding this one."""


async def check(session: OnlineSession, text: str) -> Program:
    """The programme that a document would be as the next version. Nothing is published.

    Raises:
        ProgramMistakes: all that is wrong with it, at once.
    """
    newest = await session.load_newest()
    program, _ = await asyncio.to_thread(_read, text, newest)
    return program


async def publish(session: OnlineSession, clock: Clock, text: str, *, by: str) -> PublishedVersion:
    """Publishes a document as the next version; ``by`` says who answers for it.

    Raises:
        ProgramMistakes: all that is wrong with it, at once.
        HoldsTooSoon: it must hold from a later instant.
        VersionExists: another version came first.
    """
    newest = await session.load_newest()
    program, before = await asyncio.to_thread(_read, text, newest)
    now = await _ahead(session, clock, program, newest)
    adds = before is not None and adds_moments(before, program)
    if adds:  # early is allowed, late is not: so nearly all of it is done when the version is there
        await session.lower_due(program.holds_from)
        now = await _ahead(session, clock, program, newest)
    made = PublishedVersion(
        program.version, program.holds_from, now, by, program.digest, document=text
    )
    if not await session.insert_version(made):
        raise VersionExists
    if adds:  # whoever was visited meanwhile, under the versions before
        await session.lower_due(program.holds_from)
    return made


async def warnings(session: OnlineSession, text: str) -> list[Mistake]:
    """What a document says that may not be meant, seen against what was taken before.

    Raises:
        ProgramMistakes: all that is wrong with it, at once.
    """
    found = await asyncio.to_thread(warnings_of, text)
    keys = (await asyncio.to_thread(parse_program, text, 1)).counters
    if keys:
        used = await session.load_counters(keys)
        found += await asyncio.to_thread(closed_by, text, used)
    return found


async def _ahead(
    session: OnlineSession, clock: Clock, program: Program, newest: PublishedVersion | None
) -> Instant:
    """Now, where the version still holds far enough ahead of it.

    Raises:
        HoldsTooSoon: it does not.
    """
    now = await clock.now(session)
    earliest = max(now + AHEAD, newest.holds_from + 1 if newest else 0)
    if program.holds_from < earliest:
        raise HoldsTooSoon(program.holds_from, earliest)
    return now


def _read(text: str, newest: PublishedVersion | None) -> tuple[Program, Program | None]:
    document = read_document(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if newest is None:
        return compile_program(document, version=1, digest=digest), None
    old = read_document(newest.document)
    check_successor(old, document)
    program = compile_program(document, version=newest.version + 1, digest=digest)
    return program, compile_program(old, version=newest.version)


def adds_moments(old: Program, new: Program) -> bool:
    """Whether accounts may have due moments under the new version that they had not under the old.

    Ends of lots and tier periods are stamped and do not change; gifts, notices and warnings come
    from the version that holds.
    """
    return (
        old.gifts != new.gifts
        or old.tiers != new.tiers
        or rejudges(old, new)
        or old.zone.key != new.zone.key
        or any(_notices(old, name) != _notices(new, name) for name in new.currencies)
    )


def _notices(program: Program, currency: str) -> tuple[tuple[int, ...], bool]:
    """When notices are given, and whether points expire by inactivity, which no lot says."""
    terms = program.currencies.get(currency)
    if terms is None or terms.expiry is None:
        return (), False
    return terms.expiry.notices, bool(terms.expiry.moved_by)
