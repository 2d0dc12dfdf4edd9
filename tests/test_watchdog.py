"""What holds up the event loop is measured step by step, and named."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from backend import watchdog
from backend.watchdog import Watchdog, watched

Seen = list[tuple[str, float]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[float], None], Seen]:
    """What lets time pass, and what was observed."""
    at, seen = [0.0], Seen()
    dog = Watchdog()
    dog.clock, dog.observe = lambda: at[0], lambda name, seconds: seen.append((name, round(seconds, 3)))
    monkeypatch.setattr(watchdog, "WATCHDOG", dog)

    def work(seconds: float) -> None:
        at[0] += seconds

    return work, seen


def test_each_step_counts_by_itself(clock: tuple[Callable[[float], None], Seen]) -> None:
    work, seen = clock

    async def handler() -> str:
        work(0.004)
        await asyncio.sleep(0)
        work(0.02)
        await asyncio.sleep(0)
        work(0.009)
        return "done"

    assert asyncio.run(watched(handler(), lambda: "GET /x")) == "done"
    assert seen == [("GET /x", 0.02)]


def test_also_counts_what_fails_and_passes_on_what_is_cancelled(clock: tuple[Callable[[float], None], Seen]) -> None:
    work, seen = clock

    async def fails() -> None:
        work(0.3)
        raise ValueError("no")

    async def stopped() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            work(0.2)
            raise

    async def scene() -> None:
        with pytest.raises(ValueError, match="no"):
            await watched(fails(), lambda: "fails")
        task = asyncio.create_task(_of(watched(stopped(), lambda: "stopped")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def _of(work: Awaitable[object]) -> None:
        await work

    asyncio.run(scene())
    assert seen == [("fails", 0.3), ("stopped", 0.2)]


def test_a_long_step_is_told_in_one_line_now_and_then(
    clock: tuple[Callable[[float], None], Seen], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.WARNING, "backend.watchdog"):
        for moment, seconds in ((100.0, 0.1001), (101.0, 0.2), (105.0, 0.3), (111.0, 0.25), (130.0, 0.05)):
            now[0] = moment
            watchdog.WATCHDOG.note("GET /x", seconds)
    assert [one.getMessage() for one in caplog.records] == [
        "the event loop was held up: GET /x took 100 ms in one go",
        "the event loop was held up: GET /x took 250 ms in one go; 2 more since the last such line",
    ]
