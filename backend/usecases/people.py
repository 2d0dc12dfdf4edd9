"""Who there is to give a ticket to."""

from dataclasses import dataclass

from backend.domain.access import Caller, Role
from backend.ports import Ports


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works on tickets."""

    address: str
    name: str


async def list_agents(ports: Ports, caller: Caller) -> list[Person]:
    """Everybody whose token lets them work on tickets, by name. For agents."""
    caller.must_be(Role.AGENT)
    at = ports.now()
    found = {
        person.address: Person(person.address, person.name)
        for token in await ports.tokens.list_tokens()
        if not token.has_expired(at) and (person := token.caller()).is_at_least(Role.AGENT)
    }
    return sorted(found.values(), key=lambda person: (person.name.casefold(), person.address))
