"""Referrals: who brought whom, and what both get for it once the friend's purchase is kept.

The friend's account decides everything: which purchase qualifies, whether it is kept, and when the
return window ends. What the referrer's account must do travels as three derived activities that
follow each other in order: qualified, then either cancelled or settled. Until then both rewards are
pending points that await the end of the return window. On the referrer's account a referral is a
receipt, whose postings are reversed, and whose limits given back, as those of any receipt.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal

from services.loyalty.domain import counters, refunds
from services.loyalty.domain.account import Referral, with_affairs
from services.loyalty.domain.accrual import SETTLED
from services.loyalty.domain.activity import (
    Line,
    ReferralCancelled,
    ReferralQualified,
    ReferralSettled,
)
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import fire, look
from services.loyalty.domain.lots import activate_awaiting
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.program import BUDGET, UNTIL_SETTLED, Give, Referring, Rule
from services.loyalty.domain.reasons import NotFired, Refused
from services.loyalty.domain.receipt import Posting, Receipt, ReceiptLine
from services.loyalty.domain.refusal import Park, Refusal, purchase_of

MADE = "referral.made"
"""The kind of engagement by which a friend names a code, as what it is ``about``."""

_LOOKALIKES = str.maketrans("OIL", "011", "- ")
_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{12}", re.ASCII)


def awaiting(order: str) -> str:
    """What lots await that hang on an order's referral."""
    return f"{SETTLED}{order}"


def is_referral(awaits: str) -> bool:
    """Whether what a lot awaits is the end of a referral's return window."""
    return awaits.startswith(SETTLED)


def code_of(key: bytes, attempt: int = 0) -> str:
    """The code that follows from a member's own random key: 60 bits, in Crockford's base 32.

    ``attempt`` makes another one, where somebody has that code already.
    """
    digest = blake2b(bytes([attempt]), key=key, digest_size=8, person=b"referral code").digest()
    return b32encode(digest).decode()[:12].translate(_CROCKFORD)


def written_code(text: str) -> str:
    """The code that a person wrote, empty where it is none: case, hyphens and letters that look
    like digits do not matter.
    """
    code = text.upper().translate(_LOOKALIKES)
    return code if _CODE.fullmatch(code) else ""


def take_code(draft: Draft) -> None:
    """Gives a member the code that was drawn, once."""
    draft.code = draft.new_code = draft.facts.code


# The friend -----------------------------------------------------------------------------------


_GONE: dict[str, Refused] = {
    "closed": "referrer_closed",
    "merged": "referrer_merged",
    "erased": "referrer_erased",
}
"""Of an account that has ended, why it refers nobody any more."""


def name_referrer(draft: Draft) -> Refused | Literal[""]:
    """Ties a new member to whom the code names; answers why not, empty where it did."""
    referrer = draft.facts.referrer
    if draft.referral is not None:
        return "already_referred"
    if referrer is None:
        return "unknown_referral_code"
    if referrer.member == referrer.friend:
        return "self_referral"
    if referrer.status in _GONE:
        return _GONE[referrer.status]
    if draft.purchases:
        return "already_a_customer"
    draft.referral = Referral(referrer.member, referrer.friend)
    draft.trace["referral"] = {"made": True}
    draft.announce("loyalty.referral.made.v1", {})
    return ""


def enrol(draft: Draft) -> None:
    """A code at the enrolment: one that does not do is no reason not to join."""
    if why := name_referrer(draft):
        draft.trace["referral"] = {"refused": why}
        draft.announce("loyalty.referral.refused.v1", {"reason": why})


def engage(draft: Draft) -> None:
    """A code that a friend names after the enrolment, before the first purchase.

    Raises:
        Refusal: it ties to nobody.
    """
    if why := name_referrer(draft):
        raise Refusal(why)


def met(occasion: Occasion) -> tuple[Referring | None, list[tuple[str, NotFired]]]:
    """The first rule by which a purchase qualifies, and why others before it do not."""
    held = occasion.draft.referral
    missed: list[tuple[str, NotFired]] = []
    if held is None or held.order:
        return None, missed
    for terms in occasion.draft.program.referrals:
        _, spend, why = look(occasion, terms.friend)
        if not why and not spend:
            why = "below_min_spend"
        if not why and not _affordable(occasion.draft, terms):
            why = "budget_spent"
        if not why:
            return terms, missed
        missed.append((terms.id, why))
    return None, missed


def _affordable(draft: Draft, terms: Referring) -> bool:
    """Whether the rule's budget has something left: for both members all that they are promised,
    where it says ``nothing`` of less.
    """
    rule, budget = terms.friend, terms.friend.budget
    if budget is None:
        return True
    promised = terms.points.get(budget.currency, 0)
    promised += sum(give.fixed for give in rule.gives if give.currency == budget.currency)
    return draft.allowance(rule.budget_key) >= (1 if budget.partial else promised)


def qualify(occasion: Occasion, terms: Referring) -> None:
    """Holds both rewards pending until the return window of the purchase ends."""
    draft, held = occasion.draft, occasion.draft.referral
    assert held is not None
    eligible, _, _ = look(occasion, terms.friend)
    least = terms.friend.min_spend.get(occasion.currency, 0)
    end = after_span(draft.occurred_at, terms.window or draft.program.returns, draft.tz)
    draft.referral = Referral(
        held.referrer,
        held.friend,
        occasion.order,
        terms.id,
        least,
        eligible or [],
        max(end, draft.effective_at + 1),
    )
    name = _receipt_of(draft.referral)
    draft.derived.append(Derived(held.referrer, _rewarding(draft, name, terms)))
    _tell(draft, draft.referral, "qualified", until=rfc3339(draft.referral.ends_at))


def _rewarding(draft: Draft, name: str, terms: Referring) -> ReferralQualified:
    """What reaches the referrer. Its points are set aside in the rule's budget here and now, after
    the friend's: what is left when it arrives may be anything.
    """
    budget = terms.friend.budget
    if budget is None or budget.currency not in terms.points:
        return ReferralQualified(name, terms.id, dict(terms.points))
    key, promised = terms.friend.budget_key, terms.points[budget.currency]
    points = min(promised, draft.allowance(key))
    if points:
        draft.grant(key, points)
    if points < promised:
        draft.trace["referrer_cut"] = [("budget", promised - points)]
    first = {budget.currency: points}  # so that it is posted before others that may follow it
    return ReferralQualified(name, terms.id, {**first, **terms.points, **first}, budget.currency)


def _receipt_of(referral: Referral) -> str:
    """The name of the referral's receipt on the referrer's account."""
    return f"friend:{referral.friend}/{referral.order}"


def _pending_for(draft: Draft, order: str) -> Referral | None:
    """The referral that an order made and that is not settled yet."""
    own = [draft.referral] if draft.referral else []
    for held in (*own, *draft.affairs.brought):
        if held.order == order and not held.settled:
            return held
    return None


def _put(draft: Draft, was: Referral, now: Referral) -> None:
    """Puts a referral in the place of what it was. One that an absorbed member had beside the
    account's own is kept as long as it is not settled.
    """
    if was is draft.referral:
        draft.referral = now
        return
    others = [each for each in draft.affairs.brought if each is not was]
    lasts = bool(now.order) and not now.settled
    draft.affairs = with_affairs(draft.affairs, brought=[*others, now] if lasts else others)


def take_over(draft: Draft, brought: Sequence[Referral]) -> None:
    """Takes over who brought a member whose account became part of this one. A person is brought
    once: what has not begun gives way to what has, and this account's own comes first.
    """
    for each in brought:
        own = draft.referral
        held = each
        if held.order and not held.settled:
            held = _with_end(held, max(held.ends_at, draft.effective_at + 1))
        if own is None or (held.order and not own.order):
            draft.referral = held
        elif held.order and not held.settled:
            draft.affairs = with_affairs(draft.affairs, brought=[*draft.affairs.brought, held])


def delivered(draft: Draft, order: str) -> None:
    """Counts the return window from the delivery, now that there is one."""
    held = _pending_for(draft, order)
    if held is None:
        return
    terms = next((each for each in draft.program.referrals if each.id == held.rule), None)
    if terms is not None and terms.window is not None:
        return
    end = after_span(draft.occurred_at, draft.program.returns, draft.tz)
    _put(draft, held, _with_end(held, max(end, held.ends_at)))


def follow(draft: Draft, receipt: Receipt) -> None:
    """Cancels both rewards where too little is kept of the purchase. The friend's own go by the
    receipt of the purchase; a later one may qualify anew.
    """
    held = _pending_for(draft, receipt.order)
    if held is None or refunds.is_kept(receipt, held.least, held.lines):
        return
    draft.derived.append(Derived(held.referrer, ReferralCancelled(_receipt_of(held))))
    _tell(draft, held, "cancelled")
    _put(draft, held, Referral(held.referrer, held.friend))


def settle(draft: Draft, order: str) -> None:
    """The return window has ended: both rewards can be spent, and nothing takes them back."""
    held = _pending_for(draft, order)
    receipt = draft.facts.receipt
    assert held is not None
    assert receipt is not None
    activated = activate_awaiting(draft, awaiting(order), order)
    draft.receipts[order] = refunds.renamed(receipt, activated)
    draft.derived.append(Derived(held.referrer, ReferralSettled(_receipt_of(held))))
    _tell(draft, held, "settled")
    _put(draft, held, _with_end(held, held.ends_at, settled=True))


def _with_end(held: Referral, ends_at: Instant, *, settled: bool = False) -> Referral:
    return Referral(
        held.referrer,
        held.friend,
        held.order,
        held.rule,
        held.least,
        held.lines,
        ends_at,
        settled,
    )


def _tell(draft: Draft, held: Referral, what: str, **more: Any) -> None:
    told = {"rule": held.rule, "order": held.order, **more}
    draft.trace["referral"] = {what: True, **told}
    draft.announce(f"loyalty.referral.{what}.v1", told)


# The referrer ---------------------------------------------------------------------------------


def qualified(draft: Draft, body: ReferralQualified) -> None:
    """Posts the referrer's reward, pending, as far as limit and caps allow."""
    if draft.facts.receipt is not None:
        raise Refusal("order_exists", order=body.order)
    terms = next((each for each in draft.program.referrals if each.id == body.rule), None)
    now = draft.program.currency_now
    rule = Rule(
        body.rule,
        "referral.qualified",
        tuple(Give(now(currency), fixed=points) for currency, points in body.points.items()),
        limit=terms.limit if terms else None,
        on_refund="pending",
        pending=UNTIL_SETTLED,
    )
    lines = [ReceiptLine(1, 1, 0, 0)]
    occasion = Occasion(draft, lines=[Line(1, "", 1, 0)], receipt_lines=lines, order=body.order)
    postings = fire(occasion, "referral", "referral", (rule,))
    if body.budget:
        postings = _charged(draft, body, postings)
    draft.receipts[body.order] = Receipt(
        body.order,
        "",
        draft.occurred_at,
        draft.program.version,
        draft.seq,
        lines,
        postings,
    )


def _charged(draft: Draft, body: ReferralQualified, postings: list[Posting]) -> list[Posting]:
    """Charges the budget for what is posted of the points set aside, and gives back the rest."""
    key, aside = BUDGET + body.rule, body.points[body.budget]
    currency = draft.program.currency_now(body.budget)
    found = next((n for n, one in enumerate(postings) if one.currency == currency), None)
    charged = 0
    if found is not None:
        one = postings[found]
        charged = min(one.points, aside)
        counted = counters.with_counters(one, [*one.counters, (key, 0, charged)])
        postings = [*postings[:found], counted, *postings[found + 1 :]]
    if charged < aside:
        draft.grant(key, charged - aside)
    return postings


def give_back(draft: Draft, body: ReferralQualified) -> None:
    """Gives the budget back what was set aside for a referrer who cannot have it."""
    if body.budget and body.points[body.budget]:
        draft.grant(BUDGET + body.rule, -body.points[body.budget])


def cancelled(draft: Draft, body: ReferralCancelled) -> None:
    receipt = _known(draft, body.order)
    refunds.reverse(draft, refunds.cancelled(receipt), reason="referral_cancelled")


def settled(draft: Draft, body: ReferralSettled) -> None:
    receipt = _known(draft, body.order)
    activated = activate_awaiting(draft, awaiting(body.order), body.order)
    draft.receipts[body.order] = refunds.deliver(draft, receipt, activated)


def _known(draft: Draft, order: str) -> Receipt:
    receipt = draft.facts.receipt
    if receipt is None:  # what made it stands among the dead letters, and comes when it is replayed
        raise Park(purchase_of(order), "awaits_referral")
    if receipt.cancelled or receipt.delivered_at:
        raise Refusal("referral_ended", order=order)
    return receipt
