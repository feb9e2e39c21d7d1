"""Taking in members from another system: all of them checked first, then recorded like events.

The check decides the very activities that will be recorded, on what the database holds now, and
records nothing. So what it finds sound is taken, and its totals are those of the books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from services.loyalty.application.batch import Batch, Outcome
from services.loyalty.application.clock import Clock
from services.loyalty.application.csv_rows import BadRow
from services.loyalty.application.facts import read_facts
from services.loyalty.application.opening_files import OpeningFiles
from services.loyalty.application.opening_rows import DIGEST, Comer
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import Habits, record_batch
from services.loyalty.application.store import Loaded, Session
from services.loyalty.domain.account import Account
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.chain import GENESIS
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.opening_mistakes import mistakes, over

CHUNK = 1000
NOT_TAKEN = ("refused", "id_reused")
"""What becomes of members who are not taken."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told of members done, and of how many there are in all."""

_WHOSE = {
    "already_enrolled": "the member has enrolled here already",
    "not_a_member": "that is a guest's receipt number here",
    "account_closed": "the member's account here is closed",
    "account_merged": "the member's account here was merged into another",
    "account_stuck": "the member's account here is stuck: release it first",
    "member_erased": "the member was erased here",
    "before_program": "no version of the programme holds yet",
    "id_reused": "the member came before with other content: what is wrong since is adjusted",
}
_NOBODY = Account()


class FilesChanged(Exception):
    """The files are others than those that were checked."""


@dataclass(slots=True)
class Totals:
    """What an import comes to.

    Attributes:
        new, before: members to be taken, and those taken already.
        points: by currency and bucket (``available``, ``pending``, ``arrears`` …).
        levels: members by tier, empty where there are none.
        orders: orders that may still come back.
        paid: consideration in minor units, by money and funding.
    """

    new: int = 0
    before: int = 0
    points: Counter[tuple[str, str]] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    paid: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, comer: Comer, decision: Decision) -> None:
        """Adds a member who is to be taken."""
        assert comer.body is not None
        self.new += 1
        for entry in decision.entries:
            self.points[entry.currency, entry.from_bucket] -= entry.points
            self.points[entry.currency, entry.to_bucket] += entry.points
        self.levels[decision.account.standing.level] += 1
        self.orders += len(comer.body.orders)
        for paid in comer.body.paid:
            self.paid[paid.money, paid.funding] += paid.amount


async def check_all(
    session: Session,
    programs: Programs,
    clock: Clock,
    files: OpeningFiles,
    *,
    tell: Callable[[BadRow], None],
    progress: Progress,
) -> Totals | None:
    """What the files come to; None where any row is bad, and tells of each of these."""
    unfit = list(files.unfit())
    for row in unfit:
        tell(row)
    if unfit:
        return None
    totals, bad, done, total = Totals(), 0, 0, files.learn()
    for comers in _chunks(files.comers()):
        found = await _examine(session, programs, await clock.now(session), comers, totals)
        for row in sorted(found, key=lambda row: (row.file, row.line)):
            tell(row)
        bad += len(found)
        done += len(comers)
        progress(done, total)
    return None if bad else totals


async def _examine(
    session: Session, programs: Programs, now: Instant, comers: Sequence[Comer], totals: Totals
) -> list[BadRow]:
    """Every row of some members that cannot be taken; what can is added to the totals."""
    bad = [row for comer in comers for row in comer.bad]
    sound = [comer for comer in comers if comer.body is not None]
    incoming = [comer.incoming(now) for comer in sound]
    members = [comer.member for comer in sound]
    accounts = await session.load_accounts(members)
    for member in members:
        accounts.setdefault(member, Loaded(member, 0, _NOBODY, GENESIS, None, b""))
    reads = await read_facts(session, programs, now, accounts, incoming)
    reads.recorded.update(await session.find_recorded([(member, DIGEST) for member in members]))
    batch = Batch(programs, now, accounts, reads)
    for comer, message in zip(sound, incoming, strict=True):
        outcome = batch.decide(message)
        if outcome.status == "accepted":
            assert outcome.decision is not None
            assert comer.body is not None
            totals.add(comer, outcome.decision)
            bad += [comer.row_of(mistake) for mistake in over(comer.body, now)]
        elif outcome.status == "duplicate":
            totals.before += 1
        else:
            bad += _why(programs, now, comer, outcome)
    return bad


def _why(programs: Programs, now: Instant, comer: Comer, outcome: Outcome) -> Iterator[BadRow]:
    """Why a member cannot be taken, row by row."""
    assert comer.body is not None
    if outcome.reason == "impossible_opening":
        for mistake in mistakes(programs.at(now), comer.body, now):
            yield comer.row_of(mistake)
        return
    file, line = comer.places[()]
    reason = _WHOSE.get(outcome.reason, f"refused: {outcome.reason}")
    yield BadRow(line, f"member_id: {reason}", file)


async def take_all(
    session: Session,
    programs: Programs,
    clock: Clock,
    files: OpeningFiles,
    *,
    refused: Callable[[Comer, Outcome], None],
    progress: Progress,
) -> Counter[str]:
    """Records all members, some at a time; answers how many of them became what, and tells of each
    who was refused after all.

    Raises:
        FilesChanged: a row is bad that was not when it was checked.
        Contended: others changed the same accounts again and again.
    """
    taken: Counter[str] = Counter()
    total, habits = files.learn(), Habits()
    for comers in _chunks(files.comers()):
        for row in (row for comer in comers for row in comer.bad):
            raise FilesChanged(f"the files changed while they were read: {row}")
        now = await clock.now(session)
        incoming = [comer.incoming(now) for comer in comers]
        outcomes = await record_batch(session, programs, clock, incoming, habits=habits)
        for comer, outcome in zip(comers, outcomes, strict=True):
            taken[outcome.status] += 1
            if outcome.status in NOT_TAKEN:
                refused(comer, outcome)
        progress(taken.total(), total)
    return taken


def _chunks(comers: Iterable[Comer]) -> Iterator[list[Comer]]:
    left = iter(comers)
    while chunk := list(islice(left, CHUNK)):
        yield chunk
