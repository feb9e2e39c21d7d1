from services.events.pace import Pace


def test_a_batch_whose_locks_are_held_too_long_is_followed_by_a_smaller_one() -> None:
    pace = Pace(2000, size=1000)
    pace.measured(1000, locked_ms=200)
    assert pace.size == 450


def test_full_batches_that_are_quick_are_followed_by_larger_ones_up_to_the_most() -> None:
    pace = Pace(2000, size=1500)
    for _ in range(10):
        pace.measured(pace.size, locked_ms=20)
    assert pace.size == 2000


def test_batches_that_were_not_full_say_nothing_about_larger_ones() -> None:
    pace = Pace(2000, size=500)
    pace.measured(3, locked_ms=1)
    assert pace.size == 500


def test_a_batch_never_shrinks_below_the_least() -> None:
    pace = Pace(2000, size=200)
    pace.measured(200, locked_ms=60_000)
    assert pace.size == 100


def test_a_deployment_may_ask_for_batches_of_one() -> None:
    pace = Pace(1)
    pace.measured(1, locked_ms=500)
    assert pace.size == 1
