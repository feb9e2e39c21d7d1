"""Half a year of a dozen members, with whatever may happen to them, recorded in PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.intake import event_digest
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.db.session import PgSession
from services.loyalty.domain.account import Reach, Standing
from services.loyalty.domain.activity import (
    Adjusted,
    Amended,
    AnyBody,
    Cancelled,
    Delivered,
    Engaged,
    Enrolled,
    Extended,
    HoldCaptured,
    HoldRequested,
    HoldVoided,
    Line,
    Opening,
    OpeningLot,
    OpeningOrder,
    OpeningPaid,
    OpeningPosting,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    RefundLine,
    Reinstated,
    Segmented,
    StatusChanged,
    TransferRequested,
    VoucherUsed,
)
from services.loyalty.domain.calendar import DAY, HOUR, NEVER, Instant, to_datetime
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.receipt import ReceiptLine

START: Instant = 1_291_291_200_000_000  # 2010-12-02T12:00:00Z
_SHOP = Path(__file__).parents[3] / "contracts/programs/gift-shop.yaml"
_MORE = """
returns: {within: 20 days}
stamps:
  fan: {event: [purchase, engagement], different: kind, collect: 3, give: [40 points, faithful]}
  months: {event: purchase, every: month, collect: 2, give: 90 points}
badges: {faithful: {}}
earn:
  friends:
    event: referral.qualified
    min_spend: 20.00 GBP
    give: {points: 300}
    friend: {points: 200}
  thanks: {event: purchase, min_spend: 90.00 GBP, reward: [five-off, tea-towel], limit: 1 per month}
"""
DOCUMENT = (
    _SHOP.read_text("utf-8")
    .replace("\nearn:\n", _MORE)
    .replace("    silver:\n", "    silver:\n      give: [five-off, birthday-treat]\n")
    .replace("    gold:\n", "    gold:\n      give: 50 points\n")
)
LATE = "undoes-late"
UNDONE_LATE: dict[int, AnyBody] = {
    0: Enrolled(),
    6: Adjusted("points", 400, "goodwill", "ann"),
    12: RedemptionRequested("late", "tea-towel"),
    168: RedemptionCancelled("late"),
}
"""A redemption is undone when its lot has long expired: what happens, by the day."""
CAME = "came-with-points"
_BEFORE, _END = START - 30 * DAY, START + 60 * DAY
_COUNTED = OpeningPosting("old", "status", [400, 200], _BEFORE, NEVER)
_EARNED = OpeningPosting("old", "points", [400, 200], _BEFORE, _END)
BROUGHT_ALONG: dict[int, AnyBody] = {
    0: Opening(
        START - 700 * DAY,
        Standing("silver", _BEFORE, [Reach("silver", _BEFORE, START + 50 * DAY, "2010-11")]),
        [OpeningLot("points", 500, _BEFORE, _END), OpeningLot("status", 700, _BEFORE, NEVER)],
        orders=[
            OpeningOrder(
                "o900",
                "GBP",
                _BEFORE,
                [ReceiptLine(1, 2, 400_00, 400_00), ReceiptLine(2, 1, 200_00, 200_00)],
                [_EARNED, _COUNTED],
            )
        ],
        paid=[OpeningPaid("points", "2010-11", "GBP", "purchase", 4_44)],
    ),
    6: Refunded("o900", "GBP", [RefundLine(1, 1)]),
    12: RedemptionRequested("came", "tea-towel"),
    18: Cancelled("o900"),
}
"""A member comes from elsewhere and sends back what was bought there, by the day."""
OTHERS = [f"m{number:02}" for number in range(12)]
MEMBERS = [*OTHERS, LATE, CAME]


def happenings(chance: random.Random) -> Iterator[tuple[str, AnyBody]]:
    """What may happen to members, whether it makes sense or not; orders meet their refunds, late
    and early.
    """
    kinds = [
        "buy", "buy", "buy", "buy", "refund", "refund", "cancel", "deliver", "amend", "engage",
        "redeem", "redeem", "undo", "use", "adjust", "segment", "status", "send", "hold", "hold",
        "capture", "void", "extend", "reinstate",
    ]  # fmt: skip
    held: dict[str, str] = {}
    while True:
        member, order = chance.choice(OTHERS), f"o{chance.randrange(90)}"
        lines = [
            Line(
                position, f"{chance.randrange(300)}", chance.randrange(1, 9), chance.randrange(2000)
            )
            for position in range(1, chance.randrange(2, 5))
        ]
        hold, name = held.get(member, "none"), f"h{chance.random()}"
        bodies: dict[str, AnyBody] = {
            "buy": Purchased(order, "GBP", lines),
            "refund": Refunded(order, "GBP", [RefundLine(1, 1)], chance.choice([0, 0, 250])),
            "cancel": Cancelled(order),
            "deliver": Delivered(order),
            "amend": Amended(order, "GBP", lines),
            "engage": Engaged(chance.choice(["product.reviewed", "survey.answered"])),
            "redeem": RedemptionRequested(
                f"r{chance.randrange(60)}", chance.choice(["tea-towel", "five-off"])
            ),
            "undo": RedemptionCancelled(f"r{chance.randrange(60)}", chance.choice([0, 0, 9])),
            "use": VoucherUsed(f"v{chance.randrange(2, 9)}-0"),
            "adjust": Adjusted("points", chance.randrange(-300, 600), "goodwill", "ann"),
            "segment": Segmented("vip", START, START + 40 * DAY),
            "status": StatusChanged(chance.choice(["suspended", "active", "active", "active"])),
            "send": TransferRequested("t", member, "m00", "points", 5),
            "hold": HoldRequested(name, "points", chance.randrange(1, 60)),
            "capture": HoldCaptured(hold, f"r{chance.random()}", chance.choice([0, 1, 9])),
            "void": HoldVoided(hold),
            "extend": Extended("points", START + chance.randrange(400) * DAY, "x", "y"),
            "reinstate": Reinstated("points", START + chance.randrange(400) * DAY, "x", "y"),
        }
        kind = chance.choice(kinds)
        if kind == "hold":
            held[member] = name
        yield member, bodies[kind]


def message(member: str, body: AnyBody, at: Instant, name: str) -> Incoming:
    return Incoming(
        member, Activity(body, at, 0, "/test", name), event_digest("/test", name), name.encode()
    )


def late(body: AnyBody, chance: random.Random) -> Instant:
    """How long after it occurred something reaches us: requests over HTTP at once."""
    if isinstance(body, HoldRequested | HoldCaptured | HoldVoided | Extended | Reinstated):
        return 0
    return chance.randrange(240) * HOUR


async def live(session: PgSession) -> None:
    """Half a year of twelve members, the first two of whom join late, of one who changes her mind
    late, and of one who comes from elsewhere.
    """
    await session.connection.execute(
        "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
        " published_by) VALUES (1, $1, $1, $2, 'd', 'ann')",
        to_datetime(START - DAY),
        DOCUMENT,
    )
    chance, programs, clock = random.Random(17), Programs(), FixedClock(START)
    joining = [message(member, Enrolled(), START, f"join-{member}") for member in OTHERS]
    await record_batch(session, programs, clock, joining[2:])
    code = (await session.load_accounts(["m05"]))["m05"].account.code
    named = [
        message(member, Engaged("referral.made", about=code), START, f"name-{member}")
        for member in [*OTHERS[5:], LATE]
    ]
    await record_batch(session, programs, clock, named)
    happens = happenings(chance)
    for day in range(0, 180, 6):
        clock.at = START + day * DAY
        batch = [
            message(member, body, clock.at - late(body, chance), f"{day}-{number}")
            for number, (member, body) in zip(range(25), happens, strict=False)
        ]
        if day in UNDONE_LATE:
            batch.append(message(LATE, UNDONE_LATE[day], clock.at, f"late-{day}"))
        if day in BROUGHT_ALONG:
            batch.append(message(CAME, BROUGHT_ALONG[day], clock.at, f"came-{day}"))
        if day == 30:
            batch += joining[:2]
        await record_batch(session, programs, clock, batch)
        await catch_up_due(session, programs, clock, until=clock.at)
    await session.open_accounts(["opened-only"])
