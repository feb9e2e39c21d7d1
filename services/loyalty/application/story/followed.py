"""What followed: levels, rewards, vouchers, badges, stamps and whatever else an activity changed
beside points, and what the member was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.loyalty.application.story import pools
from services.loyalty.application.story.told import Told, window
from services.loyalty.application.story.words import NONE, Message, Money, say
from services.loyalty.domain.activity import Extended, HoldRequested, RedemptionRequested

Data = Mapping[str, Any]


def followed(told: Told) -> Iterator[Message]:
    """A sentence for each event that says more than the entries of the ledger do, in their order,
    and for what stands in the trace alone.
    """
    if told.decision.outcome == "accepted":
        yield from _of_trace(told)
    for event in told.decision.events:
        tell = EVENTS[event.type]
        if tell is not None:
            yield tell(told, event.data)


def _of_trace(told: Told) -> Iterator[Message]:
    trace, body = told.decision.trace, told.decision.activity.body
    if "forgiven" in trace:
        yield say("followed.forgiven", points=trace["forgiven"])
    if "worth" in trace and isinstance(body, RedemptionRequested):
        yield say("followed.worth", amount=Money(trace["worth"], body.money))
    if isinstance(body, HoldRequested) and "ends_at" in trace:
        yield say("followed.held_until", until=told.read_moment(trace["ends_at"]))
    if isinstance(body, Extended):
        yield say(
            "followed.extended",
            points=trace["points"],
            until=told.end(body.until),
            held=trace["held"],
            while_active=trace.get("while_active", 0),
        )
    if "tier" in trace:
        yield _judged(told, trace["tier"])
    if "rejudged" in trace:
        yield say("followed.rejudged", plan=trace["rejudged"]["plan"])
    if "benefit" in trace:
        yield say(
            "followed.benefit", terms=told.terms(trace["terms"]), left=trace.get("left", NONE)
        )
    if trace.get("forwarded"):
        yield say("followed.forwarded")
    if "claimed" in trace:
        yield say("followed.claimed")
    if "goes_on" in trace:
        yield say("followed.goes_on", member=trace["goes_on"])
    yield from pools.of_trace(told)


def _judged(told: Told, tier: Data) -> Message:
    level = told.before.standing.level
    needs = tier.get("conditions")
    tiers = told.program.tiers
    assert tiers is not None, "only a programme with tiers reviews one"
    if needs is None:
        balance, needed = tier["balance"], tier["needs"]
        return say(
            "followed.judged",
            level=told.level(level),
            window=window(tier["window"]),
            balance=told.points(balance, tiers.currency),
            needs=told.points(needed, tiers.currency),
        )
    return say(
        "followed.judged_by_several",
        level=told.level(level),
        window=window(tier["window"]),
        how=tier["how"],
        missing=[
            told.points(each["missing"], each["currency"]) for each in needs if each["missing"]
        ],
    )


# Events -------------------------------------------------------------------------------------------


def _tier_changed(told: Told, data: Data) -> Message:
    return say(
        f"tier.{data['reason']}",
        way=data["direction"],
        was=told.level(data["from"]),
        level=told.level(data["to"]),
        until=told.read_end(data.get("until", "")),
    )


def _tier_kept(told: Told, data: Data) -> Message:
    level = told.level(data["level"])
    until = told.read_end(data.get("until", ""))
    return say(f"tier.{data['reason']}", way="same", was=level, level=level, until=until)


def _tier_undone(told: Told, data: Data) -> Message:
    return say(
        "followed.tier_undone",
        level=told.level(data["level"]),
        vouchers=data["vouchers_voided"],
        kept=[told.reward(reward) for reward in data["rewards_kept"]],
    )


def _tier_warned(told: Told, data: Data) -> Message:
    tiers = told.program.tiers
    assert tiers is not None
    missing = [(data["missing"], tiers.currency)]
    if "conditions" in data:
        missing = [(each["missing"], each["currency"]) for each in data["conditions"]]
    return say(
        "followed.tier_warned",
        level=told.level(data["level"]),
        until=told.read_end(data["until"]),
        missing=[told.points(*each) for each in missing if each[0]],
        how=data.get("how", "all"),
    )


def _reward_issued(told: Told, data: Data) -> Message:
    giver = next((data[how] for how in ("gift", "tier", "rule") if how in data), "")
    return say(
        "followed.reward_issued",
        reward=told.reward(data["reward"]),
        giver=told.giver(giver) if giver else NONE,
        voucher=data.get("voucher", NONE),
        until=told.read_end(data.get("expires_at", "")),
    )


def _reward_returned(told: Told, data: Data) -> Message:
    return say(
        "followed.reward_returned",
        giver=told.giver(data["rule"]),
        vouchers=data["vouchers_voided"],
        kept=[told.reward(reward) for reward in data["rewards_kept"]],
    )


def _voucher(key: str) -> Callable[[Told, Data], Message]:
    def tell(told: Told, data: Data) -> Message:
        return say(key, voucher=data["voucher"], reward=told.reward(data["reward"]))

    return tell


def _gift_offered(told: Told, data: Data) -> Message:
    return say(
        "followed.gift_offered",
        gift=told.giver(data["gift"]),
        rewards=[told.reward(reward) for reward in data["choose"]],
        until=told.read_end(data["claim_by"]),
    )


def _expiring(told: Told, data: Data) -> Message:
    return say(
        "followed.expiring",
        points=told.points(data["points"], data["currency"]),
        until=told.read_end(data["expires_at"]),
    )


def _requested(told: Told, data: Data) -> Message:
    return say(
        "followed.adjustment_waits",
        adjustment=data["adjustment"],
        until=told.read_end(data["lapses_at"]),
    )


def _dropped(told: Told, data: Data) -> Message:
    return say(
        "followed.adjustment_dropped",
        adjustment=data["adjustment"],
        points=told.points(abs(data["points"]), data["currency"]),
        why=data["why"],
    )


def _badge(told: Told, data: Data) -> Message:
    return say("followed.badge", badge=told.badge(data["badge"]), giver=told.giver(data["by"]))


def _referral(what: str) -> Callable[[Told, Data], Message]:
    def tell(told: Told, data: Data) -> Message:
        return say(
            f"followed.referral_{what}",
            rule=told.giver(data["rule"]),
            order=data["order"],
            **({"until": told.read_end(data["until"])} if what == "qualified" else {}),
        )

    return tell


def _referral_made(*_: object) -> Message:
    return say("followed.referral_made")


def _referral_refused(_: Told, data: Data) -> Message:
    return say("followed.referral_refused", reason=data["reason"])


def _stamped(told: Told, data: Data) -> Message:
    return say(
        "followed.stamp_collected",
        card=told.giver(data["card"]),
        collected=data["collected"],
        of=data["of"],
    )


def _card_filled(told: Told, data: Data) -> Message:
    return say("followed.card_filled", card=told.giver(data["card"]), times=data["times"])


def _stamp_returned(told: Told, data: Data) -> Message:
    return say(
        "followed.stamp_returned",
        card=told.giver(data["card"]),
        outcome=data["outcome"],
        collected=data["collected"],
        of=data["of"],
    )


def _stamps_lapsed(told: Told, data: Data) -> Message:
    return say(
        "followed.stamps_lapsed",
        card=told.giver(data["card"]),
        lapsed=data["lapsed"],
        collected=data["collected"],
    )


def _merged(_: Told, data: Data) -> Message:
    return say("followed.merged", into=data["into"])


def _merge_declined(_: Told, data: Data) -> Message:
    return say("followed.merge_declined", into=data["into"], reason=data["reason"])


def _absorbed(told: Told, data: Data) -> Message:
    twice = [told.giver(each["name"]) for each in data["given_twice"]]
    return say("followed.absorbed", member=data["from"], twice=twice)


EVENTS: dict[str, Callable[[Told, Data], Message] | None] = {
    "loyalty.tier.changed.v1": _tier_changed,
    "loyalty.tier.kept.v1": _tier_kept,
    "loyalty.tier.undone.v1": _tier_undone,
    "loyalty.tier.warned.v1": _tier_warned,
    "loyalty.reward.issued.v1": _reward_issued,
    "loyalty.reward.returned.v1": _reward_returned,
    "loyalty.voucher.used.v1": _voucher("followed.voucher_used"),
    "loyalty.voucher.expired.v1": _voucher("followed.voucher_expired"),
    "loyalty.voucher.voided.v1": _voucher("followed.voucher_voided"),
    "loyalty.gift.offered.v1": _gift_offered,
    "loyalty.points.expiring.v1": _expiring,
    "loyalty.adjustment.requested.v1": _requested,
    "loyalty.adjustment.dropped.v1": _dropped,
    "loyalty.badge.given.v1": _badge,
    "loyalty.referral.made.v1": _referral_made,
    "loyalty.referral.refused.v1": _referral_refused,
    "loyalty.referral.qualified.v1": _referral("qualified"),
    "loyalty.referral.cancelled.v1": _referral("cancelled"),
    "loyalty.referral.settled.v1": _referral("settled"),
    "loyalty.stamp.collected.v1": _stamped,
    "loyalty.stamp.filled.v1": _card_filled,
    "loyalty.stamp.returned.v1": _stamp_returned,
    "loyalty.stamp.lapsed.v1": _stamps_lapsed,
    **pools.EVENTS,
    # What happened, what became of it, and the entries say these.
    "loyalty.member.enrolled.v1": None,
    "loyalty.member.imported.v1": None,
    "loyalty.member.updated.v1": None,
    "loyalty.member.segmented.v1": None,
    "loyalty.member.suspended.v1": None,
    "loyalty.member.reopened.v1": None,
    "loyalty.member.closed.v1": None,
    "loyalty.member.erased.v1": None,
    "loyalty.member.merged.v1": _merged,
    "loyalty.member.merge-declined.v1": _merge_declined,
    "loyalty.member.absorbed.v1": _absorbed,
    "loyalty.member.blocked.v1": None,
    "loyalty.member.unblocked.v1": None,
    "loyalty.points.accrued.v1": None,
    "loyalty.points.activated.v1": None,
    "loyalty.points.redeemed.v1": None,
    "loyalty.points.held.v1": None,
    "loyalty.points.released.v1": None,
    "loyalty.points.extended.v1": None,
    "loyalty.points.reinstated.v1": None,
    "loyalty.points.restored.v1": None,
    "loyalty.points.expired.v1": None,
    "loyalty.points.clawed-back.v1": None,
    "loyalty.points.adjusted.v1": None,
    "loyalty.points.transferred.v1": None,
    "loyalty.gift.lapsed.v1": None,
    "loyalty.benefit.used.v1": None,
    "loyalty.receipt.claimed.v1": None,
    "loyalty.receipt.returned.v1": None,
    "loyalty.activity.refused.v1": None,
    "loyalty.activity.parked.v1": None,
    "loyalty.activity.lapsed.v1": None,
}
"""Every event that a decision may announce, and the sentence about it; None where others say it."""
