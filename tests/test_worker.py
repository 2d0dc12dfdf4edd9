"""The worker goes on whatever a duty does, and stops when told."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from backend.errors import Unavailable
from backend.worker import Duty, Worker

NO_PORTS: Any = None


@dataclass
class Work:
    """Does what its script says, piece by piece, then idles."""

    script: list[Any]
    done: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: Any) -> bool:
        self.done += 1
        if not self.script:
            self.idle.set()
            return False
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return bool(step)


def run(*works: Work) -> None:
    async def play() -> None:
        worker = Worker(NO_PORTS, [Duty(f"duty {n}", work, idle_seconds=0.01) for n, work in enumerate(works)])
        worker.start()
        await asyncio.wait_for(asyncio.gather(*(work.idle.wait() for work in works)), 10)
        await worker.stop()

    asyncio.run(play())


def test_goes_on_while_there_is_more_and_asks_again_later() -> None:
    work = Work([True, True, False, True])
    run(work)
    assert work.done >= 5


def test_survives_what_a_duty_raises(monkeypatch) -> None:
    monkeypatch.setattr("backend.worker.TROUBLE_SECONDS", 0.01)
    broken, sound = Work([Unavailable("gone"), ValueError("bug"), True]), Work([True])
    run(broken, sound)
    assert broken.done >= 4 and sound.done >= 2


def test_stop_cuts_off_what_does_not_finish(monkeypatch) -> None:
    monkeypatch.setattr("backend.worker.STOP_SECONDS", 0.05)
    cut = []

    async def endless(_: Any) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            cut.append(True)
        return True

    async def play() -> None:
        worker = Worker(NO_PORTS, [Duty("endless", endless)])
        worker.start()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await worker.stop()

    asyncio.run(play())
    assert cut == [True]


def test_stops_before_it_was_started() -> None:
    async def play() -> None:
        await Worker(NO_PORTS, []).stop()

    asyncio.run(play())


def test_stop_lets_what_winds_up_end_by_itself() -> None:
    ended = []

    async def busy(_: Any) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)
        return True

    async def play() -> None:
        worker = Worker(NO_PORTS, [Duty("busy", busy, winds_up=True)])
        worker.start()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.wait_for(worker.stop(), 1)

    asyncio.run(play())
    assert ended == [True]


def test_counts_every_turn_and_how_it_went(monkeypatch) -> None:
    monkeypatch.setattr("backend.worker.TROUBLE_SECONDS", 0.01)
    counted = []
    work = Work([True, Unavailable("gone"), False])

    async def play() -> None:
        duty = Duty("duty", work, idle_seconds=0.01)
        worker = Worker(NO_PORTS, [duty], count=lambda what, outcome: counted.append((what, outcome)))
        worker.start()
        await asyncio.wait_for(work.idle.wait(), 10)
        await worker.stop()

    asyncio.run(play())
    assert counted[:3] == [("duty", "worked"), ("duty", "failed"), ("duty", "idle")]
