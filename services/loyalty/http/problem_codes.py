"""Every code that a problem can carry, with its status number, its meaning and what to do about it.

Codes are part of the contract: one is added, never renamed.
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """What all problems of one code share: the status number, a title, and what to do about it."""

    status: int
    title: str
    remedy: str


KINDS: dict[str, Kind] = {
    # The request itself.
    "not_json": Kind(400, "The body is not JSON", "Send one JSON document in UTF-8."),
    "not_utf8": Kind(400, "The body is not UTF-8", "Send text in UTF-8."),
    "idempotency_key_missing": Kind(
        400, "An Idempotency-Key is needed", "Send a key of your own, the same when you try again."
    ),
    "too_large": Kind(413, "The body is too large", "Send a smaller body."),
    "batch_too_long": Kind(413, "The batch is too long", "Send fewer CloudEvents at a time."),
    "unsupported_media_type": Kind(
        415, "The media type is not supported", "Use one that `supported` names."
    ),
    "invalid_request": Kind(
        422, "The request is not valid", "Correct every place that `mistakes` names."
    ),
    "invalid_cursor": Kind(
        422, "The cursor is not one of ours", "Use the `next` of a page, or leave it out."
    ),
    "idempotency_key_reused": Kind(
        422, "The Idempotency-Key is taken", "Use a new key: this one is of another request."
    ),
    # Who asks.
    "key_missing": Kind(401, "An API key is needed", "Send `Authorization: Bearer lk_…`."),
    "key_unknown": Kind(
        401, "The API key is not valid", "Use a key that exists and is not revoked."
    ),
    "scope_missing": Kind(
        403, "The API key may not do this", "Use a key with the scope that `scope` names."
    ),
    # What is asked for.
    "not_found": Kind(404, "There is nothing here", "See /docs for what there is."),
    "method_not_allowed": Kind(
        405, "The method is not allowed", "Use one that the Allow header names."
    ),
    "unknown_member": Kind(404, "No such member", "Check the id, or enrol the member first."),
    "no_tier": Kind(404, "There is no tier", "Enrol the member; the programme must have tiers."),
    "unknown_program": Kind(404, "No programme yet", "Publish a first version of the programme."),
    "unknown_holdout": Kind(
        404, "No such holdout", "Name a rule, boost or card that has a holdout in some version."
    ),
    "unknown_version": Kind(
        404, "No such version", "See /v1/program/versions for those that there are."
    ),
    # What the programme and the account say to it.
    "unknown_reward": Kind(
        422, "No such reward", "Take a reward from the member's catalogue: /rewards."
    ),
    "unknown_currency": Kind(
        422, "No such currency", "Use a currency of the programme that can be spent."
    ),
    "unknown_level": Kind(
        422, "No such level", "Use a level of the programme's tiers above the first."
    ),
    "end_is_past": Kind(422, "The end is past", "Choose an end that is still to come."),
    "no_manual_tier": Kind(409, "No tier was given by hand", "There is nothing to end."),
    "unknown_entry": Kind(
        404, "No such entry of the journal", "See /entries of the member for those that there are."
    ),
    "unknown_activity": Kind(
        404, "No such activity", "Check member, source and id; it may not have reached us yet."
    ),
    "unknown_receipt": Kind(404, "No such receipt", "Check the number; it may not be known yet."),
    "already_claimed": Kind(
        409, "The receipt is claimed", "A receipt is claimed once, by whoever comes first."
    ),
    "claim_too_late": Kind(409, "The time to claim is over", "Nothing more can be done with it."),
    "not_a_receipt": Kind(409, "The number is a member's", "Send the number of a guest's receipt."),
    "transfer_to_self": Kind(422, "A transfer needs two members", "Name another member."),
    "nothing_to_adjust": Kind(422, "Nothing to adjust", "Grant or take at least one point."),
    "nothing_to_transfer": Kind(422, "Nothing to transfer", "Transfer at least one point."),
    "insufficient_points": Kind(
        409, "Not enough points", "Wait until `missing` more points are available."
    ),
    "tier_too_low": Kind(
        409, "The reward is for other tiers", "Choose a reward that is open to the member's tier."
    ),
    "sold_out": Kind(409, "The reward is sold out", "Choose another reward."),
    "limit_reached": Kind(
        409,
        "The member has had it as often as may be",
        "Wait until the `period` is over, or choose another reward.",
    ),
    "not_in_segment": Kind(
        409, "The reward is for other members", "Choose a reward that is open to the member."
    ),
    "not_valid_yet": Kind(409, "The reward is not to be had yet", "Wait until `valid_from`."),
    "no_longer_valid": Kind(409, "The reward is not to be had any more", "Choose another reward."),
    "reward_unavailable": Kind(
        409, "The reward cannot be had now", "See `reasons` for everything that stands against it."
    ),
    "transfer_too_small": Kind(
        422, "Too few points for a transfer", "Transfer at least `minimum` points."
    ),
    "transfer_limit_reached": Kind(
        409, "The limit of transfers is reached", "Wait for the next period of `per`."
    ),
    "inside_return_window": Kind(
        409,
        "The points belong to orders that may still come back",
        "Transfer at most `transferable` points, or wait.",
    ),
    "earning_blocked": Kind(409, "The member cannot earn", "Lift the block first."),
    "spending_blocked": Kind(409, "The member cannot spend", "Lift the block first."),
    "status_unchanged": Kind(409, "The account has that status", "There is nothing to do."),
    "block_unchanged": Kind(409, "That is so already", "There is nothing to do."),
    "unknown_adjustment": Kind(
        404, "No such adjustment waits", "See which do: /adjustments of the member."
    ),
    "second_person_needed": Kind(
        409, "Another person has to decide", "Nobody decides on an adjustment of their own."
    ),
    "too_many_approvals": Kind(
        409, "Too many adjustments wait", "Decide on those that wait first: /adjustments."
    ),
    "transfers_not_allowed": Kind(
        409, "Members may not transfer points", "The programme would have to allow it."
    ),
    "pools_not_offered": Kind(
        409, "Members may not pool points", "The programme would have to have pools."
    ),
    "unknown_pool": Kind(404, "No such pool", "Let a member found it."),
    "not_a_pool": Kind(409, "The account is no pool", "Send the id of a pool."),
    "in_a_pool": Kind(409, "The member is in a pool", "Leave `pool` first."),
    "in_no_pool": Kind(409, "The member is in no pool", "There is nothing to leave."),
    "pool_left_recently": Kind(
        409, "The member left another pool recently", "Wait until `until`, or return to it."
    ),
    "pool_joined_recently": Kind(409, "The member has just joined", "Wait until `until`."),
    "not_in_pool": Kind(409, "That is no member of the pool", "See who is: /v1/pools/{pool_id}."),
    "not_the_owner": Kind(409, "Only the owner may do that", "Let the owner of the pool ask."),
    "may_not_spend": Kind(
        409, "The member may not spend the pool's points", "See who may: /v1/pools/{pool_id}."
    ),
    "spenders_not_named": Kind(
        409, "No spenders are named", "The programme would have to say `may_spend: named`."
    ),
    "before_program": Kind(409, "No programme held then", "Wait until the first version holds."),
    "not_enrolled": Kind(409, "The member is not enrolled", "Enrol the member first."),
    "account_suspended": Kind(409, "The member is suspended", "Reopen the account first."),
    "account_closed": Kind(409, "The account is closed", "Reopen the account first."),
    "account_merged": Kind(
        409, "The account was merged into another", "Use the id of the surviving member."
    ),
    "merge_into_self": Kind(409, "Both ids are one member", "There is nothing to do."),
    "merge_pending": Kind(
        409, "A merge of this account is under way", "Wait for its end, and ask again if need be."
    ),
    "holds_open": Kind(
        409, "Points are held", "Capture or void the holds, or wait for their end: /holds."
    ),
    "referral_between": Kind(
        409, "One brought the other", "Wait until the return window of the referral has ended."
    ),
    "shared_points": Kind(
        409,
        "The member has shared points with a pool",
        "Let the other account become part of this one.",
    ),
    "member_erased": Kind(
        410, "The member was erased", "Nothing more can be done with this account."
    ),
    # Vouchers, gifts, benefits and redemptions undone.
    "unknown_voucher": Kind(404, "No such voucher", "Check the code or the voucher's id."),
    "voucher_used": Kind(409, "The voucher was used before", "A voucher is used once."),
    "voucher_expired": Kind(409, "The voucher has expired", "Nothing can be done with it."),
    "voucher_voided": Kind(409, "The voucher was voided", "Nothing can be done with it."),
    "unknown_redemption": Kind(404, "No such redemption", "Check the redemption's id."),
    "redemption_exists": Kind(
        409, "The redemption was carried out before", "Ask with a new Idempotency-Key."
    ),
    "already_cancelled": Kind(
        409, "The redemption is cancelled already", "All its points went back before."
    ),
    "more_than_redeemed": Kind(
        409, "More points than the redemption took", "Return at most what `left` says."
    ),
    "whole_only": Kind(
        409, "It can only be cancelled whole", "Leave `points` out: its voucher cannot be split."
    ),
    "unknown_offer": Kind(
        404, "No such offer", "See the member's /offers: it was claimed, has lapsed, or never was."
    ),
    "not_offered": Kind(422, "The gift does not offer that", "Take one that `choose` names."),
    "benefit_not_held": Kind(
        409, "The member's tier does not bring that", "See the member's /benefits."
    ),
    "benefit_used_up": Kind(
        409, "The benefit is used up", "Wait for the next period that `terms` names."
    ),
    "refused": Kind(409, "The programme refuses this", "See `reason` for why."),
    # Holds, and points as money.
    "unknown_hold": Kind(404, "No such hold", "See /holds for the member's."),
    "hold_ended": Kind(
        409, "The hold has ended", "See `how`: what it held is spent, or with the member again."
    ),
    "too_many_holds": Kind(
        409, "Too many holds are open", "Capture or void one: `most` may be open at a time."
    ),
    "hold_too_long": Kind(422, "The hold would last too long", "Ask for at most `longest_s`."),
    "nothing_to_hold": Kind(422, "Nothing to hold", "Hold at least one point."),
    "more_than_held": Kind(
        409, "More than is held", "Capture at most `held` points, or hold more first."
    ),
    "captured_whole_only": Kind(
        409, "A reward is captured whole", "Capture all `points`, or void the hold."
    ),
    "points_are_no_money": Kind(
        409, "Points do not pay for orders", "The programme would have to say how."
    ),
    "no_rate": Kind(422, "No rate for that money", "Pay in a currency that `rates` names."),
    "below_minimum": Kind(409, "Too few points", "Spend at least `minimum` points."),
    "not_a_step": Kind(409, "Not a multiple of the step", "Spend a multiple of `step` points."),
    "above_share": Kind(409, "Too much of the order", "Spend at most `most_points` on this order."),
    "payment_impossible": Kind(
        409, "Points cannot pay that much", "See `reasons` for each, and change them all."
    ),
    # Longer lives.
    "not_later": Kind(422, "The new end is over already", "Name an end that is still to come."),
    "nothing_to_extend": Kind(
        409, "Nothing would expire sooner", "See /lots for what expires when."
    ),
    "nothing_to_reinstate": Kind(409, "Nothing has expired", "See /entries for what expired."),
    "more_than_expired": Kind(409, "More than has expired", "Reinstate at most `expired` points."),
    # Activities.
    "id_reused": Kind(
        409,
        "Another activity has this source and id",
        "Give each activity an id of its own, and never change one that was sent.",
    ),
    "unacceptable": Kind(
        422, "The activity cannot be accepted", "Correct what `reason` and `detail` name."
    ),
    # Publishing.
    "program_mistakes": Kind(
        422, "The programme has mistakes", "Correct every place that `mistakes` names."
    ),
    "holds_too_soon": Kind(
        422, "The version would hold too soon", "Let it hold from `earliest` or later."
    ),
    "version_exists": Kind(
        409, "Another version came first", "Look at the newest version and publish again."
    ),
    # The books.
    "invalid_period": Kind(
        422, "There is no such period", "Name a month like 2011-03, or a span that ends later."
    ),
    "period_closed": Kind(
        409, "The period is closed", "Let it hold from the end of the last closed period."
    ),
    "not_approvable": Kind(
        422, "That cannot be approved", "Correct what `detail` names, and approve it again."
    ),
    # Us.
    "journal_broken": Kind(
        500,
        "The journal cannot be decided again",
        "Tell operations: `loyalty verify` and `loyalty replay` say what is wrong with it.",
    ),
    "internal_error": Kind(
        500, "Something went wrong on our side", "Try again; if it stays, report `instance`."
    ),
    "account_stuck": Kind(
        503, "The account waits for operations", "Try again later, once a failed tick is replayed."
    ),
    "contended": Kind(503, "The account is busy", "Try again with the same Idempotency-Key."),
    "database_unavailable": Kind(503, "The database cannot be reached", "Try again in a moment."),
    "no_program": Kind(
        503, "No programme is published", "Publish a first version of the programme."
    ),
    "not_ready": Kind(503, "The service is not ready", "Mend what `checks` names."),
}
"""Every code that a problem can carry."""
