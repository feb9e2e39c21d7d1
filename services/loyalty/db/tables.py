"""The schema as SQLAlchemy Core tables: the one source of column names, order and types.

Rows (:mod:`rows`) are tuples in this order, and statements (:mod:`statements`) are made from it.
Checks, triggers, privileges and storage parameters stand in the migration, where PostgreSQL
enforces them. Member ids and other keys collate as "C": sorting in SQL and in Python is then the
same, which the lock order relies on, and comparisons cost a ``memcmp``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()

APP_ROLE = "loyalty_app"
"""The role as which every process works; it may not change or delete what is append-only."""


def _key(name: str, kind: TypeEngine[Any] | None = None) -> Column[Any]:
    return Column(name, kind or _Key(), primary_key=True, autoincrement=False)


def _required(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _optional(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _Key() -> Text:  # noqa: N802  stands for a type, like the names beside it
    return Text(collation="C")


def _At() -> DateTime:  # noqa: N802  stands for a type, like the names beside it
    return DateTime(timezone=True)


account = Table(
    "account",
    metadata,
    _key("member_id"),
    _required("version", BigInteger()),
    _required("seq", BigInteger()),
    _required("status", Text()),
    _required("tier", Text()),
    _optional("due_at", _At()),
    _required("head", LargeBinary()),
    _required("state", Text()),
)
Index("account_due", account.c.due_at, postgresql_where=text("due_at IS NOT NULL"))

profile = Table(
    "profile",
    metadata,
    _key("member_id"),
    _required("hmac_key", LargeBinary()),
    _optional("born_on", Date()),
    _optional("born_set_at", _At()),
    _optional("language", Text()),
)

journal = Table(
    "journal",
    metadata,
    _key("member_id"),
    _key("seq", BigInteger()),
    _required("kind", Text()),
    _required("outcome", Text()),
    _required("reason", Text()),
    _required("program_version", Integer()),
    _required("engine", Integer()),
    _required("occurred_at", _At()),
    _required("recorded_at", _At()),
    _required("effective_at", _At()),
    _required("source", Text()),
    _required("event_id", Text()),
    _optional("event_digest", LargeBinary()),
    _optional("content_digest", LargeBinary()),
    _required("body", Text()),
    _required("facts", Text()),
    _required("trace", Text()),
    _required("link", LargeBinary()),
)
EVENT_KEY = "journal_event_key"
Index(
    EVENT_KEY,
    journal.c.member_id,
    journal.c.event_digest,
    unique=True,
    postgresql_where=text("event_digest IS NOT NULL"),
)

ledger = Table(
    "ledger",
    metadata,
    _key("member_id"),
    _key("seq", BigInteger()),
    _key("n", SmallInteger()),
    _required("kind", Text()),
    _required("currency", Text()),
    _required("points", BigInteger()),
    _required("from_bucket", Text()),
    _required("to_bucket", Text()),
    _required("lot_from", Text()),
    _required("lot_to", Text()),
    _required("cause", Text()),
    _required("order_id", Text()),
)

receipt = Table("receipt", metadata, _key("member_id"), _key("order_id"), _required("doc", Text()))

lot = Table(
    "lot",
    metadata,
    _key("member_id"),
    _key("lot_key"),
    _required("taken_in", BigInteger()),
    _required("expired", BigInteger()),
    _required("reclaimed", BigInteger()),
    _required("successor", Text()),
)

hold = Table(
    "hold",
    metadata,
    _key("member_id"),
    _key("hold_id"),
    _required("seq", BigInteger()),
    _required("state", Text()),
    _required("currency", Text()),
    _required("points", BigInteger()),
    _required("captured", BigInteger()),
    _required("reward", Text()),
    _required("for_order", Text()),
    _required("money", Text()),
    _required("amount", BigInteger()),
    _required("worth", BigInteger()),
    _required("held_at", _At()),
    _required("ends_at", _At()),
    _optional("ended_at", _At()),
)

history = Table(
    "history",
    metadata,
    _key("member_id"),
    _key("key"),
    _required("times", BigInteger()),
    _required("points", BigInteger()),
)

tier_history = Table(
    "tier_history",
    metadata,
    _key("member_id"),
    _key("since", _At()),
    _key("seq", BigInteger()),
    _required("level", Text()),
)

parked = Table(
    "parked",
    metadata,
    _key("member_id"),
    _key("seq", BigInteger()),
    _required("awaits", Text()),
    _optional("lapses_at", _At()),
    _required("occurred_at", _At()),
    _required("body", Text()),
)

issued_reward = Table(
    "issued_reward",
    metadata,
    _key("member_id"),
    _key("seq", BigInteger()),
    _key("n", SmallInteger()),
    _required("reward", Text()),
    _required("how", Text()),
    _required("by", Text()),
    _required("points", BigInteger()),
    _required("issued_at", _At()),
    _required("voucher_id", Text()),
)

voucher = Table(
    "voucher",
    metadata,
    _key("member_id"),
    _key("voucher_id"),
    _required("code", _Key()),
    _required("state", Text()),
    _required("expires_at", _At()),
    _required("currency", Text()),
    _required("points", BigInteger()),
    _required("money", Text()),
    _required("worth", BigInteger()),
    _required("doc", Text()),
)
VOUCHER_KEY = "voucher_code_key"
Index(VOUCHER_KEY, voucher.c.code, unique=True)

redemption = Table(
    "redemption",
    metadata,
    _key("member_id"),
    _key("redemption_id"),
    _required("points", BigInteger()),
    _required("returned", BigInteger()),
    _required("doc", Text()),
)


counter = Table(
    "counter",
    metadata,
    _key("id"),
    _required("cap", BigInteger()),
    _required("used", BigInteger()),
)
COUNTER_USED = "counter_used"
referral_code = Table(
    "referral_code",
    metadata,
    _required("member_id", _Key()),
    _key("code"),
    _required("seq", BigInteger()),
)
CODE_KEY = "referral_code_pkey"
Index("referral_code_member", referral_code.c.member_id)

outbox = Table(
    "outbox",
    metadata,
    _key("member_id"),
    _key("seq", BigInteger()),
    _key("n", SmallInteger()),
    _required("recorded_at", _At()),
    _required("at", _At()),
    _required("type", Text()),
    _optional("target", _Key()),
    _required("data", Text()),
    _optional("claim", BigInteger()),
)
Index("outbox_order", outbox.c.recorded_at, outbox.c.member_id, outbox.c.seq, outbox.c.n)
Index("outbox_derived", outbox.c.recorded_at, postgresql_where=text("target IS NOT NULL"))

position = Table(
    "position",
    metadata,
    _key("topic"),
    _key("partition", Integer()),
    _required("epoch", BigInteger()),
    _required("position", BigInteger()),
    _optional("read_to", _At()),
    _required("dead_in_a_row", Integer()),
)

relay = Table(
    "relay",
    metadata,
    _key("id", Integer()),
    _required("incarnation", Integer()),
    _required("owner", Text()),
    _required("n", BigInteger()),
)

incarnation = Table(
    "incarnation",
    metadata,
    _key("incarnation", Integer()),
    _optional("last_batch", BigInteger()),
    _required("started_at", _At()),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    _key("topic"),
    _key("partition", Integer()),
    _key("offset_", BigInteger()),
    _optional("member_id", _Key()),
    _required("reason", Text()),
    _required("detail", Text()),
    _required("digest", LargeBinary()),
    _required("size", BigInteger()),
    _required("received_at", _At()),
    _optional("body", LargeBinary()),
    _optional("replayed_at", _At()),
)
Index("dead_letter_member", dead_letter.c.member_id, postgresql_where=text("member_id IS NOT NULL"))

program_version = Table(
    "program_version",
    metadata,
    _key("version", Integer()),
    _required("holds_from", _At()),
    _required("published_at", _At()),
    _required("document", Text()),
    _required("digest", Text()),
    _required("published_by", Text()),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _key("number", BigInteger()),
    _required("at", _At()),
    _required("document", Text()),
)

checkpoint_head = Table(
    "checkpoint_head",
    metadata,
    _key("member_id"),
    _key("number", BigInteger()),
    _required("seq", BigInteger()),
    _required("head", LargeBinary()),
)

book_close = Table(
    "book_close",
    metadata,
    _key("period"),
    Column("starts_at", _At(), nullable=False, unique=True),
    Column("ends_at", _At(), nullable=False, unique=True),
    Column("checkpoint", BigInteger(), nullable=False, unique=True),
    _required("closed_at", _At()),
    _required("closed_by", Text()),
    _required("format", Integer()),
    _required("document", Text()),
)

book_approval = Table(
    "book_approval",
    metadata,
    _key("number", BigInteger()),
    _required("what", Text()),
    _required("of", Text()),
    _required("issued", Text()),
    _required("value", Text()),
    _required("holds_from", _At()),
    _required("approved_by", Text()),
    _required("approved_at", _At()),
)

api_key = Table(
    "api_key",
    metadata,
    _key("id"),
    _required("name", Text()),
    _required("secret_hash", LargeBinary()),
    _required("scopes", ARRAY(Text())),
    _required("created_at", _At()),
    _optional("revoked_at", _At()),
)

idempotency = Table(
    "idempotency",
    metadata,
    _key("member_id"),
    _key("key_digest", LargeBinary()),
    _required("request_digest", LargeBinary()),
    _required("status", SmallInteger()),
    _required("response", Text()),
    _required("recorded_at", _At()),
)

clock = Table("clock", metadata, _key("id", Integer()), _required("now", _At()))
