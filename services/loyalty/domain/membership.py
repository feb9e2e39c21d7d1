"""Enrolment, profile, segments, and the status of an account."""

from __future__ import annotations

from services.loyalty.domain import approvals, holds, referrals, tiers
from services.loyalty.domain.account import Lot, Membership, Standing, with_affairs
from services.loyalty.domain.activity import (
    Blocked,
    Enrolled,
    ProfileUpdated,
    Segmented,
    StatusChanged,
)
from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import fire
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.status import BLOCKED, ENDED


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
    fire(occasion, "enrolled", "enrolment")


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


def take_over_segments(draft: Draft, more: list[Membership]) -> None:
    """Adds the memberships of a member whose account became part of this one."""
    held = draft.segments
    for each in more:
        if each not in held:
            held = _bounded([*held, each], each.segment)
    draft.segments = held


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
    if draft.account.merged_into:
        _forget(draft, body)
        return
    if body.status == draft.account.status:
        raise Refusal("status_unchanged", status=body.status)
    if body.status in ("active", "suspended") and not draft.enrolled_at:
        raise Refusal("not_enrolled")
    if body.status in ENDED:
        _end(draft, body.status)
    elif draft.account.status == "closed":
        draft.affairs = with_affairs(draft.affairs, forfeits_at=0)
        tiers.enrol(draft)
    draft.status = body.status
    if body.actor:
        draft.trace = {"reason": body.reason, "actor": body.actor}
    draft.announce(
        f"loyalty.member.{_PAST[body.status]}.v1", {"reason": body.reason} if body.reason else {}
    )


def _forget(draft: Draft, body: StatusChanged) -> None:
    """A merged account can only be erased: its profile goes, and it goes on passing on what reaches
    it.
    """
    if body.status != "erased":
        raise Refusal("account_merged")
    draft.announce("loyalty.member.erased.v1", {"reason": body.reason} if body.reason else {})


_PAST = {"active": "reopened", "suspended": "suspended", "closed": "closed", "erased": "erased"}


def _end(draft: Draft, status: str) -> None:
    """The tier, the segments and the cards end. Points of a closed account may be kept for a while;
    what it was given for its occasions is remembered, so that closing and opening again makes no
    second birthday.
    """
    draft.standing, draft.segments = Standing(), []
    draft.cards, draft.badges = {}, {}
    draft.offers = []
    holds.close(draft)
    keeps = draft.program.closed_keeps
    kept = status == "closed" and (keeps.months or keeps.days)
    forfeits_at = after_span(draft.effective_at, keeps, draft.tz) if kept else 0
    approvals.drop_all(draft, f"account_{status}")
    draft.affairs = with_affairs(draft.affairs, forfeits_at=forfeits_at)
    if status == "erased":
        ids = draft.affairs.absorbed
        draft.derived += [Derived(each, StatusChanged("erased")) for each in ids]
        draft.gifts, draft.zone = {}, ""
        draft.affairs = with_affairs(draft.affairs, blocked={}, level_gifts=[])


def keep_no_longer(draft: Draft) -> None:
    """The time is over in which reopening would have kept the points of a closed account."""
    draft.affairs = with_affairs(draft.affairs, forfeits_at=0)
    draft.trace = {"forfeits": "closed"}


def block(draft: Draft, body: Blocked) -> None:
    if body.what not in BLOCKED:
        raise Refusal("unknown_block", what=body.what)
    held = draft.affairs.blocked
    if body.blocked == (body.what in held):
        raise Refusal("block_unchanged", what=body.what, blocked=body.blocked)
    left = {what: reason for what, reason in held.items() if what != body.what}
    draft.affairs = with_affairs(
        draft.affairs, blocked={**left, body.what: body.reason} if body.blocked else left
    )
    draft.trace = {"what": body.what, "reason": body.reason, "actor": body.actor}
    draft.announce(
        f"loyalty.member.{'blocked' if body.blocked else 'unblocked'}.v1",
        {"what": body.what, "reason": body.reason},
    )


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
