"""The first schema: accounts, journal, ledger, outbox and what stands around them.

Every table that grows with members leads with ``member_id`` in its keys. The journal, the ledger
and the published programme versions are append-only: triggers refuse changes to everyone, and the
role of the application lacks the privilege. Constraints on the journal and the ledger are paid for
by every row, so they are few and cheap.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE account (
        member_id text COLLATE "C" PRIMARY KEY CHECK (member_id <> ''),
        version bigint NOT NULL CHECK (version >= 0),
        seq bigint NOT NULL CHECK (seq >= 0),
        status text NOT NULL CHECK (status IN
            ('active', 'unenrolled', 'suspended', 'closed', 'merged', 'erased', 'stuck')),
        tier text NOT NULL,
        due_at timestamptz,
        head bytea NOT NULL CHECK (octet_length(head) = 32),
        state text NOT NULL
    ) WITH (fillfactor = 60)
    """,
    "CREATE INDEX account_due ON account (due_at) WHERE due_at IS NOT NULL",
    """
    CREATE TABLE profile (
        member_id text COLLATE "C" PRIMARY KEY,
        hmac_key bytea NOT NULL CHECK (octet_length(hmac_key) = 32),
        born_on date,
        born_set_at timestamptz,
        language text
    )
    """,
    """
    CREATE TABLE journal (
        member_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        kind text NOT NULL,
        outcome text NOT NULL CHECK (outcome IN ('accepted', 'refused', 'parked')),
        reason text NOT NULL,
        program_version integer NOT NULL CHECK (program_version >= 0),
        engine integer NOT NULL CHECK (engine > 0),
        occurred_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        effective_at timestamptz NOT NULL,
        source text NOT NULL,
        event_id text NOT NULL,
        event_digest bytea CHECK (octet_length(event_digest) = 16),
        content_digest bytea CHECK (octet_length(content_digest) = 16),
        body text NOT NULL,
        facts text NOT NULL,
        trace text NOT NULL,
        link bytea NOT NULL CHECK (octet_length(link) = 32),
        PRIMARY KEY (member_id, seq)
    )
    """,
    """
    CREATE UNIQUE INDEX journal_event_key ON journal (member_id, event_digest)
    WHERE event_digest IS NOT NULL
    """,
    """
    CREATE TABLE ledger (
        member_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        n smallint NOT NULL CHECK (n >= 0),
        kind text NOT NULL,
        currency text NOT NULL CHECK (currency <> ''),
        points bigint NOT NULL CHECK (points > 0),
        from_bucket text NOT NULL,
        to_bucket text NOT NULL,
        lot_from text NOT NULL,
        lot_to text NOT NULL,
        cause text NOT NULL,
        order_id text NOT NULL,
        PRIMARY KEY (member_id, seq, n),
        CONSTRAINT ledger_transfer CHECK (CASE kind
            WHEN 'accrual' THEN
                from_bucket = 'issuance' AND to_bucket IN ('pending', 'available')
            WHEN 'activation' THEN
                from_bucket = 'pending' AND to_bucket = 'available'
            WHEN 'redemption' THEN
                from_bucket IN ('available', 'held') AND to_bucket = 'redeemed'
            WHEN 'expiration' THEN
                from_bucket IN ('available', 'pending') AND to_bucket = 'expired'
            WHEN 'accrual_reversal' THEN
                from_bucket IN ('pending', 'available', 'expired') AND to_bucket = 'issuance'
            WHEN 'hold' THEN
                from_bucket = 'available' AND to_bucket = 'held'
            WHEN 'release' THEN
                from_bucket = 'held' AND to_bucket = 'available'
            WHEN 'arrears' THEN
                from_bucket = 'arrears' AND to_bucket = 'issuance'
            WHEN 'repayment' THEN
                from_bucket = 'available' AND to_bucket = 'arrears'
            WHEN 'write_off' THEN
                from_bucket = 'writeoff' AND to_bucket = 'issuance'
            WHEN 'reinstatement' THEN
                from_bucket = 'expired' AND to_bucket = 'available'
            WHEN 'extension' THEN
                from_bucket = 'available' AND to_bucket = 'available'
            WHEN 'redemption_reversal' THEN
                from_bucket = 'redeemed' AND to_bucket = 'available'
            WHEN 'adjustment' THEN
                (from_bucket = 'issuance' AND to_bucket = 'available')
                OR (from_bucket = 'available' AND to_bucket = 'issuance')
            WHEN 'forfeiture' THEN
                from_bucket IN ('available', 'pending', 'held') AND to_bucket = 'forfeited'
            WHEN 'transfer_out' THEN
                from_bucket = 'available' AND to_bucket = 'transit'
            WHEN 'transfer_in' THEN
                from_bucket = 'transit' AND to_bucket = 'available'
            WHEN 'opening' THEN
                from_bucket = 'issuance' AND to_bucket IN ('available', 'pending')
            ELSE false
        END)
    )
    """,
    """
    CREATE TABLE receipt (
        member_id text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL CHECK (order_id <> ''),
        doc text NOT NULL,
        PRIMARY KEY (member_id, order_id)
    ) WITH (fillfactor = 60)
    """,
    """
    CREATE TABLE lot (
        member_id text COLLATE "C" NOT NULL,
        lot_key text COLLATE "C" NOT NULL,
        taken_in bigint NOT NULL CHECK (taken_in >= 0),
        expired bigint NOT NULL CHECK (expired >= 0),
        reclaimed bigint NOT NULL CHECK (reclaimed >= 0),
        PRIMARY KEY (member_id, lot_key)
    )
    """,
    """
    CREATE TABLE history (
        member_id text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        times bigint NOT NULL,
        points bigint NOT NULL,
        PRIMARY KEY (member_id, key)
    )
    """,
    """
    CREATE TABLE tier_history (
        member_id text COLLATE "C" NOT NULL,
        since timestamptz NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        level text NOT NULL,
        PRIMARY KEY (member_id, since, seq)
    )
    """,
    """
    CREATE TABLE parked (
        member_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        awaits text NOT NULL CHECK (awaits <> ''),
        lapses_at timestamptz,
        occurred_at timestamptz NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (member_id, seq)
    )
    """,
    """
    CREATE TABLE issued_reward (
        member_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        n smallint NOT NULL CHECK (n >= 0),
        reward text NOT NULL,
        how text NOT NULL,
        by text NOT NULL,
        points bigint NOT NULL CHECK (points >= 0),
        issued_at timestamptz NOT NULL,
        PRIMARY KEY (member_id, seq, n)
    )
    """,
    """
    CREATE TABLE outbox (
        member_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        n smallint NOT NULL CHECK (n >= 0),
        recorded_at timestamptz NOT NULL,
        at timestamptz NOT NULL,
        type text NOT NULL,
        target text COLLATE "C",
        data text NOT NULL CHECK (octet_length(data) <= 262144),
        claim bigint,
        PRIMARY KEY (member_id, seq, n)
    )
    """,
    "CREATE INDEX outbox_order ON outbox (recorded_at, member_id, seq, n)",
    "CREATE INDEX outbox_derived ON outbox (recorded_at) WHERE target IS NOT NULL",
    """
    CREATE TABLE position (
        topic text COLLATE "C" NOT NULL,
        partition integer NOT NULL CHECK (partition >= 0),
        epoch bigint NOT NULL CHECK (epoch >= 0),
        position bigint NOT NULL CHECK (position >= 0),
        read_to timestamptz,
        dead_in_a_row integer NOT NULL CHECK (dead_in_a_row >= 0),
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 30)
    """,
    """
    CREATE TABLE relay (
        id integer PRIMARY KEY CHECK (id = 1),
        incarnation integer NOT NULL CHECK (incarnation > 0),
        owner text NOT NULL,
        n bigint NOT NULL CHECK (n >= 0)
    ) WITH (fillfactor = 30)
    """,
    """
    CREATE TABLE incarnation (
        incarnation integer PRIMARY KEY CHECK (incarnation > 0),
        last_batch bigint CHECK (last_batch >= 0),
        started_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE dead_letter (
        topic text COLLATE "C" NOT NULL,
        partition integer NOT NULL CHECK (partition >= 0),
        offset_ bigint NOT NULL CHECK (offset_ >= 0),
        member_id text COLLATE "C",
        reason text NOT NULL CHECK (reason <> ''),
        detail text NOT NULL,
        digest bytea NOT NULL,
        size bigint NOT NULL CHECK (size >= 0),
        received_at timestamptz NOT NULL,
        body bytea,
        replayed_at timestamptz,
        PRIMARY KEY (topic, partition, offset_)
    )
    """,
    "CREATE INDEX dead_letter_member ON dead_letter (member_id) WHERE member_id IS NOT NULL",
    """
    CREATE TABLE program_version (
        version integer PRIMARY KEY CHECK (version > 0),
        holds_from timestamptz NOT NULL,
        published_at timestamptz NOT NULL,
        document text NOT NULL,
        digest text NOT NULL CHECK (digest <> ''),
        published_by text NOT NULL
    )
    """,
    """
    CREATE TABLE api_key (
        id text COLLATE "C" PRIMARY KEY,
        name text NOT NULL CHECK (name <> ''),
        secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
        scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
        created_at timestamptz NOT NULL,
        revoked_at timestamptz
    )
    """,
    """
    CREATE TABLE idempotency (
        member_id text COLLATE "C" NOT NULL,
        key_digest bytea NOT NULL,
        request_digest bytea NOT NULL,
        status smallint NOT NULL CHECK (status BETWEEN 100 AND 599),
        response text NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (member_id, key_digest)
    )
    """,
    """
    CREATE TABLE clock (
        id integer PRIMARY KEY CHECK (id = 1),
        now timestamptz NOT NULL
    ) WITH (fillfactor = 30)
    """,
    "INSERT INTO incarnation (incarnation, started_at) VALUES (1, now())",
    "INSERT INTO relay (id, incarnation, owner, n) VALUES (1, 1, '', 0)",
)

APPEND_ONLY = ("journal", "ledger", "program_version")

REFUSE_CHANGE = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Correct it by recording an adjustment or a reversal.';
    END $$
"""

# A role belongs to the whole cluster: another database's migration may have made it, or be making
# it now.
ROLE = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'loyalty_app') THEN
            CREATE ROLE loyalty_app NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
"""

# Whoever migrates may then also work; other logins are let in with GRANT loyalty_app TO them.
MEMBERSHIP = """
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, 'loyalty_app', 'USAGE') THEN
            EXECUTE format('GRANT loyalty_app TO %I', current_user);
        END IF;
    END $$
"""

PRIVILEGES = {
    "SELECT": ("alembic_version",),
    "SELECT, INSERT": (*APPEND_ONLY, "tier_history", "issued_reward"),
    "SELECT, INSERT, UPDATE": (
        "account",
        "receipt",
        "lot",
        "history",
        "position",
        "incarnation",
        "api_key",
        "clock",
    ),
    "SELECT, UPDATE": ("relay",),
    "SELECT, INSERT, DELETE": ("parked", "idempotency"),
    "SELECT, INSERT, UPDATE (claim), DELETE": ("outbox",),
    "SELECT, INSERT, UPDATE, DELETE": ("profile", "dead_letter"),
}


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(ROLE)
    op.execute(MEMBERSHIP)
    op.execute("GRANT USAGE ON SCHEMA public TO loyalty_app")
    for privileges, tables in PRIVILEGES.items():
        op.execute(f"GRANT {privileges} ON {', '.join(tables)} TO loyalty_app")


def downgrade() -> None:
    raise NotImplementedError("a ledger is not taken back: restore a backup instead")
