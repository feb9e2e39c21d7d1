"""Whatever can happen has a sentence in every language, with the same places in each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from services.events.codec import VOIDED
from services.events.outgoing import PUBLISHED
from services.events.topics import EVENTS as EVENTS_TOPIC
from services.loyalty import domain
from services.loyalty.application import story
from services.loyalty.application.story import followed, happened, letters
from services.loyalty.application.story.languages import (
    TAGS,
    BadPattern,
    best_of,
    language,
    places,
    read_pattern,
)
from services.loyalty.application.story.moved import moved_key
from services.loyalty.domain import status
from services.loyalty.domain.activity import MOMENTS, AnyBody
from services.loyalty.domain.languages import lookup
from services.loyalty.domain.ledger import TRANSFERS
from services.loyalty.domain.notation import CAP_PERIODS, LIMIT_PERIODS
from services.loyalty.domain.reasons import NotFired, Refused, TierChange, Waits

STORY = Path(str(story.__file__)).parent
DOMAIN = Path(str(domain.__file__)).parent
COUNTING = ("opening", "accrual", "activation", "accrual_reversal", "merge_out", "merge_in")
"""Kinds of entries that may be of points in a qualifying window."""

TOLD_BY_WHAT_HAPPENED = {
    "actor",
    "answers",
    "approval_above",
    "approved",
    "asked",
    "asks",
    "cost",
    "currency",
    "draws",
    "error",
    "forfeits",
    "gift",
    "held",
    "hold",
    "lapsed",
    "level",
    "lots",
    "moment",
    "offer",
    "opening",
    "points",
    "redemption",
    "reward",
    "spend_points",
    "stuck",
    "until",
    "waits",
    "what",
}
"""What traces have of an activity and its entries, which tell it themselves."""

TOLD_BY_EVENTS = {
    "badges",
    "declined",
    "gifts",
    "level_gifts",
    "level_gifts_undone",
    "rewards",
    "rewards_returned",
    "referral",
    "stamps",
}
TOLD_BY_THE_OUTCOME = {"at", "awaits", "parked", "reason", "refused", "returned"}


def trees(directory: Path) -> Iterator[ast.Module]:
    for path in sorted(directory.glob("*.py")):
        yield ast.parse(path.read_text("utf-8"))


def texts(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def keys_that_are_said() -> set[str]:
    """Keys that stand in the code as they are, and those that it makes of what is enumerated."""
    sections = {key.partition(".")[0] for key in language("en").patterns}
    key = re.compile(rf"({'|'.join(sections)})\.[a-z_]*[a-z]")
    said = {text for tree in trees(STORY) for text in texts(tree) if key.fullmatch(text)}
    said |= {f"missed.{why}" for why in get_args(NotFired) if why}
    said |= {f"refused.{code}" for code in get_args(Refused)}
    said |= {f"waits.{reason}" for reason in get_args(Waits)}
    said |= {f"lapsed.awaits_{what}" for what in ("enrolment", "purchase", "claim")}
    said |= {f"tier.{reason}" for reason in get_args(TierChange)}
    said |= {f"dead.{reason}" for reason in letters.REASONS}
    said |= {f"happened.{each}" for each in MOMENTS if each not in ("lapse", "occasion")}
    said |= {"happened.lapse_approval", "happened.lapse_closing"}
    said |= {f"followed.referral_{what}" for what in ("qualified", "cancelled", "settled")}
    for kind, pairs in TRANSFERS.items():
        for pair in pairs:
            said.add(moved_key(kind, *pair, counting=False))
            if kind in COUNTING and "available" in pair:
                said.add(moved_key(kind, *pair, counting=True))
    return said


@pytest.mark.parametrize("tag", TAGS)
def test_every_language_has_a_sentence_for_whatever_can_be_said(tag: str) -> None:
    said, there = keys_that_are_said(), set(language(tag).patterns)
    assert said - there == set(), f"add these to {tag}.yaml"
    assert there - said == set(), f"nobody says these of {tag}.yaml"


@pytest.mark.parametrize("tag", TAGS[1:])
def test_sentences_have_the_same_places_in_every_language(tag: str) -> None:
    for key, pattern in language("en").patterns.items():
        other = language(tag).patterns[key]
        assert {place.name for place in places(pattern)} == {
            place.name for place in places(other)
        }, key


def cases(tag: str, key: str, name: str) -> set[str]:
    found = [place for place in places(language(tag).patterns[key]) if place.name == name]
    return {case for place in found if place.kind == "select" for case in place.cases}


@pytest.mark.parametrize("tag", TAGS)
def test_periods_statuses_and_outcomes_are_never_told_by_their_codes(tag: str) -> None:
    assert cases(tag, "part.limit", "period") >= set(LIMIT_PERIODS)
    assert cases(tag, "rules.cut_cap", "period") >= set(CAP_PERIODS)
    assert cases(tag, "refused.limit_reached", "period") >= set(LIMIT_PERIODS) - {"tier_period"}
    assert cases(tag, "happened.status", "status") >= {"active", "suspended", "closed", "erased"}
    returned: Any = PUBLISHED["loyalty.stamp.returned.v1"].fields["outcome"]
    assert cases(tag, "followed.stamp_returned", "outcome") >= set(returned["enum"])


def test_every_kind_of_activity_can_be_told() -> None:
    assert set(happened.HAPPENED) == set(get_args(AnyBody))


def test_of_every_event_it_is_known_what_tells_it() -> None:
    ours = {name for name, each in PUBLISHED.items() if each.topic == EVENTS_TOPIC}
    assert set(followed.EVENTS) == ours - {VOIDED}


def test_every_refusal_of_a_status_or_a_block_is_a_reason_that_types_know() -> None:
    reasons = {
        reason
        for line in status.STATUS.values()
        for what, reason in line.values()
        if what == status.REFUSE
    }
    reasons |= {reason for reason, _ in status.BLOCKED.values()}
    assert reasons <= set(get_args(Refused))


def refusals() -> Iterator[tuple[str, set[str]]]:
    """The code of each refusal that is raised, with the facts that it names."""
    for node in (node for tree in trees(DOMAIN) for node in ast.walk(tree)):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Refusal":
            continue
        facts = {keyword.arg for keyword in node.keywords}
        if None not in facts:  # which would be those that a table of reasons has
            for code in texts(node.args[0]):
                yield code, {fact for fact in facts if fact}


@pytest.mark.parametrize("tag", TAGS)
def test_a_refusal_carries_every_fact_that_its_sentence_tells(tag: str) -> None:
    found = [(code, facts) for code, facts in refusals() if code in get_args(Refused)]
    assert len(found) > 50
    for code, facts in found:
        told = {place.name for place in places(language(tag).patterns[f"refused.{code}"])}
        assert told <= facts, code


def trace_keys() -> set[str]:
    """Keys that decisions write into their traces."""
    found: set[str] = set()
    for node in (node for tree in trees(DOMAIN) for node in ast.walk(tree)):
        if isinstance(node, ast.Subscript) and _is_trace(node.value):
            found |= set(texts(node.slice))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "setdefault" and _is_trace(node.func.value):
                found |= set(texts(node.args[0]))
        elif isinstance(node, ast.Assign) and any(map(_is_trace, node.targets)):
            written = node.value.keys if isinstance(node.value, ast.Dict) else []
            found |= {text for key in written if key is not None for text in texts(key)}
    return found


def _is_trace(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "trace"


def test_of_every_key_of_a_trace_it_is_known_what_tells_it() -> None:
    read = {text for tree in trees(STORY) for text in texts(tree)}
    told = read | TOLD_BY_WHAT_HAPPENED | TOLD_BY_EVENTS | TOLD_BY_THE_OUTCOME
    assert trace_keys() - told == set()


# Languages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["zh"], "zh-Hans"),
        (["zh-CN"], "zh-Hans"),
        (["zh-Hans-CN"], "zh-Hans"),
        (["ZH-hans"], "zh-Hans"),
        (["fr", "zh-SG"], "zh-Hans"),
        (["zh-TW"], "en"),
        (["zh-Hant"], "en"),
        (["en-GB"], "en"),
        (["fr"], "en"),
        ([], "en"),
    ],
)
def test_the_language_that_fits_best_is_spoken_else_english(wanted: list[str], found: str) -> None:
    assert best_of(wanted) == found
    assert lookup(wanted, TAGS) in (found, "")


@pytest.mark.parametrize(
    "text",
    [
        "a } too many",
        "{not closed",
        "{0}",
        "{n, plural, one {one}}",
        "{n, number, other {1}}",
        "{n, select, other {a}",
    ],
)
def test_a_pattern_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(BadPattern, match=re.escape(repr(text))):
        read_pattern(text)
