"""Segments from a CSV file: each row an activity like those that arrive as events.

``member_id,segment,starts,ends``: a member is in a segment from ``starts`` until ``ends``, or for
good where that is empty. A date stands for the whole of it, in the programme's zone; a time
(RFC 3339, with its offset) for that instant, and an end is then exclusive. A row has a name of its
own in the member's journal, so that a file that was read before changes nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO
from zoneinfo import ZoneInfo

from services.loyalty.application.contract import CODE_PATTERN
from services.loyalty.application.csv_rows import BadRow, instant_of
from services.loyalty.application.intake import event_digest
from services.loyalty.application.store import Incoming
from services.loyalty.domain.activity import Segmented, encode_body
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.member_id import BadMemberId, check_member_id

SOURCE = "loyalty.segments"
COLUMNS = ("member_id", "segment", "starts", "ends")
_LONGEST_CODE = 64
_CODE = re.compile(CODE_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A row that can be taken, and the line of the file on which it ends."""

    line: int
    member: str
    body: Segmented

    def incoming(self, now: Instant) -> Incoming:
        """The activity of the row, as it is taken now."""
        body = self.body
        ends = rfc3339(body.ends_at) if body.ends_at else ".."
        name = f"{body.segment}/{rfc3339(body.starts_at)}/{ends}"
        activity = Activity(body, now, 0, SOURCE, name)
        return Incoming(self.member, activity, event_digest(SOURCE, name), encode_body(body))


def read_segments(file: TextIO, zone: ZoneInfo) -> Iterator[SegmentRow | BadRow]:
    """The rows of a file, one by one; the first answer is bad where its columns are others."""
    rows = csv.reader(file, strict=True)
    try:
        header = next(rows, [])
        if tuple(header) not in (COLUMNS, COLUMNS[:3]):
            yield BadRow(1, f"the first line is not {','.join(COLUMNS)}")
            return
        for row in rows:
            if row:
                yield _row(rows.line_num, row, len(header), zone)
    except (csv.Error, UnicodeDecodeError) as error:
        yield BadRow(rows.line_num + 1, f"it is no CSV in UTF-8: {error}")


def _row(line: int, row: list[str], columns: int, zone: ZoneInfo) -> SegmentRow | BadRow:
    if len(row) != columns:
        return BadRow(line, f"it has {len(row)} fields, and the first line has {columns}")
    member, segment, starts, ends = (field.strip() for field in [*row, ""][:4])
    try:
        check_member_id(member)
        if not segment or len(segment) > _LONGEST_CODE or not _CODE.fullmatch(segment):
            raise ValueError(
                f"segment: a code of up to {_LONGEST_CODE} small letters, digits, '.', '_' and '-'"
            )
        starts_at = instant_of("starts", starts, zone)
        ends_at = instant_of("ends", ends, zone, later=1) if ends else 0
    except BadMemberId as bad:
        return BadRow(line, f"member_id: {bad.reason}")
    except ValueError as error:
        return BadRow(line, str(error))
    if ends and ends_at < starts_at:
        return BadRow(line, "ends: before the start")
    return SegmentRow(line, member, Segmented(segment, starts_at, ends_at))
