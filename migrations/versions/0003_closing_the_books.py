"""Closed periods, and what finance approves. Both are append-only.

A close keeps no seq of its own: it names the checkpoint that was made in its transaction, whose
signed heads say up to which seq each member was known.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE book_close (
        period text COLLATE "C" PRIMARY KEY CHECK (period <> ''),
        starts_at timestamptz NOT NULL UNIQUE,
        ends_at timestamptz NOT NULL UNIQUE CHECK (ends_at > starts_at),
        checkpoint bigint NOT NULL UNIQUE,
        closed_at timestamptz NOT NULL CHECK (closed_at >= ends_at),
        closed_by text NOT NULL CHECK (closed_by <> ''),
        format integer NOT NULL CHECK (format > 0),
        document text NOT NULL
    )
    """,
    """
    CREATE TABLE book_approval (
        number bigint PRIMARY KEY CHECK (number > 0),
        what text NOT NULL CHECK (what IN ('redemption', 'worth', 'account')),
        "of" text NOT NULL CHECK ("of" <> ''),
        issued text NOT NULL,
        value text NOT NULL CHECK (value <> ''),
        holds_from timestamptz NOT NULL,
        approved_by text NOT NULL CHECK (approved_by <> ''),
        approved_at timestamptz NOT NULL
    )
    """,
)
APPEND_ONLY = ("book_close", "book_approval")


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO loyalty_app")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
