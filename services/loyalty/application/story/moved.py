"""Which points moved, and which lots they left and entered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.loyalty.application.story.told import Told, or_none, window
from services.loyalty.application.story.words import NONE, End, Message, Value, phrase, say
from services.loyalty.domain.accrual import SETTLED
from services.loyalty.domain.calendar import IDLE, NEVER
from services.loyalty.domain.ledger import LedgerEntry

_Part = tuple[str, int]
"""A lot, and how many points left or entered it."""


class _Kind(NamedTuple):
    """What entries have in common that are told as one."""

    kind: str
    from_bucket: str
    to_bucket: str
    counting: bool
    currency: str
    cause: str
    order: str


def moved(told: Told, entries: Sequence[LedgerEntry], *, lots: bool) -> Iterator[Message]:
    """What moved, and the lots where that is asked for."""
    grouped: dict[_Kind, list[LedgerEntry]] = {}
    for entry in entries:
        grouped.setdefault(_kind(entry), []).append(entry)
    for kind, those in grouped.items():
        yield say(
            moved_key(kind.kind, kind.from_bucket, kind.to_bucket, counting=kind.counting),
            points=told.points(sum(entry.points for entry in those), kind.currency),
            cause=told.giver(kind.cause) if kind.cause else NONE,
            order=or_none(kind.order),
        )
        if lots:
            yield from _lots(told, those)
    yield from _left(told, entries)


def _left(told: Told, entries: Sequence[LedgerEntry]) -> Iterator[Message]:
    """What the member has then of the currencies that moved and can be spent."""
    program, account = told.program, told.decision.account
    touched = dict.fromkeys(program.currency_now(entry.currency) for entry in entries)
    for currency in touched:
        if not program.currency(currency).qualifies:
            yield say(
                "moved.balance",
                available=told.points(account.available(currency), currency),
                pending=account.pending(currency),
                held=account.held(currency),
                owed=account.arrears.get(currency, 0),
            )


def moved_key(kind: str, from_bucket: str, to_bucket: str, *, counting: bool) -> str:
    """The key of the sentence about entries of a kind; ``counting`` points are in a window."""
    counts = "_counting" if counting else ""
    return f"moved.{kind}_{from_bucket}_{to_bucket}{counts}"


def _kind(entry: LedgerEntry) -> _Kind:
    return _Kind(
        entry.kind,
        entry.from_bucket,
        entry.to_bucket,
        _is_window(entry.lot_to) or _is_window(entry.lot_from),
        entry.currency,
        entry.cause,
        entry.order,
    )


def _is_window(lot: str) -> bool:
    return lot.count("/") == 1


def _lots(told: Told, entries: Sequence[LedgerEntry]) -> Iterator[Message]:
    left = _parts((entry.lot_from, entry.points) for entry in entries if entry.lot_from)
    entered = _parts((entry.lot_to, entry.points) for entry in entries if entry.lot_to)
    if left == entered:  # what is held stays in its lot
        entered = []
    if left:
        yield say("moved.left_lots", lots=[_lot(told, *part) for part in left])
    if entered:
        yield say("moved.entered_lots", lots=[_lot(told, *part) for part in entered])


def _parts(parts: Iterator[_Part]) -> list[_Part]:
    sums: dict[str, int] = {}
    for lot, points in parts:
        sums[lot] = sums.get(lot, 0) + points
    return list(sums.items())


def _lot(told: Told, lot: str, points: int) -> Value:
    """A lot in words, with how many points left or entered it."""
    stands_for = {"lot": lot, "points": points}
    parts = lot.split("/", 3)
    if len(parts) == 2:
        return phrase("part.window", stands_for, points=points, window=window(parts[1]))
    month, ends = parts[1], _life(told, int(parts[2]))
    if len(parts) == 3 or parts[3].startswith("@"):  # as a pool calls it, or a member there
        return phrase("part.lot", stands_for, points=points, month=window(month), end=ends)
    awaits = parts[3]
    if awaits.startswith("p"):
        return phrase(
            "part.pending_lot",
            stands_for,
            points=points,
            month=window(month),
            end=ends,
            since=told.moment(int(awaits[1:])),
        )
    key = (
        "part.lot_until_settled" if awaits.startswith(f"d{SETTLED}") else "part.lot_until_delivered"
    )
    order = awaits.removeprefix("d").removeprefix(SETTLED)
    return phrase(key, stands_for, points=points, month=window(month), end=ends, order=order)


def _life(told: Told, at: int) -> Value:
    if at == NEVER:
        return "never"
    if at == IDLE:
        return "inactivity"
    return End(at, told.zone) if at else NONE
