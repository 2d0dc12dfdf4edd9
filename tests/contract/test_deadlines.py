"""Reads stop at their deadline and with their client, on every adapter; writes are carried through."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from types import SimpleNamespace

import pytest

from backend.adapters.embedded import interrupts
from backend.adapters.threads import ReadThreads
from backend.domain import reading
from backend.domain.figures import Period
from backend.domain.memories import MemoryQuery
from backend.domain.pages import CommentQuery, Sort, TicketQuery
from backend.domain.reading import Permit, Reader, ReadLimits, reading_for
from backend.domain.search import understand
from backend.domain.values import now
from backend.errors import ClientGone, Overdue, TooManyRequests
from backend.ports import Ports
from tests.builders import a_comment, a_ticket, an_edit, an_event, saying

run = asyncio.run
TERMS = understand("printer", "").terms or ()
TODAY = Period(("2025-10-01",), ("2025-10-01T00:00:00.000000Z", "2025-10-02T00:00:00.000000Z"), now())

READS: dict[str, Callable[[Ports], Awaitable[object]]] = {
    "search": lambda ports: ports.tickets.list_tickets(TicketQuery(terms=TERMS, sort=Sort.RELEVANCE)),
    "search by time": lambda ports: ports.tickets.list_tickets(TicketQuery(terms=TERMS)),
    "comments": lambda ports: ports.tickets.search_comments(CommentQuery(TicketQuery().where, TERMS)),
    "memories": lambda ports: ports.memories.list_memories(MemoryQuery(TERMS)),
    "figures": lambda ports: ports.tickets.figures(TODAY),
}


@pytest.fixture
def filled(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Ports:
    """With some tickets that match, and looked at after every few steps."""
    monkeypatch.setattr(interrupts, "STEPS_A_LOOK", 5)

    async def fill() -> None:
        for number in range(20):
            ticket = a_ticket(title=f"printer {number}", description="printer jam")
            await ports.tickets.add(ticket, (), an_event(ticket))
            said = a_comment(ticket, body="printer")
            await ports.tickets.add_comment(said, saying(said))

    run(fill())
    return ports


def after(times: int) -> Callable[[], bool]:
    """False so many times, then true."""
    answers: Iterator[bool] = iter([False] * times)
    return lambda: next(answers, True)


@pytest.mark.parametrize("name", READS)
def test_a_read_stops_when_its_client_has_gone(filled: Ports, name: str) -> None:
    async def read() -> object:
        return await READS[name](filled)

    whole = run(read())
    with reading_for(Reader("192.0.2.1", "ada", after(1))), pytest.raises(ClientGone):
        run(read())
    with reading_for(Reader("192.0.2.1", "ada")):
        for _ in range(3):
            assert run(read()) == whole, "who reads next gets all of it"


@pytest.mark.parametrize("name", READS)
def test_a_read_stops_at_its_deadline(filled: Ports, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> object:
        return await READS[name](filled)

    whole = run(read())
    with monkeypatch.context() as patched:
        looks = count()  # a moment passes at every look
        patched.setattr(reading, "time", SimpleNamespace(monotonic=lambda: next(looks) * 20.0))
        with pytest.raises(Overdue, match="took longer than"):
            run(read())
    assert run(read()) == whole


def test_writes_are_carried_through(filled: Ports) -> None:
    ticket = a_ticket(title="written")

    async def write() -> None:
        await filled.tickets.add(ticket, (), an_event(ticket))
        await filled.tickets.update(ticket.id, an_edit(title="and changed"))

    with reading_for(Reader("192.0.2.1", "ada", lambda: True)):
        run(write())
    assert run(filled.tickets.get(ticket.id)).title == "and changed"


def test_who_has_too_many_waiting_is_told_so_and_nobody_else(filled: Ports) -> None:
    ada, ben = Reader("192.0.2.1", "ada", is_refusable=True), Reader("192.0.2.1", "ben", is_refusable=True)

    async def one(reader: Reader) -> object:
        with reading_for(reader):
            return await filled.tickets.list_tickets(TicketQuery(terms=TERMS))

    async def many() -> list[object]:
        return await asyncio.gather(*(one(ada) for _ in range(300)), one(ben), return_exceptions=True)

    *hers, his = run(many())
    refused = [answer for answer in hers if isinstance(answer, TooManyRequests)]
    assert refused and all(answer.retry_after > 0 for answer in refused)
    served = [answer for answer in hers if not isinstance(answer, Exception)]
    overdue = [answer for answer in hers if isinstance(answer, Overdue)]  # on a machine that has much else to do
    assert len(served) + len(refused) + len(overdue) == 300 and served
    assert his == served[0]


def test_what_waited_past_its_deadline_is_told_so() -> None:
    """Also where the place in the queue is taken by somebody's next request."""
    started, blocked = threading.Event(), threading.Event()
    threads = ReadThreads(ReadLimits(threads=1, queue=1, search_seconds=0), "test")
    ada = Reader("192.0.2.1", "ada", is_refusable=True)

    def block(_: Permit) -> bool:
        started.set()
        return blocked.wait(20)

    async def attack() -> list[object]:
        with reading_for(ada):
            first = asyncio.create_task(threads.run(block))
            await asyncio.to_thread(started.wait, 20)
            waiting = asyncio.create_task(threads.run(lambda _: None, search=True))
            await asyncio.sleep(0)
            third = asyncio.create_task(threads.run(lambda _: None))
            await asyncio.sleep(0)
            blocked.set()
            return await asyncio.gather(first, waiting, third, return_exceptions=True)

    first, waiting, third = run(attack())
    threads.close()
    assert (first, third) == (True, None)
    assert isinstance(waiting, Overdue)
