"""What happens to a deployment while it works: load without end, and faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.storm.deployment import POLL_S, Deployment
from tests.storm.shoppers import Shoppers

AT_ONCE = 40
BACKLOG = 400


@asynccontextmanager
async def feeding(deployment: Deployment, shoppers: Shoppers) -> AsyncIterator[None]:
    """Shoppers go on for the time of a ``with`` block, never far ahead of what is recorded."""
    over = asyncio.Event()

    async def feed() -> None:
        while not over.is_set():
            if deployment.produced - await deployment.recorded() < BACKLOG:
                await deployment.produce(shoppers.go_on(AT_ONCE))
            await asyncio.sleep(POLL_S)

    task = asyncio.create_task(feed())
    try:
        yield
    finally:
        over.set()
        await task
