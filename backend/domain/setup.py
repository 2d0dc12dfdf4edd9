"""What administrators set up, and what it means for a ticket: its categories, its teams, what is promised."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ConfigDict, Field

from backend.domain.access import Caller
from backend.domain.catalogue import Record, RecordDraft
from backend.domain.people import People
from backend.domain.sla import Policy, promised, retimed
from backend.domain.text import folded
from backend.domain.tickets import Ticket
from backend.domain.values import AddressFilter, Name, Note
from backend.errors import Unprocessable

_MOST_NAMED = 30


class TeamDraft(RecordDraft):
    """What an administrator says of a team."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Network", "description": "Cables and VPN"}]})

    name: Name = Field(description="as tickets name it; a new one goes to all that have the old one")
    description: Note = ""
    active: bool = Field(default=True, description="whether tickets may be given to it")

    def label(self) -> str:
        """See RecordDraft."""
        return folded(self.name)


class CategoryDraft(RecordDraft):
    """What an administrator says of a category."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Hardware", "description": "What can be touched", "team": "Workplace"}]
        }
    )

    name: Name = Field(description="as tickets name it; a new one goes to all that have the old one")
    description: Note = ""
    active: bool = Field(default=True, description="whether tickets may be filed under it")
    team: Name | None = Field(default=None, description="who gets a ticket that is filed without a team")
    assignee: AddressFilter | None = Field(
        default=None, description="who gets a ticket that is filed without an assignee"
    )

    def label(self) -> str:
        """See RecordDraft."""
        return folded(self.name)


Named = TypeVar("Named", TeamDraft, CategoryDraft)


@dataclass(frozen=True, slots=True)
class Setup:
    """The active categories and teams, by folded name, and the promises. Where there are none, anything goes."""

    categories: Mapping[str, CategoryDraft] = field(default_factory=dict)
    teams: Mapping[str, TeamDraft] = field(default_factory=dict)
    policy: Policy | None = None
    people: People = field(default_factory=People)
    """Those who can be assigned: whoever assigns asks for them (see usecases/setup.py), nobody else can."""

    @classmethod
    def of(cls, categories: Iterable[CategoryDraft], teams: Iterable[TeamDraft], policy: Policy | None) -> "Setup":
        """From everything that is kept."""
        return cls(_active(categories), _active(teams), policy)

    def filed(self, caller: Caller, ticket: Ticket) -> Ticket:
        """A new ticket as it is kept: names as they are spelled here, whoever is to get it, promised times.

        An agent who works for some teams alone files into the first of them where nothing else says so, and so does
        not lose sight of it. Raises Unprocessable.
        """
        category = self.categories.get(folded(ticket.category)) if self.categories else None
        values = self.settled(ticket, {name: getattr(ticket, name) for name in ("category", "team", "assignee")})
        team = values["team"] or self._default_team(category) or (caller.teams[0] if caller.teams else None)
        assignee = values["assignee"] or self._default_assignee(category)
        if (values["category"], team, assignee) != (ticket.category, ticket.team, ticket.assignee):
            ticket = ticket._replace(category=values["category"], team=team, assignee=assignee)
        return promised(self.policy, ticket)

    def settled(self, ticket: Ticket, values: Mapping[str, Any], *, new: bool = True) -> dict[str, Any]:
        """New values with category and team as they are spelled here, and the assignee as people are kept. Raises
        Unprocessable where there is no such one.

        What a ticket has already may stay, also where it is no longer active.
        """
        settled = dict(values)
        for name, allowed in (("category", self.categories), ("team", self.teams)):
            value = settled.get(name)
            if value is None or not allowed or (not new and value == getattr(ticket, name)):
                continue
            settled[name] = _spelled(name, value, allowed)
        assignee = settled.get("assignee")
        if assignee is not None and (new or assignee != ticket.assignee):
            settled["assignee"] = self.people.find(assignee)
        return settled

    def assigns(self, category: str) -> bool:
        """Whether a ticket filed under this category may get an assignee by that."""
        found = self.categories.get(folded(category))
        return found is not None and found.assignee is not None

    def timed(self, before: Ticket, after: Ticket) -> Ticket:
        """What a change does to the promised times."""
        return retimed(self.policy, before, after)

    def checked(self, draft: RecordDraft, before: Record | None = None) -> RecordDraft:
        """The draft as it is kept. Raises Unprocessable for a category whose default team does not exist, or whose
        assignee can't be one, unless it had them before."""
        if not isinstance(draft, CategoryDraft):
            return draft
        if draft.team is not None and self.teams:
            _spelled("team", draft.team, self.teams)
        if draft.assignee is None or (before is not None and before.body.get("assignee") == draft.assignee):
            return draft
        return draft.model_copy(update={"assignee": self.people.find(draft.assignee)})

    def _default_assignee(self, category: CategoryDraft | None) -> str | None:
        """The category's, unless they have gone since: then nobody's, which somebody sees."""
        return self.people.known(category.assignee) if category and category.assignee else None

    def _default_team(self, category: CategoryDraft | None) -> str | None:
        """The category's team, unless it has been made inactive since."""
        if category is None or category.team is None or not self.teams:
            return category.team if category else None
        found = self.teams.get(folded(category.team))
        return found.name if found else None


def _active(drafts: Iterable[Named]) -> dict[str, Named]:
    """By folded name; of two that fold alike, which older versions allowed, the older one counts."""
    found: dict[str, Named] = {}
    for draft in drafts:
        if draft.active:
            found.setdefault(draft.label(), draft)
    return found


def _spelled(kind: str, value: str, allowed: Mapping[str, Any]) -> str:
    found = allowed.get(folded(value))
    if found is not None:
        name: str = found.name
        return name
    names = [draft.name for draft in allowed.values()]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    raise Unprocessable(
        f"There is no active {kind} of this name.",
        [(kind, f"must be one of: {', '.join(names[:_MOST_NAMED])}{more}")],
    )
