"""Events as they are told to others: their names, and who may see which."""

from dataclasses import dataclass, replace

from backend.domain.access import Caller, Role
from backend.domain.tickets import Position, may_see


def name_of(position: Position) -> str:
    """What an event is called outside: `ticket.created` for a ticket's `created`."""
    return f"ticket.{position.event.kind}"


@dataclass(frozen=True, slots=True)
class Sight:
    """Which events a reader may see. Two who may see the same are equal, so that work for one serves both."""

    caller: Caller
    ticket_id: str | None = None

    def takes(self, position: Position) -> bool:
        """Whether the reader may know of this event. Internal notes are for agents."""
        if self.ticket_id is not None and position.event.ticket_id != self.ticket_id:
            return False
        if position.event.internal and not self.caller.is_at_least(Role.AGENT):
            return False
        return may_see(self.caller, position.requester, position.team, deleted=position.deleted)


def sight_of(caller: Caller, ticket_id: str | None = None) -> Sight:
    """What this caller may see, of one ticket if it is given; without what makes no difference to it."""
    if caller.is_at_least(Role.AGENT):
        caller = replace(caller, role=Role.AGENT, address="")
    return Sight(replace(caller, token_id="", name=""), ticket_id)
