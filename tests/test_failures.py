"""Every known ending has an exit code of its own and one line."""

from __future__ import annotations

import asyncio
from importlib import import_module

import pytest

from services import failures
from services.events.halt import BrokerUnavailable, PositionLost, WatermarkDiffers
from services.failures import ENDINGS, ending_of, unexpected
from services.loyalty.db.connect import DatabaseUnavailable


@pytest.mark.parametrize("name", sorted(failures._ENDINGS))
def test_the_table_names_exceptions_that_there_are(name: str) -> None:
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(import_module(module), kind), Exception)


def test_no_two_endings_share_an_exit_code() -> None:
    codes = [ending.code for ending in ENDINGS]
    assert len(codes) == len(set(codes))
    assert 0 not in codes


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            DatabaseUnavailable("db:5432/x does\nnot answer"),
            3,
            "database db:5432/x does not answer",
        ),
        (BrokerUnavailable("Kafka at k:9092: refused"), 4, "Kafka at k:9092: refused"),
        (WatermarkDiffers("a restore"), 8, "a restore"),
        (PositionLost("gone"), 9, "gone"),
        (asyncio.CancelledError(), 130, "interrupted"),
        (ExceptionGroup("two", [PositionLost("first"), OSError("second")]), 9, "first"),
    ],
)
def test_a_known_error_is_one_line_with_its_code(
    error: BaseException, code: int, line: str
) -> None:
    found = ending_of(error)
    assert found is not None
    assert (found[0].code, found[1]) == (code, line)


def test_a_mistake_of_our_own_is_one_line_that_says_how_to_see_more() -> None:
    error = ZeroDivisionError("division\nby zero")
    assert ending_of(error) is None
    assert unexpected(error) == (
        "unexpected ZeroDivisionError: division by zero (LOYALTY_DEBUG=1 shows where)"
    )
