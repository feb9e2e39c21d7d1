"""Checkpoints, proofs and replays as a person types them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from tests.commandline import Loyalty
from tests.loyalty.db.handmade import bought, lived
from tests.postgres import Database, run_sql


@pytest.fixture
async def lives(database: Database) -> None:
    async with connected(database.url, purpose="test") as connection:
        await lived(PgSession(connection), ["ada", "bob", "cyd"], bought("1"), bought("2"))


@pytest.fixture
def key(loyalty: Loyalty, tmp_path: Path) -> Path:
    file = tmp_path / "checkpoints.pem"
    done = loyalty("checkpoint", "--new-key", str(file))
    assert done.returncode == 0
    assert f"LOYALTY_CHECKPOINT_KEY_FILE={file}" in done.stdout
    return file


def test_a_key_is_for_its_owner_alone_and_never_replaced(loyalty: Loyalty, key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    again = loyalty("checkpoint", "--new-key", str(key))
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert key.read_bytes() == before


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "LOYALTY_CHECKPOINT_KEY_FILE is not set: `loyalty checkpoint --new-key FILE`"),
        ("missing.pem", "No such file or directory"),
        ("checkpoints.pem.pub", "is no private Ed25519 key"),
    ],
)
def test_without_a_key_nothing_is_signed(
    loyalty: Loyalty, database: Database, key: Path, file: str | None, said: str
) -> None:
    named = {} if file is None else {"CHECKPOINT_KEY_FILE": str(key.parent / file)}
    done = loyalty("checkpoint", DATABASE_URL=database.url, **named)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.usefixtures("lives")
def test_a_checkpoint_proves_rows_to_whoever_has_the_public_key(
    loyalty: Loyalty, database: Database, key: Path, tmp_path: Path
) -> None:
    signing = {"DATABASE_URL": database.url, "CHECKPOINT_KEY_FILE": str(key)}
    made = loyalty("checkpoint", **signing)
    assert json.loads(made.stdout)["count"] == 3
    proof = tmp_path / "proof.json"
    proof.write_text(loyalty("proof", "bob", "1", DATABASE_URL=database.url).stdout)
    checked = loyalty("proof", "--check", str(proof), "--key", f"{key}.pub")
    assert checked.returncode == 0
    assert (
        "Included: member bob, seq 1, purchase, accepted, with 2 ledger entries" in checked.stdout
    )
    proof.write_text(proof.read_text().replace('"index": 1', '"index": 2'))
    refused = loyalty("proof", "--check", str(proof), "--key", f"{key}.pub")
    assert refused.returncode == 7
    assert "proves nothing: rows and path do not lead to" in refused.stderr


@pytest.mark.usefixtures("database_template")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["proof"], 2, "name a member and a seq"),
        (["proof", "--check", "nothing.json", "--key", "x"], 2, "nothing.json: No such file"),
        (["verify", "--against", "nothing.json"], 2, "nothing.json: No such file"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    loyalty: Loyalty, arguments: list[str], code: int, said: str
) -> None:
    done = loyalty(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert said in done.stderr


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
def test_verify_holds_the_books_against_a_checkpoint_and_says_so(
    loyalty: Loyalty, database: Database, key: Path, tmp_path: Path
) -> None:
    signing = {"DATABASE_URL": database.url, "CHECKPOINT_KEY_FILE": str(key)}
    kept = tmp_path / "kept.json"
    kept.write_text(loyalty("checkpoint", **signing).stdout)
    against = ("verify", "--against", str(kept), "--key", f"{key}.pub")
    sound = loyalty(*against, DATABASE_URL=database.url)
    assert sound.returncode == 0
    assert "every chain up to checkpoint 1 of " in sound.stdout
    assert "Not checked: whether a journal was cut at its end after checkpoint 1." in sound.stdout

    published = tmp_path / "published.json"
    published.write_text(json.dumps({"specversion": "1.0", "data": json.loads(kept.read_text())}))
    for trusted in (kept, published):
        assert loyalty("verify", "--against", str(trusted), **signing).returncode == 0
    loyalty("checkpoint", "--new-key", str(tmp_path / "other.pem"))
    other = str(tmp_path / "other.pem.pub")
    forged = loyalty("verify", "--against", str(kept), "--key", other, DATABASE_URL=database.url)
    assert forged.returncode == 1
    assert "against a forgery nothing is checked" in forged.stderr

    run_sql(
        database.owner_url,
        "SET session_replication_role = replica",
        "DELETE FROM journal WHERE member_id = 'cyd'",
        "DELETE FROM ledger WHERE member_id = 'cyd'",
        "DELETE FROM account WHERE member_id = 'cyd'",
        "DELETE FROM tier_history WHERE member_id = 'cyd'",
    )
    assert loyalty("verify", DATABASE_URL=database.url).returncode == 0
    cut = loyalty(*against, DATABASE_URL=database.url)
    assert cut.returncode == 7
    assert "member cyd, seq 2: link at checkpoint 1: expected" in cut.stderr


def test_replay_says_what_it_compared_and_what_it_could_not(
    loyalty: Loyalty, database: Database
) -> None:
    done = loyalty("replay", DATABASE_URL=database.url)
    assert done.returncode == 0
    assert "Every row is byte for byte what the journal makes." in done.stdout
    assert "  ledger: 0 rows compared" in done.stdout
    assert "Not compared: 0 events that were published already" in done.stdout
    nobody = loyalty("replay", "--member", "zoe", DATABASE_URL=database.url)
    assert (nobody.returncode, nobody.stdout) == (1, "")


@pytest.mark.usefixtures("lives")
def test_replay_ends_with_seven_and_names_the_first_difference(
    loyalty: Loyalty, database: Database
) -> None:
    # Decisions made by hand under no programme: no journal makes them.
    done = loyalty("replay", "--json", DATABASE_URL=database.url)
    assert done.returncode == 7
    assert "member ada, seq 1, journal" in done.stderr
    assert "programme version 1 is not published" in done.stderr
    told = json.loads(done.stdout)
    assert (told["identical"], told["members"]) == (False, 3)
    assert told["differences"][0].startswith("member ada, seq 1, journal")
