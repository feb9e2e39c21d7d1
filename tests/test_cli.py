"""The command line as a person meets it: help, one line per failure, exit codes."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from services import cli
from tests.commandline import Loyalty
from tests.postgres import Database, run_sql

ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "127.0.0.1:1"


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every parser of a command that runs something."""
    children = [
        child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for child in action.choices.values()
    ]
    if not children:
        yield parser
    for child in children:
        yield from commands(child)


COMMANDS = list(commands(cli.parser()))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_every_command_says_what_it_is_for_and_runs_something(
    command: argparse.ArgumentParser,
) -> None:
    assert command.description
    assert command.description.endswith(".")
    assert command.epilog
    assert command.epilog.startswith("example:\n  ")
    example = command.epilog.split("\n  ")[1]
    assert command.prog in example
    module, _, name = command.get_default("runs").partition(":")
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_every_option_is_explained(command: argparse.ArgumentParser) -> None:
    assert all(action.help for action in command._actions)
    assert command.format_help()


def test_help_imports_nothing_of_the_service() -> None:
    asked = "import sys, services.cli as c; c.parser().format_help(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "services.settings" in loaded
    assert not [name for name in loaded if name.startswith(("services.loyalty", "aiokafka"))]


def test_a_setting_that_does_not_fit_ends_with_two(loyalty: Loyalty) -> None:
    done = loyalty("settings", HTTP_PRT="1")
    assert done.returncode == 2
    assert done.stderr == (
        "loyalty: LOYALTY_HTTP_PRT is no setting (did you mean LOYALTY_HTTP_PORT?)\n"
    )


@pytest.mark.parametrize("command", [["serve"], ["work"], ["relay"], ["schedule"], ["verify"]])
def test_a_process_without_a_database_named_ends_with_two(
    loyalty: Loyalty, command: list[str]
) -> None:
    done = loyalty(*command)
    assert (done.returncode, done.stderr) == (2, "loyalty: LOYALTY_DATABASE_URL is not set\n")


@pytest.mark.parametrize("command", [["serve"], ["work"], ["relay"], ["schedule"], ["migrate"]])
def test_a_database_that_is_not_there_ends_with_three(loyalty: Loyalty, command: list[str]) -> None:
    done = loyalty(
        *command,
        DATABASE_URL=f"postgresql://loyalty:s3cret@{NOWHERE}/loyalty",
        KAFKA_BOOTSTRAP=NOWHERE,
    )
    assert done.returncode == 3
    assert done.stderr.startswith(f"loyalty: database {NOWHERE}/loyalty: ")
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("command", [["serve"], ["work"], ["relay"], ["schedule"], ["run"]])
def test_a_broker_that_is_not_there_ends_with_four(
    loyalty: Loyalty, command: list[str], database: Database
) -> None:
    done = loyalty(*command, DATABASE_URL=database.url, KAFKA_BOOTSTRAP=NOWHERE)
    assert done.returncode == 4
    assert done.stderr.startswith(f"loyalty: Kafka at {NOWHERE}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["serve"], ["work"], ["relay"], ["schedule"], ["verify"], ["migrate", "--check"]]
)
def test_a_schema_that_is_behind_ends_with_five(
    loyalty: Loyalty, command: list[str], database: Database
) -> None:
    run_sql(database.owner_url, "DELETE FROM alembic_version")
    done = loyalty(*command, DATABASE_URL=database.url, KAFKA_BOOTSTRAP=NOWHERE)
    assert done.returncode == 5
    assert "run `loyalty migrate`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_ends_with_six(loyalty: Loyalty, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = loyalty(
            "serve", f"--port={port}", DATABASE_URL=database.url, KAFKA_BOOTSTRAP=NOWHERE
        )
    assert done.returncode == 6
    assert done.stderr == (
        f"loyalty: port {port} of 127.0.0.1 is in use: choose another with --port or"
        " LOYALTY_HTTP_PORT\n"
    )


def test_only_half_of_what_is_needed_is_refused(loyalty: Loyalty) -> None:
    done = loyalty("run", KAFKA_BOOTSTRAP=NOWHERE)
    assert (done.returncode, done.stderr) == (2, "loyalty: LOYALTY_DATABASE_URL is not set\n")


def test_a_traceback_is_shown_only_to_who_asks(loyalty: Loyalty, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": f"postgresql://loyalty@{NOWHERE}/loyalty"}
    assert "Traceback" not in loyalty("verify", **settings).stderr
    assert "Traceback" in loyalty("verify", DEBUG="1", **settings).stderr


def test_settings_are_printed_without_secrets(loyalty: Loyalty) -> None:
    done = loyalty("settings", DATABASE_URL="postgresql://loyalty:s3cret@db/loyalty")
    assert done.returncode == 0
    assert "postgresql://loyalty:…@db/loyalty" in done.stdout
    assert "s3cret" not in done.stdout


def test_a_programme_with_mistakes_is_told_all_of_them(loyalty: Loyalty, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text("program: x\nnonsense: 1\n")
    done = loyalty("program", "check", str(draft))
    assert done.returncode == 2
    assert "nonsense (line 2" in done.stdout
    assert done.stderr.startswith(f"loyalty: {draft}: ")


def test_a_recurrence_that_skips_months_is_a_warning(loyalty: Loyalty, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(
        "program: x\nholds_from: 2030-01-01T00:00\ntimezone: UTC\ncurrencies: {points: {}}\n"
        "boosts: {payday: {days: FREQ=MONTHLY;BYMONTHDAY=31, points: x2}}\n"
    )
    done = loyalty("program", "check", str(draft))
    assert done.returncode == 0
    assert "a programme without mistakes" in done.stdout
    assert done.stderr.startswith("loyalty: warning: boosts.payday.days (line 5, ")


def test_a_file_that_is_not_there_is_one_line(loyalty: Loyalty, tmp_path: Path) -> None:
    done = loyalty("program", "check", str(tmp_path / "nothing.yaml"))
    assert done.returncode == 1
    assert done.stderr.endswith("nothing.yaml: No such file or directory\n")


def test_keys_are_made_listed_and_revoked(loyalty: Loyalty, database: Database) -> None:
    url = database.url
    made = loyalty("keys", "create", "storefront", "--scope=members:read", DATABASE_URL=url)
    assert made.returncode == 0, made.stderr
    key_id = made.stdout.split("_")[1]
    assert "storefront  members:read" in loyalty("keys", "list", DATABASE_URL=url).stdout
    revoked = loyalty("keys", "revoke", key_id, DATABASE_URL=url)
    assert revoked.stdout == f"{key_id} opens nothing any more\n"
    assert "revoked 2" in loyalty("keys", "list", DATABASE_URL=url).stdout
    again = loyalty("keys", "revoke", key_id, DATABASE_URL=url)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.count("\n") == 1


def test_migrate_makes_the_login_of_the_service_and_says_what_it_did(
    loyalty: Loyalty, database: Database, postgres_url: str
) -> None:
    login = f"storefront_{database.name}"
    place = database.owner_url.rpartition("@")[2]
    url = f"postgresql://{login}:known@{place}"
    done = loyalty("migrate", DATABASE_URL=url, MIGRATION_DATABASE_URL=database.owner_url)
    try:
        assert done.returncode == 0, done.stderr
        assert f"login: {login} may work with it" in done.stdout
        again = loyalty("migrate", DATABASE_URL=url, MIGRATION_DATABASE_URL=database.owner_url)
        assert (again.returncode, again.stdout) == (0, done.stdout)
        assert loyalty("verify", DATABASE_URL=url).returncode == 0
    finally:
        run_sql(postgres_url, f"DROP ROLE {login}")


def test_migrate_keeps_a_schema_that_is_ahead(loyalty: Loyalty, database: Database) -> None:
    run_sql(database.owner_url, "UPDATE alembic_version SET version_num = '9999'")
    done = loyalty("migrate", DATABASE_URL=database.url, MIGRATION_DATABASE_URL=database.owner_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("schema: at 9999, which is ahead of this program and is kept\n")


def test_books_that_balance_verify(loyalty: Loyalty, database: Database) -> None:
    done = loyalty("verify", "--json", DATABASE_URL=database.url)
    assert done.returncode == 0
    assert '"sound": true' in done.stdout


@pytest.mark.tampered
def test_books_that_do_not_balance_end_with_seven(loyalty: Loyalty, database: Database) -> None:
    run_sql(
        database.owner_url,
        "INSERT INTO account (member_id, version, seq, status, tier, head, state)"
        " VALUES ('17850', 1, 5, 'active', '', decode(repeat('00', 32), 'hex'), '{}')",
    )
    done = loyalty("verify", DATABASE_URL=database.url)
    assert done.returncode == 7
    assert done.stderr.startswith("loyalty: the books do not verify: member 17850, seq 0: ")
    assert "The books DO NOT balance." in done.stdout
