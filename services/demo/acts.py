"""Two short acts after the play: a worker dies in the middle, and somebody forges an entry."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from services.demo import understudy
from services.demo.script import Engagement
from services.demo.stage import PATIENCE_S, Stage, StageFailed
from services.demo.timeline import Post, posts_of
from services.loyalty.db.connect import connected
from services.loyalty.db.verify import verify
from services.loyalty.domain.calendar import HOUR, MINUTE, Instant, from_datetime, to_datetime
from services.settings import PREFIX

REVIEWERS = 300
MORNING = 9 * HOUR
FORGED = 1000
POLL_S = 0.02
MILLISECOND = 1000

_FINGERPRINT = """
SELECT md5(string_agg(concat_ws(' ', member_id, seq, encode(head, 'hex')), ',' ORDER BY member_id))
FROM account WHERE seq > 0
"""
_REVIEWERS = """
SELECT member_id FROM account WHERE status = 'active' ORDER BY md5(member_id) LIMIT $1
"""
_HELD_UP = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name LIKE 'loyalty worker%' AND wait_event_type = 'Lock'
    AND backend_xid IS NOT NULL
"""
_LOCK = "SELECT FROM account WHERE member_id = ANY($1::text[]) ORDER BY member_id FOR UPDATE"
_BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'loyalty worker%'"
_LARGEST = """
SELECT member_id, seq, n, points FROM ledger WHERE kind = 'accrual'
ORDER BY points DESC, member_id, seq, n LIMIT 1
"""
_FORGE = "UPDATE ledger SET points = points + $4 WHERE member_id = $1 AND seq = $2 AND n = $3"


@dataclass(frozen=True, slots=True)
class Killed:
    """A worker was killed while its transaction was open.

    ``unchanged_by_the_death`` and ``unchanged_by_sending_again`` compare the heads of all chains,
    which cover every row of journal and ledger.
    """

    messages: int
    unchanged_by_the_death: bool
    recorded_by_the_successor: int
    sent_again: int
    unchanged_by_sending_again: bool

    @property
    def passed(self) -> bool:
        """Nothing was lost and nothing doubled."""
        once = self.recorded_by_the_successor == self.messages
        return self.unchanged_by_the_death and once and self.unchanged_by_sending_again


@dataclass(frozen=True, slots=True)
class Forged:
    """An entry was changed by a superuser, found, and put back.

    ``refused`` is what PostgreSQL said before the superuser switched the triggers off.
    """

    member: str
    seq: int
    points: int
    forged_points: int
    refused: str
    found: str
    named_the_row: bool
    sound_again: bool

    @property
    def passed(self) -> bool:
        """The very row was named, and the books are sound again."""
        return bool(self.refused) and self.named_the_row and self.sound_again


async def kill_a_worker(stage: Stage) -> Killed:
    """The next morning, members write reviews (made up); the worker that takes them in is killed.

    Raises:
        StageFailed: the worker never came to the middle of its batch.
    """
    morning = from_datetime(await stage.owner.fetchval("SELECT now FROM clock")) + MORNING
    members = [row["member_id"] for row in await stage.owner.fetch(_REVIEWERS, REVIEWERS)]
    posts = _reviews(members, morning)
    await stage.end_work()
    before = await _fingerprint(stage.owner)
    await stage.set_clock(morning + MINUTE)
    ends = await stage.send(posts)
    async with _holding_up(stage, members):
        worker = await _understudy(stage)
        try:
            await _soon(stage.owner, _HELD_UP, 1, "the worker did not come to its batch")
            worker.send_signal(signal.SIGKILL)
        finally:
            await _gone(worker)
    await _soon(stage.owner, _BACKENDS, 0, "the dead worker's connection is still there")
    unchanged = await _fingerprint(stage.owner) == before
    stage.begin_work("successor")
    await stage.recorded(ends)
    recorded = await stage.owner.fetchval(
        "SELECT count(*) FROM journal WHERE kind = 'engagement' AND occurred_at >= $1",
        to_datetime(morning),
    )
    after = await _fingerprint(stage.owner)
    await stage.recorded(await stage.send(posts))
    same = await _fingerprint(stage.owner) == after
    await stage.published()
    return Killed(len(posts), unchanged, recorded, len(posts), same)


async def forge_an_entry(stage: Stage) -> Forged:
    """A superuser adds points to the largest accrual, past the triggers; ``verify`` is asked."""
    owner = stage.owner
    member, seq, n, points = await owner.fetchrow(_LARGEST)
    place = member, seq, n
    refused = await _refused(owner, place)
    await _forge(owner, place, FORGED)
    verdict = await verify(owner)
    await _forge(owner, place, -FORGED)
    again = await verify(owner)
    first = verdict.first
    named = first is not None and (first.member, first.seq) == (member, seq)
    return Forged(
        member, seq, points, points + FORGED, refused, str(first or "nothing"), named, again.sound
    )


def _reviews(members: Sequence[str], morning: Instant) -> list[Post]:
    return posts_of(
        [
            Engagement(member, morning + n * MILLISECOND, "product.reviewed", "22423")
            for n, member in enumerate(members)
        ]
    )


async def _fingerprint(owner: asyncpg.Connection) -> str:
    return str(await owner.fetchval(_FINGERPRINT))


@asynccontextmanager
async def _holding_up(stage: Stage, members: Sequence[str]) -> AsyncIterator[None]:
    """Locks accounts, so that a worker waits for them in the middle of its transaction."""
    url = stage.deployment.settings.database_url
    async with (
        connected(url, purpose="demo lock", role=None) as connection,
        connection.transaction(),
    ):
        await connection.fetch(_LOCK, members)
        yield


async def _understudy(stage: Stage) -> asyncio.subprocess.Process:
    """A worker in a process of its own."""
    settings = stage.deployment.settings
    ours = {
        "LOYALTY_DATABASE_URL": settings.database_url,
        "LOYALTY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "LOYALTY_CLOCK": settings.clock,
        "LOYALTY_WORKER_GROUP": "understudy",
        "LOYALTY_WORKER_LANES": "1",
    }
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        understudy.__name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=inherited | ours,
        start_new_session=True,
    )


async def _gone(worker: asyncio.subprocess.Process) -> None:
    """Returns once the process has ended, and ends it where nobody has."""
    if worker.returncode is None:
        with suppress(ProcessLookupError):
            worker.kill()
    await worker.wait()


async def _soon(owner: asyncpg.Connection, query: str, number: int, otherwise: str) -> None:
    """Returns once a count is what it should be.

    Raises:
        StageFailed: not within a minute.
    """
    for _ in range(int(PATIENCE_S / POLL_S)):
        if await owner.fetchval(query) == number:
            return
        await asyncio.sleep(POLL_S)
    raise StageFailed(f"{otherwise} within {PATIENCE_S:.0f} s")


async def _refused(owner: asyncpg.Connection, place: tuple[str, int, int]) -> str:
    """What PostgreSQL answers to whoever tries to change an entry, a superuser too."""
    try:
        await owner.execute(_FORGE, *place, FORGED)
    except asyncpg.PostgresError as error:
        return str(error).splitlines()[0]  # the rest is detail and hint
    return ""


async def _forge(owner: asyncpg.Connection, place: tuple[str, int, int], points: int) -> None:
    """Changes an entry as only a superuser can, who first switches all triggers off."""
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute(_FORGE, *place, points)
