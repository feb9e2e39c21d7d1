"""Which of a member's points belong to orders that may still come back.

Lots are kept by month and merge, so no lot knows its orders. What is kept instead is how many
points orders posted whose return window began on a day; points that are spent are taken to be
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from services.loyalty.domain.account import Returnable, with_affairs
from services.loyalty.domain.calendar import local_date, midnight
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.receipt import Posting, Receipt

_Key = tuple[int, str, int]


def follow(draft: Draft) -> None:
    """Brings what is inside the window up to the receipts that a decision made or changed."""
    held = {
        (one.day, one.currency, one.activates_at): one.points for one in draft.affairs.returnable
    }
    was = draft.facts.receipt
    if was is not None and was.order in draft.receipts:
        _add(draft, held, was, -1)
    for receipt in draft.receipts.values():
        _add(draft, held, receipt, 1)
    kept = [
        Returnable(*key, points)
        for key, points in sorted(held.items())
        if points > 0 and _is_inside(draft, key[0])
    ]
    draft.affairs = with_affairs(draft.affairs, returnable=kept)


def inside_window(draft: Draft, currency: str) -> int:
    """Points of a currency that could be spent but for the return window of their orders."""
    now = draft.program.currency_now
    return sum(
        one.points
        for one in draft.affairs.returnable
        if now(one.currency) == currency
        and one.activates_at <= draft.effective_at
        and _is_inside(draft, one.day)
    )


def _add(draft: Draft, held: dict[_Key, int], receipt: Receipt, sign: int) -> None:
    day = local_date(receipt.delivered_at or receipt.occurred_at, draft.tz).toordinal()
    if not _is_inside(draft, day):
        return
    for posting in receipt.postings:
        if posting.window:
            continue
        for activates_at, points in _kept(posting):
            key = (day, posting.currency, activates_at)
            held[key] = held.get(key, 0) + sign * points


def _kept(posting: Posting) -> Iterator[tuple[int, int]]:
    """What is left of a posting, with when it can be spent; not what awaits its delivery, which
    begins the window.
    """
    gone = sum(posting.reversed)
    for key, points in posting.lots:
        left = max(0, points - gone)
        gone = max(0, gone - points)
        _, _, *rest = key.split("/", 3)
        wait = rest[1] if len(rest) > 1 else ""
        if left and not wait.startswith("d"):
            yield (int(wait[1:]) if wait else 0), left


def _is_inside(draft: Draft, day: int) -> bool:
    start = midnight(date.fromordinal(day), draft.tz) + 1  # the window is over with a whole day
    return after_span(start, draft.program.returns, draft.tz) > draft.effective_at
