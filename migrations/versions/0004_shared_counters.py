"""Shared counters: campaign budgets and rewards' stock, from which all members together take.

A row is made by the first grant. Its cap is that of the programme version under which it was last
moved; the check makes a grant beyond it fail, whoever asks for it at the same time.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = """
    CREATE TABLE counter (
        id text COLLATE "C" PRIMARY KEY CHECK (id <> ''),
        cap bigint NOT NULL CHECK (cap >= 0),
        used bigint NOT NULL,
        CONSTRAINT counter_used CHECK (used BETWEEN 0 AND cap)
    ) WITH (fillfactor = 30)
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("GRANT SELECT, INSERT, UPDATE ON counter TO loyalty_app")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
