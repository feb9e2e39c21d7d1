"""What members owed before they came opens their books like what they had.

The wider check is not validated against rows that are there: each of them passed the narrower one.
So nothing is read, and the table is locked for a moment only.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
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
                kind = 'opening' AND from_bucket = 'arrears' AND to_bucket = 'issuance' OR %s
            ) NOT VALID$check$,
            narrow
        );
    END $$
"""


def upgrade() -> None:
    op.execute(WIDENED)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
