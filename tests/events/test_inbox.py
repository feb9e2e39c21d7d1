from services.events.inbox import Message, draw, enrolments_first
from services.events.topics import MEMBERS
from tests.events.messages import enrolment, partition, put


def names(messages: list[Message]) -> list[str]:
    return [message.raw.decode() for message in messages]


def test_partitions_are_merged_by_time() -> None:
    purchases, members = partition(), partition(MEMBERS)
    for time in (10, 30, 50):
        put(purchases, "m", time)
    for time in (20, 40):
        put(members, "m", time)
    assert [message.time for message in draw([purchases, members], 10)] == [10, 20, 30, 40, 50]


def test_a_late_event_does_not_overtake_its_own_partition() -> None:
    late, other = partition(number=0), partition(number=1)
    put(late, "a", 100)
    put(late, "a", 1)
    put(other, "b", 50)
    drawn = draw([late, other], 10)
    assert [message.time for message in drawn] == [50, 100, 1]


def test_what_is_not_drawn_stays_in_order() -> None:
    one, two = partition(number=0), partition(number=1)
    for time in range(6):
        put(one if time % 2 else two, "m", time)
    assert [message.time for message in draw([one, two], 4)] == [0, 1, 2, 3]
    assert [message.time for message in draw([one, two], 4)] == [4, 5]
    assert draw([one, two], 4) == []


def test_one_partition_is_drawn_up_to_the_limit() -> None:
    only = partition()
    for time in range(5):
        put(only, "m", time)
    assert len(draw([only], 3)) == 3
    assert len(only.waiting) == 2


def test_an_enrolment_goes_before_the_other_activities_of_its_member() -> None:
    purchases, members = partition(), partition(MEMBERS)
    put(purchases, "a", 1)
    put(purchases, "b", 2)
    put(members, "b", 3)
    joins = put(members, "a", 4, enrolment())
    order = enrolments_first(draw([purchases, members], 10))
    assert order[0] is joins
    assert names(order[1:]) == [
        "commerce.purchases/0/0",
        "commerce.purchases/0/1",
        "commerce.members/0/0",
    ]


def test_an_enrolment_never_overtakes_its_own_partition() -> None:
    purchases, members = partition(), partition(MEMBERS)
    put(purchases, "a", 1)
    put(members, "a", 2)
    put(members, "a", 3, enrolment())
    drawn = draw([purchases, members], 10)
    assert enrolments_first(drawn) == drawn


def test_messages_that_cannot_be_used_are_not_decided() -> None:
    purchases = partition()
    put(purchases, "a", 1, dead=True)
    kept = put(purchases, "a", 2)
    assert enrolments_first(draw([purchases], 10)) == [kept]
