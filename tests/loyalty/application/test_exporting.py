"""What is deferred goes with points, to the last minor unit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.application.exporting import Deferred
from services.loyalty.domain.bookreport import Report


def _report(points: int, *amounts: tuple[str, str]) -> Report:
    month = SimpleNamespace(key="2011-02", available=points, pending=0, held=0)
    rows: list[Any] = [
        SimpleNamespace(
            currency="points", issued="2011-02", money="GBP", funding=funding, deferred=amount
        )
        for funding, amount in amounts
    ]
    books = SimpleNamespace(currency="points", by_age=[month])
    return cast(Report, SimpleNamespace(deferred=rows, currencies=[books]))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), st.integers(0, 10**6))
def test_the_parts_of_all_lots_sum_to_the_whole(lots: list[int], pence: int) -> None:
    amount = f"{pence // 100}.{pence % 100:02}"
    deferred = Deferred(_report(sum(lots), ("purchase", amount), ("gratuitous", "-1.00")))
    parts = [list(deferred.part("points", "2011-02", points)) for points in lots]
    told = [part for found in parts for part in found]
    assert sum(share for _, _, share in told) == pence
    assert all(each[:2] == ("GBP", "purchase") and each[2] > 0 for each in told)
    assert not list(deferred.part("points", "2011-02", 5))
    assert not list(deferred.part("points", "2011-03", 5))
    assert not list(Deferred(None).part("points", "2011-02", 5))
