"""What must be true of the books after every step, and that they follow from the journal alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import msgspec

from services.loyalty.application.programs import Programs
from services.loyalty.domain import refunds
from services.loyalty.domain.account import Account, encode_account
from services.loyalty.domain.activity import decode_body, encode_body, kind_of
from services.loyalty.domain.books import (
    WINDOW_PREFIX,
    MemberBooks,
    differences,
    impossible,
    spending_differences,
)
from services.loyalty.domain.calendar import NEVER, Instant
from services.loyalty.domain.decide import decide
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.ledger import LedgerEntry, check_invariants
from services.loyalty.domain.moments import due_after, due_at, due_by
from services.loyalty.domain.receipt import Receipt, decode_receipt
from services.loyalty.domain.tiers import period_end
from services.loyalty.domain.voucher import (
    decode_redemption,
    decode_voucher,
    encode_redemption,
    encode_voucher,
)
from tests.loyalty.fake_store import FakeStore, events_of

_encode = msgspec.json.Encoder().encode
_facts = msgspec.json.Decoder(Facts).decode


class _Granted(msgspec.Struct):
    grants: dict[str, int] = {}


_trace = msgspec.json.Decoder(_Granted).decode


class Auditor:
    """Keeps books of its own from ledger entries alone, and compares after each step."""

    def __init__(self, store: FakeStore, programs: Programs) -> None:
        self.store = store
        self.programs = programs
        self.books: defaultdict[str, MemberBooks] = defaultdict(MemberBooks)
        self._posted = 0
        self._clocks: dict[str, tuple[int, Instant, Instant]] = {}
        self._journaled = 0
        self._counted = 0
        self._granted: dict[str, int] = {}

    def check(self) -> None:
        """Raises AssertionError where the books do not say what they must."""
        self._post()
        self._clocks_never_run_back()
        for member in self.store.accounts:
            self._check_member(member)
        for (member, _), doc in self.store.receipts.items():
            _check_receipt(member, decode_receipt(doc))
        self._check_counters()

    def _check_counters(self) -> None:
        """What is used of a shared counter is what the journal says was taken from it."""
        for row in list(self.store.journal.values())[self._counted :]:
            for key, taken in _trace(row[16]).grants.items():
                self._granted[key] = self._granted.get(key, 0) + taken
        self._counted = len(self.store.journal)
        for key in self.store.counters.keys() | self._granted.keys():
            cap, used = self.store.counters.get(key, (0, 0))
            assert used == self._granted.get(key, 0), key
            assert 0 <= used <= cap, key

    def in_transit(self, currency: str) -> int:
        """Points on their way between members."""
        return self.over_all(currency, "transit")

    def over_all(self, currency: str, bucket: str) -> int:
        """What a bucket holds over all members."""
        return sum(books.balances[currency, bucket] for books in self.books.values())

    def _post(self) -> None:
        for member, _, _, *rest in self.store.ledger[self._posted :]:
            entry = LedgerEntry(*rest)
            check_invariants(entry)
            assert impossible(entry) is None
            self.books[member].post(entry)
            assert (wrong := self.books[member].overdrawn(entry)) is None, (member, entry, wrong)
        self._posted = len(self.store.ledger)

    def _clocks_never_run_back(self) -> None:
        for (member, seq), row in list(self.store.journal.items())[self._journaled :]:
            recorded_at, effective_at = row[8], row[9]
            last = self._clocks.get(member, (0, 0, 0))
            assert seq == last[0] + 1
            assert recorded_at >= last[1]
            assert last[2] <= effective_at <= recorded_at
            self._clocks[member] = (seq, recorded_at, effective_at)
        self._journaled = len(self.store.journal)

    def _check_member(self, member: str) -> None:
        store, account = self.store, self.store.account(member)
        totals = {key: lot for (who, key), lot in store.lots.items() if who == member}
        history = {
            key: counted[1]
            for (who, key), counted in store.history.items()
            if who == member and key.startswith(WINDOW_PREFIX)
        }
        found = list(differences(self.books[member], account, totals, history))
        found += spending_differences(
            self.books[member],
            account,
            {
                key: decode_redemption(doc)
                for (who, key), doc in store.redemptions.items()
                if who == member
            },
            {
                key: decode_voucher(doc)
                for (who, key), doc in store.vouchers.items()
                if who == member
            },
        )
        assert not found, (member, found)
        _check_state(account)
        for (who, _), (times, points) in store.history.items():
            assert who != member or (times >= 0 and points >= 0)
        _check_holds(member, self.books[member], account, store)
        waiting = {seq for who, seq in store.parked if who == member}
        assert waiting == {waiting.seq for waiting in account.waiting}
        profile = store.profiles.get(member)
        exact = due_at(self.programs, account, profile.born_on if profile else None)
        stored = store.accounts[member].due_at
        assert exact is None or (stored is not None and stored <= exact), (member, stored, exact)


def _check_holds(member: str, books: MemberBooks, account: Account, store: FakeStore) -> None:
    """Each hold's row, the entries and the working state say the same of it."""
    opened = {hold.id: hold for hold in account.holds}
    assert len(opened) == len(account.holds)
    rows = {name: row for (who, name), row in store.holds.items() if who == member}
    assert {name for name, row in rows.items() if row[3] == "open"} == opened.keys()
    for name, row in rows.items():
        points, captured = row[5:7]
        left = opened[name].left if name in opened else 0
        kept = books.holds[name]
        assert kept.held == points == captured + kept.released + left, (member, row, kept)
        assert (row[14] is None) == (name in opened)
        if name in opened:
            assert captured == opened[name].captured < points
            assert all(lot.points > 0 for lot in opened[name].drawn)


def _check_state(account: Account) -> None:
    if account.status != "stuck":
        for lot in account.lots:
            assert not lot.expires_at or lot.expires_at > account.as_of, lot
            assert not lot.activates_at or lot.activates_at > account.as_of, lot
        assert all(waiting.lapses_at > account.as_of for waiting in account.waiting)
        assert all(hold.ends_at > account.as_of for hold in account.holds), account
        assert all(voucher.expires_at > account.as_of for voucher in account.vouchers)
        assert all(offer.until > account.as_of for offer in account.offers)
        standing = account.standing
        assert not standing.grace_until or standing.grace_until > account.as_of
        end = period_end(standing)
        assert not end or end > account.as_of, standing
        for card in account.cards.values():
            assert all(stamp.ends_at > account.as_of for stamp in card.stamps), card
    for card in account.cards.values():
        assert card.filled >= len(card.full)
        assert all(stamp.sources for stamp in card.stamps)
        assert len({stamp.slot for stamp in card.stamps}) == len(card.stamps)
    assert all(lot.points > 0 for lot in account.lots)
    assert len({lot.key for lot in account.lots}) == len(account.lots)
    ends = [lot.expires_at or NEVER for lot in account.lots]
    assert ends == sorted(ends)
    assert all(owed > 0 for owed in account.arrears.values())
    assert all(times >= 0 and points >= 0 for times, points in account.counters.values())
    assert all(points >= 0 for held in account.windows.values() for points in held.values())


def _check_receipt(member: str, receipt: Receipt) -> None:
    back = refunds.returned(receipt)
    for line, money in zip(receipt.lines, back, strict=True):
        assert 0 <= money <= line.value
    for posting in receipt.postings:
        assert sum(posting.allocated) == posting.points, (member, posting)
        due = refunds.reversed_shares(posting, receipt, back)
        assert posting.reversed == due, (member, receipt.order, posting, due)
        pairs = zip(posting.allocated, posting.reversed, strict=True)
        assert all(0 <= took <= gave for gave, took in pairs), (member, posting)


def replay(store: FakeStore, programs: Programs) -> None:
    """Folds each member's journal through decide again, from nothing, and compares every byte."""
    versions = {program.version: program for program in programs}
    accounts: defaultdict[str, Account] = defaultdict(Account)
    said: defaultdict[str, list[tuple[int, str, str | None, str]]] = defaultdict(list)
    posted: defaultdict[str, dict[int, list[LedgerEntry]]] = defaultdict(dict)
    vouchers: dict[tuple[str, str], str] = {}
    redemptions: dict[tuple[str, str], str] = {}
    for (member, seq), row in store.journal.items():
        activity = Activity(decode_body(row[14]), row[7], row[8], row[10], row[11])
        before = accounts[member]
        decision = decide(versions[row[5]], before, activity, _facts(row[15]))
        assert (decision.outcome, decision.reason) == (row[3], row[4])
        assert decision.effective_at == row[9]
        assert _encode(decision.trace).decode() == row[16]
        if decision.outcome == "refused":
            _check_nothing_changed(before, decision)
        profile = store.profiles.get(member)
        _check_due(programs, before, decision, profile.born_on if profile else None)
        accounts[member] = decision.account
        said[member] += [
            (seq, event.type, None, _encode(event.data).decode()) for event in decision.events
        ]
        said[member] += [
            (seq, kind_of(each.body), each.target, encode_body(each.body).decode())
            for each in decision.derived
        ]
        if decision.entries:
            posted[member][seq] = decision.entries
        for voucher in decision.vouchers:
            vouchers[member, voucher.id] = encode_voucher(voucher).decode()
        for spent in decision.redemptions:
            redemptions[member, spent.redemption] = encode_redemption(spent).decode()
    assert vouchers == store.vouchers
    assert redemptions == store.redemptions
    for member, account in accounts.items():
        assert encode_account(account).decode() == store.accounts[member].state
        assert posted[member] == store.entries(member)
        assert said[member] == list(events_of(store, member))


def _check_due(
    programs: Programs, before: Account, decision: Decision, born_on: date | None
) -> None:
    """What is known of the next due moment is never later than it is, neither when it is looked for
    anew nor when it follows from what was known before, be that the very latest.
    """
    after = decision.account
    exact = due_at(programs, after, born_on)
    known = [due_by(programs, after, born_on)]
    if not decision.reschedules:
        were = due_by(programs, before, born_on), due_at(programs, before, born_on)
        known += [due_after(programs, after, born_on, due) for due in were]
    for due in known:
        assert exact is None or (due is not None and due <= exact), (known, exact, after)


def _check_nothing_changed(before: Account, decision: Decision) -> None:
    """A refusal moves the account's clock, ends the waiting of what it refuses, and no more."""
    after = msgspec.structs.replace(
        decision.account,
        seq=before.seq,
        as_of=before.as_of,
        recorded_at=before.recorded_at,
        ticked=before.ticked,
        waiting=before.waiting,
    )
    assert after == before
    assert not decision.entries
    assert not decision.receipts
    assert not decision.vouchers
    assert not decision.redemptions
    assert decision.done_waiting or decision.account.waiting == before.waiting
