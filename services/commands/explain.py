"""`loyalty explain`: what happened to a member and why, in sentences."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from services.commands.instants import read_instant
from services.commands.opened import opened
from services.failures import Refusal
from services.loyalty.application.replay import Refolded, Unfoldable, refold
from services.loyalty.application.story.languages import TAGS, Language, best_of, language
from services.loyalty.application.story.letters import DeadLetter, tell_letter
from services.loyalty.application.story.shown import as_lines, as_values, sentence
from services.loyalty.application.story.telling import (
    Explained,
    concerns,
    explain,
    nothing,
    tell,
    title,
)
from services.loyalty.db.connect import NO_HURRY
from services.loyalty.db.stories import (
    LAST,
    find_event,
    find_event_of_anybody,
    find_letters,
    load_journal,
)
from services.loyalty.domain.calendar import NEVER, Instant, midnight
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.languages import lookup
from services.loyalty.domain.program import Program
from services.settings import Settings, SettingsRefused


@dataclass(frozen=True)
class _Book:
    """The journals, the versions by number, and the language to tell them in."""

    connection: asyncpg.Connection
    programs: dict[int, Program]
    newest: Program
    language: Language

    @property
    def zone(self) -> ZoneInfo:
        """By whose clock stories are told."""
        return self.newest.zone

    async def journal(self, member: str, until: int = LAST) -> list[JournalRow]:
        """Raises Refusal where nothing ever happened to the member."""
        rows = await load_journal(self.connection, member, until)
        if not rows:
            raise Refusal(f"nothing ever happened to a member {member}")
        return rows


async def member(settings: Settings, options: Namespace) -> None:
    """Prints a member's story: briefly, unless all of it is asked for."""
    async with _reading(settings, options) as book:
        since = _since(options.since, book.zone)
        rows = await book.journal(options.member)
        told = _told(
            options.member,
            rows,
            book,
            wanted=lambda each: each.row.effective_at >= since,
            brief=not options.full,
        )
    if told or options.json:
        _print(options, book, told)
    else:
        print(book.language.text(nothing(options.member)))


async def order(settings: Settings, options: Namespace) -> None:
    """Prints everything that concerns one order."""
    async with _reading(settings, options) as book:
        rows = await book.journal(options.member)
        told = _told(options.member, rows, book, wanted=concerns(options.order))
    if not told:
        raise Refusal(f"nothing of member {options.member} concerns an order {options.order}")
    _print(options, book, told)


async def entry(settings: Settings, options: Namespace) -> None:
    """Prints the explanation of one journal row, or of one of its ledger entries."""
    async with _reading(settings, options) as book:
        told = await _row(book, options.member, options.seq, options.n)
    _print(options, book, [told])


async def activity(settings: Settings, options: Namespace) -> None:
    """Prints what became of an event that somebody sent."""
    async with _reading(settings, options) as book:
        found = await _found(book, options)
        told = [await _row(book, name, seq) for name, seq in found]
        letters = await find_letters(book.connection, options.source, options.id, options.member)
    if not found and not letters:
        whose = f" of member {options.member}" if options.member else ""
        raise Refusal(
            f"no activity{whose} and no dead letter that is kept has the source"
            f" {options.source} and the id {options.id}"
        )
    _print(options, book, told, letters)


async def _found(book: _Book, options: Namespace) -> list[tuple[str, int]]:
    if not options.member:
        return await find_event_of_anybody(book.connection, options.source, options.id)
    seq = await find_event(book.connection, options.source, options.id, options.member)
    return [(options.member, seq)] if seq else []


# How ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _reading(settings: Settings, options: Namespace) -> AsyncIterator[_Book]:
    wanted = options.language
    tag = best_of([wanted])
    if tag != lookup([wanted], TAGS):
        raise SettingsRefused(f"--language {wanted}: stories are told in {' and '.join(TAGS)}")
    async with opened(settings, purpose="explain", limits=NO_HURRY) as (session, programs):
        connection = session.connection
        newest = programs.at(NEVER)
        versions = {program.version: program for program in programs}
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield _Book(connection, versions, newest, language(tag))


def _since(text: str | None, zone: ZoneInfo) -> Instant:
    """The start of a day of the programme, or an instant; 0 for none."""
    if not text:
        return 0
    try:
        return midnight(date.fromisoformat(text), zone)
    except ValueError:
        return read_instant(text)


def _told(
    name: str,
    rows: Iterable[JournalRow],
    book: _Book,
    *,
    wanted: Callable[[Refolded], bool],
    brief: bool = False,
) -> list[Explained]:
    try:
        return list(tell(rows, book.programs, wanted=wanted, brief=brief))
    except Unfoldable as error:
        raise _unfoldable(name, error) from error


def _unfoldable(name: str, error: Unfoldable) -> Refusal:
    return Refusal(
        f"member {name}, seq {error.seq} cannot be decided again ({error}):"
        " loyalty verify and loyalty replay say more"
    )


async def _row(book: _Book, name: str, seq: int, n: int | None = None) -> Explained:
    rows = await book.journal(name, seq)
    if rows[-1].seq != seq:
        raise Refusal(f"the journal of member {name} ends at {rows[-1].seq}: there is no {seq}")
    try:
        *_, last = refold(rows, book.programs)
    except Unfoldable as error:
        raise _unfoldable(name, error) from error
    entries = len(last.decision.entries)
    if n is not None and not 0 <= n < entries:
        there = f"entries 0 to {entries - 1}" if entries else "no ledger entry"
        raise Refusal(f"row {seq} of member {name} has {there}")
    return explain(last, book.programs, entry=-1 if n is None else n)


def _print(
    options: Namespace, book: _Book, told: Sequence[Explained], letters: Sequence[DeadLetter] = ()
) -> None:
    spoken = book.language
    if options.json:
        print(json.dumps(_as_values(book, told, letters), ensure_ascii=False))
        return
    for name, stories in groupby(told, key=lambda each: each.row.member):
        print(spoken.text(title(name, book.newest)))
        for line in as_lines(stories, spoken):
            print(line)
    for letter in letters:
        for message in tell_letter(letter, book.zone):
            print(spoken.text(message))


def _as_values(
    book: _Book, told: Sequence[Explained], letters: Sequence[DeadLetter]
) -> dict[str, Any]:
    spoken = book.language
    return {
        "language": spoken.tag,
        "items": [as_values(each, spoken) for each in told],
        "dead_letters": [
            {
                "place": letter.place,
                "member_id": letter.member or None,
                "reason": letter.reason,
                "sentences": [
                    sentence(message, spoken) for message in tell_letter(letter, book.zone)
                ],
            }
            for letter in letters
        ],
    }
