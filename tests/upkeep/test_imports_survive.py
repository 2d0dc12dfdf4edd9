"""An import that is cut off anywhere goes on without losing or doubling a row."""

import asyncio
import random
from pathlib import Path

import pytest

from backend.domain.catalogue import Kind
from backend.domain.imports import ImportDraft
from backend.domain.jobs import Leased
from backend.ports import Ports
from backend.settings import load_settings
from backend.usecases import import_work, imports, jobs
from backend.wiring import wire
from tests.conftest import variables
from tests.upkeep.installations import ADMIN

DRAFT = ImportDraft.model_validate({"columns": {"t": "title", "s": "severity"}})


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    ports = wire(load_settings(variables(tmp_path), Path("/nonexistent")))
    ports.open()
    yield ports
    ports.close()


async def begin(ports: Ports, content: str) -> str:
    async def chunks():
        yield content.encode()

    file = await imports.store(ports, ADMIN, chunks(), None)
    return (await imports.start(ports, ADMIN, DRAFT, file, None)).id


async def leased(ports: Ports) -> Leased:
    while (found := await ports.jobs.take(30)) is None:  # noqa: ASYNC110  # a queue in a store is asked
        await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_killed_after_any_commit_it_goes_on(ports: Ports, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dies right after a random commit of tickets, before anybody has noted it, again and again."""
    chance = random.Random(seed)
    rows = [(f"ticket {n}", "no" if 300 <= n < 1_300 or n % 5 == 0 else "low") for n in range(2_000)]
    add_many = ports.tickets.add_many

    async def dying(*given):
        added = await add_many(*given)
        if chance.random() < 0.3:
            raise Killed
        return added

    monkeypatch.setattr(ports.tickets, "add_many", dying)

    async def play() -> tuple[dict, int]:
        import_id = await begin(ports, "t,s\n" + "".join(f"{t},{s}\n" for t, s in rows))
        job, deaths = await leased(ports), 0
        while True:
            try:
                await import_work.run(ports, job)
                break
            except Killed:
                deaths += 1
        return dict((await ports.catalogue.get(Kind.IMPORT, import_id)).body), deaths

    body, deaths = asyncio.run(play())
    good = [title for title, severity in rows if severity == "low"]
    assert deaths > 2
    assert (body["state"], body["made"], body["read"]) == ("done", len(good), len(rows))
    assert body["refused"] == len(rows) - len(good)
    stored = []
    while page := asyncio.run(ports.tickets.dump(stored[-1].ticket.number if stored else 0, 50)):
        stored += page
    assert [one.ticket.title for one in stored] == good


def test_job_without_a_record_ends_and_takes_its_bytes_along(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        import_id = await begin(ports, "t,s\na,low\n")
        record = await ports.catalogue.get(Kind.IMPORT, import_id)
        await ports.catalogue.remove(record)
        job = await leased(ports)
        await import_work.run(ports, Leased(job.job, job.lease, 3))
        assert await ports.uploads.size(record.body["key"]) is None

    asyncio.run(play())


def test_stopped_it_gives_its_job_back_at_once(ports: Ports) -> None:
    async def play() -> None:
        await begin(ports, "t,s\n" + "x,low\n" * 50_000)
        while not (await ports.tickets.dump(0, 1)):
            task = asyncio.create_task(jobs.work(ports))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        again = await leased(ports)
        assert again.tries >= 2

    asyncio.run(play())


def test_bytes_that_are_gone_end_it(ports: Ports) -> None:
    async def play() -> None:
        import_id = await begin(ports, "t,s\na,low\n")
        record = await ports.catalogue.get(Kind.IMPORT, import_id)
        await ports.uploads.delete(record.body["key"])
        await import_work.run(ports, await leased(ports))
        body = (await ports.catalogue.get(Kind.IMPORT, import_id)).body
        assert body["state"] == "failed" and body["problem"]

    asyncio.run(play())
