"""Dead letters as people find and replay them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.events import dead_letters
from services.events.database import Database, closed
from services.events.dead_letters import (
    DeadLetter,
    NoSuchDeadLetter,
    NotReplayable,
    list_dead_letters,
    parse_place,
    replay,
    show,
)
from services.events.inbox import Message, Unusable
from services.events.letters import Letter, insert_letters
from services.events.topics import PURCHASES
from services.loyalty.application.batch import Outcome
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.domain.calendar import DAY
from tests.events.messages import NOW, enrolled, partition, purchased


@dataclass
class Office:
    """Where dead letters come in and are worked on."""

    books: Database
    connection: Any
    programs: Programs = field(default_factory=Programs)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))

    async def receive(self, offset: int, raw: bytes, reason: str = "undecidable") -> None:
        message = Message(partition(PURCHASES, 3), offset, offset + 1, NOW, NOW, raw)
        letter = Letter(message, Unusable(reason, "KeyError", "m1"))
        await insert_letters(self.connection, [letter], NOW)

    async def replay(self, place: str) -> Outcome:
        return await replay(self.books, self.connection, self.programs, self.clock, place)

    async def journaled(self) -> int:
        count: int = await self.connection.fetchval("SELECT count(*) FROM journal")
        return count


@pytest.fixture
async def office(books: Database) -> Any:
    async with closed(await books.open("test")) as connection:
        yield Office(books, connection)


async def test_letters_are_listed_newest_first_and_shown_with_their_bytes(office: Office) -> None:
    await office.receive(1, b"one", reason="not_json")
    await office.receive(2, b"two")
    listed = await list_dead_letters(office.connection)
    assert [(letter.place, letter.body) for letter in listed] == [
        ("commerce.purchases/3/2", None),
        ("commerce.purchases/3/1", None),
    ]
    (only,) = await list_dead_letters(office.connection, reason="not_json")
    assert only.offset == 1
    shown: DeadLetter = await show(office.connection, "commerce.purchases/3/1")
    assert (shown.body, shown.size_bytes, shown.reason) == (b"one", 3, "not_json")


async def test_a_replayed_letter_is_recorded_once_and_says_so(office: Office) -> None:
    await office.receive(1, enrolled("m1"))
    outcome = await office.replay("commerce.purchases/3/1")
    assert outcome.status == "accepted"
    assert await office.journaled() == 1
    with pytest.raises(NotReplayable, match="before"):
        await office.replay("commerce.purchases/3/1")
    assert await list_dead_letters(office.connection) == []
    (letter,) = await list_dead_letters(office.connection, replayed=True)
    assert letter.replayed_at == NOW


async def test_a_letter_that_was_recorded_otherwise_is_a_duplicate_and_done(office: Office) -> None:
    await office.receive(1, enrolled("m1"))
    await office.receive(2, enrolled("m1"))
    await office.replay("commerce.purchases/3/1")
    assert (await office.replay("commerce.purchases/3/2")).status == "duplicate"
    assert await office.journaled() == 1


async def test_what_is_refused_still_stays_a_dead_letter(office: Office) -> None:
    await office.receive(1, b"rubbish")
    with pytest.raises(Unacceptable):
        await office.replay("commerce.purchases/3/1")
    await office.receive(2, purchased("m1", "o1"))
    await office.receive(3, purchased("m1", "o1", price="11.00"))
    await office.receive(4, enrolled("m1"))
    await office.replay("commerce.purchases/3/4")
    await office.replay("commerce.purchases/3/2")
    with pytest.raises(NotReplayable, match="another content"):
        await office.replay("commerce.purchases/3/3")
    assert [letter.offset for letter in await list_dead_letters(office.connection)] == [3, 1]


async def test_bytes_are_forgotten_after_their_time_and_cannot_be_replayed(office: Office) -> None:
    await office.receive(1, enrolled("m1"))
    assert await dead_letters.forget_bodies(office.connection, before=NOW) == 0
    assert await dead_letters.forget_bodies(office.connection, before=NOW + DAY) == 1
    with pytest.raises(NotReplayable, match="no longer kept"):
        await office.replay("commerce.purchases/3/1")


@pytest.mark.parametrize("text", ["", "topic", "topic/1", "topic/x/1", "/1/1", "topic/1/-1"])
def test_a_place_names_topic_partition_and_offset(text: str) -> None:
    with pytest.raises(NoSuchDeadLetter):
        parse_place(text)


async def test_a_place_that_holds_nothing_is_told_so(office: Office) -> None:
    with pytest.raises(NoSuchDeadLetter, match="commerce"):
        await show(office.connection, "commerce.purchases/0/99")
