"""Waiting that a stop ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_S = 3.0
"""Seconds in which a part may finish what it has begun once it shall stop."""


async def pause(stop: asyncio.Event, seconds: float, *, wake: asyncio.Event | None = None) -> None:
    """Returns after ``seconds``, or as soon as ``stop`` or ``wake`` is set."""
    events = [stop] if wake is None else [stop, wake]
    waiters = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()


async def unless_stopped(
    stop: asyncio.Event, work: Awaitable[T], *, grace_s: float = 0
) -> T | None:
    """What ``work`` answers; None where ``stop`` comes first, which ends it after ``grace_s``."""
    task: asyncio.Future[T] = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    either: list[asyncio.Future[Any]] = [task, stopping]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if grace_s and not task.done():
            await asyncio.wait({task}, timeout=grace_s)
        return task.result() if task.done() else None
    finally:
        stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
