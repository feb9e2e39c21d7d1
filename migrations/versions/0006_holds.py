"""Holds as rows that stay when they have ended, and the lots to which points of a lot were moved.

A member's open holds stand in the working state too; these rows are how a hold is shown and, once
it has ended, how a late request for it learns that it has.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HOLD = """
    CREATE TABLE hold (
        member_id text COLLATE "C" NOT NULL,
        hold_id text COLLATE "C" NOT NULL CHECK (hold_id <> ''),
        seq bigint NOT NULL CHECK (seq > 0),
        state text NOT NULL CHECK (state IN ('open', 'captured', 'voided', 'lapsed', 'closed')),
        currency text NOT NULL CHECK (currency <> ''),
        points bigint NOT NULL CHECK (points > 0),
        captured bigint NOT NULL CHECK (captured BETWEEN 0 AND points),
        reward text NOT NULL,
        for_order text NOT NULL,
        money text NOT NULL,
        amount bigint NOT NULL CHECK (amount >= 0),
        worth bigint NOT NULL CHECK (worth BETWEEN 0 AND amount),
        held_at timestamptz NOT NULL,
        ends_at timestamptz NOT NULL CHECK (ends_at > held_at),
        ended_at timestamptz CHECK (ended_at >= held_at),
        PRIMARY KEY (member_id, hold_id),
        CHECK ((state = 'open') = (ended_at IS NULL)),
        CHECK (state <> 'open' OR captured < points)
    ) WITH (fillfactor = 70)
"""
SUCCESSOR = "ALTER TABLE lot ADD COLUMN successor text NOT NULL DEFAULT ''"


def upgrade() -> None:
    op.execute(HOLD)
    op.execute("GRANT SELECT, INSERT, UPDATE ON hold TO loyalty_app")
    op.execute(SUCCESSOR)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
