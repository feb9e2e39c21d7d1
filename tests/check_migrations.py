"""Runs all migrations on an empty PostgreSQL, then asks Alembic whether the tables agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.loyalty.db import migrate
from tests.postgres import find_postgres


def main() -> int:
    source = find_postgres()
    with source.running() as url:
        print(f"PostgreSQL {source.described}: at {migrate.upgrade(url)}")
        alembic = Path(sys.executable).with_name("alembic")
        environment = os.environ | {"LOYALTY_DATABASE_URL": url}
        return subprocess.run([alembic, "check"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
