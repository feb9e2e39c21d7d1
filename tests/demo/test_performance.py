"""The whole demonstration on a few customers: every part, in a process of its own."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import services.demo.data
from services.demo.orders import Tally, read_sales
from services.guard import removable

KNOWN_FOR = "12346"
COMMAND = [sys.executable, "-m", "services.cli", "demo"]
PATIENCE_S = 120


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invoice lines of every fortieth customer and of one that is known, up to the end of March."""
    bundled = Path(services.demo.data.__file__).parent / "online-retail-slice.csv.gz"
    path = tmp_path_factory.mktemp("sales") / "few.csv"
    with gzip.open(bundled, "rt", encoding="utf-8", newline="") as file, path.open("w") as few:
        reader, writer = csv.reader(file), csv.writer(few)
        writer.writerow(next(reader))
        writer.writerows(row for row in reader if row[4] < "2011-04" and _wanted(row[6]))
    return path


def _wanted(customer: str) -> bool:
    return customer == KNOWN_FOR or (customer != "" and int(customer) % 40 == 0)


@pytest.fixture(scope="module")
def below() -> Iterator[Path]:
    """Where embedded parts keep their files; PostgreSQL's account has to get through to it."""
    made = removable(None, prefix="loyalty-test-")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def told(few: Path, below: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [*COMMAND, "--once", "--json", "--data", str(few)],
        env=_environment(below),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(below.iterdir()) == []
    summary: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return summary


def _environment(below: Path) -> dict[str, str]:
    others = {name: text for name, text in os.environ.items() if not name.startswith("LOYALTY_")}
    return others | {"LOYALTY_DATA_DIR": str(below)}


@pytest.fixture(scope="module")
def tally(few: Path) -> Tally:
    return read_sales(few)[1]


def test_everything_sold_and_returned_is_journaled_once(told: dict[str, Any], tally: Tally) -> None:
    activities = told["books"]["activities"]
    assert activities["purchase"] == tally.purchases
    assert activities["refund"] == tally.refunds
    assert activities["cancellation"] == tally.cancellations >= 1
    assert told["books"]["members"] == activities["enrolment"] + activities["opening"]
    assert told["messages_sent"] > tally.purchases + tally.refunds


def test_points_flow_and_add_up(told: dict[str, Any]) -> None:
    points = told["books"]["points"]["points"]
    went = points["redeemed"] + points["expired"] + points["outstanding"] + points["clawed_back"]
    came = points["issued"] + points["brought_along"]
    assert went - points["went_into_arrears"] + points["repaid"] == came
    assert points["outstanding"] == points["pending"] + points["available"]
    assert min(points["issued"], points["expired"], points["clawed_back"]) > 0
    assert points["worth"].endswith(" GBP")


def test_members_of_an_older_card_come_once_with_what_they_had(told: dict[str, Any]) -> None:
    came = told["came"]
    assert came["members"] == told["books"]["activities"]["opening"] > 0
    assert (came["again"], came["different"]) == (0, 0)
    assert came["same"] == came["members"]
    assert came["orders"] > 0
    assert came["points"] == told["books"]["points"]["points"]["brought_along"]


def test_tiers_rise_and_birthdays_are_celebrated(told: dict[str, Any]) -> None:
    tiers = told["books"]["tiers"]
    assert sum(tiers["members"].values()) == told["books"]["members"]
    assert 0 < tiers["members_who_rose"] <= tiers["rises"]
    assert told["books"]["rewards"]["birthday"]["birthday-treat"] > 0


def test_refunds_of_what_was_bought_before_wait_and_lapse(
    told: dict[str, Any], tally: Tally
) -> None:
    books = told["books"]
    assert tally.refunds_of_unknown_orders > 0
    assert books["parked"]["awaits_purchase"] > 0
    assert books["lapsed"] > 0


def test_rubbish_becomes_dead_letters_with_their_reasons(told: dict[str, Any]) -> None:
    assert told["books"]["dead_letters"] == {
        "member_id_is_personal": 1,
        "not_a_cloudevent": 1,
        "not_json": 1,
        "unknown_currency": 1,
        "unknown_type": 1,
    }


def test_what_is_published_comes_once_and_in_order(told: dict[str, Any]) -> None:
    published = told["events_published"]
    assert told["published_twice_or_out_of_order"] == 0
    joined = published["loyalty.member.enrolled.v1"]
    assert joined + published["loyalty.member.imported.v1"] == told["books"]["members"]
    assert published["loyalty.activity.lapsed.v1"] == told["books"]["lapsed"]


def test_the_books_verify_and_both_acts_come_out_well(told: dict[str, Any]) -> None:
    assert told["verified"]["sound"]
    assert told["verified"]["journal_rows"] == told["books"]["journal_rows"]
    killed, forged = told["acts"]["killed"], told["acts"]["forged"]
    assert killed["passed"]
    assert killed["recorded_by_the_successor"] == killed["messages"] > 0
    assert forged["passed"]
    assert forged["found"].startswith(f"member {forged['member']}, seq {forged['seq']}: ")
    assert "append-only" in forged["refused"]


def test_an_interrupted_demonstration_leaves_nothing_behind(few: Path, below: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "--data", str(few)],
        env=_environment(below),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not list(below.glob("*/cluster/postmaster.pid")) and time.monotonic() < deadline:
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=10)
    assert (running.returncode, said) == (130, "loyalty: interrupted\n")
    assert list(below.iterdir()) == []


def test_a_file_that_does_not_fit_is_named_with_its_line(tmp_path: Path, below: Path) -> None:
    (tmp_path / "bad.csv").write_text("InvoiceNo,StockCode\n1,2\n")
    ran = subprocess.run(
        [*COMMAND, "--once", "--data", str(tmp_path / "bad.csv")],
        env=_environment(below),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"loyalty: {tmp_path}/bad.csv: line 1: the header lacks ")
    assert ran.stderr.count("\n") == 1


def test_a_draft_is_run_over_the_play_and_the_roll_forward_foots(told: dict[str, Any]) -> None:
    draft, books = told["backoffice"]["draft"], told["backoffice"]["rollforward"]
    assert draft["activities"] > 0
    assert draft["left_out"] == 0
    assert draft["earned"]["live"] != draft["earned"]["draft"]
    assert books["foots"]
    closing = {name: bucket["closing"] for name, bucket in books["currencies"]["points"].items()}
    assert sum(closing.values()) == 0
    assert closing["available"] > 0


def test_the_story_is_told_of_who_bought_for_a_fortune_and_thought_better_of_it(
    told: dict[str, Any],
) -> None:
    story = told["story"]
    assert story["member"] == KNOWN_FOR
    kinds = [item["kind"] for item in story["items"]]
    assert kinds == ["enrolment", "purchase", "cancellation"]
    said = [sentence["text"] for item in story["items"] for sentence in item["sentences"]]
    assert "The member bought order 541431: 1 line for £77,183.60, on the channel web." in said
    assert "The level fell from “Gold” to “Basic”, because what had reached it came back." in said
