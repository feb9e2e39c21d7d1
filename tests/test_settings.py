"""Settings: read once, refused early, shown without their secrets."""

from dataclasses import FrozenInstanceError, fields
from datetime import timedelta

import pytest

from services.settings import Settings, SettingsRefused, settings_table, variable

SECRET_URL = "postgresql://loyalty:s3cret@db.example:5432/loyalty"


def read(**values: str) -> Settings:
    return Settings.from_environment({f"LOYALTY_{name}": value for name, value in values.items()})


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin", "LOYALTY_HTTP_PORT": ""}) == Settings()


def test_values_are_typed() -> None:
    settings = read(TICK_WAIT="90s", WORKER_LANES="4", CLOCK="ROW", DEBUG="1")
    assert settings.tick_wait == timedelta(seconds=90)
    assert (settings.worker_lanes, settings.clock, settings.debug) == (4, "row", True)


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().http_port = 1  # type: ignore[misc]  # that it is refused is the point


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTP_PRT", "1", "LOYALTY_HTTP_PRT is no setting (did you mean LOYALTY_HTTP_PORT?)"),
        ("QQQQQ", "1", "LOYALTY_QQQQQ is no setting"),
        ("HTTP_PORT", "99999", "LOYALTY_HTTP_PORT must be a whole number from 0 to 65,535"),
        ("HTTP_PORT", "-1", "LOYALTY_HTTP_PORT must be a whole number from 0 to 65,535"),
        ("TICK_WAIT", "5", "LOYALTY_TICK_WAIT must be a duration like 250ms, 30s, 5m, 12h or 7d"),
        ("CLOCK", "sundial", "LOYALTY_CLOCK must be one of system, row"),
        ("DEBUG", "yes", "LOYALTY_DEBUG must be 0 or 1"),
        (
            "DATABASE_URL",
            "mysql://root:hunter2@here/x",
            "LOYALTY_DATABASE_URL must be a URL like postgresql://name:password@host:5432/database",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read(**{name: value})
    assert str(refused.value) == said


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(SettingsRefused, match=r"BATCH_SIZE must be .*; LOYALTY_BREAKER must be"):
        read(BATCH_SIZE="many", BREAKER="0")


def test_what_the_tests_read_is_not_a_mistake() -> None:
    assert read(TEST_DATABASE_URL="x", REQUIRE_REAL="1", KAFKA_HOME="/x") == Settings()


def test_secrets_are_never_printed() -> None:
    settings = read(DATABASE_URL=SECRET_URL, KAFKA_SASL_PASSWORD="s3cret")
    assert settings.database_url == SECRET_URL
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings_table(settings)
    assert "postgresql://loyalty:…@db.example:5432/loyalty" in settings_table(settings)


def test_the_table_names_every_setting_with_its_default_as_one_would_write_it() -> None:
    table = settings_table()
    for setting in fields(Settings):
        assert f"| `{variable(setting)}` |" in table
        written = setting.metadata["kind"].write(setting.default)
        if written:
            assert setting.metadata["kind"].read(written) == setting.default


def test_both_parts_are_embedded_when_neither_is_named() -> None:
    assert Settings().embedded
    assert not read(DATABASE_URL=SECRET_URL).embedded


def test_the_owner_is_the_application_where_no_other_login_is_named() -> None:
    assert read(DATABASE_URL=SECRET_URL).owner_url == SECRET_URL
    owner = "postgresql://owner@db.example/loyalty"
    assert read(DATABASE_URL=SECRET_URL, MIGRATION_DATABASE_URL=owner).owner_url == owner


def test_kafka_clients_get_credentials_only_with_sasl() -> None:
    assert read(KAFKA_BOOTSTRAP="k:9092", KAFKA_SASL_PASSWORD="x").kafka_options() == {
        "bootstrap_servers": "k:9092",
        "security_protocol": "PLAINTEXT",
    }
    options = read(KAFKA_SECURITY_PROTOCOL="sasl_ssl", KAFKA_SASL_USERNAME="n").kafka_options()
    assert options["sasl_plain_username"] == "n"
    assert options["ssl_context"].check_hostname
