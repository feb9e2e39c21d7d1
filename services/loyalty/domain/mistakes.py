"""What is wrong with a programme document: all of it at once, with place, reason and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a document.

    ``place`` is the path to it, such as ``earn.base.give.points`` or ``caps[0].per``, and empty for
    the document as a whole; ``line`` and ``column`` count from 1, and are None where the text does
    not tell. Reason and remedy are clauses without full stops.
    """

    place: str
    reason: str
    remedy: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = self.place or "document"
        if self.line is not None:
            where += f" (line {self.line}, column {self.column})"
        return f"{where}: {self.reason}. {self.remedy}."


class ProgramMistakes(ValueError):
    """A document that cannot be a programme, with all of its mistakes in the order of its text."""

    code = "program_mistakes"

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=_in_order_of_the_text))
        super().__init__("\n".join(map(str, self.mistakes)))


class Misread(ValueError):
    """A single value that cannot be read, before its place is known."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}. {remedy}.")
        self.reason = reason
        self.remedy = remedy


def one_of(known: Iterable[str], given: str) -> str:
    """A remedy that names what could have been meant, or else all that there is."""
    names = sorted(known)
    close = get_close_matches(given, names, n=1)
    if close:
        return f"Perhaps {close[0]!r} was meant"
    return "Use one of " + ", ".join(names) if names else "There is none yet to name"


def _in_order_of_the_text(mistake: Mistake) -> tuple[int, int, str]:
    return (mistake.line or 0, mistake.column or 0, mistake.place)
