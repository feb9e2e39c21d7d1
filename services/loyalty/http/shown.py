"""From an account as of now to what the API shows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.loyalty.application.online import Issued, JournalPageItem
from services.loyalty.application.queries import Seen, why_not
from services.loyalty.domain.account import Account, Lot
from services.loyalty.domain.calendar import IDLE, NEVER, Instant, local_date, rfc3339
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.level_gifts import would_give
from services.loyalty.domain.lots import end_of
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.periods import window_key
from services.loyalty.domain.program import Level, Program, Reward, Tiers
from services.loyalty.domain.referrals import is_referral
from services.loyalty.domain.tiers import Progress, level_now, period_end, progress
from services.loyalty.http import models
from services.loyalty.http.languages import Speech

NAMED_APART = ("earn", "boosts", "gifts", "stamps")
"""Sections that have no name in common, so that a cause or a trace tells their names apart."""
STUCK_NOTICE = (
    "A due moment of this account failed and waits for operations; this is the last good state."
)


def moment(at: Instant) -> str | None:
    """An instant as RFC 3339, None for one that there is not (0, or never)."""
    return rfc3339(at) if 0 < at < NEVER else None


def notice(seen: Seen) -> str | None:
    """What a reader must know about the state shown, or None."""
    return STUCK_NOTICE if seen.stuck else None


def member(seen: Seen, say: Speech) -> models.Member:
    """A member at a glance."""
    return models.Member(
        member_id=seen.member,
        status=models.STATUS.validate_python(seen.account.status),
        enrolled_at=moment(seen.account.enrolled_at),
        as_of=rfc3339(seen.as_of),
        notice=notice(seen),
        program_version=seen.program.version,
        balances=balances(seen.program, seen.account),
        tier=tier(seen.program, seen.account, seen.as_of, say),
        blocked=sorted(seen.account.affairs.blocked),
        points_kept_until=moment(seen.account.affairs.forfeits_at),
    )


def spendable(program: Program) -> list[str]:
    """The currencies that can be spent, in the programme's order."""
    return [name for name, terms in program.currencies.items() if not terms.qualifies]


def balances(program: Program, account: Account) -> list[models.Balance]:
    """One balance per currency that can be spent, also for those of which there is nothing."""
    return [
        models.Balance(
            currency=currency,
            available=_available(program, account, currency),
            pending=sum(account.pending(name) for name in _names(program, currency)),
            held=sum(account.held(name) for name in _names(program, currency)),
            arrears=sum(account.arrears.get(name, 0) for name in _names(program, currency)),
        )
        for currency in spendable(program)
    ]


def money(amount: int, currency: str) -> models.Amount:
    """Minor units as the contract writes money."""
    return models.Amount(amount=decimal_text(amount, currency), currency=currency)


def _available(program: Program, account: Account, currency: str) -> int:
    return sum(account.available(name) for name in _names(program, currency))


def _names(program: Program, currency: str) -> list[str]:
    """A currency, and those whose place it took."""
    followed = program.successors.get("currencies", {})
    return [currency, *(old for old, new in followed.items() if new == currency)]


def tier(program: Program, account: Account, at: Instant, say: Speech) -> models.Tier | None:
    """The tier held and what comes next, or None without tiers or before the enrolment."""
    tiers, held = program.tiers, progress(program, account, at)
    if tiers is None or held is None or not account.enrolled_at:
        return None
    level, standing = held.level, account.standing
    return models.Tier(
        level=level.name,
        name=say.name("levels", level.name),
        description=say.description("levels", level.name),
        since=moment(standing.since),
        until=moment(period_end(standing)),
        grace_until=moment(standing.grace_until),
        qualifying=models.Qualifying(
            currency=tiers.currency,
            window=_window(program, tiers, account, at),
            points=held.counted[tiers.currency],
        ),
        next=_next(program, tiers, account, held, at, say),
        keep=_keep(program, tiers, held),
        benefits=[
            models.Benefit(
                name=name,
                label=say.name("benefits", name),
                description=say.description("benefits", name),
                terms=terms,
            )
            for name, terms in level.benefits.items()
        ],
        manual=_manual(program, account, say),
    )


def _window(program: Program, tiers: Tiers, account: Account, at: Instant) -> str:
    terms = program.currencies[tiers.currency].window
    assert terms is not None, "a programme with tiers gives their currency a window"
    today = local_date(at, program.zone)
    return window_key(terms, today, account.enrolled_at, program.zone)


def _next(
    program: Program, tiers: Tiers, account: Account, held: Progress, at: Instant, say: Speech
) -> models.NextLevel | None:
    if held.next is None:
        return None
    points, rewards = would_give(program, account.affairs, held.next, at)
    if "reached" not in tiers.give_when:
        points, rewards = {}, []
    return models.NextLevel(
        level=held.next.name,
        name=say.name("levels", held.next.name),
        threshold=dict(held.next.needs).get(tiers.currency, 0),
        missing=held.lifts.get(tiers.currency, 0),
        how=models.HOW.validate_python(held.next.how),
        conditions=_conditions(program, held.next, held.lifts),
        points=points,
        rewards=rewards,
    )


def _keep(program: Program, tiers: Tiers, held: Progress) -> models.Keep | None:
    """What the window that the period's end looks at still lacks."""
    if held.keeps is None:
        return None
    return models.Keep(
        threshold=dict(held.level.needs).get(tiers.currency, 0),
        missing=held.keeps.get(tiers.currency, 0),
        by=moment(held.by),
        how=models.HOW.validate_python(held.level.how),
        conditions=_conditions(program, held.level, held.keeps),
    )


def _conditions(
    program: Program, level: Level, lacks: Mapping[str, int]
) -> list[models.LevelCondition]:
    return [
        models.LevelCondition(
            currency=currency,
            needs=needed,
            missing=lacks[currency],
            money=program.currencies[currency].money or None,
        )
        for currency, needed in level.needs
    ]


def _manual(program: Program, account: Account, say: Speech) -> models.ManualLevel | None:
    """The level given by hand, where one holds."""
    for reach in account.standing.reaches:
        if reach.cause == "manual":
            level = level_now(program, reach.level)
            return models.ManualLevel(
                level=level,
                name=say.name("levels", level),
                since=rfc3339(reach.at),
                until=moment(reach.until),
            )
    return None


def lots(seen: Seen) -> models.Lots:
    """Open lots of currencies that can be spent, in the order in which they are drawn."""
    shown = set(spendable(seen.program))
    return models.Lots(
        member_id=seen.member,
        as_of=rfc3339(seen.as_of),
        notice=notice(seen),
        lots=[
            _lot(seen, lot, currency)
            for lot in seen.account.lots
            if (currency := seen.program.currency_now(lot.currency)) in shown
        ],
    )


def _lot(seen: Seen, lot: Lot, currency: str) -> models.LotShown:
    return models.LotShown(
        currency=currency,
        state="pending" if lot.activates_at else "available",
        points=lot.points,
        issued=lot.issued,
        activates_at=None if lot.awaits else moment(lot.activates_at),
        awaits_delivery_of=None if is_referral(lot.awaits) else lot.awaits or None,
        awaits_referral=is_referral(lot.awaits),
        expires_at=moment(end_of(seen.program, seen.account.idle, lot)),
        while_active=lot.expires_at == IDLE,
    )


def rewards(seen: Seen, issued: Sequence[Issued], say: Speech) -> models.Rewards:
    """The catalogue for one member, cheapest first, and what the member got."""
    priced = [reward for reward in seen.program.rewards.values() if not reward.gift_only]
    return models.Rewards(
        member_id=seen.member,
        as_of=rfc3339(seen.as_of),
        notice=notice(seen),
        catalogue=[
            _catalogue(reward, seen, say)
            for reward in sorted(priced, key=lambda reward: (reward.cost, reward.id))
        ],
        issued=[_issued(reward, say) for reward in issued],
    )


def _catalogue(reward: Reward, seen: Seen, say: Speech) -> models.CatalogueReward:
    account = seen.account
    missing = max(0, reward.cost - _available(seen.program, account, reward.currency))
    level = level_now(seen.program, account.standing.level)
    closed = bool(reward.tier) and level not in reward.tier
    reasons = why_not(seen, reward)
    return models.CatalogueReward(
        reward=reward.id,
        name=say.name("rewards", reward.id),
        description=say.description("rewards", reward.id),
        cost=reward.cost,
        currency=reward.currency,
        affordable=not reasons,
        missing=missing,
        closed_because="tier_too_low" if closed else None,
        reasons=[_named(reason, say) for reason in reasons],
    )


def _named(reason: Mapping[str, Any], say: Speech) -> dict[str, Any]:
    """A reason with what people call it, where the programme says."""
    name = say.name_in(["reasons"], reason["code"])
    return {**reason, "name": name} if name else dict(reason)


def _issued(reward: Issued, say: Speech) -> models.RewardIssued:
    return models.RewardIssued(
        reward=reward.reward,
        name=say.name("rewards", reward.reward),
        how=reward.how,
        by=reward.by,
        by_name=say.name_in(("levels",) if reward.how == "tier" else NAMED_APART, reward.by),
        points=reward.points,
        issued_at=rfc3339(reward.issued_at),
        voucher=reward.voucher or None,
    )


def journal_item(item: JournalPageItem, say: Speech) -> models.JournalItem:
    """A row of the journal with its entries."""
    trace = msgspec.json.decode(item.trace)
    return models.JournalItem.model_validate(
        {
            "seq": item.seq,
            "kind": item.kind,
            "outcome": item.outcome,
            "reason": item.reason or None,
            "reason_name": say.name_in(["reasons"], item.reason),
            "program_version": item.program_version,
            "occurred_at": rfc3339(item.occurred_at),
            "recorded_at": rfc3339(item.recorded_at),
            "effective_at": rfc3339(item.effective_at),
            "source": item.source or None,
            "event_id": item.event_id or None,
            "activity": msgspec.json.decode(item.body),
            "entries": [_entry(entry, say) for entry in item.entries],
            "trace": trace,
            "names": names_in(trace, say),
        }
    )


_OF_REWARDS = frozenset({"redemption", "redemption_reversal"})


def names_in(trace: Mapping[str, Any], say: Speech) -> dict[str, str]:
    """What people call the rules, boosts, cards and levels of a trace, as far as that is known."""
    fired = trace.get("fired", ())
    boosts = (boost for one in fired for boost in one.get("boosts", ()))
    others = (name for name, *_ in trace.get("not", ()))
    mentioned = dict.fromkeys((*(one["rule"] for one in fired), *boosts, *others))
    named = {name: say.name_in((*NAMED_APART, "levels"), name) for name in mentioned}
    return {name: called for name, called in named.items() if called}


def _entry(entry: LedgerEntry, say: Speech) -> models.EntryShown:
    giving = ("rewards",) if entry.kind in _OF_REWARDS else (*NAMED_APART, "levels", "reasons")
    return models.EntryShown(
        kind=entry.kind,
        currency=entry.currency,
        points=entry.points,
        from_bucket=entry.from_bucket,
        to_bucket=entry.to_bucket,
        lot_from=entry.lot_from or None,
        lot_to=entry.lot_to or None,
        cause=entry.cause or None,
        cause_name=say.name_in(giving, entry.cause),
        order=entry.order or None,
    )
