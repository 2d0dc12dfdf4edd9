"""What a ticket is judged by: the tickets and memories most like it, and which values there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from backend.domain.likeness import counted, similarities
from backend.domain.memories import Memory
from backend.domain.setup import Setup
from backend.domain.text import folded
from backend.domain.tickets import ACTIVE, Severity, Ticket
from backend.domain.values import Address, Name, Tag

MOST_NEIGHBOURS = 15
_LEAST_SIMILARITY = 0.05
_UNSETTLED = 0.5
_LONGEST_TITLE = 200  # of a memory, whose file may have a title of any length


class Subject(StrEnum):
    """What can be suggested: a ticket's fields of these names. Of tags, those to be added."""

    CATEGORY = "category"
    SEVERITY = "severity"
    TEAM = "team"
    ASSIGNEE = "assignee"
    TAGS = "tags"


class Source(StrEnum):
    """Where evidence comes from."""

    TICKET = "ticket"
    MEMORY = "memory"


Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A ticket or a memory that says nearly the same. `settled`: somebody has decided what it was."""

    source: Source
    id: str
    number: int | None
    title: str
    text: str
    answer: str | None
    """How it was resolved; None: not yet, or it is in the text."""
    settled: bool
    values: Mapping[Subject, Value]
    similarity: float = 0.0

    @property
    def weight(self) -> float:
        """How much it has to say."""
        return self.similarity**2 * (1.0 if self.settled else _UNSETTLED)


@dataclass(frozen=True, slots=True)
class Question:
    """A ticket, those most like it, the nearest first, and which values there are at all."""

    ticket: Ticket
    neighbours: tuple[Neighbour, ...]
    allowed: Mapping[Subject, tuple[str, ...]]


def ticket_neighbour(ticket: Ticket) -> Neighbour:
    """A ticket as a neighbour, not yet compared."""
    values = {subject: getattr(ticket, subject) for subject in Subject}
    return Neighbour(
        Source.TICKET,
        ticket.id,
        ticket.number,
        ticket.title,
        ticket.description,
        ticket.resolution,
        ticket.status not in ACTIVE,
        {subject: value for subject, value in values.items() if value},
    )


def memory_neighbour(memory: Memory) -> Neighbour:
    """A memory as one."""
    values = {Subject.CATEGORY: memory.category, Subject.TEAM: memory.team, Subject.TAGS: memory.tags}
    said = {subject: value for subject, value in values.items() if value}
    return Neighbour(
        Source.MEMORY,
        memory.id,
        memory.ticket_number,
        memory.title[:_LONGEST_TITLE],
        memory.body,
        None,
        settled=True,
        values=said,
    )


def question(ticket: Ticket, met: Iterable[Neighbour], setup: Setup) -> Question:
    """What to ask about a ticket, of all that was met while looking for those like it."""
    found = list({one.id: one for one in met if one.id != ticket.id}.values())
    alike = similarities(counted(ticket.title, ticket.description), [counted(one.title, one.text) for one in found])
    near = sorted(zip(alike, found, strict=True), key=lambda pair: (-pair[0], pair[1].id))[:MOST_NEIGHBOURS]
    return question_with(
        ticket,
        [replace(one, similarity=round(similarity, 3)) for similarity, one in near if similarity >= _LEAST_SIMILARITY],
        setup,
    )


def question_with(ticket: Ticket, neighbours: Sequence[Neighbour], setup: Setup) -> Question:
    """The same where those most like it are known."""
    allowed = _allowed(ticket, neighbours, setup)
    spelled = {subject: {folded(value): value for value in values} for subject, values in allowed.items()}
    return Question(ticket, tuple(_respelled(one, spelled) for one in neighbours), allowed)


def _allowed(ticket: Ticket, neighbours: Sequence[Neighbour], setup: Setup) -> dict[Subject, tuple[str, ...]]:
    """Where administrators set nothing up, what is in use: nothing new is ever made up."""
    own = ticket_neighbour(ticket)
    used = {subject: _used(subject, (own, *neighbours)) for subject in Subject}
    active = {
        Subject.CATEGORY: tuple(draft.name for draft in setup.categories.values()),
        Subject.TEAM: tuple(draft.name for draft in setup.teams.values()),
        Subject.SEVERITY: tuple(Severity),
    }
    known = tuple(one for one in used[Subject.ASSIGNEE] if one in setup.people.names)  # and not who has gone
    return used | {Subject.ASSIGNEE: known} | {subject: names for subject, names in active.items() if names}


def _used(subject: Subject, neighbours: Iterable[Neighbour]) -> tuple[str, ...]:
    """Each value as it is spelled first. Files of memories hold whatever was written by hand: what no ticket may
    hold is left out."""
    found: dict[str, str] = {}
    for value in (value for one in neighbours for value in each(one.values.get(subject))):
        try:
            valid: str = _KINDS[subject].validate_python(value)
        except ValidationError:
            continue
        found.setdefault(folded(valid), valid)
    return tuple(found.values())


_KINDS: Mapping[Subject, TypeAdapter[Any]] = {
    Subject.CATEGORY: TypeAdapter(Name),
    Subject.SEVERITY: TypeAdapter(Severity),
    Subject.TEAM: TypeAdapter(Name),
    Subject.ASSIGNEE: TypeAdapter(Address),
    Subject.TAGS: TypeAdapter(Tag),
}


def _respelled(neighbour: Neighbour, spelled: Mapping[Subject, Mapping[str, str]]) -> Neighbour:
    """With its values as those that are allowed are spelled: `VPN` and `vpn` are one voice for the same."""
    values: dict[Subject, Value] = {}
    for subject, value in neighbour.values.items():
        known = [spelled[subject].get(folded(part.strip()), part) for part in each(value)]
        values[subject] = known[0] if isinstance(value, str) else tuple(dict.fromkeys(known))
    return replace(neighbour, values=values)


def each(value: Value | None) -> tuple[str, ...]:
    """One value or several, as several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
