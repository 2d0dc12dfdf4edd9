"""Who there is to give a ticket to."""

from collections.abc import Mapping

from backend.domain.access import Caller, Role
from backend.domain.people import Person
from backend.ports import Ports
from backend.usecases import setup


async def names(ports: Ports) -> Mapping[str, str]:
    """What to show in place of the ids of tokens without an address: their names."""
    await setup.people(ports)
    return ports.setup.token_names


async def list_agents(ports: Ports, caller: Caller) -> list[Person]:
    """Everybody who can be assigned, by name. For agents."""
    caller.must_be(Role.AGENT)
    found = [Person(address, names[0]) for address, names in (await setup.people(ports)).names.items()]
    return sorted(found, key=lambda person: (person.name.casefold(), person.address))
