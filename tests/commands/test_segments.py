"""Segments from a file: checked whole, taken once, and told line by line where they are bad."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
import uvloop

from services.loyalty.domain.account import Membership, decode_account
from services.loyalty.domain.calendar import NEVER
from tests.commands.test_operations import Shop
from tests.commands.test_operations import shop as shop  # noqa: PLC0414  a fixture
from tests.loyalty.domain.shop import at

HEADER = "member_id,segment,starts,ends\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "segments.csv"


async def _segments(shop: Shop, member: str) -> list[Membership]:
    connection = await asyncpg.connect(shop.database.owner_url)
    try:
        state = await connection.fetchval("SELECT state FROM account WHERE member_id = $1", member)
    finally:
        await connection.close()
    return decode_account(state).segments


def _types(shop: Shop, file: Path, text: str, *options: str) -> tuple[int, str, str]:
    file.write_text(text, encoding="utf-8")
    done = shop.types("segments", str(file), *options)
    return done.returncode, done.stdout, done.stderr


def test_members_are_put_into_segments_once(shop: Shop, file: Path) -> None:
    shop.enrols("17850")
    text = HEADER + (
        "17850,vip,2011-01-01,2011-03-31\n"
        "17850,lapsed,2011-02-01T09:30:00+01:00,\n"
        "17850,staff,2010-06-01,2010-06-01T10:00:00Z\n"
    )
    assert _types(shop, file, text, "--check") == (
        0,
        f"{file}: 3 rows without mistakes; none was taken\n",
        "",
    )
    assert _types(shop, file, text) == (0, f"{file}: 3 rows: 3 taken\n", "")
    assert _types(shop, file, text) == (0, f"{file}: 3 rows: 3 taken before\n", "")
    more = text + "17850,vip,2011-06-01,\n"
    assert _types(shop, file, more) == (0, f"{file}: 4 rows: 1 taken, 3 taken before\n", "")


def test_a_date_is_a_whole_day_and_a_time_an_instant(shop: Shop, file: Path) -> None:
    shop.enrols("17850")
    text = "17850,vip,2011-01-01,2011-03-31\n17850,lapsed,2011-02-01T09:30:00+01:00,\n"
    assert _types(shop, file, HEADER + text)[0] == 0
    assert uvloop.run(_segments(shop, "17850")) == [
        Membership("vip", at("2011-01-01 00:00"), at("2011-04-01 00:00")),
        Membership("lapsed", at("2011-02-01 08:30"), NEVER),
    ]


def test_nothing_is_taken_of_a_file_with_bad_rows_and_each_is_told(shop: Shop, file: Path) -> None:
    shop.enrols("17850")
    text = HEADER + (
        "17850,vip,2011-01-01,\n"
        "12346,vip,2011-01-01,\n"
        "ann@example.org,vip,2011-01-01,\n"
        "17850,V I P,2011-01-01,\n"
        "17850,vip,,\n"
        "17850,vip,2011-02-30,\n"
        "17850,vip,2011-01-01T10:00,\n"
        "17850,vip,2011-03-01,2011-01-01\n"
        "17850,vip\n"
    )
    code, told, error = _types(shop, file, text)
    assert code == 2
    assert error == f"loyalty: {file}: 8 of 9 rows are bad, and none was taken\n"
    starts = [line.partition(": ")[0] for line in told.splitlines()]
    assert starts == [f"line {number}" for number in (3, 4, 5, 6, 7, 8, 9, 10)]
    assert "no such member has enrolled" in told
    assert "looks like an e-mail address" in told
    assert "ann@example.org" not in told
    assert uvloop.run(_segments(shop, "17850")) == []


@pytest.mark.parametrize(
    "text", ["", "member,segment\n", HEADER + '17850,"vip,2011-01-01,\n', "\x00\n"]
)
def test_what_is_no_such_file_is_one_bad_row(shop: Shop, file: Path, text: str) -> None:
    code, told, _ = _types(shop, file, text)
    assert (code, told.count("\n")) == (2, 1)


def test_a_file_that_is_not_there_is_one_line(shop: Shop, file: Path) -> None:
    done = shop.types("segments", str(file))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_closed_account_refuses_its_row_and_the_others_are_taken(shop: Shop, file: Path) -> None:
    shop.enrols("17850")
    shop.enrols("12346")
    shop.erases("12346")
    text = HEADER + "17850,vip,2011-01-01,\n12346,vip,2011-01-01,\n"
    code, told, error = _types(shop, file, text)
    assert (code, told) == (1, f"{file}: 2 rows: 1 taken, 1 refused\n")
    assert error.startswith("line 3: refused: ")
