"""Members from files: checked whole, shown in totals, taken once, and told line by line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uvloop

from services.loyalty.domain.account import Account, decode_account
from tests.commands.test_operations import Shop
from tests.commands.test_operations import shop as shop  # noqa: PLC0414  a fixture
from tests.loyalty.domain.shop import at

EXAMPLE = Path(__file__).parents[2] / "contracts/import"
PENCE = {"money": "GBP", "funding": "purchase", "amount": "20.10"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, to be changed."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "before"))


def _one(shop: Shop, question: str, *arguments: object) -> Any:
    async def asked() -> Any:
        connection = await asyncpg.connect(shop.database.owner_url)
        try:
            return await connection.fetchval(question, *arguments)
        finally:
            await connection.close()

    return uvloop.run(asked())


def _account(shop: Shop, member: str) -> Account:
    return decode_account(_one(shop, "SELECT state FROM account WHERE member_id = $1", member))


def _has_nobody(shop: Shop) -> bool:
    return bool(_one(shop, "SELECT count(*) = 0 FROM account"))


def _changed(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / f"{file}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_members_come_once_with_all_that_they_had(shop: Shop, folder: Path) -> None:
    done = shop.types("import", str(folder))
    assert (done.returncode, done.stdout) == (0, f"{folder}: 3 members: 3 taken\n"), done.stderr
    ann = _account(shop, "17850")
    assert (ann.status, ann.enrolled_at) == ("active", at("2009-05-04 00:00"))
    assert (ann.available("points"), ann.pending("points")) == (420, 60)
    assert [lot.key for lot in ann.lots] == [
        f"points/2010-12/{at('2011-04-01 00:00')}",
        f"points/2011-01/{at('2011-05-01 00:00')}/p{at('2011-01-19 00:00')}",
    ]
    assert (ann.standing.level, ann.purchases) == ("silver", 14)
    bob, eve = _account(shop, "12346"), _account(shop, "12347")
    assert (bob.status, bob.standing.level, bob.arrears) == ("suspended", "basic", {"points": 35})
    assert [reach.cause for reach in eve.standing.reaches] == ["manual", "reached"]
    born = "SELECT born_on::text || ' ' || born_set_at::date FROM profile WHERE member_id = '17850'"
    assert _one(shop, born) == "1980-02-29 2009-05-03"
    assert _one(shop, "SELECT count(*) FROM journal WHERE body LIKE '%1980%'") == 0
    assert _one(shop, "SELECT count(*) FROM outbox WHERE type <> 'loyalty.member.imported.v1'") == 0
    heads = "SELECT string_agg(head::text, ' ' ORDER BY member_id) FROM account"
    before = _one(shop, heads)
    again = shop.types("import", str(folder))
    assert (again.returncode, again.stdout) == (0, f"{folder}: 3 members: 3 taken before\n")
    assert _one(shop, heads) == before
    assert shop.types("verify").returncode == 0
    assert shop.types("replay").returncode == 0


def test_a_dry_run_shows_what_it_would_come_to_and_takes_nobody(shop: Shop, folder: Path) -> None:
    done = shop.types("import", str(folder), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "new": 3,
        "before": 0,
        "points": {
            "points": {"arrears": -35, "available": 2220, "pending": 60},
            "status": {"available": 1340},
        },
        "tiers": {"basic": 1, "gold": 1, "silver": 1},
        "orders": 2,
        "deferred": [PENCE],
    }
    words = shop.types("import", str(folder), "--dry-run").stdout
    assert "3 members to take, 0 taken before; nothing was changed" in words
    assert "deferred, purchase: 20.10 GBP" in words
    checked = shop.types("import", str(folder), "--check")
    assert checked.stdout == f"{folder}: 3 members without mistakes; nobody was taken\n"
    assert _has_nobody(shop)


def test_a_member_who_came_with_other_content_is_a_mistake(shop: Shop, folder: Path) -> None:
    assert shop.types("import", str(folder)).returncode == 0
    _changed(folder, "lots", ",420,", ",421,")
    done = shop.types("import", str(folder))
    assert done.returncode == 2
    assert done.stdout == (
        "members.csv line 2: member_id: the member came before with other content: what is wrong"
        " since is adjusted\n"
    )
    assert _account(shop, "17850").available("points") == 420


def test_another_date_of_birth_is_other_content_too(shop: Shop, folder: Path) -> None:
    assert shop.types("import", str(folder)).returncode == 0
    _changed(folder, "members", "1980-02-29", "1981-02-28")
    assert "other content" in shop.types("import", str(folder)).stdout


def test_more_members_may_come_later(shop: Shop, folder: Path) -> None:
    assert shop.types("import", str(folder)).returncode == 0
    (folder / "members.csv").write_text("member_id,enrolled\n12347,2008-11-01\n12350,2010-01-01\n")
    for file in ("tiers", "lots", "counters", "gifts", "consideration"):
        (folder / f"{file}.csv").unlink()
    for file in ("purchases", "lines", "earned"):
        (folder / f"{file}.csv").unlink()
    _changed(folder, "members", "12347,2008-11-01\n", "")
    assert shop.types("import", str(folder)).stdout == f"{folder}: 1 members: 1 taken\n"


def test_whoever_enrolled_here_cannot_come(shop: Shop, folder: Path) -> None:
    shop.enrols("17850")
    done = shop.types("import", str(folder), "--check")
    assert done.returncode == 2
    assert done.stdout == "members.csv line 2: member_id: the member has enrolled here already\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("members", "17850,2009", "a@b.org,2009", "members.csv line 2: member_id: it looks like"),
        ("members", "2009-05-04", "05/04/2009", "members.csv line 2: enrolled: write it like"),
        ("members", "2009-05-04", "2012-05-04", "members.csv line 2: a time in it lies ahead"),
        ("members", "active,silver", "gone,silver", "members.csv line 2: status: active or"),
        ("members", ",silver,", ",bronze,", "members.csv line 2: the programme has no such level"),
        ("members", "2011-03-20,2010-12", "2011-01-02,2010-12", "members.csv line 2: it has ended"),
        ("members", "never,manual", ",", "members.csv line 4: tier: not the highest"),
        ("members", "1980-02-29", "1980-02-30", "members.csv line 2: born_on: a date"),
        ("members", "1980-02-29", "2009-05-05", "members.csv line 2: born_on: after the"),
        ("members", "12347,2008", "17850,2008", "members.csv line 4: member_id: it stands here"),
        ("members", "12346,", "", "members.csv line 3: it has 9 fields, and the first line has 10"),
        ("members", "purchases", "orders", "members.csv line 1: there is no column 'orders'"),
        ("members", "enrolled", "status", "members.csv line 1: the first line has no column"),
        ("tiers", "2010-12\n", "2010-11\n", "tiers.csv line 2: basis: the points of that window"),
        ("lots", ",420,", ",0,", "lots.csv line 2: a number in it is too small"),
        ("lots", ",420,", ",4.2,", "lots.csv line 2: points: a whole number"),
        (
            "lots",
            "2011-03-31",
            "2011-01-01",
            "lots.csv line 2: it has ended by now: leave it out, or give an end that lies ahead",
        ),
        ("lots", "2011-03-31", "", "lots.csv line 2: expires: say when, or never"),
        ("lots", "points,420", "coins,420", "lots.csv line 2: the programme has no such currency"),
        (
            "lots",
            "12346,points,-35,,,",
            "12999,points,5,,,",
            "lots.csv line 5: member_id: members",
        ),
        (
            "lots",
            "17850,status",
            "12347,status",
            "lots.csv line 5: member_id: members have",
        ),
        ("counters", "big-basket", "big-bucket", "counters.csv line 2: counter: the programme has"),
        ("gifts", "birthday", "nameday", "gifts.csv line 2: occasion: birthday, anniversary or"),
        ("consideration", "2010-12", "2010-11", "consideration.csv line 2: lots.csv has no points"),
        ("consideration", "3.90", "3.905", "consideration.csv line 2: amount: it has 3 decimal"),
        ("consideration", "GBP,3", "XXX,3", "consideration.csv line 2: money: not an ISO 4217"),
        ("lines", "6,300.00,", "6,300.00,7", "lines.csv line 2: no line can have cost"),
        ("lines", "537112", "537113", "lines.csv line 4: order_id: purchases.csv has no such"),
        ("earned", "536365,2,", "536365,3,", "earned.csv line 3: position: lines.csv has no such"),
        ("earned", "120,2011-03-31", "120,2011-04-30", "earned.csv line 3: points of one rule"),
    ],
)
def test_a_bad_row_is_told_and_nobody_is_taken(
    shop: Shop, folder: Path, file: str, old: str, new: str, told: str
) -> None:
    _changed(folder, file, old, new)
    done = shop.types("import", str(folder))
    assert done.returncode == 2
    assert done.stderr == f"loyalty: {folder}: nobody was taken\n"
    assert any(line.startswith(told) for line in done.stdout.splitlines()), done.stdout
    assert "a@b.org" not in done.stdout
    assert _has_nobody(shop)


def test_every_bad_row_is_told(shop: Shop, folder: Path) -> None:
    _changed(folder, "lots", ",420,", ",0,")
    _changed(folder, "lots", "-35", "0.35")
    _changed(folder, "gifts", "birthday", "nameday")
    told = shop.types("import", str(folder), "--check").stdout.splitlines()
    places = [line.partition(": ")[0] for line in told]
    assert [place for place in places if not place.startswith("consideration")] == [
        "gifts.csv line 2",
        "lots.csv line 2",
        "lots.csv line 5",
    ]


def test_files_that_are_none_of_an_imports_are_a_mistake(shop: Shop, folder: Path) -> None:
    (folder / "lots.csv").rename(folder / "balances.csv")
    told = shop.types("import", str(folder)).stdout
    assert told == "balances.csv line 1: an import has no such file\n"
    (folder / "balances.csv").unlink()
    (folder / "lots.csv").mkdir()
    assert shop.types("import", str(folder)).stdout == "lots.csv line 1: Is a directory\n"
    (folder / "lots.csv").rmdir()
    (folder / "members.csv").unlink()
    assert shop.types("import", str(folder)).stdout == "members.csv line 1: there is no such file\n"
    assert shop.types("import", str(folder / "none")).returncode == 1


def test_a_byte_order_mark_and_any_order_of_columns_will_do(shop: Shop, folder: Path) -> None:
    (folder / "gifts.csv").write_bytes(
        b"\xef\xbb\xbfgiven, occasion ,member_id\r\n2010-02-28,birthday,17850\r\n"
    )
    assert shop.types("import", str(folder)).returncode == 0
    assert _account(shop, "17850").gifts == {"birthday": at("2010-02-28 00:00")}


@pytest.mark.parametrize("rubbish", [b'member_id,"given\n', b"\xff\xfe\x00", b""])
def test_what_is_no_csv_is_one_bad_row(shop: Shop, folder: Path, rubbish: bytes) -> None:
    (folder / "gifts.csv").write_bytes(rubbish)
    done = shop.types("import", str(folder))
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert done.stdout.startswith("gifts.csv line 1: ")


def test_the_books_show_what_came_and_nobody_sold_it(shop: Shop, folder: Path) -> None:
    assert shop.types("import", str(folder)).returncode == 0
    told = json.loads(shop.types("books", "report", "--json").stdout)
    assert told["proof"]["foots"]
    [points] = [each for each in told["currencies"] if each["spendable"]]
    moved = {row["bucket"]: row["period"] for row in points["rollforward"]}
    assert moved == {
        "available": {"imported": 2220},
        "pending": {"imported": 60},
        "arrears": {"imported": -35},
        "issuance": {"imported": -2245},
    }
    assert points["liability"]["total"] == 2280
    deferred = [(row["issued"], row["imported_now"], row["deferred"]) for row in told["deferred"]]
    assert deferred == [("2010-11", "16.20", "16.20"), ("2010-12", "3.90", "3.90")]
    posted = [(line["why"], line["debit"], line["amount"]) for line in told["journals"]]
    assert posted == [("imported", "opening_balance", "20.10")]
    assert told["unpriced"] == [{"currency": "points", "reason": "imported", "points": 60}]
