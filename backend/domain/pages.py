"""What can be asked of the list of tickets."""

from dataclasses import dataclass
from enum import StrEnum

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
    deleted: bool = False


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
