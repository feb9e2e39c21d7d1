"""What the demonstration makes up, and the messages that it sends."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import msgspec
import pytest

import services.demo.data
from services.demo.orders import Purchase, Sale, SoldLine, to_sales
from services.demo.retail import read_file
from services.demo.script import Act, Engagement, Enrolment, Segmentation, Wish, acts, share
from services.demo.timeline import MADE_UP_SOURCE, SHOP, Post, happenings, rubbish
from services.loyalty.application.contract import INCOMING, Envelope
from services.loyalty.domain.calendar import DAY, MINUTE

START = 1_291_190_400_000_000


def shop(members: int = 40, orders: int = 6) -> list[Sale]:
    """A purchase of every member every twenty days, and of some only at the start."""
    made: list[Sale] = []
    for n in range(members * orders):
        order, member = divmod(n, members)
        if member % 4 and order:
            continue
        lines = (SoldLine(1, "POST", 1, 500), SoldLine(2, f"sku-{n}", 2, 1250))
        at = START + order * 20 * DAY + member * MINUTE
        made.append(Purchase(f"o{n}", f"m{member}", at, "France", lines))
    return made


def of_kind(made: list[Act], kind: type[Act]) -> list[Act]:
    return [act for act in made if isinstance(act, kind)]


def test_the_same_sales_have_the_same_script() -> None:
    assert acts(shop(), ["five-off"]) == acts(shop(), ["five-off"])
    assert share("a", "b") == share("a", "b") != share("ab", "")


def test_a_member_enrols_once_and_before_the_first_purchase() -> None:
    enrolments = of_kind(acts(shop(), []), Enrolment)
    assert Counter(act.member for act in enrolments) == {f"m{n}": 1 for n in range(40)}
    assert all(act.at == START + int(act.member[1:]) * MINUTE - MINUTE for act in enrolments)


def test_birthdays_are_made_up_for_most_and_some_do_not_tell() -> None:
    enrolments = [act for act in acts(shop(400, 1), []) if isinstance(act, Enrolment)]
    told = [act.born_on for act in enrolments if act.born_on]
    assert 300 < len(told) < 400
    assert all(date(1940, 1, 1) <= born <= date(1996, 1, 1) for born in told)
    assert len({born.month for born in told}) == 12


def test_engagements_are_about_goods_and_nothing_comes_after_the_last_sale() -> None:
    sales = shop(200)
    made = acts(sales, ["five-off"])
    about = {act.about for act in made if isinstance(act, Engagement)}
    assert "POST" not in about
    assert len(about) > 10
    assert all(act.at <= sales[-1].at for act in made)
    assert [act.at for act in made] == sorted(act.at for act in made)


def test_who_has_not_bought_for_sixty_days_is_called_lapsed_once() -> None:
    lapses = of_kind(acts(shop(), []), Segmentation)
    quiet = {f"m{n}": 1 for n in range(40) if n % 4}
    assert Counter(act.member for act in lapses) == quiet


def test_most_wishes_are_for_all_that_points_buy_and_some_for_one_reward() -> None:
    wishes = [act for act in acts(shop(400), ["five-off", "mug"]) if isinstance(act, Wish)]
    assert {act.reward for act in wishes} == {"", "five-off", "mug"}
    assert sum(not act.reward for act in wishes) > len(wishes) / 2
    assert len({act.member for act in wishes}) < 150


def test_every_message_has_the_shape_of_the_contract_and_says_whether_it_is_made_up() -> None:
    sales = shop()
    sources: dict[str, str] = {}
    for each in happenings(sales, acts(sales, ["five-off"])):
        if not isinstance(each, Post):
            continue
        envelope = msgspec.json.decode(each.value, type=Envelope)
        fields = msgspec.json.decode(envelope.data, type=INCOMING[envelope.type])
        assert fields.member_id == each.member
        sources[envelope.type.split(".")[1]] = envelope.source
    assert sources == {"purchase": SHOP, "member": MADE_UP_SOURCE, "engagement": MADE_UP_SOURCE}


def test_happenings_come_in_order_of_time_with_the_enrolment_first() -> None:
    sales = shop()
    made = list(happenings(sales, acts(sales, ["five-off"])))
    assert [each.at for each in made] == sorted(each.at for each in made)
    seen: set[str] = set()
    for each in made:
        assert each.member in seen or b"commerce.member.enrolled" in getattr(each, "value", b"")
        seen.add(each.member)


def test_some_messages_are_sent_twice_byte_for_byte() -> None:
    sales = shop(300)
    posts = [each for each in happenings(sales, acts(sales, [])) if isinstance(each, Post)]
    twice = [value for value, times in Counter(p.value for p in posts).items() if times > 1]
    assert 0 < len(twice) < len(posts) / 20


def test_rubbish_is_none_that_the_contract_allows() -> None:
    for post in rubbish(START):
        with pytest.raises((msgspec.DecodeError, KeyError, AssertionError)):
            _judge(post)


def _judge(post: Post) -> None:
    envelope = msgspec.json.decode(post.value, type=Envelope)
    fields = msgspec.json.decode(envelope.data, type=INCOMING[envelope.type])
    assert "@" not in fields.member_id
    assert b"POUNDS" not in post.value


def test_the_bundled_sales_hold_what_they_are_known_for() -> None:
    directory = Path(services.demo.data.__file__).parent
    sales, tally = to_sales(read_file(directory / "online-retail-slice.csv.gz"))
    assert (tally.members, tally.purchases, tally.cancellations) == (2767, 7410, 28)
    assert tally.guest_lines_left_out > 10_000
    first, second = [sale for sale in sales if sale.member == "12346"]
    assert isinstance(first, Purchase)
    assert sum(line.quantity * line.unit_price for line in first.lines) == 7_718_360
    assert second.at - first.at == 16 * MINUTE
