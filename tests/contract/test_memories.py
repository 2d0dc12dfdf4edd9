"""What every adapter of `Memories` does."""

import asyncio
from collections.abc import Callable

import pytest

from backend.domain.memories import MemoryQuery
from backend.domain.search import parse
from backend.errors import InvalidCursor, MemoryNotFound
from backend.ports import Ports
from tests.builders import a_memory

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
