"""Our balances beside those of another system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.test_importing import EXAMPLE
from tests.commands.test_operations import Shop
from tests.commands.test_operations import shop as shop  # noqa: PLC0414  a fixture

HEADER = "member_id,currency,available,pending\n"
SAME = (
    "17850,points,420,60\n12346,points,-35,0\n12347,points,1800,0\n"
    "17850,status,640,0\n12347,status,700,0\n"
)


@pytest.fixture
def came(shop: Shop) -> Shop:
    """The members of the example, who have come."""
    assert shop.types("import", str(EXAMPLE)).returncode == 0
    return shop


def _compared(shop: Shop, tmp_path: Path, text: str, *options: str) -> tuple[int, str, str]:
    file = tmp_path / "balances.csv"
    file.write_text(text)
    done = shop.types("shadow", str(file), *options)
    return done.returncode, done.stdout, done.stderr


def test_the_same_balances_are_the_same(came: Shop, tmp_path: Path) -> None:
    assert _compared(came, tmp_path, HEADER + SAME) == (
        0,
        "points: 3 balances the same, 0 not; there 2,245, here 2,245, difference +0\n"
        "status: 2 balances the same, 0 not; there 1,340, here 1,340, difference +0\n",
        "",
    )


def test_every_difference_is_told_and_the_command_fails(came: Shop, tmp_path: Path) -> None:
    text = HEADER + "17850,points,421,0\n12346,points,-35,0\n99999,points,7,0\n12350,points,0,0\n"
    written = tmp_path / "differences.csv"
    code, told, error = _compared(came, tmp_path, text, "--json", "--csv", str(written))
    assert (code, error) == (7, "loyalty: 4 balances differ\n")
    found = json.loads(told)
    assert found["same"] is False
    assert found["currencies"] == {
        "points": {"same": 2, "different": 3, "there": 393, "here": 2245}
    }
    assert [list(each.values()) for each in found["differences"]] == [
        ["12347", "active", "points", "available", 0, 1800],
        ["17850", "active", "points", "available", 421, 420],
        ["17850", "active", "points", "pending", 0, 60],
        ["99999", "", "points", "available", 7, 0],
    ]
    assert written.read_text().splitlines()[1] == "12347,active,points,available,0,1800"
    code, words, _ = _compared(came, tmp_path, text)
    assert code == 7
    last = "99999 (not here) points available 7 0"
    assert words.splitlines()[-1].split() == last.split()


def test_without_pending_only_what_can_be_spent_is_compared(came: Shop, tmp_path: Path) -> None:
    text = "member_id,currency,available\n17850,points,420\n12346,points,-35\n12347,points,1800\n"
    assert _compared(came, tmp_path, text)[0] == 0


def test_what_is_due_by_now_is_counted_and_nothing_is_written(came: Shop, tmp_path: Path) -> None:
    came.waits_until("2011-01-19T00:00:00Z")
    assert _compared(came, tmp_path, HEADER + SAME)[0] == 7
    text = SAME.replace("420,60", "480,0")
    assert _compared(came, tmp_path, HEADER + text)[0] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("member,points\n", "line 1: the first line is not"),
        (HEADER + "a@b.org,points,1,0\n", "line 2: member_id: it looks like"),
        (HEADER + "1,coins,1,0\n", "line 2: currency: the programme has no such"),
        (HEADER + "1,points,1.5,0\n", "line 2: available: a whole number"),
        (HEADER + "1,points,1,\n", "line 2: pending: a whole number"),
        (HEADER + "1,points\n", "line 2: it has 2 fields"),
        (HEADER + "1,points,1,0\n1,points,1,0\n", "line 3: the member's balance"),
        (HEADER + '1,"points,1,0\n', "line 3: it is no CSV"),
    ],
)
def test_a_bad_row_is_told_and_nothing_is_compared(
    shop: Shop, tmp_path: Path, text: str, told: str
) -> None:
    code, words, error = _compared(shop, tmp_path, text)
    assert code == 2
    assert words.startswith(told)
    assert error.endswith("nothing was compared\n")


def test_a_file_that_is_not_there_is_one_line(shop: Shop) -> None:
    done = shop.types("shadow", "no.csv")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
