"""What can be asked of the list of tickets."""

from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from backend.domain import search
from backend.domain.access import Caller, Role
from backend.domain.search import Condition, Search, Span, Term
from backend.domain.tickets import Severity, Status
from backend.domain.values import AddressFilter, Instant, Moment, Name, TagFilter, fingerprint, instant_of
from backend.errors import InvalidInput

MOST_ITEMS = 200
USUAL_ITEMS = 50
MOST_VALUES = 20
MOST_CHARACTERS = 1_000_000
"""Of the texts on one page of a list: a page ends before the item with which they would be more."""
# In the order of promised times, tickets without one come last, the oldest first: by this and their creation.
UNPROMISED = "~"


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


class PageBudget:
    """How much more text a page may hold."""

    def __init__(self) -> None:
        self._left, self._is_empty = MOST_CHARACTERS, True

    def takes(self, *texts: str | None) -> bool:
        """Whether one more item with these texts fits; the first one always does."""
        return self.takes_length(sum(len(text) for text in texts if text))

    def takes_length(self, length: int) -> bool:
        """The same for an item of so many characters."""
        fits = self._is_empty or length <= self._left
        self._left -= length
        self._is_empty = False
        return fits


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
    due_before: Instant | None = None
    overdue: bool = False
    """A promised time has passed, and what was promised is still lacking."""
    deleted: bool = False
    mine: tuple[str, ...] = ()
    """Requesters or participants (see `Ticket.participants`): whose own tickets they are."""
    also: tuple[Condition | Span, ...] = ()
    """What the search box adds (see `search.understand`): each must hold too, so it can only narrow."""
    public: bool = False
    """Whether the last change is the last one that requesters are told of, in conditions and in the list's order."""

    @property
    def needs_due(self) -> bool:
        """Whether only tickets with a promised time can match."""
        spans = (one for one in self.also if isinstance(one, Span))
        return self.due_before is not None or any(one.field == "due" and not one.excluded for one in spans)

    def seen_by(self, caller: Caller) -> "TicketFilter | None":
        """The same, less what the caller may not see (see `tickets.may_see`); None where nothing is left."""
        if not caller.is_at_least(Role.AGENT):
            # Of watchers, too, they know only themselves.
            asked = (self.requester, self.watcher)
            if self.deleted or any(named and caller.address not in named for named in asked):
                return None
            watched = (one.values for one in self.also if isinstance(one, Condition) and one.field == "watcher")
            if any(set(values) != {caller.address} for values in watched):
                return None
            me = (caller.address,)
            also = tuple(_public(one) for one in self.also)
            mine = replace(self, mine=me, requester=me if self.requester else (), watcher=me if self.watcher else ())
            return replace(mine, also=also, public=True)
        if not caller.teams:
            return self
        teams = tuple(team for team in self.team if caller.works_for(team)) if self.team else caller.teams
        return replace(self, team=teams) if teams else None


def _public(condition: Condition | Span) -> Condition | Span:
    """The condition about what requesters are told of."""
    if isinstance(condition, Span) and condition.field == "updated":
        return replace(condition, field="public_updated")
    return condition


@dataclass(frozen=True, slots=True)
class TicketQuery:
    """One page of the list of tickets that match `where` and, if there are `terms`, the text."""

    where: TicketFilter = TicketFilter()
    terms: tuple[Term, ...] | None = None
    sort: Sort = Sort.NEWEST
    limit: int = USUAL_ITEMS
    cursor: str | None = None
    at: Instant = ""
    """The moment it is asked at, which tells what is overdue; the pages of one query may have several."""
    number: int | None = None
    """The ticket that comes first, if it matches the rest (see `usecases.numbers`); stores know nothing of it."""

    @property
    def fingerprint(self) -> str:
        """The same for every page of one query; its cursors are good for no other."""
        return fingerprint("tickets", self.where, self.terms, self.sort)

    @property
    def field(self) -> str:
        """What the list is in the order of: a field of Ticket, or `relevance`."""
        public = self.where.public and self.sort.field == "updated_at"
        return "public_updated_at" if public else self.sort.field


@dataclass(frozen=True, slots=True)
class CommentQuery:
    """One page of the comments that match `terms`, the best first, on tickets that match `where`.

    `internal`: of the internal notes, which are a list of their own so that whoever may not read them never asks it.
    """

    where: TicketFilter
    terms: tuple[Term, ...]
    internal: bool = False
    limit: int = USUAL_ITEMS
    cursor: str | None = None
    at: Instant = ""
    """See TicketQuery."""

    @property
    def fingerprint(self) -> str:
        """The same for every page of one query."""
        return fingerprint("comments found", self.where, self.terms, self.internal)


class TicketQuestion(BaseModel):
    """What can be asked of the list, and be kept as a view. A filter with several values takes any of them."""

    model_config = ConfigDict(extra="forbid")

    status: list[Status] = Field(default=[], max_length=MOST_VALUES)
    severity: list[Severity] = Field(default=[], max_length=MOST_VALUES)
    category: list[Name] = Field(default=[], max_length=MOST_VALUES)
    assignee: list[AddressFilter] = Field(
        default=[],
        max_length=MOST_VALUES,
        description="an address; `me` is whoever asks, `none` finds what nobody has (`unassigned` and `nobody` too)",
    )
    team: list[Name] = Field(default=[], max_length=MOST_VALUES)
    requester: list[AddressFilter] = Field(default=[], max_length=MOST_VALUES)
    tag: list[TagFilter] = Field(default=[], max_length=MOST_VALUES)
    watcher: list[AddressFilter] = Field(default=[], max_length=MOST_VALUES)
    due_before: Moment | None = Field(
        default=None, description="RFC 3339 with an offset; only those whose promised resolution lies before it"
    )
    overdue: bool = Field(
        default=False, description="only those that are late: a promised time has passed, and the clock still runs"
    )
    q: search.Query | None = Field(default=None, description=search.HELP)
    sort: Sort | None = Field(
        default=None,
        description="`-` means the greatest first; `-created_at` if left out, `relevance` with `q`. "
        "with `due_at`, tickets without a promised time come last, the oldest first",
    )
    deleted: bool = Field(default=False, description="those in the trash instead; for agents")

    def contradiction(self) -> str | None:
        """What makes no sense together, if anything."""
        asked = self._search("")
        if self.sort is Sort.RELEVANCE and asked.terms is None:
            return "sort=relevance needs a search text, q."
        if asked.terms is not None and self.deleted:
            return "q looks for words in tickets that are not in the trash; leave out deleted."
        return None

    def query(self, me: str, limit: int, cursor: str | None, zone: tzinfo = UTC) -> TicketQuery:
        """The same in the domain's words; `me` is who that means. Raises InvalidInput, Unprocessable."""
        problem = self.contradiction()
        if problem:
            raise InvalidInput(problem)
        asked = self._search(me, zone)
        sort = self.sort or (Sort.RELEVANCE if asked.ranks else Sort.NEWEST)
        if sort is Sort.RELEVANCE and not asked.ranks:
            sort = Sort.NEWEST  # where nothing must match, nothing matches better
        assignees = tuple(None if search.is_nobody(one) else _whose(one, me) for one in self.assignee)
        somebody = tuple(one for one in assignees if one is not None)
        nobody = len(somebody) < len(assignees)
        where = TicketFilter(
            status=tuple(self.status),
            severity=tuple(self.severity),
            category=tuple(self.category),
            assignee=() if nobody else somebody,
            team=tuple(self.team),
            requester=tuple(_whose(one, me) for one in self.requester),
            tag=tuple(self.tag),
            watcher=tuple(_whose(one, me) for one in self.watcher),
            due_before=instant_of(self.due_before) if self.due_before else None,
            overdue=self.overdue,
            deleted=self.deleted,
            also=asked.conditions + ((search.Condition("assignee", assignees),) if nobody else ()),
        )
        return TicketQuery(where, asked.terms, sort, limit, cursor, number=asked.number)

    def _search(self, me: str, zone: tzinfo = UTC) -> Search:
        return search.understand(self.q or "", me, zone)


def _whose(text: str, me: str) -> str:
    return me if text.casefold() == search.ME else text
