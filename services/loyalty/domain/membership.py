"""Enrolment, profile, segments, and the status of an account."""

from __future__ import annotations

from services.loyalty.domain import holds, referrals, tiers
from services.loyalty.domain.account import Lot, Membership, Standing
from services.loyalty.domain.activity import (
    Enrolled,
    ProfileUpdated,
    Segmented,
    StatusChanged,
)
from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.decision import LotTotals
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import fire
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.status import ENDED


def enrolment(draft: Draft, body: Enrolled) -> None:
    if draft.account.enrolled_at:
        raise Refusal("already_enrolled")
    if draft.account.is_receipt:
        raise Refusal("not_a_member")
    draft.status = "active"
    draft.enrolled_at = draft.effective_at
    draft.zone = body.zone or draft.zone
    tiers.enrol(draft)
    draft.announce(
        "loyalty.member.enrolled.v1", {"tier": draft.standing.level} if draft.standing.level else {}
    )
    if body.referred_by and draft.program.referrals:
        referrals.enrol(draft)
    occasion = Occasion(draft, channel=body.channel)
    fire(occasion, draft.program.rules_by_event.get("enrolled", ()), "enrolment")


def profile(draft: Draft, body: ProfileUpdated) -> None:
    draft.zone = body.zone or draft.zone
    draft.announce("loyalty.member.updated.v1", {"fields": body.fields})


def segment(draft: Draft, body: Segmented) -> None:
    """Takes the newest statement of a segment: it replaces what was said of the time from its start
    on. What was before stays, because a late activity sees the segment as it was then.
    """
    starts_at, ends_at = body.starts_at, body.ends_at or NEVER
    kept: list[Membership] = []
    for held in draft.segments:
        if held.segment != body.segment:
            kept.append(held)
        elif held.starts_at < starts_at <= held.ends_at and starts_at < ends_at:
            starts_at = held.starts_at  # it goes on
        elif held.starts_at < starts_at:
            kept.append(Membership(held.segment, held.starts_at, min(held.ends_at, starts_at)))
    if starts_at < ends_at:
        kept.append(Membership(body.segment, starts_at, ends_at))
    draft.segments = _bounded(kept, body.segment)
    draft.announce("loyalty.member.segmented.v1", {"segment": body.segment})


MOST_OF_A_SEGMENT = 12
"""So many memberships of one segment are remembered: a shop that flips it daily fills no state."""


def _bounded(memberships: list[Membership], segment: str) -> list[Membership]:
    """Forgets the earliest where there are too many of a segment."""
    of_it = [held for held in memberships if held.segment == segment]
    if len(of_it) <= MOST_OF_A_SEGMENT:
        return memberships
    first = min(of_it, key=lambda held: held.starts_at)
    return [held for held in memberships if held is not first]


def status(draft: Draft, body: StatusChanged) -> None:
    if body.status == draft.account.status:
        raise Refusal("status_unchanged", status=body.status)
    if body.status in ("active", "suspended") and not draft.enrolled_at:
        raise Refusal("not_enrolled")
    if body.status in ENDED:
        draft.standing, draft.segments, draft.gifts = Standing(), [], {}
        draft.cards, draft.badges = {}, {}
        draft.zone = draft.zone if body.status != "erased" else ""
        draft.offers = []
    elif draft.account.status == "closed":
        tiers.enrol(draft)
    draft.status = body.status
    draft.announce(
        f"loyalty.member.{_PAST[body.status]}.v1", {"reason": body.reason} if body.reason else {}
    )


_PAST = {"active": "reopened", "suspended": "suspended", "closed": "closed", "erased": "erased"}


def forfeit(draft: Draft) -> None:
    """Ends the points of an account that has ended, first letting go of what is held. Those that
    only count stay where they are: they are nobody's to spend, and a refund must find them.
    """
    holds.close(draft)
    kept: list[Lot] = []
    for lot in draft.lots:
        if draft.program.currency(lot.currency).qualifies:
            kept.append(lot)
            continue
        bucket = "pending" if lot.activates_at else "available"
        draft.post("forfeiture", lot.currency, lot.points, (bucket, "forfeited"), lot_from=lot.key)
        if not lot.activates_at:
            draft.add_totals(lot.key, LotTotals(taken_in=lot.taken_in))
    draft.lots = kept
