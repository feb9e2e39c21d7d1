"""Whatever has happened to members, what is exported of them can be taken in, and is the same."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from services.loyalty.application.exporting import (
    EXPORTED,
    Deferred,
    Export,
    Leaver,
    Rows,
    may_come_back,
    windows_named,
)
from services.loyalty.application.opening_columns import FILES
from services.loyalty.application.opening_files import OpeningFiles
from services.loyalty.application.shadow import balance
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import AnyBody, Cancelled, HoldVoided, Refunded
from services.loyalty.domain.books import WINDOW_PREFIX
from services.loyalty.domain.calendar import DAY, Instant, local_date
from services.loyalty.domain.opening_mistakes import mistakes
from services.loyalty.domain.periods import ended_before
from services.loyalty.domain.program import Limit, Program, Reward
from services.loyalty.domain.receipt import decode_receipt
from services.loyalty.domain.tiers import level_now, period_end
from tests.loyalty.domain.shop import Shop, base, end_of_month, points, programme
from tests.loyalty.lives import MEMBERS, PROGRAMMES, START, bodies, changed, refunds

CAREFUL = settings(
    max_examples=80,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
lives = st.lists(
    st.tuples(st.sampled_from(MEMBERS), bodies, st.sampled_from([0, 0, 0.3, 1, 2, 7, 14, 30])),
    min_size=3,
    max_size=25,
)


def _exported(shop: Shop, program: Program, now: Instant) -> tuple[Export, Rows]:
    made, store = Export(program, now, Deferred(None)), shop.store
    rows: Rows = {file: [] for file in FILES}
    for member in sorted(store.accounts):
        account = store.account(member)
        if account.status not in EXPORTED:
            continue
        receipts = [
            decode_receipt(doc) for (who, _), doc in store.receipts.items() if who == member
        ]
        kept = [each for each in receipts if may_come_back(program, account, each, now)]
        windows = {
            key.removeprefix(WINDOW_PREFIX): store.history[member, key][1]
            for key in windows_named(account, kept)
            if (member, key) in store.history
        }
        for file, found in made.rows(Leaver(member, account, kept, windows)).items():
            rows[file] += found
    return made, rows


def _taken_in(rows: Rows, program: Program, now: Instant, versions: Sequence[Program]) -> Shop:
    shop = Shop(*versions)
    shop.clock.at = now
    with tempfile.TemporaryDirectory() as folder:
        for file, columns in FILES.items():
            with (Path(folder) / f"{file}.csv").open("w", newline="") as text:
                csv.writer(text).writerows([list(columns), *rows[file]])
        files = OpeningFiles(Path(folder), program)
        assert not list(files.unfit())
        files.learn()
        for comer in files.comers():
            assert not comer.bad, [str(row) for row in comer.bad]
            assert comer.body is not None
            found = list(mistakes(program, comer.body, now))
            assert not found, [str(comer.row_of(each)) for each in found]
            [outcome] = shop.records(comer.incoming(now))
            assert outcome.status == "accepted"
    return shop


def _told(account: Account, program: Program, now: Instant) -> dict[str, Any]:
    """What a member would notice."""
    standing = account.standing
    return {
        "status": account.status,
        "balances": {name: balance(program, account, name, now) for name in program.currencies},
        "level": level_now(program, standing.level),
        "kept": period_end(standing) if len({r.level for r in standing.reaches}) < 2 else 0,
        "grace": standing.grace_until,
        "purchases": account.purchases,
        "blocked": sorted(account.affairs.blocked),
        "redeemed": {
            key: times
            for key, (times, _) in account.counters.items()
            if key.startswith("reward:") and times
            if not ended_before(key.rpartition("/")[2], local_date(now, program.zone))
        },
    }


def _lived(versions: Sequence[Program], life: Sequence[tuple[str, AnyBody, float]]) -> Shop:
    """Members to whom a life has happened, and what was due by its end."""
    shop, at = Shop(*versions), START + 2 * DAY
    for member in MEMBERS:
        shop.enrols(member, "2010-12-02")
    for member, body, days in life:
        at += int(days * DAY)
        shop.clock.at = max(shop.clock.at, at)
        shop.records(shop.incoming(member, body, at))
    shop.waits_until(shop.clock.at)
    return shop


def _void_holds(shop: Shop) -> None:
    for member in MEMBERS:
        for hold in shop.store.account(member).holds:
            [outcome] = shop.records(shop.incoming(member, HoldVoided(hold.id), shop.clock.at))
            assert outcome.status == "accepted"


@CAREFUL
@given(which=st.sampled_from(range(len(PROGRAMMES))), changes=st.booleans(), life=lives)
def test_whatever_happened_members_come_back_as_they_were(
    which: int, changes: bool, life: list[tuple[str, AnyBody, float]]
) -> None:
    program = PROGRAMMES[which]
    versions = [program, changed(program)] if changes else [program]
    shop = _lived(versions, life)
    now = shop.clock.at
    latest = shop.programs.at(now)
    first, rows = _exported(shop, latest, now)
    again = _taken_in(rows, latest, now, versions)
    again.proves()
    assert not first.left_out["points of a referral under way"]
    _void_holds(shop)
    for member in again.store.accounts:
        was, now_is = shop.store.account(member), again.store.account(member)
        assert _told(now_is, latest, now) == _told(was, latest, now)
    second, others = _exported(again, latest, now)
    assert second.points == first.points
    assert others == rows


@CAREFUL
@given(
    which=st.sampled_from(range(len(PROGRAMMES))),
    life=lives,
    choice=st.integers(0, 9),
    back=st.one_of(refunds, st.builds(Cancelled, st.just("o1"))),
    later=st.sampled_from([0, 0, 1]),
)
def test_what_comes_back_later_takes_as_much_as_it_would_have_taken(
    which: int,
    life: list[tuple[str, AnyBody, float]],
    choice: int,
    back: Refunded | Cancelled,
    later: int,
) -> None:
    """Stamps and what levels gave, which do not come along, left aside."""
    program = replace(PROGRAMMES[which], stamps=())
    assert program.tiers is not None
    levels = tuple(replace(each, points={}, rewards=()) for each in program.tiers.levels)
    program = replace(program, tiers=replace(program.tiers, levels=levels))
    shop = _lived([program], life)
    now = shop.clock.at
    _, rows = _exported(shop, program, now)
    bought = [(row[0], row[1]) for row in rows["purchases"]]
    if not bought:
        return
    member, order = bought[choice % len(bought)]
    again = _taken_in(rows, program, now, [program])
    for hold in shop.store.account(member).holds:
        shop.records(shop.incoming(member, HoldVoided(hold.id), now))
    for each in (shop, again):
        each.waits_until(now + later * DAY)
        body = structs.replace(back, order=order)
        each.records(each.incoming(member, body, each.clock.at))
    was, now_is = shop.store.account(member), again.store.account(member)
    at = shop.clock.at
    assert _told(now_is, program, at) == _told(was, program, at)


def test_what_a_hold_took_of_a_limit_is_given_back_with_its_points() -> None:
    mug = Reward("mug", 80, "points", limit=Limit("month", times=2))
    shop = Shop(programme(base(), points(), rewards={"mug": mug}))
    ada = shop.enrols("ada")
    ada.buys("o1", 300_00)
    ada.redeems("mug")
    ada.holds(reward="mug")
    made, rows = _exported(shop, shop.programs.at(shop.clock.at), shop.clock.at)
    assert made.points == {("points", "available"): 220}
    assert rows["counters"] == [["ada", "reward:mug/2010-12", "1", "0"]]


def test_points_on_hold_whose_lot_has_expired_are_left_out_and_said() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(1))))
    ada = shop.enrols("ada")
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.holds(60, at="2011-02-27", ttl_s=7 * 86_400)
    shop.waits_until("2011-03-03")
    made, rows = _exported(shop, shop.programs.at(shop.clock.at), shop.clock.at)
    assert not made.points
    assert not rows["lots"]
    assert made.left_out["points on hold whose lots have expired"] == 60
    assert made.left_out["open holds, whose points are written as available"] == 1
