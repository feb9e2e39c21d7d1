"""A draft that is run over history: what it would have made of it, and that it changes nothing."""

from __future__ import annotations

import asyncpg
import pytest

from services.loyalty.application.drafting import Course, Difference
from services.loyalty.db import folding
from services.loyalty.db.drafting import run_draft
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.mistakes import ProgramMistakes
from tests.loyalty.db.half_a_year import DOCUMENT, MEMBERS, START
from tests.postgres import Database

SINCE: Instant = START + 60 * DAY
GENEROUS = DOCUMENT.replace(
    "give: {points: 1 per 1.00 GBP, status: 1 per 1.00 GBP}",
    "give: {points: 3 per 1.00 GBP, status: 3 per 1.00 GBP}",
)
DEAR = DOCUMENT.replace("tea-towel: {cost: 300 points", "tea-towel: {cost: 30000 points")
TABLES = ("account", "journal", "ledger", "outbox", "receipt", "lot", "program_version")

pytestmark = pytest.mark.usefixtures("lives")


async def differing(database: Database, text: str, since: Instant = SINCE) -> Difference:
    verdicts = await run_draft(database.url, text, since)
    assert verdicts.difference.left_out == []
    return verdicts.difference


def told(course: Course) -> tuple[object, ...]:
    points = (course.earned, course.outstanding, course.arrears, course.spent)
    return (*({k: v for k, v in sorted(each.items()) if v} for each in points), course.unfunded)


@pytest.mark.parametrize("days", [0, 37, 60, 150])
async def test_a_draft_that_is_the_programme_as_it_was_differs_in_nothing(
    database: Database, days: int
) -> None:
    found = await differing(database, DOCUMENT, START + days * DAY)
    assert told(found.draft) == told(found.live)
    assert (found.winners, found.losers) == (0, 0)
    assert all(live == draft for live, draft in found.levels)
    assert found.members == len(MEMBERS)
    assert sum(found.levels.values()) == len(MEMBERS)


async def test_a_generous_draft_is_dearer_lifts_members_and_funds_more(database: Database) -> None:
    found = await differing(database, GENEROUS, START + 10 * DAY)
    base = "base/points"
    assert found.draft.earned[base] > found.live.earned[base] > 0
    assert found.winners > 0
    assert found.gains[0][0] >= found.gains[-1][0] > 0
    assert found.draft.unfunded <= found.live.unfunded
    assert found.segments["vip"][2] > found.segments["vip"][1]


async def test_what_a_draft_would_not_have_funded_is_shown_as_a_shortfall(
    database: Database,
) -> None:
    found = await differing(database, DEAR)
    assert found.draft.unfunded > found.live.unfunded
    assert found.draft.short > 29_000
    assert found.draft.spent["points"] < found.live.spent["points"]
    assert found.draft.outstanding["points"] > found.live.outstanding["points"]


async def test_a_draft_offers_each_member_the_whole_of_what_only_it_has(database: Database) -> None:
    give = "give: {points: 1 per 1.00 GBP, status: 1 per 1.00 GBP}"
    tight = DOCUMENT.replace(give, f"{give}\n    budget: 500 points").replace(
        "tea-towel: {", "tea-towel: {stock: 1, "
    )
    found = await differing(database, tight, START - 20 * DAY)
    assert 500 <= found.draft.earned["base/points"] <= 500 * len(MEMBERS)
    assert found.draft.earned["base/points"] < found.live.earned["base/points"]
    assert found.draft.spent["points"] < found.live.spent["points"]


async def test_a_draft_changes_nothing(database: Database, connection: asyncpg.Connection) -> None:
    async def digests() -> list[str]:
        question = "SELECT md5(string_agg(t::text, '' ORDER BY t)) FROM {} t"
        return [await connection.fetchval(question.format(table)) for table in TABLES]

    before = await digests()
    await differing(database, GENEROUS)
    assert await digests() == before


async def test_how_the_work_is_cut_and_shared_changes_no_finding(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await differing(database, GENEROUS)
    monkeypatch.setattr(folding, "CHUNK", 7)
    monkeypatch.setattr(folding, "SPAN", 120)
    seen: list[tuple[int, int]] = []
    cut = await run_draft(
        database.url,
        GENEROUS,
        SINCE,
        processes=2,
        progress=lambda *done: seen.append(done),
    )
    assert cut.difference == whole
    assert seen[-1] == (whole.activities, whole.activities)


async def test_a_draft_with_mistakes_or_without_successors_is_refused(database: Database) -> None:
    with pytest.raises(ProgramMistakes, match="tea-towel"):
        await run_draft(database.url, DOCUMENT.replace("tea-towel", "napkin"), SINCE)
