"""What every adapter of `Tokens` counts for a person and a day."""

import asyncio
from collections.abc import Callable

from backend.domain.quotas import Amount
from backend.ports import Ports

DAY, MOST = "2026-11-30", Amount(files=3, size=100, receipts=0)


def test_adds_up_to_the_limit_by_person_and_day_and_takes_back(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        spend = ports.tokens.spend
        assert await ports.tokens.spent("grace", DAY) == Amount()
        assert await spend("grace", DAY, Amount(1, 60, 5), MOST)
        assert not await spend("grace", DAY, Amount(1, 41), MOST), "too many bytes"
        assert not await spend("grace", DAY, Amount(0, 101), MOST)
        assert await spend("grace", DAY, Amount(1, 40), MOST), "exactly"
        assert await ports.tokens.spent("grace", DAY) == Amount(2, 100, 5)
        assert await spend("grace", DAY, Amount(receipts=7), MOST), "there is no limit of receipts, nor room for bytes"
        assert await spend("grace", DAY, Amount(-1, -40), MOST)
        assert await opened().tokens.spent("grace", DAY) == Amount(1, 60, 12), "after a restart too"
        assert await spend("grace", DAY, Amount(2), MOST)
        assert not await spend("grace", DAY, Amount(1), MOST), "too many files"
        assert await spend("ada", DAY, Amount(3, 100), MOST)
        assert await spend("grace", "2026-12-01", Amount(3, 100), MOST)

    asyncio.run(check())


def test_those_at_the_same_time_get_no_more_together(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        other = opened()
        tries = [each.tokens.spend("grace", DAY, Amount(1, 10), MOST) for each in (ports, other) for _ in range(5)]
        assert sorted(await asyncio.gather(*tries)) == [False] * 7 + [True] * 3
        assert await ports.tokens.spent("grace", DAY) == Amount(3, 30)

    asyncio.run(check())
