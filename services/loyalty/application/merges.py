"""What decisions about merges need beside the account, and which rows lie under other ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from services.loyalty.application.batch import Reads
from services.loyalty.application.store import Incoming, Loaded, Session
from services.loyalty.domain.activity import MergeAnswered, MergeReceived

MOVES: Final = (MergeAnswered, MergeReceived)
"""Bodies with which an account becomes part of another."""

Merging: TypeAlias = list[tuple[str, MergeAnswered | MergeReceived]]
"""Activities that move an account, each with the member to whom it comes."""


def among(incoming: Iterable[Incoming], reads: Reads) -> Merging:
    """Those of some messages, and of what waits and may be resumed."""
    found: Merging = []
    for item in incoming:
        body = item.activity.body
        if isinstance(body, MOVES):
            found.append((item.member, body))
    for (member, _), (body, _) in reads.parked.items():
        if isinstance(body, MOVES):
            found.append((member, body))
    return found


def absorbed(accounts: Mapping[str, Loaded], merging: Merging) -> dict[str, list[str]]:
    """By member, other ids by which orders may be known, of which no unique key tells: those of
    accounts that became part of this one, or are about to.
    """
    found = {
        member: list(ids)
        for member, loaded in accounts.items()
        if (ids := loaded.account.affairs.absorbed)
    }
    for member, body in merging:
        if isinstance(body, MergeReceived):
            ids = found.setdefault(member, [])
            ids += [body.from_member, *body.state.affairs.absorbed]
    return found


def elsewhere(reads: Reads, named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same orders, or lots, under other ids of their members."""
    for member, name in named if reads.absorbed else ():
        for other in reads.absorbed.get(member, ()):
            yield other, name


async def read_merges(session: Session, merging: Merging, reads: Reads) -> None:
    """All rows that an account takes along, what members got for enrolling, and the profiles of
    those who come.
    """
    leaving = [member for member, body in merging if isinstance(body, MergeAnswered)]
    if leaving:
        reads.history |= await session.load_all_history(leaving)
        reads.lots |= await session.load_lots_of(leaving)
    reads.given = await session.load_welcomes([member for member, _ in merging])
    others = {body.from_member for _, body in merging if isinstance(body, MergeReceived)}
    if others:
        reads.profiles = await session.load_accounts(sorted(others))


async def codes_now(session: Session, owners: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """By code, who has it now, and the status of that account: a merged member's code is that of
    the member whose account took that one over.
    """
    asked = dict(owners)
    known: dict[str, Loaded] = {}
    while missing := sorted(set(asked.values()) - known.keys()):
        known |= await session.load_accounts(missing)
        asked = {code: known[each].account.merged_into or each for code, each in asked.items()}
    return {code: (member, known[member].account.status) for code, member in asked.items()}
