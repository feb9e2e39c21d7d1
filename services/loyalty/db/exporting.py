"""Reading all members for an export: from one snapshot, each brought up to now in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date

import asyncpg

from services.loyalty.application.batch import Batch
from services.loyalty.application.exporting import (
    EXPORTED,
    Leaver,
    may_come_back,
    windows_named,
)
from services.loyalty.application.facts import read_facts
from services.loyalty.application.programs import Programs
from services.loyalty.db.session import PgSession
from services.loyalty.domain.account import Account
from services.loyalty.domain.books import WINDOW_PREFIX
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.receipt import Receipt, decode_receipt

_CHUNK = 1000
_NEXT = "SELECT member_id, status FROM account WHERE member_id > $1 ORDER BY member_id LIMIT $2"
_RECEIPTS = "SELECT member_id, doc FROM receipt WHERE member_id = ANY($1::text[])"
_PROFILES = "SELECT member_id, born_on, language FROM profile WHERE member_id = ANY($1::text[])"


async def accounts_now(
    session: PgSession, programs: Programs, now: Instant
) -> AsyncIterator[tuple[list[str], Batch]]:
    """Members of every status in the order of their ids, some at a time, as they are at an instant:
    what is due by then is decided in memory.
    """
    last = ""
    while rows := await session.connection.fetch(_NEXT, last, _CHUNK):
        last = rows[-1][0]
        accounts = await session.load_accounts([row[0] for row in rows])
        reads = await read_facts(session, programs, now, accounts)
        batch = Batch(programs, now, accounts, reads)
        members = sorted(accounts)
        for member in members:
            batch.catch_up(member, now)
        yield members, batch


async def leavers(
    session: PgSession, programs: Programs, now: Instant, left_out: Counter[str]
) -> AsyncIterator[list[Leaver]]:
    """Members to be exported, some at a time; those who are not are counted by their status. Only
    inside a transaction that sees one snapshot.
    """
    async for members, batch in accounts_now(session, programs, now):
        accounts = {member: batch.account(member) for member in members}
        for account in accounts.values():
            if account.seq and account.status not in EXPORTED:
                what = "pools" if account.status == "pool" else account.status
                left_out[f"accounts that are {what}"] += 1
                left_out[f"points of accounts that are {what}"] += sum(
                    lot.points for lot in account.lots
                )
        chosen = [member for member in members if accounts[member].status in EXPORTED]
        receipts = await _receipts(session.connection, {m: accounts[m] for m in chosen})
        for write in batch.writes():
            for decided in write.decided:
                changed = {each.order: each for each in decided.decision.receipts}
                receipts[write.loaded.member] |= changed
        yield await _leavers(session, programs, now, {m: accounts[m] for m in chosen}, receipts)


async def _leavers(
    session: PgSession,
    programs: Programs,
    now: Instant,
    accounts: dict[str, Account],
    receipts: dict[str, dict[str, Receipt]],
) -> list[Leaver]:
    program = programs.at(now)
    kept = {
        member: [
            each for each in receipts[member].values() if may_come_back(program, account, each, now)
        ]
        for member, account in accounts.items()
    }
    keys = [
        (member, key)
        for member, account in accounts.items()
        for key in sorted(set(windows_named(account, kept[member])))
    ]
    history = await session.load_history(keys)
    profiles = await _profiles(session.connection, list(accounts))
    found: list[Leaver] = []
    for member, account in accounts.items():
        windows = {
            key.removeprefix(WINDOW_PREFIX): history[member, key][1]
            for whose, key in keys
            if whose == member and (member, key) in history
        }
        born_on, language = profiles.get(member, (None, None))
        found.append(Leaver(member, account, kept[member], windows, born_on, language or ""))
    return found


async def _receipts(
    connection: asyncpg.Connection, accounts: Mapping[str, Account]
) -> defaultdict[str, dict[str, Receipt]]:
    """By member and order, those of accounts too that became part of the member's, as far as they
    do not go on there.
    """
    ids = {member: [member, *account.affairs.absorbed] for member, account in accounts.items()}
    named = [each for known in ids.values() for each in known]
    made: defaultdict[str, dict[str, Receipt]] = defaultdict(dict)
    for member, doc in await connection.fetch(_RECEIPTS, named):
        receipt = decode_receipt(doc)
        made[member][receipt.order] = receipt
    found: defaultdict[str, dict[str, Receipt]] = defaultdict(dict)
    for member, known in ids.items():
        for each in reversed(known):
            found[member] |= made[each]
    return found


async def _profiles(
    connection: asyncpg.Connection, members: Sequence[str]
) -> dict[str, tuple[date | None, str | None]]:
    rows = await connection.fetch(_PROFILES, members)
    return {row[0]: (row[1], row[2]) for row in rows}
