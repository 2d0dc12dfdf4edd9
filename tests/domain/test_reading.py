"""Whose turn it is to read, and for how long one may."""

import pytest

from backend.domain.reading import FairQueue, Key, Permit, ReadLimits
from backend.errors import ClientGone, Overdue

LIMITS = ReadLimits(threads=8)
ADA, BEN, CAT = ("192.0.2.1", "ada"), ("192.0.2.1", "ben"), ("192.0.2.2", "cat")


def take_all(queue: FairQueue[int]) -> list[Key]:
    """Whose turns come, as long as nothing ends."""
    turns = []
    while (taken := queue.take()) is not None:
        turns.append(taken[0])
    return turns


def filled(*keys: Key) -> FairQueue[int]:
    queue: FairQueue[int] = FairQueue(LIMITS)
    for number, key in enumerate(keys):
        queue.add(key, number)
    return queue


def test_one_caller_gets_a_quarter() -> None:
    queue = filled(*[ADA] * 200)
    assert take_all(queue) == [ADA, ADA]
    queue.add(BEN, 200)
    assert take_all(queue) == [BEN]
    queue.end(ADA)
    assert take_all(queue) == [ADA]
    assert queue.waiting == 197


def test_one_address_gets_three_quarters() -> None:
    callers = [("192.0.2.1", f"caller {number}") for number in range(100)]
    queue = filled(*callers * 2, CAT, CAT)
    turns = take_all(queue)
    assert len(turns) == 8
    assert sum(key[0] == "192.0.2.1" for key in turns) == 6
    assert len(set(turns)) == 7, "callers take turns before any has a second one"


def test_addresses_and_callers_take_turns() -> None:
    queue: FairQueue[int] = FairQueue(ReadLimits(threads=4))
    for number in range(10):
        queue.add(ADA, number)
    queue.add(BEN, 10)
    queue.add(CAT, 11)
    order = []
    while (taken := queue.take()) is not None:
        order.append(taken)
        queue.end(taken[0])
    assert [key for key, _ in order[:4]] == [ADA, CAT, BEN, ADA]
    assert [job for key, job in order if key == ADA] == list(range(10)), "one caller's own come in order"
    assert queue.waiting == 0


def test_what_nobody_waits_for_can_be_taken_out() -> None:
    queue = filled(*[ADA] * 10, BEN)
    assert queue.drop(ADA, lambda job: job < 8) == list(range(8))
    assert (queue.waiting, queue.length(ADA), queue.length(BEN)) == (3, 2, 1)
    assert queue.drop(ADA, lambda job: True) == [8, 9]
    assert queue.length(ADA) == 0
    assert take_all(queue) == [BEN]
    assert queue.drop(CAT, lambda job: True) == []


@pytest.mark.parametrize("threads", range(1, 65))
def test_everybody_gets_at_least_one_thread(threads: int) -> None:
    limits = ReadLimits(threads=threads)
    assert 1 <= limits.per_caller <= limits.per_address <= threads


def test_a_permit_ends_with_its_time_or_its_client() -> None:
    fresh = Permit(60, lambda: False)
    assert not fresh.is_over()
    fresh.check()
    late = Permit(-1, lambda: False)
    assert late.is_over()
    with pytest.raises(Overdue):
        late.check()
    left = Permit(60, lambda: True)
    assert left.is_over()
    with pytest.raises(ClientGone):
        left.check()
    fresh.is_cancelled = True
    assert fresh.is_over()
    with pytest.raises(ClientGone):
        fresh.check()
