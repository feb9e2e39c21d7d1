"""The image and the compose file say what the command line and the settings understand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli import parser
from services.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = {"migrate", "api", "worker", "relay", "scheduler"}
SUBSTITUTED = re.compile(r"\$\{\w+(:\?[^}]*)?\}")


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return read


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


def test_every_process_has_a_service_beside_database_and_broker() -> None:
    assert SERVICES.keys() == PROCESSES | {"postgres", "kafka"}


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_service_runs_a_command_that_there_is(name: str) -> None:
    service = SERVICES[name]
    assert service["image"] == "loyalty"
    assert parser().parse_args(service["command"]).runs.startswith("services.commands.")


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_service_sets_settings_that_there_are(name: str) -> None:
    environment = {
        variable: SUBSTITUTED.sub("secret", str(value))
        for variable, value in SERVICES[name]["environment"].items()
    }
    settings = Settings.from_environment(environment)
    assert settings.database_url == "postgresql://loyalty:secret@postgres:5432/loyalty"
    assert settings.kafka_bootstrap == "kafka:9092"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_has_a_health_check_and_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    if name != "migrate":  # it ends, and its exit code is what the others wait for
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(PROCESSES - {"migrate"}))
def test_a_process_waits_for_the_migration_and_may_drain(name: str) -> None:
    service = SERVICES[name]
    assert service["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert service["stop_grace_period"] == "15s"


def test_the_migration_waits_for_a_healthy_database_and_broker() -> None:
    healthy = {"condition": "service_healthy"}
    assert SERVICES["migrate"]["depends_on"] == {"postgres": healthy, "kafka": healthy}


def test_no_password_stands_in_the_file() -> None:
    passwords = re.findall(
        r"(?:postgresql://\w+:|_PASSWORD: )(\S+?)(?:@|\s)",
        (ROOT / "docker-compose.yml").read_text(),
    )
    assert passwords
    assert all(password.startswith("${") for password in passwords)


def test_the_image_runs_the_command_as_somebody_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["loyalty"]' in lines
    user = lines.index("USER 10001")
    assert all(not line.startswith("RUN") for line in lines[user:])


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    lines = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    copied = {path for line in lines for path in line.split()}
    assert copied >= {"services", "migrations", "contracts", "requirements.lock"}
    for path in copied:
        assert (ROOT / path).exists()
        assert f"!{path}" in ignored
