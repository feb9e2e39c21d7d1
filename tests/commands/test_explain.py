"""`loyalty explain`: in sentences, of what was typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commandline import Loyalty
from tests.commands.test_operations import PLACE, Shop, open_shop
from tests.events.messages import NOW, event
from tests.postgres import Database, run_sql


@pytest.fixture
def bought(loyalty: Loyalty, database: Database) -> Shop:
    """A member has joined and bought for £60."""
    shop = open_shop(loyalty, database)
    shop.enrols("17850")
    shop.buys("17850", 60)
    return shop


def test_a_member_has_a_story(bought: Shop) -> None:
    done = bought.types("explain", "member", "17850")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "The story of member 17850, told in the time of Europe/London.",
        "1. 10 January 2011, 12:00",
        "   The member joined the programme.",
        "   100 points were earned by “Welcome”.",
        "   That leaves 100 points to spend.",
        "2. 10 January 2011, 12:00",
        "   The member bought order o1: 1 line for £60.00.",
        "   60 points were earned by “A point for every pound” and are pending.",
        "   60 status points were earned by “A point for every pound” and count towards the level.",
        "   That leaves 100 points to spend, 60 pending.",
    ]


def test_a_story_begins_where_it_is_asked_to_and_can_be_told_in_full(bought: Shop) -> None:
    later = bought.types("explain", "member", "17850", "--since", "2011-01-11")
    assert later.stdout == "Nothing of this happened to member 17850.\n"
    full = bought.types("explain", "member", "17850", "--since", "2011-01-10", "--full")
    assert "Judged by version 1" in full.stdout
    wrong = bought.types("explain", "member", "17850", "--since", "spring")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("loyalty: 'spring' is no time in RFC 3339")


def test_an_entry_is_explained_in_chinese(bought: Shop) -> None:
    done = bought.types("explain", "entry", "17850", "2", "--language", "zh-CN")
    assert done.returncode == 0, done.stderr
    assert "   会员购买了订单 o1：1 行，共 £60.00。" in done.stdout.splitlines()
    other = bought.types("explain", "entry", "17850", "2", "--language", "fr")
    assert other.returncode == 2
    assert other.stderr == "loyalty: --language fr: stories are told in en and zh-Hans\n"


def test_what_there_is_not_is_said_in_one_line(bought: Shop) -> None:
    for arguments, said in (
        (["entry", "17850", "9"], "the journal of member 17850 ends at 2: there is no 9"),
        (["entry", "17850", "2", "5"], "row 2 of member 17850 has entries 0 to 1"),
        (["member", "nobody"], "nothing ever happened to a member nobody"),
        (["order", "17850", "o9"], "nothing of member 17850 concerns an order o9"),
        (
            ["activity", "/shop", "never-sent"],
            "no activity and no dead letter that is kept has the source /shop and the id"
            " never-sent",
        ),
    ):
        done = bought.types("explain", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"loyalty: {said}\n"


def test_an_event_is_found_by_its_source_and_id(bought: Shop) -> None:
    sent = json.loads(event("commerce.purchase.completed.v1", {}, at=NOW, id="x"))["source"]
    name = "commerce.purchase.completed.v1-17850"
    for more in ((), ("--member", "17850")):
        done = bought.types("explain", "activity", sent, name, *more, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert [(each["member_id"], each["seq"]) for each in told["items"]] == [("17850", 2)]
        assert told["items"][0]["sentences"][0]["key"] == "happened.purchase"


def test_a_dead_letter_is_found_by_its_source_and_id(bought: Shop) -> None:
    letter = event("commerce.basket.filled.v1", {"member_id": "17850"}, at=NOW, id="b-1")
    run_sql(bought.database.owner_url, "DELETE FROM dead_letter")
    bought.gets_a_dead_letter(letter)
    done = bought.types("explain", "activity", json.loads(letter)["source"], "b-1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("It is a dead letter: no event of its type is read here.\n")
    assert PLACE in done.stdout


def test_without_a_programme_nothing_can_be_explained(
    loyalty: Loyalty, database: Database, tmp_path: Path
) -> None:
    done = Shop(loyalty, database).types("explain", "member", "17850")
    assert done.returncode == 1
    assert done.stderr.startswith("loyalty: no programme is published")
