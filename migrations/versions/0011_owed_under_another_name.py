"""What is owed in one currency may be paid in one that follows it, or that it follows.

The wider check is not validated against rows that are there: each of them passed the narrower one.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
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
                kind = 'repayment' AND from_bucket = 'issuance' AND to_bucket = 'arrears' OR %s
            ) NOT VALID$check$,
            narrow
        );
    END $$
"""


def upgrade() -> None:
    op.execute(WIDENED)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
