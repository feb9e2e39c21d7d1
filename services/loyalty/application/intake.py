"""Intake: bytes that reached us become an activity, or are refused for good with a stable code.

An event is checked whole before it may touch an account: its form, its member, its times and its
money. Whatever the bytes are, the only exception that leaves here is :class:`Unacceptable`. What
the programme thinks of an event (no rate for its currency, no such reward) is no matter of intake.
Personal data goes into the :class:`ProfilePatch` and never into the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from hashlib import blake2b
from operator import or_
from typing import Any, Final, NoReturn

import msgspec
from msgspec.structs import astuple

from services.loyalty.application import bodies
from services.loyalty.application.contract import EVENTS, INCOMING, Envelope, Naming
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.store import Incoming
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.member_id import BadMemberId, check_member_id
from services.loyalty.domain.money import ImpossibleAmount, UnknownCurrency

MAX_BATCH = 1_000
"""Events in the longest JSON array that HTTP may bring."""

DERIVED_SOURCE: Final = "loyalty.derived"
"""The source of activities that one account sends to another; no producer may call itself so."""

IMPORT_SOURCE: Final = "loyalty.import"
"""The source of what members bring along from another system; nor may any call itself so."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an event may be: how far its time may lie from our clock, and how large it is.

    A day ahead forgives clocks and zones that are wrong; ten years back leave room for late imports
    of single orders. What is further off is a mistake of the producer.

    Attributes:
        future_us: microseconds ahead of our clock.
        past_us: microseconds behind it.
        size_bytes: of one event.
    """

    future_us: int = DAY
    past_us: int = 3653 * DAY
    size_bytes: int = 1 << 20


LIMITS = Limits()

_NO_EVENT = blake2b(digest_size=16)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JSON_TYPES = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
_BACKSLASH: Final = 0x5C
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_TYPE = re.compile(r"[a-z][a-z0-9._-]{0,99}", re.ASCII)
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
_QUOTED = re.compile(r""" (['"]).*\1""", re.DOTALL)
_LONGEST_DETAIL = 300

_read_whole: Callable[[bytes | memoryview], Any] = msgspec.json.Decoder(
    reduce(or_, EVENTS.values())
).decode
_read_envelope = msgspec.json.Decoder(Envelope).decode
_readers = {
    event_type: (msgspec.json.Decoder(shape).decode, EVENTS[event_type])
    for event_type, shape in INCOMING.items()
}
_composers = {
    EVENTS[event_type]: (event_type.encode(), bodies.COMPOSERS[shape])
    for event_type, shape in INCOMING.items()
}
_read_naming = msgspec.json.Decoder(Naming).decode
_encode = msgspec.json.Encoder().encode


def read_event(
    raw: bytes | memoryview | None,
    *,
    now: Instant,
    key: bytes | None = None,
    limits: Limits = LIMITS,
) -> Incoming:
    """The activity that one CloudEvent in structured JSON reports.

    ``key`` is the Kafka message's key: the member id, wherever there is a key. None as ``raw`` is
    a Kafka message without a value.

    Raises:
        Unacceptable: the event can never be accepted; every code stands in :mod:`refusal`.
    """
    if raw is None:
        raise Unacceptable("not_json", "the message has no value")
    if len(raw) > limits.size_bytes:
        raise Unacceptable("too_large", f"{len(raw)} bytes, at most {limits.size_bytes} are read")
    try:
        _check_utf8(raw)
        event = _read_whole(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        event = _read_apart(raw)
    event_type, compose = _composers[type(event)]
    # all attributes at once, in their order: that costs less than a few of them by name
    _, event_id, source, time, content_type, data = astuple(event)
    _check_attributes(source, content_type)
    member = data.member_id
    _check_member(member, key)
    try:
        occurred_at = _occurred_at(time, now, limits)
        body, profile = compose(data, occurred_at)
    except UnknownCurrency:
        raise Unacceptable(
            "unknown_currency", "data.currency: ISO 4217 has no such code", member
        ) from None
    except ImpossibleAmount as error:
        raise Unacceptable("impossible_amount", f"data: {error.reason}", member) from None
    except Unacceptable as refusal:
        raise refusal.of(member) from None
    # All that the producer said and we understood, so that a redelivery can be told from an id
    # used twice; text that differs in spaces, order of keys or unknown fields only is the same.
    content = b"%b\n%d\n%b" % (event_type, occurred_at, _encode(data))
    if "\0" in event_id or "\0" in source or (_BACKSLASH in content and _NUL.search(content)):
        # PostgreSQL has no text with a NUL in it. Where content escapes one, an odd number of
        # backslashes stands before u0000.
        raise Unacceptable("invalid_field", "a text contains the character U+0000", member)
    return Incoming(
        member,
        Activity(body, occurred_at, 0, source, event_id),
        event_digest(source, event_id),
        content,
        profile,
    )


def read_batch(
    raw: bytes, *, now: Instant, limits: Limits = LIMITS
) -> list[Incoming | Unacceptable]:
    """The activities of a JSON array of CloudEvents, or of a single one, in their order.

    An event that is refused has its refusal in its place.

    Raises:
        Unacceptable: it is not an array or object of JSON, or holds too many events.
    """
    if raw.lstrip(b" \t\r\n")[:1] != b"[":
        return [_read_one(raw, now, limits)]
    try:
        events = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _not_json(error) from None
    if len(events) > MAX_BATCH:
        raise Unacceptable("too_many_events", f"at most {MAX_BATCH} events at once")
    return [_read_one(memoryview(event), now, limits) for event in events]


def event_digest(source: str, event_id: str) -> bytes:
    """16 bytes that stand for source and id, which together name an event (CloudEvents 1.0)."""
    digest = _NO_EVENT.copy()  # at two thirds of the cost of a new one
    digest.update(f"{source}\0{event_id}".encode())
    return digest.digest()


def _read_one(raw: bytes | memoryview, now: Instant, limits: Limits) -> Incoming | Unacceptable:
    try:
        return read_event(raw, now=now, limits=limits)
    except Unacceptable as refusal:
        return refusal


def _check_utf8(raw: bytes | memoryview) -> None:
    """A parser does not look into what it skips."""
    if not (isinstance(raw, bytes) and raw.isascii()):
        str(raw, "utf-8")


def _read_apart(raw: bytes | memoryview) -> Any:
    """What could not be read whole, read as it is defined: the data once the type has said what it
    is. So the first thing that is wrong is told, and of names that come twice the last one counts.
    """
    try:
        _check_utf8(raw)
        envelope = _read_envelope(raw)
    except msgspec.ValidationError as error:
        raise _bad_envelope(error) from None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _not_json(error) from None
    _check_attributes(envelope.source, envelope.datacontenttype)
    reader = _readers.get(envelope.type)
    if reader is None:
        raise Unacceptable("unknown_type", f"type: {_named(envelope.type)} is none of ours")
    decode, whole = reader
    try:
        data = decode(envelope.data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        _refuse_data(envelope, error)
    return whole(
        specversion=envelope.specversion,
        id=envelope.id,
        source=envelope.source,
        time=envelope.time,
        data=data,
    )


def _check_attributes(source: str, content_type: str | None) -> None:
    if content_type is not None and content_type != "application/json":
        _check_content_type(content_type)
    if source in (DERIVED_SOURCE, IMPORT_SOURCE):
        raise Unacceptable("reserved_source", f"source: {source!r} is ours alone")


def _occurred_at(time: datetime | None, now: Instant, limits: Limits) -> Instant:
    if time is None:
        raise Unacceptable("invalid_field", "time: an event says when it happened")
    since = time - _EPOCH
    at = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if at > now + limits.future_us:
        raise Unacceptable("date_out_of_range", "time: too far in the future")
    if at < now - limits.past_us or at < 0:
        raise Unacceptable("date_out_of_range", "time: too far in the past")
    return at


def _check_member(member: str, key: bytes | None) -> None:
    try:
        check_member_id(member)
    except BadMemberId as bad:
        raise Unacceptable(bad.code, f"data.member_id: {bad.reason}") from None
    if key is not None and key != member.encode():
        raise Unacceptable("key_mismatch", "the message's key is not data.member_id", member)


def _check_content_type(given: str) -> None:
    if not _JSON_TYPES.fullmatch(given):
        raise Unacceptable("not_a_cloudevent", "datacontenttype: data is read as JSON only")


def _not_json(error: Exception) -> Unacceptable:
    if isinstance(error, RecursionError):
        return Unacceptable("too_deep", "JSON nested deeper than is read")
    if isinstance(error, UnicodeDecodeError):
        return Unacceptable("not_json", "it is not UTF-8")
    return Unacceptable("not_json", _clip(str(error)))


def _bad_envelope(error: msgspec.ValidationError) -> Unacceptable:
    what, place = _explain(error)
    if place == "time":
        return Unacceptable("invalid_field", f"time: {what}")
    return Unacceptable("not_a_cloudevent", f"{place}: {what}" if place else what)


def _refuse_data(envelope: Envelope, error: Exception) -> NoReturn:
    if not bytes(envelope.data):
        raise Unacceptable("invalid_field", "data: an event of this type has data") from None
    if not isinstance(error, msgspec.ValidationError):
        raise _not_json(error) from None
    member = _member_of(envelope)
    what, place = _explain(error)
    raise Unacceptable(
        "invalid_field", f"data.{place}: {what}" if place else f"data: {what}", member
    ) from None


def _member_of(envelope: Envelope) -> str | None:
    """Whose refused event it is, where that can be said without repeating personal data.

    Raises:
        Unacceptable: that there is no member, or no possible one, says more than other mistakes.
    """
    try:
        named = _read_naming(envelope.data).member_id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if named is None:
        raise Unacceptable("no_member", "data.member_id: it is missing") from None
    if not isinstance(named, str):
        return None
    _check_member(named, None)
    return named


def _explain(error: msgspec.ValidationError) -> tuple[str, str]:
    found = _PLACE.fullmatch(unquoted(str(error)))
    assert found is not None, error
    return found["what"], found["place"] or ""


def unquoted(complaint: str) -> str:
    """What a parser complains of, without the value that it quotes: that may be anything."""
    return _clip(_QUOTED.sub("", complaint))


def _named(event_type: str) -> str:
    # Details are shown more widely than payloads, so a type is repeated only if it looks like one.
    return repr(event_type) if _TYPE.fullmatch(event_type) else "it"


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"
