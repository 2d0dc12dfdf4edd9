"""A page of any list ends before its texts get too long, and the next one goes on there, on every adapter."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from backend.domain import pages
from backend.domain.memories import MemoryQuery
from backend.domain.pages import CommentQuery, PageBudget, Sort, TicketFilter, TicketQuery
from backend.domain.search import parse
from backend.domain.tickets import changed
from backend.domain.values import Page, now
from backend.ports import Ports
from tests.builders import a_comment, a_memory, a_ticket, an_event

LENGTHS = (300, 300, 300, 450, 2_500, 10, 900, 90, 20, 20)
"""On pages of 1,000 characters, in this order: 3, 1, 1, 3, 2."""


def text(length: int) -> str:
    return f"toner {'x' * (length - 6)}"


async def walk(read: Callable[[str | None], Awaitable[Page[Any]]]) -> list[list[Any]]:
    """Every page."""
    found, cursor = [], None
    while True:
        page = await read(cursor)
        found.append(list(page.items))
        cursor = page.next_cursor
        if cursor is None:
            return found


def check(found: list[list[Any]], length: Callable[[Any], int], ids: list[str]) -> None:
    """Each item comes once, on pages that are as full as they may be."""
    assert sorted(item.id for page in found for item in page) == sorted(ids)
    for at, page in enumerate(found):
        assert len(page) == 1 or sum(map(length, page)) <= 1_000
        if at + 1 < len(found):
            assert sum(map(length, page)) + length(found[at + 1][0]) > 1_000, "there was budget for one more"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_CHARACTERS", 1_000)


def test_the_first_item_always_fits() -> None:
    budget = PageBudget()
    assert budget.takes("x" * 5_000) and not budget.takes("x")
    budget = PageBudget()
    assert [budget.takes("x" * 400, None, "x" * 100) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("sort", [Sort.OLDEST, Sort.LAST_UPDATED, Sort.HIGHEST_NUMBER, Sort.FIRST_DUE, Sort.RELEVANCE])
def test_of_tickets(ports: Ports, sort: Sort) -> None:
    async def scene() -> None:
        ids = []
        for at, length in enumerate(LENGTHS):
            resolution = text(length)[6:] if at % 2 else None
            ticket = a_ticket(description=text(length) if at % 2 == 0 else "toner", resolution=resolution)
            ids.append((await ports.tickets.add(ticket, (), an_event(ticket))).id)
        for terms in (None, parse("toner")) if sort is not Sort.RELEVANCE else (parse("toner"),):
            for where in (TicketFilter(), TicketFilter(category=(ticket.category,))):
                query = TicketQuery(where, terms, sort, 200)
                found = await walk(lambda cursor, q=query: ports.tickets.list_tickets(replace(q, cursor=cursor)))
                check(found, lambda one: len(one.description) + len(one.resolution or ""), ids)

    asyncio.run(scene())


def test_of_comments_and_history(ports: Ports) -> None:
    async def scene() -> None:
        ticket = a_ticket()
        ticket = await ports.tickets.add(ticket, (), an_event(ticket))
        ids: dict[bool, list[str]] = {False: [], True: []}
        for at, length in enumerate(LENGTHS * 2):
            comment = a_comment(ticket, body=text(length), internal=at % 2 == 1)
            change = {"description": (None, text(length))}
            line = replace(an_event(ticket), changes=change, internal=comment.internal)
            await ports.tickets.add_comment(comment, lambda ticket, line=line: (changed(ticket, now()), line))
            ids[comment.internal].append(comment.id)
        for internal, seen in ((True, [*ids[False], *ids[True]]), (False, ids[False])):
            found = await walk(lambda cursor, i=internal: ports.tickets.list_comments(ticket.id, i, 200, cursor))
            check(found, lambda one: len(one.body), seen)
            lines = await walk(lambda cursor, i=internal: ports.tickets.list_history(ticket.id, i, 200, cursor))
            assert len({one.id for page in lines for one in page}) == len(seen) + 1 and len(lines) > 3
            assert all(len(page) == 1 or sum(len(str(one.changes)) for one in page) < 1_500 for page in lines)
        for internal, seen in ids.items():
            query = CommentQuery(TicketFilter(), parse("toner"), internal, 200)
            found = await walk(lambda cursor, q=query: ports.tickets.search_comments(replace(q, cursor=cursor)))
            check([[one.comment for one in page] for page in found], lambda one: len(one.body), seen)

    asyncio.run(scene())


@pytest.mark.parametrize("words", [None, "toner"])
def test_of_memories(ports: Ports, words: str | None) -> None:
    async def scene() -> None:
        ids = []
        for at, length in enumerate(LENGTHS):
            memory = a_memory(f"m{at}", body=text(length))
            await ports.memories.put(memory)
            ids.append(memory.id)
        query = MemoryQuery(parse(words) if words else None, limit=200)
        found = await walk(lambda cursor: ports.memories.list_memories(replace(query, cursor=cursor)))
        check(found, lambda one: len(one.body), ids)

    asyncio.run(scene())
