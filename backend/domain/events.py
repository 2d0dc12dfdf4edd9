"""Events as they are told to others: their names, their JSON, and who may see which."""

from dataclasses import dataclass, replace
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.tickets import Event, Position, Ticket, may_see, told


def name_of(position: Position) -> str:
    """What an event is called outside: `ticket.created` for a ticket's `created`."""
    return f"ticket.{position.event.kind}"


def is_history(position: Position) -> bool:
    """Whether it tells of a ticket that came from a table: that happened elsewhere, and some time ago."""
    return "import" in position.event.changes


def ticket_body(ticket: Ticket) -> dict[str, Any]:
    """A ticket's JSON; `deleted_at` only where it is in the trash."""
    body = ticket._asdict()
    del body["public_version"], body["public_updated_at"]
    body["links"] = [{"kind": link.kind, "ticket_id": link.ticket_id} for link in ticket.links]
    body["participants"] = [participant._asdict() for participant in ticket.participants]
    if ticket.deleted_at is None:
        del body["deleted_at"]
    return body


def event_body(event: Event) -> dict[str, Any]:
    """A line of history's JSON."""
    return {
        "id": event.id,
        "at": event.at,
        "actor": event.actor,
        "role": event.role,
        "kind": event.kind,
        "changes": {name: {"from": old, "to": new} for name, (old, new) in event.changes.items()},
        "internal": event.internal,
    }


def position_body(position: Position) -> dict[str, Any]:
    """An event's JSON, as streams and webhooks show it."""
    body = event_body(position.event)
    del body["id"]
    return {
        "position": position.number,
        "ticket_id": position.event.ticket_id,
        "number": position.ticket_number,
        **body,
        "kind": name_of(position),
    }


@dataclass(frozen=True, slots=True)
class Sight:
    """Which events a reader may see. Two who may see the same are equal, so that work for one serves both."""

    caller: Caller
    ticket_id: str | None = None

    def of(self, position: Position) -> Position | None:
        """The event as the reader may see it; None where it is none of their business."""
        if self.ticket_id is not None and position.event.ticket_id != self.ticket_id:
            return None
        seen_by = (position.requester, position.team, position.participants)
        if not may_see(self.caller, *seen_by, deleted=position.deleted):
            return None
        event = told(self.caller, position.event)
        if event is None or event is position.event:
            return position if event else None
        return replace(position, event=event)


def sight_of(caller: Caller, ticket_id: str | None = None) -> Sight:
    """What this caller may see, of one ticket if it is given; without what makes no difference to it."""
    if caller.is_at_least(Role.AGENT):
        caller = replace(caller, role=Role.AGENT, address="")
    return Sight(replace(caller, token_id="", name="", rate_limit=None), ticket_id)
