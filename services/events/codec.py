"""The bytes of what we publish, and of what one account sends to another.

Data stands in the outbox as JSON text already and is spliced into its envelope as it is: the relay
parses nothing, so what is published is byte for byte what the Decision said.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, get_args

import msgspec

from services.loyalty.application.intake import DERIVED_SOURCE, event_digest, unquoted
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.store import Incoming, ProfilePatch
from services.loyalty.domain.activity import (
    Amended,
    AnyBody,
    Cancelled,
    ClaimedPurchase,
    ClaimReturned,
    Delivered,
    Engaged,
    MergeAnswered,
    MergeOffered,
    MergeReceived,
    PoolAnswered,
    PoolAsked,
    PoolContributed,
    PoolLeft,
    PoolRecalled,
    PoolShort,
    Purchased,
    ReferralCancelled,
    ReferralQualified,
    ReferralSettled,
    Refunded,
    Segmented,
    StatusChanged,
    TransferReceived,
    TransferReturned,
    VoucherVoided,
    decode_body,
)
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.member_id import BadMemberId, check_member_id

SOURCE = "/loyalty"
"""The CloudEvents source of what we publish, unless the deployment says otherwise."""

VOIDED = "loyalty.voided.v1"
"""Type of the event that takes back what a lost incarnation said of a member."""

Travelling = (
    TransferReceived
    | TransferReturned
    | ReferralQualified
    | ReferralCancelled
    | ReferralSettled
    | ClaimedPurchase
    | ClaimReturned
    | Delivered
    | Amended
    | Cancelled
    | Refunded
    | Purchased
    | Engaged
    | Segmented
    | StatusChanged
    | MergeOffered
    | MergeAnswered
    | MergeReceived
    | VoucherVoided
    | PoolAsked
    | PoolAnswered
    | PoolLeft
    | PoolContributed
    | PoolRecalled
    | PoolShort
)
"""Bodies that one account may send to another; any other on that topic is none of ours."""

LAST_INSTANT = 253_370_764_800_000_000
"""The end of the year 9998, beyond which no instant can be written down everywhere."""

_json = msgspec.json.Encoder().encode


class EventId(NamedTuple):
    """Where an event was decided: it is its id, and ``incarnation/member/seq/n`` when written.

    Within one incarnation (seq, n) of a member rises from event to event.
    """

    incarnation: int
    member: str
    seq: int
    n: int

    def __str__(self) -> str:
        return f"{self.incarnation}/{self.member}/{self.seq}/{self.n}"


class DerivedMessage(NamedTuple):
    """A message of ``loyalty.derived``: who sent it, in which batch of the relay, and what it says.

    ``incoming.member`` is the account that it is for.
    """

    origin: EventId
    batch: int
    incoming: Incoming


Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Derived(msgspec.Struct, frozen=True):
    """What one account sends to another: an activity, decided at ``member`` for ``target``.

    ``incarnation``, ``member``, ``seq`` and ``n`` name it, ``batch`` is the relay's; ``at`` is in
    microseconds since 1970, UTC.
    """

    incarnation: Number
    batch: Number
    member: str
    seq: Number
    n: Number
    target: str
    at: Annotated[Instant, msgspec.Meta(ge=0, le=LAST_INSTANT)]
    body: msgspec.Raw


_read = msgspec.json.Decoder(Derived).decode


def event_bytes(
    origin: EventId, event_type: str, at: Instant, data: str, *, source: str = SOURCE
) -> bytes:
    """The CloudEvent, in structured JSON, that publishes ``data`` (the text of a JSON object)."""
    return (
        f'{{"specversion":"1.0","id":{_quoted(str(origin))},"source":{_quoted(source)},'
        f'"type":{_quoted(event_type)},"subject":{_quoted(origin.member)},"time":"{rfc3339(at)}",'
        f'"datacontenttype":"application/json","data":{data}}}'
    ).encode()


def parse_event_id(text: str) -> EventId:
    """The id of an event that we published.

    Raises:
        ValueError: not such an id.
    """
    incarnation, _, rest = text.partition("/")
    member, seq, n = rest.rsplit("/", 2)
    return EventId(int(incarnation), member, int(seq), int(n))


def voided_bytes(
    incarnation: int,
    member: str,
    *,
    voided: int,
    after_seq: int,
    at: Instant,
    source: str = SOURCE,
) -> bytes:
    """The event that takes back all events of a member beyond ``after_seq`` in the incarnation
    ``voided``. Its n counts back to that one, so it comes before everything that the new
    incarnation says of that seq.
    """
    data = f'{{"incarnation":{voided},"after_seq":{after_seq}}}'
    origin = EventId(incarnation, member, after_seq, voided - incarnation)
    return event_bytes(origin, VOIDED, at, data, source=source)


def derived_bytes(origin: EventId, batch: int, target: str, at: Instant, body: str) -> bytes:
    """The message that brings ``body`` (the text of a journaled body) to the account ``target``."""
    return (
        f'{{"incarnation":{origin.incarnation},"batch":{batch},"member":{_quoted(origin.member)},'
        f'"seq":{origin.seq},"n":{origin.n},"target":{_quoted(target)},"at":{at},"body":{body}}}'
    ).encode()


def read_derived(raw: bytes | None, *, key: bytes | None = None) -> DerivedMessage:
    """The message that :func:`derived_bytes` wrote. Its digest is that of its origin.

    Raises:
        Unacceptable: not such a message, or not keyed by its target.
    """
    if raw is None:
        raise Unacceptable("not_json", "the message has no value")
    try:
        message = _read(raw)
        body = decode_body(bytes(message.body))
        check_member_id(message.member)
        check_member_id(message.target)
    except msgspec.ValidationError as error:
        raise Unacceptable("invalid_field", unquoted(str(error))) from None
    except BadMemberId as bad:
        raise Unacceptable(bad.code, f"member or target: {bad.reason}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unacceptable("not_json", unquoted(str(error))) from None
    except RecursionError:
        raise Unacceptable("too_deep", "JSON nested deeper than is read") from None
    if b"\\u0000" in raw:
        raise Unacceptable("invalid_field", "a text contains the character U+0000")
    if key is not None and key != message.target.encode():
        raise Unacceptable("key_mismatch", "the message's key is not its target", message.target)
    return _derived(message, body)


def _derived(message: Derived, body: AnyBody) -> DerivedMessage:
    if not isinstance(body, get_args(Travelling)):
        raise Unacceptable("unknown_type", "body: no such activity travels", message.target)
    origin = EventId(message.incarnation, message.member, message.seq, message.n)
    name = str(origin)
    incoming = Incoming(
        message.target,
        Activity(body, message.at, 0, DERIVED_SOURCE, name),
        event_digest(DERIVED_SOURCE, name),
        bytes(message.body),
        ProfilePatch(erase=True) if isinstance(body, StatusChanged) else None,
    )
    return DerivedMessage(origin, message.batch, incoming)


def _quoted(text: str) -> str:
    return _json(text).decode()
