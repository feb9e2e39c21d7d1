"""A story in one language: as text for people, and as values for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from services.loyalty.application.story.languages import Language
from services.loyalty.application.story.telling import Explained
from services.loyalty.application.story.words import Message, plain
from services.loyalty.domain.calendar import rfc3339


def sentence(message: Message, language: Language) -> dict[str, Any]:
    """A sentence by its stable key, with its values, and in words."""
    return {
        "key": message.key,
        "params": {name: plain(value) for name, value in message.params.items()},
        "text": language.text(message),
    }


def as_values(explained: Explained, language: Language) -> dict[str, Any]:
    """An explained activity for programs."""
    row = explained.row
    return {
        "member_id": row.member,
        "seq": row.seq,
        "kind": row.kind,
        "outcome": row.outcome,
        "reason": row.reason or None,
        "program_version": row.program_version,
        "occurred_at": rfc3339(row.occurred_at),
        "recorded_at": rfc3339(row.recorded_at),
        "effective_at": rfc3339(row.effective_at),
        "source": row.source or None,
        "event_id": row.event_id or None,
        "heading": language.text(explained.heading),
        "sentences": [
            {"part": each.part, **sentence(each.message, language)} for each in explained.sentences
        ],
    }


def as_lines(stories: Iterable[Explained], language: Language) -> Iterator[str]:
    """Explained activities for people: a heading each, and its sentences below."""
    for explained in stories:
        yield language.text(explained.heading)
        yield from (f"   {language.text(each.message)}" for each in explained.sentences)
