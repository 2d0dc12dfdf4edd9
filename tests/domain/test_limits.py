"""Rates and lock-outs, with the clock in hand."""

import sys

import pytest

from backend.domain.limits import GUESSES, MOST_REMEMBERED, Buckets, LockOut, Recent


@pytest.mark.parametrize("limit", [1, 7, 60, 6_000])
def test_bucket_gives_a_minutes_worth_at_once_and_then_one_at_a_time(limit: int) -> None:
    buckets = Buckets()
    at = 1e6
    assert all(buckets.take("a", limit, at) == 0 for _ in range(limit))
    wait = buckets.take("a", limit, at)
    assert wait == pytest.approx(60 / limit, abs=1e-3)
    assert buckets.take("b", limit, at) == 0, "another's bucket is another"
    assert buckets.take("a", limit, at + wait * 0.9) > 0
    assert buckets.take("a", limit, at + wait * 1.01) == 0
    assert buckets.take("a", limit, at + wait * 1.02) > 0
    at += 200
    assert sum(buckets.take("a", limit, at) == 0 for _ in range(2 * limit)) == limit, "full again, and no fuller"


def test_recent_forgets_the_oldest_and_never_grows() -> None:
    recent: Recent[int, int] = Recent(100)
    for number in range(10_000):
        recent.set(number, number)
        assert len(recent) <= 202
    assert [recent.get(number) for number in (9_999, 9_900, 9_000)] == [9_999, 9_900, None]
    recent.drop(9_999)
    assert recent.get(9_999) is None


def guess(lock_out: LockOut, times: int, at: float, address: str = "a", first: int = 0) -> list[float]:
    return [lock_out.failed(address, first + number, at) for number in range(times)]


def test_ten_different_wrong_secrets_lock_an_address_for_longer_each_time() -> None:
    lock_out = LockOut()
    at = 1e6
    for expected in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600):
        assert lock_out.wait("a", at) == 0
        assert guess(lock_out, GUESSES, at) == [0] * (GUESSES - 1) + [expected]
        assert lock_out.wait("a", at) == expected
        assert lock_out.wait("b", at) == 0
        at += expected
    at += 3_601
    assert guess(lock_out, GUESSES, at)[-1] == 60, "it begins anew after an hour without a lock"


def test_slow_failures_and_one_stale_secret_lock_nobody_out() -> None:
    lock_out = LockOut()
    assert not any(lock_out.failed("a", number, 1e6 + number * 40) for number in range(1_000))
    assert not any(lock_out.failed("b", 7, 1e6 + number) for number in range(1_000))


def test_a_million_addresses_take_little_memory() -> None:
    lock_out, buckets = LockOut(), Buckets()
    for number in range(20_000):
        lock_out.failed(str(number), number, 1e6)
        buckets.take(str(number), 60, 1e6)
    assert len(lock_out._guesses) <= 2 * MOST_REMEMBERED + 2
    assert len(buckets._full_at) <= 2 * MOST_REMEMBERED + 2
    worst = GUESSES * sys.getsizeof(2**62) + sys.getsizeof((0,) * GUESSES)
    assert worst * 2 * MOST_REMEMBERED < 8 * 1024 * 1024
