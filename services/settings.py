"""What can be set: one frozen :class:`Settings` for every process, read from LOYALTY_… variables.

A variable that nobody reads and a value that does not fit are refused before anything starts, so a
misspelt name cannot pass for a default. Secrets are never printed.
"""

from __future__ import annotations

import difflib
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

PREFIX = "LOYALTY_"
_OF_THE_TESTS = ("LOYALTY_TEST_", "LOYALTY_REQUIRE_REAL", "LOYALTY_KAFKA_HOME")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class SettingsRefused(Exception):
    """The environment holds a setting that does not fit; the message is one line that names it."""


@dataclass(frozen=True)
class _Kind:
    """How a setting is written: ``read`` takes the text and raises ValueError saying what fits."""

    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


def _text(value: str) -> str:
    return value


def _integer(lowest: int, highest: int) -> _Kind:
    def read(value: str) -> int:
        if not re.fullmatch(r"\d{1,12}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"a whole number from {lowest:,} to {highest:,}")
        return int(value)

    return _Kind(read)


def _one_of(*choices: str) -> _Kind:
    def read(value: str) -> str:
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise ValueError("one of " + ", ".join(choices))

    return _Kind(read)


def _read_duration(value: str) -> timedelta:
    written = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", value)
    if written is None:
        raise ValueError("a duration like 250ms, 30s, 5m, 12h or 7d")
    return timedelta(seconds=float(written[1]) * _UNITS[written[2]])


def _write_duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    if seconds and seconds < 1:
        return f"{round(seconds * 1000)}ms"
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


def _read_database_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise ValueError("a URL like postgresql://name:password@host:5432/database")
    return value


def _write_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.password is None:
        return value
    name, place = parts.username or "", parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{name}:…@{place}").geturl()


def _read_switch(value: str) -> bool:
    if value not in {"0", "1"}:
        raise ValueError("0 or 1")
    return value == "1"


_TEXT = _Kind(_text)
_SECRET = _Kind(_text, lambda value: "…" if value else "")
_DATABASE = _Kind(_read_database_url, _write_url)
_DURATION = _Kind(_read_duration, _write_duration)
_SWITCH = _Kind(_read_switch, lambda value: str(int(value)))


def _setting(default: object, kind: _Kind, meaning: str) -> Any:
    secret = kind in (_SECRET, _DATABASE)
    return field(default=default, repr=not secret, metadata={"kind": kind, "meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting with its default. ``loyalty settings`` prints names, values and meanings."""

    database_url: str = _setting(
        "",
        _DATABASE,
        "PostgreSQL 15 or newer, as the service's own login; `run` and `demo` without it start an"
        " embedded one",
    )
    migration_database_url: str = _setting(
        "",
        _DATABASE,
        "the same database as its owner, for `migrate`; LOYALTY_DATABASE_URL if not set",
    )
    kafka_bootstrap: str = _setting(
        "",
        _TEXT,
        "Apache Kafka 3.9 or newer, as host:port,…; goes together with LOYALTY_DATABASE_URL",
    )
    kafka_security_protocol: str = _setting(
        "PLAINTEXT",
        _one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        "how brokers are spoken to: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    kafka_sasl_mechanism: str = _setting(
        "SCRAM-SHA-512",
        _one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
        "with SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    )
    kafka_sasl_username: str = _setting("", _TEXT, "with SASL: the name to log in as")
    kafka_sasl_password: str = _setting("", _SECRET, "with SASL: its password")
    kafka_ssl_ca_file: str = _setting(
        "", _TEXT, "with SSL: certificates to trust, in PEM; the system's if not set"
    )
    kafka_partitions: int = _setting(
        4, _integer(1, 10_000), "partitions of the topics that `migrate` creates"
    )
    kafka_replication: int = _setting(
        1, _integer(1, 9), "replicas of the topics that `migrate` creates; 3 in production"
    )
    http_host: str = _setting("127.0.0.1", _TEXT, "the address that HTTP listens on")
    http_port: int = _setting(8080, _integer(0, 65_535), "its port; 0 takes any that is free")
    http_connections: int = _setting(
        10, _integer(1, 1000), "connections to the database that one HTTP process keeps"
    )
    worker_group: str = _setting("loyalty", _TEXT, "the consumer group that workers share")
    worker_lanes: int = _setting(
        2, _integer(1, 32), "consumers in one worker, each with a connection and a batch in flight"
    )
    worker_session: timedelta = _setting(
        timedelta(seconds=10),
        _DURATION,
        "how long a worker may be silent before others take its partitions; the broker must allow"
        " it",
    )
    batch_size: int = _setting(
        2000, _integer(1, 20_000), "the most messages that one transaction records"
    )
    max_event_age: timedelta = _setting(
        timedelta(days=3653), _DURATION, "an event that occurred longer ago is refused"
    )
    max_event_lead: timedelta = _setting(
        timedelta(days=1),
        _DURATION,
        "an event from further ahead of our clock is refused",
    )
    max_event_bytes: int = _setting(
        1_048_576, _integer(1024, 10_485_760), "a longer message is refused unread"
    )
    breaker: int = _setting(
        100,
        _integer(1, 1_000_000),
        "dead letters in a row on one partition after which its worker stops and asks for a person",
    )
    keep_dead_letters: timedelta = _setting(
        timedelta(days=30), _DURATION, "how long dead letters keep their original bytes"
    )
    tick_wait: timedelta = _setting(
        timedelta(minutes=15),
        _DURATION,
        "the longest that due moments wait for inputs that lag behind the clock",
    )
    checkpoint_key_file: str = _setting(
        "",
        _TEXT,
        "the private key, in PEM, that signs checkpoints; with it, schedulers make one every day",
    )
    clock: str = _setting(
        "system",
        _one_of("system", "row"),
        "what time it is: the system's clock, or a row of the database (demo and tests)",
    )
    data_dir: str = _setting(
        "", _TEXT, "where embedded parts keep their files; the temporary directory if not set"
    )
    heartbeat_file: str = _setting(
        "", _TEXT, "a file that every process touches while it is well, for health checks"
    )
    log_level: str = _setting(
        "INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "DEBUG, INFO, WARNING or ERROR"
    )
    debug: bool = _setting(False, _SWITCH, "1 shows the traceback of an error that ends a command")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Reads every LOYALTY_… variable; one that is empty counts as not set.

        Raises:
            SettingsRefused: a name that is no setting, or a value that does not fit.
        """
        known = {variable(setting): setting for setting in fields(cls)}
        given = {
            name: value.strip()
            for name, value in sorted(environment.items())
            if name.startswith(PREFIX) and not name.startswith(_OF_THE_TESTS)
        }
        mistakes = [_unknown(name, known) for name in given if name not in known]
        values: dict[str, Any] = {}
        for name, setting in known.items():
            if text := given.get(name):
                try:
                    values[setting.name] = setting.metadata["kind"].read(text)
                except ValueError as error:
                    mistakes.append(f"{name} must be {error}")
        if mistakes:
            raise SettingsRefused("; ".join(mistakes))
        return cls(**values)

    @property
    def embedded(self) -> bool:
        """Neither part is named, so both are to be embedded."""
        return not self.database_url and not self.kafka_bootstrap

    @property
    def owner_url(self) -> str:
        """The database as the login that may change its schema."""
        return self.migration_database_url or self.database_url

    def kafka_options(self) -> dict[str, Any]:
        """What every Kafka client takes to find and trust the brokers, as aiokafka names it."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap,
            "security_protocol": self.kafka_security_protocol,
        }
        if self.kafka_security_protocol.endswith("SSL"):
            trusted = self.kafka_ssl_ca_file or None
            options["ssl_context"] = ssl.create_default_context(cafile=trusted)
        if self.kafka_security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_sasl_username
            options["sasl_plain_password"] = self.kafka_sasl_password
        return options


def variable(setting: Field[Any]) -> str:
    """The environment variable of a field of :class:`Settings`."""
    return PREFIX + setting.name.upper()


def settings_table(settings: Settings | None = None) -> str:
    """Every variable with its default and meaning as a Markdown table; secrets are left out.

    With ``settings`` it shows their values instead of the defaults.
    """
    column = "default" if settings is None else "value"
    rows = [f"| variable | {column} | meaning |", "|---|---|---|"]
    for setting in fields(Settings):
        value = setting.default if settings is None else getattr(settings, setting.name)
        written = setting.metadata["kind"].write(value)
        shown = f"`{written}`" if written else ""
        rows.append(f"| `{variable(setting)}` | {shown} | {setting.metadata['meaning']} |")
    return "\n".join(rows)


def _unknown(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"{name} is no setting" + (f" (did you mean {close[0]}?)" if close else "")
