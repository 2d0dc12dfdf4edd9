"""A ticket and others: which it is tied to, and how people name them."""

import re
from typing import NamedTuple

from backend.domain.access import Caller
from backend.domain.tickets import LinkKind, Ticket
from backend.domain.values import is_id
from backend.errors import TicketNotFound, Unprocessable
from backend.ports import Ports
from backend.usecases import tickets
from backend.web.tickets import TicketListQuery

_MOST_NAMED = 20
_is_number = re.compile(r"#?([0-9]{1,12})").fullmatch


class Tie(NamedTuple):
    """A link, and the ticket at its other end."""

    kind: LinkKind
    ticket: Ticket


async def ties_of(ports: Ports, caller: Caller, ticket: Ticket) -> list[Tie]:
    """The first links of a ticket, with the tickets that they lead to."""
    found = []
    for link in ticket.links[:_MOST_NAMED]:
        try:
            found.append(Tie(link.kind, await tickets.get_ticket(ports, caller, link.ticket_id)))
        except TicketNotFound:
            continue
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
