"""Runs what need not keep a request waiting, beside the requests, in every serving process.

A duty is a use case that does a small piece of work and says whether there is more. Several processes run the same
duties: what must not happen twice is leased or conditional in its store, never guarded here.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from backend.errors import Unavailable
from backend.ports import Ports
from backend.usecases import jobs, outbox
from backend.watchdog import watched

IDLE_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
STOP_SECONDS = 5.0  # within the grace period of `serve`

logger = logging.getLogger("backend.worker")


@dataclass(frozen=True, slots=True)
class Duty:
    """`work` does one piece and returns whether to go on at once; else it is asked again after `idle_seconds`, or
    IDLE_SECONDS.

    One that `winds_up` may go on for as long as there is work: at the stop it is cancelled at once, takes nothing new
    from then on, and ends within STOP_SECONDS by itself.
    """

    name: str
    work: Callable[[Ports], Awaitable[bool]]
    idle_seconds: float | None = None
    winds_up: bool = False


DUTIES: tuple[Duty, ...] = (
    Duty("jobs", jobs.work, winds_up=True),
    Duty("fan out", outbox.fan_out),
    Duty("deliver", outbox.deliver, winds_up=True),
    Duty("forget deliveries", outbox.forget, idle_seconds=3600.0),
)


def _uncounted(what: str, outcome: str) -> None:
    pass


class Worker:
    """All duties, each in a task of its own, from `start` to `stop`. `count` is told of each turn and how it went."""

    def __init__(
        self, ports: Ports, duties: Sequence[Duty] = DUTIES, count: Callable[[str, str], None] = _uncounted
    ) -> None:
        self._ports = ports
        self._duties = duties
        self._count = count
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._tasks = [asyncio.create_task(self._attend(duty), name=duty.name) for duty in self._duties]

    async def stop(self) -> None:
        """Take nothing new, and give what runs a moment to finish; what does not is cut off and done again later."""
        self._stopping.set()
        if not self._tasks:
            return
        for duty, task in zip(self._duties, self._tasks, strict=True):
            if duty.winds_up:
                task.cancel()
        _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _turn(self, duty: Duty) -> bool:
        return await duty.work(self._ports)

    async def _attend(self, duty: Duty) -> None:
        while not self._stopping.is_set():
            pause, outcome = 0.0, "worked"
            try:
                if not await watched(self._turn(duty), lambda: duty.name):
                    pause, outcome = duty.idle_seconds or IDLE_SECONDS, "idle"
            except Unavailable as problem:
                logger.warning("%s: %s", duty.name, problem)
                pause, outcome = TROUBLE_SECONDS, "failed"
            except Exception:
                logger.exception("%s: an unexpected error", duty.name)
                pause, outcome = TROUBLE_SECONDS, "failed"
            self._count(duty.name, outcome)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause or 0.001)
