"""Why a command ended: known exceptions as one line on standard error and an exit code.

This table is the only place that knows exit codes. Exceptions stand in it by name, so that naming
one does not import what raises it; ``tests/test_failures.py`` keeps the names true.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """A kind of ending: its exit code and what it means to whoever typed the command."""

    code: int
    meaning: str
    about: str = ""
    """What the line begins with, where exceptions do not say it."""


REFUSED = Ending(1, "refused, or a mistake of our own")
USAGE = Ending(2, "a setting, option or file that does not fit")
DATABASE = Ending(3, "the database is not there", about="database ")
BROKER = Ending(4, "the broker is not there, or has no such topic")
SCHEMA = Ending(5, "the database schema is behind: loyalty migrate")
PORT = Ending(6, "the port is in use")
BOOKS = Ending(7, "the books do not verify")
RECOVER = Ending(8, "refuses to run until: loyalty recover")
STOPPED = Ending(9, "stopped by the breaker, or at a position that Kafka no longer has")
INTERRUPTED = Ending(130, "interrupted")

ENDINGS = (REFUSED, USAGE, DATABASE, BROKER, SCHEMA, PORT, BOOKS, RECOVER, STOPPED, INTERRUPTED)


class PortInUse(Exception):
    """Another program listens where HTTP should; the message names address and remedy."""


class Refusal(Exception):
    """A command cannot do what it was asked to; the message is one line that says why."""


_ENDINGS: dict[str, Ending] = {
    "services.failures.PortInUse": PORT,
    "services.failures.Refusal": REFUSED,
    "services.settings.SettingsRefused": USAGE,
    "services.embedded.EmbeddedPartFailed": REFUSED,
    "services.demo.retail.BadFileError": USAGE,
    "services.demo.stage.StageFailed": REFUSED,
    "services.loyalty.db.connect.DatabaseUnavailable": DATABASE,
    "services.loyalty.db.connect.SchemaBehind": SCHEMA,
    "services.loyalty.application.clock.ClockNotSet": USAGE,
    "services.loyalty.application.programs.NoProgram": REFUSED,
    "services.loyalty.application.record.Contended": REFUSED,
    "services.loyalty.application.books.BooksRefused": REFUSED,
    "services.loyalty.application.importing.FilesChanged": REFUSED,
    "services.loyalty.db.keys.KeyRefused": REFUSED,
    "services.loyalty.db.proofs.NotCovered": REFUSED,
    "services.loyalty.domain.mistakes.ProgramMistakes": USAGE,
    "services.events.halt.BrokerUnavailable": BROKER,
    "services.events.halt.WatermarkDiffers": RECOVER,
    "services.events.halt.Halted": STOPPED,
    "aiokafka.errors.KafkaConnectionError": BROKER,
}


def ending_of(error: BaseException) -> tuple[Ending, str] | None:
    """How a command that failed so ends, with the line to print; None for a mistake of our own."""
    error = _first(error)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return INTERRUPTED, "interrupted"
    for kind in type(error).__mro__:
        if ending := _ENDINGS.get(f"{kind.__module__}.{kind.__qualname__}"):
            return ending, ending.about + " ".join(str(error).split())
    return None


def unexpected(error: BaseException) -> str:
    """The line for a mistake of our own."""
    error = _first(error)
    said = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {said} (LOYALTY_DEBUG=1 shows where)"


def _first(error: BaseException) -> BaseException:
    """What brought a group of tasks down: the first of them to fail."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
