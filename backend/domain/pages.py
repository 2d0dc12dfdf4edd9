"""What can be asked of the list of tickets."""

from dataclasses import dataclass, replace
from enum import StrEnum

from backend.domain.access import Caller, Role
from backend.domain.search import Term
from backend.domain.tickets import Severity, Status
from backend.domain.values import fingerprint

MOST_ITEMS = 200
USUAL_ITEMS = 50


class Sort(StrEnum):
    """Order of a list; `-` means the greatest first."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    LAST_UPDATED = "-updated_at"
    FIRST_UPDATED = "updated_at"
    HIGHEST_NUMBER = "-number"
    LOWEST_NUMBER = "number"
    FIRST_DUE = "due_at"
    RELEVANCE = "relevance"

    @property
    def field(self) -> str:
        """What is compared."""
        return self.value.lstrip("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.value.startswith("-")


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Every condition must hold; within one, any of its values will do. Empty means any."""

    status: tuple[Status, ...] = ()
    severity: tuple[Severity, ...] = ()
    category: tuple[str, ...] = ()
    assignee: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    requester: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    watcher: tuple[str, ...] = ()
    deleted: bool = False

    def seen_by(self, caller: Caller) -> "TicketFilter | None":
        """The same, less what the caller may not see (see `tickets.may_see`); None where nothing is left."""
        if not caller.is_at_least(Role.AGENT):
            within = (caller.address,) if not self.requester or caller.address in self.requester else ()
            return replace(self, requester=within) if within and not self.deleted else None
        if not caller.teams:
            return self
        teams = tuple(team for team in self.team if team in caller.teams) if self.team else caller.teams
        return replace(self, team=teams) if teams else None


@dataclass(frozen=True, slots=True)
class TicketQuery:
    """One page of the list of tickets that match `where` and, if there are `terms`, the text."""

    where: TicketFilter = TicketFilter()
    terms: tuple[Term, ...] | None = None
    sort: Sort = Sort.NEWEST
    limit: int = USUAL_ITEMS
    cursor: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for every page of one query; its cursors are good for no other."""
        return fingerprint("tickets", self.where, self.terms, self.sort)
