"""A draft run over history, as marketing types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from tests.commandline import Loyalty
from tests.loyalty.db.half_a_year import DOCUMENT, MEMBERS, live
from tests.postgres import Database


@pytest.fixture
async def lives(database: Database) -> None:
    async with connected(database.url, purpose="test") as connection:
        await live(PgSession(connection))


@pytest.fixture
def draft(tmp_path: Path) -> str:
    file = tmp_path / "draft.yaml"
    file.write_text(DOCUMENT.replace("give: {points: 100}", "give: {points: 900}"))
    return str(file)


@pytest.mark.usefixtures("lives")
def test_a_draft_is_shown_as_tables_and_as_json(
    loyalty: Loyalty, database: Database, draft: str
) -> None:
    typed = ("program", "diff", draft, "--since", "2010-12-03")
    done = loyalty(*typed, DATABASE_URL=database.url)
    assert done.returncode == 0, done.stderr
    for said in (
        "Nothing was changed",
        "base/points",
        "points are worth",
        "would have earned more",
    ):
        assert said in done.stdout
    found = json.loads(loyalty(*typed, "--json", DATABASE_URL=database.url).stdout)
    assert found["members"] == len(MEMBERS)
    assert sum(each["members"] for each in found["levels"]) == len(MEMBERS)
    assert found["live"]["worth"]["points"].endswith(" GBP")
    assert found["left_out"] == []


@pytest.mark.usefixtures("lives")
def test_what_does_not_fit_is_said_in_one_line(
    loyalty: Loyalty, database: Database, draft: str, tmp_path: Path
) -> None:
    late = loyalty("program", "diff", draft, "--since", "March", DATABASE_URL=database.url)
    assert (late.returncode, late.stderr.count("\n")) == (2, 1)
    assert "'March' is not a date like 2011-03-01" in late.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(DOCUMENT.replace("by: status", "by: stars"))
    done = loyalty(
        "program", "diff", str(wrong), "--since", "2011-03-01", DATABASE_URL=database.url
    )
    assert done.returncode == 2
    assert "tiers.by" in done.stdout
    assert done.stderr.endswith("1 mistake\n")


def test_without_a_programme_there_is_nothing_to_compare_with(
    loyalty: Loyalty, database: Database, draft: str
) -> None:
    done = loyalty("program", "diff", draft, "--since", "2011-03-01", DATABASE_URL=database.url)
    assert done.returncode == 1
    assert "no programme is published" in done.stderr
