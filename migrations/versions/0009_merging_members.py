"""Members who turn out to be one: what their accounts send each other in the ledger.

The wider check is not validated against rows that are there: each of them passed the narrower one.
So nothing is read, and the table is locked for a moment only.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WIDENED = """
    DO $$
    DECLARE narrow text := (
        SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'ledger_transfer'
    );
    BEGIN
        ALTER TABLE ledger DROP CONSTRAINT ledger_transfer;
        EXECUTE format(
            $check$ALTER TABLE ledger ADD CONSTRAINT ledger_transfer CHECK (
                kind = 'merge_out' AND (from_bucket, to_bucket) IN (
                    ('available', 'transit'), ('pending', 'transit'),
                    ('expired', 'moving'), ('moving', 'arrears'))
                OR kind = 'merge_in' AND (from_bucket, to_bucket) IN (
                    ('transit', 'available'), ('transit', 'pending'),
                    ('moving', 'expired'), ('arrears', 'moving'))
                OR %s
            ) NOT VALID$check$,
            narrow
        );
    END $$
"""


def upgrade() -> None:
    op.execute(WIDENED)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
