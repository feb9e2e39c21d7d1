import pytest

from services.events.breaker import Tripped, explanation, runs_of_dead
from services.events.inbox import Message, Partition
from tests.events.messages import partition, put


def fates(where: Partition, pattern: str) -> list[tuple[Message, bool]]:
    """A message per letter, ``x`` for a dead one."""
    return [(put(where, "m", 1, dead=letter == "x"), letter == "x") for letter in pattern]


def test_a_run_ends_with_every_message_that_can_be_used() -> None:
    where = partition()
    assert runs_of_dead(fates(where, "xx.x"), 3) == {where: 1}
    assert runs_of_dead(fates(where, "xx."), 3) == {where: 0}


def test_a_run_goes_on_from_where_the_last_batch_left_it() -> None:
    where = partition(dead=2)
    assert runs_of_dead(fates(where, "x"), 3) == {where: 3}


def test_runs_of_partitions_are_counted_apart() -> None:
    one, two = partition(number=0), partition(number=1)
    counted = runs_of_dead([*fates(one, "xx"), *fates(two, "xx")], 3)
    assert counted == {one: 2, two: 2}


def test_one_dead_letter_too_many_trips_at_its_place() -> None:
    where = partition(dead=1)
    messages = fates(where, ".xxxx")
    with pytest.raises(Tripped) as tripped:
        runs_of_dead(messages, 3)
    assert tripped.value.index == 4
    assert tripped.value.message is messages[4][0]


def test_the_operator_reads_where_and_why() -> None:
    message, _ = fates(partition(number=7), "x")[0]
    said = explanation(message, 100)
    assert "commerce.purchases/7" in said
    assert "offset 0 (not_json)" in said
    assert "LOYALTY_BREAKER" in said
