"""A search for nothing but a number: the ticket that has it comes first, then those that contain it."""

from dataclasses import replace

from backend.domain.pages import Sort, TicketQuery
from backend.domain.search import Condition
from backend.domain.tickets import Ticket
from backend.domain.values import Page, seal_cursor
from backend.ports import Ports


async def list_tickets(ports: Ports, query: TicketQuery) -> Page[Ticket]:
    """A page of what matches and what `query.where` lets through, which the ticket of the number must pass too."""
    if query.number is None:
        return await ports.tickets.list_tickets(query)
    its_number, not_its = (Condition("number", (query.number,), excluded=excluded) for excluded in (False, True))
    others = replace(query, where=replace(query.where, also=(*query.where.also, not_its)), number=None)
    first_of_others = seal_cursor(others.fingerprint, ["others"])
    if query.cursor == first_of_others:
        return await ports.tickets.list_tickets(replace(others, cursor=None))
    if query.cursor:
        return await ports.tickets.list_tickets(others)
    where = replace(query.where, also=(*query.where.also, its_number))
    found = (await ports.tickets.list_tickets(TicketQuery(where, None, Sort.NEWEST, 1, None, query.at))).items
    page = await ports.tickets.list_tickets(replace(others, limit=max(1, query.limit - len(found))))
    if found and query.limit == 1:
        return Page(found, first_of_others if page.items or page.next_cursor else None)
    return Page([*found, *page.items], page.next_cursor)
