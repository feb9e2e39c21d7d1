"""A decision in the making: the account's state being replaced, and what has been posted so far.

A draft lives inside one call of :func:`decide.decide` and nowhere else; it is what makes the rules
read as steps. All movements of points pass through :meth:`Draft.post`, so lots, arrears and entries
cannot part.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import astuple

from services.loyalty.domain.account import (
    Account,
    Affairs,
    Card,
    Guest,
    Hold,
    Idle,
    Lot,
    Membership,
    Offer,
    OpenVoucher,
    Referral,
    Standing,
    Waiting,
)
from services.loyalty.domain.activity import MOMENTS, AnyBody, Lapsed, Stuck, Tick
from services.loyalty.domain.calendar import NEVER, Instant, local_date
from services.loyalty.domain.daily import daily
from services.loyalty.domain.decision import Decision, Derived, Event, HoldKept, IssuedReward
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts, LotTotals
from services.loyalty.domain.ledger import LedgerEntry, entry, lot_key
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.voucher import Redemption, Voucher


class Draft:
    """The mutable working copy of one decision.

    ``day`` is the civil date on which the activity occurred, ``today`` the one on which it takes
    effect (``earned_on`` and ``posted_on`` to the programme), and ``month`` the latter's month:
    that of issue of what is posted now. ``risen`` says, by each level that the member rose to, how,
    and until when it is kept; ``tier_undone`` that what came back undid a level.
    """

    __slots__ = (
        "account",
        "activity",
        "affairs",
        "arrears",
        "badges",
        "cards",
        "code",
        "codes_taken",
        "counters",
        "day",
        "derived",
        "done_waiting",
        "earned_on",
        "effective_at",
        "enrolled_at",
        "entries",
        "events",
        "facts",
        "gifts",
        "grants",
        "guest",
        "history",
        "holds",
        "holds_kept",
        "idle",
        "lasted",
        "lot_totals",
        "lots",
        "month",
        "new_code",
        "occurred_at",
        "offers",
        "open_vouchers",
        "posted_on",
        "program",
        "purchases",
        "receipts",
        "redemptions",
        "referral",
        "rewards",
        "risen",
        "segments",
        "seq",
        "standing",
        "status",
        "stuck_from",
        "taken",
        "ticked",
        "tier_undone",
        "today",
        "trace",
        "tz",
        "vouchers",
        "waiting",
        "windows",
        "zone",
    )

    status: str
    enrolled_at: Instant
    standing: Standing
    purchases: int
    segments: list[Membership]
    gifts: dict[str, Instant]
    waiting: list[Waiting]
    stuck_from: str
    cards: dict[str, Card]
    badges: dict[str, Instant]
    zone: str
    code: str
    referral: Referral | None
    idle: dict[str, Idle]
    holds: list[Hold]
    guest: Guest | None
    open_vouchers: list[OpenVoucher]
    offers: list[Offer]
    affairs: Affairs

    def __init__(
        self,
        program: Program,
        account: Account,
        activity: Activity,
        facts: Facts,
        *,
        occurred_at: Instant,
        effective_at: Instant,
    ) -> None:
        self.program = program
        self.account = account
        self.activity = activity
        self.facts = facts
        self.tz = program.zone
        self.occurred_at = occurred_at
        self.effective_at = effective_at
        self.day = local_date(occurred_at, self.tz)
        at_once = effective_at == occurred_at
        self.today = self.day if at_once else local_date(effective_at, self.tz)
        self.earned_on = daily(program, self.day)
        self.posted_on = self.earned_on if at_once else daily(program, self.today)
        self.month = self.posted_on.month
        seq: int
        lots: list[Lot]
        arrears: dict[str, int]
        windows: dict[str, dict[str, int]]
        counters: dict[str, list[int]]
        ticked: tuple[int, str, int] | None
        (  # all at once, as they stand in the account: one by one, each would be looked up by name
            self.status,
            seq,
            _,
            _,
            self.enrolled_at,
            lots,
            arrears,
            windows,
            self.standing,
            counters,
            self.purchases,
            self.segments,
            self.gifts,
            self.waiting,
            self.stuck_from,
            ticked,
            self.cards,
            self.badges,
            self.zone,
            self.code,
            self.referral,
            self.idle,
            self.holds,
            self.guest,
            self.open_vouchers,
            self.offers,
            self.affairs,
        ) = astuple(account)
        self.lasted = self._lasting()
        self.seq = seq + 1
        self.lots = lots.copy()
        self.arrears = arrears.copy()
        self.windows = {currency: points.copy() for currency, points in windows.items()}
        self.counters = counters.copy()
        self.ticked = _ticked(self.status, ticked, activity.body)
        self.new_code = ""
        self.entries: list[LedgerEntry] = []
        self.events: list[Event] = []
        self.trace: dict[str, Any] = {}
        self.receipts: dict[str, Receipt] = {}
        self.lot_totals: dict[str, LotTotals] = {}
        self.history: dict[str, list[int]] = {}
        self.rewards: list[IssuedReward] = []
        self.derived: list[Derived] = []
        self.done_waiting: list[int] = []
        self.grants = _NO_GRANTS
        self.holds_kept: list[HoldKept] = []
        self.taken = _NO_GRANTS
        self.vouchers: dict[str, Voucher] = {}
        self.redemptions: dict[str, Redemption] = {}
        self.codes_taken = 0
        self.risen: dict[str, tuple[str, Instant]] = _NOT_RISEN
        self.tier_undone = False

    # Points -----------------------------------------------------------------------------------

    def post(
        self,
        kind: str,
        currency: str,
        points: int,
        buckets: tuple[str, str],
        *,
        lot_from: str = "",
        lot_to: str = "",
        cause: str = "",
        order: str = "",
    ) -> None:
        """Writes one ledger entry."""
        assert points > 0, (kind, points)
        self.entries.append(
            entry(kind, currency, points, buckets, (lot_from, lot_to), cause, order)
        )

    def put(self, lot: Lot) -> None:
        """Adds points to the lot of equal key, or opens it.

        What awaits an event awaits it until the later of both instants.
        """
        currency, issued, expires_at, activates_at, awaits, points, taken_in = astuple(lot)
        self.pour(currency, issued, expires_at, activates_at, awaits, points, taken_in)

    def pour(
        self,
        currency: str,
        issued: str,
        expires_at: Instant,
        activates_at: Instant,
        awaits: str,
        points: int,
        taken_in: int,
    ) -> None:
        """The same with a lot that is told by its fields."""
        lots = self.lots
        for index, held in enumerate(lots):
            if (  # first what tells most lots apart
                (held.activates_at == activates_at or awaits)
                and held.expires_at == expires_at
                and held.awaits == awaits
                and held.issued == issued
                and held.currency == currency
            ):
                lots[index] = Lot(
                    currency,
                    issued,
                    expires_at,
                    max(held.activates_at, activates_at) if awaits else activates_at,
                    awaits,
                    held.points + points,
                    held.taken_in + taken_in,
                )
                return
        ends = expires_at or NEVER
        place = len(lots)
        while place:
            last = lots[place - 1]
            end = last.expires_at or NEVER
            if end < ends or (
                end == ends
                and (last.issued, last.activates_at, last.awaits, last.currency)
                <= (issued, activates_at, awaits, currency)
            ):
                break
            place -= 1
        lots.insert(
            place, Lot(currency, issued, expires_at, activates_at, awaits, points, taken_in)
        )

    def take(self, index: int, points: int) -> None:
        """Takes points out of an open lot; an empty one leaves the working state."""
        lot = self.lots[index]
        assert 0 < points <= lot.points, (lot, points)
        if points < lot.points:
            self.lots[index] = Lot(
                lot.currency,
                lot.issued,
                lot.expires_at,
                lot.activates_at,
                lot.awaits,
                lot.points - points,
                lot.taken_in,
            )
            return
        del self.lots[index]
        if not lot.activates_at:
            self.add_totals(lot.key, LotTotals(taken_in=lot.taken_in))

    def add_totals(self, key: str, totals: LotTotals) -> None:
        """Adds to the totals of a lot outside the working state."""
        was = self.lot_totals.get(key)
        self.lot_totals[key] = totals if was is None else was.plus(totals)

    def available(self, currency: str) -> int:
        """Points that can be spent now as those of a currency: its own, and of those it follows."""
        now = self.program.currency_now
        return sum(
            lot.points
            for lot in self.lots
            if not lot.activates_at and now(lot.currency) == currency
        )

    def draw(self, currency: str, points: int) -> list[tuple[Lot, int]]:
        """Takes ``points`` from the lots of :meth:`available`, soonest to expire first, and names
        what came from which lot.

        Takes less where there is less; whoever needs all asks :meth:`available` first.
        """
        now = self.program.currency_now
        draws: list[tuple[Lot, int]] = []
        index = 0
        while points and index < len(self.lots):
            lot = self.lots[index]
            if lot.activates_at or now(lot.currency) != currency:
                index += 1
                continue
            taken = min(points, lot.points)
            self.take(index, taken)  # an emptied lot is gone, and the next one stands in its place
            draws.append((lot, taken))
            points -= taken
            if taken < lot.points:
                break
        return draws

    def find_lot(self, key: str) -> int:
        """The place of an open lot, -1 where it is not in the working state."""
        for index, lot in enumerate(self.lots):
            if lot.key == key:
                return index
        return -1

    def credit(  # noqa: PLR0913 - an entry has that many sides
        self,
        kind: str,
        currency: str,
        points: int,
        *,
        from_bucket: str,
        issued: str,
        expires_at: Instant,
        lot_from: str = "",
        cause: str,
        order: str = "",
    ) -> str:
        """Makes points available: into their lot, to arrears first, and at once to ``expired``
        where their life is over already. Answers the key of the lot.
        """
        key = lot_key(currency, issued, expires_at)
        self.post(
            kind,
            currency,
            points,
            (from_bucket, "available"),
            lot_from=lot_from,
            lot_to=key,
            cause=cause,
            order=order,
        )
        left = points - self.repay(currency, points, key, cause=cause)
        if not left:
            self.add_totals(key, LotTotals(taken_in=points))
        elif expires_at <= self.effective_at:
            self.expire_late(currency, left, "available", key)
            self.add_totals(key, LotTotals(taken_in=points, expired=left))
        else:
            self.pour(currency, issued, expires_at, 0, "", left, points)
        return key

    def accrue_pending(
        self,
        lot: Lot,
        *,
        cause: str,
        order: str = "",
        kind: str = "accrual",
        from_bucket: str = "issuance",
    ) -> str:
        """Posts points that cannot be spent yet: into their lot, and at once to ``expired`` where
        their life is over already. Answers the key of the lot.
        """
        currency, points, expires_at = lot.currency, lot.points, lot.expires_at
        key = lot_key(currency, lot.issued, expires_at, lot.activates_at, lot.awaits)
        self.post(
            kind,
            currency,
            points,
            (from_bucket, "pending"),
            lot_to=key,
            cause=cause,
            order=order,
        )
        if 0 < expires_at <= self.effective_at:
            self.expire_late(currency, points, "pending", key)
            self.add_totals(key, LotTotals(taken_in=points, expired=points))
        else:
            self.put(lot)
        return key

    def expire_late(self, currency: str, points: int, bucket: str, key: str) -> None:
        """Ends points that reach their bucket after the end of their lot's life."""
        self.post("expiration", currency, points, (bucket, "expired"), lot_from=key, cause="late")
        self.announce(
            "loyalty.points.expired.v1", {"currency": currency, "points": points, "lot": key}
        )

    def repay(self, currency: str, points: int, key: str, *, cause: str) -> int:
        """Pays what is owed from points that have just become available in a lot; answers how many
        that took. What is owed in the lot's own currency comes first, and then what is owed under
        the name of one that it follows, or that follows it.
        """
        if not self.arrears:
            return 0
        now, left = self.program.currency_now, points
        others = sorted(name for name in self.arrears if name != currency)
        for owed in (currency, *others):
            part = min(self.arrears.get(owed, 0), left)
            if part and now(owed) == now(currency):
                self._pay(owed, currency, part, key, cause)
                left -= part
        return points - left

    def _pay(self, owed: str, currency: str, points: int, key: str, cause: str) -> None:
        """Pays so much with points of a lot. A debt under another name is taken over by the lot's
        currency, point for point: so the books of both balance.
        """
        paid = ("available", "arrears")
        self.post("repayment", currency, points, paid, lot_from=key, cause=cause)
        if owed != currency:
            self.post("arrears", currency, points, ("arrears", "issuance"), cause=cause)
            self.post("repayment", owed, points, ("issuance", "arrears"), cause=cause)
        self.owe(owed, -points)

    def repay_from_lots(self, currency: str, *, cause: str) -> None:
        """Pays what is owed from what can be spent in its place, soonest to expire first."""
        index, now = 0, self.program.currency_now
        while currency in self.arrears and index < len(self.lots):
            lot = self.lots[index]
            if lot.activates_at or now(lot.currency) != now(currency):
                index += 1
                continue
            self.take(index, self.repay(lot.currency, lot.points, lot.key, cause=cause))

    def owe(self, currency: str, points: int) -> None:
        """Changes what is owed in a currency."""
        owed = self.arrears.get(currency, 0) + points
        assert owed >= 0
        if owed:
            self.arrears[currency] = owed
        else:
            self.arrears.pop(currency, None)

    # Counters ---------------------------------------------------------------------------------

    def counted(self, key: str) -> list[int]:
        """[times, points] counted under a key, wherever the counter is now."""
        held = self.counters.get(key)
        if held is not None:
            return held
        return self.history.get(key) or self.facts.history.get(key) or _NOTHING

    def count(self, key: str, times: int, points: int, *, past: bool) -> None:
        """Adds to a counter: in the working state, or in its row where its period is over
        (``past``).
        """
        was = self.counted(key)
        new = [was[0] + times, was[1] + points]
        if key in self.counters or not past:
            self.counters[key] = new
        else:
            self.history[key] = new

    def allowance(self, key: str) -> int:
        """What may still be taken from a shared counter. What this very decision gave back is not
        counted: an amendment may have to restore it.
        """
        return max(0, self.facts.allowances.get(key, 0) - self.taken.get(key, 0))

    def restorable(self, key: str) -> int:
        """What may be taken from a shared counter to restore what was given back."""
        return max(0, self.facts.allowances.get(key, 0) - self.grants.get(key, 0))

    def grant(self, key: str, taken: int) -> None:
        """Takes from a shared counter, or gives back to it where ``taken`` is negative."""
        self.grants = {**self.grants, key: self.grants.get(key, 0) + taken}
        if taken > 0:
            self.taken = {**self.taken, key: self.taken.get(key, 0) + taken}

    # Outcome ----------------------------------------------------------------------------------

    def announce(self, event: str, data: dict[str, Any]) -> None:
        """Adds an event to publish."""
        self.events.append(Event(event, data))

    def finish(self, outcome: str, reason: str = "", **details: Any) -> Decision:
        """The Decision, with the new working state."""
        activity = self.activity
        if self.grants:
            self.trace["grants"] = self.grants
        account = Account(
            self.status,
            self.seq,
            self.effective_at,
            activity.recorded_at,
            self.enrolled_at,
            self.lots,
            self.arrears,
            self.windows,
            self.standing,
            self.counters,
            self.purchases,
            self.segments,
            self.gifts,
            self.waiting,
            self.stuck_from,
            self.ticked,
            self.cards,
            self.badges,
            self.zone,
            self.code,
            self.referral,
            self.idle,
            self.holds,
            self.guest,
            self.open_vouchers,
            self.offers,
            self.affairs,
        )
        return Decision(
            activity,
            outcome,
            reason,
            self.program.version,
            self.effective_at,
            account,
            self.facts,
            self.entries,
            self.events,
            self.trace,
            details,
            list(self.receipts.values()),
            self.lot_totals,
            self.history,
            self.rewards,
            self.derived,
            self.done_waiting,
            self.grants,
            self.new_code,
            self.holds_kept,
            list(self.vouchers.values()),
            list(self.redemptions.values()),
            self._lasting() != self.lasted,
        )

    def _lasting(self) -> tuple[object, ...]:
        """All of the account but its clock, its points, what is counted, and the tier."""
        return (
            self.status,
            self.enrolled_at,
            self.segments,
            self.gifts,
            self.waiting,
            self.stuck_from,
            self.cards,
            self.badges,
            self.zone,
            self.code,
            self.referral,
            self.idle,
            self.holds,
            self.guest,
            self.open_vouchers,
            self.offers,
            self.affairs,
        )


def _ticked(
    status: str, ticked: tuple[int, str, int] | None, body: AnyBody
) -> tuple[int, str, int] | None:
    """How far the due moments of the account's instant have been decided, after this body.

    Where a Tick failed, what is left of its instant is left until it has been decided.
    """
    if type(body) is Tick:
        return (MOMENTS.index(body.moment), body.name, 0)
    if type(body) is Lapsed:
        return (MOMENTS.index("lapse"), "", body.seq)
    return ticked if status == "stuck" or type(body) is Stuck else None


_NO_GRANTS: Final[dict[str, int]] = {}
_NOT_RISEN: Final[dict[str, tuple[str, Instant]]] = {}
_NOTHING: Final = [0, 0]
