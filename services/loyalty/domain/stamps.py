"""Stamps, streaks and challenges: cards that activities fill, and what a full card gives.

All three are one thing: a card with so many slots. A plain card has a slot for each activity, a
streak one for each week or month without a gap, a challenge one for each sku, category, kind … that
differs. A stamp stands while something that earned it is kept, so a refund takes it back; a full
card that loses one takes another from those in hand, and is undone where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from services.loyalty.domain import badges, refunds, tiers
from services.loyalty.domain.account import Account, Card, FullCard, Stamp, StampSource
from services.loyalty.domain.accrual import accrue_whole, announce_accrual
from services.loyalty.domain.calendar import NEVER, Instant
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.earning import limit_key, look
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import (
    after_span,
    ended_before,
    period_after,
    period_end,
    period_key,
)
from services.loyalty.domain.program import Stamps
from services.loyalty.domain.reasons import NotFired
from services.loyalty.domain.receipt import Posting, Receipt
from services.loyalty.domain.vouchers import give

_NEW = Card()

# Collecting -----------------------------------------------------------------------------------


def collect(occasion: Occasion, event: str) -> None:
    """Stamps the cards of which an activity is; the trace says which, and why others were not."""
    draft = occasion.draft
    for terms in draft.program.stamps:
        if event not in terms.events or (
            occasion.of and terms.kinds and occasion.of not in terms.kinds
        ):
            continue
        blocked: NotFired = "earning_blocked" if "earning" in draft.affairs.blocked else ""
        if why := blocked or _stamp(occasion, terms, event):
            draft.trace.setdefault("not", []).append((terms.id, why))


def _stamp(occasion: Occasion, terms: Stamps, event: str) -> NotFired:
    """Stamps one card; answers why not, empty where it did."""
    draft = occasion.draft
    rule = terms.look if event == "purchase" else terms.engaged
    eligible, _, why = look(occasion, rule)
    if why:
        return why
    if _exhausted(draft, terms):
        return "limit_reached"
    slots = _slots(occasion, terms, eligible)
    if not slots:
        return "nothing_that_differs"
    least = rule.min_spend.get(occasion.currency, 0)
    refused: NotFired = ""
    for slot, lines in slots.items():
        refused = _put(draft, terms, slot, StampSource(occasion.order, least, lines))
        if _exhausted(draft, terms):
            break
    return refused


def _exhausted(draft: Draft, terms: Stamps) -> bool:
    counter = _counter(draft, terms)
    return bool(terms.limit and draft.counted(counter)[0] >= terms.limit.times)


def _counter(draft: Draft, terms: Stamps) -> str:
    return limit_key(terms.id, terms.limit, draft.day) if terms.limit else ""


def _slots(
    occasion: Occasion, terms: Stamps, eligible: list[int] | None
) -> Mapping[str, list[int]]:
    """The slots that an activity fills, each with the lines to which it owes it."""
    chosen = eligible or []
    if terms.every:
        return {period_key(terms.every, occasion.draft.day): chosen}
    if terms.different in ("sku", "category", "brand"):
        return _lines_that_differ(occasion, terms, eligible)
    if not terms.different:
        return {str(occasion.draft.seq): chosen}
    value = {
        "kind": occasion.of or "purchase",
        "channel": occasion.channel,
        "store": occasion.store,
    }[terms.different]
    return {value: chosen} if value else {}


def _lines_that_differ(
    occasion: Occasion, terms: Stamps, eligible: list[int] | None
) -> Mapping[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index in range(len(occasion.lines)) if eligible is None else eligible:
        value = getattr(occasion.lines[index], terms.different)
        if value:
            groups.setdefault(value, []).append(index)
    least = max(1, terms.look.min_spend.get(occasion.currency, 0))
    return {
        value: lines
        for value, lines in groups.items()
        if sum(occasion.spends[index] for index in lines) >= least
    }


def _put(draft: Draft, terms: Stamps, slot: str, source: StampSource) -> NotFired:
    """Puts a stamp on the card in hand, and hands the card in where it is full; answers why not."""
    card = draft.cards.get(terms.id, _NEW)
    if terms.every and card.last and slot <= card.last:
        _keep(draft, terms, card, _also(card.full, slot, source))
        return "counted_already"
    at = draft.occurred_at
    held = next((stamp for stamp in card.stamps if stamp.slot == slot), None)
    new = Stamp(slot, [source], at, _ends_at(draft, terms))
    pool = [stamp for stamp in card.stamps if stamp is not held]
    pool.append(_merged(held, new) if held else new)
    hand = _in_hand(terms, pool, draft.effective_at)
    if not any(stamp.slot == slot for stamp in hand):
        return "too_late"
    told = {"card": terms.id, "collected": len(hand), "of": terms.collect}
    draft.trace.setdefault("stamps", []).append(told)
    if held is None:
        order = {"order": source.order} if source.order else {}
        draft.announce("loyalty.stamp.collected.v1", told | order)
    _keep(draft, terms, card, card.full, stamps=hand)
    full = _complete(terms, hand)
    if full:
        _fill(draft, terms, full)
    return ""


def _ends_at(draft: Draft, terms: Stamps) -> Instant:
    if terms.within is None:
        return NEVER
    return after_span(draft.occurred_at, terms.within, draft.tz)


def _merged(held: Stamp, more: Stamp) -> Stamp:
    return Stamp(
        held.slot,
        [*held.sources, *more.sources],
        min(held.at, more.at),
        max(held.ends_at, more.ends_at),
    )


def _also(full: Sequence[FullCard], slot: str, source: StampSource) -> list[FullCard]:
    """Full cards with one more source for a period that they have already."""
    return [
        _with_stamps(
            each,
            [
                _merged(s, Stamp(slot, [source], s.at, s.ends_at)) if s.slot == slot else s
                for s in each.stamps
            ],
        )
        for each in full
    ]


def _with_stamps(full: FullCard, stamps: list[Stamp]) -> FullCard:
    return FullCard(full.at, full.final_at, stamps, full.postings, full.rewards, full.counter)


def _in_hand(terms: Stamps | None, stamps: Iterable[Stamp], now: Instant) -> list[Stamp]:
    """Those of some stamps that live: of a streak the run up to its last period, while the next one
    is not over.
    """
    if terms is None or not terms.every:
        return sorted((stamp for stamp in stamps if stamp.ends_at > now), key=_age)
    run: list[Stamp] = []
    for stamp in sorted(stamps, key=_slot, reverse=True):
        if run and period_after(stamp.slot) != run[-1].slot:
            break
        run.append(stamp)
    if not run:
        return []
    end = _streak_end(terms, run[0].slot)
    if end <= now:
        return []
    return [Stamp(stamp.slot, stamp.sources, stamp.at, end) for stamp in reversed(run)]


def _streak_end(terms: Stamps, slot: str) -> Instant:
    return period_end(period_after(slot), terms.zone)


def _complete(terms: Stamps, stamps: Sequence[Stamp]) -> list[Stamp]:
    """The first stamps, of these in order, that make a full card; none where they do not."""
    for first in range(len(stamps) - terms.collect + 1):
        chosen = list(stamps[first : first + terms.collect])
        if terms.every:
            fits = all(period_after(a.slot) == b.slot for a, b in pairwise(chosen))
        else:
            fits = min(stamp.ends_at for stamp in chosen) > chosen[-1].at
        if fits:
            return chosen
    return []


def _age(stamp: Stamp) -> tuple[Instant, str]:
    return stamp.at, stamp.slot


def _slot(stamp: Stamp) -> str:
    return stamp.slot


def _keep(
    draft: Draft,
    terms: Stamps,
    card: Card,
    full: Sequence[FullCard],
    *,
    stamps: list[Stamp] | None = None,
    filled: int | None = None,
    last: str | None = None,
) -> None:
    """Replaces a card, without the full ones that nothing undoes any more."""
    draft.cards = {
        **draft.cards,
        terms.id: Card(
            card.stamps if stamps is None else stamps,
            card.filled if filled is None else filled,
            card.last if last is None else last,
            [each for each in full if each.final_at > draft.effective_at],
        ),
    }


# A full card ----------------------------------------------------------------------------------


def _fill(draft: Draft, terms: Stamps, stamps: list[Stamp]) -> None:
    """Gives what a full card gives, and begins a new one with what is left in hand."""
    card = draft.cards[terms.id]
    counter = _counter(draft, terms)
    if counter:
        past = draft.day != draft.today and ended_before(counter.rpartition("/")[2], draft.today)
        draft.count(counter, 1, 0, past=past)
    postings = [
        accrue_whole(draft, currency, points, cause=terms.id)
        for currency, points in terms.points.items()
    ]
    announce_accrual(draft, "stamps", postings)
    for posting in postings:
        if posting.window:
            tiers.judge(draft, posting.currency, credited=posting.points, window=posting.window)
    given = give(draft, terms.rewards, how="gift", by=terms.id, occasion="stamps")
    rewards = [one.reward for one in given]
    for badge in terms.badges:
        badges.award(draft, badge, by=terms.id)
    final_at = after_span(draft.effective_at, draft.program.returns, draft.tz)
    full = FullCard(draft.effective_at, final_at, stamps, postings, rewards, counter)
    left = [stamp for stamp in card.stamps if stamp not in stamps]
    last = stamps[-1].slot if terms.every else ""
    _keep(draft, terms, card, [*card.full, full], stamps=left, filled=card.filled + 1, last=last)
    draft.announce("loyalty.stamp.filled.v1", {"card": terms.id, "times": card.filled + 1})


# What comes back ------------------------------------------------------------------------------


def take_back(draft: Draft, receipt: Receipt) -> None:
    """Takes back the stamps of which an order keeps too little now."""
    for terms in draft.program.stamps:
        if terms.id in draft.cards:
            _take_from_hand(draft, terms, receipt)
            for full in draft.cards[terms.id].full:
                if full.final_at > draft.effective_at:
                    _take_from_full(draft, terms, full, receipt)


def _standing(stamps: Sequence[Stamp], receipt: Receipt) -> list[Stamp]:
    """The stamps without the sources that the order no longer is."""
    stand = []
    for stamp in stamps:
        sources = [each for each in stamp.sources if _stands(each, receipt)]
        if len(sources) == len(stamp.sources):
            stand.append(stamp)
        elif sources:
            stand.append(Stamp(stamp.slot, sources, stamp.at, stamp.ends_at))
    return stand


def _stands(source: StampSource, receipt: Receipt) -> bool:
    return source.order != receipt.order or refunds.is_kept(receipt, source.least, source.lines)


def _take_from_hand(draft: Draft, terms: Stamps, receipt: Receipt) -> None:
    card = draft.cards[terms.id]
    stand = _standing(card.stamps, receipt)
    if stand == card.stamps:
        return
    hand = _in_hand(terms, stand, draft.effective_at)
    _keep(draft, terms, card, card.full, stamps=hand)
    if len(stand) < len(card.stamps):
        _tell(draft, terms, receipt, "taken")


def _take_from_full(draft: Draft, terms: Stamps, full: FullCard, receipt: Receipt) -> None:
    card = draft.cards[terms.id]
    stand = _standing(full.stamps, receipt)
    if stand == full.stamps:
        return
    others = [each for each in card.full if each is not full]
    if len(stand) == terms.collect:
        _keep(draft, terms, card, [*others, _with_stamps(full, stand)])
    elif terms.on_refund == "keep":
        _tell(draft, terms, receipt, "kept", full.rewards)
    elif replaced := _complete(terms, pool := _pool(terms, stand, card.stamps)):
        hand = _in_hand(terms, [s for s in pool if s not in replaced], draft.effective_at)
        last = max(card.last, replaced[-1].slot) if terms.every else ""
        again = _with_stamps(full, replaced)
        _keep(draft, terms, card, [*others, again], stamps=hand, last=last)
        _tell(draft, terms, receipt, "replaced")
    else:
        hand = _in_hand(terms, pool, draft.effective_at)
        last = max((e.stamps[-1].slot for e in others), default="") if terms.every else ""
        _keep(draft, terms, card, others, stamps=hand, filled=card.filled - 1, last=last)
        _undo(draft, full, receipt)
        _tell(draft, terms, receipt, "undone", full.rewards)


def _pool(terms: Stamps | None, stand: Sequence[Stamp], hand: Sequence[Stamp]) -> list[Stamp]:
    """What is left of a full card and what is in hand, in order, one stamp for each slot."""
    by_slot: dict[str, Stamp] = {}
    for stamp in (*stand, *hand):
        held = by_slot.get(stamp.slot)
        by_slot[stamp.slot] = _merged(held, stamp) if held else stamp
    every = terms is not None and bool(terms.every)
    return sorted(by_slot.values(), key=_slot if every else _age)


def _undo(draft: Draft, full: FullCard, receipt: Receipt) -> None:
    """Takes back the points that a card gave. Rewards and badges stay, and the event names them."""
    for posting in full.postings:
        refunds.take_back(draft, posting, order=receipt.order, reason="stamp_returned")
    if full.counter:
        past = ended_before(full.counter.rpartition("/")[2], draft.today)
        draft.count(full.counter, -1, 0, past=past)
    if full.postings:
        clawed: dict[str, int] = {}
        for posting in full.postings:
            clawed[posting.currency] = clawed.get(posting.currency, 0) + posting.points
        draft.announce(
            "loyalty.points.clawed-back.v1",
            {"order": receipt.order, "reason": "stamp_returned", "points": clawed},
        )


def _tell(
    draft: Draft, terms: Stamps, receipt: Receipt, outcome: str, rewards: Sequence[str] = ()
) -> None:
    told: dict[str, Any] = {
        "card": terms.id,
        "order": receipt.order,
        "outcome": outcome,
        "collected": len(draft.cards[terms.id].stamps),
        "of": terms.collect,
    }
    draft.trace.setdefault("stamps", []).append(told)
    kept = {"rewards_kept": list(rewards)} if rewards else {}
    draft.announce("loyalty.stamp.returned.v1", told | kept)


# Two members who are one ----------------------------------------------------------------------


def absorb(draft: Draft, cards: Mapping[str, Card], member: str) -> None:
    """Adds the cards of a member whose account becomes part of this one. A full hand is handed in
    with the next stamp.
    """
    known = {terms.id: terms for terms in draft.program.stamps}
    joined = dict(draft.cards)
    for name, card in cards.items():
        terms = known.get(name)
        of_slots = terms is not None and bool(terms.every or terms.different)
        theirs = card if of_slots else _renamed(card, member)
        held = joined.get(name, _NEW)
        full = sorted((*held.full, *theirs.full), key=_final)
        last = max(held.last, theirs.last)
        hand = _pool(terms, held.stamps, theirs.stamps)
        if terms is not None and terms.every:
            hand = [stamp for stamp in hand if stamp.slot > last]
        live = [each for each in full if each.final_at > draft.effective_at]
        joined[name] = Card(
            _in_hand(terms, hand, draft.effective_at), held.filled + theirs.filled, last, live
        )
    draft.cards = joined


def _renamed(card: Card, member: str) -> Card:
    """The card with slots that no row of another journal fills."""
    full = [_with_stamps(each, _of(each.stamps, member)) for each in card.full]
    return Card(_of(card.stamps, member), card.filled, card.last, full)


def _of(stamps: Sequence[Stamp], member: str) -> list[Stamp]:
    return [Stamp(f"{each.slot}@{member}", each.sources, each.at, each.ends_at) for each in stamps]


def _final(full: FullCard) -> Instant:
    return full.final_at


# Time -----------------------------------------------------------------------------------------


def lapse(draft: Draft, name: str) -> None:
    """Ends the stamps of a card whose time is over."""
    card = draft.cards[name]
    left = [stamp for stamp in card.stamps if stamp.ends_at > draft.effective_at]
    draft.cards = {**draft.cards, name: Card(left, card.filled, card.last, card.full)}
    draft.announce(
        "loyalty.stamp.lapsed.v1",
        {"card": name, "lapsed": len(card.stamps) - len(left), "collected": len(left)},
    )


def settle(draft: Draft) -> None:
    """Forgets the stamps of full cards that nothing undoes any more."""
    now = draft.effective_at
    if any(full.final_at <= now for card in draft.cards.values() for full in card.full):
        draft.cards = {
            name: Card(
                card.stamps, card.filled, card.last, [f for f in card.full if f.final_at > now]
            )
            for name, card in draft.cards.items()
        }


def postings_of(account: Account) -> list[Posting]:
    """What full cards gave that a return may still take back."""
    return [
        posting
        for card in account.cards.values()
        for full in card.full
        for posting in full.postings
    ]


def counters_of(account: Account) -> list[str]:
    """The uses of limits that a return may still give back."""
    return [full.counter for card in account.cards.values() for full in card.full if full.counter]
