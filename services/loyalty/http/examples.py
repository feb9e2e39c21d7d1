"""Examples for the API's documentation: one member, order and programme, told consistently."""

from __future__ import annotations

from typing import Any, TypeAlias

Example: TypeAlias = dict[str, Any]

_BALANCE: Example = {
    "currency": "points",
    "available": 380,
    "pending": 120,
    "held": 0,
    "arrears": 0,
}
_AS_OF = "2011-06-01T09:30:00Z"

BALANCES: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "balances": [_BALANCE],
}
TIER: Example = {
    "level": "silver",
    "name": "Silver",
    "description": "For those who come back.",
    "since": "2011-03-14T10:12:00Z",
    "until": "2011-06-14T23:00:00Z",
    "grace_until": None,
    "qualifying": {"currency": "status", "window": "2011-06", "points": 1730},
    "next": {
        "level": "gold",
        "name": "Gold",
        "threshold": 5000,
        "missing": 3270,
        "how": "all",
        "conditions": [
            {"currency": "status", "needs": 5000, "missing": 3270, "money": None},
            {"currency": "orders", "needs": 4, "missing": 0, "money": None},
        ],
        "points": {"points": 500},
        "rewards": ["gold-hamper"],
    },
    "keep": {
        "threshold": 1000,
        "missing": 0,
        "by": "2011-06-14T23:00:00Z",
        "how": "all",
        "conditions": [{"currency": "status", "needs": 1000, "missing": 0, "money": None}],
    },
    "benefits": [
        {
            "name": "priority-shipping",
            "label": "Priority shipping",
            "description": None,
            "terms": "unlimited",
        }
    ],
    "manual": None,
}
MEMBER: Example = {
    "member_id": "17850",
    "status": "active",
    "enrolled_at": "2010-12-01T08:26:00Z",
    "as_of": _AS_OF,
    "notice": None,
    "program_version": 1,
    "balances": [_BALANCE],
    "tier": TIER,
    "blocked": [],
    "points_kept_until": None,
}
LOTS: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "lots": [
        {
            "currency": "points",
            "state": "available",
            "points": 380,
            "issued": "2011-03",
            "activates_at": None,
            "awaits_delivery_of": None,
            "awaits_referral": False,
            "expires_at": "2011-06-30T23:00:00Z",
            "while_active": False,
        },
        {
            "currency": "points",
            "state": "pending",
            "points": 120,
            "issued": "2011-05",
            "activates_at": "2011-06-07T23:00:00Z",
            "awaits_delivery_of": None,
            "awaits_referral": False,
            "expires_at": "2011-08-31T23:00:00Z",
            "while_active": False,
        },
    ],
}
ENTRIES: Example = {
    "member_id": "17850",
    "items": [
        {
            "seq": 12,
            "kind": "engagement",
            "outcome": "accepted",
            "reason": None,
            "reason_name": None,
            "program_version": 1,
            "occurred_at": "2011-05-24T11:00:00Z",
            "recorded_at": "2011-05-24T11:00:02Z",
            "effective_at": "2011-05-24T11:00:00Z",
            "source": "/shop/reviews",
            "event_id": "review-481",
            "activity": {"kind": "engagement", "of": "product.reviewed", "about": "22423"},
            "entries": [
                {
                    "kind": "accrual",
                    "currency": "points",
                    "points": 50,
                    "from_bucket": "issuance",
                    "to_bucket": "available",
                    "lot_from": None,
                    "lot_to": "points/2011-05/1314831600000000",
                    "cause": "review",
                    "cause_name": "Your review",
                    "order": None,
                }
            ],
            "trace": {"fired": [{"rule": "review", "gives": {"points": 50}}]},
            "names": {"review": "Your review"},
        }
    ],
    "next": "s12",
}
REWARDS: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "catalogue": [
        {
            "reward": "five-off",
            "name": "5.00 off your next order",
            "description": "From 20.00, within 90 days.",
            "cost": 500,
            "currency": "points",
            "affordable": False,
            "missing": 120,
            "closed_because": None,
            "reasons": [
                {
                    "code": "insufficient_points",
                    "currency": "points",
                    "cost": 500,
                    "available": 380,
                    "missing": 120,
                }
            ],
        }
    ],
    "issued": [
        {
            "reward": "birthday-treat",
            "name": "A cake for your birthday",
            "how": "gift",
            "by": "birthday",
            "by_name": "Happy birthday",
            "points": 0,
            "issued_at": "2011-04-02T23:00:00Z",
            "voucher": None,
        }
    ],
}
CATALOGUE: Example = {
    "as_of": _AS_OF,
    "program_version": 1,
    "rewards": [
        {
            "reward": "five-off",
            "name": "5.00 off your next order",
            "description": "From 20.00, within 90 days.",
            "cost": 500,
            "currency": "points",
            "gift_only": False,
            "tiers": [],
            "segments": [],
            "limit": "2 per year",
            "valid_from": None,
            "valid_until": None,
            "stock": 5000,
            "left": 4872,
        }
    ],
}
BUDGETS: Example = {
    "as_of": _AS_OF,
    "program_version": 1,
    "budgets": [
        {
            "rule": "big-basket",
            "name": "Big basket",
            "description": None,
            "currency": "points",
            "points": 500000,
            "left": 412250,
            "short": "partial",
            "valid_from": "2011-03-01T00:00:00Z",
            "valid_until": "2011-05-31T23:00:00Z",
        }
    ],
}
CLAIM_REQUEST: Example = {"receipt": "R-7K2M9QXB4T1D"}
CLAIM: Example = {
    "claim": "cl-1c9be0a3427fd5e8801a",
    "member_id": "17850",
    "receipt": "R-7K2M9QXB4T1D",
    "claimed_at": _AS_OF,
}
REFERRAL: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "code": "7K2M9QXB4T1D",
    "referred": {
        "state": "pending",
        "order": "536365",
        "rule": "referral",
        "rule_name": "Bring a friend",
        "ends_at": "2011-06-20T23:00:00Z",
    },
}
STAMPS: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "cards": [
        {
            "card": "six-orders",
            "name": "Six orders",
            "description": "Each from 25.00.",
            "collected": 4,
            "of": 6,
            "times_filled": 1,
            "next_lapse_at": "2011-08-14T23:00:00Z",
            "collected_for": None,
        },
        {
            "card": "all-rooms",
            "name": "All rooms",
            "description": None,
            "collected": 2,
            "of": 3,
            "times_filled": 0,
            "next_lapse_at": None,
            "collected_for": ["garden", "kitchen"],
        },
    ],
}
BADGES: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "badges": [
        {
            "badge": "explorer",
            "name": "Explorer",
            "description": None,
            "given_at": "2011-03-14T10:12:00Z",
        }
    ],
}
PREVIEW_REQUEST: Example = {
    "member_id": "17850",
    "currency": "GBP",
    "lines": [
        {"position": 1, "sku": "22423", "quantity": 2, "unit_price": "12.75", "category": "kitchen"}
    ],
    "shipping": "4.95",
    "channel": "web",
}
PREVIEW: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "program_version": 3,
    "outcome": "accepted",
    "reason": None,
    "earned": [
        {
            "rule": "base",
            "name": "A point for every pound",
            "currency": "points",
            "points": 25,
            "available": "2011-06-15T23:00:00Z",
            "expires_at": "2011-09-30T23:00:00Z",
        },
        {
            "rule": "base",
            "name": "A point for every pound",
            "currency": "status",
            "points": 25,
            "available": None,
            "expires_at": None,
        },
    ],
    "joining": [],
    "rewards": [],
    "trace": {
        "fired": [
            {"rule": "base", "currency": "points", "spend": 2550, "rate": [1, 100], "points": 25},
            {"rule": "base", "currency": "status", "spend": 2550, "rate": [1, 100], "points": 25},
        ],
        "not": [["big-basket", "below_min_spend"]],
    },
    "names": {"base": "A point for every pound", "big-basket": "Big basket"},
    "balances": [_BALANCE],
    "tier": TIER,
}
REDEMPTION_REQUEST: Example = {"reward": "five-off"}
TRANSFER_REQUEST: Example = {"to_member": "13047", "currency": "points", "points": 100}
ADJUSTMENT_REQUEST: Example = {
    "currency": "points",
    "points": 150,
    "reason": "goodwill",
    "actor": "agent-7",
}
TIER_REQUEST: Example = {
    "level": "gold",
    "until": "2012-01-01T00:00:00Z",
    "reason": "status-match",
    "actor": "agent-7",
}
_SETTLED: Example = {"member_id": "17850", "seq": 13, "recorded_at": _AS_OF}
_ORDER: Example = {"order_id": "536367", "amount": "49.90", "currency": "GBP"}
PAYMENT_REQUEST: Example = {"order": _ORDER, "points": 200}
HOLD_REQUEST: Example = {**PAYMENT_REQUEST, "ttl_s": 900}
PLAIN_HOLD_REQUEST: Example = {"currency": "points", "points": 150}
CAPTURE_REQUEST: Example = {"points": 100, "release_rest": True}
EXTENSION_REQUEST: Example = {
    "currency": "points",
    "until": "2011-09-30T23:00:00Z",
    "expiring_by": "2011-06-30T23:00:00Z",
    "reason": "strike",
    "actor": "agent-7",
}
REINSTATEMENT_REQUEST: Example = {
    "currency": "points",
    "until": "2011-09-30T23:00:00Z",
    "points": 60,
    "expired_from": "2011-05-01T00:00:00Z",
    "reason": "goodwill",
    "actor": "agent-7",
}
HOLD: Example = {
    "hold": "hd-2a91c4407dd0f1e6b388",
    "state": "open",
    "currency": "points",
    "points": 200,
    "captured": 0,
    "held": 200,
    "released": 0,
    "reward": None,
    "order_id": "536367",
    "order_amount": {"amount": "49.90", "currency": "GBP"},
    "worth": {"amount": "2.00", "currency": "GBP"},
    "held_at": _AS_OF,
    "ends_at": "2011-06-01T09:45:00Z",
    "ended_at": None,
}
HOLD_SEEN: Example = {**HOLD, "name": None}
_WITH_HELD: Example = {**_BALANCE, "available": 180, "held": 200}
HOLDS: Example = {"member_id": "17850", "as_of": _AS_OF, "notice": None, "holds": [HOLD_SEEN]}
HOLD_MADE: Example = {**_SETTLED, "balances": [_WITH_HELD], "hold": HOLD}
VOIDED: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "hold": {**HOLD, "state": "voided", "held": 0, "released": 200, "ended_at": _AS_OF},
}
CAPTURED: Example = {
    **_SETTLED,
    "balances": [{**_BALANCE, "available": 280}],
    "redemption": "rd-5f0c7a2be94d10c86d1b",
    "reward": None,
    "points": 100,
    "currency": "points",
    "order_id": "536367",
    "worth": {"amount": "1.00", "currency": "GBP"},
    "hold": "hd-2a91c4407dd0f1e6b388",
    "left": 0,
    "released": 100,
}
LONGER_LIFE: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "points": 60,
    "currency": "points",
    "expires_at": "2011-09-30T23:00:00Z",
    "reason": "goodwill",
}
REDEMPTION: Example = {
    **_SETTLED,
    "balances": [{**_BALANCE, "available": 40}],
    "redemption": "rd-5f0c7a2be94d10c86d1b",
    "reward": "five-off",
    "points": 500,
    "currency": "points",
    "voucher": "v13-0",
}
VOUCHER_ENDED: Example = {
    "voucher": "v13-0",
    "member_id": "17850",
    "state": "open",
    "reward": "five-off",
    "how": "redemption",
    "by": "rd-5f0c7a2be94d10c86d1b",
    "points": 500,
    "currency": "points",
    "worth": {"amount": "5.00", "currency": "GBP"},
    "percent": None,
    "item": None,
    "terms": {"min_spend": "20.00 GBP"},
    "issued_at": _AS_OF,
    "expires_at": "2011-08-30T23:00:00Z",
    "ended_at": None,
    "order_id": None,
    "reason": None,
}
VOUCHER: Example = {
    **VOUCHER_ENDED,
    "name": "5.00 off your next order",
    "description": "From 20.00, within 90 days.",
    "reason_name": None,
    "code": "7Q3KV-9ZBM4-01XTE-RW8HC",
}
VOUCHERS: Example = {"member_id": "17850", "as_of": _AS_OF, "vouchers": [VOUCHER]}
USE_REQUEST: Example = {"order_id": "536412"}
USED: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "voucher": {
        **VOUCHER_ENDED,
        "state": "used",
        "ended_at": _AS_OF,
        "order_id": "536412",
    },
}
VOID_REQUEST: Example = {"reason": "sent_twice", "actor": "agent-7"}
VOIDED_VOUCHER: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "voucher": {
        **VOUCHER_ENDED,
        "state": "voided",
        "ended_at": _AS_OF,
        "reason": "sent_twice",
    },
}
CANCELLATION_REQUEST: Example = {"reason": "order_cancelled"}
CANCELLATION: Example = {
    **_SETTLED,
    "balances": [{**_BALANCE, "available": 540}],
    "redemption": "rd-5f0c7a2be94d10c86d1b",
    "reward": "five-off",
    "currency": "points",
    "points": 500,
    "left": 0,
    "returned": [{"points": 500, "expires_at": "2011-08-31T23:00:00Z", "lot_had_expired": False}],
    "voucher": "v13-0",
}
OFFERS: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "offers": [
        {
            "offer": "g9-birthday",
            "gift": "birthday",
            "name": "Happy birthday",
            "description": None,
            "choose": ["five-off", "birthday-treat"],
            "choices": [
                {
                    "reward": "five-off",
                    "name": "5.00 off your next order",
                    "description": "From 20.00, within 90 days.",
                },
                {
                    "reward": "birthday-treat",
                    "name": "A cake for your birthday",
                    "description": None,
                },
            ],
            "claim_by": "2011-07-01T23:00:00Z",
        }
    ],
}
GIFT_CLAIM_REQUEST: Example = {"reward": "birthday-treat"}
CLAIMED: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "offer": "g9-birthday",
    "reward": "birthday-treat",
    "voucher": "v14-0",
}
BENEFITS: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "level": "gold",
    "level_name": "Gold",
    "benefits": [
        {
            "name": "priority-shipping",
            "label": "Priority shipping",
            "description": None,
            "terms": "unlimited",
            "used": 0,
            "left": None,
            "period": None,
        },
        {
            "name": "free-upgrade",
            "label": "Free upgrade",
            "description": "To the next larger room.",
            "terms": "2 per year",
            "used": 1,
            "left": 1,
            "period": "2011",
        },
    ],
}
BENEFIT_REQUEST: Example = {"about": "booking-4711"}
BENEFIT_USED: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "benefit": "free-upgrade",
    "terms": "2 per year",
    "left": 0,
}
TRANSFER: Example = {
    **_SETTLED,
    "balances": [{**_BALANCE, "available": 280}],
    "transfer": "tr-1c9be0a3427fd5e8801a",
    "to_member": "13047",
    "points": 100,
    "currency": "points",
}
ADJUSTMENT: Example = {
    **_SETTLED,
    "balances": [{**_BALANCE, "available": 530}],
    "points": 150,
    "currency": "points",
    "reason": "goodwill",
    "adjustment": "ad-0d31c6f58a92b7e4406c",
    "state": "done",
}
STATUS_REQUEST: Example = {"status": "suspended", "reason": "fraud-check", "actor": "agent-7"}
STATUS_SET: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "status": "suspended",
    "points_kept_until": None,
}
MERGE_REQUEST: Example = {"into": "17850", "reason": "duplicate", "actor": "agent-7"}
MERGE: Example = {
    "merge": "mg-5f0c7a2be94d10c86d1b",
    "member_id": "12346",
    "into": "17850",
    "requested_at": _AS_OF,
}
BLOCK_REQUEST: Example = {
    "what": "spending",
    "blocked": True,
    "reason": "card-stolen",
    "actor": "agent-7",
}
BLOCK_SET: Example = {**_SETTLED, "balances": [_BALANCE], "blocked": ["spending"]}
DECISION_REQUEST: Example = {"approved": True, "actor": "lead-2"}
ADJUSTMENT_APPROVAL: Example = {
    **_SETTLED,
    "balances": [{**_BALANCE, "available": 2380}],
    "adjustment": "ad-0d31c6f58a92b7e4406c",
    "approved": True,
}
WAITING_ADJUSTMENTS: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "waiting": [
        {
            "adjustment": "ad-0d31c6f58a92b7e4406c",
            "currency": "points",
            "points": 2000,
            "reason": "goodwill",
            "reason_name": "With our apologies",
            "actor": "agent-7",
            "lapses_at": "2011-03-16T00:00:00Z",
        }
    ],
}

_POOL_BALANCE: Example = {**_BALANCE, "pending": 0}
POOL_REQUEST: Example = {"pool_id": "pool-7", "founds": True}
POOL_ASKED: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "pool_id": "pool-7",
    "state": "asked",
    "since": None,
    "refused": None,
}
POOL_LEFT: Example = {**POOL_ASKED, "pool_id": None, "state": "none"}
MEMBERS_POOL: Example = {
    "member_id": "17850",
    "as_of": _AS_OF,
    "notice": None,
    "pool_id": "pool-7",
    "state": "in",
    "since": "2011-02-01T09:00:00Z",
    "refused": None,
}
POOL: Example = {
    "pool_id": "pool-7",
    "as_of": _AS_OF,
    "notice": None,
    "state": "open",
    "owner": "17850",
    "members": [
        {"member_id": "17850", "since": "2011-02-01T09:00:00Z", "may_spend": True},
        {"member_id": "13047", "since": "2011-02-03T18:20:00Z", "may_spend": False},
    ],
    "balances": [_POOL_BALANCE],
}
SPENDERS_REQUEST: Example = {"spenders": ["13047"], "by": "17850"}
SPENDERS: Example = {
    **_SETTLED,
    "member_id": "pool-7",
    "balances": [_POOL_BALANCE],
    "spenders": ["13047"],
}
POOL_REDEMPTION_REQUEST: Example = {**REDEMPTION_REQUEST, "spent_by": "13047"}
POOL_HOLD_REQUEST: Example = {"currency": "points", "points": 300, "spent_by": "13047"}
TIER_GIVEN: Example = {
    **_SETTLED,
    "balances": [_BALANCE],
    "level": "gold",
    "until": "2012-01-01T00:00:00Z",
    "reason": "status-match",
    "tier": "gold",
}
ENROLMENT_EVENT: Example = {
    "specversion": "1.0",
    "id": "enrol-17850",
    "source": "/shop/accounts",
    "type": "commerce.member.enrolled.v1",
    "time": "2010-12-01T08:26:00Z",
    "data": {"member_id": "17850", "channel": "web"},
}
PURCHASE_EVENT: Example = {
    "specversion": "1.0",
    "id": "order-536365",
    "source": "/shop/checkout",
    "type": "commerce.purchase.completed.v1",
    "time": "2010-12-01T08:26:00Z",
    "data": {
        "member_id": "17850",
        "order_id": "536365",
        "currency": "GBP",
        "channel": "web",
        "lines": [
            {"position": 1, "sku": "85123A", "quantity": 6, "unit_price": "2.55"},
            {"position": 2, "sku": "71053", "quantity": 6, "unit_price": "3.39"},
        ],
    },
}
OUTCOME: Example = {
    "id": "order-536365",
    "source": "/shop/checkout",
    "member_id": "17850",
    "outcome": "accepted",
    "reason": None,
    "detail": None,
    "seq": 2,
    "facts": {},
}
PARKED: Example = {
    **OUTCOME,
    "id": "refund-99",
    "outcome": "parked",
    "reason": "awaits_purchase",
    "seq": 3,
}
OUTCOMES: list[Example] = [
    {
        **OUTCOME,
        "id": "enrol-17850",
        "source": "/shop/accounts",
        "outcome": "duplicate",
        "seq": None,
    },
    OUTCOME,
    {
        "id": "order-536366",
        "source": "/shop/checkout",
        "member_id": "17850",
        "outcome": "unacceptable",
        "reason": "impossible_amount",
        "detail": "data.lines[0].unit_price: '-1' is not an amount in GBP",
        "seq": None,
        "facts": {},
    },
]

PROGRAM_YAML = """program: harbour-rewards
holds_from: "2010-12-01T00:00"
timezone: Europe/London
currencies:
  points:
    expires: {after: 3 months, at: end_of_month}
earn:
  base: {event: purchase, give: {points: 1 per 1.00 GBP}}
rewards:
  five-off: {cost: 500 points}
"""
PROGRAM_JSON: Example = {
    "program": "harbour-rewards",
    "holds_from": "2010-12-01T00:00",
    "timezone": "Europe/London",
    "currencies": {"points": {"expires": {"after": "3 months", "at": "end_of_month"}}},
    "earn": {"base": {"event": "purchase", "give": {"points": "1 per 1.00 GBP"}}},
    "rewards": {"five-off": {"cost": "500 points"}},
}
VERSION: Example = {
    "version": 1,
    "program": "harbour-rewards",
    "holds_from": "2010-12-01T00:00:00Z",
    "published_at": "2010-11-30T12:00:00Z",
    "published_by": "marketing",
    "digest": "8d0cfa6d0c53a1f22b5c2a6f9f7f1c0a6b1a6f0a3f5f1e0e4f1d5bb3b0a0c9d2",
}
CURRENT: Example = {
    **VERSION,
    "name": "Harbour Rewards",
    "description": None,
    "document": PROGRAM_YAML,
}
_CALLED: Example = {"id": "gold", "name": "Gold", "description": "For those who come every week."}
GLOSSARY: Example = {
    "as_of": _AS_OF,
    "program_version": 1,
    "program": {"id": "harbour-rewards", "name": "Harbour Rewards", "description": None},
    "currencies": [{"id": "points", "name": "Points", "description": None}],
    "levels": [_CALLED],
    "benefits": [],
    "earn": [{"id": "base", "name": "A point for every pound", "description": None}],
    "boosts": [],
    "gifts": [],
    "stamps": [],
    "badges": [],
    "rewards": [{"id": "five-off", "name": "5.00 off your next order", "description": None}],
    "reasons": [{"id": "goodwill", "name": "With our apologies", "description": None}],
}
VERSIONS: Example = {
    "versions": [{name: value for name, value in VERSION.items() if name != "program"}]
}
HOLDOUT: Example = {
    "program": "harbour-rewards",
    "rule": "spend-and-get",
    "name": "Spend and get",
    "holdout": "10 %",
    "since": "2011-03-01T00:00:00Z",
    "until": "2011-05-31T23:00:00Z",
    "treated": {
        "members": 1793,
        "buyers": 1012,
        "orders": 1871,
        "reached": 702,
        "spend": {"GBP": "402117.60"},
        "spend_per_member": {"GBP": "224.27"},
        "points": {"points": 101450},
    },
    "held_out": {
        "members": 207,
        "buyers": 110,
        "orders": 198,
        "reached": 71,
        "spend": {"GBP": "43002.15"},
        "spend_per_member": {"GBP": "207.74"},
        "points": {},
    },
    "next": None,
}
WARNING: Example = {
    "place": "boosts.payday.days",
    "reason": "BYMONTHDAY=31 has no day in 2011-02, so that it is skipped there",
    "remedy": "Choose a day that each has, such as BYMONTHDAY=-1 for the last, "
    "if that is not meant",
    "line": 31,
    "column": 12,
}
REJUDGED: Example = {
    "holds_from": "2011-07-01T00:00:00Z",
    "plan": "judge_at_once",
    "members": 500,
    "changes": [
        {
            "level": "silver",
            "name": "Silver",
            "new_level": "gold",
            "new_name": "Gold",
            "rises": True,
            "members": 1,
        }
    ],
    "who": [{"member_id": "17850", "level": "silver", "new_level": "gold"}],
    "next": "18011",
}
PUBLISHED: Example = {**CURRENT, "warnings": [WARNING]}
CHECKED: Example = {
    "program": "harbour-rewards",
    "version": 1,
    "holds_from": "2010-12-01T00:00:00Z",
    "currencies": ["points"],
    "levels": [],
    "rules": ["base"],
    "rewards": ["five-off"],
    "warnings": [],
}
MISTAKES: list[Example] = [
    {
        "place": "earn.base.give.point",
        "reason": "there is no currency 'point'",
        "remedy": "Did you mean 'points'",
        "line": 8,
        "column": 44,
    }
]
LIVE: Example = {"status": "live"}
READY: Example = {"status": "ready", "checks": {"database": "ok", "schema": "ok", "program": "ok"}}
METRICS = (
    "# TYPE loyalty_http_requests_total counter\n"
    'loyalty_http_requests_total{method="GET",route="/v1/members/{member_id}",status="200"} 12.0\n'
)
CLOSED_PERIOD: Example = {
    "period": "2011-02",
    "starts_at": "2011-02-01T00:00:00Z",
    "ends_at": "2011-03-01T00:00:00Z",
    "checkpoint": 2,
    "closed_at": "2011-03-10T00:00:00Z",
    "closed_by": "Ann Li",
}
CLOSED_PERIODS: Example = {"closed": [CLOSED_PERIOD]}
APPROVAL_WANTED: Example = {
    "what": "redemption",
    "of": "points",
    "value": "0.95",
    "holds_from": "2011-01-01T00:00:00Z",
}
APPROVAL: Example = {
    **APPROVAL_WANTED,
    "issued": "",
    "number": 1,
    "approved_by": "Ann Li",
    "approved_at": "2011-01-01T00:00:00Z",
}
APPROVALS: Example = {"approvals": [APPROVAL]}

_SAID: list[Example] = [
    {
        "part": "happened",
        "key": "happened.purchase",
        "params": {
            "order": "536365",
            "paid": {"amount": "139.12", "currency": "GBP"},
            "lines": 7,
            "channel": "none",
            "guest": "no",
        },
        "text": "会员购买了订单 536365：7 行，共 £139.12。",
    },
    {
        "part": "rules",
        "key": "rules.rate",
        "params": {
            "rule": "base",
            "points": {"points": 139, "currency": "points"},
            "boosts": [],
            "factor": "none",
            "rate": 1,
            "per": {"amount": "1.00", "currency": "GBP"},
            "spend": {"amount": "139.12", "currency": "GBP"},
            "round": "down",
            "each": "order",
        },
        "text": "“每消费一英镑得一分”：£139.12，每 £1.00 得 1 分，向下取整，得 139 积分。",
    },
]
EXPLAINED: Example = {
    "member_id": "17850",
    "seq": 2,
    "kind": "purchase",
    "outcome": "accepted",
    "reason": None,
    "program_version": 1,
    "occurred_at": "2010-12-01T08:26:00Z",
    "recorded_at": "2010-12-01T08:26:02Z",
    "effective_at": "2010-12-01T08:26:00Z",
    "source": "/shop",
    "event_id": "order-1",
    "heading": "2. 2010年12月1日 08:26",
    "sentences": _SAID,
}
_IN_CHINESE: Example = {"language": "zh-Hans", "timezone": "Europe/London"}
STORY: Example = {
    "member_id": "17850",
    **_IN_CHINESE,
    "items": [{**EXPLAINED, "sentences": _SAID[:1]}],
    "next": "s2",
}
EXPLANATION: Example = {**_IN_CHINESE, "activity": EXPLAINED}
EVENT_EXPLANATION: Example = {
    **_IN_CHINESE,
    "activity": None,
    "dead_letters": [
        {
            "place": "commerce.purchases/3/1042",
            "reason": "unknown_type",
            "received_at": "2010-12-01T08:26:02Z",
            "replayed_at": None,
            "sentences": [
                {
                    "key": "dead.unknown_type",
                    "params": {},
                    "text": "这是一封死信：此处不读取该类型的事件。",
                }
            ],
        }
    ],
}
