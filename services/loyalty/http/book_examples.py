"""The worked example of the books: IFRS 15 Example 52, closed month by month; here February."""

from __future__ import annotations

from typing import Any

BOOKS: dict[str, Any] = {
    "format": 2,
    "period": "2011-02",
    "since": "2011-02-01T00:00:00Z",
    "happened_before": "2011-03-01T00:00:00Z",
    "known_by": "2011-03-10T00:00:00Z",
    "status": "closed",
    "closed": {"checkpoint": 2, "at": "2011-03-10T00:00:00Z", "by": "Ann Li"},
    "currencies": [
        {
            "currency": "points",
            "spendable": True,
            "rollforward": [
                {
                    "bucket": "available",
                    "opening": 10000,
                    "period": {"redeemed": -4500},
                    "prior_period": {},
                    "closing": 5500,
                },
                {
                    "bucket": "redeemed",
                    "opening": 0,
                    "period": {"redeemed": 4500},
                    "prior_period": {},
                    "closing": 4500,
                },
                {
                    "bucket": "issuance",
                    "opening": -10000,
                    "period": {},
                    "prior_period": {},
                    "closing": -10000,
                },
            ],
            "liability": {
                "available": 5500,
                "held": 0,
                "pending": 0,
                "in_transit": 0,
                "open_vouchers": 0,
                "total": 5500,
                "arrears": 0,
                "worth": "55.00",
                "money": "GBP",
            },
            "by_age": [
                {"key": "2011-01", "available": 5500, "pending": 0, "held": 0, "in_transit": 0}
            ],
            "by_expiry": [
                {"key": "never", "available": 5500, "pending": 0, "held": 0, "in_transit": 0}
            ],
            "breakage": [
                {
                    "issued": "2011-01",
                    "month": "2011-02",
                    "points": 10000,
                    "redeemed": 4500,
                    "lost": 0,
                }
            ],
        }
    ],
    "vouchers": [],
    "deferred": [
        {
            "currency": "points",
            "issued": "2011-01",
            "money": "GBP",
            "funding": "purchase",
            "points_redeemed": 4500,
            "points_expected": "9500",
            "redemption": "0.95",
            "allocated_before": "86.76",
            "allocated_now": "0.00",
            "refunded_now": "0.00",
            "allocated": "86.76",
            "recognised_before": "0.00",
            "recognised_now": "41.10",
            "recognised": "41.10",
            "deferred": "45.66",
        }
    ],
    "unpriced": [],
    "journals": [
        {
            "why": "recognised",
            "funding": "purchase",
            "debit": "deferred_revenue",
            "debit_code": "2310",
            "credit": "loyalty_revenue",
            "credit_code": "4010",
            "money": "GBP",
            "amount": "41.10",
        }
    ],
    "approvals": [
        {
            "number": 1,
            "what": "redemption",
            "of": "points",
            "issued": "",
            "value": "0.95",
            "holds_from": "2011-01-01T00:00:00Z",
            "approved_by": "Ann Li",
            "approved_at": "2011-01-01T00:00:00Z",
        },
        {
            "number": 3,
            "what": "account",
            "of": "sales_revenue",
            "issued": "",
            "value": "4000",
            "holds_from": "2011-01-01T00:00:00Z",
            "approved_by": "Ann Li",
            "approved_at": "2011-01-01T00:00:00Z",
        },
        {
            "number": 4,
            "what": "account",
            "of": "deferred_revenue",
            "issued": "",
            "value": "2310",
            "holds_from": "2011-01-01T00:00:00Z",
            "approved_by": "Ann Li",
            "approved_at": "2011-01-01T00:00:00Z",
        },
        {
            "number": 5,
            "what": "account",
            "of": "loyalty_revenue",
            "issued": "",
            "value": "4010",
            "holds_from": "2011-01-01T00:00:00Z",
            "approved_by": "Ann Li",
            "approved_at": "2011-01-01T00:00:00Z",
        },
    ],
    "proof": {
        "members": 1,
        "activities": 3,
        "entries": 2,
        "ledger": {"points": {"available": 5500, "issuance": -10000, "redeemed": 4500}},
        "trial_balance": {"points": 0},
        "differences": [],
        "foots": True,
    },
}

BOOKS_CSV = "".join(
    f"{line}\r\n"
    for line in (
        "happened_before,known_by,status,currency,bucket,section,opening,redeemed,closing",
        "2011-03-01T00:00:00Z,2011-03-10T00:00:00Z,closed,points,available,period,10000,-4500,5500",
        "2011-03-01T00:00:00Z,2011-03-10T00:00:00Z,closed,points,available,prior_period,5500,0,5500",
        "2011-03-01T00:00:00Z,2011-03-10T00:00:00Z,closed,points,redeemed,period,0,4500,4500",
        "2011-03-01T00:00:00Z,2011-03-10T00:00:00Z,closed,points,redeemed,prior_period,4500,0,4500",
        "2011-03-01T00:00:00Z,2011-03-10T00:00:00Z,closed,points,issuance,period,-10000,0,-10000",
        "2011-03-01T00:00:00Z,2011-03-10T00:00:00Z,closed,points,issuance,prior_period,-10000,0,-10000",
    )
)
