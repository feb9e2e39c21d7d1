"""From Decisions to rows: pure, once for both ways of recording. This is the hot path.

Rows are tuples in the order of their statement's columns (:mod:`statements`), with instants where
those are timestamps (:mod:`instants`). Every document is encoded once; the chain is continued from
the head that was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

import msgspec

from services.loyalty.application.store import Decided, ProfilePatch, Write
from services.loyalty.domain.account import encode_account
from services.loyalty.domain.activity import KINDS, encode_body
from services.loyalty.domain.calendar import FIRST, LAST, NEVER, Instant
from services.loyalty.domain.chain import bound, covered
from services.loyalty.domain.decision import ENGINE, Decision, HoldKept
from services.loyalty.domain.facts import NO_FACTS, LotTotals
from services.loyalty.domain.receipt import Receipt, encode_receipt
from services.loyalty.domain.voucher import (
    Redemption,
    Voucher,
    encode_redemption,
    encode_voucher,
)

EVENT_LIMIT_BYTES = 256 * 1024
"""The largest data of one event or derived activity; what is larger is refused when recorded."""

Row: TypeAlias = tuple[Any, ...]

_Times: TypeAlias = tuple[Any, Any]
"""The instants at which an activity was recorded, and at which it takes effect."""

_encode: Final = msgspec.json.Encoder().encode

# What other modules made is looked up at every use; a Final of this one is not.
_encode_account: Final = encode_account
_encode_body: Final = encode_body
_encode_receipt: Final = encode_receipt
_KINDS: Final = KINDS
_LIMIT_BYTES: Final = EVENT_LIMIT_BYTES
_ENGINE: Final = ENGINE
_NO_FACTS: Final = NO_FACTS


class EventTooLarge(ValueError):
    """An event exceeds :data:`EVENT_LIMIT_BYTES`; its Decision cannot be recorded."""

    def __init__(self, member: str, type_: str, size_bytes: int) -> None:
        super().__init__(
            f"event {type_} of member {member} has {size_bytes} bytes of data,"
            f" more than {EVENT_LIMIT_BYTES}"
        )
        self.member = member
        self.type = type_
        self.size_bytes = size_bytes


@dataclass(slots=True)
class Rows:
    """All rows of a set of Writes; each field is named for the statement that takes it.

    It is the :class:`~services.loyalty.application.store.Recording` of PostgreSQL.
    """

    versions: dict[str, int] = field(default_factory=dict)
    account: list[Row] = field(default_factory=list)
    journal: list[Row] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    new_receipt: list[Row] = field(default_factory=list)
    receipt: list[Row] = field(default_factory=list)
    lot: list[Row] = field(default_factory=list)
    hold: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    tier_history: list[Row] = field(default_factory=list)
    parked: list[Row] = field(default_factory=list)
    unparked: list[Row] = field(default_factory=list)
    issued_reward: list[Row] = field(default_factory=list)
    referral_code: list[Row] = field(default_factory=list)
    new_voucher: list[Row] = field(default_factory=list)
    voucher: list[Row] = field(default_factory=list)
    new_redemption: list[Row] = field(default_factory=list)
    redemption: list[Row] = field(default_factory=list)
    profile: list[Row] = field(default_factory=list)
    erased_profile: list[Row] = field(default_factory=list)
    erased_letters: list[Row] = field(default_factory=list)
    erased_answers: list[Row] = field(default_factory=list)
    idempotency: list[Row] = field(default_factory=list)
    grant: list[Row] = field(default_factory=list)
    """By member, what was taken of a shared counter, with its cap."""
    counter: list[Row] = field(default_factory=list)
    """The sums of grants, made when all of them are there."""

    def add(self, write: Write) -> None:
        """Adds the rows that record one account's Decisions.

        Raises:
            EventTooLarge: a Decision holds an event that may not be published.
        """
        self.versions[write.loaded.member] = write.loaded.version
        _add(self, write)

    def granted(self) -> dict[str, int]:
        """The sum of grants by shared counter."""
        sums: dict[str, int] = {}
        for _, key, points, _ in self.grant:
            sums[key] = sums.get(key, 0) + points
        return sums

    def sum_grants(self) -> None:
        """Makes the rows that are taken from shared counters, in the order in which they lock."""
        if self.grant:
            caps = {key: cap for _, key, _, cap in self.grant}
            sums = sorted(self.granted().items())
            self.counter = [(key, points, caps[key]) for key, points in sums if points]

    def forget(self, members: Collection[str]) -> None:
        """Takes out the rows of some members; every row begins with its own."""
        for name in _TABLES:
            rows = getattr(self, name)
            if rows:
                setattr(self, name, [row for row in rows if row[0] not in members])
        for member in members:
            self.versions.pop(member, None)


_TABLES = tuple(each.name for each in fields(Rows) if each.name != "versions")


def rows_of(writes: Iterable[Write]) -> Rows:
    """The rows that record ``writes``.

    Raises:
        EventTooLarge: a Decision holds an event that may not be published.
    """
    rows = Rows()
    for write in writes:
        rows.add(write)
    return rows


def _add(rows: Rows, write: Write) -> None:
    """Adds what one account's Decisions leave."""
    loaded, account, decided = write.loaded, write.account, write.decided
    member, head, was = loaded.member, loaded.head, loaded.account
    before, level = was.seq, was.standing.level
    seq = before
    holds: dict[str, HoldKept] = {}
    spent = waiting = False
    for each in decided:
        decision = each.decision
        after = decision.account
        seq += 1
        # Numbers that are only handed on stay the objects that they are.
        number: Any = after.seq
        assert number == seq, (member, seq, number)
        times: _Times = (decision.activity.recorded_at, _dated(decision.effective_at))
        head = _journal(rows, member, number, head, each, times)
        if decision.events or decision.derived:
            _outbox(rows.outbox, member, number, decision, times)
        reached = after.standing.level
        if reached != level:
            level = reached
            rows.tier_history.append((member, times[1], number, level))
        if decision.rewards or decision.grants or decision.code:
            _given(rows, member, number, times[1], decision, write.caps)
        if decision.holds:
            holds.update((kept.hold.id, kept) for kept in decision.holds)
        spent = spent or bool(decision.redemptions or decision.vouchers)
        waiting = waiting or bool(decision.waits or decision.done_waiting)
    assert account.seq == seq, (member, seq, account.seq)
    _documents(rows, member, before, decided)
    if spent:
        _spent(rows, member, before, write)
    if waiting:
        _waiting(rows, member, decided)
    if holds:
        _holds(rows.hold, member, holds.values())
    if write.profile:
        _profile(rows, member, write.profile, account.recorded_at)
    rows.account.append(
        (
            member,
            loaded.version,
            seq,
            account.status,
            account.standing.level,
            _end(write.due_at),
            head,
            _encode_account(account).decode(),
        )
    )


def _journal(
    rows: Rows, member: str, seq: Any, previous: bytes, decided: Decided, times: _Times
) -> bytes:
    """Adds the journal row and its entries; answers the new head of the chain."""
    recorded_at, effective_at = times
    decision = decided.decision
    activity, entries = decision.activity, decision.entries
    body, trace = _encode_body(activity.body), _encode(decision.trace)
    facts = b"{}" if decision.facts is _NO_FACTS else _encode(decision.facts)
    columns: Row = (
        member,
        seq,
        _KINDS[type(activity.body)],
        decision.outcome,
        decision.reason,
        decision.version,
        _ENGINE,
        _dated(activity.occurred_at),
        recorded_at,
        effective_at,
        activity.source,
        activity.id,
        decided.event_digest,
        decided.content_digest,
    )
    head = bound(previous, covered(columns, body, facts, trace, entries))
    documents: Row = (body.decode(), facts.decode(), trace.decode(), head)
    rows.journal.append(columns + documents)
    ledger = rows.ledger
    for n, entry in enumerate(entries):
        place: Row = (member, seq, n)
        ledger.append(place + entry)
    return head


def _outbox(outbox: list[Row], member: str, seq: Any, decision: Decision, times: _Times) -> None:
    n = 0
    recorded_at, at = times
    for event in decision.events:
        kind = event.type
        text = _small(member, kind, _encode(event.data))
        outbox.append((member, seq, n, recorded_at, at, kind, None, text))
        n += 1
    for derived in decision.derived:
        kind = _KINDS[type(derived.body)]
        text = _small(member, kind, _encode_body(derived.body))
        since = _dated(derived.occurred_at) if derived.occurred_at else at
        outbox.append((member, seq, n, recorded_at, since, kind, derived.target, text))
        n += 1


def _small(member: str, type_: str, text: bytes) -> str:
    if len(text) > _LIMIT_BYTES:
        raise EventTooLarge(member, type_, len(text))
    return text.decode()


def _given(
    rows: Rows, member: str, seq: Any, at: Any, decision: Decision, caps: Mapping[str, int]
) -> None:
    """Rewards and a code that the member got, and what was taken of shared counters for it."""
    for n, each in enumerate(decision.rewards):
        what = (each.reward, each.how, each.by, each.points)
        rows.issued_reward.append((member, seq, n, *what, at, each.voucher))
    for key, granted in decision.grants.items():
        rows.grant.append((member, key, granted, caps.get(key, 0)))
    if decision.code:
        rows.referral_code.append((member, decision.code, seq))


def _documents(rows: Rows, member: str, before: int, decided: list[Decided]) -> None:
    """Receipts and history rows as the last Decision left them, lot totals as the sum of all.

    A receipt made after seq ``before`` is new: its row is inserted, and must not be there yet; but
    one that another account made goes on here.
    """
    receipts: dict[str, Receipt] = {}
    lots: dict[str, LotTotals] = {}
    history: dict[str, list[int]] = {}
    for each in decided:
        decision = each.decision
        for receipt in decision.receipts:
            receipts[receipt.order] = receipt
        if decision.lots:
            for key, more in decision.lots.items():
                was = lots.get(key)
                lots[key] = more if was is None else was.plus(more)
        if decision.history:
            history.update(decision.history)
    for order, receipt in receipts.items():
        row = (member, order, _encode_receipt(receipt).decode())
        is_new = receipt.seq > before and not receipt.of
        (rows.new_receipt if is_new else rows.receipt).append(row)
    for key, total in lots.items():
        successor = " ".join(total.successors)
        rows.lot.append((member, key, total.taken_in, total.expired, total.reclaimed, successor))
    for key, (times, points) in history.items():
        rows.history.append((member, key, times, points))


def _holds(rows: list[Row], member: str, kept: Iterable[HoldKept]) -> None:
    """Holds as the last Decision that touched them left them."""
    for last in kept:
        held = last.hold
        row = (member, held.id, held.seq, last.state, held.currency, held.points, held.captured)
        what = (held.reward, held.for_order, held.money, held.amount, held.worth)
        ended_at = _dated(last.ended_at) if last.ended_at else None
        rows.append((*row, *what, _dated(held.held_at), _dated(held.ends_at), ended_at))


def _spent(rows: Rows, member: str, before: int, write: Write) -> None:
    """Redemptions and vouchers as the last Decision left them.

    What was made after seq ``before`` is new. A code stands in a new voucher's row and nowhere
    else; a replay knows none.
    """
    redemptions: dict[str, Redemption] = {}
    vouchers: dict[str, Voucher] = {}
    for each in write.decided:
        decision = each.decision
        for redemption in decision.redemptions:
            redemptions[redemption.redemption] = redemption
        for voucher in decision.vouchers:
            vouchers[voucher.id] = voucher
    for name, redemption in redemptions.items():
        back, text = sum(redemption.returned), encode_redemption(redemption).decode()
        made = redemption.seq > before
        (rows.new_redemption if made else rows.redemption).append(
            (member, name, redemption.points, back, text)
        )
    for voucher in vouchers.values():
        text = encode_voucher(voucher).decode()
        if voucher.seq <= before:
            rows.voucher.append((member, voucher.id, voucher.state, text))
            continue
        code, at = write.codes.get(voucher.digest, ""), _dated(voucher.expires_at)
        carries = (voucher.currency, voucher.points, voucher.money, voucher.worth)
        rows.new_voucher.append((member, voucher.id, code, voucher.state, at, *carries, text))


def _waiting(rows: Rows, member: str, decided: list[Decided]) -> None:
    """What began to wait and still does, and what was waiting before and no longer does."""
    parked: dict[int, Row] = {}
    for each in decided:
        decision = each.decision
        if decision.waits:
            activity, seq = decision.activity, decision.account.seq
            body = _encode_body(activity.body).decode()
            times = (_end(decision.lapses_at), _dated(activity.occurred_at))
            parked[seq] = (member, seq, decision.waits, *times, body)
        for seq in decision.done_waiting:
            if parked.pop(seq, None) is None:
                rows.unparked.append((member, seq))
    rows.parked.extend(parked.values())


def _profile(rows: Rows, member: str, patch: ProfilePatch, at: Instant) -> None:
    if patch.erase:
        for erased in (rows.erased_profile, rows.erased_letters, rows.erased_answers):
            erased.append((member,))
    else:
        set_at = _dated(patch.born_known_at or at)
        rows.profile.append((member, patch.born_on, set_at, patch.language))


def _end(at: Instant | None) -> Any:
    """An end as a timestamp; none where there is no end."""
    return None if at is None or at >= NEVER else _dated(at)


def _dated(at: Instant) -> Instant:
    """The instant, which is one that has a date: a timestamp could hold others.

    Raises:
        OverflowError: it has none.
    """
    if FIRST <= at <= LAST:
        return at
    raise OverflowError(f"instant {at} has no date")
