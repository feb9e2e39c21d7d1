"""The two ways in which an activity is not decided: it is refused, or it waits. And what a decision
may still be lacking.
"""

from __future__ import annotations

from typing import Any

from services.loyalty.domain.reasons import Refused, Waits


class Refusal(Exception):
    """The programme or the account's state does not allow what was asked.

    ``code`` is stable; ``details`` are facts for whoever asked.
    """

    def __init__(self, code: Refused, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def purchase_of(order: str) -> str:
    """What is awaited where that is an order's purchase; nothing else that is awaited is called
    so, whatever a shop calls its orders.
    """
    return f"order:{order}"


def awaited_order(awaits: str) -> str:
    """The order whose purchase is awaited; empty where it is something else."""
    what, _, order = awaits.partition(":")
    return order if what == "order" else ""


class CodeNeeded(Exception):
    """The decision issues more vouchers than the facts hold codes for: draw one more, add its
    digest, and decide again. So codes are drawn, and journaled, only where one is needed.
    """


class Park(Exception):
    """The activity waits for ``awaits``: ``enrolment``, ``tick`` or a :func:`purchase_of`."""

    def __init__(self, awaits: str, reason: Waits) -> None:
        super().__init__(reason)
        self.awaits = awaits
        self.reason = reason
