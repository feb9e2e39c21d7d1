"""A link depends on everything that it stands for."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from services.loyalty.domain.chain import GENESIS, JournalRow, link
from services.loyalty.domain.ledger import LedgerEntry

ROW = JournalRow(
    "ada", 3, "purchase", "accepted", "", 1, 1, 10, 12, 11, "/shop", "e1",
    b"d" * 16, b"c" * 16, '{"kind":"purchase"}', "{}", '{"fired":{}}',
)  # fmt: skip
ENTRY = LedgerEntry("accrual", "points", 5, "issuance", "available", "", "lot", "base", "o1")


def _other(value: Any) -> Any:
    return value + (1 if isinstance(value, int) else b"!" if isinstance(value, bytes) else "!")


@pytest.mark.parametrize("field", JournalRow._fields)
def test_every_column_of_the_row_counts(field: str) -> None:
    changed = ROW._replace(**{field: _other(getattr(ROW, field))})
    assert link(GENESIS, changed, [ENTRY]) != link(GENESIS, ROW, [ENTRY])


@pytest.mark.parametrize("field", LedgerEntry._fields)
def test_every_column_of_an_entry_counts(field: str) -> None:
    changed = ENTRY._replace(**{field: _other(getattr(ENTRY, field))})
    assert link(GENESIS, ROW, [changed]) != link(GENESIS, ROW, [ENTRY])


def test_order_and_number_of_entries_count() -> None:
    other = ENTRY._replace(currency="status")
    links = {link(GENESIS, ROW, list(e)) for e in ([], [ENTRY], [ENTRY, other], [other, ENTRY])}
    assert len(links) == 4


def test_the_link_before_counts() -> None:
    assert link(b"\1" * 32, ROW, []) != link(GENESIS, ROW, [])


def test_a_missing_digest_is_not_an_empty_one() -> None:
    assert link(GENESIS, ROW._replace(event_digest=None), []) != link(
        GENESIS, ROW._replace(event_digest=b""), []
    )


def test_anyone_can_recompute_a_link_with_json_and_sha_256() -> None:
    text = (
        '[["ada",3,"purchase","accepted","",1,1,10,12,11,"/shop","e1","ZGRkZGRkZGRkZGRkZGRkZA==",'
        '"Y2NjY2NjY2NjY2NjY2NjYw==","{\\"kind\\":\\"purchase\\"}","{}","{\\"fired\\":{}}"],'
        '[["accrual","points",5,"issuance","available","","lot","base","o1"]]]'
    )
    assert link(GENESIS, ROW, [ENTRY]) == sha256(bytes(32) + text.encode()).digest()
