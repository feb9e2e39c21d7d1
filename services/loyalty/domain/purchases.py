"""Purchases, and what becomes of them: delivery, refund, cancellation and amendment."""

from __future__ import annotations

from msgspec import structs
from msgspec.structs import astuple

from services.loyalty.domain import lots, referrals, refunds, rule_rewards, stamps
from services.loyalty.domain.activity import (
    Amended,
    Cancelled,
    Delivered,
    Line,
    Purchased,
    Refunded,
)
from services.loyalty.domain.basket import discounted, receipt_lines
from services.loyalty.domain.candidates import AMENDMENT
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import fire
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.program import Rule
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.refusal import Park, Refusal, purchase_of


def purchase(draft: Draft, body: Purchased) -> None:
    order: str
    currency: str
    paid: list[Line]
    order, currency, paid, discount, shipping, prepaid, channel, store, payment, _ = astuple(body)
    if draft.facts.receipt is not None:
        raise Refusal("order_exists", order=order)
    draft.purchases += 1
    lines = receipt_lines(
        draft.program, paid, discount=discount, shipping=shipping, prepaid=prepaid
    )
    occasion = Occasion(
        draft,
        lines=paid,
        receipt_lines=lines,
        currency=currency,
        order=order,
        channel=channel,
        store=store,
        payment=payment,
        shipping=shipping,
    )
    monies = draft.program.asked.monies
    if occasion.total and monies and currency not in monies:  # refused, never guessed
        raise Refusal("currency_without_rate", currency=currency)
    if draft.referral is None or "earning" in draft.affairs.blocked:
        postings = fire(occasion, "purchase", "purchase")
    else:
        referring, missed = referrals.met(occasion)
        friend = (referring.friend,) if referring else ()
        postings = fire(occasion, "purchase", "purchase", friend)
        draft.trace["not"] += missed
        if referring:
            referrals.qualify(occasion, referring)
    if draft.program.stamps:
        stamps.collect(occasion, "purchase")
    draft.receipts[order] = Receipt(
        order,
        currency,
        draft.occurred_at,
        draft.program.version,
        draft.seq,
        lines,
        postings,
        given=occasion.given,
    )


def _receipt(draft: Draft, order: str) -> Receipt:
    receipt = draft.facts.receipt
    if receipt is None:
        raise Park(purchase_of(order), "awaits_purchase")
    return receipt


def delivery(draft: Draft, body: Delivered) -> None:
    receipt = _receipt(draft, body.order)
    if receipt.delivered_at:
        raise Refusal("already_delivered", order=body.order)
    activated = lots.activate_awaiting(draft, body.order, body.order)
    draft.receipts[body.order] = refunds.deliver(draft, receipt, activated)
    if draft.referral is not None:
        referrals.delivered(draft, body.order)


def refund(draft: Draft, body: Refunded) -> None:
    receipt = _receipt(draft, body.order)
    if body.currency != receipt.currency:
        raise Refusal("currency_mismatch", currency=receipt.currency)
    known = {line.position for line in receipt.lines}
    unknown = [item.position for item in body.lines if item.position not in known]
    if unknown:
        raise Refusal("unknown_line", positions=unknown)
    refunds.reverse(draft, refunds.with_return(receipt, body), reason="refund")
    _follow(draft, body.order)


def cancellation(draft: Draft, body: Cancelled) -> None:
    receipt = _receipt(draft, body.order)
    if receipt.cancelled:
        raise Refusal("already_cancelled", order=body.order)
    refunds.reverse(draft, refunds.cancelled(receipt), reason="cancellation")
    _follow(draft, body.order)


def _follow(draft: Draft, order: str) -> None:
    """Lets what hangs on an order beside its points follow what is kept of it."""
    if draft.receipts[order].given:
        draft.receipts[order] = rule_rewards.take_back(draft, draft.receipts[order])
    if draft.cards:
        stamps.take_back(draft, draft.receipts[order])
    if draft.referral is not None:
        referrals.follow(draft, draft.receipts[order])


def amendment(draft: Draft, body: Amended) -> None:
    """Lower lines count as returned; raised ones and new positions are earned as a purchase of the
    difference.

    The difference is judged by rules with a rate only: what a rule gives once for an order, it has
    given. Nor is it judged by rules that look at what the order costs in all, that lost in their
    group to one that fired, or that exclude by what only the purchase told and had not fired then.
    """
    receipt = _receipt(draft, body.order)
    if body.currency != receipt.currency:
        raise Refusal("currency_mismatch", currency=receipt.currency)
    if receipt.cancelled:
        raise Refusal("already_cancelled", order=body.order)
    lines = discounted(body.lines, body.discount)
    more = added(receipt, lines)
    back = _taken_off(receipt, lines)
    amended = _with_amounts_back(receipt, back)
    refunds.reverse(draft, amended, reason="amendment")
    if more:
        _earn_more(draft, body, draft.receipts[body.order], more)
    _follow(draft, body.order)


def _taken_off(receipt: Receipt, lines: list[Line]) -> dict[int, int]:
    """Money by position that the new lines no longer show."""
    now = {line.position: line.paid for line in lines}
    return {
        line.position: line.value - now.get(line.position, 0)
        for line in receipt.lines
        if now.get(line.position, 0) < line.value
    }


def added(receipt: Receipt, lines: list[Line]) -> list[Line]:
    """New lines, and the raised part of lines, as what would have to be bought to get there."""
    was = {line.position: line.value for line in receipt.lines}
    return [
        _raised(line, was[line.position]) if line.position in was else line
        for line in lines
        if line.paid > was.get(line.position, -1)
    ]


def _raised(line: Line, before: int) -> Line:
    """One piece that costs what the line costs more, with as much of its tax."""
    more = line.paid - before
    tax = line.tax * more // line.paid
    return structs.replace(line, quantity=1, unit_price=more, discount=0, tax=tax)


def _with_amounts_back(receipt: Receipt, back: dict[int, int]) -> Receipt:
    """The receipt with the lines at least that much lower: what refunds took before is part of it,
    not on top.
    """
    missing = [
        (line.position, back[line.position] - refunds.returned_by_lines(line))
        for line in receipt.lines
        if line.position in back and back[line.position] > refunds.returned_by_lines(line)
    ]
    return refunds.with_amounts(receipt, missing)


def _earn_more(draft: Draft, body: Amended, receipt: Receipt, more: list[Line]) -> None:
    extra = receipt_lines(draft.program, more)
    occasion = Occasion(
        draft,
        lines=more,
        receipt_lines=extra,
        currency=body.currency,
        order=body.order,
        posted=_kept(receipt),
        amends=True,
    )
    fired = {posting.rule for posting in receipt.postings}
    groups: dict[str, set[str]] = {}
    for rule in draft.program.rules_by_event.get("purchase", ()):
        if rule.group:
            groups.setdefault(rule.group, set()).add(rule.id)
    rated = tuple(
        rule
        for rule in draft.program.rules_by_event.get("purchase", ())
        if all(give.rates for give in rule.gives) and not _looks_at_the_whole(rule)
        if not rule.group or rule.id in fired or groups[rule.group].isdisjoint(fired)
        if not rule.filter.excludes_purchases or rule.id in fired
    )
    postings = fire(occasion, AMENDMENT, "amendment", rated)
    quantities = {line.position: line.quantity for line in body.lines}
    extended = refunds.extended(receipt, extra, postings, quantities)
    refunds.reverse(draft, extended, reason="amendment")  # what came back is a share of more now


def _looks_at_the_whole(rule: Rule) -> bool:
    """Whether a rule goes by what the order costs in all, which a difference does not tell."""
    steps = any(give.steps for give in rule.gives)
    return bool(rule.min_spend or rule.max_spend) or steps


def _kept(receipt: Receipt) -> dict[str, int]:
    """Points by currency that the order has posted and not reversed."""
    kept: dict[str, int] = {}
    for posting in receipt.postings:
        points = posting.points - sum(posting.reversed)
        kept[posting.currency] = kept.get(posting.currency, 0) + points
    return kept
