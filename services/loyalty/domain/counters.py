"""Shared counters: what all members together take from, such as a campaign's budget or a reward's
stock.

A decision never sees a counter. It is offered an *allowance* (what is left) as a fact, and what it
takes, its grant, stands in the Decision: negative where something is given back.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.loyalty.domain import local_days
from services.loyalty.domain.activity import (
    Amended,
    AnyBody,
    Cancelled,
    ClaimedPurchase,
    Engaged,
    Enrolled,
    GiftClaimed,
    HoldRequested,
    Purchased,
    RedemptionRequested,
    Refunded,
    Tick,
)
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.program import BUDGET, Program, stock_key
from services.loyalty.domain.receipt import Posting, Receipt


def offered(
    program: Program, body: AnyBody, receipt: Receipt | None, *, referred: bool = True
) -> Sequence[str]:
    """The counters from which an activity may take, so that it is offered what is left of them.

    ``referred`` says whether a purchase may be the one for which somebody is rewarded who brought
    the member.
    """
    if receipt is not None:
        return _named(program, body, receipt)
    keys = _looked_at(program, body)
    if referred and isinstance(body, Purchased | ClaimedPurchase):
        return (*keys, *program.counters_by_event.get("referral.qualified", ()))
    return keys


def offered_at_most(program: Program, body: AnyBody, receipt: Receipt | None) -> set[str]:
    """The counters that an activity may be offered with the receipt that is recorded of its order,
    if any, or with one that is about to be.
    """
    keys = {*offered(program, body, None)}
    if receipt is not None:
        keys.update(offered(program, body, receipt))
    elif isinstance(body, Amended):
        # It may be judged by another version than the purchase that comes with it.
        keys.update(program.counters_by_event.get("purchase", ()))
    return keys


def _looked_at(program: Program, body: AnyBody) -> Sequence[str]:
    by_event = program.counters_by_event
    match body:
        case Purchased() | ClaimedPurchase():
            return by_event.get("purchase", ())
        case Engaged(of=of):
            return (*by_event.get(f"engagement:{of}", ()), *by_event.get("engagement:", ()))
        case Enrolled():
            return by_event.get("enrolled", ())
        case (
            RedemptionRequested(reward=name) | HoldRequested(reward=name) | GiftClaimed(reward=name)
        ):
            if isinstance(body, GiftClaimed):  # what was offered may have a successor since
                name = program.reward_name_now(name)
            reward = program.rewards.get(name)
            return () if reward is None or reward.stock is None else (reward.stock_key,)
        case Tick(moment="occasion"):
            return program.gift_stock
    return ()


def _named(program: Program, body: AnyBody, receipt: Receipt) -> Sequence[str]:
    """What comes back may have to be given again, where rounding or an amendment asks for it."""
    if not isinstance(body, Refunded | Cancelled | Amended):
        return ()
    keys = {key for posting in receipt.postings for key, _, _ in posting.counters if is_budget(key)}
    if isinstance(body, Amended):
        keys.update(program.counters_by_event.get("purchase", ()))
    return sorted(keys)


def asked_for(body: AnyBody) -> tuple[str, ...]:
    """The counters that a request may need, whatever the programme: they are read with its
    account.
    """
    if isinstance(body, RedemptionRequested | HoldRequested) and body.reward:
        return (stock_key(body.reward),)
    return ()


def is_budget(key: str) -> bool:
    """Whether a counter of a posting is a budget; else it is a limit or cap of the member."""
    return key.startswith(BUDGET)


def in_stock(draft: Draft, reward: str) -> bool:
    """Whether there is a piece left of a reward."""
    terms = draft.program.rewards.get(reward)
    return terms is None or terms.stock is None or draft.allowance(terms.stock_key) > 0


def take_stock(draft: Draft, reward: str, *, by: str) -> bool:
    """Takes a piece of a reward that the member is given by a gift or card; False where none is
    left, which the trace says.
    """
    if not in_stock(draft, reward):
        draft.trace.setdefault("sold_out", []).append((by, reward))
        return False
    terms = draft.program.rewards.get(reward)
    if terms is not None and terms.stock is not None:
        draft.grant(terms.stock_key, 1)
    return True


def recounted(draft: Draft, posting: Posting) -> Posting:
    """The posting after more or less of it was reversed: its budget is charged for what is left of
    it.

    What came back goes back to the budget only while the campaign runs. What has to be given again
    is charged as far as there is an allowance: the rest is granted all the same, and the trace says
    how much that was.
    """
    left = posting.points - sum(posting.reversed)
    for place, (key, times, charged) in enumerate(posting.counters):
        if is_budget(key) and left != charged:
            counters = list(posting.counters)
            counters[place] = (key, times, _charged(draft, key, charged, left))
            return with_counters(posting, counters)
    return posting


def _charged(draft: Draft, key: str, charged: int, left: int) -> int:
    """Charges a budget for ``left`` points instead; answers for how many it is charged then."""
    if left < charged:
        if _runs(draft, key):
            draft.grant(key, left - charged)
        else:
            draft.trace.setdefault("budget_kept", []).append((key, charged - left))
        return left
    more = min(left - charged, draft.restorable(key))
    if more:
        draft.grant(key, more)
    if charged + more < left:
        draft.trace.setdefault("over_budget", []).append((key, left - charged - more))
    return charged + more


def _runs(draft: Draft, key: str) -> bool:
    rule = draft.program.budgeted.get(key)
    if rule is None or not rule.valid_from <= draft.effective_at < rule.valid_until:
        return False
    return rule.local is None or local_days.unmet(draft, rule.local) != "not_valid_then"


def with_counters(posting: Posting, counters: list[tuple[str, int, int]]) -> Posting:
    """The posting with other counters taken from."""
    return Posting(
        posting.rule,
        posting.currency,
        posting.points,
        posting.lots,
        posting.allocated,
        posting.reversed,
        posting.on_refund,
        posting.min_spend,
        posting.eligible,
        counters,
        posting.window,
        posting.prorates,
    )
