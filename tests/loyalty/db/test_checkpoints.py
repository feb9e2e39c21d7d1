"""A checkpoint tells of every chain that was cut or rewritten, and proves every row to anybody."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.loyalty.db import checkpoints
from services.loyalty.db.journal import COLUMNS, journal_row
from services.loyalty.db.proofs import NotCovered, prove
from services.loyalty.db.session import PgSession
from services.loyalty.db.verify import Verdict, verify
from services.loyalty.domain.calendar import DAY, HOUR
from services.loyalty.domain.chain import GENESIS, link
from services.loyalty.domain.checkpoint import Checkpoint, is_signed_by, signed
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.proof import NotProven, check
from tests.loyalty.db.handmade import START, bought, lived, opened, parked, rewarded

KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"a key of the tests").digest())
MEMBERS = ["ada", "bob", "cyd", "dan", "eve"]
MIDNIGHT = START - START % DAY


async def made(connection: asyncpg.Connection, at: int = START) -> Checkpoint:
    return await checkpoints.make(connection, KEY, at=at)


async def held_against(connection: asyncpg.Connection, checkpoint: Checkpoint) -> Verdict:
    async def further(verdict: Verdict) -> None:
        await checkpoints.compare(connection, checkpoint, verdict)

    return await verify(connection, further=further)


@pytest.fixture
async def first(session: PgSession) -> Checkpoint:
    """Two purchases of five members, a checkpoint, and one purchase more of two."""
    await opened(session, "nobody")
    await lived(session, MEMBERS, bought("1"), bought("2"))
    checkpoint = await made(session.connection)
    await lived(session, MEMBERS[1:3], bought("3"))
    return checkpoint


@pytest.fixture
async def free_hand(owner: asyncpg.Connection) -> asyncpg.Connection:
    """A superuser whom no trigger stops."""
    await owner.execute("SET session_replication_role = replica")
    return owner


async def test_a_checkpoint_counts_whom_anything_happened_to_and_is_signed(
    connection: asyncpg.Connection, first: Checkpoint
) -> None:
    assert (first.number, first.incarnation, first.count, first.activities) == (1, 1, 5, 10)
    assert first.at == "2010-12-01T08:06:00Z"
    assert is_signed_by(first, KEY.public_key())
    assert await checkpoints.load(connection, 1) == first
    assert await checkpoints.load(connection, 2) is None


async def test_nothing_of_a_checkpoint_can_be_changed_under_its_signature(
    first: Checkpoint,
) -> None:
    for name, value in {"number": 2, "at": "2011", "count": 4, "root": "0" * 64}.items():
        changed = msgspec.structs.replace(first, **{name: value})
        assert not is_signed_by(changed, KEY.public_key())
    assert not is_signed_by(first, Ed25519PrivateKey.generate().public_key())
    assert not is_signed_by(msgspec.structs.replace(first, signature="rubbish"), KEY.public_key())


async def test_it_is_handed_to_the_relay_in_its_own_transaction(
    connection: asyncpg.Connection, first: Checkpoint
) -> None:
    rows = await connection.fetch("SELECT seq, data FROM outbox WHERE type LIKE '%checkpoint%'")
    assert [row[0] for row in rows] == [first.number]
    assert msgspec.json.decode(rows[0][1], type=Checkpoint) == first


async def test_heads_are_kept_only_of_chains_that_have_grown(
    connection: asyncpg.Connection, first: Checkpoint
) -> None:
    second = await made(connection)
    third = await made(connection)
    assert third.root == second.root != first.root
    kept = await connection.fetch("SELECT number, count(*) FROM checkpoint_head GROUP BY 1")
    assert dict(kept) == {1: 5, 2: 2}
    async with connection.transaction():
        seqs = [[seq async for _, seq, _ in checkpoints.heads(connection, n)] for n in (1, 2, 3)]
    assert seqs == [[2, 2, 2, 2, 2], [2, 3, 3, 2, 2], [2, 3, 3, 2, 2]]


async def test_the_first_look_of_a_day_makes_its_checkpoint(
    connection: asyncpg.Connection,
) -> None:
    looks = [MIDNIGHT, MIDNIGHT + HOUR, MIDNIGHT + DAY - 1, MIDNIGHT + DAY, MIDNIGHT + 3 * DAY]
    found = [await checkpoints.make_daily(connection, KEY, at=at) for at in looks]
    assert [each and each.number for each in found] == [1, None, None, 2, 3]


async def test_untouched_books_hold_against_every_checkpoint(
    connection: asyncpg.Connection, first: Checkpoint
) -> None:
    for checkpoint in (first, await made(connection)):
        verdict = await held_against(connection, checkpoint)
        assert verdict.sound, verdict.first
        assert f"up to checkpoint {checkpoint.number}" in verdict.checked[-1]
        assert f"after checkpoint {checkpoint.number}" in verdict.not_checked


async def cut(hand: asyncpg.Connection, member: str, to: int) -> None:
    """Takes the end of a member's history away, so that nothing else shows it."""
    for table in ("journal", "ledger", "outbox"):
        await hand.execute(f"DELETE FROM {table} WHERE member_id = $1 AND seq > $2", member, to)
    await hand.execute(
        "UPDATE account SET seq = $2, head = (SELECT link FROM journal WHERE member_id = $1"
        " AND seq = $2) WHERE member_id = $1",
        member,
        to,
    )


async def relinked(hand: asyncpg.Connection, member: str) -> None:
    """Computes a member's chain anew, as a forger with all tools would."""
    head = GENESIS
    rows = await hand.fetch(
        f"SELECT {', '.join(COLUMNS)} FROM journal WHERE member_id = $1 ORDER BY seq", member
    )
    for row in rows:
        entries = await hand.fetch(
            "SELECT kind, currency, points, from_bucket, to_bucket, lot_from, lot_to, cause,"
            " order_id FROM ledger WHERE member_id = $1 AND seq = $2 ORDER BY n",
            member,
            row[1],
        )
        head = link(head, journal_row(row), [LedgerEntry(*entry) for entry in entries])
        await hand.execute(
            "UPDATE journal SET link = $3 WHERE member_id = $1 AND seq = $2", member, row[1], head
        )
    await hand.execute("UPDATE account SET head = $2 WHERE member_id = $1", member, head)


@pytest.mark.tampered
async def test_a_tail_that_was_cut_is_found(
    connection: asyncpg.Connection, free_hand: asyncpg.Connection, first: Checkpoint
) -> None:
    await cut(free_hand, "dan", 1)
    verdict = await held_against(connection, first)
    named = [wrong for wrong in verdict.wrong if wrong.what == "link at checkpoint 1"]
    assert [(wrong.member, wrong.seq, wrong.found) for wrong in named] == [("dan", 2, None)]


@pytest.mark.tampered
async def test_a_history_that_was_rewritten_with_all_its_links_is_found(
    connection: asyncpg.Connection, free_hand: asyncpg.Connection, first: Checkpoint
) -> None:
    await free_hand.execute("UPDATE journal SET reason = 'x' WHERE member_id = 'cyd' AND seq = 1")
    await relinked(free_hand, "cyd")
    assert (await verify(connection)).sound
    verdict = await held_against(connection, first)
    assert verdict.first is not None
    assert (verdict.first.member, verdict.first.seq) == ("cyd", 2)


@pytest.mark.tampered
@pytest.mark.parametrize(
    "forged",
    [
        "UPDATE checkpoint_head h SET head = link FROM journal j"
        " WHERE h.member_id = j.member_id AND h.seq = j.seq",
        "DELETE FROM checkpoint_head WHERE member_id = 'cyd'",
        "INSERT INTO checkpoint_head VALUES ('zoe', 1, 1, sha256('x'))",
        "TRUNCATE checkpoint_head",
    ],
)
async def test_whoever_also_forges_what_we_kept_of_it_fails_at_the_root(
    connection: asyncpg.Connection, free_hand: asyncpg.Connection, first: Checkpoint, forged: str
) -> None:
    await free_hand.execute("UPDATE journal SET reason = 'x' WHERE member_id = 'cyd' AND seq = 1")
    await relinked(free_hand, "cyd")
    await free_hand.execute(forged)
    verdict = await held_against(connection, first)
    assert verdict.wrong[-1].what == "chains and root of checkpoint 1"


async def test_every_row_under_a_checkpoint_can_be_proven_to_anybody(
    session: PgSession, connection: asyncpg.Connection, first: Checkpoint
) -> None:
    await lived(session, ["bob"], parked, rewarded)
    await made(connection)
    rows = await connection.fetch("SELECT member_id, seq, kind FROM journal")
    for member, seq, kind in rows:
        proof = await prove(connection, member, seq)
        row, _, entries = check(proof, KEY.public_key())
        assert (row[0], row[1], row[2]) == (member, seq, kind)
        assert len(entries) == (2 if kind == "purchase" else 0)
        assert proof.checkpoint.number == (1 if seq <= 2 else 2)
    later = await prove(connection, "bob", 1, 2)
    assert (later.checkpoint.number, len(later.rows)) == (2, 5)
    assert check(later, KEY.public_key())


async def test_what_no_checkpoint_covers_cannot_be_proven(
    connection: asyncpg.Connection, first: Checkpoint
) -> None:
    asked: Sequence[tuple[str, int, int | None, str]] = [
        ("bob", 3, None, "no checkpoint covers seq 3"),
        ("bob", 3, first.number, "covers member bob up to seq 2"),
        ("bob", 0, None, "up to seq 2"),
        ("zoe", 1, first.number, "covers member zoe up to seq 0"),
        ("bob", 1, 9, "there is no checkpoint 9"),
    ]
    for member, seq, number, said in asked:
        with pytest.raises(NotCovered, match=said):
            await prove(connection, member, seq, number)


async def test_a_proof_that_was_changed_proves_nothing(
    connection: asyncpg.Connection, first: Checkpoint
) -> None:
    proof, public = await prove(connection, "cyd", 1), KEY.public_key()
    other = await prove(connection, "dan", 1)
    mine = Ed25519PrivateKey.generate()
    changes: list[dict[str, Any]] = [
        {"rows": [proof.rows[0].replace('"points",40', '"points",41'), *proof.rows[1:]]},
        {"rows": proof.rows[:1]},
        {"rows": proof.rows[::-1]},
        {"rows": ["{}", *proof.rows[1:]]},
        {"rows": other.rows},
        {"seq": 2},
        {"member": "dan"},
        {"index": proof.index + 1},
        {"path": proof.path[1:]},
        {"path": other.path},
        {"previous": other.rows[0]},
        {"checkpoint": msgspec.structs.replace(first, root="0" * 64)},
        {"checkpoint": signed(msgspec.structs.replace(first, count=9), mine)},
    ]
    for change in changes:
        with pytest.raises(NotProven):
            check(msgspec.structs.replace(proof, **change), public)
    check(replace_nothing(proof), public)


def replace_nothing(proof: Any) -> Any:
    """The proof as it comes out of a file."""
    return msgspec.json.decode(msgspec.json.encode(proof), type=type(proof))
