"""Intake: what becomes an activity, and what is refused for good, with which code."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.loyalty.application.bodies import MAX_AMOUNT
from services.loyalty.application.contract import INCOMING, MAX_LINES
from services.loyalty.application.intake import (
    DERIVED_SOURCE,
    IMPORT_SOURCE,
    LIMITS,
    MAX_BATCH,
    Limits,
    event_digest,
    read_batch,
    read_event,
)
from services.loyalty.application.refusal import CODES, Unacceptable
from services.loyalty.application.store import Incoming, ProfilePatch
from services.loyalty.domain import activity as domain
from services.loyalty.domain.calendar import DAY, SECOND, Instant
from services.loyalty.domain.money import ImpossibleAmount, UnknownCurrency, minor_units
from tests.loyalty.application.events import EVENTS, cloud_event, raw_of

NOW: Instant = 1_291_200_000_000_000  # 2010-12-01T10:40:00Z
AT: Instant = 1_291_191_960_000_000  # 2010-12-01T08:26:00Z, the time of every event here

PURCHASE = EVENTS["commerce.purchase.completed.v1"]
REFUND = EVENTS["commerce.purchase.refunded.v1"]


def read(event: dict[str, Any], **more: Any) -> Incoming:
    return read_event(raw_of(event), now=NOW, **more)


def refusal_of(raw: bytes | None, **more: Any) -> Unacceptable:
    with pytest.raises(Unacceptable) as caught:
        read_event(raw, now=NOW, **more)
    return caught.value


def changed(event: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> bytes:
    """The event after a change to its data."""
    copy = deepcopy(event)
    change(copy["data"])
    return raw_of(copy)


def with_member(member: object) -> bytes:
    return changed(PURCHASE, lambda data: data.update(member_id=member))


# What is read ----------------------------------------------------------------------------------


def test_a_purchase_becomes_lines_in_minor_units() -> None:
    incoming = read(PURCHASE)
    assert incoming.member == "17850"
    assert incoming.profile is None
    assert incoming.activity.occurred_at == AT
    assert incoming.activity.recorded_at == 0
    assert (incoming.activity.source, incoming.activity.id) == ("/shop", "e-1")
    assert incoming.activity.body == domain.Purchased(
        order="536365",
        currency="GBP",
        lines=[
            domain.Line(1, "85123A", 6, 255, 0, 255, "home", "lanterns"),
            domain.Line(2, "71053", 6, 339, 200),
        ],
        discount=150,
        shipping=495,
        prepaid=500,
        channel="web",
        store="uk",
        payment="card",
    )


BODIES: dict[str, domain.AnyBody] = {
    "commerce.purchase.delivered.v1": domain.Delivered("536365"),
    "commerce.purchase.amended.v1": domain.Amended(
        "536365", "GBP", [domain.Line(1, "85123A", 4, 255)]
    ),
    "commerce.purchase.cancelled.v1": domain.Cancelled("536365", "fraud"),
    "commerce.purchase.refunded.v1": domain.Refunded(
        "536365", "GBP", [domain.RefundLine(1, 2, 0), domain.RefundLine(2, 0, 339)], 100
    ),
    "commerce.engagement.recorded.v1": domain.Engaged("product.reviewed", "web", "85123A"),
    "commerce.member.enrolled.v1": domain.Enrolled("web", "HARBOUR-7K2"),
    "commerce.member.updated.v1": domain.ProfileUpdated(["born_on", "language"]),
    "commerce.member.segmented.v1": domain.Segmented(
        "lapsed", 1_291_161_600_000_000, 1_293_840_000_000_000
    ),
    "commerce.member.erased.v1": domain.StatusChanged("erased", "member_request"),
    "commerce.member.merged.v1": domain.MergeRequested("", "17850", "12346", "duplicate"),
    "commerce.member.pool-joined.v1": domain.PoolJoinRequested("17850", "pool-7", True),
    "commerce.member.pool-left.v1": domain.PoolLeaveRequested(),
}


@pytest.mark.parametrize("name", BODIES)
def test_every_other_event_becomes_the_body_that_it_means(name: str) -> None:
    assert read(EVENTS[name]).activity.body == BODIES[name]


def test_every_incoming_event_is_tried_here() -> None:
    assert set(EVENTS) == set(INCOMING) == {*BODIES, "commerce.purchase.completed.v1"}


def test_personal_data_goes_to_the_profile_and_not_into_the_body() -> None:
    incoming = read(EVENTS["commerce.member.enrolled.v1"])
    assert incoming.profile == ProfilePatch(date(1976, 2, 29), "en-GB")
    assert b"1976" not in domain.encode_body(incoming.activity.body)
    assert b"en-GB" not in domain.encode_body(incoming.activity.body)


def test_an_update_leaves_what_it_does_not_name() -> None:
    raw = changed(EVENTS["commerce.member.updated.v1"], lambda data: data.pop("born_on"))
    incoming = read_event(raw, now=NOW)
    assert incoming.profile == ProfilePatch(None, "en-GB")
    assert incoming.activity.body == domain.ProfileUpdated(["language"])


def test_an_update_of_what_we_do_not_keep_changes_no_profile() -> None:
    raw = raw_of(cloud_event("commerce.member.updated.v1", member_id="1", shoe_size=43))
    assert read_event(raw, now=NOW).profile is None


def test_an_erasure_destroys_the_profile() -> None:
    assert read(EVENTS["commerce.member.erased.v1"]).profile == ProfilePatch(erase=True)


def test_a_segment_without_times_starts_with_its_event_and_has_no_end() -> None:
    event = cloud_event("commerce.member.segmented.v1", member_id="1", segment="vip")
    assert read(event).activity.body == domain.Segmented("vip", AT, 0)


def test_a_member_leaves_a_segment_by_an_end_that_is_its_start() -> None:
    now = "2010-12-01T08:26:00Z"
    event = cloud_event("commerce.member.segmented.v1", member_id="1", segment="a", ends_at=now)
    assert read(event).activity.body == domain.Segmented("a", AT, AT)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2010-12-01T09:26:00+01:00", AT),
        ("2010-12-01T08:26:00.000001Z", AT + 1),
        ("2010-12-01t08:26:00z", AT),
    ],
)
def test_a_time_is_an_instant_whatever_its_offset(text: str, at: Instant) -> None:
    assert read(PURCHASE | {"time": text}).activity.occurred_at == at


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "application/vnd.shop+json"])
def test_data_may_say_that_it_is_json_in_any_of_the_usual_ways(given: str) -> None:
    assert read(PURCHASE | {"datacontenttype": given}).member == "17850"


def test_a_yen_has_no_places_and_a_dinar_three() -> None:
    lines = [{"position": 1, "sku": "a", "quantity": 1, "unit_price": "1.234"}]
    event = cloud_event(
        "commerce.purchase.completed.v1", member_id="1", order_id="1", currency="KWD", lines=lines
    )
    body = read(event).activity.body
    assert isinstance(body, domain.Purchased)
    assert body.lines[0].unit_price == 1234
    event["data"]["currency"] = "JPY"
    assert refusal_of(raw_of(event)).code == "impossible_amount"


# Identity and content -----------------------------------------------------------------------------


def test_the_digest_stands_for_source_and_id_together() -> None:
    assert read(PURCHASE).event_digest == event_digest("/shop", "e-1")
    assert len(event_digest("/shop", "e-1")) == 16
    assert event_digest("a", "b/c") != event_digest("a/b", "c")
    assert event_digest("/shop", "e-1") != event_digest("/shop", "e-2")


def test_content_is_what_was_meant_and_not_how_it_was_written() -> None:
    other = deepcopy(PURCHASE)
    other["data"] = dict(reversed(other["data"].items())) | {"unknown": [1, {"a": None}]}
    other |= {"subject": "x", "traceparent": "y", "time": "2010-12-01T09:26:00+01:00"}
    spaced = json.dumps(other, indent=3).encode()
    assert read_event(spaced, now=NOW).content == read(PURCHASE).content


def test_an_empty_text_and_none_are_the_same_content() -> None:
    raw = changed(PURCHASE, lambda data: data["lines"][1].update(category=""))
    assert read_event(raw, now=NOW).content == read(PURCHASE).content


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(order_id="536366"),
        lambda data: data["lines"][0].update(quantity=7),
        lambda data: data["lines"].reverse(),
        lambda data: data.pop("channel"),
    ],
)
def test_other_content_is_other_content(change: Callable[[dict[str, Any]], object]) -> None:
    assert read_event(changed(PURCHASE, change), now=NOW).content != read(PURCHASE).content


def test_the_time_and_the_type_are_part_of_the_content() -> None:
    later = PURCHASE | {"time": "2010-12-01T08:26:01Z"}
    assert read(later).content != read(PURCHASE).content
    delivered = EVENTS["commerce.purchase.delivered.v1"]
    as_cancelled = delivered | {"type": "commerce.purchase.cancelled.v1"}
    assert read(delivered).content != read(as_cancelled).content


def test_content_holds_the_personal_data_too_because_only_a_keyed_digest_of_it_is_kept() -> None:
    enrolled = EVENTS["commerce.member.enrolled.v1"]
    other = changed(enrolled, lambda data: data.update(born_on="1976-02-28"))
    assert read_event(other, now=NOW).content != read(enrolled).content


# What is no event ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"  ",
        b"rubbish",
        b"{",
        b'{"a":NaN}',
        b'{"a":01}',
        raw_of(PURCHASE) + b"x",
        raw_of(PURCHASE)[:-1],
        b"\xef\xbb\xbf" + raw_of(PURCHASE),
        raw_of(PURCHASE).replace(b"web", b"w\xffb"),
        raw_of(PURCHASE | {"ignored": "here"}).replace(b"here", b"\xc3("),
        raw_of(PURCHASE).replace(b"web", b"w\\ud800b"),
        raw_of(PURCHASE).replace(b"web", b"w\x00b"),
        json.dumps(PURCHASE).encode("utf-16"),
    ],
)
def test_what_is_not_json_in_utf8_is_refused(raw: bytes | None) -> None:
    assert refusal_of(raw).code == "not_json"


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"[]",
        b"42",
        b"{}",
        raw_of({k: v for k, v in PURCHASE.items() if k != "id"}),
        raw_of({k: v for k, v in PURCHASE.items() if k != "source"}),
        raw_of({k: v for k, v in PURCHASE.items() if k != "type"}),
        raw_of(PURCHASE | {"specversion": "0.3"}),
        raw_of(PURCHASE | {"specversion": 1.0}),
        raw_of(PURCHASE | {"id": ""}),
        raw_of(PURCHASE | {"id": 7}),
        raw_of(PURCHASE | {"id": "x" * 257}),
        raw_of(PURCHASE | {"source": None}),
        raw_of(PURCHASE | {"datacontenttype": "text/plain"}),
    ],
)
def test_what_is_not_a_cloudevent_is_refused(raw: bytes) -> None:
    assert refusal_of(raw).code == "not_a_cloudevent"


@pytest.mark.parametrize("version", ["ada@example.org", "1.0\0", "it's 'quoted' - at `$.x`"])
def test_a_refusal_never_repeats_what_was_sent(version: str) -> None:
    refusal = refusal_of(raw_of(PURCHASE | {"specversion": version}))
    assert (refusal.code, refusal.detail) == ("not_a_cloudevent", "specversion: Invalid enum value")


def test_an_unknown_type_is_refused_and_named() -> None:
    refusal = refusal_of(raw_of(PURCHASE | {"type": "commerce.purchase.completed.v2"}))
    assert refusal.code == "unknown_type"
    assert "commerce.purchase.completed.v2" in refusal.detail


def test_two_mebibytes_of_rubbish_are_refused_unread() -> None:
    assert refusal_of(b"\xff" * (2 << 20)).code == "too_large"


def test_the_largest_event_is_a_setting() -> None:
    raw = raw_of(PURCHASE)
    assert read_event(raw, now=NOW, limits=Limits(size_bytes=len(raw))).member == "17850"
    assert refusal_of(raw, limits=Limits(size_bytes=len(raw) - 1)).code == "too_large"


@pytest.mark.parametrize("place", ["data", "data_ignored"])
def test_json_that_is_nested_too_deep_is_refused(place: str) -> None:
    raw = raw_of(PURCHASE | {place: 0})
    deep = b"[" * 100_000 + b"]" * 100_000
    assert refusal_of(raw.replace(f'"{place}":0'.encode(), f'"{place}":'.encode() + deep)).code == (
        "too_deep"
    )


@pytest.mark.parametrize("source", [DERIVED_SOURCE, IMPORT_SOURCE])
def test_nobody_may_call_himself_the_source_of_what_is_ours(source: str) -> None:
    assert refusal_of(raw_of(PURCHASE | {"source": source})).code == "reserved_source"


# Fields -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda data: data.pop("order_id"), "order_id"),
        (lambda data: data.update(order_id=""), "order_id"),
        (lambda data: data.update(order_id="x" * 129), "order_id"),
        (lambda data: data.update(order_id=536365), "order_id"),
        (lambda data: data.update(lines=None), "lines"),
        (lambda data: data.update(lines={}), "lines"),
        (lambda data: data.update(lines=[]), "lines"),
        (lambda data: data.update(lines=[7]), "lines"),
        (lambda data: data.update(discount=1.5), "discount"),
        (lambda data: data["lines"][0].pop("sku"), "sku"),
        (lambda data: data["lines"][0].update(quantity=0), "quantity"),
        (lambda data: data["lines"][0].update(quantity=-1), "quantity"),
        (lambda data: data["lines"][0].update(quantity=1.5), "quantity"),
        (lambda data: data["lines"][0].update(quantity="6"), "quantity"),
        (lambda data: data["lines"][0].update(quantity=True), "quantity"),
        (lambda data: data["lines"][0].update(quantity=10**30), "quantity"),
        (lambda data: data["lines"][0].update(unit_price=2.55), "unit_price"),
        (lambda data: data["lines"][0].update(unit_price=None), "unit_price"),
        (lambda data: data["lines"][0].update(position=-1), "position"),
        (lambda data: data.update(channel="we\0b"), "U+0000"),
    ],
)
def test_a_field_that_is_not_what_it_may_be_is_named(
    change: Callable[[dict[str, Any]], object], place: str
) -> None:
    refusal = refusal_of(changed(PURCHASE, change))
    assert refusal.code == "invalid_field"
    assert place in refusal.detail
    assert refusal.member == "17850"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("commerce.engagement.recorded.v1", "kind", ""),
        ("commerce.engagement.recorded.v1", "kind", "Loved It!"),
        ("commerce.engagement.recorded.v1", "kind", "reviewed\n"),
        ("commerce.purchase.cancelled.v1", "reason", "Mrs Smith changed her mind"),
        ("commerce.member.enrolled.v1", "language", "English, please"),
        ("commerce.member.enrolled.v1", "born_on", "29.02.1976"),
        ("commerce.member.enrolled.v1", "born_on", "1975-02-29"),
        ("commerce.member.enrolled.v1", "referred_by", "anna@example.org"),
        ("commerce.member.updated.v1", "language", None),
        ("commerce.member.segmented.v1", "starts_at", "2010-12-01"),
        ("commerce.member.segmented.v1", "starts_at", "2010-12-01T00:00:00"),
    ],
)
def test_a_field_that_must_be_a_code_or_a_date_is_one(name: str, field: str, value: object) -> None:
    refusal = refusal_of(changed(EVENTS[name], lambda data: data.update({field: value})))
    assert refusal.code == "invalid_field"
    assert field in refusal.detail


def test_an_event_without_data_or_time_is_refused() -> None:
    for missing in ("data", "time"):
        event = {name: value for name, value in PURCHASE.items() if name != missing}
        assert refusal_of(raw_of(event)).code == "invalid_field"
    assert refusal_of(raw_of(PURCHASE | {"data": []})).code == "invalid_field"


@pytest.mark.parametrize("text", ["yesterday", "2010-12-01", "2010-12-01T08:26:00", 1291191960, ""])
def test_a_time_says_its_offset(text: object) -> None:
    refusal = refusal_of(raw_of(PURCHASE | {"time": text}))
    assert refusal.code == "invalid_field"
    assert refusal.detail.startswith("time:")


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    raw = changed(PURCHASE, lambda data: data.update(channel="\\u0000"))
    body = read_event(raw, now=NOW).activity.body
    assert isinstance(body, domain.Purchased)
    assert body.channel == "\\u0000"


@pytest.mark.parametrize("field", ["id", "source"])
def test_no_name_of_an_event_contains_a_nul(field: str) -> None:
    assert refusal_of(raw_of(PURCHASE | {field: "a\0b"})).code == "invalid_field"


# Members ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", [None, ""])
def test_an_event_without_a_member_is_refused(member: object) -> None:
    assert refusal_of(with_member(member)).code == "no_member"
    assert refusal_of(changed(PURCHASE, lambda data: data.pop("member_id"))).code == "no_member"


def test_a_personal_member_id_is_refused_and_repeated_nowhere() -> None:
    refusal = refusal_of(with_member("anna@example.org"))
    assert refusal.code == "member_id_is_personal"
    assert refusal.member is None
    assert "anna" not in str(refusal)


def test_a_personal_member_id_is_refused_as_such_whatever_else_is_wrong() -> None:
    def spoil(data: dict[str, Any]) -> None:
        data.update(member_id="+44 20 7946 0958", lines=None)

    assert refusal_of(changed(PURCHASE, spoil)).code == "member_id_is_personal"


@pytest.mark.parametrize("member", [17850, ["17850"], "a/b", "a b", "..", "会员", "x" * 129])
def test_a_member_id_that_cannot_name_anyone_is_refused(member: object) -> None:
    refusal = refusal_of(with_member(member))
    assert refusal.code == "invalid_field"
    assert refusal.member is None


def test_the_key_of_the_message_is_the_member_id() -> None:
    assert read(PURCHASE, key=b"17850").member == "17850"
    refusal = refusal_of(raw_of(PURCHASE), key=b"17851")
    assert (refusal.code, refusal.member) == ("key_mismatch", "17850")


# Money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["lines"][0].update(unit_price="-2.55"),
        lambda data: data["lines"][0].update(unit_price="2.555"),
        lambda data: data["lines"][0].update(unit_price="1e3"),
        lambda data: data["lines"][0].update(unit_price="NaN"),
        lambda data: data["lines"][0].update(unit_price=""),
        lambda data: data["lines"][0].update(unit_price="2,55"),
        lambda data: data["lines"][0].update(unit_price="\u0662.\u0665"),
        lambda data: data["lines"][0].update(unit_price="10000000000.01", quantity=1),
        lambda data: data["lines"][0].update(unit_price="9" * 400),
        lambda data: data["lines"][0].update(quantity=1_000_000_000, unit_price="1000.00"),
        lambda data: data["lines"][0].update(discount="15.31"),
        lambda data: data["lines"][0].update(tax="15.31"),
        lambda data: data.update(discount="33.65"),
        lambda data: data.update(prepaid="37.10"),
        lambda data: data.update(shipping="10000000000.01"),
    ],
)
def test_an_impossible_amount_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    refusal = refusal_of(changed(PURCHASE, change))
    assert (refusal.code, refusal.member) == ("impossible_amount", "17850")


def test_amounts_may_be_the_whole_of_what_they_are_part_of() -> None:
    def take_all(data: dict[str, Any]) -> None:
        # 6 × 2.55 and 6 × 3.39 - 2.00 make 33.64
        data.update(discount="33.64", shipping="4.95", prepaid="4.95")

    assert read_event(changed(PURCHASE, take_all), now=NOW).member == "17850"


@pytest.mark.parametrize("currency", ["XYZ", "gbp", "", "POUNDS", "XXX", "G\0P"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    refusal = refusal_of(changed(PURCHASE, lambda data: data.update(currency=currency)))
    assert refusal.code == "unknown_currency"


def test_two_lines_never_share_a_position() -> None:
    for event in (PURCHASE, REFUND, EVENTS["commerce.purchase.amended.v1"]):
        raw = changed(event, lambda data: data["lines"].append(data["lines"][0]))
        assert refusal_of(raw).code == "duplicate_position"


def test_a_sku_may_come_twice() -> None:
    raw = changed(PURCHASE, lambda data: data["lines"][1].update(sku="85123A"))
    assert read_event(raw, now=NOW).member == "17850"


def test_an_order_has_no_more_lines_than_are_read() -> None:
    def lengthen(lines: int) -> bytes:
        line = {"sku": "a", "quantity": 1, "unit_price": "1.00"}
        long = [line | {"position": position} for position in range(lines)]
        return changed(PURCHASE, lambda data: data.update(lines=long))

    assert read_event(lengthen(MAX_LINES), now=NOW).member == "17850"
    assert refusal_of(lengthen(MAX_LINES + 1)).code == "too_many_lines"


@pytest.mark.parametrize(
    ("lines", "amount", "code"),
    [
        ([], "0", "invalid_field"),
        ([{"position": 1}], "0", "invalid_field"),
        ([{"position": 1, "quantity": -1}], "0", "invalid_field"),
        ([{"position": 1, "amount": "-1.00"}], "0", "impossible_amount"),
        ([], "10000000000.01", "impossible_amount"),
    ],
)
def test_a_refund_gives_something_back(lines: object, amount: str, code: str) -> None:
    raw = changed(REFUND, lambda data: data.update(lines=lines, amount=amount))
    assert refusal_of(raw).code == code


amounts = st.from_regex(r"[0-9]{1,13}(\.[0-9]{1,5})?", fullmatch=True) | st.text(
    st.sampled_from("0012345.-+ e_\u0662\uff11"), max_size=8
)


def priced(text: str, currency: str) -> int | str:
    """The price that an event says, or the code with which it is refused."""
    line = {"position": 1, "sku": "a", "quantity": 1, "unit_price": text}
    event = cloud_event(
        "commerce.purchase.amended.v1", member_id="1", order_id="1", currency=currency, lines=[line]
    )
    answer = answer_to(raw_of(event), None)
    if isinstance(answer, Unacceptable):
        return answer.code
    assert isinstance(answer.activity.body, domain.Amended)
    return answer.activity.body.lines[0].unit_price


@given(amounts, st.sampled_from(["GBP", "JPY", "KWD", "CLF", "XXX"]))
@example("0.00", "GBP")
@example("00.00", "GBP")
@example("9999999999.99", "GBP")
@example("999999999999.99", "GBP")
@example("1000000000000.00", "GBP")
@example("1.\uff10\uff10", "GBP")
def test_a_price_is_its_minor_units_however_it_is_written(text: str, currency: str) -> None:
    expected: int | str
    try:
        expected = minor_units(text, currency)
    except ImpossibleAmount:
        expected = "impossible_amount"
    except UnknownCurrency:
        expected = "unknown_currency"
    else:
        expected = expected if expected <= MAX_AMOUNT else "impossible_amount"
    assert priced(text, currency) == expected


# Dates --------------------------------------------------------------------------------------------


def at_instant(at: Instant, **more: Any) -> Incoming:
    """The purchase, read when our clock is so far from its time that the time is ``at`` now."""
    return read_event(raw_of(PURCHASE), now=AT - at, **more)


def test_a_time_may_lie_as_far_off_as_the_limits_say_and_no_further() -> None:
    for edge in (LIMITS.future_us, -LIMITS.past_us):
        assert at_instant(edge).activity.occurred_at == AT
    for beyond in (LIMITS.future_us + 1, -LIMITS.past_us - 1):
        with pytest.raises(Unacceptable, match="date_out_of_range"):
            at_instant(beyond)


def test_the_limits_are_settings() -> None:
    with pytest.raises(Unacceptable, match="date_out_of_range"):
        at_instant(2 * SECOND, limits=Limits(future_us=SECOND))
    with pytest.raises(Unacceptable, match="date_out_of_range"):
        at_instant(-2 * DAY, limits=Limits(past_us=DAY))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_the_calendar_are_out_of_range_and_nothing_worse(text: str) -> None:
    wide = Limits(future_us=2**62, past_us=2**62)
    assert refusal_of(raw_of(PURCHASE | {"time": text})).code == "date_out_of_range"
    segmented = EVENTS["commerce.member.segmented.v1"]
    raw = changed(segmented, lambda data: data.update(ends_at=text))
    assert refusal_of(raw, limits=wide).code == "date_out_of_range"
    if text.startswith("0"):
        assert refusal_of(raw_of(PURCHASE | {"time": text}), limits=wide).code == (
            "date_out_of_range"
        )


def test_a_segment_does_not_end_before_it_starts() -> None:
    segmented = EVENTS["commerce.member.segmented.v1"]
    raw = changed(segmented, lambda data: data.update(ends_at="2010-11-30T00:00:00Z"))
    assert refusal_of(raw).code == "date_out_of_range"


@pytest.mark.parametrize("born_on", ["1899-12-31", "2010-12-03", "9999-12-31", "0001-01-01"])
def test_nobody_was_born_before_1900_or_is_born_tomorrow(born_on: str) -> None:
    raw = changed(EVENTS["commerce.member.enrolled.v1"], lambda data: data.update(born_on=born_on))
    assert refusal_of(raw).code == "date_out_of_range"


# Two ways ---------------------------------------------------------------------------------------


def told(raw: bytes, key: bytes | None = None) -> tuple[object, ...]:
    """All that is answered to a message."""
    answer = answer_to(raw, key)
    if isinstance(answer, Unacceptable):
        return answer.code, answer.detail, answer.member
    return said(answer)


def apart(raw: bytes) -> bytes:
    """The same event with something else first, which its ``data`` then replaces: it cannot be read
    whole, and is read as its type and then its data.
    """
    return raw.replace(b"{", b'{"data":0,', 1)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_says_the_same_read_whole_or_apart(name: str) -> None:
    raw = raw_of(EVENTS[name])
    assert told(raw) == told(apart(raw)) == told(raw_of(dict(reversed(EVENTS[name].items()))))
    assert isinstance(answer_to(apart(raw), None), Incoming)


@pytest.mark.parametrize(
    ("later", "is_read"),
    [
        (b'"type":"commerce.member.pool-left.v1"', True),
        (b'"data":{"member_id":"17850","order_id":"1"}', True),
        (b'"data":{"member_id":"17850"}', False),
        (b'"type":"unknown"', False),
        (b'"id":""', False),
    ],
)
def test_of_a_name_that_comes_twice_the_last_one_counts(later: bytes, is_read: bool) -> None:
    raw = raw_of(EVENTS["commerce.purchase.delivered.v1"])[:-1] + b"," + later + b"}"
    assert isinstance(answer_to(raw, None), Incoming) is is_read
    assert told(raw) == told(apart(raw))


# Batches ------------------------------------------------------------------------------------------


def test_a_batch_answers_each_event_in_its_place() -> None:
    bad = PURCHASE | {"type": "unknown"}
    raw = json.dumps([PURCHASE, bad, EVENTS["commerce.member.enrolled.v1"]]).encode()
    first, second, third = read_batch(b" \n" + raw, now=NOW)
    assert isinstance(first, Incoming)
    assert isinstance(second, Unacceptable)
    assert second.code == "unknown_type"
    assert isinstance(third, Incoming)
    assert said(first) == said(read(PURCHASE))


def said(incoming: Incoming) -> tuple[object, ...]:
    """All that a message says, to be compared."""
    activity = incoming.activity
    named = (incoming.member, activity.source, activity.id, incoming.event_digest)
    return (*named, activity.occurred_at, activity.body, incoming.content, incoming.profile)


def test_a_single_event_is_a_batch_of_one() -> None:
    [only] = read_batch(raw_of(PURCHASE), now=NOW)
    assert isinstance(only, Incoming)
    assert said(only) == said(read(PURCHASE))
    assert read_batch(b"[]", now=NOW) == []


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[", "not_json"),
        (b"[1,]", "not_json"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (json.dumps([1] * (MAX_BATCH + 1)).encode(), "too_many_events"),
    ],
)
def test_a_batch_that_cannot_be_taken_apart_is_refused_whole(raw: bytes, code: str) -> None:
    with pytest.raises(Unacceptable) as caught:
        read_batch(raw, now=NOW)
    assert caught.value.code == code


# Anything at all ----------------------------------------------------------------------------------


def answer_to(raw: bytes, key: bytes | None) -> Incoming | Unacceptable:
    try:
        return read_event(raw, now=NOW, key=key)
    except Unacceptable as refusal:
        return refusal


def answers_to(raw: bytes) -> list[Incoming | Unacceptable]:
    try:
        return read_batch(raw, now=NOW)
    except Unacceptable as refusal:
        return [refusal]


def is_answered(raw: bytes) -> None:
    """Whatever the bytes are, they are read or refused with a code, and so is each in a batch."""
    for answer in (answer_to(raw, None), answer_to(raw, b"17850"), *answers_to(raw)):
        if isinstance(answer, Unacceptable):
            assert answer.code in CODES
            assert answer.detail
            assert len(answer.detail) < 1000
        else:
            body = answer.activity.body
            assert domain.decode_body(domain.encode_body(body)) == body
            assert len(answer.event_digest) == 16


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(raw: bytes) -> None:
    is_answered(raw)


@given(
    st.sampled_from([raw_of(event) for event in EVENTS.values()]),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=4),
)
def test_any_damage_to_a_good_event_is_answered(
    raw: bytes, damages: list[tuple[int, bytes]]
) -> None:
    for place, splinter in damages:
        at = place % len(raw)
        raw = raw[:at] + splinter + raw[at + 1 :]
    is_answered(raw)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)  # which JSON has no way to write
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["GBP", "1.00", "-1", "2010-12-01T08:26:00Z", "0001-01-01T00:00:00Z", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def places_in(node: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every value below a node of JSON."""
    keys: Any = ()
    if isinstance(node, dict):
        keys = node
    elif isinstance(node, list):
        keys = range(len(node))
    return [path, *(found for key in keys for found in places_in(node[key], (*path, key)))]  # type: ignore[index] # a dict or list by now


@given(st.data())
def test_anything_in_the_place_of_any_field_is_answered_the_same_whole_or_apart(
    data: st.DataObject,
) -> None:
    event = deepcopy(data.draw(st.sampled_from(list(EVENTS.values()))))
    *way, last = data.draw(st.sampled_from(places_in(event)[1:]))
    node: Any = event
    for step in way:
        node = node[step]
    node[last] = data.draw(anything)
    raw = json.dumps(event).encode()
    is_answered(raw)
    assert told(raw) == told(apart(raw))
