"""Names and descriptions in the language that a request asks for by ``Accept-Language``.

A header that is no such thing is no error: it asks for nothing, and the programme's own language is
spoken. Answers to an ``Idempotency-Key`` are given again as they first were, so they hold ids only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, TypeAlias

from fastapi import Depends, Header, Request, Response

from services.loyalty.domain.languages import lookup
from services.loyalty.domain.program import NO_WORDS, Program, Words

_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*"
    r"(?:;\s*[Qq]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII,
)
_READ = 2000
"""Characters of a header that are looked at; what comes after them nobody prefers."""


def preferred(header: str) -> list[str]:
    """The language ranges of an Accept-Language header (RFC 9110, 12.5.4), the dearest first.

    What is no language range is left out, and so is what is not wanted (``q=0``), and ``*``: it
    asks for any language, and that is what whoever finds none of the others gets.
    """
    wanted = [_RANGE.fullmatch(part) for part in header[:_READ].split(",")]
    ranked = [(float(read[2] or 1), read[1]) for read in wanted if read]
    in_order = sorted(ranked, key=lambda item: -item[0])
    return [one for weight, one in in_order if weight and one != "*"]


class Languages:
    """The languages that a request asks for, and those in which it is answered.

    Whatever is said in one is told as ``Content-Language`` of the response.
    """

    def __init__(self, wanted: Sequence[str], response: Response) -> None:
        self._wanted = wanted
        self._response = response
        self._said: dict[str, None] = {}
        response.headers["Vary"] = "Accept-Language"

    def best(self, there: Collection[str], default: str) -> str:
        """The language of those ``there`` that is asked for first, else the default; the answer is
        then in it.
        """
        return self.say_in(lookup(self._wanted, there) or default)

    def text(self, texts: Mapping[str, str], default: str) -> str | None:
        """A text in the language of :meth:`best`, None where there is not even one in the
        default.
        """
        language = lookup(self._wanted, texts) or default
        return texts[self.say_in(language)] if language in texts else None

    def say_in(self, language: str) -> str:
        """Notes that something is said in a language."""
        self._said[language] = None
        self._response.headers["Content-Language"] = ", ".join(self._said)
        return language

    def of(self, *programs: Program) -> Speech:
        """What the programmes say: the first that knows a name gives its words. Until something is
        said, the answer is in the language that the first of them would best be told in.
        """
        if programs and not self._said:
            first = programs[0]
            language = lookup(self._wanted, first.languages) or first.language
            self._response.headers["Content-Language"] = language
        return Speech(self, programs)


class Speech:
    """Names and descriptions of a programme, in the languages asked for.

    ``section`` is where something stands in the document (``levels``, ``earn``, ``boosts``,
    ``gifts``, ``stamps``, ``badges``, ``rewards``, ``benefits``, ``currencies``, ``reasons``; the
    programme itself is under ``program``), and ``name`` what it is called there.
    """

    def __init__(self, languages: Languages, programs: Sequence[Program]) -> None:
        self._languages = languages
        self._programs = programs

    def name(self, section: str, name: str) -> str:
        """What people call it; its id where the programme does not say."""
        words, language = self._words(section, name)
        return self._languages.text(words.names, language) or name

    def name_if(self, section: str, name: str) -> str | None:
        """What people call it; None for nothing."""
        return self.name(section, name) if name else None

    def description(self, section: str, name: str) -> str | None:
        """What it is, None where the programme does not say."""
        words, language = self._words(section, name)
        return self._languages.text(words.descriptions, language)

    def name_in(self, sections: Iterable[str], name: str) -> str | None:
        """What people call something that stands in one of several sections, None where it does in
        none.
        """
        for section in sections:
            if any(name in one.words.get(section, ()) for one in self._programs):
                return self.name(section, name)
        return None

    def _words(self, section: str, name: str) -> tuple[Words, str]:
        for program in self._programs:
            words = program.words.get(section, {}).get(name)
            if words is not None:
                return words, program.language
        return NO_WORDS, ""


def _asked(
    request: Request,
    response: Response,
    _accept_language: Annotated[
        str,
        Header(
            alias="Accept-Language",
            description="Languages for names and descriptions, by preference (RFC 9110). Each is "
            "looked up as it is, then shorter by a subtag at a time; what finds none gets the "
            "programme's own language, and an id where there is no name in that.",
            examples=["zh-Hans, en;q=0.5"],
        ),
    ] = "",
) -> Languages:
    given = request.headers.getlist("accept-language")
    return Languages(preferred(",".join(given)), response)


InLanguages: TypeAlias = Annotated[Languages, Depends(_asked)]
