"""Texts at their limit, on every adapter: whatever they are made of, they are kept whole, found, and changed."""

import asyncio
import random

import pytest

from backend.domain.edits import Desk, change, resolve
from backend.domain.exports import Outcome
from backend.domain.pages import Sort, TicketQuery
from backend.domain.search import parse
from backend.domain.tickets import ResolutionDraft, TicketChange
from backend.domain.values import LONGEST_PROSE, now
from backend.ports import Ports
from tests.builders import ADA, a_comment, a_promise, a_ticket, an_event, saying

run = asyncio.run
DESK = Desk(ADA, now)


def text(kind: str) -> str:
    """A text of LONGEST_PROSE characters that begins with a word to look for."""
    chance = random.Random(kind)
    made = {
        "ascii": lambda: "The log says timeout again. " * 4_000,
        "four bytes": lambda: "".join(chr(chance.randrange(0x20000, 0x2A6D0)) for _ in range(LONGEST_PROSE)),
        "one word": lambda: "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=LONGEST_PROSE)),
        "distinct words": lambda: " ".join(f"w{n:x}" for n in range(20_000)),
    }[kind]()
    return f"Zanzibar {made}"[:LONGEST_PROSE]


@pytest.mark.parametrize("kind", ["ascii", "four bytes", "distinct words"])
def test_are_kept_whole(ports: Ports, kind: str) -> None:
    async def check() -> None:
        said, store = text(kind), ports.tickets
        assert len(said) == LONGEST_PROSE
        ticket = a_ticket(title="𠀀" * 200, description=said)
        ticket = await store.add(ticket, (), an_event(ticket), a_promise("one", answer=said.encode()))
        assert (await store.get(ticket.id)).description == said
        other = f"{said[:-5]}other"
        await store.update(ticket.id, change(DESK, TicketChange(description=other), None))
        await store.update(ticket.id, resolve(DESK, ResolutionDraft(resolution=said), None))
        comment = a_comment(ticket, said)
        await store.add_comment(comment, saying(comment))
        kept = await store.get(ticket.id)
        assert (kept.description, kept.resolution) == (other, said)
        assert [one.body for one in (await store.list_comments(ticket.id, True, 10, None)).items] == [said]
        history = (await store.list_history(ticket.id, True, 10, None)).items
        assert history[1].changes["description"] == (said, other)
        (whole,) = await store.dump_these([ticket.id])
        assert (whole.ticket, whole.comments[0].body, whole.history[1]) == (kept, said, history[1])
        receipt = await store.find_receipt("one")
        assert receipt and receipt.answer == said.encode() + ticket.id.encode()
        query = TicketQuery(terms=parse("zanzibar"), sort=Sort.NEWEST)
        assert [one.id for one in (await store.list_tickets(query)).items] == [ticket.id]
        assert await store.load([whole]) == [Outcome.SAME]

    run(check())


def test_of_many_tickets_in_one_write(ports: Ports) -> None:
    write_many(ports, 4)


def write_many(ports: Ports, count: int) -> None:
    async def check() -> None:
        said = text("one word")  # of few words, each of which would be an item to write
        made = [a_ticket(description=f"{n:02d}{said[2:]}") for n in range(count)]
        added = await ports.tickets.add_many([(ticket, an_event(ticket)) for ticket in made])
        assert [ticket.description[:2] for ticket in added] == [f"{n:02d}" for n in range(count)]

        def closing(found):
            return [(one._replace(version=2, resolution=one.description), an_event(one, "changed")) for one in found]

        promise = a_promise("many", answer=said.encode() * 10)
        await ports.tickets.update_many([ticket.id for ticket in added], closing, promise)
        kept = await ports.tickets.get(added[-1].id)
        assert kept.resolution == kept.description == made[-1].description
        receipt = await ports.tickets.find_receipt("many")
        assert receipt and len(receipt.answer) == len(said.encode()) * 10

    run(check())
