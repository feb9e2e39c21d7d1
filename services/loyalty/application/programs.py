"""The published versions of the programme, compiled once and looked up by the instants from which
they hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from services.loyalty.application.store import Session
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Program
from services.loyalty.domain.rejudging import rejudges


class NoProgram(Exception):
    """No version of the programme has been published yet, so nothing can be judged."""

    def __init__(self) -> None:
        super().__init__("no programme is published: run `loyalty program publish FILE`")


class Programs:
    """All versions, in order of the instants from which they hold; versions are only ever added."""

    def __init__(self, versions: Sequence[Program] = ()) -> None:
        self._versions: list[Program] = []
        self._starts: list[Instant] = []
        self._caps: list[Mapping[str, int]] = []
        for program in versions:
            self.add(program)

    def add(self, program: Program) -> None:
        """Adds a version, which holds from a later instant than all before it."""
        assert not self._starts or program.holds_from > self._starts[-1]
        if self._versions and rejudges(self._versions[-1], program):
            program = replace(program, rejudges=True)
        self._versions.append(program)
        self._starts.append(program.holds_from)
        before = self._caps[-1] if self._caps else {}
        self._caps.append({**before, **program.counters} if program.counters else before)

    async def refresh(self, session: Session) -> None:
        """Compiles the versions published since the last look."""
        for number, _, document in await session.load_programs(self.latest):
            if number > self.latest:  # two lanes of one process may look at the same time
                self.add(parse_program(document, number))

    @property
    def latest(self) -> int:
        """The greatest version known, 0 before the first."""
        return self._versions[-1].version if self._versions else 0

    def __iter__(self) -> Iterator[Program]:
        return iter(self._versions)

    def at(self, instant: Instant) -> Program:
        """The version that holds at an instant; before the first one, the first (which refuses what
        is earlier).

        Raises:
            NoProgram: nothing is published.
        """
        if not self._versions:
            raise NoProgram
        return self._versions[max(0, bisect_right(self._starts, instant) - 1)]

    def back_from(self, instant: Instant) -> list[Program]:
        """The version that holds at an instant, and those before it: what something was called
        that a later version dropped stands in one of them. Empty where nothing is published.
        """
        return self._versions[: max(1, bisect_right(self._starts, instant))][::-1]

    def caps(self, now: Instant) -> Mapping[str, int]:
        """The caps of shared counters that hold now: each by the last version that has it.

        So a budget or a stock is one number for all, whichever version judges an activity.
        """
        return self._caps[max(0, bisect_right(self._starts, now) - 1)] if self._caps else {}

    @property
    def counting(self) -> bool:
        """Whether any version has shared counters."""
        return bool(self._caps and self._caps[-1])

    @property
    def gift_stock(self) -> set[str]:
        """The stock of all rewards that any version gives on an occasion or by a level."""
        given = {key for program in self._versions for key in program.gift_stock}
        for program in self._versions:
            given.update(*program.level_stock.values())
        return given

    def rejudging(self, after: Instant, until: Instant) -> list[Program]:
        """Versions that look at standings anew when they begin to hold, in ``(after, until]``."""
        return [one for one in self._versions if one.rejudges and after < one.holds_from <= until]

    def spans(self, after: Instant, until: Instant) -> list[tuple[Program, Instant, Instant]]:
        """Versions with the part of ``(after, until]`` in which each holds, earliest first."""
        versions = self._versions
        if len(versions) == 1:
            start = max(after, versions[0].holds_from - 1)
            return [(versions[0], start, until)] if start < until else []
        found = []
        for index, program in enumerate(versions):
            start = max(after, program.holds_from - 1)
            last = index + 1 == len(versions)
            end = until if last else min(until, self._starts[index + 1] - 1)
            if start < end:
                found.append((program, start, end))
        return found
