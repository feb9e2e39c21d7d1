"""The next due moment of an account, as it is known without looking at all that it has."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.loyalty.application.programs import Programs
from services.loyalty.domain.account import Account, Lot
from services.loyalty.domain.activity import Enrolled
from services.loyalty.domain.calendar import DAY, NEVER, QUARTER, Instant
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import NO_FACTS
from services.loyalty.domain.moments import due_after, due_at, due_by
from services.loyalty.domain.program import Expiry, Span, Window
from tests.loyalty.domain.shop import Member, Shop, at, base, both, points, programme, status, tiers

NOW = at("2011-03-20 12:00")
"""A week before the clocks change."""

ahead = st.integers(1, 14 * DAY // QUARTER).map(lambda quarters: NOW + quarters * QUARTER)
lots = st.builds(
    Lot,
    st.just("points"),
    st.just("2011-02"),
    st.one_of(ahead, st.just(NEVER)),
    st.one_of(st.just(0), ahead, st.just(NEVER)),
    st.just(""),
    st.just(10),
    st.just(10),
)
notices = st.lists(st.integers(1, 9), max_size=3, unique=True).map(tuple)


LATE = Lot("points", "2011-02", at("2011-03-25 23:45"), 0, "", 10, 10)
"""Ends so late in the day that a notice one day ahead comes nearly two days before it."""


@settings(max_examples=400)
@example(lots=[LATE], notices=(1,), due=at("2011-03-24 12:00"))
@given(lots=st.lists(lots, max_size=4), notices=notices, due=st.one_of(st.none(), ahead))
def test_of_lots_the_first_moment_is_known_to_the_instant(
    lots: list[Lot], notices: tuple[int, ...], due: Instant | None
) -> None:
    terms = points(expiry=Expiry(Span(days=90), at="exact", notices=notices))
    programs = Programs([programme(base(), terms)])
    account = Account(status="active", as_of=NOW, enrolled_at=NOW - DAY, lots=lots)
    exact = due_at(programs, account, None) or NEVER
    assert (due_by(programs, account, None) or NEVER) == exact
    assert (due_after(programs, account, None, due) or NEVER) == min(due or NEVER, exact)


def silver() -> Member:
    """Silver until 14 May. What she bought this year will keep it, so that no warning is due, and
    the scheduler has seen that.
    """
    terms = tiers(kept=Span(days=90), refund="at_end", warn_days=(30, 9))
    shop = Shop(programme(both(), status(Window("calendar_year")), terms))
    ada = shop.enrols("ada", "2011-01-01")
    ada.buys("o1", 600_00, at="2011-01-12")
    ada.buys("o2", 600_00, at="2011-02-12")
    shop.waits_until("2011-05-01")
    return ada


def reschedules(ada: Member) -> bool:
    """Whether the last decision about her did."""
    return ada.shop.store.decisions[ada.name, ada.account.seq].reschedules


def test_a_refund_brings_the_warning_that_was_not_due_before_it() -> None:
    ada = silver()
    seen = ada.shop.store.accounts["ada"].due_at
    ada.returns("o2", amount=600_00, at="2011-05-02")
    assert not reschedules(ada)
    assert seen == at("2011-05-14 00:00")
    assert ada.shop.store.accounts["ada"].due_at == at("2011-05-05 00:00")


def test_a_purchase_leaves_all_but_points_counts_and_the_tier_as_it_was() -> None:
    ada = silver()
    ada.buys("o3", 900_00, at="2011-05-02")
    assert not reschedules(ada)
    ada.holds(5, at="2011-05-03")
    assert reschedules(ada)


MOVES_BY_ITSELF = {
    "seq",
    "as_of",
    "recorded_at",
    "lots",
    "arrears",
    "windows",
    "standing",
    "counters",
    "purchases",
    "ticked",
}
"""Of the working state, what the next due moment is followed through."""


@pytest.mark.as_written
@pytest.mark.parametrize("field", sorted(set(Account.__struct_fields__) - MOVES_BY_ITSELF))
def test_a_change_of_anything_else_has_the_next_moment_looked_for(field: str) -> None:
    activity = Activity(Enrolled(), NOW, NOW)
    draft = Draft(
        programme(base()), Account(), activity, NO_FACTS, occurred_at=NOW, effective_at=NOW
    )
    assert not draft.finish("accepted").reschedules
    setattr(draft, "open_vouchers" if field == "vouchers" else field, object())
    assert draft.finish("accepted").reschedules
