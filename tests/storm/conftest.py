"""A deployment with a published programme, empty topics and quick rebalances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer

from services.events.broker import Kafka, started
from services.events.database import Database as Books
from services.loyalty.db import connect
from services.loyalty.db.session import PgSession
from tests.conftest import KAFKA
from tests.events.conftest import PROGRAMME, Shop, recreate_topics
from tests.postgres import Database
from tests.storm.deployment import Deployment
from tests.storm.storefront import Storefront

_PUBLISH = """
    INSERT INTO program_version (version, holds_from, published_at, document, digest, published_by)
    VALUES (1, '2010-12-01', '2010-11-01', $1, 'as bundled', 'tests')
"""

_BEAR_WITNESS = """
    CREATE TABLE witness (LIKE outbox);
    CREATE FUNCTION bear_witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO public.witness SELECT NEW.*; RETURN NULL; END $$;
    CREATE TRIGGER bear_witness AFTER INSERT ON outbox
        FOR EACH ROW EXECUTE FUNCTION bear_witness();
    CREATE TABLE went_back (LIKE position);
    CREATE FUNCTION goes_back() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO public.went_back SELECT NEW.*; RETURN NULL; END $$;
    CREATE TRIGGER goes_back AFTER UPDATE ON position
        FOR EACH ROW WHEN (NEW.position < OLD.position) EXECUTE FUNCTION goes_back();
"""
"""Notes every row that ever enters the outbox, whence the relay deletes it, and every position that
is set back, as only a worker would that was not fenced.
"""


@pytest.fixture
async def deployment(
    database: Database, kafka_bootstrap: str, pytestconfig: pytest.Config, tmp_path: Path
) -> AsyncIterator[Deployment]:
    kafka = Kafka({"bootstrap_servers": kafka_bootstrap})
    await recreate_topics(kafka)

    async def opened(purpose: str) -> Any:
        return await connect.connect(database.url, purpose=purpose)

    shop = Shop(kafka, Books(opened, PgSession), database.owner_url)
    settings = {
        "DATABASE_URL": database.url,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "WORKER_GROUP": f"storm-{uuid4().hex[:8]}",
        # Six seconds are the least that a broker which is not ours to configure allows.
        "WORKER_SESSION": "6s" if pytestconfig.stash[KAFKA].bootstrap else "3s",
    }
    producer = AIOKafkaProducer(**kafka.options, acks="all")
    async with (
        started(kafka, producer),
        asyncpg.create_pool(database.owner_url, min_size=1, max_size=4) as pool,
    ):
        await pool.execute(_PUBLISH, PROGRAMME.read_text())
        await pool.execute(_BEAR_WITNESS)
        made = Deployment(shop, database, tmp_path, producer, pool, settings)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
async def storefront(deployment: Deployment) -> AsyncIterator[Storefront]:
    code, key, wrong = await deployment.run("keys", "create", "storefront")
    assert code == 0, wrong
    limits = httpx.Limits(max_connections=120)
    async with httpx.AsyncClient(timeout=10, limits=limits) as client:
        yield Storefront(client, key.strip())
