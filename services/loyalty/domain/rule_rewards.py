"""Rewards that earning rules give beside points, and what becomes of them when an order comes back.

Of an order they stand on its receipt while what the rule asked for is kept. Once it is not, unused
vouchers are withdrawn; what was used stays with the member.
"""

from __future__ import annotations

from services.loyalty.domain import refunds, vouchers
from services.loyalty.domain.account import Account
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import ended_before
from services.loyalty.domain.program import Rule
from services.loyalty.domain.receipt import Receipt, RuleReward


def give(occasion: Occasion, rule: Rule, eligible: list[int] | None, counter: str) -> bool:
    """Gives the rewards of a rule that fired, as far as there are any left, and counts it against
    the limit whose ``counter`` is named; answers whether there were any.
    """
    draft = occasion.draft
    given = vouchers.give(draft, rule.rewards, how="rule", by=rule.id)
    if not given:
        return False
    draft.trace.setdefault("rewards", []).append((rule.id, [one.reward for one in given]))
    if counter:
        _count(draft, counter, 1)
    least = rule.min_spend.get(occasion.currency, 0) if rule.on_refund == "revoke" else 0
    made = RuleReward(rule.id, given, least, eligible or [], counter)
    occasion.given = [*occasion.given, made]
    return True


def take_back(draft: Draft, receipt: Receipt) -> Receipt:
    """The receipt without what rules gave for more than is kept of it. Where the member keeps
    nothing of what a rule gave, it may give it again.
    """
    lost = [gift for gift in receipt.given if not refunds.is_kept(receipt, gift.least, gift.lines)]
    for gift in lost:
        withdrawn, kept = vouchers.take_back(draft, gift.rewards, "returned")
        if gift.counter and not kept:
            _count(draft, gift.counter, -1)
        told = {
            "rule": gift.rule,
            "order": receipt.order,
            "vouchers_voided": [one.voucher for one in withdrawn],
            "rewards_kept": [one.reward for one in kept],
        }
        draft.trace.setdefault("rewards_returned", []).append(told)
        draft.announce("loyalty.reward.returned.v1", told)
    return refunds.with_given(receipt, [gift for gift in receipt.given if gift not in lost])


def _count(draft: Draft, counter: str, times: int) -> None:
    period = counter.rpartition("/")[2]
    draft.count(counter, times, 0, past=ended_before(period, draft.today))


def vouchers_of(receipt: Receipt, account: Account) -> list[str]:
    """The vouchers that were given for an order and are open."""
    named = {one.voucher for gift in receipt.given for one in gift.rewards}
    return [held.id for held in account.vouchers if held.id in named]


def counters_of(receipt: Receipt) -> list[str]:
    """The uses of limits that a return may give back."""
    return [gift.counter for gift in receipt.given if gift.counter]
