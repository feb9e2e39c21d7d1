"""Closing months, reporting and approving as a person types it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.loyalty.domain.activity import Enrolled, Line, Purchased
from services.loyalty.domain.calendar import to_datetime
from tests.commandline import Done, Loyalty
from tests.loyalty.db.test_closes import EXAMPLE_52, Life, day
from tests.postgres import Database, run_sql


@pytest.fixture
async def lives(database: Database) -> None:
    async with connected(database.url, purpose="test") as connection:
        life = Life(PgSession(connection))
        await life.opens(EXAMPLE_52, day("2011-01-01"))
        life.clock = FixedClock(day("2011-01-12"))
        await life.does("m00", Enrolled())
        await life.does("m00", Purchased("o1", "GBP", [Line(1, "A", 1, 1000_00)]))
        await connection.execute(
            "INSERT INTO clock (id, now) VALUES (1, $1)", to_datetime(day("2011-02-10"))
        )


@pytest.mark.usefixtures("lives")
def test_a_month_is_closed_reported_and_verified(
    loyalty: Loyalty, database: Database, tmp_path: Path
) -> None:
    key = tmp_path / "checkpoints.pem"
    loyalty("checkpoint", "--new-key", str(key))

    def books(*typed: str) -> Done:
        return loyalty(
            "books", *typed, DATABASE_URL=database.url, CHECKPOINT_KEY_FILE=str(key), CLOCK="row"
        )

    approved = books("approve", "redemption", "points", "0.95", "--from", "2011-01-01", "--by", "A")
    assert approved.stdout == (
        "Approval 1: redemption of points is 0.95 from 2011-01-01T00:00:00Z\n"
    )
    assert "approved 2011-02-10T00:00:00Z by A" in books("approvals").stdout
    assert books("list").stdout == "No month is closed yet.\n"
    provisional = books("report", "2011-01")
    assert "known by 2011-02-10T00:00:00Z, provisional" in provisional.stdout
    assert "Foots to the ledger: 1 entries, 2 activities, 1 members" in provisional.stdout
    assert "worth 100.00 GBP" in provisional.stdout

    closed = books("close", "2011-01", "--by", "Ann Li", "--json")
    assert closed.returncode == 0, closed.stderr
    assert json.loads(closed.stdout)["closed"]["by"] == "Ann Li"
    assert books("report", "2011-01", "--json").stdout == closed.stdout
    journals = csv.DictReader(io.StringIO(books("report", "2011-01", "--csv", "journals").stdout))
    assert [(row["debit"], row["amount"]) for row in journals] == [("sales_revenue", "86.76")]
    assert "checkpoint 1  closed 2011-02-10T00:00:00Z by Ann Li" in books("list").stdout
    everything = books("report")
    assert "1970-01-01T00:00:00Z to 2011-02-10T00:00:00.000001Z" in everything.stdout

    verified = loyalty("verify", DATABASE_URL=database.url)
    assert "the report of every closed period" in verified.stdout
    for typed, code, said in (
        (("close", "2011-02", "--by", "A"), 1, "2011-02 ends only at 2011-03-01T00:00:00Z"),
        (("report", "2011-13"), 1, "2011-13 is no month like 2011-03"),
        (("report", "2011-01", "--csv", "all"), 2, "there is no table all: name one of"),
        (("report", "2011-01", "--since", "2011-01-01"), 2, "but not both"),
        (("report", "--since", "yesterday"), 2, "yesterday is neither a day"),
    ):
        done = books(*typed)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done
        assert said in done.stderr


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
def test_a_closed_month_that_is_not_what_it_was_ends_with_seven(
    loyalty: Loyalty, database: Database, tmp_path: Path
) -> None:
    key = tmp_path / "checkpoints.pem"
    loyalty("checkpoint", "--new-key", str(key))
    known = {"DATABASE_URL": database.url, "CHECKPOINT_KEY_FILE": str(key), "CLOCK": "row"}
    assert loyalty("books", "close", "2011-01", "--by", "A", **known).returncode == 0
    run_sql(
        database.owner_url,
        "SET session_replication_role = replica",
        "UPDATE book_close SET document = replace(document, '10000', '10001')",
    )
    report = loyalty("books", "report", "2011-01", **known)
    assert report.returncode == 7
    assert "no longer make the report that closed it" in report.stderr
    verified = loyalty("verify", DATABASE_URL=database.url)
    assert verified.returncode == 7
    assert "report of closed period 2011-01" in verified.stderr
