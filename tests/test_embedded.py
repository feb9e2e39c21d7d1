"""The embedded parts start from nothing and leave nothing, however their owner ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from services.embedded import (
    EmbeddedPartFailed,
    MockBroker,
    PostgresServer,
    embedded,
    postgres,
    programs_from_wheel,
)
from services.guard import wait_until

OWNER = """
import asyncio, sys
from pathlib import Path
from services.embedded import embedded

async def main():
    async with embedded({"things": 1}, below=Path(sys.argv[1])) as parts:
        print(parts.database_url, parts.kafka_bootstrap, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def left_in(directory: Path) -> list[str]:
    return os.listdir(directory)


def processes_in(directory: Path) -> list[str]:
    """Command lines of processes that name the directory, by the system's own list."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if f"{directory}/" in line]


async def test_the_parts_work_and_go_with_their_context(below: Path) -> None:
    async with embedded({"things": 3}, below=below) as parts:
        connection = await asyncpg.connect(parts.database_url)
        assert connection.get_server_version().major == 18
        await connection.close()
        producer = AIOKafkaProducer(bootstrap_servers=parts.kafka_bootstrap)
        await producer.start()
        assert await producer.partitions_for("things") == {0, 1, 2}
        await producer.send_and_wait("things", b"one")
        await producer.stop()
    assert not listens(place(parts.database_url))
    assert not listens(parts.kafka_bootstrap)
    assert left_in(below) == []
    assert processes_in(below) == []


async def test_an_error_inside_takes_them_down_too(below: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with postgres(below=below) as url:
            raise ZeroDivisionError
    assert not listens(place(url))
    assert left_in(below) == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_they_go_when_their_owner_is_ended_from_outside(below: Path, end: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(below)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    database_url, bootstrap = owner.stdout.readline().split()
    assert listens(bootstrap)
    owner.send_signal(end)
    assert owner.wait(timeout=10) != 0
    owner.stdout.close()
    assert wait_until(lambda: not left_in(below), seconds=10)
    assert wait_until(lambda: not processes_in(below), seconds=10)
    assert not listens(place(database_url))
    assert not listens(bootstrap)


async def test_one_run_knows_nothing_of_the_one_before(below: Path) -> None:
    for _ in range(2):
        async with postgres(below=below) as url:
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE TABLE only_once ()")
            await connection.close()


def test_programs_in_a_closed_home_are_copied_out_of_it(below: Path) -> None:
    installed = programs_from_wheel().parent
    package, home = installed.parent, below / "home"
    home.mkdir(mode=0o700)
    shutil.copytree(installed, home / package.name / installed.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    server = PostgresServer(home / package.name / installed.name / "bin", below=below)
    server.wait_until_ready()
    server.stop()
    assert left_in(below) == ["home"]


def test_programs_that_do_not_start_say_why_in_one_line(below: Path) -> None:
    (below / "bin").mkdir(mode=0o755)
    for name in ("initdb", "postgres"):
        program = below / "bin" / name
        program.write_text("#!/bin/sh\necho no room left >&2\ntest $1 = --version\n")
        program.chmod(0o755)
    server = PostgresServer(below / "bin", below=below)
    with pytest.raises(EmbeddedPartFailed, match=r"does not start: no room left$"):
        server.wait_until_ready()
    assert left_in(below) == ["bin"]


async def test_a_broker_forgets_when_it_closes_and_closes_once() -> None:
    broker = MockBroker({"things": 2})
    assert listens(broker.bootstrap)
    broker.close()
    broker.close()
    assert not await asyncio.to_thread(listens, broker.bootstrap)
