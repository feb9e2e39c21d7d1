"""Finding the one message that spoils a batch, without giving up any other.

A batch that fails for what it holds is halved until the culprit stands alone; a batch that fails
because the world is broken stays whole and waits. Halves are prefixes in the order drawn, so what
is recorded of a partition is always a prefix of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import TypeVar

import asyncpg
from aiokafka.errors import KafkaError

from services.events.halt import Fenced, Halted
from services.loyalty.application.clock import ClockNotSet
from services.loyalty.application.programs import NoProgram
from services.loyalty.application.record import Contended
from services.loyalty.application.store import AlreadyRecorded

T = TypeVar("T")

REDOS = 5
"""How often a batch is redone because of a unique key before its messages are doubted."""


class Unready(Exception):
    """This process is not fit to judge messages; none of them is to blame."""


_WAIT_FOR = (
    Fenced,
    Halted,
    Unready,
    Contended,
    NoProgram,
    ClockNotSet,
    KafkaError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    MemoryError,
)


class Fate(Enum):
    """What an error says about the batch that met it."""

    SPLIT = "a message of it is to blame"
    REDO = "somebody was faster: read again and do it once more"
    WAIT = "the world is broken, or the work is no longer ours"


def fate_of(error: Exception) -> Fate:
    """The fate of a batch that met ``error``."""
    if isinstance(error, AlreadyRecorded):
        return Fate.REDO
    if isinstance(error, asyncpg.PostgresError):
        return _fate_of_state(error.sqlstate or "")
    if isinstance(error, _WAIT_FOR):
        return Fate.WAIT
    return Fate.SPLIT  # an exception of decide, or of writing down what it decided


def _fate_of_state(sqlstate: str) -> Fate:
    if sqlstate == asyncpg.UniqueViolationError.sqlstate:
        return Fate.REDO
    return Fate.SPLIT if sqlstate[:2] in ("22", "23") else Fate.WAIT


async def settle(
    batch: Sequence[T],
    attempt: Callable[[Sequence[T]], Awaitable[None]],
    give_up: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """Attempts a batch, in halves where a message of it is to blame, and gives up single messages.

    Raises:
        Exception: whatever ``attempt`` raised that no message is to blame for; prefixes that were
            recorded by then stay recorded.
    """
    error = await _attempted(batch, attempt)
    if error is None:
        return
    if len(batch) == 1:
        await give_up(batch[0], error)
        return
    middle = len(batch) // 2
    await settle(batch[:middle], attempt, give_up)
    await settle(batch[middle:], attempt, give_up)


async def _attempted(
    batch: Sequence[T], attempt: Callable[[Sequence[T]], Awaitable[None]]
) -> Exception | None:
    """None, or the error that a message of the batch is to blame for."""
    redone = 0
    while True:
        try:
            await attempt(batch)
        except Exception as error:
            fate = fate_of(error)
            if fate is Fate.WAIT:
                raise
            if fate is Fate.SPLIT or redone == REDOS:
                return error
            redone += 1
        else:
            return None
