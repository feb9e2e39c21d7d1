"""Tells every decision that a test brings about, in every language: none may lack a sentence."""

from __future__ import annotations

from services.loyalty.application.programs import Programs
from services.loyalty.application.replay import Refolded
from services.loyalty.application.story.languages import TAGS, language
from services.loyalty.application.story.telling import explain
from services.loyalty.application.story.words import plain
from services.loyalty.domain.account import Account
from services.loyalty.domain.chain import JournalRow
from tests.loyalty.fake_store import FakeStore


class Narrator:
    """Looks at what was decided since it last did."""

    def __init__(self, store: FakeStore, programs: Programs) -> None:
        self._store = store
        self._programs = programs
        self._told = 0

    def tell(self) -> None:
        """Raises KeyError where a language lacks a sentence, or a sentence a value."""
        versions = {program.version: program for program in self._programs}
        rows = list(self._store.journal.items())[self._told :]
        self._told += len(rows)
        for (member, seq), row in rows:
            decision = self._store.decisions[member, seq]
            last = self._store.decisions.get((member, seq - 1))
            before = Account() if last is None else last.account
            explained = explain(Refolded(JournalRow(*row[:-1]), before, decision), versions)
            for sentence in explained.sentences:
                for value in sentence.message.params.values():
                    plain(value)
                for tag in TAGS:
                    assert language(tag).text(sentence.message)
