"""Every reason that a decision may give, by what it is given for.

Reasons are stable codes: they stand in journals, events and answers. Their types let the type
checker prove that nothing else is ever given, and let :mod:`services.loyalty.application.story`
have a sentence for each.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

NotFired: TypeAlias = Literal[
    "",
    "not_valid_then",
    "other_day",
    "other_tier",
    "other_channel",
    "other_store",
    "other_payment",
    "other_purchase_number",
    "not_in_segment",
    "excluded_tier",
    "excluded_channel",
    "excluded_store",
    "excluded_payment",
    "excluded_segment",
    "no_such_line",
    "no_min_spend_for_currency",
    "below_min_spend",
    "no_max_spend_for_currency",
    "above_max_spend",
    "condition",
    "condition_error",
    "held_out",
    "not_told_by_amendment",
    "no_rate_for_currency",
    "limit_reached",
    "budget_spent",
    "lost_in_group",
    "earning_blocked",
    "nothing_that_differs",
    "counted_already",
    "too_late",
    "member_too_short",
    "given_recently",
    "birthday_set_recently",
    "other_way_of_rising",
    "sold_out",
]
"""Why a rule, boost, card, gift, level or referral gave nothing; empty where it did."""

Refused: TypeAlias = Literal[
    # whatever the account's status
    "before_program",
    "not_enrolled",
    "account_suspended",
    "account_closed",
    "account_merged",
    "account_stuck",
    "member_erased",
    "earning_blocked",
    "spending_blocked",
    "too_many_parked",
    # members
    "already_enrolled",
    "impossible_opening",
    "not_a_member",
    "status_unchanged",
    "unknown_block",
    "block_unchanged",
    "not_stuck",
    # orders
    "order_exists",
    "currency_without_rate",
    "currency_mismatch",
    "unknown_line",
    "already_delivered",
    "already_cancelled",
    # what guests bought
    "receipt_exists",
    "unknown_receipt",
    "already_claimed",
    "claim_too_late",
    "not_a_receipt",
    "not_claimed",
    # referrals
    "already_referred",
    "unknown_referral_code",
    "self_referral",
    "referrer_closed",
    "referrer_merged",
    "referrer_erased",
    "already_a_customer",
    "referral_ended",
    # rewards and points as money
    "unknown_reward",
    "not_valid_yet",
    "no_longer_valid",
    "tier_too_low",
    "not_in_segment",
    "limit_reached",
    "sold_out",
    "insufficient_points",
    "reward_unavailable",
    "redemption_exists",
    "points_are_no_money",
    "no_rate",
    "below_minimum",
    "not_a_step",
    "above_share",
    "payment_impossible",
    # redemptions undone
    "unknown_redemption",
    "more_than_redeemed",
    "whole_only",
    # vouchers, gifts, benefits
    "unknown_voucher",
    "voucher_used",
    "voucher_expired",
    "voucher_voided",
    "unknown_offer",
    "not_offered",
    "benefit_not_held",
    "benefit_used_up",
    # holds
    "hold_exists",
    "too_many_holds",
    "hold_too_long",
    "nothing_to_hold",
    "unknown_hold",
    "hold_ended",
    "more_than_held",
    "captured_whole_only",
    # by hand, and between members
    "unknown_currency",
    "nothing_to_adjust",
    "too_many_approvals",
    "adjustment_exists",
    "unknown_adjustment",
    "second_person_needed",
    "unknown_level",
    "end_is_past",
    "no_manual_tier",
    "not_later",
    "nothing_to_extend",
    "nothing_to_reinstate",
    "more_than_expired",
    "transfers_not_allowed",
    "nothing_to_transfer",
    "transfer_too_small",
    "inside_return_window",
    "transfer_limit_reached",
    # two members who are one
    "merge_into_self",
    "merge_pending",
    "not_merging",
    "holds_open",
    "referral_between",
    "shared_points",
    # pools
    "pools_not_offered",
    "unknown_pool",
    "not_a_pool",
    "pool_exists",
    "pool_full",
    "pool_closed",
    "in_a_pool",
    "in_no_pool",
    "pool_left_recently",
    "pool_joined_recently",
    "not_in_pool",
    "not_the_owner",
    "may_not_spend",
    "spenders_not_named",
]
"""Why an activity is refused."""

Waits: TypeAlias = Literal[
    "awaits_enrolment",
    "awaits_purchase",
    "awaits_referral",
    "awaits_claim",
    "awaits_contribution",
    "awaits_tick",
]
"""What a parked activity waits for."""

TierChange: TypeAlias = Literal[
    "reached",
    "kept",
    "period_ended",
    "refunded",
    "manual",
    "manual_ended",
    "rules_changed",
    "renamed",
    "merged",
]
"""Why a member rose, fell, or keeps a level for longer."""

Reversal: TypeAlias = Literal[
    "refund",
    "cancellation",
    "amendment",
    "not_delivered",
    "referral_cancelled",
    "stamp_returned",
    "tier_undone",
]
"""Why what an order had earned is taken back."""
