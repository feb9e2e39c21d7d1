"""Vouchers, and redemptions that can be undone.

A voucher's code is a bearer secret and stands in its row alone. The row is never open again once it
was used, expired or voided, and a redemption never gives back more than it took: the working state
says so, and so does PostgreSQL.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE issued_reward ADD COLUMN voucher_id text NOT NULL DEFAULT ''",
    """
    CREATE TABLE voucher (
        member_id text COLLATE "C" NOT NULL,
        voucher_id text COLLATE "C" NOT NULL CHECK (voucher_id <> ''),
        code text COLLATE "C" NOT NULL CHECK (code <> ''),
        state text NOT NULL CHECK (state IN ('open', 'used', 'expired', 'voided')),
        expires_at timestamptz NOT NULL,
        currency text NOT NULL,
        points bigint NOT NULL CHECK (points >= 0 AND (points = 0) = (currency = '')),
        money text NOT NULL,
        worth bigint NOT NULL CHECK (worth >= 0 AND (worth = 0) = (money = '')),
        doc text NOT NULL,
        PRIMARY KEY (member_id, voucher_id)
    ) WITH (fillfactor = 60)
    """,
    "CREATE UNIQUE INDEX voucher_code_key ON voucher (code)",
    """
    CREATE FUNCTION refuse_reopening() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'a voucher that is % stays so', OLD.state
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END $$
    """,
    """
    CREATE TRIGGER voucher_ends_once BEFORE UPDATE ON voucher FOR EACH ROW
    WHEN (OLD.state <> 'open') EXECUTE FUNCTION refuse_reopening()
    """,
    """
    CREATE TABLE redemption (
        member_id text COLLATE "C" NOT NULL,
        redemption_id text COLLATE "C" NOT NULL CHECK (redemption_id <> ''),
        points bigint NOT NULL CHECK (points > 0),
        returned bigint NOT NULL CHECK (returned BETWEEN 0 AND points),
        doc text NOT NULL,
        PRIMARY KEY (member_id, redemption_id)
    ) WITH (fillfactor = 60)
    """,
    "GRANT SELECT, INSERT, UPDATE (state, doc) ON voucher TO loyalty_app",
    "GRANT SELECT, INSERT, UPDATE (returned, doc) ON redemption TO loyalty_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
