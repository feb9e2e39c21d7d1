"""Health and numbers."""

from __future__ import annotations

import asyncpg
import httpx

from tests.postgres import Database


async def test_live_needs_nothing(insider: httpx.AsyncClient) -> None:
    answer = await insider.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


async def test_ready_once_a_programme_is_published(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/ready", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"database": "ok", "schema": "ok", "program": "ok"},
    }


async def test_not_ready_before_a_programme(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.json()["checks"]["program"] == "none is published"


async def test_not_ready_on_a_schema_that_is_behind(
    client: httpx.AsyncClient, database: Database
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("DELETE FROM alembic_version")
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert "loyalty migrate" in answer.json()["checks"]["schema"]
    finally:
        await owner.close()


async def test_not_ready_without_a_database(client: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await pool.close()
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.json()["checks"]["database"] == "it cannot be reached"
    answer = await client.get("/v1/members/1")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


async def test_requests_are_counted_by_route_and_never_by_member(
    insider: httpx.AsyncClient,
) -> None:
    for _ in range(3):
        await insider.get("/v1/members/secret-member")
    await insider.get("/nowhere")
    text = (await insider.get("/metrics")).text
    counted = 'method="GET",route="/v1/members/{member_id}",status="503"'
    assert f"loyalty_http_requests_total{{{counted}}} 3.0" in text
    assert 'route="none",status="404"' in text
    assert "secret-member" not in text
