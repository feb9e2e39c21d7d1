"""Every event that we publish: what it says, the fields that consumers may count on, an example.

The fields are the core of a contract that grows by addition: a consumer takes what it knows and
leaves the rest. :mod:`services.events.contracts` makes schemas and documentation of this table. The
member is the event's ``subject`` and the message's key, and its ``time`` is when it took effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from services.events.codec import VOIDED
from services.events.letters import NOTICE
from services.events.topics import CHECKPOINTS, DEAD_LETTERS, EVENTS
from services.loyalty.domain.checkpoint import MADE

Schema: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """One type of event.

    Attributes:
        says: one sentence in the past tense.
        fields: schema of each core field of its data.
        example: data as it may be.
        optional: core fields that are absent where there is nothing to say.
        topic: where it is published.
    """

    says: str
    fields: Mapping[str, Schema]
    example: Mapping[str, Any]
    optional: frozenset[str] = field(default_factory=frozenset)
    topic: str = EVENTS


def _text(says: str, **more: Any) -> Schema:
    return {"type": "string", "description": says, **more}


def _instant(says: str) -> Schema:
    return _text(says, format="date-time")


def _count(says: str, **more: Any) -> Schema:
    return {"type": "integer", "description": says, **more}


def _by_currency(says: str) -> Schema:
    return {
        "type": "object",
        "description": says,
        "additionalProperties": {"type": "integer", "minimum": 0},
    }


CURRENCY = _text("Currency of the points, by its name in the programme.")
POINTS = _count("Whole points.", minimum=1)
SIGNED_POINTS = _count("Whole points: positive came, negative went.")
ORDER = _text("The order concerned.")
ACTIVITY = _text("Kind of the activity: `purchase`, `refund`, `engagement` …")
MESSAGE_ID = _text("Id of the CloudEvent or request that asked for it.")
REASON = _text("A stable code.")
LEVEL = _text("A tier level.")
UNTIL = _instant("Exclusive end of the period for which the level is kept.")
REWARD = _text("The reward's id in the programme.")
RULE = _text("The rule of the programme.")
CARD = _text("The card of stamps, by its name in the programme.")
COLLECTED = _count("Stamps in hand now.", minimum=0)
OF = _count("Stamps that fill the card.", minimum=1)

POOL = _text("The pool's id.")
IN_POOL = _text("A member of the pool, by its id.")
MEMBERS = _count("How many members it has now.", minimum=0)
SPENT_BY = _text("Which of its members spends, where the subject is a pool.")
_IN: dict[str, Any] = {"pool": "pool-7"}

HOLD = _text("The hold concerned.")
WORTH: Schema = {
    "type": "object",
    "description": "What the points pay of an order.",
    "required": ["amount", "currency"],
    "properties": {
        "amount": _text("A decimal string with all places of its currency."),
        "currency": _text("ISO 4217 code."),
    },
}
VOUCHER = _text("The voucher's id among the member's. Its code is never published.")
VOUCHERS_VOIDED = {
    "type": "array",
    "items": VOUCHER,
    "description": "Vouchers that nobody had used.",
}
REWARDS_KEPT = {
    "type": "array",
    "items": REWARD,
    "description": "Rewards that the member keeps: used, expired, or without a voucher.",
}
CARRIED_WORTH = _text("What it is worth: an amount and its currency.", examples=["5.00 GBP"])


MERGE = _text("Id of the merge; empty for what a merged account passes on later.")
MERGED_POINTS: Schema = {
    "type": "object",
    "description": "Points of open lots, pending ones too, by currency.",
    "additionalProperties": {"type": "integer", "minimum": 1},
}


def _voucher(says: str, example: Mapping[str, Any], **more: Schema) -> Published:
    fields = {"voucher": VOUCHER, "reward": REWARD, "currency": CURRENCY, "points": POINTS}
    told = {"voucher": "v12-0", "reward": "five-off", "currency": "points", "points": 500}
    return Published(
        says,
        {**fields, "worth": CARRIED_WORTH, **more},
        {**told, "worth": "5.00 GBP", **example},
        optional=frozenset({"currency", "points", "worth", "order"}),
    )


POSTING: Schema = {
    "type": "object",
    "required": ["rule", "currency", "points"],
    "properties": {
        "rule": _text("The rule or gift that gave them."),
        "currency": CURRENCY,
        "points": POINTS,
        "available": _text("When they can be spent, if not at once: an instant, or words."),
        "expires_at": _instant("When they expire, where that is known already."),
    },
}


CONDITION: Schema = {
    "type": "object",
    "required": ["currency", "needs", "missing"],
    "properties": {
        "currency": _text("The qualifying currency, by its name in the programme."),
        "needs": _count("How much the window must count; minor units of money spent.", minimum=0),
        "missing": _count("How much of it is still missing.", minimum=0),
    },
}


def _status(says: str) -> Published:
    reason = {"reason": REASON}
    return Published(says, reason, {"reason": "member_request"}, optional=frozenset(reason))


PUBLISHED: dict[str, Published] = {
    "loyalty.member.enrolled.v1": Published(
        "A member joined the programme.",
        {"tier": LEVEL},
        {"tier": "basic"},
        optional=frozenset({"tier"}),
    ),
    "loyalty.member.imported.v1": Published(
        "A member came from another system, with what was there. Nothing was given for it.",
        {
            "enrolled_at": _instant("When the member had joined."),
            "tier": LEVEL,
            "points": _by_currency("Points brought along, by currency."),
        },
        {"enrolled_at": "2009-05-04T00:00:00Z", "tier": "silver", "points": {"points": 740}},
        optional=frozenset({"tier"}),
    ),
    "loyalty.member.updated.v1": Published(
        "Fields of a member's profile changed. Their values are not published.",
        {"fields": {"type": "array", "items": {"type": "string"}, "description": "Their names."}},
        {"fields": ["language"]},
    ),
    "loyalty.member.segmented.v1": Published(
        "A member's time in a segment changed.",
        {"segment": _text("The segment.")},
        {"segment": "lapsed"},
    ),
    "loyalty.member.suspended.v1": _status("A member cannot spend for now."),
    "loyalty.member.reopened.v1": _status("A member's account is active again."),
    "loyalty.member.closed.v1": _status("A member's account was closed."),
    "loyalty.member.erased.v1": _status("A member's personal data was destroyed."),
    "loyalty.member.blocked.v1": Published(
        "Earning or spending was blocked for a member, apart from the status.",
        {"what": _text("What.", enum=["earning", "spending"]), "reason": REASON},
        {"what": "spending", "reason": "card-stolen"},
    ),
    "loyalty.member.unblocked.v1": Published(
        "Earning or spending is no longer blocked for a member.",
        {"what": _text("What.", enum=["earning", "spending"]), "reason": REASON},
        {"what": "spending", "reason": "card-found"},
    ),
    "loyalty.member.merged.v1": Published(
        "A member's account became part of another one's. What it had is on its way there.",
        {"merge": MERGE, "into": _text("The member who goes on."), "points": MERGED_POINTS},
        {"merge": "mg-5f0c7a2be94d10c86d1b", "into": "17850", "points": {"points": 1200}},
    ),
    "loyalty.member.merge-declined.v1": Published(
        "A member's account stays as it was: it did not become part of another one's.",
        {"merge": MERGE, "into": _text("The other member."), "reason": REASON},
        {"merge": "mg-5f0c7a2be94d10c86d1b", "into": "17850", "reason": "holds_open"},
    ),
    "loyalty.member.absorbed.v1": Published(
        "Something that a merged account had is in this one now: one part of several, in any order."
        " What a person is given once and both members got is named, and stays.",
        {
            "merge": MERGE,
            "from": _text("The member whose account it was."),
            "part": _count("Which part; 1 holds what belongs to the person.", minimum=1),
            "parts": _count("Of how many.", minimum=1),
            "points": MERGED_POINTS,
            "given_twice": {
                "type": "array",
                "description": "Gifts of one year, badges, limits for life and enrolment rules.",
                "items": {
                    "type": "object",
                    "required": ["what", "name"],
                    "properties": {
                        "what": _text("What.", enum=["gift", "badge", "limit", "enrolment"]),
                        "name": _text("Its name in the programme."),
                    },
                },
            },
        },
        {
            "merge": "mg-5f0c7a2be94d10c86d1b",
            "from": "12346",
            "part": 1,
            "parts": 1,
            "points": {"points": 1200},
            "given_twice": [{"what": "gift", "name": "birthday"}],
        },
    ),
    "loyalty.adjustment.requested.v1": Published(
        "An adjustment waits for a second person. No point moved yet.",
        {
            "adjustment": _text("Id of the adjustment."),
            "currency": CURRENCY,
            "points": SIGNED_POINTS,
            "reason": REASON,
            "lapses_at": _instant("Before when it has to be decided on."),
        },
        {
            "adjustment": "ad-1",
            "currency": "points",
            "points": 2000,
            "reason": "goodwill",
            "lapses_at": "2011-03-16T00:00:00Z",
        },
    ),
    "loyalty.adjustment.dropped.v1": Published(
        "An adjustment that waited for a second person will not be carried out.",
        {
            "adjustment": _text("Id of the adjustment."),
            "currency": CURRENCY,
            "points": SIGNED_POINTS,
            "reason": REASON,
            "why": _text("`declined`, `lapsed`, or what became of the account."),
        },
        {
            "adjustment": "ad-1",
            "currency": "points",
            "points": 2000,
            "reason": "goodwill",
            "why": "declined",
        },
    ),
    "loyalty.points.accrued.v1": Published(
        "An activity or an occasion earned points.",
        {
            "activity": _text("Kind of the activity, or the occasion: `purchase`, `birthday` …"),
            "order": ORDER,
            "postings": {
                "type": "array",
                "items": POSTING,
                "description": "What each rule gave.",
            },
        },
        {
            "activity": "purchase",
            "order": "536365",
            "postings": [
                {
                    "rule": "base",
                    "currency": "points",
                    "points": 139,
                    "available": "2010-12-16T00:00:00Z",
                    "expires_at": "2011-04-01T00:00:00Z",
                }
            ],
        },
        optional=frozenset({"order"}),
    ),
    "loyalty.points.activated.v1": Published(
        "Pending points became available.",
        {"currency": CURRENCY, "points": POINTS, "order": ORDER},
        {"currency": "points", "points": 139},
        optional=frozenset({"order"}),
    ),
    "loyalty.points.redeemed.v1": Published(
        "A member spent points: on a reward, as money for an order, or otherwise out of a hold.",
        {
            "redemption": _text("Id of the redemption."),
            "reward": REWARD,
            "hold": HOLD,
            "order": ORDER,
            "worth": WORTH,
            "currency": CURRENCY,
            "points": POINTS,
            "spent_by": SPENT_BY,
        },
        {"redemption": "r-1", "reward": "five-off", "currency": "points", "points": 500},
        optional=frozenset({"reward", "hold", "order", "worth", "spent_by"}),
    ),
    "loyalty.points.held.v1": Published(
        "Points were set aside until they are captured, voided, or given back by the clock.",
        {
            "hold": HOLD,
            "currency": CURRENCY,
            "points": POINTS,
            "ends_at": _instant("When they are given back, if nothing happens before."),
            "reward": REWARD,
            "order": ORDER,
            "worth": WORTH,
            "spent_by": SPENT_BY,
        },
        {
            "hold": "hd-1",
            "currency": "points",
            "points": 500,
            "ends_at": "2011-06-01T10:00:00Z",
            "order": "536365",
            "worth": {"amount": "5.00", "currency": "GBP"},
        },
        optional=frozenset({"reward", "order", "worth", "spent_by"}),
    ),
    "loyalty.points.released.v1": Published(
        "Points that were held are free again. What was owed is paid from them, and those whose "
        "life ended meanwhile expire, as an event of its own says.",
        {
            "hold": HOLD,
            "currency": CURRENCY,
            "points": POINTS,
            "reason": _text(
                "Why: it was voided, its time was over, the rest was not needed after a capture, "
                "or the account was closed.",
                enum=["voided", "lapsed", "captured", "closed"],
            ),
            "order": ORDER,
        },
        {"hold": "hd-1", "currency": "points", "points": 200, "reason": "lapsed"},
        optional=frozenset({"order"}),
    ),
    "loyalty.points.extended.v1": Published(
        "An operator let points live longer.",
        {
            "currency": CURRENCY,
            "points": POINTS,
            "expires_at": _instant("Exclusive end of their life now."),
            "reason": REASON,
        },
        {
            "currency": "points",
            "points": 120,
            "expires_at": "2011-09-01T00:00:00Z",
            "reason": "strike",
        },
    ),
    "loyalty.points.reinstated.v1": Published(
        "An operator let expired points live again.",
        {
            "currency": CURRENCY,
            "points": POINTS,
            "expires_at": _instant("Exclusive end of their new life."),
            "reason": REASON,
        },
        {
            "currency": "points",
            "points": 60,
            "expires_at": "2011-09-01T00:00:00Z",
            "reason": "goodwill",
        },
    ),
    "loyalty.points.restored.v1": Published(
        "A redemption was cancelled, and points went back to the lots that they came from.",
        {
            "redemption": _text("Id of the redemption."),
            "reward": REWARD,
            "currency": CURRENCY,
            "points": POINTS,
            "reason": REASON,
        },
        {
            "redemption": "r-1",
            "reward": "five-off",
            "currency": "points",
            "points": 500,
            "reason": "order_cancelled",
        },
    ),
    "loyalty.points.expired.v1": Published(
        "Points reached the end of their life.",
        {"currency": CURRENCY, "points": POINTS},
        {"currency": "points", "points": 60},
    ),
    "loyalty.points.expiring.v1": Published(
        "Points will expire soon.",
        {
            "currency": CURRENCY,
            "points": POINTS,
            "expires_at": _instant("Exclusive end of their life."),
            "days": _count("Days ahead of which the programme gives notice.", minimum=0),
        },
        {"currency": "points", "points": 60, "expires_at": "2011-04-01T00:00:00Z", "days": 30},
    ),
    "loyalty.points.clawed-back.v1": Published(
        "What an order had earned was taken back, because of a return.",
        {
            "order": ORDER,
            "reason": REASON,
            "points": _by_currency("Points taken back, by their currency."),
            "short": _by_currency("The part of them that was not there any more."),
        },
        {"order": "536365", "reason": "refund", "points": {"points": 20}, "short": {"points": 5}},
        optional=frozenset({"short"}),
    ),
    "loyalty.points.adjusted.v1": Published(
        "Points were granted or taken by hand.",
        {"currency": CURRENCY, "points": SIGNED_POINTS, "reason": REASON},
        {"currency": "points", "points": -50, "reason": "goodwill_withdrawn"},
    ),
    "loyalty.points.transferred.v1": Published(
        "Points went to another member, came from one, or came back.",
        {
            "transfer": _text("Id of the transfer, the same at both members."),
            "currency": CURRENCY,
            "points": SIGNED_POINTS,
        },
        {"transfer": "t-1", "currency": "points", "points": -200},
    ),
    "loyalty.pool.joined.v1": Published(
        "A pool let the member in: what the member earns goes there.", {"pool": POOL}, _IN
    ),
    "loyalty.pool.refused.v1": Published(
        "A pool did not let the member in.",
        {"pool": POOL, "reason": REASON},
        _IN | {"reason": "pool_full"},
    ),
    "loyalty.pool.left.v1": Published(
        "The member shares points with the pool no more.",
        {"pool": POOL, "reason": REASON},
        _IN | {"reason": "left"},
    ),
    "loyalty.pool.contributed.v1": Published(
        "Points that the member earned went to the pool.",
        {"pool": POOL, "currency": CURRENCY, "points": POINTS, "order": ORDER},
        _IN | {"currency": "points", "points": 25, "order": "536365"},
        optional=frozenset({"order"}),
    ),
    "loyalty.pool.short.v1": Published(
        "The pool had spent points of an order that came back; they were taken from the member.",
        {
            "pool": POOL,
            "order": ORDER,
            "currency": CURRENCY,
            "points": POINTS,
            "short": _count("The part of them that the member did not have either.", minimum=0),
        },
        _IN | {"order": "536365", "currency": "points", "points": 20, "short": 5},
    ),
    "loyalty.pool.founded.v1": Published(
        "A pool was founded; the subject is the pool.",
        {"owner": IN_POOL},
        {"owner": "17850"},
    ),
    "loyalty.pool.member-joined.v1": Published(
        "A member came to the pool, the subject.",
        {"member": IN_POOL, "members": MEMBERS},
        {"member": "13047", "members": 2},
    ),
    "loyalty.pool.member-left.v1": Published(
        "A member left the pool, the subject.",
        {"member": IN_POOL, "members": MEMBERS, "reason": REASON},
        {"member": "13047", "members": 1, "reason": "left"},
    ),
    "loyalty.pool.passed-on.v1": Published(
        "The owner left the pool, the subject, and another member owns it.",
        {"owner": IN_POOL},
        {"owner": "13047"},
    ),
    "loyalty.pool.spenders-named.v1": Published(
        "The owner of the pool, the subject, named all others who may spend its points.",
        {"spenders": {"type": "array", "items": {"type": "string"}, "description": "Members."}},
        {"spenders": ["13047"]},
    ),
    "loyalty.pool.closed.v1": Published(
        "The pool, the subject, closed.", {"owner": IN_POOL}, {"owner": "17850"}
    ),
    "loyalty.pool.credited.v1": Published(
        "Points that a member earned reached the pool, the subject.",
        {"member": IN_POOL, "currency": CURRENCY, "points": POINTS, "order": ORDER},
        {"member": "17850", "currency": "points", "points": 25, "order": "536365"},
        optional=frozenset({"order"}),
    ),
    "loyalty.pool.recalled.v1": Published(
        "Points left the pool, the subject, because of a member's return.",
        {
            "member": IN_POOL,
            "order": ORDER,
            "currency": CURRENCY,
            "points": _count("Whole points that the pool had.", minimum=0),
            "reason": REASON,
            "short": _count("Points that it had spent.", minimum=1),
        },
        {
            "member": "17850",
            "order": "536365",
            "currency": "points",
            "points": 20,
            "reason": "refund",
            "short": 5,
        },
        optional=frozenset({"short"}),
    ),
    "loyalty.tier.changed.v1": Published(
        "A member rose or fell to another level.",
        {
            "from": LEVEL,
            "to": LEVEL,
            "direction": _text("Which way.", enum=["up", "down"]),
            "reason": REASON,
            "until": UNTIL,
        },
        {
            "from": "basic",
            "to": "silver",
            "direction": "up",
            "reason": "reached",
            "until": "2011-03-01T00:00:00Z",
        },
        optional=frozenset({"until"}),
    ),
    "loyalty.tier.undone.v1": Published(
        "A return undid the rise to a level: what is unused of what the level gave is taken back.",
        {
            "level": LEVEL,
            "order": ORDER,
            "points": {
                "type": "object",
                "description": "Points taken back, by currency.",
                "additionalProperties": POINTS,
            },
            "vouchers_voided": VOUCHERS_VOIDED,
            "rewards_kept": REWARDS_KEPT,
        },
        {
            "level": "gold",
            "order": "536365",
            "points": {"points": 500},
            "vouchers_voided": ["v12-0"],
            "rewards_kept": [],
        },
    ),
    "loyalty.tier.kept.v1": Published(
        "A member keeps a level for longer.",
        {"level": LEVEL, "reason": REASON, "until": UNTIL},
        {"level": "silver", "reason": "reached", "until": "2011-06-01T00:00:00Z"},
        optional=frozenset({"until"}),
    ),
    "loyalty.tier.warned.v1": Published(
        "A member will fall at the end of the period, unless more is earned.",
        {
            "level": LEVEL,
            "until": UNTIL,
            "missing": _count(
                "Missing to keep it, of the currency that decides by itself.", minimum=0
            ),
            "conditions": {
                "type": "array",
                "description": "Where a level needs several currencies: each of them.",
                "items": CONDITION,
            },
            "how": _text("Whether all conditions are needed or any one.", enum=["all", "any"]),
        },
        {"level": "silver", "until": "2011-06-01T00:00:00Z", "missing": 240},
        optional=frozenset({"conditions", "how"}),
    ),
    "loyalty.reward.issued.v1": Published(
        "A member got a reward, redeemed or as a gift.",
        {
            "reward": REWARD,
            "by": _text(
                "`redemption`, `gift` where it was chosen, `tier`, `rule`, or the occasion."
            ),
            "rule": _text("The earning rule that gave it, where it was one."),
            "tier": _text("The level that gave it, where it was one."),
            "redemption": _text("The redemption, where it was one."),
            "gift": _text("The gift of the programme, where it was one."),
            "voucher": VOUCHER,
            "expires_at": _instant("Exclusive end of the voucher's life, where there is one."),
        },
        {
            "reward": "birthday-treat",
            "by": "birthday",
            "gift": "birthday",
            "voucher": "v12-0",
            "expires_at": "2011-05-03T23:00:00Z",
        },
        optional=frozenset({"redemption", "gift", "tier", "rule", "voucher", "expires_at"}),
    ),
    "loyalty.reward.returned.v1": Published(
        "A return left too little of an order for what a rule had given: what is unused is void.",
        {
            "rule": RULE,
            "order": ORDER,
            "vouchers_voided": VOUCHERS_VOIDED,
            "rewards_kept": REWARDS_KEPT,
        },
        {
            "rule": "big-basket",
            "order": "536365",
            "vouchers_voided": ["v12-0"],
            "rewards_kept": [],
        },
    ),
    "loyalty.voucher.used.v1": _voucher(
        "A voucher was used.", {"order": "536412"}, order=_text("The order on which it was used.")
    ),
    "loyalty.voucher.expired.v1": _voucher("A voucher was not used in time.", {}),
    "loyalty.voucher.voided.v1": _voucher(
        "A voucher was withdrawn, or its redemption cancelled.",
        {"reason": "redemption_cancelled"},
        reason=REASON,
    ),
    "loyalty.gift.offered.v1": Published(
        "A member may choose one of several rewards.",
        {
            "offer": _text("The offer's id, to claim it by."),
            "gift": _text("The gift of the programme."),
            "occasion": _text("The occasion."),
            "choose": {"type": "array", "items": REWARD, "description": "What there is."},
            "claim_by": _instant("Exclusive end of the offer."),
        },
        {
            "offer": "g9-birthday",
            "gift": "birthday",
            "occasion": "birthday",
            "choose": ["five-off", "birthday-treat"],
            "claim_by": "2011-07-01T23:00:00Z",
        },
    ),
    "loyalty.gift.lapsed.v1": Published(
        "Nobody chose among the rewards of an offer in time.",
        {"offer": _text("The offer's id."), "gift": _text("The gift of the programme.")},
        {"offer": "g9-birthday", "gift": "birthday"},
    ),
    "loyalty.benefit.used.v1": Published(
        "A member made use of a benefit of the tier.",
        {
            "benefit": _text("The benefit."),
            "level": LEVEL,
            "left": _count("Uses left in the period; absent where there is no limit.", minimum=0),
        },
        {"benefit": "free-upgrade", "level": "gold", "left": 1},
        optional=frozenset({"left"}),
    ),
    "loyalty.badge.given.v1": Published(
        "A member got a badge, for the first and only time.",
        {
            "badge": _text("The badge's id in the programme."),
            "by": _text("The rule, level, card or gift that gave it."),
        },
        {"badge": "explorer", "by": "all-rooms"},
    ),
    "loyalty.receipt.claimed.v1": Published(
        "A member claimed what a guest had bought; the subject is the receipt number.",
        {"claim": _text("Id of the claim.")},
        {"claim": "cl-1c9be0a3427fd5e8801a"},
    ),
    "loyalty.receipt.returned.v1": Published(
        "The account that had claimed a receipt refused the purchase; the claim is undone.",
        {"reason": REASON},
        {"reason": "account_closed"},
    ),
    "loyalty.referral.made.v1": Published(
        "A new member named who had told of the programme, by a code.", {}, {}
    ),
    "loyalty.referral.refused.v1": Published(
        "A code named at the enrolment ties to nobody; the member joined all the same.",
        {"reason": REASON},
        {"reason": "unknown_referral_code"},
    ),
    "loyalty.referral.qualified.v1": Published(
        "A referred member's purchase qualified: the rewards of both are pending.",
        {
            "rule": RULE,
            "order": ORDER,
            "until": _instant("When the return window ends, unless a delivery prolongs it."),
        },
        {"rule": "referral", "order": "536365", "until": "2011-01-01T00:00:00Z"},
    ),
    "loyalty.referral.cancelled.v1": Published(
        "Too little was kept of the purchase: both rewards are taken back. Another may qualify.",
        {"rule": RULE, "order": ORDER},
        {"rule": "referral", "order": "536365"},
    ),
    "loyalty.referral.settled.v1": Published(
        "The return window has ended: the rewards of both are theirs.",
        {"rule": RULE, "order": ORDER},
        {"rule": "referral", "order": "536365"},
    ),
    "loyalty.stamp.collected.v1": Published(
        "An activity stamped a card, or went on with a streak or challenge.",
        {"card": CARD, "collected": COLLECTED, "of": OF, "order": ORDER},
        {"card": "six-orders", "collected": 4, "of": 6, "order": "536365"},
        optional=frozenset({"order"}),
    ),
    "loyalty.stamp.filled.v1": Published(
        "A card was full and handed in; what it gave is told by further events.",
        {"card": CARD, "times": _count("How often the member has filled it.", minimum=1)},
        {"card": "six-orders", "times": 1},
    ),
    "loyalty.stamp.returned.v1": Published(
        "A return took a stamp back, from the card in hand or from a full one.",
        {
            "card": CARD,
            "order": ORDER,
            "outcome": _text(
                "`taken` from the card in hand; or, of a full card, `replaced` by another stamp, "
                "`undone` (its points are taken back) or `kept`.",
                enum=["taken", "replaced", "undone", "kept"],
            ),
            "collected": COLLECTED,
            "of": OF,
            "rewards_kept": {
                "type": "array",
                "items": REWARD,
                "description": "Rewards of the full card, which the member keeps.",
            },
        },
        {
            "card": "six-orders",
            "order": "536365",
            "outcome": "undone",
            "collected": 5,
            "of": 6,
            "rewards_kept": ["five-off"],
        },
        optional=frozenset({"rewards_kept"}),
    ),
    "loyalty.stamp.lapsed.v1": Published(
        "Stamps were lost because the card was not full in time, or a streak ended.",
        {"card": CARD, "lapsed": _count("Stamps lost.", minimum=1), "collected": COLLECTED},
        {"card": "six-orders", "lapsed": 1, "collected": 3},
    ),
    "loyalty.activity.refused.v1": Published(
        "An activity was judged and refused. Further fields are facts of the refusal.",
        {"activity": ACTIVITY, "reason": REASON, "id": MESSAGE_ID},
        {
            "activity": "redemption",
            "reason": "insufficient_points",
            "id": "r-2",
            "missing": 120,
        },
    ),
    "loyalty.activity.parked.v1": Published(
        "An activity waits for what it needs, such as a refund for its purchase.",
        {"activity": ACTIVITY, "reason": REASON, "id": MESSAGE_ID},
        {"activity": "refund", "reason": "awaits_purchase", "id": "C536379-1"},
    ),
    "loyalty.activity.lapsed.v1": Published(
        "What a parked activity waited for did not come in time.",
        {
            "activity": ACTIVITY,
            "parked": _count("Seq at which it was parked.", minimum=1),
            "reason": REASON,
        },
        {"activity": "refund", "parked": 7, "reason": "awaits_purchase"},
    ),
    VOIDED: Published(
        "The service was restored from a backup: what a lost incarnation published of this member "
        "beyond a seq never was. Forget it.",
        {
            "incarnation": _count(
                "The lost incarnation, first part of its events' ids.", minimum=1
            ),
            "after_seq": _count("The last seq of it that stands.", minimum=0),
        },
        {"incarnation": 1, "after_seq": 41},
    ),
    NOTICE: Published(
        "A message was refused for good. Its bytes stay in a table; the subject is its place.",
        {
            "topic": _text("Topic of the message."),
            "partition": _count("Its partition.", minimum=0),
            "offset": _count("Its offset there.", minimum=0),
            "reason": REASON,
            "detail": _text("What is wrong with it, in words."),
            "sha256": _text("Digest of its bytes.", pattern="^[0-9a-f]{64}$"),
            "size_bytes": _count("Its size.", minimum=0),
        },
        {
            "topic": "commerce.purchases",
            "partition": 3,
            "offset": 812,
            "reason": "unknown_currency",
            "detail": "data.currency: ISO 4217 has no such code",
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "size_bytes": 412,
        },
        topic=DEAD_LETTERS,
    ),
    MADE: Published(
        "A root over the chains of all members was signed: what stands under it can be proven, and "
        "can no longer be cut or rewritten unseen.",
        {
            "incarnation": _count("Of the deployment: another begins after a restore.", minimum=1),
            "number": _count("Counts checkpoints from 1.", minimum=1),
            "at": _instant("When it was made."),
            "count": _count(
                "Members to whom anything happened, the leaves of the tree.", minimum=0
            ),
            "activities": _count("Sum of their last seqs.", minimum=0),
            "root": _text(
                "Root of the Merkle tree (RFC 6962 section 2.1, SHA-256) over the leaves in the "
                "order of member ids; a leaf is the compact JSON `[member, seq, link]` with the "
                "link of its last journal row in base64.",
                pattern="^[0-9a-f]{64}$",
            ),
            "key_id": _text(
                "First digits of the SHA-256 of the public key.", pattern="^[0-9a-f]{16}$"
            ),
            "signature": _text(
                "Ed25519 (RFC 8032) over this object without its signature as canonical JSON "
                "(RFC 8785), in base64."
            ),
        },
        {
            "incarnation": 1,
            "number": 31,
            "at": "2010-12-01T08:26:00Z",
            "count": 4339,
            "activities": 401604,
            "root": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "key_id": "21fe31dfa154a261",
            "signature": (
                "vGmWBd5Wc/XgQmgN7mOEqRZnR4MHi7eW/T6ijFs8/i+Qqo/oH+mDLQ1JX/PM"
                "KTEpsBi0Ak2HZqsn14Z1gUHnCQ=="
            ),
        },
        topic=CHECKPOINTS,
    ),
}
"""The events by type."""


def data_schema(published: Published) -> Schema:
    """The JSON Schema of an event's data; fields beyond the core may come."""
    required = [name for name in published.fields if name not in published.optional]
    return {
        "type": "object",
        "properties": dict(published.fields),
        **({"required": required} if required else {}),
        "additionalProperties": True,
    }
