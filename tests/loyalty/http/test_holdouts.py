"""What a rule brings: members who get it beside those whom its holdout leaves out."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.holdout import is_held_out
from tests.loyalty.http.conftest import START
from tests.loyalty.http.events import bought, enrolled, refunded
from tests.loyalty.http.programme import DOCUMENT

MEMBERS = [f"m{number}" for number in range(12)]
HELD = [member for member in MEMBERS if is_held_out("test-rewards", "spring", member, 4_000)]
TREATED = [member for member in MEMBERS if member not in HELD]
YAML = {"Content-Type": "application/yaml"}
SPRING = """  spring:
    event: purchase
    min_spend: 100.00 GBP
    valid: 2011-02-01/2011-03-31
    give: {points: 30}
    holdout: 40 %
"""


async def _spring(client: httpx.AsyncClient, clock: FixedClock) -> None:
    """Everybody enrols in January, and buys for 50, 150 and, in April, 200 pounds; whoever is first
    of both groups returns 60 of the 150.
    """
    document = DOCUMENT.replace("  welcome:", SPRING + "  welcome:").replace(
        "2011-01-01T00:00", "2011-02-01T00:00"
    )
    published = await client.post("/v1/program/versions", content=document, headers=YAML)
    assert published.status_code == 201, published.text
    sent: list[Any] = [enrolled(member, START + DAY) for member in MEMBERS]
    for member in MEMBERS[:10]:
        sent += [
            bought(member, f"{member}-1", 50, START + 40 * DAY),
            bought(member, f"{member}-2", 150, START + 41 * DAY),
            bought(member, f"{member}-3", 200, START + 100 * DAY),
        ]
    sent += [refunded(group[0], f"{group[0]}-2", 60, START + 50 * DAY) for group in (TREATED, HELD)]
    clock.at = START + 120 * DAY
    answer = await client.post("/v1/activities", json=sent)
    assert answer.status_code < 300, answer.text
    assert {each["outcome"] for each in answer.json()} == {"accepted"}


def _group(members: list[str], *, gets: int) -> dict[str, Any]:
    buyers = [member for member in members if member in MEMBERS[:10]]
    pence = len(buyers) * 200_00 - 60_00
    mean = round(pence / len(members))
    return {
        "members": len(members),
        "buyers": len(buyers),
        "orders": 2 * len(buyers),
        "reached": len(buyers),
        "spend": {"GBP": f"{pence // 100}.00"},
        "spend_per_member": {"GBP": f"{mean // 100}.{mean % 100:02}"},
        "points": {"points": gets * (len(buyers) - 1)} if gets else {},
    }


async def test_both_groups_stand_side_by_side(client: httpx.AsyncClient, clock: FixedClock) -> None:
    assert len(HELD) > 2
    await _spring(client, clock)
    answer = await client.get("/v1/program/holdouts/spring")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "program": "test-rewards",
        "rule": "spring",
        "name": "spring",
        "holdout": "40 %",
        "since": "2011-02-01T00:00:00Z",
        "until": "2011-03-31T23:00:00Z",
        "treated": _group(TREATED, gets=30),
        "held_out": _group(HELD, gets=0),
        "next": None,
    }


async def test_pages_count_on_and_the_last_one_is_the_answer(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await _spring(client, clock)
    path = "/v1/program/holdouts/spring"
    whole = (await client.get(path)).json()
    asked: dict[str, str] = {"limit": "5"}
    pages = []
    while True:
        page = (await client.get(path, params=asked)).json()
        pages.append(page)
        if page["next"] is None:
            break
        clock.at += DAY  # the time that is looked at is that of the first page
        asked["cursor"] = page["next"]
    assert len(pages) == 3
    members = [page["treated"]["members"] + page["held_out"]["members"] for page in pages]
    assert members == [5, 10, 12]
    assert pages[-1] == whole


@pytest.mark.parametrize(
    "cursor", ["", "h", "s12", "hWzFd", "h" + "A" * 200, "hWyJvdGhlciJd", "h☃", "hW10="]
)
async def test_a_cursor_that_is_not_of_this_comparison_is_refused(
    client: httpx.AsyncClient, clock: FixedClock, cursor: str
) -> None:
    await _spring(client, clock)
    answer = await client.get("/v1/program/holdouts/spring", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_another_time_may_be_looked_at(client: httpx.AsyncClient, clock: FixedClock) -> None:
    await _spring(client, clock)
    asked = {"since": "2011-04-01T00:00:00Z", "until": "2011-04-30T00:00:00Z"}
    told = (await client.get("/v1/program/holdouts/spring", params=asked)).json()
    groups = (told["treated"], told["held_out"])
    assert sum(group["orders"] for group in groups) == 10
    assert [group["reached"] for group in groups] == [0, 0]


async def test_what_has_no_holdout_is_not_there(client: httpx.AsyncClient) -> None:
    for rule in ("base", "nothing"):
        answer = await client.get(f"/v1/program/holdouts/{rule}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_holdout")
    wrong = await client.get("/v1/program/holdouts/base", params={"since": "2011-02-01"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
