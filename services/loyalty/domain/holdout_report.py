"""What a rule brings: what members spent who get it, beside those whom its holdout leaves out.

All members are compared, whether or not they did what the rule rewards: who is left out was decided
by their ids alone, so the two groups differ in nothing else. To compare only those who reached the
rule would compare members who came because of it with members who came anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.loyalty.domain.calendar import NEVER, Instant, rfc3339
from services.loyalty.domain.holdout import is_held_out
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.program import Boost, Program, Rule
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.refunds import returned
from services.loyalty.domain.shares import divide


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule, boost or card with a holdout, and the time that is looked at: until before
    ``until``. ``share`` is of 10,000.
    """

    program: str
    rule: str
    share: int
    since: Instant
    until: Instant

    @property
    def percent(self) -> str:
        """The share as the programme writes it."""
        return f"{self.share / 100:g} %"


@dataclass(slots=True)
class Group:
    """What the members of one group did.

    Attributes:
        members: who had enrolled before the end.
        buyers: who of them bought anything.
        orders: all that they bought in the time.
        reached: orders for which the rule fired, or would have but for the holdout.
        spend: what was paid for goods and not returned, in minor units by currency of money.
        points: what the rule gave and no refund took back, by currency of points.
    """

    members: int = 0
    buyers: int = 0
    orders: int = 0
    reached: int = 0
    spend: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        """What there is to tell, with money as decimal text."""
        return {
            "members": self.members,
            "buyers": self.buyers,
            "orders": self.orders,
            "reached": self.reached,
            "spend": {money: decimal_text(spent, money) for money, spent in self._spent},
            "spend_per_member": {
                money: decimal_text(self.per_member(money), money) for money, _ in self._spent
            },
            "points": dict(sorted(self.points.items())),
        }

    @property
    def _spent(self) -> list[tuple[str, int]]:
        return sorted(self.spend.items())

    def per_member(self, money: str) -> int:
        """Minor units that a member spent in the mean, half to even."""
        return divide(self.spend[money], self.members, "half_even") if self.members else 0


class _Fired(msgspec.Struct):
    rule: str = ""
    boosts: list[str] = []


class _Trace(msgspec.Struct):
    fired: list[_Fired] = []
    missed: list[tuple[str, str]] = msgspec.field(default_factory=list, name="not")


_read_trace = msgspec.json.Decoder(_Trace).decode


class Comparison:
    """The two groups of a trial; what happened may be told in any order, one member's orders
    together.
    """

    def __init__(
        self, trial: Trial, treated: Group | None = None, held_out: Group | None = None
    ) -> None:
        """``treated`` and ``held_out`` are what was counted of members before."""
        self.trial = trial
        self.treated = treated or Group()
        self.held_out = held_out or Group()
        self._buyer = ""

    def enrolled(self, member: str, enrolled_at: Instant) -> None:
        """Counts a member."""
        if enrolled_at < self.trial.until:
            self._group(member).members += 1

    def ordered(self, member: str, receipt: Receipt, trace: str) -> None:
        """Counts an order, with what its purchase's trace says of the rule."""
        trial = self.trial
        if not trial.since <= receipt.occurred_at < trial.until:
            return
        group = self._group(member)
        group.orders += 1
        if member != self._buyer:
            group.buyers += 1
            self._buyer = member
        group.reached += self._reaches(trace)
        group.spend[receipt.currency] += _kept(receipt)
        for posting in receipt.postings:
            if posting.rule == trial.rule:
                group.points[posting.currency] += posting.points - sum(posting.reversed)

    @property
    def monies(self) -> list[str]:
        """Currencies of money in which anything was bought."""
        return sorted({*self.treated.spend, *self.held_out.spend})

    def told(self) -> dict[str, Any]:
        """What there is to tell, as JSON has it."""
        trial = self.trial
        return {
            "program": trial.program,
            "rule": trial.rule,
            "holdout": trial.percent,
            "since": rfc3339(trial.since),
            "until": rfc3339(trial.until),
            "treated": self.treated.told(),
            "held_out": self.held_out.told(),
        }

    def _group(self, member: str) -> Group:
        trial = self.trial
        held = is_held_out(trial.program, trial.rule, member, trial.share)
        return self.held_out if held else self.treated

    def _reaches(self, trace: str) -> bool:
        told, rule = _read_trace(trace), self.trial.rule
        return (rule, "held_out") in told.missed or any(
            fired.rule == rule or rule in fired.boosts for fired in told.fired
        )


def trial_of(
    programs: Iterable[Program], rule: str, *, now: Instant, since: Instant, until: Instant
) -> Trial | None:
    """The trial of a rule under the versions in their order, None where none of them has a holdout
    for it. Where no time is given (0) it begins with the holdout, or with the rule's validity, and
    ends with that, or now.
    """
    found: tuple[Program, Rule | Boost] | None = None
    begun = 0
    for program in programs:
        here = _with_holdout(program, rule)
        if here is None:
            continue
        if found is None or found[1].holdout != here.holdout:
            begun = program.holds_from
        found = program, here
    if found is None:
        return None
    program, held = found
    return Trial(
        program.name,
        rule,
        held.holdout,
        since or max(begun, held.valid_from),
        until or min(held.valid_until, now + 1, NEVER),
    )


def _with_holdout(program: Program, name: str) -> Rule | Boost | None:
    cards = (card.look for card in program.stamps)
    rules: list[Rule | Boost] = [*program.rules, *program.boosts.boosts, *cards]
    return next((one for one in rules if one.id == name and one.holdout), None)


def _kept(receipt: Receipt) -> int:
    return sum(line.value for line in receipt.lines) - sum(returned(receipt))
