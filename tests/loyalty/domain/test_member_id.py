"""Member ids: opaque, fit for keys and paths, and never personal data."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.member_id import (
    ALPHABET,
    MAX_LENGTH,
    BadMemberId,
    check_member_id,
    looks_personal,
)


@pytest.mark.parametrize(
    "member",
    [
        "17850",
        "1",
        "5012345678900",
        "12345678901234567890",
        "M-17850",
        "0c7f8d5e-8a5e-4b0a-9d1c-2f6a4d0c1b2a",
        "shop:uk:17850",
        "0012",
        "01234567",
        "012345678901234",
        "a.b_c~d",
        "x" * MAX_LENGTH,
        "0x12345678",
        "1234-56",
    ],
)
def test_an_opaque_id_is_fine(member: str) -> None:
    check_member_id(member)


@pytest.mark.parametrize(
    "member",
    [
        "anna@example.org",
        "@",
        "ANNA＠EXAMPLE.ORG",
        "+442079460958",
        "+44 20 7946 0958",
        "+1234567",
        "＋４４２０７９４６０９５８",
        "(020) 7946-0958",
        "020-7946-0958",
        "555.123.4567",
        "12345-67",
        "tel:+44-20-7946-0958",
        "02079460958",
        "012345678",
        "00442079460958",
        " +442079460958 ",
    ],
)
def test_an_id_like_an_address_or_a_number_is_personal(member: str) -> None:
    with pytest.raises(BadMemberId) as caught:
        check_member_id(member)
    assert caught.value.code == "member_id_is_personal"
    assert member not in str(caught.value)


@pytest.mark.parametrize(
    "member",
    [".", "..", "a/b", "a?b", "a#b", "a%40b", 'a"b', "a\\b", "a b", "a\n", "a\0", "会员", "é"],
)
def test_an_id_that_a_path_would_have_to_escape_is_invalid(member: str) -> None:
    with pytest.raises(BadMemberId) as caught:
        check_member_id(member)
    assert caught.value.code == "invalid_field"


def test_an_id_is_neither_empty_nor_endless() -> None:
    for member, code in (("", "no_member"), ("x" * (MAX_LENGTH + 1), "invalid_field")):
        with pytest.raises(BadMemberId) as caught:
            check_member_id(member)
        assert caught.value.code == code


@given(st.from_regex(r"[A-Z]{1,3}-?[0-9]{1,30}", fullmatch=True))
def test_an_id_with_a_letter_in_front_never_looks_personal(member: str) -> None:
    assert not looks_personal(member)
    check_member_id(member)


def verdict(text: str) -> str:
    try:
        check_member_id(text)
    except BadMemberId as bad:
        return bad.code
    return "fine"


@given(st.text(st.sampled_from("0123456789--..ab:/@ (+telTEL"), max_size=16))
def test_an_id_is_what_a_path_takes_and_does_not_look_personal(text: str) -> None:
    if not text:
        expected = "no_member"
    elif looks_personal(text):
        expected = "member_id_is_personal"
    elif text in (".", "..") or not re.fullmatch(ALPHABET + "+", text):
        expected = "invalid_field"
    else:
        expected = "fine"
    assert verdict(text) == expected


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        check_member_id(text)
    except BadMemberId:
        return
    assert text.isascii()
    assert "@" not in text
    assert "/" not in text
