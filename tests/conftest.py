"""What every test may ask for: PostgreSQL, Kafka, and a database of its own that must balance."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import uvloop
from hypothesis import settings

from services.guard import removable
from tests import commandline, postgres
from tests.commandline import Loyalty
from tests.kafka import KafkaSource, find_kafka
from tests.postgres import Database, PostgresSource, find_postgres

POSTGRES = pytest.StashKey[PostgresSource]()
KAFKA = pytest.StashKey[KafkaSource]()


# A machine that others use as well is slow at times, which is no mistake of what is tested.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[POSTGRES] = find_postgres()
    config.stash[KAFKA] = find_kafka()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], uvloop.Loop]]:
    """Tests run on the loop on which the service runs."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes share the tests, each with a broker and a server of its own.

    None but this one where the environment names one of the two: tests want it for themselves.
    """
    named = {"LOYALTY_TEST_DATABASE_URL", "LOYALTY_TEST_KAFKA_BOOTSTRAP"} & os.environ.keys()
    return 0 if named else min(4, os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where processes share the tests, the longest come first, and one after another.

    They wait more than they work, so whoever has the others meanwhile has the processor.
    """
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: "storm" not in item.nodeid)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"PostgreSQL: {config.stash[POSTGRES].described}",
        f"Kafka: {config.stash[KAFKA].described}",
    ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs the real thing does not pass for tested on a stand-in."""
    parts: dict[str, PostgresSource | KafkaSource] = {
        "real_postgres": item.config.stash[POSTGRES],
        "real_kafka": item.config.stash[KAFKA],
    }
    for marker, source in parts.items():
        if item.get_closest_marker(marker) and not source.real:
            reason = f"{marker}: there is {source.described}"
            if os.environ.get("LOYALTY_REQUIRE_REAL") == "1":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)  # a developer's machine may lack it, CI may not


@pytest.fixture
def below() -> Iterator[Path]:
    """An empty directory that the account which runs PostgreSQL may enter.

    Not pytest's own: every other run of pytest closes the place where those lie to other accounts.
    """
    made = removable(None, prefix="loyalty-test-")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The superuser's URL of the PostgreSQL that this run is on."""
    with pytestconfig.stash[POSTGRES].running() as url:
        yield url


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> Iterator[str]:
    """The address of the broker that this run is on; topics are the test's to create."""
    with pytestconfig.stash[KAFKA].running() as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def database_template(postgres_url: str) -> Iterator[str]:
    postgres.make_template(postgres_url)
    yield postgres_url
    postgres.drop_template(postgres_url)


@pytest.fixture
async def database(
    request: pytest.FixtureRequest, database_template: str
) -> AsyncIterator[Database]:
    """A migrated, empty database; when the test is over, its books must balance."""
    made = await postgres.clone_template(database_template, f"loyalty_{uuid4().hex[:12]}")
    try:
        yield made
        if not request.node.get_closest_marker("tampered"):
            await postgres.books_must_balance(made)
    finally:
        await postgres.drop(database_template, made)


@pytest.fixture
def loyalty(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Loyalty:
    """The `loyalty` command."""
    return commandline.runner(monkeypatch, capsys)
