"""Language tags (BCP 47), and which of the languages that there are answers a wish (RFC 4647)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from itertools import islice

PATTERN = (
    r"([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}"  # a language
    r"(-[A-Za-z]{4})?"  # its script
    r"(-([A-Za-z]{2}|[0-9]{3}))?"  # a region
    r"(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"  # variants
    r"(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*"  # extensions
    r"(-[Xx](-[A-Za-z0-9]{1,8})+)?"
    r"|[Xx](-[A-Za-z0-9]{1,8})+)"  # for private use
)
"""The grammar of RFC 5646, without what it keeps for later: no language has ever been registered
with four to eight letters, so that ``english`` is a mistake.
"""

LONGEST = 35
"""Characters of a tag: what RFC 5646 expects everybody to take."""

_TAG = re.compile(PATTERN, re.ASCII)
_PRIVATE = "x"
_WRITTEN_IN = {
    "zh": "zh-Hans",
    "zh-CN": "zh-Hans",
    "zh-SG": "zh-Hans",
    "zh-MY": "zh-Hans",
    "zh-TW": "zh-Hant",
    "zh-HK": "zh-Hant",
    "zh-MO": "zh-Hant",
}
"""Chinese by the script in which it is likely written (CLDR's likely subtags): browsers ask for
``zh-CN``, programmes are written in ``zh-Hans``, and no truncation leads from one to the other.
"""


def is_well_formed(tag: str) -> bool:
    """Whether it is a language tag: by its grammar, with no variant and no extension twice."""
    if len(tag) > LONGEST or not _TAG.fullmatch(tag):
        return False
    subtags = tag.lower().split("-")
    if _PRIVATE in subtags:
        subtags = subtags[: subtags.index(_PRIVATE)]
    # what stands after an extension's letter belongs to the extension
    first = next((n for n, one in enumerate(subtags) if len(one) == 1), len(subtags))
    long = [one for one in subtags[1:first] if len(one) > 3]
    variants = [one for one in long if len(one) > 4 or one[0].isdigit()]
    extensions = [one for one in subtags[first:] if len(one) == 1]
    return all(len(set(each)) == len(each) for each in (variants, extensions))


def in_normal_case(tag: str) -> str:
    """A tag as RFC 5646 (2.1.1) writes it: ``zh-hans-cn`` is ``zh-Hans-CN``."""
    subtags = tag.lower().split("-")
    single = next((n for n, one in enumerate(subtags) if len(one) == 1), len(subtags))
    for place in range(1, single):
        if len(subtags[place]) == 2:
            subtags[place] = subtags[place].upper()
        elif len(subtags[place]) == 4 and subtags[place].isalpha():
            subtags[place] = subtags[place].title()
    return "-".join(subtags)


def lookup(wanted: Iterable[str], there: Container[str]) -> str:
    """The first language of ``there`` that a wish leads to, empty where none does.

    The wishes are language ranges, the dearest first; ``there`` has tags in normal case. Each range
    is looked up as it is and then shorter by a subtag at a time (RFC 4647, 3.4), so that ``en-GB``
    finds ``en``, but ``en`` not ``en-GB``; Chinese without a script then in that of its region.
    ``*`` leads nowhere: what answers it is for the caller to say.
    """
    for one in wanted:
        shorter = list(_ever_shorter(in_normal_case(one)))
        written = (_WRITTEN_IN[tag] for tag in shorter if tag in _WRITTEN_IN)
        for tag in (*shorter, *islice(written, 0 if _names_script(one) else 1)):
            if tag in there:
                return tag
    return ""


def _names_script(tag: str) -> bool:
    return any(len(subtag) == 4 and subtag.isalpha() for subtag in tag.split("-")[1:])


def _ever_shorter(tag: str) -> Iterator[str]:
    """A tag, and what is left of it without its last subtags; a single letter goes with them."""
    subtags = tag.split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
