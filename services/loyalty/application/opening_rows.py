"""One member of an import: from rows to the opening, and from its mistakes back to their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec

from services.loyalty.application.contract import MAX_LINES
from services.loyalty.application.csv_rows import BadRow
from services.loyalty.application.intake import IMPORT_SOURCE, event_digest
from services.loyalty.application.store import Incoming, ProfilePatch
from services.loyalty.domain.account import Reach, Standing
from services.loyalty.domain.activity import (
    Opening,
    OpeningLot,
    OpeningOrder,
    OpeningPaid,
    OpeningPosting,
    encode_body,
)
from services.loyalty.domain.calendar import IDLE, NEVER, Instant, local_date, month_text
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.money import ImpossibleAmount, UnknownCurrency, minor_units
from services.loyalty.domain.opening_mistakes import Mistake, Why
from services.loyalty.domain.opening_mistakes import Path as Part
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import ReceiptLine

NAME = "opening"
"""What every opening is called in its member's journal."""

DIGEST = event_digest(IMPORT_SOURCE, NAME)

MEMBERS = "members"
MOST_LOTS = 5_000
"""Of one member; entries of one activity are numbered in sixteen bits."""

_encode = msgspec.json.Encoder().encode


class Row(NamedTuple):
    """What stands in a row, by column, and the line of its file on which it ends."""

    line: int
    values: Mapping[str, Any]


Place: TypeAlias = tuple[str, int]
"""A file and a line of it."""


@dataclass(slots=True)
class Comer:
    """A member as the files have it.

    Attributes:
        member: the member's id; empty for rows that are nobody's.
        body, profile: what came, None where a row of it is bad.
        bad: rows that cannot be taken.
        places: where each part of the body stands.
    """

    member: str
    body: Opening | None = None
    profile: ProfilePatch | None = None
    bad: list[BadRow] = field(default_factory=list)
    places: dict[Part, Place] = field(default_factory=dict)

    def incoming(self, now: Instant) -> Incoming:
        """The activity, as it is taken now."""
        assert self.body is not None
        activity = Activity(self.body, now, 0, IMPORT_SOURCE, NAME)
        told = self.profile and (self.profile.born_on, self.profile.language)
        content = b"%b\n%b" % (encode_body(self.body), _encode(told))
        return Incoming(self.member, activity, DIGEST, content, self.profile)

    def row_of(self, mistake: Mistake) -> BadRow:
        """A mistake of the body as one of its row."""
        part = mistake.path
        while part not in self.places:
            part = part[:-1]
        file, line = self.places[part]
        return BadRow(line, SENTENCES[mistake.why], file)


SENTENCES: Mapping[Why, str] = {
    "in_future": "a time in it lies ahead",
    "is_past": "it has ended by now: leave it out, or give an end that lies ahead",
    "unknown_currency": "the programme has no such currency, or it cannot be owed",
    "not_positive": "a number in it is too small",
    "needs_an_end": "expires: say when, or never",
    "has_no_end": "expires: points that count towards tiers have no end of their own",
    "ends_before_it_begins": "expires: that is before they were earned",
    "no_inactivity": "while_active: these points do not expire by inactivity",
    "no_such_order": "awaits: purchases.csv has no such order of the member",
    "not_its_order": "awaits_delivery: points of an order await no other one",
    "awaits_without_end": "available: say by when the delivery must have come, from now on",
    "owes_and_has": "the member owes points of a currency and has others to spend: let these pay",
    "no_tiers": "tier: the programme has none",
    "unknown_level": "the programme has no such level, or it is everybody's",
    "not_the_highest_level": "tier: not the highest that is kept: say tier_until or grace_until",
    "not_a_window": "basis: not a qualifying window of the programme",
    "window_does_not_allow": "basis: the points of that window do not reach the level",
    "not_a_basis": "basis: a window, manual or fell",
    "unknown_counter": "counter: the programme has none of that name and period",
    "unknown_occasion": "occasion: birthday, anniversary or tier-anniversary",
    "unknown_block": "blocked: earning, spending or both",
    "given_twice": "it stands here twice",
    "no_lines": "the order has no lines in lines.csv",
    "impossible_line": "no line can have cost, earned and returned these",
    "impossible_posting": "no order can have earned these",
    "not_in_its_lot": "lots.csv has fewer of these points than the order has left to return",
    "other_than_its_lot": "lots.csv has more points awaiting that delivery than earned.csv",
    "no_points_of_that_month": "lots.csv has no points of that currency and month",
    "not_a_funding": "funding: purchase, third_party or gratuitous",
}


class Composer:
    """Makes one member's opening of the rows, and notes where each part of it stands."""

    def __init__(self, program: Program, comer: Comer, rows: Mapping[str, list[Row]]) -> None:
        self._program = program
        self._comer = comer
        self._rows = rows
        self._own = rows[MEMBERS][0]

    def compose(self) -> None:
        own, comer = self._own.values, self._comer
        comer.places[()] = MEMBERS + ".csv", self._own.line
        lots, arrears, idle = self._lots()
        comer.body = Opening(
            own["enrolled"],
            self._standing(),
            lots,
            arrears,
            idle,
            self._keyed("counters", "counter", lambda row: [row["times"], row["points"]]),
            own["purchases"],
            self._keyed("gifts", "occasion", lambda row: row["given"]),
            self._orders(),
            self._paid(),
            own["status"],
            own["blocked"].split(),
            own["time_zone"],
        )
        if own["born_on"] and own["born_on"] > local_date(own["enrolled"], self._program.zone):
            self._wrong(MEMBERS, self._own.line, "born_on: after the enrolment")
        if own["born_on"] or own["language"]:
            known_at = own["enrolled"] if own["born_on"] else 0
            comer.profile = ProfilePatch(own["born_on"], own["language"], born_known_at=known_at)

    def _each(self, file: str) -> Iterator[tuple[Mapping[str, Any], int]]:
        for row in self._rows.get(file, ()):
            yield row.values, row.line

    def _at(self, file: str, line: int, *part: str | int) -> None:
        self._comer.places[part] = f"{file}.csv", line

    def _wrong(self, file: str, line: int, reason: str) -> None:
        self._comer.bad.append(BadRow(line, reason, f"{file}.csv"))

    def _keyed(
        self, file: str, key: str, value: Callable[[Mapping[str, Any]], Any]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for row, line in self._each(file):
            if row[key] in found:
                self._wrong(file, line, f"{key}: {SENTENCES['given_twice']}")
            found[row[key]] = value(row)
            self._at(file, line, file, row[key])
        return found

    def _standing(self) -> Standing:
        own, reaches = self._own.values, []
        if own["tier_until"]:
            since = own["tier_since"] or own["enrolled"]
            basis = own["tier_basis"]
            reaches.append(_reach(own["tier"], since, own["tier_until"], basis))
        for row, line in self._each("tiers"):
            self._at("tiers", line, "standing", "reaches", len(reaches))
            reaches.append(_reach(row["level"], row["since"], row["until"], row["basis"]))
        return Standing(own["tier"], own["tier_since"], reaches, own["grace_until"])

    def _lots(self) -> tuple[list[OpeningLot], dict[str, int], dict[str, Instant]]:
        lots: list[OpeningLot] = []
        arrears: dict[str, int] = {}
        idle: dict[str, Instant] = {}
        for row, line in self._each("lots"):
            currency, points = row["currency"], row["points"]
            if points < 0:
                if currency in arrears:
                    self._wrong("lots", line, f"points: {SENTENCES['given_twice']}")
                arrears[currency] = -points
                self._at("lots", line, "arrears", currency)
                continue
            if not row["earned"]:
                self._wrong("lots", line, "earned: it is empty")
                continue
            if row["while_active"]:
                if idle.setdefault(currency, row["expires"]) != row["expires"]:
                    self._wrong("lots", line, "expires: points that live while active have one end")
                self._at("lots", line, "idle", currency)
            if len(lots) == MOST_LOTS:
                self._wrong("lots", line, f"a member has at most {MOST_LOTS:,} lots")
            self._at("lots", line, "lots", len(lots))
            lots.append(
                OpeningLot(
                    currency,
                    points,
                    row["earned"],
                    self._end(row),
                    row["available"],
                    row["awaits"],
                )
            )
        return lots, arrears, idle

    def _end(self, row: Mapping[str, Any]) -> Instant:
        """The end of points' life; those that count towards tiers have none."""
        if row["while_active"]:
            return IDLE
        terms = self._program.currencies.get(row["currency"])
        end: Instant = row["expires"]
        return NEVER if not end and terms is not None and terms.qualifies else end

    def _paid(self) -> list[OpeningPaid]:
        paid: list[OpeningPaid] = []
        for row, line in self._each("consideration"):
            amount = self._amount("consideration", line, "amount", row["amount"], row["money"])
            issued = month_text(local_date(row["earned"], self._program.zone))
            self._at("consideration", line, "paid", len(paid))
            funding = row["funding"] or "purchase"
            paid.append(OpeningPaid(row["currency"], issued, row["money"], funding, amount))
        return paid

    def _orders(self) -> list[OpeningOrder]:
        orders: list[OpeningOrder] = []
        lines, earned = self._by_order("lines"), self._by_order("earned")
        for row, line in self._each("purchases"):
            order, money, index = row["order_id"], row["money"], len(orders)
            self._at("purchases", line, "orders", index)
            returned = self._amount("purchases", line, "returned", row["returned"], money)
            bought = self._lines(index, lines.pop(order, []), money)
            postings = self._postings(index, row, bought, earned.pop(order, []))
            orders.append(
                OpeningOrder(
                    order, money, row["bought"], bought, postings, row["delivered"], returned
                )
            )
        for file, left in (("lines", lines), ("earned", earned)):
            for rows in left.values():
                for _, line in rows:
                    self._wrong(
                        file, line, "order_id: purchases.csv has no such order of the member"
                    )
        return orders

    def _by_order(self, file: str) -> dict[str, list[tuple[Mapping[str, Any], int]]]:
        found: defaultdict[str, list[tuple[Mapping[str, Any], int]]] = defaultdict(list)
        for row, line in self._each(file):
            found[row["order_id"]].append((row, line))
        return dict(found)

    def _lines(
        self, index: int, rows: Sequence[tuple[Mapping[str, Any], int]], money: str
    ) -> list[ReceiptLine]:
        made: list[ReceiptLine] = []
        for row, line in rows:
            self._at("lines", line, "orders", index, "lines", len(made))
            paid = self._amount("lines", line, "paid", row["paid"], money)
            earning = self._amount("lines", line, "earning", row["earning"] or row["paid"], money)
            back = self._amount("lines", line, "returned", row["returned"], money)
            made.append(
                ReceiptLine(
                    row["position"], row["quantity"], paid, earning, row["returned_quantity"], back
                )
            )
        if len(made) > MAX_LINES:
            self._wrong("lines", rows[MAX_LINES][1], f"an order has at most {MAX_LINES} lines")
        return made

    def _postings(
        self,
        index: int,
        order: Mapping[str, Any],
        lines: Sequence[ReceiptLine],
        rows: Sequence[tuple[Mapping[str, Any], int]],
    ) -> list[OpeningPosting]:
        """Rows of one rule and currency are one posting; what differs in them beside the line is a
        mistake.
        """
        places = {line.position: place for place, line in enumerate(lines)}
        by_rule: dict[tuple[str, str], list[tuple[Mapping[str, Any], int]]] = {}
        for row, line in rows:
            by_rule.setdefault((row["rule"], row["currency"]), []).append((row, line))
        postings: list[OpeningPosting] = []
        for (rule, currency), parts in by_rule.items():
            first, first_line = parts[0]
            self._at("earned", first_line, "orders", index, "postings", len(postings))
            allocated = [0] * len(lines)
            chosen: list[int] = []
            for row, line in parts:
                place = places.get(row["position"])
                if place is None:
                    self._wrong("earned", line, "position: lines.csv has no such line of the order")
                elif place in chosen:
                    self._wrong("earned", line, f"position: {SENTENCES['given_twice']}")
                elif any(row[name] != first[name] for name in _SAME):
                    self._wrong(
                        "earned",
                        line,
                        "points of one rule and currency differ in more than the line",
                    )
                else:
                    chosen.append(place)
                    allocated[place] = row["points"]
            money = order["money"]
            postings.append(
                OpeningPosting(
                    rule,
                    currency,
                    allocated,
                    first["earned"] or order["bought"],
                    self._end(first),
                    first["available"],
                    order["order_id"] if first["awaits_delivery"] else "",
                    first["on_refund"] or "prorate",
                    self._amount("earned", first_line, "min_spend", first["min_spend"], money),
                    sorted(chosen) if len(chosen) < len(lines) else [],
                    not first["all_or_none"] and not first["steps"],
                    self._amount("earned", first_line, "step", first["step"], money),
                    first["steps"],
                )
            )
        return postings

    def _amount(self, file: str, line: int, column: str, text: str, money: str) -> int:
        try:
            return minor_units(text or "0", money)
        except UnknownCurrency:
            self._wrong(file, line, "money: not an ISO 4217 code")
        except ImpossibleAmount as error:
            self._wrong(file, line, f"{column}: {error.reason}")
        return 0


_SAME = (
    "earned",
    "expires",
    "while_active",
    "available",
    "awaits_delivery",
    "on_refund",
    "min_spend",
    "all_or_none",
    "step",
    "steps",
)


def _reach(level: str, since: Instant, until: Instant, basis: str) -> Reach:
    """A right to a level; a basis that is neither a word nor empty names a window."""
    if basis in ("manual", "fell"):
        return Reach(level, since, until, "", basis)
    return Reach(level, since, until, basis, "reached" if basis else "imported")
