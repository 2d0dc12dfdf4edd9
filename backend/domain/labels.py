"""Labels that people give freely: tags, categories, teams. Two that fold alike are one, spelled as first used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from backend.domain.pages import TicketFilter
from backend.domain.search import Condition, Span
from backend.domain.text import folded
from backend.domain.tickets import Ticket

Draft = TypeVar("Draft", bound=BaseModel)
Value = str | int | None
EXTERNAL_TAG = "external:"
"""Begins the tags that name a ticket in another system: each is of one ticket, so nothing is to be kept of them."""
MOST_COUNTED = 1_000


class LabelKind(StrEnum):
    """Which field of a ticket it is from."""

    CATEGORY = "category"
    TEAM = "team"
    TAG = "tag"


class Label(NamedTuple):
    """What makes two of them one."""

    kind: LabelKind
    fold: str


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a label is spelled, and what tickets may have besides: other spellings of it, and names it had."""

    label: Label
    name: str
    others: tuple[str, ...] = ()

    def every(self) -> tuple[str, ...]:
        """All that a ticket with this label may have."""
        return (self.name, *self.others)

    @property
    def is_former(self) -> bool:
        """Whether the label has been renamed: its name is that of another one."""
        return folded(self.name) != self.label.fold

    def known_as(self, name: str) -> "Spelling":
        """The same, where tickets may have this spelling too."""
        return self if name in self.every() else replace(self, others=(*self.others, name))


@dataclass(frozen=True, slots=True)
class Used:
    """A label, and how many tickets have it: at most MOST_COUNTED are counted."""

    name: str
    tickets: int


class Labels(Protocol):
    """The port that knows how labels are spelled; see ports.py. Kept where the tickets are."""

    async def find(self, labels: Sequence[Label]) -> Mapping[Label, Spelling]:
        """Those that are known. What somebody else changes is seen some seconds later at most."""

    async def add(self, spellings: Sequence[Spelling]) -> Mapping[Label, Spelling]:
        """All of these labels: as they are known, else as they are spelled here, which is kept."""

    async def put(self, spellings: Sequence[Spelling]) -> None:
        """Spell these labels so from now on."""

    async def begin_with(self, kind: LabelKind, prefix: str, limit: int) -> Sequence[Spelling]:
        """The first so many of a kind whose fold begins so, in the order of folds."""

    async def count(self, kind: LabelKind, names: Sequence[str], most: int) -> Sequence[int]:
        """How many tickets that are not in the trash have each, spelled just so; counted up to `most`."""


def spelling(kind: LabelKind, name: str) -> Spelling | None:
    """The label of a name, spelled so; None for a tag that names a ticket elsewhere."""
    if kind is LabelKind.TAG and name.startswith(EXTERNAL_TAG):
        return None
    return Spelling(Label(kind, folded(name)), name)


def spellings(names: Iterable[tuple[LabelKind, str | None]]) -> list[Spelling]:
    """The labels of several names, each once."""
    found: dict[Label, Spelling] = {}
    for kind, name in names:
        one = spelling(kind, name) if name else None
        if one:
            found.setdefault(one.label, one)
    return list(found.values())


def names_of(ticket: Ticket) -> list[tuple[LabelKind, str | None]]:
    """All labels of a ticket, as it spells them."""
    tags = [(LabelKind.TAG, tag) for tag in ticket.tags]
    return [(LabelKind.CATEGORY, ticket.category), (LabelKind.TEAM, ticket.team), *tags]


def respelled_name(kind: LabelKind, name: str, known: Mapping[Label, Spelling]) -> str:
    """The name as its label is spelled."""
    one = spelling(kind, name)
    return known[one.label].name if one and one.label in known else name


def respelled_tags(tags: Iterable[str], known: Mapping[Label, Spelling]) -> tuple[str, ...]:
    """The same for tags, of which two may become one."""
    return tuple(dict.fromkeys(respelled_name(LabelKind.TAG, tag, known) for tag in tags))


def respelled(ticket: Ticket, known: Mapping[Label, Spelling]) -> Ticket:
    """The ticket with every label as it is spelled."""
    category = respelled_name(LabelKind.CATEGORY, ticket.category, known)
    team = respelled_name(LabelKind.TEAM, ticket.team, known) if ticket.team else ticket.team
    tags = respelled_tags(ticket.tags, known)
    if (category, team, tags) == (ticket.category, ticket.team, ticket.tags):
        return ticket
    return ticket._replace(category=category, team=team, tags=tags)


_FIELDS = tuple(LabelKind)
_OF_DRAFTS = (("category", LabelKind.CATEGORY), ("team", LabelKind.TEAM))


def names_in(draft: BaseModel) -> list[tuple[LabelKind, str | None]]:
    """The labels that somebody gives: in the fields `category`, `team` and `tags`, where there are such and are set."""
    given = {name: getattr(draft, name) for name in draft.model_fields_set}
    tags = [(LabelKind.TAG, tag) for tag in given.get("tags") or ()]
    return [*((kind, given.get(name)) for name, kind in _OF_DRAFTS), *tags]


def respelled_draft(draft: Draft, known: Mapping[Label, Spelling]) -> Draft:
    """The same, spelled as these labels are."""
    given = {name: getattr(draft, name) for name in draft.model_fields_set}
    changes: dict[str, Any] = {
        name: respelled_name(kind, given[name], known) for name, kind in _OF_DRAFTS if given.get(name)
    }
    if given.get("tags"):
        changes["tags"] = respelled_tags(given["tags"], known)
    return draft.model_copy(update=changes) if changes else draft


def asked_for(where: TicketFilter) -> list[Spelling]:
    """The labels that a filter names."""
    named = [(kind, name) for kind in _FIELDS for name in getattr(where, kind)]
    return spellings([*named, *_named(where.also)])


def _named(conditions: Sequence[Condition | Span]) -> list[tuple[LabelKind, str | None]]:
    return [
        (LabelKind(one.field), value)
        for one in conditions
        if isinstance(one, Condition) and one.field in _FIELDS
        for value in one.values
        if isinstance(value, str)
    ]


def widened(where: TicketFilter, known: Mapping[Label, Spelling]) -> TicketFilter:
    """The filter with every spelling of the labels that it names, so that a store may compare letter by letter."""
    fields: dict[str, Any] = {kind.value: tuple(_every(kind, getattr(where, kind), known)) for kind in _FIELDS}
    return replace(where, **fields, also=tuple(_widened(one, known) for one in where.also))


def _widened(one: Condition | Span, known: Mapping[Label, Spelling]) -> Condition | Span:
    if isinstance(one, Span) or one.field not in _FIELDS:
        return one
    return replace(one, values=tuple(_every(LabelKind(one.field), one.values, known)))


def _every(kind: LabelKind, values: Iterable[Value], known: Mapping[Label, Spelling]) -> list[Value]:
    found: dict[Value, None] = {}
    for value in values:
        one = spelling(kind, value) if isinstance(value, str) else None
        names = known[one.label].every() if one and one.label in known else ()
        found |= dict.fromkeys([value, *names])
    return list(found)
