"""Windows that begin with a member's enrolment, of two members who are one.

Their years begin on different days, and points do not know on which day of a year they were
earned. So a year of the member whose account ends counts, as a whole, in the year of the one who
goes on that holds its last day, or the day of the merge if that comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from msgspec import structs

from services.loyalty.domain.account import Account, Lot, with_affairs
from services.loyalty.domain.activity import MergeReceived
from services.loyalty.domain.books import WINDOW_PREFIX
from services.loyalty.domain.calendar import Instant, add_months
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import window_key
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Posting


def joined(draft: Draft, body: MergeReceived) -> MergeReceived:
    """A part of a merge by the years of the member who goes on, who remembers which is which."""
    names = _names(draft.program)
    if not names:
        return body
    years = dict(draft.affairs.years)
    for window in sorted(set(_windows(names, body))):
        own = year_of(draft.program, draft.enrolled_at, window, draft.today)
        if own != window:
            years.setdefault(window, own)
    for window, other in body.state.affairs.years.items():
        years.setdefault(window, years.get(other, other))
    if not years:
        return body
    draft.affairs = with_affairs(draft.affairs, years=years)
    return structs.replace(
        body, state=_state(body.state, names, years), history=_history(body.history, names, years)
    )


def _names(program: Program) -> set[str]:
    """Currencies that count by members' own years."""
    return {
        name
        for name, currency in program.currencies.items()
        if currency.window is not None and currency.window.kind == "member_year"
    }


def year_of(program: Program, enrolled_at: Instant, window: str, day: date) -> str:
    """The year of a member in which a year of another one counts that joins it on a day."""
    last = add_months(date.fromisoformat(window), 12) - timedelta(days=1)
    terms = next(
        currency.window
        for currency in program.currencies.values()
        if currency.window is not None and currency.window.kind == "member_year"
    )
    return window_key(terms, min(last, day), enrolled_at, program.zone)


def candidates(program: Program, account: Account, body: MergeReceived, day: date) -> Iterator[str]:
    """History keys of the years in which those of a part may count here."""
    names = _names(program)
    for window in set(_windows(names, body)) if names else ():
        own = {
            account.affairs.years.get(window, window),
            year_of(program, account.enrolled_at, window, day),
            year_of(program, account.enrolled_at, window, date.max),
        }
        for name in names:
            yield from (f"{WINDOW_PREFIX}{name}/{each}" for each in own)


def renamed(postings: Sequence[Posting], years: Mapping[str, str]) -> list[Posting]:
    """Postings of another member by the years of the one who goes on."""
    return [
        _renamed(posting, years[posting.window]) if posting.window in years else posting
        for posting in postings
    ]


def _renamed(posting: Posting, own: str) -> Posting:
    lots = []
    for key, points in posting.lots:
        currency, _, *rest = key.split("/", 2)
        lots.append(("/".join((currency, own, *rest)), points))
    return structs.replace(posting, window=own, lots=lots)


def _windows(names: set[str], body: MergeReceived) -> Iterator[str]:
    """All such windows that a part names."""
    state = body.state
    for name in names:
        yield from state.windows.get(name, ())
    yield from (lot.issued for lot in state.lots if lot.currency in names)
    yield from (reach.window for reach in state.standing.reaches if reach.window)
    for key in body.history:
        currency, _, window = key.removeprefix(WINDOW_PREFIX).partition("/")
        if key.startswith(WINDOW_PREFIX) and currency in names:
            yield window
    for posting in _postings(state):
        if posting.window and posting.currency in names:
            yield posting.window


def _postings(state: Account) -> Iterator[Posting]:
    for gift in state.affairs.level_gifts:
        yield from gift.postings
    for card in state.cards.values():
        for full in card.full:
            yield from full.postings


def _state(state: Account, names: set[str], years: Mapping[str, str]) -> Account:
    windows: dict[str, dict[str, int]] = {}
    for name, held in state.windows.items():
        for window, points in held.items():
            own = years.get(window, window) if name in names else window
            counted = windows.setdefault(name, {})
            counted[own] = counted.get(own, 0) + points
    reaches = [
        structs.replace(reach, window=years.get(reach.window, reach.window))
        for reach in state.standing.reaches
    ]
    cards = {
        name: structs.replace(
            card,
            full=[
                structs.replace(full, postings=renamed(full.postings, years)) for full in card.full
            ],
        )
        for name, card in state.cards.items()
    }
    gifts = [
        structs.replace(gift, postings=renamed(gift.postings, years))
        for gift in state.affairs.level_gifts
    ]
    return structs.replace(
        state,
        lots=[_lot(lot, years) if lot.currency in names else lot for lot in state.lots],
        windows=windows,
        standing=structs.replace(state.standing, reaches=reaches),
        cards=cards,
        affairs=with_affairs(state.affairs, level_gifts=gifts),
    )


def _lot(lot: Lot, years: Mapping[str, str]) -> Lot:
    return structs.replace(lot, issued=years.get(lot.issued, lot.issued))


def _history(
    history: Mapping[str, list[int]], names: set[str], years: Mapping[str, str]
) -> dict[str, list[int]]:
    counted: dict[str, list[int]] = {}
    for key, (times, points) in history.items():
        currency, _, window = key.removeprefix(WINDOW_PREFIX).partition("/")
        own = key
        if key.startswith(WINDOW_PREFIX) and currency in names:
            own = f"{WINDOW_PREFIX}{currency}/{years.get(window, window)}"
        was = counted.get(own, [0, 0])
        counted[own] = [was[0] + times, was[1] + points]
    return counted
