"""What a ticket is judged by: the tickets and memories most like it, and which values there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from backend.domain.likeness import counted, similarities
from backend.domain.memories import Memory
from backend.domain.setup import Setup
from backend.domain.tickets import ACTIVE, Severity, Ticket

MOST_NEIGHBOURS = 15
_LEAST_SIMILARITY = 0.05
_UNSETTLED = 0.5


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
        Source.MEMORY, memory.id, memory.ticket_number, memory.title, memory.body, None, settled=True, values=said
    )


def question(ticket: Ticket, met: Iterable[Neighbour], setup: Setup) -> Question:
    """What to ask about a ticket, of all that was met while looking for those like it."""
    found = list({one.id: one for one in met if one.id != ticket.id}.values())
    alike = similarities(counted(ticket.title, ticket.description), [counted(one.title, one.text) for one in found])
    near = sorted(zip(alike, found, strict=True), key=lambda pair: (-pair[0], pair[1].id))[:MOST_NEIGHBOURS]
    neighbours = tuple(
        replace(one, similarity=round(similarity, 3)) for similarity, one in near if similarity >= _LEAST_SIMILARITY
    )
    return Question(ticket, neighbours, _allowed(ticket, neighbours, setup))


def _allowed(ticket: Ticket, neighbours: Sequence[Neighbour], setup: Setup) -> dict[Subject, tuple[str, ...]]:
    """Where administrators set nothing up, what is in use: nothing new is ever made up."""
    own = ticket_neighbour(ticket)
    used = {subject: _used(subject, (own, *neighbours)) for subject in Subject}
    active = {
        Subject.CATEGORY: tuple(draft.name for draft in setup.categories.values()),
        Subject.TEAM: tuple(draft.name for draft in setup.teams.values()),
        Subject.SEVERITY: tuple(Severity),
    }
    return used | {subject: names for subject, names in active.items() if names}


def _used(subject: Subject, neighbours: Iterable[Neighbour]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for one in neighbours for value in each(one.values.get(subject))))


def each(value: Value | None) -> tuple[str, ...]:
    """One value or several, as several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
