"""Reading a file of invoice lines, good and bad."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.demo.orders import read_sales
from services.demo.retail import BadFileError, read_bytes, read_file
from services.loyalty.domain.calendar import from_datetime

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
LINE = "536365,85123A,WHITE HANGING HEART,6,2010-12-01T08:26:00,2.55,17850,United Kingdom\n"


def test_a_line_is_read_with_its_price_in_pence_and_its_time_in_utc() -> None:
    (row,) = read_bytes((HEADER + LINE).encode())
    assert (row.number, row.invoice, row.sku) == (2, "536365", "85123A")
    assert (row.quantity, row.unit_price) == (6, 255)
    assert (row.customer, row.country) == ("17850", "United Kingdom")
    assert row.at == from_datetime(datetime(2010, 12, 1, 8, 26, tzinfo=UTC))


def test_summer_time_in_london_is_an_hour_ahead_of_utc() -> None:
    line = LINE.replace("2010-12-01T08:26:00", "2011-05-31 15:53:00")
    (row,) = read_bytes((HEADER + line).encode())
    assert row.at == from_datetime(datetime(2011, 5, 31, 14, 53, tzinfo=UTC))


def test_a_gzipped_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    plain, packed = tmp_path / "lines.csv", tmp_path / "lines.bin"
    plain.write_text(HEADER + LINE)
    packed.write_bytes(gzip.compress((HEADER + LINE).encode()))
    assert read_file(plain) == read_file(packed)


def test_columns_may_come_in_any_order_and_with_others_between() -> None:
    text = (
        "Country,Note,CustomerID,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo\n"
        'France,x,12583.0,0.85,2010-12-01T08:45:00,24,"ALARM CLOCK, BLUE",22728,536370\n'
    )
    (row,) = read_bytes(text.encode())
    assert (row.customer, row.sku, row.quantity, row.unit_price) == ("12583", "22728", 24, 85)


def test_a_price_finer_than_a_penny_is_rounded_half_up() -> None:
    fine = LINE.replace("2.55", "0.005") + LINE.replace("2.55", "0.001")
    rows = read_bytes((HEADER + fine).encode())
    assert [row.unit_price for row in rows] == [1, 0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("6,2010", "six,2010"), "line 3: Quantity 'six' is not a whole number"),
        (("6,2010", "99999999999,2010"), "line 3: Quantity 99999999999 is beyond"),
        (("2.55", "free"), "line 3: UnitPrice 'free' is not a number"),
        (("2.55", "NaN"), "line 3: UnitPrice 'NaN' is not a price"),
        (("2.55", "-2.55"), "line 3: UnitPrice -2.55 of customer 17850 is below zero"),
        (
            ("2010-12-01T08:26:00", "12/1/2010 8:26"),
            "line 3: InvoiceDate '12/1/2010 8:26' is not a local",
        ),
        (("2010-12-01T08:26:00", "2010-12-01"), "line 3: InvoiceDate '2010-12-01' is not a local"),
        (("2010-12-01T08:26:00", "2010-12-01T08:26:00Z"), "line 3: InvoiceDate"),
        (("536365", ""), "line 3: InvoiceNo and StockCode must not be empty"),
        ((",United Kingdom", ""), "line 3: 7 cells where the header names 8"),
        (("WHITE HANGING HEART", '"WHITE HANGING HEART'), "line 3: "),
    ],
)
def test_a_line_that_makes_no_sense_is_named(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(BadFileError) as refusal:
        read_bytes((HEADER + LINE + LINE.replace(*change)).encode())
    assert complaint in str(refusal.value)


def test_the_number_of_a_line_counts_lines_inside_quotes() -> None:
    text = HEADER + LINE.replace("WHITE HANGING HEART", '"WHITE\nHANGING\nHEART"')
    text += LINE.replace("2.55", "?")
    with pytest.raises(BadFileError, match=r"line 5: UnitPrice"):
        read_bytes(text.encode())


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "line 1: the header lacks InvoiceNo"),
        (b"a,b\n1,2\n", "line 1: the header lacks InvoiceNo"),
        (HEADER.replace("CustomerID", "Customer").encode(), "line 1: the header lacks CustomerID;"),
        (HEADER.encode(), "there is no invoice line after the header"),
        ((HEADER + LINE).encode() + b"\xff\xfe", "line 3: the text is not UTF-8"),
        (gzip.compress((HEADER + LINE).encode())[:-12], "the gzip archive is damaged"),
    ],
)
def test_a_file_that_is_not_one_is_refused_clearly(raw: bytes, complaint: str) -> None:
    with pytest.raises(BadFileError) as refusal:
        read_bytes(raw)
    assert str(refusal.value).startswith(complaint)


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"nothing\.csv: No such file"):
        read_sales(tmp_path / "nothing.csv")


def test_a_file_of_guests_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text(HEADER + LINE.replace("17850", ""))
    with pytest.raises(BadFileError, match=r"guests\.csv: no line of it was bought by a customer"):
        read_sales(tmp_path / "guests.csv")
