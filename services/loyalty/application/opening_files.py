"""Members from the files of an import: each an activity like those that arrive as events.

``members.csv`` gives the order of members; every other file has its rows in that same order, so
that one pass over all of them finds a member's rows together, however many members there are. Each
member has one name in the journal: so what was read before changes nothing, and other content for
somebody who has come is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from services.loyalty.application.csv_rows import BadRow
from services.loyalty.application.opening_columns import FILES, Column
from services.loyalty.application.opening_rows import MEMBERS, Comer, Composer, Row
from services.loyalty.domain.member_id import BadMemberId, check_member_id
from services.loyalty.domain.program import Program


class OpeningFiles:
    """The files of a folder, read under a programme."""

    def __init__(self, folder: Path, program: Program) -> None:
        self._folder = folder
        self._program = program
        self._order: dict[str, int] = {}

    def unfit(self) -> Iterator[BadRow]:
        """What is wrong with the files as such; they can be read on only where there is nothing."""
        for file in FILES:
            path = self._folder / f"{file}.csv"
            if not path.exists():
                if file == MEMBERS:
                    yield BadRow(1, "there is no such file", path.name)
                continue
            try:
                with _opened(path) as text:
                    yield from _File(file, text, self._program).unfit()
            except OSError as error:
                yield BadRow(1, str(error.strerror), path.name)
        others = {f"{file}.csv" for file in FILES}
        for path in sorted(self._folder.glob("*.csv")):
            if path.name not in others:
                yield BadRow(1, "an import has no such file", path.name)

    def learn(self) -> int:
        """Learns the order of members; answers how many there are."""
        with _opened(self._folder / f"{MEMBERS}.csv") as text:
            for row in _File(MEMBERS, text, self._program).rows():
                if not isinstance(row, BadRow):
                    self._order.setdefault(row[0], len(self._order))
        return len(self._order)

    def comers(self) -> Iterator[Comer]:
        """Every member in order, after :meth:`learn`; rows that are nobody's as of no member."""
        with ExitStack() as open_files:
            texts = {
                file: open_files.enter_context(_opened(path))
                for file in FILES
                if (path := self._folder / f"{file}.csv").exists()
            }
            members, *others = (_File(file, text, self._program) for file, text in texts.items())
            seen = 0
            beside = [_Beside(file, self._order) for file in others]
            for row in members.rows():
                if isinstance(row, BadRow):
                    yield Comer("", bad=[row])
                    continue
                member, line, cells = row
                if self._order.get(member) != seen:
                    yield Comer(
                        "", bad=[BadRow(line, "member_id: it stands here twice", "members.csv")]
                    )
                    continue
                seen += 1
                yield self._comer(members, member, (line, cells), beside)
            for each in beside:
                if bad := list(each.rest()):
                    yield Comer("", bad=bad)

    def _comer(
        self,
        members: _File,
        member: str,
        own: tuple[int, list[str]],
        beside: Sequence[_Beside],
    ) -> Comer:
        comer = Comer(member)
        rows: dict[str, list[Row]] = {MEMBERS: []}
        taken = members.read(*own)
        found = [taken]
        for each in beside:
            found += each.of(member)
            rows[each.file] = []
        for name, row in found:
            if isinstance(row, BadRow):
                comer.bad.append(row)
            else:
                rows[name].append(row)
        if not comer.bad:
            Composer(self._program, comer, rows).compose()
        if comer.bad:
            comer.body = None
        return comer


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


Raw: TypeAlias = tuple[str, int, list[str]]
"""Of a row, its member, its line and its cells."""


class _File:
    """One file: its columns, and its rows one by one."""

    def __init__(self, name: str, text: TextIO, program: Program) -> None:
        self.name = name
        self._zone = program.zone
        self._rows = csv.reader(text, strict=True)
        self._columns: list[tuple[str, Column]] = []
        self._left_out: dict[str, Any] = {}
        self._unfit = ""
        self._open()

    def _open(self) -> None:
        known = FILES[self.name]
        try:
            header = [cell.strip() for cell in next(self._rows, [])]
        except (csv.Error, UnicodeDecodeError) as error:
            self._unfit = f"it is no CSV in UTF-8: {error}"
            return
        strange = [name for name in header if name not in known]
        missing = [name for name, column in known.items() if column.required and name not in header]
        if strange:
            self._unfit = f"there is no column {strange[0]!r}; there are {', '.join(known)}"
        elif missing:
            self._unfit = f"the first line has no column {missing[0]}"
        elif len(set(header)) < len(header):
            self._unfit = "the first line names a column twice"
        self._columns = [(name, known[name]) for name in header if name in known]
        self._left_out = {name: col.empty for name, col in known.items() if name not in header}

    def unfit(self) -> Iterator[BadRow]:
        if self._unfit:
            yield BadRow(1, self._unfit, f"{self.name}.csv")

    def rows(self) -> Iterator[Raw | BadRow]:
        """Rows with the members whose they are; the last answer is bad where it is no CSV."""
        places = [place for place, (name, _) in enumerate(self._columns) if name == "member_id"]
        try:
            for row in self._rows:
                if not row:
                    continue
                line = self._rows.line_num
                if len(row) != len(self._columns):
                    yield self._bad(
                        line,
                        f"it has {len(row)} fields, and the first line has {len(self._columns)}",
                    )
                    continue
                member = row[places[0]].strip()
                try:
                    check_member_id(member)
                except BadMemberId as bad:
                    yield self._bad(line, f"member_id: {bad.reason}")
                    continue
                yield member, line, row
        except (csv.Error, UnicodeDecodeError) as error:
            yield self._bad(self._rows.line_num + 1, f"it is no CSV in UTF-8: {error}")

    def read(self, line: int, cells: list[str]) -> tuple[str, Row | BadRow]:
        """What stands in a row, with the file's name."""
        values = dict(self._left_out)
        try:
            for cell, (name, column) in zip(cells, self._columns, strict=True):
                text = cell.strip()
                if text:
                    values[name] = column.read(name, text, self._zone)
                elif column.required:
                    raise ValueError(f"{name}: it is empty")
                else:
                    values[name] = column.empty
        except ValueError as error:
            return self.name, self._bad(line, str(error))
        return self.name, Row(line, values)

    def _bad(self, line: int, reason: str) -> BadRow:
        return BadRow(line, reason, f"{self.name}.csv")


class _Beside:
    """A file beside ``members.csv``, read along with it."""

    def __init__(self, file: _File, order: Mapping[str, int]) -> None:
        self.file = file.name
        self._file = file
        self._order = order
        self._rows = file.rows()
        self._next: Raw | BadRow | None = next(self._rows, None)

    def of(self, member: str) -> Iterator[tuple[str, Row | BadRow]]:
        """The rows of a member who comes next, and bad ones before them."""
        while self._next is not None:
            if isinstance(self._next, BadRow):
                yield self.file, self._next
            else:
                whose, line, cells = self._next
                if whose == member:
                    yield self._file.read(line, cells)
                elif self._order.get(whose, -1) > self._order[member]:
                    return
                else:
                    yield self.file, self._misplaced(whose, line)
            self._next = next(self._rows, None)

    def rest(self) -> Iterator[BadRow]:
        """Rows that are nobody's, after the last member."""
        while self._next is not None:
            if isinstance(self._next, BadRow):
                yield self._next
            else:
                yield self._misplaced(self._next[0], self._next[1])
            self._next = next(self._rows, None)

    def _misplaced(self, whose: str, line: int) -> BadRow:
        known = whose in self._order
        why = (
            "members have another order in members.csv"
            if known
            else "members.csv has no such member"
        )
        return BadRow(line, f"member_id: {why}", f"{self.file}.csv")
