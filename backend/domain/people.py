"""The people of tickets: as earlier versions spelled them, in the one form that counts now."""

from backend.domain.addresses import normal
from backend.domain.tickets import Ticket


def with_normal_addresses(ticket: Ticket) -> Ticket:
    """The ticket with everybody in their normal form, watchers once each; the same one where they were.

    SQLite's schema step does the same to rows. What was the name of a token without an address stays a word that gives
    nobody a right: which of several tokens was meant can't be told from a ticket.
    """
    requester = normal(ticket.requester)
    assignee = normal(ticket.assignee) if ticket.assignee else None
    watchers = tuple(dict.fromkeys(map(normal, ticket.watchers)))
    if (requester, assignee, watchers) == (ticket.requester, ticket.assignee, ticket.watchers):
        return ticket
    return ticket._replace(requester=requester, assignee=assignee, watchers=watchers)
