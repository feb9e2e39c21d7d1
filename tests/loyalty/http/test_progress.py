"""How far members are with cards, and the badges that they show."""

from __future__ import annotations

import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.events import bought, enrolled, event


@pytest.fixture
async def member(client: httpx.AsyncClient, clock: FixedClock) -> str:
    """Somebody who has just joined."""
    sent = await client.post("/v1/activities", json=enrolled("17850", clock.at))
    assert sent.json()["outcome"] == "accepted"
    return "/v1/members/17850"


async def reviews(client: httpx.AsyncClient, clock: FixedClock, times: int) -> None:
    batch = [
        event("engagement.recorded", f"r{n}", clock.at, member_id="17850", kind="product.reviewed")
        for n in range(times)
    ]
    await client.post("/v1/activities", json=batch)


async def test_a_card_shows_how_far_it_is_and_when_stamps_are_lost(
    client: httpx.AsyncClient, clock: FixedClock, member: str
) -> None:
    await reviews(client, clock, 2)
    shown = (await client.get(f"{member}/stamps")).json()
    first, second = shown["cards"]
    assert (first["card"], first["collected"], first["of"]) == ("three-reviews", 2, 3)
    assert first["next_lapse_at"]
    assert (second["collected"], second["collected_for"]) == (0, [])
    clock.at += 40 * DAY
    shown = (await client.get(f"{member}/stamps")).json()
    assert shown["cards"][0]["collected"] == 0


async def test_a_full_card_begins_anew_and_its_badge_is_shown(
    client: httpx.AsyncClient, clock: FixedClock, member: str
) -> None:
    await reviews(client, clock, 4)
    card = (await client.get(f"{member}/stamps")).json()["cards"][0]
    assert (card["collected"], card["times_filled"]) == (1, 1)
    answer = await client.get(f"{member}/badges", headers={"Accept-Language": "de"})
    assert [(one["badge"], one["name"]) for one in answer.json()["badges"]] == [
        ("reviewer", "Kritiker")
    ]


async def test_a_member_that_there_is_not_has_no_cards(client: httpx.AsyncClient) -> None:
    for what in ("stamps", "badges", "referral"):
        answer = await client.get(f"/v1/members/nobody/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_member")


async def test_a_member_has_a_code_and_a_friend_who_was_referred_says_so(
    client: httpx.AsyncClient, clock: FixedClock, member: str
) -> None:
    own = (await client.get(f"{member}/referral")).json()
    assert own["referred"] is None
    joins = event("member.enrolled", "e2", clock.at, member_id="2", referred_by=own["code"])
    batch = [joins, bought("2", "9", 30, clock.at)]
    sent = await client.post("/v1/activities", json=batch)
    assert [each["outcome"] for each in sent.json()] == ["accepted", "accepted"]
    friend = (await client.get("/v1/members/2/referral")).json()
    assert (friend["referred"]["state"], friend["referred"]["order"]) == ("pending", "9")
    assert friend["code"] != own["code"]
    lots = (await client.get("/v1/members/2/lots")).json()["lots"]
    assert [
        (lot["points"], lot["awaits_referral"], lot["awaits_delivery_of"])
        for lot in lots
        if lot["state"] == "pending"
    ] == [(20, True, None)]
    clock.at += 40 * DAY
    friend = (await client.get("/v1/members/2/referral")).json()
    assert friend["referred"]["state"] == "settled"
