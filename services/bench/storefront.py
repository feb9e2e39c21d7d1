"""How long a shop waits: redemptions over HTTP while a worker is saturated."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from uuid import uuid4

import httpx

from services.bench.measure import Bench, Shape, processes
from services.bench.scene import Stretch, connection, member_name
from services.embedded import free_port
from services.loyalty.application.clock import SystemClock
from services.loyalty.db.connect import connected
from services.loyalty.db.keys import create_key
from services.loyalty.db.session import PgSession

REQUESTS = 400
AT_ONCE = 4


async def waits(bench: Bench, stretch: Stretch, shape: Shape) -> dict[str, float]:
    """Milliseconds of redemptions, in the middle and at the 99th percentile of
    :data:`REQUESTS`, :data:`AT_ONCE` at a time, while workers of a shape record a stretch."""
    async with bench.databases.clone(stretch) as urls:
        async with connected(urls[1], purpose="bench") as database:
            at = await SystemClock().now(PgSession(database))
            secret = await create_key(database, "bench", ["members:write"], at=at)
        port = free_port()
        serving = bench.environment | {
            "LOYALTY_DATABASE_URL": urls[1],
            "LOYALTY_HTTP_PORT": str(port),
            "LOYALTY_LOG_LEVEL": "ERROR",
        }
        async with processes([sys.executable, "-m", "services.cli", "serve"], 1, serving):
            recording = asyncio.create_task(bench.whole(stretch, shape, urls))
            await _until_busy(urls[0], stretch)
            taken = await _redeem(f"http://127.0.0.1:{port}", secret, recording)
            await recording
    return {
        "requests": len(taken),
        "median_ms": round(statistics.median(taken), 1),
        "p99_ms": round(statistics.quantiles(taken, n=100)[98], 1),
    }


async def _until_busy(owner_url: str, stretch: Stretch) -> None:
    begin = sum(stretch.starts.values())
    async with connection(owner_url) as watcher:
        while True:
            done = await watcher.fetchval("SELECT sum(position)::bigint FROM position")
            if done - begin > stretch.messages // 10:
                return
            await asyncio.sleep(0.05)


async def _redeem(base: str, secret: str, recording: asyncio.Task[object]) -> list[float]:
    taken: list[float] = []
    async with httpx.AsyncClient(
        base_url=base, headers={"Authorization": f"Bearer {secret}"}, timeout=30
    ) as client:

        async def shopper(number: int) -> None:
            for turn in range(REQUESTS // AT_ONCE):
                if recording.done():
                    return
                member = member_name((number * 7919 + turn * 104729) % 1000)
                since = time.perf_counter()
                await client.post(
                    f"/v1/members/{member}/redemptions",
                    json={"reward": "tea-towel"},
                    headers={"Idempotency-Key": uuid4().hex},
                )
                taken.append((time.perf_counter() - since) * 1000)

        await asyncio.gather(*(shopper(number) for number in range(AT_ONCE)))
    return taken
