"""What a filter asks of a ticket, checked on the ticket itself, and which index proposes the fewest that may pass."""

from collections.abc import Callable, Mapping, Sequence

from backend.domain.pages import TicketFilter
from backend.domain.search import Condition, Span
from backend.domain.sla import next_deadline
from backend.domain.tickets import Ticket
from backend.domain.values import Instant

MOST_VALUES = 8  # of one filter, each a query of its own

# The most telling first.
_FACETS = ("mine", "requester", "watcher", "assignee", "tag", "team", "category", "status", "severity")
OF_ONE = frozenset({"mine", "requester", "watcher", "assignee", "tag"})

_VALUES: Mapping[str, Callable[[Ticket], Sequence[object]]] = {
    "status": lambda ticket: (ticket.status,),
    "severity": lambda ticket: (ticket.severity,),
    "category": lambda ticket: (ticket.category,),
    "assignee": lambda ticket: (ticket.assignee,),
    "team": lambda ticket: (ticket.team,),
    "requester": lambda ticket: (ticket.requester,),
    "mine": lambda ticket: (ticket.requester, *ticket.participating),
    "number": lambda ticket: (ticket.number,),
    "tag": lambda ticket: ticket.tags,
    "watcher": lambda ticket: ticket.watchers,
}


def fits(where: TicketFilter, ticket: Ticket, at: Instant) -> bool:
    """Whether everything holds at this moment."""
    if (ticket.deleted_at is not None) != where.deleted:
        return False
    if not all(_one_of(ticket, name, values) for name in _FACETS if (values := getattr(where, name))):
        return False
    if where.due_before is not None and not _within(ticket, Span("due", None, where.due_before)):
        return False
    if where.overdue and not _overdue(ticket, at):
        return False
    return all(_holds(condition, ticket, at) != condition.excluded for condition in where.also)


def _holds(condition: Condition | Span, ticket: Ticket, at: Instant) -> bool:
    if isinstance(condition, Span):
        return _within(ticket, condition)
    if condition.field == "is":
        return _overdue(ticket, at)
    return _one_of(ticket, condition.field, condition.values)


def _one_of(ticket: Ticket, name: str, values: Sequence[object]) -> bool:
    return any(value in values for value in _VALUES[name](ticket))


def _within(ticket: Ticket, span: Span) -> bool:
    value: Instant | None = getattr(ticket, f"{span.field}_at")
    if value is None:
        return False
    return (span.start is None or value >= span.start) and (span.end is None or value < span.end)


def _overdue(ticket: Ticket, at: Instant) -> bool:
    """A promised time has passed, what was promised is lacking, and the clock runs."""
    deadline = next_deadline(ticket)
    return deadline is not None and deadline.at < at


def numbers(where: TicketFilter) -> list[int] | None:
    """The numbers that are asked for, where some are."""
    found = [one.values for one in where.also if isinstance(one, Condition) and one.field == "number"]
    return [number for number in found[0] if isinstance(number, int)] if found and not _excluded(where) else None


def _excluded(where: TicketFilter) -> bool:
    return any(isinstance(one, Condition) and one.field == "number" and one.excluded for one in where.also)


def facet(where: TicketFilter) -> tuple[str, list[str]] | None:
    """The most telling filter and its values; none that has so many that it tells little, and none in the trash."""
    if where.deleted:
        return None
    asked: dict[str, Sequence[object]] = {}
    for condition in where.also:
        if isinstance(condition, Condition) and not condition.excluded and None not in condition.values:
            asked.setdefault(condition.field, condition.values)
    asked |= {name: values for name in _FACETS if (values := getattr(where, name))}
    for name in _FACETS:
        values = list(dict.fromkeys(str(value) for value in asked.get(name, ())))
        if 0 < len(values) <= MOST_VALUES:
            return name, values
    return None
