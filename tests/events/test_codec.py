"""What we publish, and what accounts send to each other, as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.codec import (
    EventId,
    derived_bytes,
    event_bytes,
    parse_event_id,
    read_derived,
    voided_bytes,
)
from services.loyalty.application.intake import DERIVED_SOURCE, event_digest
from services.loyalty.application.refusal import CODES, Unacceptable
from services.loyalty.domain.activity import (
    Adjusted,
    AnyBody,
    Cancelled,
    ClaimedPurchase,
    ClaimReturned,
    Line,
    Purchased,
    ReferralCancelled,
    ReferralQualified,
    ReferralSettled,
    TransferReceived,
    TransferredLot,
    TransferReturned,
    encode_body,
)
from services.loyalty.domain.calendar import Instant

AT: Instant = 1_291_191_960_000_000
ORIGIN = EventId(1, "17850", 41, 2)
BODY = TransferReturned("t-1", "13047", "points", [TransferredLot("2010-12", AT, 200)])
TEXT = encode_body(BODY).decode()


def refusal_of(raw: bytes | None, key: bytes | None = None) -> Unacceptable:
    with pytest.raises(Unacceptable) as caught:
        read_derived(raw, key=key)
    return caught.value


def derived(**changes: Any) -> bytes:
    message = json.loads(derived_bytes(ORIGIN, 7, "13047", AT, TEXT)) | changes
    return json.dumps(message).encode()


def test_an_event_is_a_cloudevent_whose_id_says_where_it_was_decided() -> None:
    raw = event_bytes(ORIGIN, "loyalty.points.expired.v1", AT, '{"points":60}')
    assert json.loads(raw) == {
        "specversion": "1.0",
        "id": "1/17850/41/2",
        "source": "/loyalty",
        "type": "loyalty.points.expired.v1",
        "subject": "17850",
        "time": "2010-12-01T08:26:00Z",
        "datacontenttype": "application/json",
        "data": {"points": 60},
    }


def test_data_is_published_byte_for_byte_as_the_decision_wrote_it() -> None:
    data = '{"b":1.50,"a":"海港","c":[]}'
    assert event_bytes(ORIGIN, "t", AT, data).endswith(b'"data":' + data.encode() + b"}")


def test_the_source_is_a_setting() -> None:
    raw = event_bytes(ORIGIN, "t", AT, "{}", source="/loyalty/uk")
    assert json.loads(raw)["source"] == "/loyalty/uk"


@given(st.integers(1, 2**31), st.text(min_size=1), st.integers(0, 2**62), st.integers(-1, 2**15))
def test_an_id_is_read_as_it_was_written(incarnation: int, member: str, seq: int, n: int) -> None:
    origin = EventId(incarnation, member, seq, n)
    assert parse_event_id(str(origin)) == origin


@pytest.mark.parametrize("text", ["", "1", "1/2/3", "1/m/x/0", "a/m/1/0"])
def test_other_ids_are_not_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_event_id(text)


def test_a_member_is_told_from_which_seq_on_a_lost_incarnation_is_void() -> None:
    event = json.loads(voided_bytes(2, "17850", voided=1, after_seq=41, at=AT))
    assert event["type"] == "loyalty.voided.v1"
    assert event["subject"] == "17850"
    assert event["data"] == {"incarnation": 1, "after_seq": 41}
    voided = parse_event_id(event["id"])
    assert (voided.incarnation, voided.seq) == (2, 41)
    assert (voided.seq, voided.n) < (41, 0)


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        TransferReceived("t-1", "17850", "13047", "points", [TransferredLot("2010-12", AT, 200)]),
        ReferralQualified("friend:17850/536365", "referral", {"points": 300}),
        ReferralCancelled("friend:17850/536365"),
        ReferralSettled("friend:17850/536365"),
        ClaimedPurchase(
            "1", "R-1", "13047", Purchased("1", "GBP", [Line(1, "A", 1, 5)], guest=True)
        ),
        ClaimReturned("1", "13047", "account_closed"),
        Cancelled("1"),
    ],
)
def test_a_derived_message_is_read_as_it_was_written(body: AnyBody) -> None:
    text = encode_body(body).decode()
    message = read_derived(derived_bytes(ORIGIN, 7, "13047", AT, text), key=b"13047")
    assert (message.origin, message.batch) == (ORIGIN, 7)
    incoming = message.incoming
    assert incoming.member == "13047"
    assert incoming.activity.body == body
    assert incoming.activity.occurred_at == AT
    assert incoming.activity.recorded_at == 0
    assert incoming.content == text.encode()
    assert incoming.profile is None


def test_a_derived_message_is_known_again_by_where_it_was_decided() -> None:
    def digest(origin: EventId, batch: int = 7) -> bytes:
        return read_derived(derived_bytes(origin, batch, "1", AT, TEXT)).incoming.event_digest

    assert digest(ORIGIN) == digest(ORIGIN, batch=8)
    assert digest(ORIGIN) == event_digest(DERIVED_SOURCE, "1/17850/41/2")
    others = (
        ORIGIN._replace(incarnation=2),
        ORIGIN._replace(member="17851"),
        ORIGIN._replace(seq=42),
        ORIGIN._replace(n=3),
    )
    assert len({digest(origin) for origin in (ORIGIN, *others)}) == 5


def test_a_derived_message_is_keyed_by_its_target() -> None:
    assert refusal_of(derived(), key=b"17850").code == "key_mismatch"


def test_only_activities_that_travel_are_read_from_other_accounts() -> None:
    minted = encode_body(Adjusted("points", 1_000_000, "gift", "nobody")).decode()
    raw = derived_bytes(ORIGIN, 7, "13047", AT, minted)
    assert refusal_of(raw).code == "unknown_type"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (None, "not_json"),
        (b"", "not_json"),
        (b"rubbish", "not_json"),
        (b"\xff", "not_json"),
        (b"{}", "invalid_field"),
        (derived(seq="41"), "invalid_field"),
        (derived(seq=-1), "invalid_field"),
        (derived(at=2**62), "invalid_field"),
        (derived(at=-1), "invalid_field"),
        (derived(body={}), "invalid_field"),
        (derived(body={"kind": "rubbish"}), "invalid_field"),
        (derived(body=None), "invalid_field"),
        (derived(target=""), "no_member"),
        (derived(target="anna@example.org"), "member_id_is_personal"),
        (derived(member="a/b"), "invalid_field"),
        (derived(extra="\0"), "invalid_field"),
        (derived(extra=1).replace(b"1}", b"[" * 100_000 + b"]" * 100_000 + b"}"), "too_deep"),
    ],
)
def test_what_is_no_derived_message_is_refused(raw: bytes | None, code: str) -> None:
    assert refusal_of(raw).code == code


@given(st.integers(0, 1000), st.binary(max_size=4))
def test_any_damage_to_a_derived_message_is_answered(place: int, splinter: bytes) -> None:
    raw = derived()
    at = place % len(raw)
    try:
        message = read_derived(raw[:at] + splinter + raw[at + 1 :])
    except Unacceptable as refusal:
        code = refusal.code
    else:
        code = ""
        assert encode_body(message.incoming.activity.body)
    assert code in {"", *CODES}
