"""What finance asks of the books: reports, closes and approvals. Storage answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.loyalty.domain.approved import Approval, What
from services.loyalty.domain.bookreport import Report
from services.loyalty.domain.calendar import Instant


class BooksRefused(Exception):
    """The books cannot do what was asked: ``code`` is stable, the message one line that says why.

    Codes: ``invalid_period``, ``not_next_period``, ``period_not_over``, ``moments_undecided``,
    ``period_closed``, ``not_approvable`` and ``no_program``.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that is asked for: of a month, or of a span of its own.

    Attributes:
        period: ``2011-03``; empty for a span of its own.
        since, until: that span; of a month these are its own. 0 is the beginning of everything.
        known_by: what was known by then; None is everything known now.
    """

    period: str = ""
    since: Instant = 0
    until: Instant = 0
    known_by: Instant | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """A closed period. ``checkpoint`` names the heads that say what was known of each member."""

    period: str
    starts_at: Instant
    ends_at: Instant
    checkpoint: int
    closed_at: Instant
    closed_by: str
    format: int
    document: str


@dataclass(frozen=True, slots=True)
class Approving:
    """What somebody wants to approve, before it has a number."""

    what: What
    of: str
    value: str
    holds_from: Instant
    by: str
    issued: str = ""


class Books(Protocol):
    """The books, for readers that wait for an answer."""

    async def report(self, asked: Asked, *, now: Instant) -> Report:
        """
        Raises:
            BooksRefused: the period cannot be read, or nothing is published.
        """
        ...

    async def closes(self) -> list[Close]:
        """All closed periods, the first one first."""
        ...

    async def approvals(self) -> list[Approval]:
        """All approvals, in the order in which they were given."""
        ...

    async def approve(self, approving: Approving, *, now: Instant) -> Approval:
        """
        Raises:
            BooksRefused: it cannot be approved so, or from a date that is closed.
        """
        ...
