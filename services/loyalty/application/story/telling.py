"""The story of a member, activity by activity, as it follows from the journal.

Nothing is told from what was written down for people: every activity is decided again, as a replay
does, and what is told is that very decision. So a story can say everything that a decision knew,
years later, and nothing has to be kept for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from services.loyalty.application.batch import order_of
from services.loyalty.application.replay import Refolded, refold
from services.loyalty.application.story.earned import earned
from services.loyalty.application.story.followed import followed
from services.loyalty.application.story.happened import happened
from services.loyalty.application.story.moved import moved
from services.loyalty.application.story.outcome import outcome
from services.loyalty.application.story.told import Told
from services.loyalty.application.story.words import Message, say
from services.loyalty.domain.activity import kind_of
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.program import Program

Part: TypeAlias = Literal["happened", "outcome", "rules", "moved", "followed", "judged"]
"""What a sentence is about: what came in, what became of it, the rules, the points and their lots,
what else followed, and by which version it was judged.
"""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a story."""

    part: Part
    message: Message


@dataclass(frozen=True, slots=True)
class Explained:
    """One activity of a member, explained."""

    row: JournalRow
    heading: Message
    sentences: Sequence[Sentence]


def tell(
    rows: Iterable[JournalRow],
    programs: Mapping[int, Program],
    *,
    wanted: Callable[[Refolded], bool] = lambda _: True,
    brief: bool = False,
) -> Iterator[Explained]:
    """Explains those activities of a member that are wanted, in order.

    ``rows`` is the member's journal from its first row on. ``brief`` leaves out what did not
    happen, the lots, and the version.

    Raises:
        Unfoldable: a row cannot be decided again.
    """
    for refolded in refold(rows, programs):
        if wanted(refolded):
            yield explain(refolded, programs, brief=brief)


def explain(
    refolded: Refolded, programs: Mapping[int, Program], *, brief: bool = False, entry: int = -1
) -> Explained:
    """Explains one activity; with ``entry``, of its entries (0, 1 …) only that one.

    Raises:
        IndexError: there is no such entry.
    """
    row, before, decision = refolded
    newest_first = sorted(programs.values(), key=lambda each: -each.version)
    told = Told(programs[row.program_version], before, decision, newest_first)
    entries = decision.entries if entry < 0 else [decision.entries[entry]]
    kind = kind_of(decision.facts.parked or decision.activity.body)
    parts: tuple[tuple[Part, Iterable[Message]], ...] = (
        ("happened", happened(told)),
        ("outcome", outcome(told, kind)),
        ("rules", () if brief else earned(told)),
        ("moved", moved(told, entries, lots=not brief)),
        ("followed", followed(told)),
        ("judged", () if brief else _judged(told)),
    )
    sentences = [Sentence(part, message) for part, messages in parts for message in messages]
    return Explained(row, _heading(told, row), sentences)


def _heading(told: Told, row: JournalRow) -> Message:
    return say("story.heading", seq=row.seq, at=told.moment(told.decision.effective_at))


def _judged(told: Told) -> Iterator[Message]:
    program = told.program
    yield say(
        "story.judged",
        version=program.version,
        program=told.whole,
        since=told.moment(program.holds_from),
    )


def title(member: str, program: Program) -> Message:
    """What a story is called, and by which clock it is told."""
    return say("story.member", member=member, zone=program.zone.key)


def nothing(member: str) -> Message:
    """What is said where there is nothing to tell of what was asked for."""
    return say("story.nothing", member=member)


def concerns(order: str) -> Callable[[Refolded], bool]:
    """Whether an activity is about an order: it names it, or moved points for it."""

    def about(refolded: Refolded) -> bool:
        decision = refolded.decision
        body = decision.facts.parked or decision.activity.body
        entries: Sequence[LedgerEntry] = decision.entries
        named = order in (order_of(body), getattr(body, "for_order", ""))
        return named or any(entry.order == order for entry in entries)

    return about
