"""Folding one member's journal from nothing: the rows that recording would leave today.

Everything a decision was made of stands in its journal row, so nothing is looked up: the activity,
the facts as they were read then, and the version that judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from services.loyalty.application.store import Decided, Loaded, Write
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import decode_body
from services.loyalty.domain.chain import GENESIS, JournalRow
from services.loyalty.domain.decide import decide
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import NO_FACTS, Facts
from services.loyalty.domain.program import Program

_facts = msgspec.json.Decoder(Facts).decode
_NONE = "{}"


class Unfoldable(Exception):
    """A journal row from which nothing can be decided any more; the message says why.

    ``write`` holds what was decided up to it, where that was asked for.
    """

    def __init__(self, seq: int, why: str, write: Write | None = None) -> None:
        super().__init__(why)
        self.seq = seq
        self.write = write


class Refolded(NamedTuple):
    """A journal row, the account before it, and the decision that it makes."""

    row: JournalRow
    before: Account
    decision: Decision


def refold(rows: Iterable[JournalRow], programs: Mapping[int, Program]) -> Iterator[Refolded]:
    """Decides again, one by one, all that the journal says happened to a member.

    ``programs`` are the published versions by their number.

    Raises:
        Unfoldable: a row cannot be read, names a version that is not published, or cannot be
            decided.
    """
    account = Account()
    for row in rows:
        try:
            activity = Activity(
                decode_body(row.body), row.occurred_at, row.recorded_at, row.source, row.event_id
            )
            facts = NO_FACTS if row.facts == _NONE else _facts(row.facts)
            decision = decide(programs[row.program_version], account, activity, facts)
        except Exception as error:  # a tampered row may lead anywhere
            raise Unfoldable(row.seq, _why(error, row)) from error
        yield Refolded(row, account, decision)
        account = decision.account


def fold(member: str, rows: Iterable[JournalRow], programs: Mapping[int, Program]) -> Write:
    """The write that recording would make today of all that happened to a member.

    Raises:
        Unfoldable: as :func:`refold`.
    """
    account = Account()
    decided: list[Decided] = []
    try:
        for row, _, decision in refold(rows, programs):
            account = decision.account
            decided.append(Decided(decision, row.event_digest, row.content_digest))
    except Unfoldable as unfoldable:
        unfoldable.write = _write(member, account, decided)
        raise
    return _write(member, account, decided)


def _write(member: str, account: Account, decided: list[Decided]) -> Write:
    nothing = Loaded(member, 0, Account(), GENESIS, None, b"")
    return Write(nothing, account, None, decided)


def _why(error: Exception, row: JournalRow) -> str:
    if isinstance(error, KeyError) and error.args == (row.program_version,):
        return f"programme version {row.program_version} is not published"
    return f"{type(error).__name__}: {error}"
