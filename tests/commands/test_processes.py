"""Processes as an operator runs them: they start, say so, and stop in time when asked."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from services.embedded import free_port
from services.events.broker import Kafka
from services.guard import wait_until
from tests.events.conftest import recreate_topics
from tests.postgres import Database

ROOT = Path(__file__).resolve().parents[2]
START_S = 20.0
STOP_S = 10.0


@contextmanager
def process(*arguments: str, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, running; killed at the end if the test has not ended it."""
    environment = {name: text for name, text in os.environ.items() if "LOYALTY" not in name}
    environment |= {f"LOYALTY_{name}": text for name, text in settings.items()}
    with log.open("wb") as written:
        running = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=written,
            stderr=written,
        )
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                running.kill()
            running.wait()


def ends_in_time(running: subprocess.Popen[bytes], how: signal.Signals) -> int:
    """The exit code of a process that was asked to stop."""
    asked_at = time.monotonic()
    running.send_signal(how)
    code = running.wait(timeout=STOP_S)
    assert time.monotonic() - asked_at < STOP_S
    return code


def answer(url: str) -> tuple[int, dict[str, object]] | None:
    """Status and JSON of a URL, None where nobody answers."""
    try:
        with urlopen(url, timeout=10) as reply:  # noqa: S310  a loopback URL of our own
            return reply.status, json.load(reply)
    except HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_run_without_settings_is_a_whole_service_that_leaves_nothing(
    tmp_path: Path, below: Path, how: signal.Signals
) -> None:
    log, port = tmp_path / "log", free_port()
    with process("run", f"--port={port}", log=log, DATA_DIR=str(below)) as running:
        url = f"http://127.0.0.1:{port}/health"
        up = wait_until(lambda: answer(f"{url}/live") is not None, seconds=START_S)
        assert up, log.read_text()
        ready = answer(f"{url}/ready")
        assert ready is not None
        assert ready[0] == 503
        assert ready[1]["code"] == "not_ready"
        assert ends_in_time(running, how) == 0, log.read_text()
    assert not listens(port)
    assert os.listdir(below) == []
    said = log.read_text()
    assert "export LOYALTY_DATABASE_URL='postgresql://" in said
    assert "Traceback" not in said


@pytest.mark.real_kafka
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("serve", "listening: http://127.0.0.1:"),
        ("work", "partitions taken"),
        ("relay", "relay leads"),
        ("schedule", ""),
    ],
)
async def test_every_process_starts_beats_and_drains(
    command: str, says: str, database: Database, kafka_bootstrap: str, tmp_path: Path
) -> None:
    await recreate_topics(Kafka({"bootstrap_servers": kafka_bootstrap}))
    beat, log = tmp_path / "alive", tmp_path / "log"
    with process(
        command,
        log=log,
        DATABASE_URL=database.url,
        KAFKA_BOOTSTRAP=kafka_bootstrap,
        HEARTBEAT_FILE=str(beat),
        HTTP_PORT="0",
    ) as running:
        started = wait_until(lambda: beat.exists() and says in log.read_text(), seconds=START_S)
        assert started, log.read_text()
        assert ends_in_time(running, signal.SIGTERM) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
