"""One attempt at a batch: read, decided before the transaction, and recorded in it.

Decisions are made on what was read; inside the transaction the fence is passed, accounts are locked
in sorted order and their versions compared, and whoever lost is read again and decided again. So
however old a reading is, what is recorded follows from what the accounts are: which is why a batch
may be decided while the one before it is still being recorded (:meth:`Attempt.read_ahead`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from services.loyalty.application.batch import Batch, Outcome, Reads
from services.loyalty.application.clock import Clock
from services.loyalty.application.facts import reaches_others, read_facts
from services.loyalty.application.programs import Programs
from services.loyalty.application.store import Incoming, Loaded, Session, Write
from services.loyalty.domain.calendar import Instant

TURN = 5
"""So many messages are decided before somebody else has a turn: about half a millisecond, for which
the database may wait for its next statement.
"""

Fence = Callable[[list[Outcome]], Awaitable[None]]


class ProgramPublished(Exception):
    """A version was published between deciding and recording."""


class OfferedTooLittle(Exception):
    """What was decided ahead was offered less of a shared counter than the batch gives back."""


class Attempt:
    """Messages in order, what was decided of them, and the rows that record it; nothing outside is
    changed before :meth:`record`, but that missing accounts are opened.

    With ``ask`` it looks for what is recorded already. With ``lock`` all is decided again inside
    the transaction, where nobody else takes from the shared counters: so whatever is left of them
    is enough.
    """

    def __init__(
        self,
        session: Session,
        programs: Programs,
        clock: Clock,
        incoming: Sequence[Incoming],
        *,
        ask: bool = False,
        lock: bool = False,
    ) -> None:
        self._session = session
        self._programs = programs
        self._clock = clock
        self._incoming = incoming
        self._ask = ask
        self._lock = lock
        self._version = 0
        self._recorded: dict[tuple[str, bytes], bytes] = {}
        self._recording = session.recording()
        self._outcomes: list[Any] = [None] * len(incoming)
        self._places: dict[str, list[int]] = {}
        for place, item in enumerate(incoming):
            self._places.setdefault(item.member, []).append(place)
        self._undecided = set(self._places)
        self._turns: Iterator[None] = iter(())
        self._offered: set[str] = set()

    async def read_ahead(self, before: Attempt) -> None:
        """Reads, on an idle connection, what can be decided while another batch is recorded.

        That is nothing of a member who is in that batch too, or for whom something waits, or who
        has other ids, nor what hangs on other members: all this is read once the other batch is
        recorded. What that batch gives back to shared counters is offered, what it takes is found
        out.
        """
        free = [
            member
            for member, places in self._places.items()
            if member not in before._places
            if not any(reaches_others(self._incoming[place].activity.body) for place in places)
        ]
        if not free:
            return
        await self._know_programs()
        accounts = await self._open(free)
        ready = {
            member: loaded
            for member, loaded in accounts.items()
            if not (loaded.account.waiting or loaded.account.affairs.absorbed)
        }
        now, reads = await self._facts(ready)
        given_back = {key: net for key, net in before._recording.granted().items() if net < 0}
        _add(reads.counters, given_back)
        self._offered = set(reads.counters)
        self._turns = self._decided(ready, Batch(self._programs, now, ready, reads))

    def turns(self) -> Iterator[None]:
        """Decides what was read ahead, and stops now and then for others to have their turn.

        Raises:
            Exception: a message fails; it fails again in :meth:`decide`.
        """
        return self._turns

    async def decide(self) -> None:
        """Decides all that is not decided yet.

        Raises:
            NoProgram: nothing is published yet.
            ProgramPublished: a version was published since the attempt began.
            OfferedTooLittle: begin anew, with nothing decided ahead.
        """
        await self._know_programs()
        try:
            await take(self._turns)
            if self._undecided:
                await self._decide_rest()
        except Exception as error:
            if self._programs.latest != self._version:  # facts of one version, judged by another
                raise ProgramPublished from error
            raise

    async def _decide_rest(self) -> None:
        accounts = await self._open(sorted(self._undecided))
        now, reads = await self._facts(accounts)
        granted = self._recording.granted()
        await take(self._decided(accounts, Batch(self._programs, now, accounts, reads)))
        after = self._recording.granted()
        if any(after.get(key, 0) < granted.get(key, 0) for key in self._offered):
            raise OfferedTooLittle

    async def record(self, fence: Fence | None = None) -> list[Outcome]:
        """Records all of it in one transaction; answers what became of each message.

        ``fence`` runs first inside the transaction and may raise to abandon it.

        Raises:
            ProgramPublished: by another version than the latest. AlreadyRecorded, Overdrawn,
            CodeTaken: as :meth:`~services.loyalty.application.store.Session.record` does.
        """
        session, recording = self._session, self._recording
        async with session.transaction():
            if fence is not None:
                await fence(self._outcomes)
            if await session.latest_program_version() != self._version:
                raise ProgramPublished
            read = recording.versions
            versions = await session.lock_accounts(list(read))
            lost = {
                member
                for member, version in read.items()
                if self._lock or versions.get(member) != version
            }
            if lost:
                recording.forget(lost)
                await self._decide_again(lost)
            await session.record(recording)
        return self._outcomes

    async def _know_programs(self) -> None:
        if not self._programs.latest:
            await self._programs.refresh(self._session)
        if self._version not in (0, self._programs.latest):
            raise ProgramPublished
        self._version = self._programs.latest

    async def _open(self, members: Sequence[str]) -> dict[str, Loaded]:
        accounts = await self._session.load_accounts(members)
        missing = sorted(member for member in members if member not in accounts)
        if missing:
            await self._session.open_accounts(missing)
            accounts.update(await self._session.load_accounts(missing))
        return accounts

    async def _facts(self, accounts: Mapping[str, Loaded]) -> tuple[Instant, Reads]:
        """What is read beside accounts to decide their messages, and as of when.

        An order or a redemption is taken to be new, as ids are, unless the attempt looks: the
        unique key of its row finds out, and the batch is redone.
        """
        now = await self._clock.now(self._session)
        incoming = self._of(accounts)
        if self._ask:
            events = [(item.member, item.event_digest) for item in incoming]
            self._recorded |= await self._session.find_recorded(events)
        return now, await self._read(now, accounts, incoming, ask=self._ask)

    async def _read(
        self,
        now: Instant,
        accounts: Mapping[str, Loaded],
        incoming: Sequence[Incoming],
        *,
        ask: bool,
        lock: bool = False,
    ) -> Reads:
        reads = await read_facts(
            self._session, self._programs, now, accounts, incoming, ask=ask, lock=lock
        )
        reads.recorded.update(self._recorded)
        _add(reads.counters, self._recording.granted())
        return reads

    def _of(self, members: Collection[str]) -> list[Incoming]:
        """The messages of some members, in order."""
        if len(members) == len(self._places):
            return list(self._incoming)
        return [item for item in self._incoming if item.member in members]

    def _decided(self, members: Iterable[str], batch: Batch) -> Iterator[None]:
        """Decides member by member, each one's messages in their order, and writes down what
        follows.

        Members go in the order in which they are locked: neighbours in an index are written
        together.
        """
        incoming, outcomes, taken = self._incoming, self._outcomes, 0
        for member in sorted(members):
            for place in self._places[member]:
                outcome = outcomes[place] = batch.decide(incoming[place])
                outcome.decision = None  # it is written down below, and let go of
                taken += 1
                if taken % TURN == 0:
                    yield
            if write := batch.leave(member):
                self._write_down(member, write)
            self._undecided.discard(member)

    def _write_down(self, member: str, write: Write) -> None:
        try:
            self._recording.add(write)
        except Exception:
            self._recording.forget({member})  # of whom half may stand there
            raise

    async def _decide_again(self, lost: set[str]) -> None:
        """Reads and decides the accounts again that somebody changed; they are locked now, so this
        settles it.
        """
        now = await self._clock.now(self._session)
        accounts = await self._session.load_accounts(sorted(lost))
        again = self._of(lost)
        reads = await self._read(now, accounts, again, ask=True, lock=self._lock)
        for _ in self._decided(lost, Batch(self._programs, now, accounts, reads)):
            pass


def _add(counters: dict[str, int], granted: Mapping[str, int]) -> None:
    for key, taken in granted.items():
        if key in counters:
            counters[key] += taken


async def take(turns: Iterator[None]) -> None:
    """Takes turns to the end, and lets others have theirs in between."""
    for _ in turns:
        await asyncio.sleep(0)
