"""Checkpoints: signed roots over all chains, and which head of which member stood in them.

Both are append-only. A member has a head per checkpoint only where its chain has grown since the
checkpoint before, so that what is kept grows with what happens and not with the days.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE checkpoint (
        number bigint PRIMARY KEY CHECK (number > 0),
        at timestamptz NOT NULL,
        document text NOT NULL
    )
    """,
    """
    CREATE TABLE checkpoint_head (
        member_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL CHECK (number > 0),
        seq bigint NOT NULL CHECK (seq > 0),
        head bytea NOT NULL CHECK (octet_length(head) = 32),
        PRIMARY KEY (member_id, number)
    )
    """,
)
APPEND_ONLY = ("checkpoint", "checkpoint_head")


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
