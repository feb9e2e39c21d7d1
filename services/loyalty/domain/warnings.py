"""What a programme document says that is allowed, and may not be what was meant."""

from __future__ import annotations

from collections.abc import Mapping

from services.loyalty.domain.compiling import language_of, named_in
from services.loyalty.domain.document import read_document
from services.loyalty.domain.findings import Finding, Findings
from services.loyalty.domain.mistakes import Mistake
from services.loyalty.domain.program import BUDGET, stock_key
from services.loyalty.domain.recurrence_gaps import skipped_month
from services.loyalty.domain.sections import Choice, Document
from services.loyalty.domain.source import Path, read_source


def warnings_of(text: str) -> list[Mistake]:
    """Warnings about a document, in the order of its text. They refuse nothing.

    Raises:
        ProgramMistakes: it is none.
    """
    source = read_source(text)
    found = [source.mistake(*finding) for finding in _findings(read_document(text))]
    return sorted(found, key=lambda one: (one.line or 0, one.column or 0, one.place))


def closed_by(text: str, used: Mapping[str, int]) -> list[Mistake]:
    """Warnings about budgets and stock of which a document leaves nothing, because as much was
    taken before.
    """
    source, document = read_source(text), read_document(text)
    places: dict[Path, tuple[str, int]] = {
        ("earn", name, "budget"): (BUDGET + name, rule.budget.points)
        for name, rule in document.earn.items()
        if rule.budget
    }
    for name, reward in document.rewards.items():
        if reward.stock:
            places["rewards", name, "stock"] = stock_key(name), reward.stock
    return [
        source.mistake(
            path,
            f"{used[key]} were taken before, so that nothing is left of it",
            "Write what there is in all, what is used included, if that is not meant",
        )
        for path, (key, cap) in places.items()
        if used.get(key, 0) >= cap
    ]


def _findings(document: Document) -> Findings:
    for name, rule in document.earn.items():
        yield from _days(("earn", name), rule)
    for name, boost in (document.boosts.model_extra or {}).items():
        yield from _days(("boosts", name), boost)
    for name, card in document.stamps.items():
        yield from _days(("stamps", name), card)
    yield from _unsaid(document)


def _unsaid(document: Document) -> Findings:
    """What is named in other languages, and not in that of whoever asks for none of them."""
    language = language_of(document)
    for _, _, path, one in named_in(document):
        for key, texts, instead in (
            ("names", one.names, "its id"),
            ("descriptions", one.descriptions, "none"),
        ):
            if texts and language not in texts:
                yield Finding(
                    (*path, key),
                    f"none is in {language!r}, so that whoever asks for yet another language gets "
                    f"{instead}",
                    f"Add one in {language!r}, or say which 'language' is the programme's",
                )


def _days(path: Path, choice: Choice) -> Findings:
    if choice.days is None:
        return
    first, last = (choice.valid.first, choice.valid.last) if choice.valid else (None, None)
    part, month = skipped_month(choice.days, first, last)
    if part:
        yield Finding(
            (*path, "days"),
            f"{part} has no day in {month}, so that it is skipped there",
            "Choose a day that each has, such as BYMONTHDAY=-1 for the last, if that is not meant",
        )
