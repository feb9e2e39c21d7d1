"""What the settings name, made ready to work with: here the layers are brought together."""

from __future__ import annotations

import logging
import sys
from typing import Any

from services.events.broker import Kafka
from services.events.database import Database
from services.loyalty.application.clock import Clock, RowClock, SystemClock
from services.loyalty.application.intake import Limits
from services.loyalty.db.connect import connect
from services.loyalty.db.session import PgSession
from services.settings import Settings, SettingsRefused


def database_url(settings: Settings) -> str:
    """
    Raises:
        SettingsRefused: none is set.
    """
    if not settings.database_url:
        raise SettingsRefused("LOYALTY_DATABASE_URL is not set")
    return settings.database_url


def owner_url(settings: Settings) -> str:
    """The database as the login that may change its schema.

    Raises:
        SettingsRefused: none is set.
    """
    return settings.migration_database_url or database_url(settings)


def database(settings: Settings) -> Database:
    """The database as the Kafka edge takes it."""
    url = database_url(settings)

    async def opened(purpose: str) -> Any:
        return await connect(url, purpose=purpose)

    return Database(opened, PgSession)


def kafka(settings: Settings, *, real: bool = True) -> Kafka:
    """
    Raises:
        SettingsRefused: no broker is set.
    """
    if not settings.kafka_bootstrap:
        raise SettingsRefused("LOYALTY_KAFKA_BOOTSTRAP is not set")
    session_s = settings.worker_session.total_seconds()
    return Kafka(settings.kafka_options(), real=real, session_s=session_s)


def clock(settings: Settings) -> Clock:
    """The one clock of this process."""
    return RowClock() if settings.clock == "row" else SystemClock()


def event_limits(settings: Settings) -> Limits:
    """How far an event's time may lie from the clock, and how long an event may be."""
    return Limits(
        future_us=round(settings.max_event_lead.total_seconds() * 1_000_000),
        past_us=round(settings.max_event_age.total_seconds() * 1_000_000),
        size_bytes=settings.max_event_bytes,
    )


def start_logging(settings: Settings) -> None:
    """One line per event of note on standard error; standard output is for what was asked for."""
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Rebalances and reconnections are told by our own lines, or end in an error that is ours.
    for driver in ("aiokafka", "asyncpg"):
        logging.getLogger(driver).setLevel(logging.CRITICAL)
    for told_elsewhere in ("alembic", "uvicorn"):
        logging.getLogger(told_elsewhere).setLevel(logging.WARNING)
