"""Who there is to give a ticket to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from backend.domain.access import Caller, Role
from backend.domain.addresses import is_address
from backend.domain.pages import TicketFilter
from backend.domain.people import Person
from backend.domain.search import Condition, Span
from backend.ports import Ports
from backend.usecases import setup


async def names(ports: Ports) -> Mapping[str, str]:
    """What to show in place of the ids of tokens without an address: their names."""
    await setup.people(ports)
    return ports.setup.token_names


async def meant(ports: Ports, where: TicketFilter) -> TicketFilter:
    """The filter with, beside each name that it asks for as an assignee, the one person who has it."""
    asked = {*where.assignee, *(value for one in where.also if _of_assignees(one) for value in one.values)}
    names = {str(value) for value in asked if value is not None and not is_address(str(value))}
    if not names:
        return where
    known = await setup.people(ports)
    more = {name: found for name in names if (found := known.known(name)) not in (None, name)}

    def with_people(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*values, *(found for name, found in more.items() if name in values))

    also = (replace(one, values=with_people(one.values)) if _of_assignees(one) else one for one in where.also)
    return replace(where, assignee=with_people(where.assignee), also=tuple(also))


def _of_assignees(one: Condition | Span) -> TypeGuard[Condition]:
    return isinstance(one, Condition) and one.field == "assignee"


async def list_agents(ports: Ports, caller: Caller) -> list[Person]:
    """Everybody who can be assigned, by name. For agents."""
    caller.must_be(Role.AGENT)
    found = [Person(address, names[0]) for address, names in (await setup.people(ports)).names.items()]
    return sorted(found, key=lambda person: (person.name.casefold(), person.address))
