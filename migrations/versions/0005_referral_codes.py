"""Referral codes: whom a code names. It is drawn once for each member and never changes.

Alone among what grows with members it is keyed by the code, because that is all a friend knows.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = """
    CREATE TABLE referral_code (
        member_id text COLLATE "C" NOT NULL,
        code text COLLATE "C" NOT NULL CHECK (code ~ '^[0-9A-HJKMNP-TV-Z]{12}$'),
        seq bigint NOT NULL CHECK (seq > 0),
        PRIMARY KEY (code)
    )
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX referral_code_member ON referral_code (member_id)")
    op.execute("GRANT SELECT, INSERT ON referral_code TO loyalty_app")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
