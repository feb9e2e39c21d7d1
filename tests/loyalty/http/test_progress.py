"""How far members are with cards, and the badges that they show."""

from __future__ import annotations

import httpx
import pytest

from services.loyalty.application import facts
from services.loyalty.application.clock import FixedClock
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.conftest import START
from tests.loyalty.http.events import bought, enrolled, event
from tests.loyalty.http.programme import DOCUMENT


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


async def test_a_code_that_another_got_meanwhile_is_drawn_anew(
    unpublished: httpx.AsyncClient, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both joined before there were referrals, and get their codes with a request."""
    referral = DOCUMENT[DOCUMENT.index("  friends:") : DOCUMENT.index("badges:")]
    versions = (
        DOCUMENT.replace(referral, ""),
        DOCUMENT.replace("2011-01-01T00:00", "2011-02-01T00:00"),
    )
    for text in versions:
        made = await unpublished.post(
            "/v1/program/versions", content=text, headers={"Content-Type": "application/yaml"}
        )
        assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    joining = [enrolled(member, clock.at) for member in ("1", "2")]
    await unpublished.post("/v1/activities", json=joining)
    clock.at += 120 * DAY  # the points of the welcome have expired, so that facts are read
    monkeypatch.setattr(facts, "code_of", lambda _, attempt=0: f"{attempt:012}")
    looks: list[object] = []
    load_codes = PgSession.load_codes

    async def too_early(session: PgSession, codes: list[str]) -> dict[str, str]:
        looks.append(codes)
        return {} if len(looks) == 2 else await load_codes(session, codes)

    monkeypatch.setattr(PgSession, "load_codes", too_early)
    for member, code in (("1", "000000000000"), ("2", "000000000001")):
        answer = await unpublished.post(
            f"/v1/members/{member}/adjustments",
            json={"currency": "points", "points": 5, "reason": "goodwill", "actor": "agent-7"},
            headers={"Idempotency-Key": "a"},
        )
        assert answer.status_code == 201, answer.text
        own = (await unpublished.get(f"/v1/members/{member}/referral")).json()
        assert own["code"] == code
    assert len(looks) >= 3


async def test_two_of_one_batch_draw_different_codes(
    client: httpx.AsyncClient, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "code_of", lambda _, attempt=0: f"{attempt:012}")
    joining = [enrolled(member, clock.at) for member in ("1", "2")]
    sent = await client.post("/v1/activities", json=joining)
    assert {each["outcome"] for each in sent.json()} == {"accepted"}
    codes = {
        (await client.get(f"/v1/members/{member}/referral")).json()["code"] for member in ("1", "2")
    }
    assert codes == {"000000000000", "000000000001"}
