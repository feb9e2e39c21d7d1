"""Reading the journal back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.loyalty.db.statements import columns_of
from services.loyalty.db.tables import journal
from services.loyalty.domain.calendar import from_datetime
from services.loyalty.domain.chain import JournalRow

COLUMNS = columns_of(journal)
"""All columns, the link last."""


def journal_row(record: Sequence[Any]) -> JournalRow:
    """The row that was read as :data:`COLUMNS`, without its link."""
    return JournalRow(*record[:7], *map(from_datetime, record[7:10]), *record[10:17])
