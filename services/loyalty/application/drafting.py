"""What a draft of the programme would have made of history: each member's journal, decided twice.

Once as it was decided, from the facts and versions that the journal names; and once with the draft
in the place of every version from an instant on. What members did is taken as given: they would
have bought the same, asked for the same rewards, and caused the same for each other. What the clock
brings due follows from the draft. Of a budget or stock that there was, each activity is offered
what was left for it then; one that only the draft has is offered to each member whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

import msgspec

from services.loyalty.application.batch import Batch, Reads, code_named
from services.loyalty.application.programs import Programs
from services.loyalty.application.store import Incoming, Loaded
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import decode_body
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.chain import GENESIS, JournalRow
from services.loyalty.domain.decide import decide
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import NO_FACTS, Facts
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Receipt

OWN_KINDS = frozenset({"tick", "resumed", "lapsed", "stuck", "unstuck"})
"""What the service made itself, and makes anew under the draft."""

LISTED = 10
"""Members named among those who gain or lose most."""

Points: TypeAlias = Counter[str]

_facts = msgspec.json.Decoder(Facts).decode


@dataclass(slots=True)
class Course:
    """How it went from the instant on, one way or the other.

    Attributes:
        earned: points by ``rule/currency``, less what refunds took back of them.
        outstanding: points by currency at the end: available, pending and held.
        arrears: points by currency owed at the end.
        spent: points by currency that were redeemed, less what went back.
        unfunded: requests for a reward that were refused for want of points; ``short`` how many
            points they lacked.
        level: the tier held at the end.
    """

    earned: Points = field(default_factory=Counter)
    outstanding: Points = field(default_factory=Counter)
    arrears: Points = field(default_factory=Counter)
    spent: Points = field(default_factory=Counter)
    unfunded: int = 0
    short: int = 0
    level: str = ""

    def add(self, other: Course) -> None:
        """Adds the course of another member; levels are counted elsewhere."""
        for mine, theirs in (
            (self.earned, other.earned),
            (self.outstanding, other.outstanding),
            (self.arrears, other.arrears),
            (self.spent, other.spent),
        ):
            mine.update(theirs)
        self.unfunded += other.unfunded
        self.short += other.short


@dataclass(slots=True)
class Difference:
    """Both courses of many members, and how members differ between them.

    Attributes:
        members, activities: folded; ``since`` activities of them from the instant on.
        levels: members by (level as it was, level under the draft).
        segments: by segment held at the end: members, and redeemable points earned as it was and
            under the draft.
        winners, losers: members who earned more or less under the draft.
        gains: (points, member), the most first; ``losses`` likewise.
        left_out: members whose journal cannot be decided again, with why.
    """

    members: int = 0
    activities: int = 0
    since: int = 0
    live: Course = field(default_factory=Course)
    draft: Course = field(default_factory=Course)
    levels: Counter[tuple[str, str]] = field(default_factory=Counter)
    segments: dict[str, list[int]] = field(default_factory=dict)
    winners: int = 0
    losers: int = 0
    gains: list[tuple[int, str]] = field(default_factory=list)
    losses: list[tuple[int, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Difference) -> None:
        """Adds what another part of the members came to."""
        self.members += other.members
        self.activities += other.activities
        self.since += other.since
        self.live.add(other.live)
        self.draft.add(other.draft)
        self.levels.update(other.levels)
        for segment, counts in other.segments.items():
            self._count(segment, counts)
        self.winners += other.winners
        self.losers += other.losers
        self.gains = _most([*self.gains, *other.gains])
        self.losses = _most([*self.losses, *other.losses])
        self.left_out += other.left_out

    def note(self, member: str, segments: Iterable[str], live: Course, draft: Course) -> None:
        """Adds one member's two courses."""
        self.live.add(live)
        self.draft.add(draft)
        self.levels[live.level, draft.level] += 1
        earned = sum(live.earned.values()), sum(draft.earned.values())
        for segment in segments:
            self._count(segment, [1, *earned])
        gain = earned[1] - earned[0]
        self.winners += gain > 0
        self.losers += gain < 0
        if gain > 0:
            self.gains = _most([*self.gains, (gain, member)])
        elif gain < 0:
            self.losses = _most([*self.losses, (-gain, member)])

    def _count(self, segment: str, counts: Sequence[int]) -> None:
        was = self.segments.get(segment, [0, 0, 0])
        self.segments[segment] = [one + more for one, more in zip(was, counts, strict=True)]


def _most(found: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted(found, key=lambda one: (-one[0], one[1]))[:LISTED]


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft with what it is compared to.

    Attributes:
        live: the published versions by number.
        programs: what judges instead: the published versions that held before ``since``, then the
            draft.
        since: from which instant on the draft is in their place.
    """

    live: Mapping[int, Program]
    programs: Programs
    since: Instant


@dataclass(frozen=True, slots=True)
class Birth:
    """What the profile knows of a birthday; it is read, handed to the clock and kept nowhere."""

    born_on: date | None = None
    set_at: Instant = 0


def compare(
    difference: Difference, member: str, rows: Sequence[JournalRow], draft: Draft, birth: Birth
) -> None:
    """Decides a member's journal both ways, and notes how it went."""
    difference.members += 1
    difference.activities += len(rows)
    try:
        past, live, later = _as_it_was(rows, draft)
        if not later:
            difference.note(member, past.segments, live.course, live.course)
            return
        difference.since += len(later)
        course = _under(draft, member, past, later, live.account, birth)
    except Exception as error:  # a tampered row, or a draft that cannot judge it: say so, go on
        difference.left_out.append((member, f"{type(error).__name__}: {error}"))
        return
    segments = [held.segment for held in live.account.segments if held.ends_at > draft.since]
    difference.note(member, segments, live.course, course)


class _Past:
    """What had been decided before the draft's instant, as decisions after it read it."""

    def __init__(self, member: str) -> None:
        self.member = member
        self.account = Account()
        self.reads = Reads()
        self.levels: list[tuple[Instant, str]] = []

    @property
    def segments(self) -> list[str]:
        return [held.segment for held in self.account.segments]

    def add(self, decision: Decision) -> None:
        for receipt in decision.receipts:
            self.reads.receipts[self.member, receipt.order] = receipt
        self.reads.overlay(self.member, decision)
        if decision.account.standing.level != self.account.standing.level:
            self.levels.append((decision.effective_at, decision.account.standing.level))
        self.account = decision.account

    def level_at(self, at: Instant) -> str:
        return next((level for since, level in reversed(self.levels) if since <= at), "")


class _Told:
    """A course as decisions tell it, one after the other."""

    def __init__(self, receipts: Iterable[Receipt], account: Account) -> None:
        self.course = Course()
        self.account = account
        self._kept = {receipt.order: _kept(receipt) for receipt in receipts}

    def add(self, decision: Decision) -> None:
        course = self.course
        for entry in decision.entries:
            if entry.kind == "accrual" and not entry.order:  # those of orders are in receipts
                course.earned[f"{entry.cause}/{entry.currency}"] += entry.points
            elif entry.kind == "redemption":
                course.spent[entry.currency] += entry.points
            elif entry.kind == "redemption_reversal":
                course.spent[entry.currency] -= entry.points
        for undone in decision.trace.get("level_gifts_undone", ()):
            for currency, points in undone["points"].items():
                course.earned[f"{undone['level']}/{currency}"] -= points
        for receipt in decision.receipts:
            now = _kept(receipt)
            course.earned.update(now)
            was = self._kept.get(receipt.order)
            if was is None and receipt.of and decision.facts.receipt is not None:
                was = _kept(decision.facts.receipt)  # which another account counted
            course.earned.subtract(was or {})
            self._kept[receipt.order] = now
        if decision.outcome == "refused" and (short := _short(decision)):
            course.unfunded += 1
            course.short += short
        self.account = decision.account

    def end(self) -> Course:
        course, account = self.course, self.account
        for lot in account.lots:
            course.outstanding[lot.currency] += lot.points
        for hold in account.holds:
            for drawn in hold.drawn:
                course.outstanding[drawn.currency] += drawn.points
        course.arrears.update(account.arrears)
        course.level = account.standing.level
        return course


def _short(decision: Decision) -> int:
    """Points that a request lacked, whatever else stood against it."""
    alone = {"code": decision.reason, **decision.details}
    return sum(
        int(reason.get("missing", 0))
        for reason in decision.details.get("reasons", (alone,))
        if reason["code"] == "insufficient_points"
    )


def _kept(receipt: Receipt) -> Points:
    """Points by ``rule/currency`` that a receipt posted and that have not been reversed."""
    total: Points = Counter()
    for posting in receipt.postings:
        total[f"{posting.rule}/{posting.currency}"] += posting.points - sum(posting.reversed)
    return total


def _as_it_was(rows: Sequence[JournalRow], draft: Draft) -> tuple[_Past, _Told, list[JournalRow]]:
    """What had happened before the draft's instant, how it went on, and the rows of that."""
    past = _Past(rows[0].member if rows else "")
    told: _Told | None = None
    account, later = past.account, []
    for row in rows:
        facts = NO_FACTS if row.facts == "{}" else _facts(row.facts)
        decision = decide(draft.live[row.program_version], account, _activity(row), facts)
        account = decision.account
        if row.recorded_at < draft.since:
            past.add(decision)
            continue
        if told is None:
            told = _Told(past.reads.receipts.values(), past.account)
        told.add(decision)
        later.append(row)
    told = told or _Told((), account)
    told.end()
    return past, told, later


def _under(
    draft: Draft,
    member: str,
    past: _Past,
    later: Sequence[JournalRow],
    end: Account,
    birth: Birth,
) -> Course:
    """How it would have gone under the draft, up to where the journal ends."""
    for row in later:
        if row.occurred_at < past.account.as_of:
            past.reads.levels[member, row.occurred_at] = past.level_at(row.occurred_at)
    _look_up_codes(past.reads, member, later)
    _look_up_receipts(past.reads, later)
    caps = draft.programs.caps(draft.since)
    used = past.reads.counters = dict.fromkeys(caps, 0)
    loaded = Loaded(member, 0, past.account, GENESIS, 0, b"", birth.born_on, birth.set_at)
    told = _Told(list(past.reads.receipts.values()), past.account)
    batch = Batch(draft.programs, draft.since, {member: loaded}, past.reads)
    for row in later:
        if row.kind not in OWN_KINDS:
            batch.reach(row.recorded_at)
            offered = _facts(row.facts).allowances if row.facts != "{}" else {}
            used.update((key, caps[key] - left) for key, left in offered.items() if key in caps)
            digest = row.event_digest or b"%d" % row.seq
            batch.decide(Incoming(member, _activity(row), digest, b""))
    batch.reach(end.recorded_at)
    batch.catch_up(member, end.as_of)
    for write in batch.writes():
        for decided in write.decided:
            told.add(decided.decision)
    return told.end()


def _look_up_receipts(reads: Reads, rows: Sequence[JournalRow]) -> None:
    """Lets orders be found that were made by another id of the member, as they were first found."""
    for row in rows:
        receipt = _facts(row.facts).receipt if row.facts != "{}" else None
        if receipt is not None and receipt.of:
            reads.receipts.setdefault((receipt.of, receipt.order), receipt)


def _look_up_codes(reads: Reads, member: str, rows: Sequence[JournalRow]) -> None:
    """Lets referral codes name whom they named, and be drawn as they were."""
    for row in rows:
        if row.facts == "{}":
            continue
        facts = _facts(row.facts)
        if facts.code:
            reads.codes[member] = facts.code
        if facts.referrer is not None:
            code = code_named(facts.parked or decode_body(row.body))
            reads.referrers[code] = facts.referrer.member, facts.referrer.status


def _activity(row: JournalRow) -> Activity:
    return Activity(
        decode_body(row.body), row.occurred_at, row.recorded_at, row.source, row.event_id
    )
