"""Events as they are told to others: their names, their JSON, and who may see which."""

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.tickets import AGENT_ONLY, Event, Position, Ticket, may_see


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


def told(caller: Caller, event: Event, known: Container[str] = ()) -> Event | None:
    """The event as the caller may be told of it; None where it is none of their business.

    Agents with teams are told of links only to tickets that are `known` to be theirs.
    """
    if caller.is_at_least(Role.AGENT):
        if not caller.teams or event.changes.keys().isdisjoint(("links", "via")):
            return event
        changes = {name: pair for name, pair in event.changes.items() if name not in ("links", "via")}
        if "links" in event.changes:
            before, after = ([link for link in side if link["ticket_id"] in known] for side in event.changes["links"])
            changes |= {"links": (before, after)} if before != after else {}
        if "via" in event.changes and event.changes["via"][1] in known:
            changes["via"] = event.changes["via"]
        return replace(event, changes=changes)
    if event.internal:
        return None
    if event.changes.keys().isdisjoint(AGENT_ONLY):
        return event
    return replace(event, changes={name: pair for name, pair in event.changes.items() if name not in AGENT_ONLY})


def is_of_another(event: Event, merged: Container[str]) -> bool:
    """Whether it tells of something that was sent on a ticket which is no longer among those `merged` into this one:
    then it is nothing for this one's requester any more."""
    _, via = event.changes.get("via", (None, None))
    return via is not None and via not in merged


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
        if not self.caller.is_at_least(Role.AGENT) and is_of_another(position.event, position.merged):
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
