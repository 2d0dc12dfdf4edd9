"""The specification of the port `Jobs`."""

import asyncio
import time
from collections.abc import Callable

from backend.domain.jobs import MOST_TRIES, Job, Leased, new_job
from backend.domain.values import now
from backend.ports import Ports


def a_job(**body: object) -> Job:
    return new_job("test", now(), **body)


async def taken(ports: Ports, lease: float = 30) -> Leased:
    """A job, waited for: a store may hand it out a moment later."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        leased = await ports.jobs.take(lease)
        if leased:
            return leased
        await asyncio.sleep(0.01)
    raise AssertionError("there is no job")


def test_job_is_handed_out_whole_and_to_one(ports: Ports) -> None:
    async def play() -> None:
        job = a_job(ticket="ü", count=1)
        await ports.jobs.put(job)
        leased = await taken(ports)
        assert leased.job == job and leased.tries == 1
        assert await ports.jobs.take(30) is None
        await ports.jobs.finish(leased)
        assert await ports.jobs.take(30) is None

    asyncio.run(play())


def test_many_takers_get_each_job_once(ports: Ports) -> None:
    async def play() -> None:
        jobs = [a_job(n=n) for n in range(20)]
        for job in jobs:
            await ports.jobs.put(job)
        leases = await asyncio.gather(*(taken(ports) for _ in jobs))
        assert sorted(leased.job.id for leased in leases) == sorted(job.id for job in jobs)
        assert await ports.jobs.take(30) is None

    asyncio.run(play())


def test_lease_that_runs_out_hands_the_job_out_anew(ports: Ports) -> None:
    async def play() -> None:
        await ports.jobs.put(a_job())
        first = await taken(ports, lease=0.05)
        second = await taken(ports)
        assert second.job == first.job and second.tries == 2 and second.lease != first.lease
        assert not await ports.jobs.extend(first, 30)
        await ports.jobs.finish(first)
        await ports.jobs.release(first)
        assert await ports.jobs.take(30) is None, "what lost its lease changes nothing"
        assert await ports.jobs.extend(second, 30)

    asyncio.run(play())


def test_released_it_is_due_at_once_or_later(ports: Ports) -> None:
    async def play() -> None:
        await ports.jobs.put(a_job())
        await ports.jobs.release(await taken(ports))
        await ports.jobs.release(await taken(ports), delay=60)
        assert await ports.jobs.take(30) is None
        await ports.jobs.put(a_job(), delay=60)
        assert await ports.jobs.take(30) is None

    asyncio.run(play())


def test_job_that_never_ends_is_dead_in_the_end(ports: Ports) -> None:
    async def play() -> None:
        job = a_job()
        await ports.jobs.put(job)
        for _ in range(MOST_TRIES):
            assert await ports.jobs.list_dead(10) == []
            await ports.jobs.release(await taken(ports))
        assert await ports.jobs.take(30) is None
        assert list(await ports.jobs.list_dead(10)) == [job]

    asyncio.run(play())


def test_jobs_survive_a_restart(opened: Callable[[], Ports]) -> None:
    job = a_job()
    asyncio.run(opened().jobs.put(job))
    assert asyncio.run(taken(opened())).job == job
