from collections.abc import Sequence

import asyncpg
import pytest

from services.events.bisecting import REDOS, Fate, fate_of, settle
from services.events.halt import BreakerOpen, Fenced
from services.loyalty.application.programs import NoProgram
from services.loyalty.application.store import AlreadyRecorded


class Books:
    """Records batches, but none that holds something poisonous."""

    def __init__(self, *poison: int) -> None:
        self.poison = set(poison)
        self.recorded: list[int] = []
        self.given_up: list[int] = []
        self.attempts = 0

    async def attempt(self, batch: Sequence[int]) -> None:
        self.attempts += 1
        if self.poison.intersection(batch):
            raise ValueError("it does not agree with me")
        self.recorded += batch

    async def give_up(self, one: int, error: Exception) -> None:
        assert isinstance(error, ValueError)
        self.given_up.append(one)

    @property
    def settled(self) -> list[int]:
        return sorted([*self.recorded, *self.given_up])


async def test_a_batch_without_poison_is_one_attempt() -> None:
    books = Books()
    await settle(range(1000), books.attempt, books.give_up)
    assert books.attempts == 1
    assert books.recorded == list(range(1000))


@pytest.mark.parametrize("poison", [[0], [999], [500], [3, 4, 700], list(range(0, 1000, 97))])
async def test_only_the_poisonous_are_given_up(poison: list[int]) -> None:
    books = Books(*poison)
    await settle(range(1000), books.attempt, books.give_up)
    assert books.given_up == poison
    assert books.settled == list(range(1000))
    assert books.recorded == sorted(books.recorded)


async def test_one_poisonous_message_of_a_thousand_costs_few_attempts() -> None:
    books = Books(617)
    await settle(range(1000), books.attempt, books.give_up)
    assert books.attempts <= 21


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError("40P01"),
        asyncpg.ConnectionDoesNotExistError("08003"),
        asyncpg.QueryCanceledError("57014"),
        asyncpg.DiskFullError("53100"),
        asyncpg.InterfaceError("the connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
        MemoryError(),
        Fenced("taken over"),
        BreakerOpen("too many"),
        NoProgram(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_while_the_world_is_broken_nothing_is_given_up(error: Exception) -> None:
    async def fails(batch: Sequence[int]) -> None:
        raise error

    books = Books()
    with pytest.raises(type(error)):
        await settle(range(8), fails, books.give_up)
    assert books.given_up == []


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CharacterNotInRepertoireError("22021"),
        asyncpg.NumericValueOutOfRangeError("22003"),
        asyncpg.CheckViolationError("23514"),
        ZeroDivisionError(),
        KeyError("lot"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_message_holds_is_its_own_fault(error: Exception) -> None:
    assert fate_of(error) is Fate.SPLIT


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError("23505"), AlreadyRecorded()])
async def test_a_unique_key_means_read_again_and_redo(error: Exception) -> None:
    attempts = 0

    async def fails_once(batch: Sequence[int]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise error

    books = Books()
    await settle(range(8), fails_once, books.give_up)
    assert attempts == 2
    assert books.given_up == []


async def test_a_unique_key_that_never_gives_way_is_a_message_of_its_own() -> None:
    given_up: list[int] = []

    async def fails_on_five(batch: Sequence[int]) -> None:
        if 5 in batch:
            raise asyncpg.UniqueViolationError("23505")

    async def give_up(one: int, error: Exception) -> None:
        given_up.append(one)

    await settle(range(8), fails_on_five, give_up)
    assert given_up == [5]
    assert REDOS < 10, "a lane does not spin on a key for long"
