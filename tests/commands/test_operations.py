"""What operators do by hand: publish, adjust, look after dead letters, recover."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from services.events.broker import Kafka
from services.loyalty.domain import decide
from services.loyalty.domain.activity import Tick
from services.loyalty.domain.calendar import Instant
from tests.commandline import Done, Loyalty
from tests.events.conftest import PROGRAMME, recreate_topics
from tests.events.messages import NOW, event
from tests.postgres import Database, run_sql

TOMORROW = "2011-01-11T00:00"
PLACE = "commerce.members/0/7"


def programme(tmp_path: Path, holds_from: str) -> str:
    """The bundled programme, from another instant on, as a file."""
    text = re.sub(
        r"^holds_from:.*$", f'holds_from: "{holds_from}"', PROGRAMME.read_text(), flags=re.M
    )
    file = tmp_path / "programme.yaml"
    file.write_text(text)
    return str(file)


class Shop:
    """A deployment on the clock row, which stands at ``NOW``, without a broker."""

    def __init__(self, loyalty: Loyalty, database: Database) -> None:
        self._loyalty = loyalty
        self.database = database
        at = datetime.fromtimestamp(NOW / 1_000_000, UTC).isoformat()
        run_sql(database.owner_url, f"INSERT INTO clock (id, now) VALUES (1, '{at}')")

    def types(self, *arguments: str) -> Done:
        return self._loyalty(*arguments, DATABASE_URL=self.database.url, CLOCK="row")

    def gets_a_dead_letter(self, body: bytes) -> None:
        run_sql(
            self.database.owner_url,
            "INSERT INTO dead_letter (topic, partition, offset_, member_id, reason, detail, digest,"
            " size, received_at, body) VALUES ('commerce.members', 0, 7, '17850', 'unknown_type',"
            f" 'type: a new one', '\\x00', {len(body)}, now(), '\\x{body.hex()}')",
        )

    def waits_until(self, when: str) -> None:
        run_sql(self.database.owner_url, f"UPDATE clock SET now = '{when}'")

    def enrols(self, member: str) -> None:
        self.hears("commerce.member.enrolled.v1", member)

    def erases(self, member: str) -> None:
        self.hears("commerce.member.erased.v1", member)

    def buys(self, member: str, pounds: int) -> None:
        line = {"position": 1, "sku": "85123A", "quantity": 1, "unit_price": f"{pounds}.00"}
        order: dict[str, Any] = {"order_id": "o1", "currency": "GBP", "lines": [line]}
        self.hears("commerce.purchase.completed.v1", member, **order)

    def hears(self, kind: str, member: str, *, at: Instant = NOW, **said: object) -> None:
        """An event arrives."""
        run_sql(self.database.owner_url, "DELETE FROM dead_letter")
        self.gets_a_dead_letter(
            event(kind, {"member_id": member, **said}, at=at, id=f"{kind}-{member}")
        )
        done = self.types("dead-letters", "replay", PLACE)
        assert done.returncode == 0, done.stderr


def open_shop(loyalty: Loyalty, database: Database) -> Shop:
    """A shop whose programme holds."""
    opened = Shop(loyalty, database)
    document = PROGRAMME.read_text().replace("'", "''")
    run_sql(
        database.owner_url,
        "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
        f" published_by) VALUES (1, '2010-12-01', '2010-11-01', '{document}', 'x', 'tests')",
    )
    return opened


@pytest.fixture
def shop(loyalty: Loyalty, database: Database) -> Shop:
    return open_shop(loyalty, database)


def test_a_programme_is_published_listed_and_shown(
    loyalty: Loyalty, database: Database, tmp_path: Path
) -> None:
    shop, file = Shop(loyalty, database), programme(tmp_path, TOMORROW)
    published = shop.types("program", "publish", file, "--by", "Ann Li")
    assert published.returncode == 0, published.stderr
    assert published.stdout == "version 1, holds from 2011-01-11T00:00:00Z\n"
    assert "published 2011-01-10 by Ann Li" in shop.types("program", "show").stdout
    assert shop.types("program", "show", "1").stdout == Path(file).read_text()
    assert shop.types("program", "show", "2").stderr == "loyalty: there is no version 2\n"


def test_a_programme_that_would_hold_too_soon_is_refused(
    loyalty: Loyalty, database: Database, tmp_path: Path
) -> None:
    shop = Shop(loyalty, database)
    done = shop.types("program", "publish", programme(tmp_path, "2011-01-10T12:00"))
    assert done.returncode == 1
    assert done.stderr == (
        "loyalty: the version would hold from 2011-01-10T12:00:00Z, and the earliest that it can"
        " is 2011-01-10T12:01:00Z: set holds_from later\n"
    )


def test_every_bundled_programme_is_without_mistakes(loyalty: Loyalty) -> None:
    for file in sorted(PROGRAMME.parent.glob("*.yaml")):
        done = loyalty("program", "check", str(file))
        assert done.returncode == 0, done.stdout
        assert "a programme without mistakes" in done.stdout


def test_a_dead_letter_is_listed_shown_and_replayed_once(shop: Shop) -> None:
    body = event("commerce.member.enrolled.v1", {"member_id": "17850"}, at=NOW, id="e-1")
    shop.gets_a_dead_letter(body)
    assert f"{PLACE}  " in shop.types("dead-letters", "list").stdout
    assert shop.types("dead-letters", "list", "--reason", "not_json").stdout == ""
    assert (
        "reason    unknown_type: type: a new one"
        in shop.types("dead-letters", "show", PLACE).stdout
    )
    assert shop.types("dead-letters", "replay", PLACE).stdout == f"{PLACE}: accepted, seq 1\n"
    again = shop.types("dead-letters", "replay", PLACE)
    assert (again.returncode, again.stderr) == (1, f"loyalty: {PLACE} was replayed before\n")
    assert shop.types("dead-letters", "list").stdout == ""
    assert "replayed" in shop.types("dead-letters", "list", "--replayed").stdout


@pytest.mark.parametrize("place", ["commerce.members/0/8", "nowhere"])
def test_a_dead_letter_that_is_not_there_is_one_line(shop: Shop, place: str) -> None:
    done = shop.types("dead-letters", "show", place)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_an_adjustment_counts_once_by_its_id(shop: Shop) -> None:
    shop.enrols("17850")
    adjusts = ["adjust", "17850", "250", "--reason=goodwill", "--by=Ann Li", "--id=case-7"]
    first, second = shop.types(*adjusts), shop.types(*adjusts)
    assert first.stdout == "member 17850, seq 2: +250 points, recorded as case-7\n"
    assert second.stdout == (
        "case-7 was decided before, as the member's journal shows; nothing was done\n"
    )


def test_a_refused_adjustment_says_why(shop: Shop) -> None:
    shop.enrols("17850")
    done = shop.types("adjust", "17850", "-100000", "--reason=mistake", "--by=Ann Li")
    assert done.returncode == 1
    assert done.stderr.startswith("loyalty: refused: ")
    nobody = shop.types("adjust", "12346", "1", "--reason=goodwill", "--by=Ann Li")
    assert (nobody.returncode, nobody.stderr) == (1, "loyalty: there is no member 12346\n")


def test_a_dry_run_of_changed_tiers_says_who_would_rise_and_changes_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    shop.enrols("17850")
    shop.enrols("12346")
    shop.buys("17850", 300)
    draft, who = Path(programme(tmp_path, "2011-02-01T00:00")), tmp_path / "who.csv"
    draft.write_text(draft.read_text().replace("from: 500", "from: 200"))
    rejudges = ["program", "rejudge", str(draft)]
    assert shop.types(*rejudges).stdout.endswith("Nobody would rise or fall.\n")
    told = shop.types(*rejudges, "--plan=rise_at_once", "--json", f"--csv={who}")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["members"], found["rise"], found["fall"]) == (2, 1, 0)
    assert found["who"] == [{"member_id": "17850", "from": "basic", "to": "silver"}]
    assert who.read_text() == "member_id,from,to\n17850,basic,silver\n"
    assert "rise" in shop.types(*rejudges, "--plan=judge_at_once").stdout
    draft.write_text(draft.read_text().replace("    gold:\n", "    golden:\n"))
    assert shop.types(*rejudges).returncode == 2, "what it drops needs a successor"
    assert shop.types("tier", "17850", "--reason=x", "--by=y").stderr.endswith("no_manual_tier\n")


def test_a_level_is_given_by_hand_with_an_end_and_ended(shop: Shop) -> None:
    shop.enrols("17850")
    why = ["--reason=status-match", "--by=Ann Li"]
    gives = ["tier", "17850", "gold", "--until=2012-01-01T00:00:00Z", *why, "--id=case-8"]
    first, second = shop.types(*gives), shop.types(*gives)
    assert first.stdout == (
        "member 17850, seq 2: gold until 2012-01-01T00:00:00Z, recorded as case-8\n"
    )
    assert second.stdout.startswith("case-8 was decided before")
    ended = shop.types("tier", "17850", *why, "--id=case-9")
    assert ended.stdout == ("member 17850, seq 3: no level by hand any more, recorded as case-9\n")
    again = shop.types("tier", "17850", *why)
    assert (again.returncode, again.stderr) == (1, "loyalty: refused: no_manual_tier\n")
    vague = shop.types("tier", "17850", "gold", "--until=2012-01-01", *why)
    assert vague.stderr.startswith("loyalty: '2012-01-01' names no offset")


def test_points_are_given_longer_lives(shop: Shop) -> None:
    shop.enrols("17850")
    named = ["--reason=goodwill", "--by=Ann Li", "--id=case-8"]
    shop.types("adjust", "17850", "250", "--reason=goodwill", "--by=Ann Li")
    extends = ["extend", "17850", "--until=2031-09-01T00:00:00Z", *named]
    first, second = shop.types(*extends), shop.types(*extends)
    assert first.stdout == (
        "member 17850, seq 3: points live until 2031-09-01T00:00:00Z, recorded as case-8\n"
    ), first.stderr
    assert "was decided before" in second.stdout
    reinstates = ["reinstate", "17850", "60", "--until=2031-09-01T00:00:00Z", *named[:2]]
    refused = shop.types(*reinstates)
    assert refused.stderr.startswith("loyalty: refused: nothing_to_reinstate"), refused.stdout
    wrong = shop.types("extend", "17850", "--until=soon", *named)
    assert wrong.stderr.startswith("loyalty: 'soon' is no time in RFC 3339")


def test_a_stuck_account_is_listed_and_goes_on_once_its_tick_is_decided(shop: Shop) -> None:
    shop.enrols("17850")
    adjusts = ["adjust", "17850", "250", "--reason=goodwill", "--by=Ann Li"]
    run_sql(shop.database.owner_url, "UPDATE clock SET now = '2011-06-09'")
    with pytest.MonkeyPatch.context() as broken:
        broken.setitem(decide._DECIDERS, Tick, _fails)
        shop.types(*adjusts)
        assert shop.types("stuck", "retry", "17850").stderr.startswith("loyalty: unexpected Broken")
    listed = shop.types("stuck", "list").stdout
    assert listed.startswith("17850  since 2011-06-09T00:00:00Z  seq 2  0 waiting  ")
    assert '"error":"Broken"' in listed
    assert shop.types("stuck", "retry", "17850").stdout.startswith("member 17850 goes on, at seq ")
    assert shop.types("stuck", "list").stdout == ""
    again = shop.types("stuck", "retry", "17850")
    assert (again.returncode, again.stderr) == (1, "loyalty: member 17850 is not stuck\n")
    nobody = shop.types("stuck", "retry", "12346")
    assert (nobody.returncode, nobody.stderr) == (1, "loyalty: there is no member 12346\n")


class Broken(Exception):
    """A mistake of a deployment that has since been mended."""


def _fails(*_: object) -> None:
    raise Broken


@pytest.mark.real_kafka
def test_histories_that_agree_need_no_recovery(
    loyalty: Loyalty, database: Database, kafka_bootstrap: str
) -> None:
    uvloop.run(recreate_topics(Kafka({"bootstrap_servers": kafka_bootstrap})))
    done = loyalty("recover", DATABASE_URL=database.url, KAFKA_BOOTSTRAP=kafka_bootstrap)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Kafka and the database agree: there is nothing to recover.\n"


@pytest.mark.real_kafka
def test_a_database_that_was_set_back_ends_with_eight(
    loyalty: Loyalty, database: Database, kafka_bootstrap: str
) -> None:
    uvloop.run(recreate_topics(Kafka({"bootstrap_servers": kafka_bootstrap})))
    run_sql(database.owner_url, "UPDATE relay SET n = 5")
    for command in ("serve", "work", "relay", "schedule"):
        done = loyalty(command, DATABASE_URL=database.url, KAFKA_BOOTSTRAP=kafka_bootstrap)
        assert done.returncode == 8
        assert done.stderr.endswith("Stop all parts and run `loyalty recover`\n")
