"""Running parts until they are asked to stop: by a signal, or because one of them failed."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

DRAIN_S = 8.0
"""How long parts may finish what they have begun; then they are cancelled."""

HEARTBEAT_S = 5.0

Part = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Something that runs until the event is set, then finishes what it has begun and returns."""


async def run_until_stopped(parts: Mapping[str, Part], *, heartbeat: Path | None = None) -> None:
    """Runs parts side by side, by name, until SIGTERM or SIGINT, or until one of them fails.

    Raises:
        Exception: what the first part to fail raised, after the others have stopped.
    """
    asyncio.get_running_loop().set_exception_handler(_unheard)
    async with stop_on_signals() as stop, _beating(heartbeat):
        running = {asyncio.create_task(part(stop)): name for name, part in parts.items()}
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            await _drained(running)
            await stopping
    for task in running:
        if not task.cancelled() and (error := task.exception()):
            raise error


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keeps to itself what client libraries drop when they fail: one future for each message that a
    fenced producer still held. Their failure itself reaches us where we wait for it.
    """
    if context["message"] == "Future exception was never retrieved":
        log.debug("unheard: %s", context.get("exception"))
    else:
        loop.default_exception_handler(context)


async def _drained(running: Mapping[asyncio.Task[None], str]) -> None:
    _, late = await asyncio.wait(running, timeout=DRAIN_S)
    for task in late:
        log.warning("%s did not stop within %g s and is cancelled", running[task], DRAIN_S)
        task.cancel()
    await asyncio.wait(running, timeout=1)


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set; a second signal ends the process as it always would."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def asked(which: signal.Signals) -> None:
        log.info("%s: stopping", which.name)
        stop.set()
        for each in signals:
            loop.remove_signal_handler(each)

    for each in signals:
        loop.add_signal_handler(each, asked, each)
    try:
        yield stop
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


@asynccontextmanager
async def _beating(heartbeat: Path | None) -> AsyncIterator[None]:
    """Touches the file as long as this event loop turns."""
    if heartbeat is None:
        yield
        return
    beating = asyncio.create_task(_beat(heartbeat))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(heartbeat: Path) -> None:
    while True:
        await asyncio.to_thread(heartbeat.touch)
        await asyncio.sleep(HEARTBEAT_S)
