"""A ticket and others: which it is tied to, and how people name them."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from backend.domain.access import Caller, Role
from backend.domain.bulk import MOST_TICKETS
from backend.domain.pages import TicketFilter, TicketQuery
from backend.domain.search import Condition
from backend.domain.tickets import LinkKind, Ticket
from backend.domain.values import is_id
from backend.errors import TicketNotFound, Unprocessable
from backend.ports import Ports
from backend.usecases import tickets
from backend.web.tickets import TicketListQuery

_MOST_NAMED = 20
_an_id = re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b")
_ids_in = _an_id.findall
_is_number = re.compile(r"#?([0-9]{1,12})").fullmatch


class Tie(NamedTuple):
    """A link, and the ticket at its other end."""

    kind: LinkKind
    ticket: Ticket


async def ties_of(ports: Ports, caller: Caller, ticket: Ticket) -> list[Tie]:
    """The first links of a ticket, with the tickets that they lead to."""
    found = {one.id: one for one in await seen(ports, caller, [link.ticket_id for link in ticket.links])}
    return [Tie(link.kind, found[link.ticket_id]) for link in ticket.links if link.ticket_id in found]


async def seen(ports: Ports, caller: Caller, ticket_ids: Iterable[str], most: int = _MOST_NAMED) -> list[Ticket]:
    """Those of the first few tickets that the caller may see."""
    found = []
    for ticket_id in islice(dict.fromkeys(ticket_ids), most):
        with suppress(TicketNotFound):
            found.append(await tickets.get_ticket(ports, caller, ticket_id))
    return found


async def with_numbers(ports: Ports, caller: Caller, lines: Sequence[str]) -> list[str]:
    """Lines in which tickets are called by their numbers, as people know them, in place of their ids."""
    named_there = [ticket_id for line in lines for ticket_id in _ids_in(line) if is_id(ticket_id)]
    found = await seen(ports, caller, named_there, MOST_TICKETS)
    numbers = {one.id: f"#{one.number}" for one in found}
    return [_an_id.sub(lambda met: numbers.get(met[0], met[0]), line) for line in lines]


async def numbered(ports: Ports, caller: Caller, numbers: Sequence[int]) -> dict[int, str]:
    """The ids of those tickets with these numbers that the caller may see, in the trash only for agents."""
    found: dict[int, str] = {}
    for deleted in (False, True) if caller.is_at_least(Role.AGENT) else (False,):
        missing = tuple(number for number in numbers if number not in found)
        if missing:
            where = TicketFilter(also=(Condition("number", missing),), deleted=deleted)
            page = await tickets.list_tickets(ports, caller, TicketQuery(where, limit=len(missing)))
            found |= {ticket.number: ticket.id for ticket in page.items}
    return found


async def named(ports: Ports, caller: Caller, text: str) -> str:
    """The id of a ticket that a person names by number, id or address. Raises Unprocessable."""
    last = text.strip().rstrip("/").rpartition("/")[2].partition("#")[0] or text.strip()
    if is_id(last):
        return last
    number = _is_number(text.strip())
    if number:
        asked = TicketListQuery(q=f"number:{number[1]}", limit=1)
        page = await tickets.list_tickets(ports, caller, asked.query(caller.address, 1, None))
        if page.items:
            return page.items[0].id
    raise Unprocessable("There is no such ticket.", [("ticket", "must be a number such as 42, or a ticket's address")])
