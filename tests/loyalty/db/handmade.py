"""Decisions made by hand, as `decide` could have made them: storage is tested without rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from services.loyalty.application.codes import digest_of
from services.loyalty.application.record import record_writes
from services.loyalty.application.store import Decided, Loaded, ProfilePatch, Write
from services.loyalty.db.session import PgSession
from services.loyalty.domain.account import (
    Account,
    HeldLot,
    Hold,
    Lot,
    OpenVoucher,
    Standing,
    Waiting,
)
from services.loyalty.domain.activity import (
    AnyBody,
    Engaged,
    HoldCaptured,
    HoldRequested,
    Line,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    Resumed,
    Tick,
    TransferReceived,
    TransferredLot,
    TransferRequested,
)
from services.loyalty.domain.calendar import DAY, NEVER, Instant
from services.loyalty.domain.decision import Decision, Derived, Event, HoldKept, IssuedReward
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import NO_FACTS, Facts, LotTotals
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.receipt import Posting, Receipt, ReceiptLine
from services.loyalty.domain.voucher import Redemption, Voucher

START: Instant = 1_291_190_760_000_000  # 2010-12-01T08:06:00Z
EXPIRY = START + 90 * DAY
LOT = f"points/2010-12/{EXPIRY}"

_CODES: dict[str, str] = {}
"""Codes that were drawn, by their digests."""

Step = Callable[[Account], Decided]
"""Makes the next Decision about an account."""


def digest(name: str) -> bytes:
    """Sixteen bytes that stand for a name."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def _decided(
    account: Account,
    body: AnyBody,
    *,
    changed: dict[str, Any] | None = None,
    **decision: Any,
) -> Decided:
    """A Decision on ``body``, one day after the one before."""
    seq = account.seq + 1
    at = START + seq * DAY
    own = isinstance(body, Tick | Resumed)
    name = "" if own else f"event-{seq}"
    after = msgspec.structs.replace(
        account, seq=seq, as_of=at, recorded_at=at + 1_500, **(changed or {})
    )
    made = Decision(
        activity=Activity(body, at, at + 1_500, "" if own else "/shop", name),
        outcome=decision.pop("outcome", "accepted"),
        reason=decision.pop("reason", ""),
        version=1,
        effective_at=at,
        account=after,
        **(_nothing() | decision),
    )
    if own:
        return Decided(made)
    return Decided(made, digest(f"/shop {name}"), digest(f"content of {name}"))


def _nothing() -> dict[str, Any]:
    """What a Decision that leaves nothing but the account's new state is made of."""
    dicts = ("trace", "details", "lots", "history", "grants")
    lists = ("entries", "events", "receipts", "rewards", "derived", "done_waiting")
    rows = ("holds", "vouchers", "redemptions")
    empty: dict[str, Any] = {name: {} for name in dicts} | {name: [] for name in (*lists, *rows)}
    return {"facts": NO_FACTS, "code": "", **empty}


def bought(order: str, points: int = 40, *, level: str = "basic") -> Step:
    """A purchase that earns ``points`` to spend and as many that count, with its receipt."""

    def step(account: Account) -> Decided:
        held = account.available("points") + points
        taken_in = sum(lot.taken_in for lot in account.lots) + points
        window = account.windows.get("status", {}).get("2010-12", 0) + points
        since = account.standing.since if account.standing.level == level else START
        return _decided(
            account,
            Purchased(order, "GBP", [Line(1, "85123A", 2, points * 50)]),
            changed={
                "status": "active",
                "lots": [Lot("points", "2010-12", EXPIRY, 0, "", held, taken_in)],
                "windows": {"status": {"2010-12": window}},
                "standing": Standing(level, since),
            },
            entries=[
                LedgerEntry(
                    "accrual", "points", points, "issuance", "available", "", LOT, "base", order
                ),
                LedgerEntry(
                    "accrual",
                    "status",
                    points,
                    "issuance",
                    "available",
                    "",
                    "status/2010-12",
                    "base",
                    order,
                ),
            ],
            events=[Event("loyalty.points.accrued.v1", {"order": order, "points": points})],
            trace={"fired": {"base": {"spend": points * 100, "points": points}}},
            receipts=[
                Receipt(
                    order,
                    "GBP",
                    START,
                    1,
                    account.seq + 1,
                    [ReceiptLine(1, 2, points * 100, points * 100)],
                    [Posting("base", "points", points, [(LOT, points)], [points], [0])],
                )
            ],
        )

    return step


def expired(account: Account) -> Decided:
    """All points come to the end of their life."""
    [lot] = account.lots
    return _decided(
        account,
        Tick("expiry", EXPIRY),
        changed={"lots": []},
        entries=[
            LedgerEntry(
                "expiration", "points", lot.points, "available", "expired", lot.key, "", "", ""
            )
        ],
        lots={lot.key: LotTotals(taken_in=lot.taken_in, expired=lot.points)},
    )


def closed(account: Account) -> Decided:
    """The window leaves the working state."""
    points = account.windows["status"]["2010-12"]
    return _decided(
        account,
        Tick("window_close", EXPIRY),
        changed={"windows": {}},
        history={"window:status/2010-12": [0, points]},
    )


def parked(account: Account) -> Decided:
    """A refund comes before its purchase, and waits."""
    seq = account.seq + 1
    waiting = [*account.waiting, Waiting(seq, "late", NEVER)]
    return _decided(
        account,
        Refunded("late", "GBP", amount=100),
        outcome="parked",
        reason="no_purchase",
        changed={"waiting": waiting},
        waits="late",
        lapses_at=NEVER,
    )


def resumed(account: Account) -> Decided:
    """The oldest of what waits goes on."""
    first, *rest = account.waiting
    return _decided(
        account,
        Resumed(first.seq),
        changed={"waiting": rest},
        facts=Facts(parked=Refunded("late", "GBP", amount=100), parked_occurred_at=START),
        done_waiting=[first.seq],
    )


def rewarded(account: Account) -> Decided:
    """A gift that is no points."""
    return _decided(
        account,
        Engaged("survey.answered"),
        rewards=[IssuedReward("mug", "gift", "birthday", 0), IssuedReward("pen", "gift", "vip", 5)],
    )


def held(account: Account) -> Decided:
    """Nine points are set aside for a mug."""
    [lot] = account.lots
    drawn = [HeldLot("points", lot.issued, lot.expires_at, 9)]
    hold = Hold("h1", "points", 9, drawn, account.seq + 1, START, EXPIRY, reward="mug")
    return _decided(
        account,
        HoldRequested("h1", reward="mug"),
        changed={"lots": [msgspec.structs.replace(lot, points=lot.points - 9)], "holds": [hold]},
        entries=[LedgerEntry("hold", "points", 9, "available", "held", LOT, LOT, "h1", "")],
        holds=[HoldKept(hold)],
    )


def captured(account: Account) -> Decided:
    """They are spent."""
    [hold] = account.holds
    spent = msgspec.structs.replace(hold, drawn=[], captured=9)
    return _decided(
        account,
        HoldCaptured("h1", "r1"),
        changed={"holds": []},
        entries=[LedgerEntry("redemption", "points", 9, "held", "redeemed", LOT, "", "mug", "r1")],
        holds=[HoldKept(spent, "captured", EXPIRY)],
        redemptions=[Redemption("r1", "mug", "points", 9, 1, account.seq + 1, START, [(LOT, 9)])],
    )


def redeemed(code: str) -> Step:
    """All points go for a reward with a voucher of this code."""

    def step(account: Account) -> Decided:
        [lot] = account.lots
        voucher, row = _spent(account.seq + 1, lot.points, code)
        _CODES[voucher.digest] = code
        return _decided(
            account,
            RedemptionRequested("r", "mug"),
            changed={"lots": [], "vouchers": [OpenVoucher(voucher.id, EXPIRY)]},
            entries=[_moved("redemption", lot.points, ("available", "redeemed"), lot.key, "")],
            facts=Facts(codes=[voucher.digest]),
            lots={lot.key: LotTotals(taken_in=lot.taken_in)},
            rewards=[IssuedReward("mug", "redemption", "r", lot.points, voucher.id)],
            vouchers=[voucher],
            redemptions=[row],
        )

    return step


def cancelled(code: str) -> Step:
    """What :func:`redeemed` did just before is undone, into two lots that follow its own."""

    def step(account: Account) -> Decided:
        voucher, row = _spent(account.seq, 40, code)
        ends = [EXPIRY + days * DAY for days in (1, 2)]
        lots = [Lot("points", "2010-12", end, 0, "", 20, 20) for end in ends]
        return _decided(
            account,
            RedemptionCancelled("r"),
            changed={"vouchers": [], "lots": lots},
            entries=[
                _moved("redemption_reversal", 20, ("redeemed", "available"), LOT, lot.key)
                for lot in lots
            ],
            facts=Facts(redemption=row, voucher=voucher),
            vouchers=[msgspec.structs.replace(voucher, state="voided", ended_at=START)],
            redemptions=[msgspec.structs.replace(row, returned=[40])],
            lots={LOT: LotTotals(successors=tuple(lot.key for lot in lots))},
        )

    return step


def _spent(seq: int, points: int, code: str) -> tuple[Voucher, Redemption]:
    voucher = Voucher(
        f"v{seq}-0",
        "mug",
        "redemption",
        "r",
        digest_of(code),
        1,
        seq,
        START,
        EXPIRY,
        "points",
        points,
    )
    row = Redemption("r", "mug", "points", points, 1, seq, START, [(LOT, points)], voucher.id)
    return voucher, row


def _moved(
    kind: str, points: int, buckets: tuple[str, str], lot_from: str, lot_to: str
) -> LedgerEntry:
    return LedgerEntry(kind, "points", points, *buckets, lot_from, lot_to, "mug", "r")


def sent(account: Account) -> Decided:
    """All points leave for another member."""
    [lot] = account.lots
    out = [TransferredLot(lot.issued, lot.expires_at, lot.points)]
    return _decided(
        account,
        TransferRequested("t1", "ada", "bob", "points", lot.points),
        changed={"lots": []},
        entries=[
            LedgerEntry(
                "transfer_out", "points", lot.points, "available", "transit", lot.key, "", "t1", ""
            )
        ],
        lots={lot.key: LotTotals(taken_in=lot.taken_in)},
        derived=[Derived("bob", TransferReceived("t1", "ada", "bob", "points", out))],
    )


def told(bytes_of_data: int) -> Step:
    """An event whose data is of about this size."""

    def step(account: Account) -> Decided:
        text = "x" * bytes_of_data
        return _decided(account, Engaged("app.opened"), events=[Event("loyalty.x.v1", {"x": text})])

    return step


def write_of(loaded: Loaded, *steps: Step, profile: ProfilePatch | None = None) -> Write:
    """The Write of several Decisions in a row."""
    account, decided = loaded.account, []
    for step in steps:
        decided.append(step(account))
        account = decided[-1].decision.account
    return Write(loaded, account, EXPIRY, decided, profile, codes=_CODES)


async def opened(session: PgSession, *members: str) -> list[Loaded]:
    """Accounts as they are now, made where missing."""
    await session.open_accounts(members)
    loaded = await session.load_accounts(members)
    return [loaded[member] for member in members]


def as_read(*loaded: Loaded) -> list[tuple[object, ...]]:
    """All that was read of accounts, to be compared."""
    return [
        (
            one.member,
            one.version,
            one.account,
            one.head,
            one.due_at,
            one.hmac_key,
            one.born_on,
            one.born_set_at,
        )
        for one in loaded
    ]


async def record(session: PgSession, *writes: Write) -> None:
    """Records in one transaction, as a batch does."""
    async with session.transaction():
        await session.lock_accounts([write.loaded.member for write in writes])
        await record_writes(session, writes)


async def lived(session: PgSession, members: Sequence[str], *steps: Step) -> None:
    """Gives each member the same life, one transaction per step."""
    for step in steps:
        loaded = await opened(session, *members)
        await record(session, *(write_of(each, step) for each in loaded))
