"""Points spent, adjusted and given away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from services.loyalty.domain import approvals, returning, spenders, vouchers
from services.loyalty.domain.activity import (
    Adjusted,
    Approved,
    RedemptionRequested,
    TransferReceived,
    TransferredLot,
    TransferRequested,
    TransferReturned,
)
from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.catalogue import count_redemption, refuse_unless_available
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.paying import check_payment, payment_told
from services.loyalty.domain.periods import expiry_at, period_key
from services.loyalty.domain.program import Currency, Program, Reward
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.voucher import Redemption


def redemption(draft: Draft, body: RedemptionRequested) -> None:
    spenders.check(draft, body.by)
    if body.money:
        _pay(draft, body)
        return
    reward = reward_to_redeem(draft, body.reward)
    drawn = draft.draw(reward.currency, reward.cost)
    redeemed(
        draft,
        body.redemption,
        [(lot.currency, lot.key, points) for lot, points in drawn],
        cause=reward.id,
        told={
            "reward": reward.id,
            "currency": reward.currency,
            "points": reward.cost,
            **spenders.told(body.by),
        },
    )
    draft.trace = {
        "reward": reward.id,
        "cost": reward.cost,
        "draws": [(lot.key, points) for lot, points in drawn],
    }
    settle(draft, reward, body.redemption)


def reward_to_redeem(draft: Draft, name: str) -> Reward:
    """A reward of the catalogue that the member can have now, points and all.

    Raises:
        Refusal: with all the reasons why not.
    """
    reward = draft.program.rewards.get(name)
    if reward is None or reward.gift_only:
        raise Refusal("unknown_reward", reward=name)
    refuse_unless_available(draft, reward)
    return reward


def settle(draft: Draft, reward: Reward, redemption: str) -> None:
    """Issues a reward whose points are drawn, and counts it against its stock and limit."""
    counters = count_redemption(draft, reward)
    issue(draft, reward, redemption, points=reward.cost, counters=counters)


def issue(
    draft: Draft, reward: Reward, redemption: str, *, points: int, counters: Sequence[str]
) -> None:
    """Gives a reward whose points are drawn and that was counted, now or when they were held, with
    its voucher if it has one.
    """
    voucher = vouchers.issue(
        draft, reward.id, how="redemption", by=redemption, cost=(reward.currency, points)
    )
    draft.redemptions[redemption] = msgspec.structs.replace(
        draft.redemptions[redemption], voucher=voucher, counters=list(counters)
    )


def _pay(draft: Draft, body: RedemptionRequested) -> None:
    """Points as money for an order, with no hold in between."""
    pays = check_payment(draft, body.points, money=body.money, amount=body.amount)
    drawn = draft.draw(pays.currency, body.points)
    redeemed(
        draft,
        body.redemption,
        [(lot.currency, lot.key, points) for lot, points in drawn],
        cause="spend_points",
        told={
            **payment_told(body.for_order, body.money, pays.worth),
            "currency": pays.currency,
            "points": body.points,
            **spenders.told(body.by),
        },
    )
    draft.trace = {
        "spend_points": body.points,
        "currency": pays.currency,
        "worth": pays.worth,
        "draws": [(lot.key, points) for lot, points in drawn],
    }


def redeemed(
    draft: Draft,
    redemption: str,
    draws: Iterable[tuple[str, str, int]],
    *,
    from_bucket: str = "available",
    cause: str,
    told: Mapping[str, Any],
) -> None:
    """Posts points spent, drawn as (currency, lot, points), keeps where they came from, and says
    so.
    """
    if draft.facts.redemption is not None:
        raise Refusal("redemption_exists", redemption=redemption)
    drawn = list(draws)
    draft.redemptions[redemption] = Redemption(
        redemption,
        told.get("reward", ""),
        told["currency"],
        told["points"],
        draft.program.version,
        draft.seq,
        draft.effective_at,
        [(key, points) for _, key, points in drawn],
    )
    for currency, key, points in drawn:
        draft.post(
            "redemption",
            currency,
            points,
            (from_bucket, "redeemed"),
            lot_from=key,
            cause=cause,
            order=redemption,
        )
    draft.announce("loyalty.points.redeemed.v1", {"redemption": redemption, **told})


def check_affordable(draft: Draft, currency: str, cost: int) -> None:
    """Raises Refusal where fewer points are available."""
    available = draft.available(currency)
    if available < cost:
        raise Refusal(
            "insufficient_points",
            currency=currency,
            cost=cost,
            available=available,
            missing=cost - available,
        )


def spendable(program: Program, name: str) -> Currency:
    """The terms of a currency that can be spent. Raises Refusal for any other."""
    terms = program.currencies.get(name)
    if terms is None or terms.qualifies:
        raise Refusal("unknown_currency", currency=name)
    return terms


def adjustment(draft: Draft, body: Adjusted) -> None:
    spendable(draft.program, body.currency)
    if not body.points:
        raise Refusal("nothing_to_adjust")
    above = draft.program.approval_above
    if above is not None and abs(body.points) > above:
        approvals.wait(draft, body)
        return
    adjust(draft, body.currency, body.points, body.reason)
    draft.trace = {"actor": body.actor}


def approval(draft: Draft, body: Approved) -> None:
    waiting = approvals.settle(draft, body)
    if body.approved:
        adjust(draft, waiting.currency, waiting.points, waiting.reason)
    draft.trace = {"asked": waiting.actor, "actor": body.actor, "approved": body.approved}


def adjust(draft: Draft, currency: str, points: int, reason: str) -> None:
    """Grants or takes points by hand."""
    terms = spendable(draft.program, currency)
    if points > 0:
        expires_at = (
            NEVER if terms.expiry is None else expiry_at(terms.expiry, draft.effective_at, draft.tz)
        )
        draft.credit(
            "adjustment",
            currency,
            points,
            from_bucket="issuance",
            issued=draft.month,
            expires_at=expires_at,
            cause=reason,
        )
    else:
        available = draft.available(currency)
        if available < -points:
            raise Refusal("insufficient_points", currency=currency, missing=-points - available)
        for lot, part in draft.draw(currency, -points):
            draft.post(
                "adjustment",
                lot.currency,
                part,
                ("available", "issuance"),
                lot_from=lot.key,
                cause=reason,
            )
    draft.announce(
        "loyalty.points.adjusted.v1",
        {"currency": currency, "points": points, "reason": reason},
    )


def transfer(draft: Draft, body: TransferRequested) -> None:
    terms = draft.program.currencies.get(body.currency)
    if not draft.program.transfers:
        raise Refusal("transfers_not_allowed")
    if terms is None or terms.qualifies:
        raise Refusal("unknown_currency", currency=body.currency)
    if body.points <= 0:
        raise Refusal("nothing_to_transfer")
    if body.points < draft.program.transfer_min:
        raise Refusal("transfer_too_small", minimum=draft.program.transfer_min)
    available = draft.available(body.currency)
    if available < body.points:
        raise Refusal(
            "insufficient_points", currency=body.currency, missing=body.points - available
        )
    if draft.program.keeps_returnable:
        _check_return_window(draft, body, available)
    if draft.program.transfer_limits:
        _count_transfer(draft, body)
    moved: dict[str, list[TransferredLot]] = {}
    for lot, points in draft.draw(body.currency, body.points):
        draft.post(
            "transfer_out",
            lot.currency,
            points,
            ("available", "transit"),
            lot_from=lot.key,
            cause=body.transfer,
        )
        part = TransferredLot(lot.issued, lot.expires_at, points)
        moved.setdefault(lot.currency, []).append(part)
    draft.announce(
        "loyalty.points.transferred.v1",
        {"transfer": body.transfer, "currency": body.currency, "points": -body.points},
    )
    draft.derived += [
        Derived(
            body.to_member,
            TransferReceived(body.transfer, body.from_member, body.to_member, currency, lots),
        )
        for currency, lots in moved.items()
    ]


def _check_return_window(draft: Draft, body: TransferRequested, available: int) -> None:
    """Points of orders that may still come back stay: what was spent is taken to be others."""
    free = max(0, available - returning.inside_window(draft, body.currency))
    if free < body.points:
        raise Refusal(
            "inside_return_window",
            currency=body.currency,
            transferable=free,
            missing=body.points - free,
        )


def _count_transfer(draft: Draft, body: TransferRequested) -> None:
    keys: dict[str, None] = {}
    for limit in draft.program.transfer_limits:
        key = f"transfers:{body.currency}/{period_key(limit.period, draft.today)}"
        times, points = draft.counted(key)
        if (limit.times and times >= limit.times) or (
            limit.points and points + body.points > limit.points
        ):
            left = max(0, limit.points - points) if limit.points else 0
            raise Refusal("transfer_limit_reached", per=limit.period, left=left)
        keys[key] = None
    for key in keys:
        draft.count(key, 1, body.points, past=False)


def transfer_in(draft: Draft, body: TransferReceived) -> None:
    if draft.program.currency_now(body.currency) not in draft.program.currencies:
        raise Refusal("unknown_currency", currency=body.currency)
    _land(draft, body.transfer, body.currency, body.lots)


def transfer_back(draft: Draft, body: TransferReturned) -> None:
    _land(draft, body.transfer, body.currency, body.lots)


def _land(draft: Draft, transfer: str, currency: str, moved: list[TransferredLot]) -> None:
    for lot in moved:
        draft.credit(
            "transfer_in",
            currency,
            lot.points,
            from_bucket="transit",
            issued=lot.issued,
            expires_at=lot.expires_at,
            cause=transfer,
        )
    draft.announce(
        "loyalty.points.transferred.v1",
        {"transfer": transfer, "currency": currency, "points": sum(lot.points for lot in moved)},
    )


def send_back(draft: Draft, body: TransferReceived, reason: str) -> None:
    draft.derived.append(
        Derived(
            body.from_member,
            TransferReturned(body.transfer, body.to_member, body.currency, body.lots, reason),
        )
    )
