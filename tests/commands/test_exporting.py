"""What is exported comes back as it was: the same files again, from an empty database."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from services.loyalty.application.opening_columns import FILES
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import DAY, to_datetime
from tests import postgres
from tests.commandline import Done, Loyalty
from tests.commands.test_importing import EXAMPLE
from tests.commands.test_operations import Shop
from tests.commands.test_operations import shop as shop  # noqa: PLC0414  a fixture
from tests.loyalty.db.half_a_year import DOCUMENT, MEMBERS, START, live
from tests.postgres import Database, books_must_balance

NOW = START + 176 * DAY
_PUBLISH = (
    "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
    " published_by) VALUES (1, $1, $1, $2, 'd', 'ann')"
)


async def _now(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO clock (id, now) VALUES (1, $1)", to_datetime(NOW))
    finally:
        await connection.close()


@pytest.fixture
async def lives(database: Database) -> None:
    """Half a year of members, and what was due since."""
    async with connected(database.url, purpose="test") as connection:
        await live(PgSession(connection))
    await _now(database.owner_url)


@pytest.fixture
async def empty(database_template: str) -> AsyncIterator[Database]:
    """Another database, with the programme and nobody."""
    made = await postgres.clone_template(database_template, f"loyalty_{uuid4().hex}")
    connection = await asyncpg.connect(made.owner_url)
    try:
        await connection.execute(_PUBLISH, to_datetime(START - DAY), DOCUMENT)
    finally:
        await connection.close()
    await _now(made.owner_url)
    yield made
    await books_must_balance(made)
    await postgres.drop(database_template, made)


def _told(folder: Path) -> dict[str, list[dict[str, str]]]:
    return {
        file: list(csv.DictReader((folder / f"{file}.csv").read_text("utf-8").splitlines()))
        for file in FILES
    }


def _deferred(told: dict[str, list[dict[str, str]]]) -> dict[tuple[str, str], Decimal]:
    """What is deferred of each month, by funding."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in told["consideration"]:
        sums[row["earned"], row["funding"]] += Decimal(row["amount"])
    return dict(sums)


@pytest.mark.usefixtures("lives")
def test_whoever_is_exported_comes_back_as_they_were(
    loyalty: Loyalty, database: Database, empty: Database, tmp_path: Path
) -> None:
    def types(where: Database, *arguments: str) -> Done:
        done = loyalty(*arguments, DATABASE_URL=where.url, CLOCK="row")
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done

    first, second = tmp_path / "first", tmp_path / "second"
    told = json.loads(types(database, "export", str(first), "--json").stdout)
    assert told["members"] == len(MEMBERS)
    rows = _told(first)
    assert all(rows[file] for file in FILES if file not in ("tiers", "counters")), rows
    came = types(empty, "import", str(first), "--json").stdout
    points = json.loads(came)["points"]
    assert {name: dict(each) for name, each in points.items()} == told["points"]
    again = json.loads(types(empty, "export", str(second), "--json").stdout)
    assert again["points"] == told["points"]
    other = _told(second)
    assert _deferred(other) == _deferred(rows)  # a penny may lie with another member
    assert other | {"consideration": []} == rows | {"consideration": []}
    types(empty, "replay")
    reported = json.loads(types(empty, "books", "report", "--json").stdout)
    assert reported["proof"]["foots"]


def test_the_files_are_for_their_owner_alone_and_overwrite_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    folder = tmp_path / "before"
    shutil.copytree(EXAMPLE, folder)
    assert shop.types("import", str(folder)).returncode == 0
    done = shop.types("export", str(tmp_path / "after"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'after'}: 3 members\n  points arrears: -35\n")
    made = sorted((tmp_path / "after").iterdir())
    assert [path.name for path in made] == sorted(f"{file}.csv" for file in FILES)
    assert {oct(os.stat(path).st_mode & 0o777) for path in made} == {"0o600"}
    refused = shop.types("export", str(tmp_path / "after"))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    shop.erases("12346")
    told = json.loads(shop.types("export", str(tmp_path / "later"), "--json").stdout)
    assert told["left_out"] == {"accounts that are erased": 1}
    assert told["members"] == 2
    [ann] = [row for row in _told(tmp_path / "after")["members"] if row["member_id"] == "17850"]
    assert (ann["tier"], ann["tier_basis"], ann["born_on"]) == ("silver", "2010-12", "1980-02-29")
