"""The people of tickets: who can be assigned, and everybody in the one form that counts."""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backend.domain.addresses import normal
from backend.domain.tickets import Ticket
from backend.errors import Unprocessable

ME = "me"
_MOST_COMPARED = 2_000  # of those there are, to find the nearest of a word
_MOST_NEAREST = 3
_LONGEST_SHOWN = 60
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works on tickets. `address` is what tickets hold."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who can be assigned: address → the names of their tokens. `me` is whom that word means, if anybody."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    me: str | None = None

    @classmethod
    def of(cls, persons: Iterable[Person]) -> "People":
        """From one person for each token."""
        names: dict[str, tuple[str, ...]] = {}
        for person in persons:
            names[person.address] = (*names.get(person.address, ()), person.name)
        return cls(names)

    def known(self, text: str) -> str | None:
        """The address of whoever is meant: by address, or by a name that one person alone has. None: nobody."""
        meant = self._meant(text)
        return meant[0] if len(meant) == 1 else None

    def find(self, text: str) -> str:
        """The same; raises Unprocessable, with those who may be meant."""
        meant = self._meant(text)
        if len(meant) == 1:
            return meant[0]
        word = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        if meant:
            said = f"several agents are called {word}; enter the address of one: {', '.join(map(self.shown, meant))}"
        else:
            said = f"no agent has the name or address {word}"
            near = " or ".join(map(self.shown, self.nearest(text)))
            said += f"; did you mean {near}?" if near else ""
        raise Unprocessable("This ticket can't be assigned to that person.", [("assignee", said)])

    def shown(self, address: str) -> str:
        """A person with their name, as people read it."""
        names = self.names.get(address)
        return f"{names[0]} ({address})" if names and names[0] != address else address

    def nearest(self, text: str) -> list[str]:
        """Whose names or addresses are most like it, the most likely first."""
        word = _folded(text)[:_LONGEST_SHOWN]
        spelled: dict[str, str] = {}
        for address, names in list(self.names.items())[:_MOST_COMPARED]:
            whole = [_folded(name) for name in names]
            for one in (*whole, *(part for name in whole for part in name.split()), address, address.partition("@")[0]):
                spelled.setdefault(one, address)
        starting = [spelled[one] for one in spelled if len(word) > 1 and word in one]
        alike = [spelled[one] for one in difflib.get_close_matches(word, spelled, n=10, cutoff=_ALIKE)]
        return list(dict.fromkeys([*starting, *alike]))[:_MOST_NEAREST]

    def _meant(self, text: str) -> list[str]:
        address = normal(text)
        if self.me is not None and address.casefold() == ME:
            address = self.me
        if address in self.names:
            return [address]
        name = _folded(text)
        return [address for address, names in self.names.items() if any(_folded(one) == name for one in names)]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


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
