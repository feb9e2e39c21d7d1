"""Runs a command against PostgreSQL and Kafka that live only as long as it does.

`python -m tests.parts loyalty bench` finds both as the tests do, but lets PostgreSQL keep its word
after a crash: figures of a server that does not write are nobody's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.embedded import PostgresServer
from tests.kafka import find_kafka
from tests.postgres import as_login, find_postgres, make_template


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """The settings that name both parts, while they run."""
    postgres, kafka = find_postgres(), find_kafka()
    print(f"PostgreSQL {postgres.described}; Kafka {kafka.described}", file=sys.stderr)
    if not kafka.real or postgres.programs is None:
        sys.exit("tests.parts: needs Apache Kafka (see .ci/run) and PostgreSQL's programs")
    server = PostgresServer(postgres.programs, durable=True)
    try:
        server.wait_until_ready()
        make_template(server.url)
        with kafka.running(gathers_ms=3000) as bootstrap:  # as Kafka does by default
            yield {
                "LOYALTY_MIGRATION_DATABASE_URL": server.url,
                "LOYALTY_DATABASE_URL": as_login(server.url),
                "LOYALTY_KAFKA_BOOTSTRAP": bootstrap,
            }
    finally:
        server.stop()


def main() -> int:
    command = sys.argv[1:]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    with running() as settings:
        return subprocess.run(command, env=os.environ | settings, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
