"""Names and descriptions in the language that is asked for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from services.loyalty.http.languages import preferred
from tests.loyalty.http.conftest import START
from tests.loyalty.http.events import bought, event
from tests.loyalty.http.programme import DOCUMENT
from tests.loyalty.http.test_spending import redeem

MEMBER = "/v1/members/17850"
SAYING = DOCUMENT.replace(
    "program: test-rewards", "program: test-rewards\nnames: {en: Test Rewards, zh-Hans: 测试奖励}"
)
for _bare, _named in {
    "gold: {from: 1000}": "gold: {from: 1000, names: {en: Gold, zh-Hans: 金卡}}",
    "{from: 100, benefits": (
        "{from: 100, names: {en: Silver, zh-Hans: 银卡}, descriptions: {zh-Hans: 常客}, benefits"
    ),
    "base: {event": "base: {names: {en: Every pound, zh-Hans: 每一英镑}, event",
    "event: referral.qualified": "names: {en: Friends}\n    event: referral.qualified",
    "three-reviews: {event": "three-reviews: {names: {en: Three, zh-Hans: 三次评价}, event",
    "birthday-cake: {gift_only: true}": (
        "birthday-cake: {gift_only: true, voucher: {item: cake}, names: {en: Cake, zh-Hans: 蛋糕}}"
    ),
    "mug: {cost: 80 points}": "mug: {cost: 80 points, stock: 5, names: {en: Mug, zh-Hans: 马克杯}}",
    "\nbadges:": """
  bonus:
    event: purchase
    min_spend: 900.00 GBP
    budget: 100 points
    give: {points: 5}
    names: {en: Bonus, zh-Hans: 奖金}
boosts: {vip: {tier: [silver], points: x2, names: {en: VIP, zh-Hans: 贵宾}}}
gifts:
  birthday:
    choose: [birthday-cake, mug]
    member_for: 0 days
    date_known_for: 0 days
    names: {en: Your day, zh-Hans: 生日}
benefits: {priority-shipping: {names: {en: Fast, zh-Hans: 优先}, descriptions: {en: Faster.}}}
reasons:
  goodwill: {names: {en: Sorry, zh-Hans: 抱歉}}
  tier_too_low: {names: {en: Not yet, zh-Hans: 等级不足}}
badges:""",
}.items():
    assert _bare in SAYING, _bare
    SAYING = SAYING.replace(_bare, _named, 1)


@pytest.fixture
async def client(unpublished: httpx.AsyncClient, clock: FixedClock) -> httpx.AsyncClient:
    """A client of a programme that speaks English and Chinese, and of a member of it."""
    made = await unpublished.post(
        "/v1/program/versions", content=SAYING, headers={"Content-Type": "application/yaml"}
    )
    assert made.status_code == 201, made.text
    assert made.json()["name"] == "Test Rewards"
    clock.at = START + 10 * DAY
    for happened in (
        event("member.enrolled", "e", clock.at, member_id="17850", born_on="1980-01-12"),
        bought("17850", "1", 150, clock.at),
        event("engagement.recorded", "r", clock.at, member_id="17850", kind="product.reviewed"),
    ):
        sent = await unpublished.post("/v1/activities", json=happened)
        assert sent.json()["outcome"] == "accepted", sent.text
    return unpublished


async def _asked(client: httpx.AsyncClient, path: str, wanted: str = "zh-CN, en;q=0.5") -> Any:
    answer = await client.get(path, headers={"Accept-Language": wanted})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Vary"] == "Accept-Language"
    return answer.json(), answer.headers.get("Content-Language")


async def test_whatever_is_shown_is_named_in_the_language_asked_for(
    client: httpx.AsyncClient,
) -> None:
    member, told = await _asked(client, MEMBER)
    assert told == "zh-Hans, en"  # of one benefit there is only an English description
    tier = member["tier"]
    assert (tier["level"], tier["name"], tier["description"]) == ("silver", "银卡", "常客")
    assert tier["next"]["name"] == "金卡"
    assert tier["benefits"] == [
        {
            "name": "priority-shipping",
            "label": "优先",
            "description": "Faster.",
            "terms": "unlimited",
        }
    ]
    assert (await _asked(client, f"{MEMBER}/tier"))[0] == tier
    held, told = await _asked(client, f"{MEMBER}/benefits")
    assert (held["level_name"], held["benefits"][0]["label"]) == ("银卡", "优先")
    catalogue, told = await _asked(client, f"{MEMBER}/rewards")
    shown = {each["reward"]: each for each in catalogue["catalogue"]}
    assert shown["mug"]["name"] == "马克杯"
    assert shown["golden-pen"]["reasons"][0]["name"] == "等级不足"
    cards, told = await _asked(client, f"{MEMBER}/stamps")
    assert ([card["name"] for card in cards["cards"]], told) == (
        ["三次评价", "all-rooms"],
        "zh-Hans",
    )
    assert (await _asked(client, "/v1/budgets"))[0]["budgets"][0]["name"] == "奖金"
    stock = (await _asked(client, "/v1/rewards"))[0]["rewards"]
    assert [each["name"] for each in stock if each["reward"] == "mug"] == ["马克杯"]


async def test_what_happened_is_named_in_the_language_asked_for(client: httpx.AsyncClient) -> None:
    made = await client.post(
        f"{MEMBER}/adjustments",
        json={"currency": "points", "points": 6000, "reason": "goodwill", "actor": "agent-7"},
        headers={"Idempotency-Key": "a"},
    )
    assert made.status_code == 201
    waiting, told = await _asked(client, f"{MEMBER}/adjustments")
    assert (waiting["waiting"][0]["reason_name"], told) == ("抱歉", "zh-Hans")
    assert (await redeem(client, "mug", "k")).status_code == 201
    issued = (await _asked(client, f"{MEMBER}/rewards"))[0]["issued"]
    assert [(each["name"], each["by_name"]) for each in issued] == [("马克杯", None)]
    journal = (await _asked(client, f"{MEMBER}/entries"))[0]["items"]
    causes = {entry["cause"]: entry["cause_name"] for item in journal for entry in item["entries"]}
    assert causes["mug"] == "马克杯"
    assert causes["base"] == "每一英镑"
    assert causes["welcome"] == "welcome"
    [purchase] = [item for item in journal if item["kind"] == "purchase"]
    assert purchase["names"]["bonus"] == "奖金"


async def test_a_gift_and_its_voucher_are_named(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    clock.at = START + 12 * DAY
    offers, told = await _asked(client, f"{MEMBER}/offers")
    [offer] = offers["offers"]
    assert (offer["name"], told) == ("生日", "zh-Hans")
    assert [choice["name"] for choice in offer["choices"]] == ["蛋糕", "马克杯"]
    taken = await client.post(
        f"{MEMBER}/offers/{offer['offer']}/claim",
        json={"reward": "birthday-cake"},
        headers={"Idempotency-Key": "c"},
    )
    assert taken.status_code == 201
    [voucher] = (await _asked(client, f"{MEMBER}/vouchers"))[0]["vouchers"]
    assert (voucher["name"], voucher["reason_name"]) == ("蛋糕", None)
    looked_up, _ = await _asked(client, f"/v1/vouchers/{voucher['code']}")
    assert looked_up["name"] == "蛋糕"
    issued = (await _asked(client, f"{MEMBER}/rewards"))[0]["issued"]
    assert [(each["name"], each["by_name"]) for each in issued] == [("蛋糕", "生日")]


async def test_a_preview_names_rules_and_boosts(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/previews",
        json={
            "member_id": "17850",
            "currency": "GBP",
            "lines": [{"position": 1, "sku": "1", "quantity": 1, "unit_price": "10.00"}],
        },
        headers={"Accept-Language": "zh-Hans"},
    )
    assert (answer.status_code, answer.headers["Content-Language"]) == (200, "zh-Hans, en")
    shown = answer.json()
    assert {gain["name"] for gain in shown["earned"]} == {"每一英镑"}
    assert shown["names"] == {
        "base": "每一英镑",
        "vip": "贵宾",
        "bonus": "奖金",
        "all-rooms": "all-rooms",
    }
    assert shown["tier"]["name"] == "银卡"


async def test_all_names_can_be_read_at_once(client: httpx.AsyncClient) -> None:
    glossary, told = await _asked(client, "/v1/program/names")
    assert glossary["program"] == {
        "id": "test-rewards",
        "name": "测试奖励",
        "description": None,
    }
    assert [each["name"] for each in glossary["levels"]] == ["basic", "银卡", "金卡"]
    assert [each["name"] for each in glossary["boosts"]] == ["贵宾"]
    assert [each["name"] for each in glossary["reasons"]] == ["抱歉", "等级不足"]
    assert told == "zh-Hans, en"  # the rule `friends` speaks English only
    current, told = await _asked(client, "/v1/program", "zh-Hant, zh-Hans;q=0.9")
    assert (current["name"], told) == ("测试奖励", "zh-Hans")


async def test_what_a_later_version_dropped_keeps_its_name(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    assert (await redeem(client, "mug", "k")).status_code == 201
    later = SAYING.replace("2011-01-01T00:00", "2011-02-01T00:00")
    later = later.replace("  mug: {cost", "  cup: {cost").replace("cake, mug]", "cake, cup]")
    made = await client.post(
        "/v1/program/versions",
        content=f"{later}successors: {{rewards: {{mug: cup}}}}\n".replace("马克杯", "杯子"),
        headers={"Content-Type": "application/yaml"},
    )
    assert made.status_code == 201, made.text
    clock.at = START + 40 * DAY
    issued = (await _asked(client, f"{MEMBER}/rewards"))[0]["issued"]
    assert [each["name"] for each in issued] == ["马克杯"]


@pytest.mark.parametrize(
    ("header", "name", "told"),
    [
        ("", "Test Rewards", "en"),
        ("fr", "Test Rewards", "en"),
        ("*", "Test Rewards", "en"),
        ("fr, *;q=0.5", "Test Rewards", "en"),
        ("zh-CN", "测试奖励", "zh-Hans"),
        ("ZH-HANS", "测试奖励", "zh-Hans"),
        ("en;q=0.1, zh-Hans;q=0.2", "测试奖励", "zh-Hans"),
        ("zh-Hans;q=0, en-GB", "Test Rewards", "en"),
        ("zh-Hans;q=7, en", "Test Rewards", "en"),
        (";;;,,=q;, \x7f ☃", "Test Rewards", "en"),
        ("zh-Hans" + ", x" * 20_000, "测试奖励", "zh-Hans"),
    ],
)
async def test_no_header_is_an_error(
    client: httpx.AsyncClient, header: str, name: str, told: str
) -> None:
    raw = header.encode("utf-8")
    answer = await client.get("/v1/program", headers=[(b"Accept-Language", raw)])
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.headers["Content-Language"]) == (name, told)


async def test_several_headers_are_one(client: httpx.AsyncClient) -> None:
    headers = [("Accept-Language", "fr"), ("Accept-Language", "zh-Hans;q=0.5")]
    assert (await client.get("/v1/program", headers=headers)).json()["name"] == "测试奖励"


def test_languages_are_taken_by_preference() -> None:
    assert preferred("en;q=0.5, de, fr;q=0, nonsense;;, zh-hans ; Q=0.75") == [
        "de",
        "zh-hans",
        "en",
    ]
    assert preferred("en, de;q=1.000, fr;q=1.5, it;q=.5, es;q=0.0001") == ["en", "de"]
    assert preferred("") == []
