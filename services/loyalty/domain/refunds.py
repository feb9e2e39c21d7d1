"""Refunds: reversing what was posted, never what today's rules would give.

How much of a posting has been reversed depends only on what has been returned so far, so partial
refunds in any order sum to exactly the whole: a line's share is ``floor(allocated × value returned
÷ line value)``, and each refund posts the difference to what was reversed before.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.loyalty.domain import counters
from services.loyalty.domain.account import Lot
from services.loyalty.domain.accrual import SETTLED, count_qualifying, window_lot
from services.loyalty.domain.activity import Refunded
from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.clawback import Taking, claw_back, from_lots
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.lots import available_key
from services.loyalty.domain.periods import ended_before
from services.loyalty.domain.reasons import Reversal
from services.loyalty.domain.receipt import Posting, Receipt, ReceiptLine, RuleReward
from services.loyalty.domain.shares import spread
from services.loyalty.domain.tiers import judge, undo

# What came back -------------------------------------------------------------------------------


def returned_by_lines(line: ReceiptLine) -> int:
    """Money that line refunds have returned of a line: its quantity's share plus amounts, never
    above its value.
    """
    by_quantity = line.value * min(line.returned_quantity, line.quantity) // line.quantity
    return min(line.value, by_quantity + line.returned_amount)


def returned(receipt: Receipt) -> list[int]:
    """Money returned of each line: by line refunds, plus its share of what came back without naming
    a line.
    """
    by_lines = [returned_by_lines(line) for line in receipt.lines]
    if not receipt.returned_unlined:
        return by_lines
    left = [line.value - back for line, back in zip(receipt.lines, by_lines, strict=True)]
    shares = spread(receipt.returned_unlined, left)
    return [back + share for back, share in zip(by_lines, shares, strict=True)]


def is_all_back(receipt: Receipt, back: Sequence[int]) -> bool:
    """Whether all that was paid has come back; of lines that cost nothing, every piece."""
    return all(
        money == line.value and (line.value or line.returned_quantity >= line.quantity)
        for line, money in zip(receipt.lines, back, strict=True)
    ) or (receipt.cancelled)


def with_return(receipt: Receipt, body: Refunded) -> Receipt:
    """The receipt after a refund; quantities and amounts add up per line and are clamped to it when
    measured.
    """
    lines = list(receipt.lines)
    places = {line.position: index for index, line in enumerate(lines)}
    for item in body.lines:
        index = places[item.position]
        line = lines[index]
        lines[index] = ReceiptLine(
            line.position,
            line.quantity,
            line.value,
            line.spend,
            min(line.quantity, line.returned_quantity + item.quantity),
            min(line.value, line.returned_amount + item.amount),
        )
    return _replace(receipt, lines=lines, returned_unlined=receipt.returned_unlined + body.amount)


def cancelled(receipt: Receipt) -> Receipt:
    """The receipt after everything came back."""
    lines = [
        ReceiptLine(line.position, line.quantity, line.value, line.spend, line.quantity, line.value)
        for line in receipt.lines
    ]
    return _replace(receipt, lines=lines, cancelled=True)


def with_amounts(receipt: Receipt, amounts: Sequence[tuple[int, int]]) -> Receipt:
    """The receipt with money back by (position, amount), measured on top of what line refunds
    returned.
    """
    more = dict(amounts)
    lines = [
        ReceiptLine(
            line.position,
            line.quantity,
            line.value,
            line.spend,
            line.returned_quantity,
            line.returned_amount + more.get(line.position, 0),
        )
        for line in receipt.lines
    ]
    return _replace(receipt, lines=lines)


def extended(
    receipt: Receipt,
    extra: Sequence[ReceiptLine],
    postings: Sequence[Posting],
    quantities: dict[int, int],
) -> Receipt:
    """The receipt with lines raised or added by an amendment, and what was posted for the
    difference.
    """
    lines = list(receipt.lines)
    places = {line.position: index for index, line in enumerate(lines)}
    target: list[int] = []
    for more in extra:
        index = places.get(more.position)
        if index is None:
            target.append(len(lines))
            lines.append(more)
            continue
        was = lines[index]
        lines[index] = ReceiptLine(
            was.position,
            max(was.quantity, quantities[was.position]),
            was.value + more.value,
            was.spend + more.spend,
            was.returned_quantity,
            was.returned_amount,
        )
        target.append(index)
    room = len(lines)
    return _replace(
        receipt,
        lines=lines,
        postings=[_moved(posting, range(room), room) for posting in receipt.postings]
        + [_moved(posting, target, room) for posting in postings],
    )


def _moved(posting: Posting, target: Sequence[int], room: int) -> Posting:
    """The posting with its shares at other places among ``room`` lines."""
    allocated, taken_back = [0] * room, [0] * room
    for place, share, back in zip(target, posting.allocated, posting.reversed, strict=False):
        allocated[place] += share
        taken_back[place] += back
    return Posting(
        posting.rule,
        posting.currency,
        posting.points,
        posting.lots,
        allocated,
        taken_back,
        posting.on_refund,
        posting.min_spend,
        [target[index] for index in posting.eligible],
        posting.counters,
        posting.window,
        posting.prorates,
        posting.step,
        posting.steps,
    )


def with_given(receipt: Receipt, given: list[RuleReward]) -> Receipt:
    """The receipt with these rewards of rules standing on it."""
    return _replace(receipt, given=given)


def _replace(
    receipt: Receipt,
    *,
    lines: list[ReceiptLine] | None = None,
    postings: list[Posting] | None = None,
    returned_unlined: int | None = None,
    cancelled: bool | None = None,
    given: list[RuleReward] | None = None,
) -> Receipt:
    return Receipt(
        receipt.order,
        receipt.currency,
        receipt.occurred_at,
        receipt.version,
        receipt.seq,
        receipt.lines if lines is None else lines,
        receipt.postings if postings is None else postings,
        receipt.returned_unlined if returned_unlined is None else returned_unlined,
        receipt.delivered_at,
        receipt.cancelled if cancelled is None else cancelled,
        receipt.moved,
        receipt.withdrawn,
        receipt.given if given is None else given,
        receipt.of,
    )


# What follows ---------------------------------------------------------------------------------


def reversed_shares(  # noqa: PLR0911 - a return per way of reversing
    posting: Posting, receipt: Receipt, back: Sequence[int]
) -> list[int]:
    """Points per line that are to be reversed of a posting, given the money returned of each line.

    A ``revoke`` posting goes whole once the spend that is kept of its lines falls below its
    threshold; without a threshold, or with ``keep``, once nothing of its lines is kept. Of one for
    whole steps go as many as the kept spend no longer makes. A full return reverses everything.
    """
    allocated = posting.allocated
    if is_all_back(receipt, back):
        return list(allocated)
    lines = receipt.lines
    shares = [
        share * money // line.value
        if line.value
        else share * line.returned_quantity // line.quantity
        for share, money, line in zip(allocated, back, lines, strict=True)
    ]
    if posting.on_refund == "prorate":
        return shares
    kept = _kept_spend(posting, receipt, back)
    if posting.on_refund == "revoke" and posting.min_spend:
        if kept < posting.min_spend:
            return list(allocated)
        if not posting.steps:
            return shares if posting.prorates else [0] * len(allocated)
    if posting.on_refund == "revoke" and posting.steps:
        return _steps_undone(posting, kept)
    if kept == 0 and any(line.spend for line in lines):
        return list(allocated)
    return shares if posting.prorates else [0] * len(allocated)


def is_kept(receipt: Receipt, least: int, eligible: Sequence[int]) -> bool:
    """Whether enough is kept of an order's lines (indexes; none for all): the least spend, or
    anything at all where that is 0.
    """
    back = returned(receipt)
    if is_all_back(receipt, back):
        return False
    kept = _kept_of(receipt, back, eligible)
    chosen = eligible or range(len(receipt.lines))
    return kept >= least if least else kept > 0 or not any(receipt.lines[i].spend for i in chosen)


def _steps_undone(posting: Posting, kept: int) -> list[int]:
    """The share of the whole steps that the kept spend no longer makes, of whatever was posted for
    them: what boosts added and cuts took off is shared by all steps alike.
    """
    undone = posting.steps - min(posting.steps, kept // posting.step)
    return spread(posting.points * undone // posting.steps, posting.allocated)


def _kept_spend(posting: Posting, receipt: Receipt, back: Sequence[int]) -> int:
    return _kept_of(receipt, back, posting.eligible)


def _kept_of(receipt: Receipt, back: Sequence[int], chosen: Sequence[int]) -> int:
    eligible = chosen or range(len(receipt.lines))
    kept = 0
    for index in eligible:
        line = receipt.lines[index]
        if line.value:
            kept += line.spend * (line.value - back[index]) // line.value
    return kept


def reverse(draft: Draft, receipt: Receipt, *, reason: Reversal) -> None:
    """Posts the difference between what is to be reversed of a receipt and what was reversed
    before.
    """
    back = returned(receipt)
    postings: list[Posting] = []
    clawed: dict[str, int] = {}
    short: dict[str, int] = {}
    for posting in receipt.postings:
        due = reversed_shares(posting, receipt, back)
        if due == posting.reversed:
            postings.append(posting)
            continue
        points = sum(due) - sum(posting.reversed)
        if points > 0:
            missing = _take_back(draft, posting, points, receipt.order, reason)
            if missing:
                short[posting.currency] = short.get(posting.currency, 0) + missing
            clawed[posting.currency] = clawed.get(posting.currency, 0) + points
        elif points < 0:
            _give_back(draft, posting, -points, receipt.order, reason)
        after = _reversed(posting, due)
        _recount(draft, posting, after)
        postings.append(counters.recounted(draft, after) if after.counters else after)
    draft.receipts[receipt.order] = _replace(receipt, postings=postings)
    draft.trace.setdefault("reversed", []).append(
        {"returned": sum(back), "points": clawed, "short": short}
    )
    if clawed:
        draft.announce(
            "loyalty.points.clawed-back.v1",
            {"order": receipt.order, "reason": reason, "points": clawed}
            | ({"short": short} if short else {}),
        )


def take_back(draft: Draft, posting: Posting, *, order: str, reason: Reversal) -> int:
    """Takes back all that is left of a posting, with its use of limits; answers what nobody had."""
    left = posting.points - sum(posting.reversed)
    missing = _take_back(draft, posting, left, order, reason) if left else 0
    _recount(draft, posting, _reversed(posting, posting.allocated))
    return missing


def _take_back(draft: Draft, posting: Posting, points: int, order: str, reason: Reversal) -> int:
    """Takes points back; answers how many of them nobody had."""
    if posting.window:
        _reverse_qualifying(draft, posting, points, order, reason)
        return 0
    return claw_back(draft, posting, points, Taking(order, reason))


def _reversed(posting: Posting, due: list[int]) -> Posting:
    return Posting(
        posting.rule,
        posting.currency,
        posting.points,
        posting.lots,
        posting.allocated,
        due,
        posting.on_refund,
        posting.min_spend,
        posting.eligible,
        posting.counters,
        posting.window,
        posting.prorates,
        posting.step,
        posting.steps,
    )


def _give_back(draft: Draft, posting: Posting, points: int, order: str, reason: Reversal) -> None:
    """Restores what rounding had reversed too early: spreading an amount without a line anew can
    move a minor unit from one line to another, and what has been reversed must depend on nothing
    but what has been returned.
    """
    key, currency = posting.lots[0][0], posting.currency
    index = draft.find_lot(key)
    if index < 0 and f"/d{SETTLED}" in key:
        _, issued, expires_at, awaits = key.split("/", 3)
        lot = Lot(currency, issued, int(expires_at), NEVER, awaits[1:], points, points)
        draft.accrue_pending(lot, cause=reason, order=order)
    elif index >= 0 and draft.lots[index].activates_at:
        lot = draft.lots[index]
        again = Lot(
            currency, lot.issued, lot.expires_at, lot.activates_at, lot.awaits, points, points
        )
        draft.accrue_pending(again, cause=reason, order=order)
    elif posting.window:
        draft.post(
            "accrual",
            currency,
            points,
            ("issuance", "available"),
            lot_to=window_lot(currency, posting.window),
            cause=reason,
            order=order,
        )
        count_qualifying(draft, currency, posting.window, points)
        judge(draft, currency, credited=points, window=posting.window)
    else:
        _, issued, expires_at = available_key(key).split("/")
        draft.credit(
            "accrual",
            currency,
            points,
            from_bucket="issuance",
            issued=issued,
            expires_at=int(expires_at) or NEVER,
            cause=reason,
            order=order,
        )


def _reverse_qualifying(
    draft: Draft, posting: Posting, points: int, order: str, reason: Reversal
) -> None:
    """Takes qualifying points out of the purchase's own window (or its pending lot), and judges the
    tier again.
    """
    key = posting.lots[0][0]
    index = draft.find_lot(key)
    if index >= 0:
        draft.post(
            "accrual_reversal",
            posting.currency,
            points,
            ("pending", "issuance"),
            lot_from=key,
            cause=reason,
            order=order,
        )
        draft.take(index, points)
        return
    draft.post(
        "accrual_reversal",
        posting.currency,
        points,
        ("available", "issuance"),
        lot_from=window_lot(posting.currency, posting.window),
        cause=reason,
        order=order,
    )
    count_qualifying(draft, posting.currency, posting.window, -points)
    undo(draft, posting.window)


def _recount(draft: Draft, was: Posting, now: Posting) -> None:
    """Gives limits and caps back to the period from which they were taken: points as they are
    reversed, and the time once nothing is left of the posting.
    """
    points = sum(now.reversed) - sum(was.reversed)
    whole = (sum(now.reversed) == now.points) - (sum(was.reversed) == was.points)
    for key, times, took in now.counters:
        if counters.is_budget(key):
            continue
        past = ended_before(key.rpartition("/")[2], draft.today)
        draft.count(key, -times * whole, -points if took else 0, past=past)


def cancel_pending(draft: Draft, receipt: Receipt) -> None:
    """Takes back what still awaits a delivery that has not come in time; those postings leave the
    receipt.
    """
    waiting = {lot.key for lot in draft.lots if lot.awaits == receipt.order}
    kept: list[Posting] = []
    gone: dict[str, int] = {}
    for posting in receipt.postings:
        key = posting.lots[0][0]
        if key not in waiting:
            kept.append(posting)
            continue
        points = posting.points - sum(posting.reversed)
        if points:
            from_lots(draft, [key], points, Taking(receipt.order, "not_delivered"))
            gone_whole = _reversed(posting, posting.allocated)
            _recount(draft, posting, gone_whole)
            counters.recounted(draft, gone_whole)
            gone[posting.currency] = gone.get(posting.currency, 0) + points
    draft.receipts[receipt.order] = _replace(receipt, postings=kept)
    if gone:
        draft.announce(
            "loyalty.points.clawed-back.v1",
            {"order": receipt.order, "reason": "not_delivered", "points": gone},
        )


def deliver(draft: Draft, receipt: Receipt, activated: dict[str, str]) -> Receipt:
    """The receipt after its delivery, its postings naming the lots that theirs became."""
    postings = renamed(receipt, activated).postings
    return Receipt(
        receipt.order,
        receipt.currency,
        receipt.occurred_at,
        receipt.version,
        receipt.seq,
        receipt.lines,
        postings,
        receipt.returned_unlined,
        draft.effective_at,
        receipt.cancelled,
        receipt.moved,
        receipt.withdrawn,
        receipt.given,
        receipt.of,
    )


def renamed(receipt: Receipt, activated: dict[str, str]) -> Receipt:
    """The receipt with its postings naming the lots that theirs became."""
    postings = [
        Posting(
            posting.rule,
            posting.currency,
            posting.points,
            [(activated.get(key, key), points) for key, points in posting.lots],
            posting.allocated,
            posting.reversed,
            posting.on_refund,
            posting.min_spend,
            posting.eligible,
            posting.counters,
            posting.window,
            posting.prorates,
            posting.step,
            posting.steps,
        )
        for posting in receipt.postings
    ]
    return _replace(receipt, postings=postings)


def lot_keys(receipt: Receipt) -> list[str]:
    """Lots that a refund of this receipt may need: those that its points entered, and what they
    became once they were no longer pending.
    """
    return keys_of(receipt.postings)


def keys_of(postings: Sequence[Posting]) -> list[str]:
    """The same for some postings."""
    entered = {key for posting in postings if not posting.window for key, _ in posting.lots}
    return sorted(entered | {available_key(key) for key in entered})
