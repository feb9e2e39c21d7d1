"""Language tags, and which language answers a wish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.languages import in_normal_case, is_well_formed, lookup

SUBTAGS = st.sampled_from(["en", "zh", "Hans", "hant", "GB", "cn", "419", "1996", "x", "u", "ca"])
TAGS = st.lists(SUBTAGS, min_size=1, max_size=5).map("-".join)


@pytest.mark.parametrize(
    "tag",
    ["en", "zh-Hans", "zh-hans-cn", "es-419", "de-1996", "sl-rozaj-biske", "zh-cmn-Hans-CN",
     "de-DE-u-co-phonebk", "en-a-myext-b-another", "x-whatever", "en-x-1-2", "art-lojban"],
)  # fmt: skip
def test_tags_of_every_shape_are_taken(tag: str) -> None:
    assert is_well_formed(tag)


@pytest.mark.parametrize(
    "tag",
    ["", "e", "english", "en_GB", "en-", "-en", "en--GB", "中文", "en-GB-", "de-419-DE", "en-u",
     "a-DE", "ar-a-aaa-b-bbb-a-ccc", "de-1996-1996", "en-abcdefghi", "zh-Hans-Hant",
     "en-x-" + "a" * 9, "en-" + "-".join(["abcde1", "abcde2", "abcde3", "abcde4", "abcde5"])],
)  # fmt: skip
def test_what_is_no_tag_is_refused(tag: str) -> None:
    assert not is_well_formed(tag)


@pytest.mark.parametrize(
    ("written", "normal"),
    [("EN", "en"), ("zh-hans-cn", "zh-Hans-CN"), ("ZH-HANT", "zh-Hant"), ("sl-ROZAJ", "sl-rozaj"),
     ("en-u-CA-Gregory", "en-u-ca-gregory"), ("en-gb-X-Ab-Abcd", "en-GB-x-ab-abcd")],
)  # fmt: skip
def test_a_tag_has_one_normal_case(written: str, normal: str) -> None:
    assert in_normal_case(written) == normal
    assert in_normal_case(normal) == normal


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        (["en-GB"], ["en", "en-GB"], "en-GB"),
        (["en-gb"], ["en"], "en"),
        (["en"], ["en-GB"], ""),
        (["fr", "de-CH-1996"], ["en", "de"], "de"),
        (["en-GB-x-harbour-1"], ["en-GB"], "en-GB"),
        (["zh-Hans-CN"], ["zh-Hans"], "zh-Hans"),
        (["zh-CN"], ["zh-Hans", "zh-Hant"], "zh-Hans"),
        (["zh-HK"], ["zh-Hans", "zh-Hant"], "zh-Hant"),
        (["zh"], ["zh-Hant", "zh-Hans"], "zh-Hans"),
        (["zh-TW"], ["zh-Hans"], ""),
        (["zh-Hant"], ["zh-Hans"], ""),
        (["zh-CN"], ["zh", "zh-Hans"], "zh"),
        ([], ["en"], ""),
        (["*"], ["en"], ""),
    ],
)
def test_a_wish_is_looked_up_ever_shorter(wanted: list[str], there: list[str], found: str) -> None:
    assert lookup(wanted, there) == found


@given(st.lists(TAGS, max_size=4), st.sets(TAGS.map(in_normal_case), max_size=4))
def test_what_is_found_is_there_and_what_is_asked_for_exactly_is_found(
    wanted: list[str], there: set[str]
) -> None:
    found = lookup(wanted, there)
    assert found in there | {""}
    if wanted and in_normal_case(wanted[0]) in there:
        assert found == in_normal_case(wanted[0])


@given(TAGS)
def test_normal_case_changes_neither_meaning_nor_form(tag: str) -> None:
    normal = in_normal_case(tag)
    assert normal.lower() == tag.lower()
    assert in_normal_case(tag.upper()) == normal
    assert is_well_formed(normal) == is_well_formed(tag)
