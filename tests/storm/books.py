"""What must be true after a storm: of the books, and for a consumer of what was published."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.demo.timeline import Post
from services.events.codec import parse_event_id
from services.events.letters import NOTICE
from services.events.topics import DEAD_LETTERS, EVENTS
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.intake import read_event
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.spending import SOURCE as SPENDING
from services.loyalty.application.store import Incoming
from services.loyalty.domain.calendar import Instant, from_datetime
from tests.events.conftest import PROGRAMME
from tests.loyalty.fake_store import FakeSession, FakeStore, settled
from tests.storm.deployment import Deployment

Totals = Mapping[tuple[str, ...], int]
"""Points by member, currency, kind of entry and the buckets it moves between."""

_NOTHING: Totals = {}


@dataclass
class Folded:
    """What messages come to where nothing is shared, sent, stored or killed."""

    store: FakeStore
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def totals(self) -> Totals:
        sums: Counter[tuple[str, ...]] = Counter()
        for member, _, _, kind, currency, points, *buckets in self.store.ledger:
            sums[(member, currency, kind, *buckets[:2])] += points
        return sums

    @property
    def journal(self) -> Counter[tuple[str, ...]]:
        """Events that were taken, whatever they waited for meanwhile: member, source and id."""
        named = (row for row in self.store.journal.values() if row[12] is not None)
        return Counter((row[0], row[10], row[11]) for row in named)

    @property
    def levels(self) -> dict[str, str]:
        return {member: self.store.account(member).standing.level for member in self.store.accounts}


def fold(posts: Iterable[Post], *, now: Instant) -> Folded:
    """Decides messages in memory, one after the other as they were produced, at ``now``."""
    programme = (1, from_datetime(datetime(2010, 12, 1, tzinfo=UTC)), PROGRAMME.read_text())
    folded = Folded(FakeStore(programs=[programme]))
    session, programs, clock = FakeSession(folded.store), Programs(), FixedClock(now)
    batch: list[Incoming] = []
    for post in posts:
        try:
            batch.append(read_event(post.value, now=now, key=post.member.encode()))
        except Unacceptable as refusal:
            folded.dead[refusal.code] += 1
    for start in range(0, len(batch), 500):
        outcomes = settled(record_batch(session, programs, clock, batch[start : start + 500]))
        folded.dead["id_reused"] += sum(one.status == "id_reused" for one in outcomes)
    while settled(catch_up_due(session, programs, clock, until=now)):
        pass
    return folded


async def as_folded(deployment: Deployment, folded: Folded, *, spent: Totals = _NOTHING) -> None:
    """The books hold what the same messages come to in memory: nothing lost, nothing doubled.

    ``spent`` is what was moved over HTTP meanwhile.
    """
    assert not await deployment.rows("SELECT FROM went_back"), "a zombie was not fenced"
    rows = await deployment.rows("SELECT member_id, tier FROM account")
    _same(await dead_letters(deployment), folded.dead)
    _same(await journal(deployment), folded.journal)
    _same(await totals(deployment), {**folded.totals, **spent})
    _same({row[0]: row[1] for row in rows}, folded.levels)


def _same(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Fails with the first few differences, because the books are long."""
    places = sorted(found.keys() | expected.keys())
    wrong = [
        f"{place}: {found.get(place, 0)} instead of {expected.get(place, 0)}"
        for place in places
        if found.get(place, 0) != expected.get(place, 0)
    ]
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:10])


async def dead_letters(deployment: Deployment) -> Counter[str]:
    rows = await deployment.rows("SELECT reason, count(*) FROM dead_letter GROUP BY 1")
    return Counter(dict(map(tuple, rows)))


async def journal(deployment: Deployment) -> Counter[tuple[str, ...]]:
    rows = await deployment.rows(
        "SELECT member_id, source, event_id FROM journal"
        " WHERE event_digest IS NOT NULL AND source <> $1",
        SPENDING,
    )
    return Counter(tuple(row) for row in rows)


async def totals(deployment: Deployment) -> Totals:
    rows = await deployment.rows(
        "SELECT member_id, currency, kind, from_bucket, to_bucket, sum(points)::bigint"
        " FROM ledger GROUP BY 1, 2, 3, 4, 5"
    )
    return {tuple(row)[:5]: row[5] for row in rows}


async def books_verify(deployment: Deployment) -> None:
    """`loyalty verify` finds nothing wrong."""
    code, said, wrong = await deployment.run("verify")
    assert code == 0, said + wrong
    assert "The books balance." in said


async def heard_once(deployment: Deployment) -> int:
    """A read_committed consumer of the events, and one of the dead letters, hears every row that
    ever entered the outbox once, each member's in the order of (seq, n). Answers how many.
    """
    rows = await deployment.rows("SELECT member_id, seq, n, type, data FROM witness")
    expected: dict[tuple[str, int, int], tuple[str, object]] = {
        (member, seq, n): (kind, json.loads(data)) for member, seq, n, kind, data in rows
    }
    assert len(expected) == len(rows), "a row entered the outbox twice"
    heard: dict[tuple[str, int, int], tuple[str, object]] = {}
    last: dict[str, tuple[int, int]] = defaultdict(lambda: (-1, -1))
    for topic in (EVENTS, DEAD_LETTERS):
        for record in await deployment.shop.read(topic):
            event = json.loads(record.value)
            _, member, seq, n = parse_event_id(event["id"])
            assert last[member] < (seq, n), f"{event['id']} comes after {last[member]}"
            last[member] = seq, n
            assert (topic == DEAD_LETTERS) == (event["type"] == NOTICE)
            heard[member, seq, n] = event["type"], event["data"]
    assert heard.keys() == expected.keys(), "events were lost, or made up"
    assert heard == expected
    return len(heard)
