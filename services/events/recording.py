"""Recording what a lane drew: one transaction for effects, dead letters and positions together."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from traceback import extract_tb
from typing import Any

import asyncpg

from services.events import breaker
from services.events.bisecting import Fate, Unready, fate_of, settle
from services.events.breaker import Tripped, runs_of_dead
from services.events.halt import BreakerOpen
from services.events.inbox import Message, Unusable, enrolments_first
from services.events.letters import Letter, insert_letters
from services.events.pace import Pace
from services.events.position import Advance, advance, advances
from services.loyalty.application.attempt import Attempt
from services.loyalty.application.batch import Outcome
from services.loyalty.application.clock import Clock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import Habits, record_batch
from services.loyalty.application.store import Incoming, Session
from services.loyalty.domain.calendar import NEVER, Instant

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What was recorded since the start, for progress and metrics."""

    messages: int = 0
    dead_letters: int = 0
    batches: int = 0
    newest: Instant = 0


@dataclass(slots=True)
class Drawn:
    """Messages that are recorded together, and an attempt at them of which something may be
    decided already: it counts for the first time that they are recorded, and as a whole.

    Attributes:
        read_at: an instant not after which it was read ahead; never, where nothing was.
    """

    messages: Sequence[Message]
    attempt: Attempt | None = None
    read_at: Instant = NEVER

    @property
    def turns(self) -> Iterator[None]:
        """What can be decided of it while another batch is recorded."""
        return iter(()) if self.attempt is None else self.attempt.turns()


@dataclass(slots=True)
class Recorder:
    """Records messages on one connection.

    Attributes:
        connection, session: the same connection, as the edge and as the use case see it.
        breaker: dead letters in a row that a partition may have.
        habits: what the lane remembers about duplicates.
    """

    connection: Any
    session: Session
    programs: Programs
    clock: Clock
    breaker: int
    pace: Pace
    tally: Tally
    habits: Habits = field(default_factory=Habits)

    def drawn(self, messages: Sequence[Message]) -> Drawn:
        """A batch of what was drawn, of which nothing is decided yet."""
        incoming = _incoming(enrolments_first(messages))
        ask = self.habits.asks
        return Drawn(messages, Attempt(self.session, self.programs, self.clock, incoming, ask=ask))

    async def read_ahead(self, drawn: Drawn, before: Drawn, now: Instant) -> None:
        """Reads of a batch what can be decided while the one before is recorded.

        What fails here fails again when it is recorded, and is judged there.
        """
        if drawn.attempt is None or before.attempt is None:
            return
        drawn.read_at = now
        try:
            await drawn.attempt.read_ahead(before.attempt)
        except Exception:
            drawn.attempt = None

    async def prepare(self, drawn: Drawn) -> None:
        """Decides a batch as far as that can be done without its transaction.

        What fails here fails again when it is recorded, and is judged there.
        """
        if drawn.attempt is not None:
            try:
                await drawn.attempt.decide()
            except Exception:
                drawn.attempt = None

    async def record(self, drawn: Drawn, now: Instant) -> None:
        """Gives every message its fate: recorded, or a dead letter; nothing moves otherwise.

        Raises:
            BreakerOpen: too many dead letters in a row; what came before is recorded.
            Fenced: another session has taken over.
            Exception: the world is broken; what is recorded by then is a prefix of each partition.
        """

        async def attempt(batch: Sequence[Message]) -> None:
            begun, drawn.attempt = drawn.attempt, None
            try:
                await self._attempt(batch, now, begun)
            except Tripped as tripped:
                if tripped.index:
                    await self.record(Drawn(batch[: tripped.index]), now)
                raise BreakerOpen(breaker.explanation(tripped.message, self.breaker)) from None

        async def give_up(message: Message, error: Exception) -> None:
            _give_up(message, error)
            await attempt([message])

        await settle(drawn.messages, attempt, give_up)

    async def _attempt(
        self, messages: Sequence[Message], now: Instant, begun: Attempt | None
    ) -> None:
        usable = enrolments_first(messages)
        moved: list[Advance] = []
        letters: list[Letter] = []
        locked_at = time.perf_counter()

        async def fence(outcomes: list[Outcome]) -> None:
            nonlocal moved, letters, locked_at
            letters = _letters(messages, usable, outcomes)
            moved = advances(messages, self._runs_of_dead(messages, letters), now)
            locked_at = time.perf_counter()
            await advance(self.connection, moved)
            await insert_letters(self.connection, letters, now)

        try:
            await record_batch(
                self.session,
                self.programs,
                self.clock,
                _incoming(usable),
                fence=fence,
                habits=self.habits,
                begun=begun,
            )
        except Exception as error:
            await self._doubt_the_programme(error)
            raise
        self.pace.measured(len(messages), (time.perf_counter() - locked_at) * 1000)
        self._recorded(messages, moved, letters)

    def _runs_of_dead(
        self, messages: Sequence[Message], letters: Sequence[Letter]
    ) -> dict[Any, int]:
        if not letters:
            return dict.fromkeys((message.partition for message in messages), 0)
        dead = {letter.message for letter in letters}
        return runs_of_dead(((message, message in dead) for message in messages), self.breaker)

    async def _doubt_the_programme(self, error: Exception) -> None:
        """A programme that this process cannot read is no message's fault.

        Raises:
            Unready: that is so.
        """
        if isinstance(error, Tripped | asyncpg.PostgresError) or fate_of(error) is not Fate.SPLIT:
            return
        try:
            await self.programs.refresh(self.session)
        except Exception as unreadable:
            raise Unready(f"a published programme cannot be used here: {unreadable}") from error

    def _recorded(
        self, messages: Sequence[Message], moved: Sequence[Advance], letters: Sequence[Letter]
    ) -> None:
        for one in moved:
            one.settle()
        self.tally.messages += len(messages)
        self.tally.dead_letters += len(letters)
        self.tally.batches += 1
        self.tally.newest = max(self.tally.newest, *(one.read_to for one in moved))
        for letter in letters:
            log.warning(
                "dead letter: place=%s offset=%d reason=%s",
                letter.message.partition.name,
                letter.message.offset,
                letter.unusable.reason,
            )


def _incoming(usable: Sequence[Message]) -> list[Incoming]:
    return [message.incoming for message in usable if message.incoming is not None]


def _letters(
    messages: Sequence[Message], usable: Sequence[Message], outcomes: Sequence[Outcome]
) -> list[Letter]:
    reused = {
        message
        for message, outcome in zip(usable, outcomes, strict=True)
        if outcome.status == "id_reused"
    }
    letters = []
    for message in messages:
        if message.unusable is not None:
            letters.append(Letter(message, message.unusable))
        elif message in reused:
            letters.append(Letter(message, _reused(message)))
    return letters


def _reused(message: Message) -> Unusable:
    assert message.incoming is not None
    detail = "source and id name an event that was recorded with another content"
    return Unusable("id_reused", detail, message.incoming.member)


def _give_up(message: Message, error: Exception) -> None:
    """Turns a message on which a decision fails into a dead letter.

    The text of the error stays out of the letter and the log, because it may quote the message.
    """
    state = getattr(error, "sqlstate", None)
    detail = f"SQLSTATE {state}" if state else type(error).__name__
    assert message.incoming is not None, "only what is decided can be undecidable"
    log.error(
        "undecidable: place=%s offset=%d error=%s at=%s",
        message.partition.name,
        message.offset,
        detail,
        _raised_at(error),
    )
    unusable = Unusable("undecidable", detail, message.incoming.member)
    message.incoming, message.unusable = None, unusable


def _raised_at(error: Exception) -> str:
    frames = extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
