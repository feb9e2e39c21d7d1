"""Pools over HTTP, on real storage, with books that prove themselves at every step."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from services.events.codec import EventId, derived_bytes, read_derived
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.db.replay import replay
from services.loyalty.db.session import PgSession
from services.loyalty.db.verify import Verdict, verify
from services.loyalty.domain.bookreport import decode_report
from services.loyalty.domain.calendar import DAY, from_datetime
from tests.loyalty.http.events import bought, event, refunded
from tests.loyalty.http.test_spending import enrol
from tests.postgres import Database

_WAITING = """
    DELETE FROM outbox RETURNING recorded_at, member_id, seq, n, target, at, data
"""


class Household:
    """Members, a pool, and what travels between them."""

    def __init__(self, client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool) -> None:
        self.client = client
        self.clock = clock
        self._pool = pool
        self._programs = Programs()
        self._keys = 0

    async def asks(self, method: str, path: str, key: str = "", **wanted: Any) -> httpx.Response:
        self._keys += 1
        return await self.client.request(
            method,
            f"/v1/{path}",
            json=wanted or None,
            headers={"Idempotency-Key": key or f"k{self._keys}"},
        )

    async def tells(self, told: dict[str, Any]) -> str:
        sent = await self.client.post("/v1/activities", json=told)
        assert sent.status_code < 300, sent.text
        outcome: str = sent.json()["outcome"]
        return outcome

    async def arrives(self) -> int:
        """What the relay would carry reaches its accounts, until nothing is under way; answers how
        much that was.
        """
        count = 0
        async with self._pool.acquire() as connection:
            session = PgSession(connection)
            while relayed := sorted(await connection.fetch(_WAITING), key=lambda row: row[:4]):
                rows = [row for row in relayed if row[4] is not None]
                count += len(rows)
                messages = [
                    read_derived(
                        derived_bytes(
                            EventId(1, row[1], row[2], row[3]),
                            0,
                            row[4],
                            from_datetime(row[5]),
                            row[6],
                        ),
                        key=row[4].encode(),
                    ).incoming
                    for row in rows
                ]
                await record_batch(session, self._programs, self.clock, messages)
        return count

    async def available(self, account: str) -> int:
        shown = await self.client.get(f"/v1/members/{account}/balances")
        points: int = shown.json()["balances"][0]["available"]
        return points

    async def proves(self) -> Verdict:
        async with self._pool.acquire() as connection:
            verdict = await verify(connection)
        assert verdict.sound, verdict.first
        return verdict

    async def owed_in_transit(self) -> int:
        """As the report has it, which foots."""
        answer = await self.client.get("/v1/books/report")
        assert answer.status_code == 200, answer.text
        report = decode_report(answer.content)
        assert report.proof.foots
        [points] = [books for books in report.currencies if books.currency == "points"]
        return points.liability.in_transit


@pytest.fixture
async def household(client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool) -> Household:
    """Two members in a pool that the first has founded."""
    made = Household(client, clock, pool)
    for member in "12":
        await enrol(client, clock, member)
        asked = await made.asks(
            "PUT", f"members/{member}/pool", pool_id="smiths", founds=member == "1"
        )
        assert (asked.status_code, asked.json()["state"]) == (202, "asked")
        assert await made.arrives() == 2
    return made


async def test_a_household_earns_spends_and_returns(
    household: Household, database: Database
) -> None:
    clock = household.clock
    await household.tells(bought("1", "o1", 300, clock.at))
    verdict = await household.proves()
    assert verdict.in_transit == verdict.unrelayed == {"points": 300}
    assert await household.owed_in_transit() == 300
    await household.arrives()
    assert (await household.available("1"), await household.available("smiths")) == (100, 300)

    spent = await household.asks("POST", "pools/smiths/redemptions", reward="mug", spent_by="2")
    assert (spent.status_code, spent.json()["code"]) == (409, "may_not_spend")
    named = await household.asks("PUT", "pools/smiths/spenders", spenders=["2"], by="1")
    assert (named.status_code, named.json()["spenders"]) == (200, ["2"])
    spent = await household.asks("POST", "pools/smiths/redemptions", reward="mug", spent_by="2")
    assert (spent.status_code, spent.json()["points"]) == (201, 80)
    order = {"order_id": "o9", "amount": "40.00", "currency": "GBP"}
    held = await household.asks("POST", "pools/smiths/holds", order=order, points=100, spent_by="1")
    assert held.status_code == 201, held.text
    name = held.json()["hold"]["hold"]
    captured = await household.asks("POST", f"members/smiths/holds/{name}/captures", points=100)
    assert captured.status_code == 201, captured.text
    assert await household.available("smiths") == 120

    await household.tells(refunded("1", "o1", 300, clock.at))  # 100 of the lot are left
    verdict = await household.proves()
    assert verdict.recalled == verdict.unrelayed_recalls == {"points": 200}
    assert verdict.in_transit == {}
    assert await household.owed_in_transit() == -200
    await household.arrives()
    verdict = await household.proves()
    assert (verdict.recalled, verdict.in_transit) == ({}, {})
    shown = (await household.client.get("/v1/members/1/balances")).json()["balances"][0]
    assert (shown["available"], shown["arrears"]) == (0, 80)
    assert (await household.available("smiths"), await household.available("2")) == (0, 100)

    assert await household.owed_in_transit() == 0
    replayed = await replay(database.url)
    assert replayed.identical, replayed.first


async def test_a_pool_at_a_glance(household: Household) -> None:
    shown = (await household.client.get("/v1/pools/smiths")).json()
    assert (shown["state"], shown["owner"]) == ("open", "1")
    assert [(each["member_id"], each["may_spend"]) for each in shown["members"]] == [
        ("1", True),
        ("2", False),
    ]
    assert (await household.client.get("/v1/members/2/pool")).json()["state"] == "in"
    assert (await household.client.get("/v1/members/smiths")).json()["status"] == "pool"
    catalogue = (await household.client.get("/v1/members/smiths/rewards")).json()["catalogue"]
    why = {each["reward"]: [reason["code"] for reason in each["reasons"]] for each in catalogue}
    assert why["mug"] == ["insufficient_points"]
    assert "tier_too_low" in why["golden-pen"]
    for nobody in ("others", "1"):
        missing = await household.client.get(f"/v1/pools/{nobody}")
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_pool")


async def test_a_member_leaves_and_the_last_one_closes_the_pool(household: Household) -> None:
    await household.tells(bought("2", "o1", 50, household.clock.at))
    await household.arrives()
    left = await household.asks("DELETE", "members/1/pool")
    assert (left.status_code, left.json()["state"]) == (202, "none")
    again = await household.asks("DELETE", "members/1/pool")
    assert (again.status_code, again.json()["code"]) == (409, "in_no_pool")
    await household.arrives()
    assert (await household.client.get("/v1/pools/smiths")).json()["owner"] == "2"
    told = event("member.pool-left", "left-2", household.clock.at, member_id="2")
    assert await household.tells(told) == "accepted"
    await household.arrives()
    shown = (await household.client.get("/v1/pools/smiths")).json()
    assert (shown["state"], shown["members"]) == ("closed", [])
    assert await household.available("2") == 150
    await household.proves()


async def test_who_is_not_let_in_reads_why(household: Household) -> None:
    await enrol(household.client, household.clock, "3")
    told = event(
        "member.pool-joined", "join-3", household.clock.at, member_id="3", pool_id="nobody"
    )
    assert await household.tells(told) == "accepted"
    await household.arrives()
    shown = (await household.client.get("/v1/members/3/pool")).json()
    assert (shown["state"], shown["refused"]) == ("none", "unknown_pool")
    for name in ("3", "a@example.org"):
        wrong = await household.asks("PUT", "members/3/pool", pool_id=name)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")


async def test_who_may_not_spend_does_not_spend_the_pool_s_points_either(
    household: Household,
) -> None:
    await household.tells(bought("2", "o1", 500, household.clock.at))
    await household.arrives()
    mug = {"reward": "mug", "spent_by": "1"}
    first = await household.asks("POST", "pools/smiths/redemptions", "a", **mug)
    assert first.status_code == 201
    why = {"status": "suspended", "reason": "fraud", "actor": "agent-7"}
    assert (await household.asks("POST", "members/1/status", **why)).status_code == 201
    refused = await household.asks("POST", "pools/smiths/redemptions", **mug)
    assert (refused.status_code, refused.json()["code"]) == (409, "account_suspended")
    again = await household.asks("POST", "pools/smiths/redemptions", "a", **mug)
    assert (again.status_code, again.json()) == (201, first.json())  # what was done stays so
    for spender, code in (("9", "not_in_pool"), ("2", "may_not_spend")):
        wanted: dict[str, Any] = {"currency": "points", "points": 5, "spent_by": spender}
        told = await household.asks("POST", "pools/smiths/holds", **wanted)
        assert (told.status_code, told.json()["code"]) == (409, code)
    own = await household.asks("POST", "pools/2/redemptions", reward="mug", spent_by="2")
    assert own.json()["code"] == "not_a_pool"
    direct = await household.asks("POST", "members/smiths/redemptions", reward="mug")
    assert direct.json()["code"] == "not_in_pool"


async def test_points_in_a_pool_expire_by_the_clock(household: Household) -> None:
    await household.tells(bought("1", "o1", 50, household.clock.at))
    await household.arrives()
    household.clock.at += 200 * DAY
    assert await household.available("smiths") == 0
