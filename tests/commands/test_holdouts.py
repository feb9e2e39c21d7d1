"""What a rule brings, told on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.holdout import is_held_out
from tests.commandline import Loyalty
from tests.commands.test_operations import Shop
from tests.events.conftest import PROGRAMME
from tests.events.messages import NOW
from tests.postgres import Database, run_sql

ROASTERY = PROGRAMME.parent / "roastery.yaml"


def test_both_groups_are_shown_and_given_as_json(
    loyalty: Loyalty, database: Database, tmp_path: Path
) -> None:
    shop = Shop(loyalty, database)
    file = tmp_path / "roastery.yaml"
    text = re.sub(
        r"^holds_from:.*$", "holds_from: 2011-01-11T00:00", ROASTERY.read_text(), flags=re.M
    )
    file.write_text(text.replace("2027-", "2011-"))
    assert shop.types("program", "publish", str(file)).returncode == 0
    run_sql(database.owner_url, "UPDATE clock SET now = '2011-04-01T12:00Z'")
    line = {"position": 1, "sku": "A", "quantity": 1, "unit_price": "250.00"}
    for member in ("17850", "12346"):
        shop.hears("commerce.member.enrolled.v1", member, at=NOW + DAY)
        shop.hears(
            "commerce.purchase.completed.v1",
            member,
            at=NOW + 70 * DAY,
            order_id="o1",
            currency="EUR",
            lines=[line],
        )
    done = shop.types("program", "holdout", "spring-steps", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    held = sum(
        is_held_out("roastery-club", "spring-steps", member, 1_000) for member in ("17850", "12346")
    )
    assert (told["holdout"], told["since"]) == ("10 %", "2011-02-28T23:00:00Z")
    assert told["treated"]["members"] == 2 - held
    assert told["treated"]["points"] == {"beans": 100 * (2 - held)}
    assert told["treated"]["spend"] == {"EUR": f"{250 * (2 - held)}.00"}
    shown = shop.types("program", "holdout", "spring-steps", "--since", "2011-03-01").stdout
    assert shown.startswith("spring-steps, 10 % held out, 2011-02-28T23:00:00Z to 2011-04-01T12:00")
    assert "a member, EUR" in shown
    wrong = shop.types("program", "holdout", "spring-steps", "--since", "March")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    nothing = shop.types("program", "holdout", "base")
    assert nothing.stderr == (
        "loyalty: no version has a rule, boost or card 'base' with a holdout\n"
    )
