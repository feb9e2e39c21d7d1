"""The one table of what each account status does with each kind of activity."""

from __future__ import annotations

from services.loyalty.domain.reasons import Refused

DECIDE, PARK, FORWARD, REFUSE = "decide", "park", "forward", "refuse"

KINDS = (
    "enrolment",
    "profile",
    "segment",
    "status",
    "purchase",
    "delivery",
    "amendment",
    "cancellation",
    "refund",
    "engagement",
    "redemption",
    "adjustment",
    "tier",
    "transfer",
    "transfer_in",
    "transfer_back",
    "tick",
    "resumed",
    "lapsed",
    "stuck",
    "unstuck",
    "referral_qualified",
    "referral_cancelled",
    "referral_settled",
    "hold",
    "capture",
    "void",
    "extension",
    "reinstatement",
    "claim",
    "claimed",
    "claim_back",
    "redemption_cancellation",
    "voucher_use",
    "voucher_void",
    "gift_claim",
    "benefit_use",
    "block",
    "approval",
    "opening",
    "merge",
    "merge_offer",
    "merge_answer",
    "merge_in",
    "pool_join",
    "pool_leave",
    "pool_ask",
    "pool_answer",
    "pool_left",
    "pool_spenders",
    "pool_in",
    "pool_recall",
    "pool_short",
)
"""Kinds of activity, as the journal names them."""

_BACK = (
    "transfer_back",
    "claim_back",
    "merge_answer",
    "merge_in",
    "pool_answer",
    "pool_short",
)
_OWN = dict.fromkeys(("tick", "resumed", "lapsed", "stuck", "unstuck", *_BACK), (DECIDE, ""))
"""What the service itself has begun is always carried to its end: a transfer must find its way
back, and what is left of a merged account its new one.
"""


def _line(rest: tuple[str, str], **kinds: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return {kind: kinds.get(kind) or _OWN.get(kind, rest) for kind in KINDS}


_VOUCHERS = dict.fromkeys(("voucher_use", "voucher_void"), (DECIDE, ""))
"""A voucher was paid for: it outlives the account."""


def _refused(reason: str, *kinds: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(kinds, (REFUSE, reason))


_ASKED = (
    "redemption_cancellation",
    "voucher_use",
    "voucher_void",
    "gift_claim",
    "benefit_use",
    "pool_join",
    "pool_leave",
    "pool_spenders",
)
"""What somebody asks for and waits for the answer: it never parks."""

_TO_A_POOL = ("pool_ask", "pool_left", "pool_spenders", "pool_in", "pool_recall")
_OF_A_POOL = (
    "redemption",
    "hold",
    "capture",
    "void",
    "redemption_cancellation",
    "voucher_use",
    "voucher_void",
    "adjustment",
    "approval",
    "extension",
    "reinstatement",
)
"""What a pool does with its points, as a member does."""

_MONEY_BACK = dict.fromkeys(("delivery", "cancellation", "refund"), (DECIDE, ""))

_FORWARDED = dict.fromkeys(
    (
        "segment",
        "purchase",
        "delivery",
        "amendment",
        "cancellation",
        "refund",
        "engagement",
        "referral_qualified",
        "referral_cancelled",
        "referral_settled",
        "claimed",
        "merge_in",
    ),
    (FORWARD, ""),
)
"""What goes on to the account that took this one over."""

STATUS: dict[str, dict[str, tuple[str, str]]] = {
    "unenrolled": _line(
        (PARK, "enrolment"),
        enrolment=(DECIDE, ""),
        opening=(DECIDE, ""),
        status=(DECIDE, ""),
        redemption=(REFUSE, "not_enrolled"),
        transfer=(REFUSE, "not_enrolled"),
        transfer_in=(REFUSE, "not_enrolled"),
        adjustment=(REFUSE, "not_enrolled"),
        block=(REFUSE, "not_enrolled"),
        merge=(REFUSE, "not_enrolled"),
        merge_offer=(REFUSE, "not_enrolled"),
        approval=(REFUSE, "not_enrolled"),
        tier=(REFUSE, "not_enrolled"),
        referral_qualified=(REFUSE, "not_enrolled"),
        referral_cancelled=(REFUSE, "not_enrolled"),
        referral_settled=(REFUSE, "not_enrolled"),
        hold=(REFUSE, "not_enrolled"),
        capture=(REFUSE, "not_enrolled"),
        void=(REFUSE, "not_enrolled"),
        extension=(REFUSE, "not_enrolled"),
        reinstatement=(REFUSE, "not_enrolled"),
        claim=(DECIDE, ""),
        claimed=(REFUSE, "not_enrolled"),
        **_refused("not_enrolled", *_ASKED)
        | _refused("unknown_pool", *_TO_A_POOL)
        | {"pool_ask": (DECIDE, "")},
    ),
    "active": _line(
        (DECIDE, ""), claim=(REFUSE, "not_a_receipt"), **_refused("not_a_pool", *_TO_A_POOL)
    ),
    "suspended": _line(
        (DECIDE, ""),
        claim=(REFUSE, "not_a_receipt"),
        redemption=(REFUSE, "account_suspended"),
        transfer=(REFUSE, "account_suspended"),
        hold=(REFUSE, "account_suspended"),
        **_refused("account_suspended", "voucher_use", "benefit_use", "merge", "merge_offer"),
        **_refused("account_suspended", "pool_join"),
        **_refused("not_a_pool", *_TO_A_POOL),
    ),
    "closed": _line(
        (REFUSE, "account_closed"),
        status=(DECIDE, ""),
        block=(DECIDE, ""),
        **_MONEY_BACK,
        **_VOUCHERS,
        **dict.fromkeys(("pool_ask", "pool_left", "pool_in", "pool_recall"), (DECIDE, "")),
    ),
    "pool": _line(
        (REFUSE, "not_a_member"),
        **dict.fromkeys((*_OF_A_POOL, *_TO_A_POOL), (DECIDE, "")),
    ),
    "merged": _line(
        (REFUSE, "account_merged"),
        status=(DECIDE, ""),
        transfer_in=(DECIDE, ""),
        redemption_cancellation=(DECIDE, ""),
        **_FORWARDED,
        **_VOUCHERS,
    ),
    "erased": _line((REFUSE, "member_erased"), **_MONEY_BACK, **_VOUCHERS),
    "stuck": _line(
        (PARK, "tick"),
        redemption=(REFUSE, "account_stuck"),
        transfer=(REFUSE, "account_stuck"),
        adjustment=(REFUSE, "account_stuck"),
        approval=(REFUSE, "account_stuck"),
        tier=(REFUSE, "account_stuck"),
        hold=(REFUSE, "account_stuck"),
        capture=(REFUSE, "account_stuck"),
        void=(REFUSE, "account_stuck"),
        extension=(REFUSE, "account_stuck"),
        reinstatement=(REFUSE, "account_stuck"),
        opening=(REFUSE, "account_stuck"),
        claim=(REFUSE, "account_stuck"),
        merge=(REFUSE, "account_stuck"),
        **dict.fromkeys(_BACK, (PARK, "tick")),
        **_refused("account_stuck", *_ASKED),
    ),
}
"""Per status and kind: decide, park (and what is awaited), forward, or refuse (and the reason).

A suspended member goes on earning, because a purchase is a fact whatever the suspicion turns out to
be, but cannot spend, nor use vouchers and benefits, nor join a pool. What was held before is
promised: a shop may still capture it, or let go of it. Refunds move money and are answered in every
status: before the enrolment and while stuck they wait, after the end of an account they take back
what the ledger still shows. What belongs to a merged account is decided by the one that took it
over; only what was spent stays, and what comes back of it goes there too. A pool is no member: it
holds and spends points and does nothing else.
"""


ENDED = frozenset({"closed", "merged", "erased"})
"""Statuses of an account that has ended. It holds no points: what reaches it is forfeited, unless a
closed account keeps them for a while.
"""

BLOCKED: dict[str, tuple[Refused, frozenset[str]]] = {
    "earning": ("earning_blocked", frozenset()),
    "spending": ("spending_blocked", frozenset({"redemption", "transfer", "hold"})),
}
"""What may be blocked apart from the status: the reason, and the kinds that are then refused.

Blocked earning refuses nothing: a purchase is a fact, and its refund must find it. It is recorded,
and no rule gives anything for it.
"""


def verdict(status: str, kind: str) -> tuple[str, str]:
    """What an account of this status does with an activity of this kind, and the reason or what is
    awaited.
    """
    return STATUS[status][kind]
