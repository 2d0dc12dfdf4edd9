"""Suggestions for a ticket: what was found like it, what an assistant makes of that, and doing as it says.

Whatever is suggested draws on what the caller may see, and on nothing else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from backend.domain import triage
from backend.domain.access import Caller, Role
from backend.domain.catalogue import Kind, new_record
from backend.domain.edits import Desk, Versions
from backend.domain.likeness import telling
from backend.domain.memories import MemoryQuery
from backend.domain.neighbours import (
    Neighbour,
    Question,
    Source,
    memory_neighbour,
    question,
    question_with,
    ticket_neighbour,
)
from backend.domain.once import Once
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.search import Term
from backend.domain.tickets import Ticket, must_be_present
from backend.domain.triage import OFFLINE, Choice, Triage
from backend.errors import Conflict, NotFound, PreconditionFailed, RecordNotFound, Unavailable
from backend.ports import Ports
from backend.usecases import labels, memories, setup, tickets

ANSWER_SECONDS = 25.0
_OF_EACH_WORD = 25
_WORDS_OF_MEMORIES = 6
_AT_ONCE = 4
_MOST_WANTED = 50
_TRIES = 20

logger = logging.getLogger("backend.triage")


class Triaged(NamedTuple):
    """A ticket as the caller may see it, and what is suggested for it."""

    ticket: Ticket
    triage: Triage


async def show(ports: Ports, caller: Caller, ticket_id: str) -> Triaged:
    """What a model said of the ticket as it is now, if it was asked; else the built-in opinion. Writes nothing."""
    caller.must_be(Role.AGENT)
    ticket = (await tickets.show_ticket(ports, caller, ticket_id)).ticket
    kept = await _kept(ports, caller, ticket)
    return Triaged(ticket, kept or await _built_in(ports, caller, ticket))


async def ask(ports: Ports, caller: Caller, ticket_id: str, once: Once | None = None) -> Triaged:
    """Ask the assistant, and keep what it says. Where it fails, the built-in one answers, with a note of that."""
    caller.must_be(Role.AGENT)
    ticket = (await tickets.show_ticket(ports, caller, ticket_id)).ticket
    must_be_present(caller, ticket)
    asked = await _question(ports, caller, ticket)
    try:
        opinion = await asyncio.wait_for(ports.assistant.suggest(asked), ANSWER_SECONDS)
        found = triage.judged(caller, asked, opinion, ports.assistant.adapter, ports.now())
        ports.count("assistant", "answered")
    except (Unavailable, TimeoutError) as problem:
        reason = triage.one_line(str(problem)) or f"The assistant did not answer within {ANSWER_SECONDS:g} s."
        logger.warning("%s: %s", ports.assistant.adapter, reason)
        ports.count("assistant", "failed")
        note = f"{reason} The built-in assistant answered in its place."
        found = triage.judged(caller, asked, triage.offline(asked), OFFLINE, ports.now(), note)
    await _keep(ports, ticket, found, once)
    return Triaged(ticket, found)


async def apply(
    ports: Ports, desk: Desk, ticket_id: str, choice: Choice, if_version: Versions = None, once: Once | None = None
) -> Ticket:
    """Do as suggested. Raises Conflict where it is not suggested (any more), PreconditionFailed."""
    found = await show(ports, desk.caller, ticket_id)
    by = triage.suggested_by(found.triage, choice)
    choice = await labels.spelled_draft(ports, choice)
    if choice.assignee is not None:
        desk = await tickets.desk_that_assigns(ports, desk)
    return await ports.tickets.update(ticket_id, triage.apply(desk, choice, by, if_version), once)


async def _built_in(ports: Ports, caller: Caller, ticket: Ticket) -> Triage:
    asked = await _question(ports, caller, ticket)
    opinion = await asyncio.to_thread(triage.offline, asked)
    return triage.judged(caller, asked, opinion, OFFLINE, ports.now())


async def _question(ports: Ports, caller: Caller, ticket: Ticket) -> Question:
    """What is like the ticket, as far as the caller sees: of each of its telling words the newest tickets that say
    it, and the memories that say it best."""
    async with _turn(ports):
        return await _looked_for(ports, caller, ticket)


@asynccontextmanager
async def _turn(ports: Ports) -> AsyncIterator[None]:
    """Of many who ask at once a few are served, and the others wait: else their reads would stand before everybody
    else's, the health check's included. Raises Unavailable where too many wait: some will be gone already."""
    turns = ports.judging
    if turns.wanted >= _MOST_WANTED:
        raise Unavailable("Suggestions for many tickets are being worked out; try again in a few seconds.")
    turns.wanted += 1
    try:
        async with turns.free:
            yield
    finally:
        turns.wanted -= 1


async def _looked_for(ports: Ports, caller: Caller, ticket: Ticket) -> Question:
    words = telling(ticket.title, ticket.description)
    seen, room = TicketFilter().seen_by(caller), asyncio.Semaphore(_AT_ONCE)
    assert seen is not None  # an agent sees some tickets
    where = await labels.widened(ports, seen)

    async def saying(word: str) -> list[Neighbour]:
        query = TicketQuery(where, (Term((word,)),), Sort.RELEVANCE, _OF_EACH_WORD, at=ports.now())
        async with room:
            return [ticket_neighbour(found) for found in (await ports.tickets.list_tickets(query)).items]

    async def remembering(word: str) -> list[Neighbour]:
        query = MemoryQuery((Term((word,)),), caller.teams, limit=_OF_EACH_WORD)
        async with room:
            return [memory_neighbour(found) for found in (await ports.memories.list_memories(query)).items]

    remembered = [remembering(word) for word in words[:_WORDS_OF_MEMORIES]]
    lists = await asyncio.gather(*remembered, *(saying(word) for word in words))
    # A ticket's own memory says what the ticket says: of the two the ticket stays, which comes last.
    met = [one for found in lists for one in found]
    laid = await setup.with_people(ports)
    return await asyncio.to_thread(question, ticket, met, laid)


async def _keep(ports: Ports, ticket: Ticket, found: Triage, once: Once | None) -> None:
    """Keep it as the last word. What only stands in for a model replaces nothing that the model said earlier.

    Of several who ask at the same time one's stays, which is as new as the others'.
    """
    promise = once and once.wrapping(lambda _: Triaged(ticket, found))
    body = triage.to_body(found)
    for _ in range(_TRIES):
        try:
            kept = await ports.catalogue.get(Kind.TRIAGE, ticket.id)
            record = kept.with_body(kept.body if found.note else body, found.made_at)
        except RecordNotFound:
            record = new_record(Kind.TRIAGE, body, found.made_at, record_id=ticket.id)
        try:
            await ports.catalogue.put(record, once=promise)
            return
        except PreconditionFailed:
            if promise is None:
                return
    raise Conflict("Others ask about this ticket all the time; try again.")


async def _kept(ports: Ports, caller: Caller, ticket: Ticket) -> Triage | None:
    if not ports.assistant.remote:
        return None  # nothing that was kept would be shown
    try:
        body = (await ports.catalogue.get(Kind.TRIAGE, ticket.id)).body
    except RecordNotFound:
        return None
    found = triage.from_body(body)
    if not triage.is_good(found, ticket, caller):
        return None
    read = await asyncio.gather(*(_read(ports, caller, *one) for one in triage.kept_neighbours(body)))
    neighbours = [one for one in read if one]
    if caller.teams and len(neighbours) < len(read):
        return None  # its words may quote what has been another team's since
    return triage.reread(found, question_with(ticket, neighbours, await setup.with_people(ports)))


async def _read(ports: Ports, caller: Caller, source: Source, found_id: str, similarity: float) -> Neighbour | None:
    """A neighbour as it is now; None where it is gone or none of the caller's business."""
    try:
        if source is Source.MEMORY:
            found = memory_neighbour(await memories.get_memory(ports, caller, found_id))
        else:
            ticket = await tickets.get_ticket(ports, caller, found_id)
            if ticket.deleted_at is not None:
                return None
            found = ticket_neighbour(ticket)
    except NotFound:
        return None
    return replace(found, similarity=similarity)
