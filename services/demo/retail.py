"""Reads a file of invoice lines: the shape in which the shop of the demonstration kept its sales.

The columns are those of the Online Retail data set: InvoiceNo, StockCode, Description, Quantity,
InvoiceDate (local time in London), UnitPrice (GBP), CustomerID and Country. Returns carry negative
quantities, guests no CustomerID.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from services.loyalty.domain.calendar import Instant, from_datetime, zone

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
SHOP_ZONE = zone("Europe/London")
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_UNITS = 10_000_000
_HIGHEST_PRICE = Decimal(10_000_000)


class BadFileError(ValueError):
    """The file is not one of invoice lines; the message names the line (the header is line 1)."""


class Row(NamedTuple):
    """One invoice line, line ``number`` of the file; ``unit_price`` is pence, a guest is ``""``."""

    number: int
    invoice: str
    sku: str
    quantity: int
    at: Instant
    unit_price: int
    customer: str
    country: str


def read_file(path: Path) -> list[Row]:
    """The rows of a plain or gzipped CSV file, in its order.

    Raises:
        BadFileError: it cannot be read, or a line of it makes no sense.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadFileError(error.strerror or str(error)) from error
    return read_bytes(raw)


def read_bytes(raw: bytes) -> list[Row]:
    """The rows of a file's bytes, plain or gzipped.

    Raises:
        BadFileError: a line of it makes no sense.
    """
    if raw.startswith(_GZIP_MAGIC):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise BadFileError(f"the gzip archive is damaged ({error})") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadFileError(
            f"line {line}: the text is not UTF-8; save it in that encoding"
        ) from error
    rows = list(read_rows(io.StringIO(text, newline="")))
    if not rows:
        raise BadFileError("there is no invoice line after the header")
    return rows


def read_rows(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of CSV text.

    Raises:
        BadFileError: a column is missing, or a line makes no sense.
    """
    reader = csv.reader(lines, strict=True)
    places = _header(reader)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise BadFileError(f"line {start}: {error}") from error
        if cells is None:
            return
        if cells:
            yield _row(start, cells, places)


def _header(reader: Iterator[list[str]]) -> tuple[int, ...]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadFileError(f"line 1: {error}") from error
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise BadFileError(
            f"line 1: the header lacks {', '.join(missing)}; it must name all of"
            f" {', '.join(COLUMNS)}"
        )
    return tuple(names.index(column) for column in COLUMNS)


def _row(number: int, cells: list[str], places: tuple[int, ...]) -> Row:
    if len(cells) <= max(places):
        raise BadFileError(
            f"line {number}: {len(cells)} cells where the header names {max(places) + 1}"
        )
    invoice, sku, _, quantity, date, price, customer, country = (
        cells[place].strip() for place in places
    )
    if not invoice or not sku:
        raise BadFileError(f"line {number}: InvoiceNo and StockCode must not be empty")
    row = Row(
        number,
        invoice,
        sku,
        _quantity(number, quantity),
        _local_instant(number, date),
        _pence(number, price),
        customer.removesuffix(".0"),  # spreadsheets turn whole numbers with gaps into decimals
        country,
    )
    if row.customer and row.unit_price < 0:
        raise BadFileError(
            f"line {number}: UnitPrice {price} of customer {row.customer} is below zero"
        )
    return row


def _quantity(number: int, text: str) -> int:
    try:
        quantity = int(text)
    except ValueError as error:
        raise BadFileError(f"line {number}: Quantity {text!r} is not a whole number") from error
    if abs(quantity) > _MOST_UNITS:
        raise BadFileError(f"line {number}: Quantity {text} is beyond {_MOST_UNITS}")
    return quantity


def _pence(number: int, text: str) -> int:
    """A price in pence; the few that are finer are rounded half up."""
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise BadFileError(f"line {number}: UnitPrice {text!r} is not a number") from error
    if not price.is_finite() or abs(price) > _HIGHEST_PRICE:
        raise BadFileError(f"line {number}: UnitPrice {text!r} is not a price")
    return int((price * 100).to_integral_value(ROUND_HALF_UP))


def _local_instant(number: int, text: str) -> Instant:
    at = _instant(text)
    if at is None:
        raise BadFileError(
            f"line {number}: InvoiceDate {text!r} is not a local date and time"
            " such as 2010-12-01T08:26:00"
        )
    return at


@lru_cache(maxsize=4096)
def _instant(text: str) -> Instant | None:
    """The instant of a wall-clock time in London; the first of the two where clocks go back."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    if local.tzinfo is not None or len(text) <= len("2010-12-01"):
        return None
    return from_datetime(local.replace(tzinfo=SHOP_ZONE))
