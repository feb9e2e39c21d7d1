"""Badges: something to show, given once, worth nothing and never taken back."""

from __future__ import annotations

from services.loyalty.domain.draft import Draft


def award(draft: Draft, badge: str, *, by: str) -> None:
    """Gives a badge, unless the member has it. ``by`` names the rule, level, card or gift."""
    if badge in draft.badges:
        return
    draft.badges = {**draft.badges, badge: draft.effective_at}
    draft.trace.setdefault("badges", []).append(badge)
    draft.announce("loyalty.badge.given.v1", {"badge": badge, "by": by})
