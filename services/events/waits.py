"""What can be done while something else is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from services.loyalty.application.attempt import take


@asynccontextmanager
async def in_waits(turns: Iterator[None]) -> AsyncIterator[None]:
    """Takes turns in the waits of a ``with`` block, as far as these suffice.

    Whoever needs what they do takes what is left of them, and meets again what failed here.
    """
    taking = asyncio.create_task(take(turns))
    try:
        yield
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
