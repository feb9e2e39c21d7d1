"""Members of an older card: who comes does not change, and what they bring along can be taken."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.demo.comers import COME, KNOWN_FOR, _Card, comers
from services.demo.orders import Purchase
from services.demo.stage import PROGRAM
from services.loyalty.application.opening_files import OpeningFiles
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.opening_mistakes import mistakes, over
from services.loyalty.domain.program import Program
from tests.loyalty.domain.shop import at

FIRST = date(2010, 12, 1)


@pytest.fixture(scope="module")
def program() -> Program:
    return parse_program(PROGRAM.read_text("utf-8"), 1)


def _sales(buyers: int) -> list[Purchase]:
    return [
        Purchase(f"o{n}", str(12340 + n), at("2010-12-02"), "France", ()) for n in range(buyers)
    ]


def test_three_hundred_come_and_of_few_buyers_every_third() -> None:
    chosen = comers(_sales(2000))
    assert len(chosen) == COME
    assert chosen == sorted(set(chosen)) == comers(list(reversed(_sales(2000))))
    assert KNOWN_FOR not in chosen
    assert len(comers(_sales(31))) == 10
    assert comers([]) == []


@pytest.mark.parametrize("first", [FIRST, date(2011, 3, 31)])
def test_what_they_bring_along_is_possible_and_always_the_same(
    first: date, program: Program, tmp_path: Path
) -> None:
    members = comers(_sales(2000))
    card, again = _Card(program, first), _Card(program, first)
    for name, each in (("one", card), ("two", again)):
        (tmp_path / name).mkdir()
        each.write(tmp_path / name, members)
    texts = [
        [path.read_text() for path in sorted((tmp_path / name).iterdir())]
        for name in ("one", "two")
    ]
    assert texts[0] == texts[1]
    files = OpeningFiles(tmp_path / "one", program)
    assert not list(files.unfit())
    assert files.learn() == len(members)
    now, came = at(f"{first} 00:00"), list(files.comers())
    assert [comer.member for comer in came] == members
    for comer in came:
        assert not comer.bad
        assert comer.body is not None
        assert not list(mistakes(program, comer.body, now))
        assert not list(over(comer.body, now))
    bodies = [comer.body for comer in came if comer.body]
    assert {body.standing.level for body in bodies} >= {"", "silver"}
    assert any(body.orders for body in bodies)
    assert any(body.gifts for body in bodies)
    assert any(comer.profile for comer in came)
