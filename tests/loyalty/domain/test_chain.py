"""A link depends on everything that it stands for."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.chain import GENESIS, JournalRow, covered_of, link
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


DOCUMENTS = st.text(alphabet='a",[]\n0é', max_size=4)
"""Few letters, and those that could be taken for what stands between fields."""

ROWS = st.builds(
    ROW._replace,
    reason=DOCUMENTS,
    source=DOCUMENTS,
    event_id=DOCUMENTS,
    event_digest=st.none() | st.binary(max_size=2),
    content_digest=st.none() | st.binary(max_size=2),
    body=DOCUMENTS,
    facts=DOCUMENTS,
    trace=DOCUMENTS,
)
ENTRIES = st.lists(
    st.builds(ENTRY._replace, lot_to=DOCUMENTS, cause=DOCUMENTS, order=DOCUMENTS), max_size=2
)


@given(ROWS, ENTRIES, ROWS, ENTRIES)
def test_other_rows_and_entries_never_cover_the_same_bytes(
    row: JournalRow, entries: list[LedgerEntry], other: JournalRow, others: list[LedgerEntry]
) -> None:
    same = (row, entries) == (other, others)
    assert (covered_of(row, entries) == covered_of(other, others)) == same


@given(ROWS, ENTRIES, st.data())
def test_bytes_that_move_to_a_neighbouring_column_show(
    row: JournalRow, entries: list[LedgerEntry], data: st.DataObject
) -> None:
    names = data.draw(
        st.sampled_from([("source", "event_id"), ("body", "facts"), ("facts", "trace")])
    )
    first, second = (getattr(row, name) for name in names)
    cut = data.draw(st.integers(0, len(first + second)))
    texts = ((first + second)[:cut], (first + second)[cut:])
    moved = row._replace(**dict(zip(names, texts, strict=True)))
    assert (link(GENESIS, moved, entries) == link(GENESIS, row, entries)) == (moved == row)


def test_anyone_can_recompute_a_link_with_json_and_sha_256() -> None:
    text = (
        '[["ada",3,"purchase","accepted","",1,1,10,12,11,"/shop","e1","ZGRkZGRkZGRkZGRkZGRkZA==",'
        '"Y2NjY2NjY2NjY2NjY2NjYw=="],[19,2,12],'
        '[["accrual","points",5,"issuance","available","","lot","base","o1"]]]\n'
        '{"kind":"purchase"}{}{"fired":{}}'
    )
    assert covered_of(ROW, [ENTRY]).decode() == text
    assert link(GENESIS, ROW, [ENTRY]) == sha256(bytes(32) + text.encode()).digest()
