"""What the use cases raise, as problems: the one place where the two vocabularies meet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from services.loyalty.application.books import BooksRefused
from services.loyalty.application.clock import ClockNotSet
from services.loyalty.application.online import Unreachable
from services.loyalty.application.programs import NoProgram
from services.loyalty.application.publishing import HoldsTooSoon, VersionExists
from services.loyalty.application.record import Contended
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.replay import Unfoldable
from services.loyalty.application.spending import AccountStuck, KeyReused, UnknownMember
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.http.problems import Problem

_log = logging.getLogger(__name__)

_SOON = {"Retry-After": "1"}
_AT_THE_EDGE = {
    "not_json": "not_json",
    "too_deep": "not_json",
    "too_many_events": "batch_too_long",
    "too_large": "too_large",
}


def unacceptable(reason: str, detail: str, member: str | None) -> Problem:
    """The problem for a refusal at the edge, whose own code stands in ``reason``."""
    facts: dict[str, Any] = {"member_id": member} if member else {}
    return Problem(_AT_THE_EDGE.get(reason, "unacceptable"), detail, reason=reason, **facts)


def _unacceptable(error: Unacceptable) -> Problem:
    return unacceptable(error.code, error.detail, error.member)


def _unreachable(error: Unreachable) -> Problem:
    _log.warning("the database cannot be reached: %s", error)
    return Problem("database_unavailable", headers=_SOON)


def _too_soon(error: HoldsTooSoon) -> Problem:
    earliest = rfc3339(error.earliest)
    return Problem(
        "holds_too_soon",
        f"It would hold from {rfc3339(error.holds_from)}; let it hold from {earliest} or later.",
        earliest=earliest,
    )


def _mistakes(error: ProgramMistakes) -> Problem:
    return Problem("program_mistakes", mistakes=[asdict(mistake) for mistake in error.mistakes])


def _broken(error: Unfoldable) -> Problem:
    _log.error("a journal cannot be decided again: seq=%d %s", error.seq, error)
    return Problem("journal_broken", seq=error.seq)


def _books(error: BooksRefused) -> Problem:
    return Problem(error.code, str(error))


PROBLEM_OF: dict[type[Exception], Callable[[Any], Problem]] = {
    Unreachable: _unreachable,
    NoProgram: lambda _: Problem("no_program"),
    ClockNotSet: lambda error: Problem("not_ready", checks={"clock": str(error)}),
    Contended: lambda _: Problem("contended", headers=_SOON),
    AccountStuck: lambda _: Problem("account_stuck"),
    UnknownMember: lambda _: Problem("unknown_member"),
    KeyReused: lambda _: Problem("idempotency_key_reused"),
    HoldsTooSoon: _too_soon,
    VersionExists: lambda _: Problem("version_exists"),
    ProgramMistakes: _mistakes,
    Unacceptable: _unacceptable,
    BooksRefused: _books,
    Unfoldable: _broken,
}
"""The problem of every exception that a use case raises on purpose."""
