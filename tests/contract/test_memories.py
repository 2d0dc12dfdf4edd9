"""What every adapter of `Memories` does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.domain.memories import MemoryQuery, rated
from backend.domain.once import AlreadyDone
from backend.domain.search import parse, understand
from backend.errors import InvalidCursor, MemoryNotFound
from backend.ports import Ports
from tests.builders import a_memory, a_promise

run = asyncio.run


def test_gives_back_what_it_took_and_replaces_it(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        memory = a_memory(title='"quoted": é', body="---\nnot front matter\n", tags=("a", "b"), ticket_number=7)
        await ports.memories.put(memory)
        assert await ports.memories.get(memory.id) == memory
        again = a_memory(memory.id, body="Other\n")
        await ports.memories.put(again)
        assert await opened().memories.get(memory.id) == again
        assert list((await opened().memories.list_memories(MemoryQuery())).items) == [again]

    run(check())


def test_pages_hold_each_memory_once_newest_first(ports: Ports) -> None:
    async def check() -> None:
        made = [a_memory(body=f"drum {'drum ' * (number % 3)}") for number in range(11)]
        for memory in made:
            await ports.memories.put(memory)
        for terms in (None, parse("drum")):
            found, cursor = [], None
            while True:
                page = await ports.memories.list_memories(MemoryQuery(terms, limit=3, cursor=cursor))
                found += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert {memory.id for memory in found} == {memory.id for memory in made}
            assert len(found) == len(made)
            if terms is None:
                assert found == made[::-1]
        with pytest.raises(InvalidCursor):
            await ports.memories.list_memories(MemoryQuery(cursor="x"))

    run(check())


def test_search_and_delete(ports: Ports) -> None:
    async def check() -> None:
        drum, cable = a_memory(body="a new drum"), a_memory(title="Cable", body="a new cable")
        await ports.memories.put(drum)
        await ports.memories.put(cable)

        async def found(text: str) -> set[str]:
            return {memory.id for memory in (await ports.memories.list_memories(MemoryQuery(parse(text)))).items}

        assert await found("new") == {drum.id, cable.id}
        assert await found("new -drum") == {cable.id}
        assert await found("-drum") == set()
        await ports.memories.delete(cable.id)
        await ports.memories.delete(cable.id)
        assert await found("new") == {drum.id}
        with pytest.raises(MemoryNotFound):
            await ports.memories.get(cable.id)

    run(check())


def test_probe_works(ports: Ports) -> None:
    run(ports.memories.probe())


def test_edits_never_overwrite_each_other(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        memory = a_memory()
        await ports.memories.put(memory)
        other = opened().memories
        stores = (ports.memories, other)
        await asyncio.gather(*(stores[n % 2].update(memory.id, lambda m: rated(m, True, None)) for n in range(20)))
        assert (await ports.memories.get(memory.id)).helpful == 20
        assert (await other.list_memories(MemoryQuery())).items[0].helpful == 20
        assert await ports.memories.update(memory.id, lambda _: None) == await other.get(memory.id)
        with pytest.raises(MemoryNotFound):
            await ports.memories.update("absent", lambda m: m)

    run(check())


def test_key_takes_effect_once(ports: Ports) -> None:
    async def check() -> None:
        memory = a_memory()
        await ports.memories.put(memory, a_promise("put"))
        await ports.memories.update(memory.id, lambda m: rated(m, True, "k"), a_promise("rate"))
        for again in (
            ports.memories.put(replace(memory, title="Other"), a_promise("put")),
            ports.memories.update(memory.id, lambda m: rated(m, True, "other"), a_promise("rate")),
        ):
            with pytest.raises(AlreadyDone):
                await again
        stored = await ports.memories.get(memory.id)
        assert (stored.title, stored.helpful) == (memory.title, 1)
        assert await ports.tickets.find_receipt("rate") is not None, "where every receipt is looked for"

    run(check())


def test_list_keeps_to_teams_and_conditions(ports: Ports) -> None:
    async def check() -> None:
        made = {team: a_memory(team=team, category="A", tags=("t",), ticket_number=7) for team in ("x", "y", None)}
        for memory in made.values():
            await ports.memories.put(memory)

        async def found(text: str, *teams: str) -> set[str | None]:
            asked = understand(text, "me")
            page = await ports.memories.list_memories(MemoryQuery(asked.terms, teams, asked.conditions))
            return {memory.team for memory in page.items}

        assert await found("", "x") == await found("drum", "x") == {"x", None}
        assert await found("category:A tag:t number:7 created:>2000") == {"x", "y", None}
        assert await found("team:none,y drum") == {"y", None}
        assert await found("-team:y") == {"x", None}
        assert await found("-tag:t") == await found("created:<2000") == await found("status:open") == set()

    run(check())
