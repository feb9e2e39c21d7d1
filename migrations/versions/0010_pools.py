"""Accounts that are pools, and what refunds take back out of them.

Yesterday's code writes nothing that the wider checks refuse, and every row that is there passed the
narrower ones: so the ledger is not read again.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

POOLS = """
    ALTER TABLE account DROP CONSTRAINT account_status_check,
    ADD CONSTRAINT account_status_check CHECK (status IN
        ('active', 'unenrolled', 'suspended', 'closed', 'merged', 'erased', 'stuck', 'pool'))
"""
WIDENED = """
    DO $$
    DECLARE narrow text := (
        SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'ledger_transfer'
    );
    BEGIN
        ALTER TABLE ledger DROP CONSTRAINT ledger_transfer;
        EXECUTE format(
            $check$ALTER TABLE ledger ADD CONSTRAINT ledger_transfer CHECK (
                kind = 'accrual_reversal' AND from_bucket = 'transit' AND to_bucket = 'issuance'
                OR kind = 'recall' AND from_bucket IN ('available', 'expired', 'issuance')
                    AND to_bucket = 'transit'
                OR %s
            ) NOT VALID$check$,
            narrow
        );
    END $$
"""


def upgrade() -> None:
    op.execute(POOLS)
    op.execute(WIDENED)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
