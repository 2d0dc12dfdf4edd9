"""Lists of tickets: the index that proposes the fewest, then each ticket's own word, page by page.

An index gives keys in order; the tickets are read consistently and checked, so that nobody is shown what a lagging
index believes. A request looks at no more than MOST_LOOKED_AT tickets: a page may be short and still have a next one.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, takewhile
from typing import NamedTuple

from backend.adapters.aws import ticket_filters as filters
from backend.adapters.aws import words
from backend.adapters.aws.postings import TICKETS, Ranking, candidates
from backend.adapters.aws.table import Table
from backend.adapters.aws.ticket_items import LIVE, TRASH, place, rank_of, ticket_key, ticket_of, ticket_text
from backend.domain.pages import UNPROMISED, PageBudget, Sort, TicketFilter, TicketQuery
from backend.domain.tickets import Ticket
from backend.domain.values import Page, open_cursor, seal_cursor
from backend.errors import InvalidCursor

MOST_LOOKED_AT = 1_000
MOST_SORTED = 1_000  # of one person or value, sorted here where no index has their order
MOST_PUBLIC = 5_000  # of a requester, by the last change that they are told of; no index at all has that order
_PAGE = 250  # keys a query


class Order(NamedTuple):
    """What a list is sorted by here: a field of Ticket, and whether the greatest comes first."""

    field: str
    descending: bool


NEWEST, OLDEST = Order("created_at", True), Order("created_at", False)

Pair = tuple[str, str]
"""A place in an order, and the id of the ticket there."""


class TicketLists:
    """`list_tickets`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(self, query: TicketQuery) -> Page[Ticket]:
        """See ports.Tickets."""
        if query.terms is None:
            return self._listed(query, None)
        search = words.wanted(query.terms)
        if not search.phrases:
            return self._listed(query, search) if search.unwanted else Page([])
        if query.where.deleted:
            return Page([])  # what is in the trash has no words
        if query.sort is Sort.RELEVANCE:
            return self._ranked(query, search)
        return self._listed(query, search)

    # ---- In the order of a field -----------------------------------------------------------------------------------

    def _listed(self, query: TicketQuery, search: words.Wanted | None) -> Page[Ticket]:
        sort = NEWEST if query.sort is Sort.RELEVANCE else Order(query.field, query.sort.descending)
        public = self._few(query.where, MOST_PUBLIC) if sort.field == "public_updated_at" else None
        if sort.field == "public_updated_at" and public is None:
            sort = Order("created_at", sort.descending)  # of more than can be sorted here
        after = _opened(query, sort)
        if search and search.phrases and not _of_one(query.where):
            return self._searched(query, search, sort, after)
        few = self._numbered(query.where)
        if few is None and sort.field != "created_at":
            few = public or self._few(query.where, MOST_SORTED)
        walked = few is None
        pairs = self._walk(query, sort, after) if walked else _in_order(self._load(few or ()), sort, after)
        return self._filled(query, sort, pairs, search)

    def _searched(self, query: TicketQuery, search: words.Wanted, sort: Order, after: str | None) -> Page[Ticket]:
        """By the words' own lists, which are in the order of creation; other orders are made of the newest matches."""
        forward = not sort.descending
        if sort.field == "created_at":
            enough = 2 * (query.limit + 1)
            found = candidates(self._table, TICKETS, search, forward=forward, after=after, enough=enough)
            pairs = iter([(where, one.document) for where, one in found.postings])
            return self._filled(query, sort, pairs, search, beyond=found.reached)
        found = candidates(self._table, TICKETS, search, enough=MOST_SORTED)
        tickets = self._load([one.document for _, one in found.postings[:MOST_SORTED]])
        return self._filled(query, sort, _in_order(tickets, sort, after), search)

    def _walk(self, query: TicketQuery, sort: Order, after: str | None) -> Iterator[Pair]:
        """Keys of the index that proposes the fewest tickets in this order."""
        if sort.field != "due_at":
            return self._keys(query, sort, after)
        among = after is not None and after.startswith(UNPROMISED)
        promised = iter(()) if among else self._keys(query, sort, after)
        if query.where.needs_due:
            return promised
        # Those with a promised time are met here again, and passed by: it is not where they stand.
        oldest = self._keys(query, OLDEST, after[len(UNPROMISED) :] if among and after else None)
        return chain(promised, ((UNPROMISED + where, ticket_id) for where, ticket_id in oldest))

    def _keys(self, query: TicketQuery, sort: Order, after: str | None) -> Iterator[Pair]:
        where = query.where
        live = TRASH if where.deleted else LIVE
        facet = filters.facet(where)
        if sort.field != "created_at" or facet is None:
            return self._read(_order(sort), live, sort.descending, after, query.limit + 1)
        lists = [
            self._read(index, value, sort.descending, after, query.limit + 1) for index, value in _partitions(facet)
        ]
        return heapq.merge(*lists, reverse=sort.descending)

    def _read(self, index: str, value: str, descending: bool, after: str | None, limit: int) -> Iterator[Pair]:
        """Keys of one partition, no more in the first call than a page needs if each of them matches."""
        low = high = start = None
        if after is not None:
            low, high = (None, _less(after)) if descending else (after + "!", None)
        while True:
            items, start = self._table.query(
                value, index=index, low=low, high=high, forward=not descending, limit=limit, start=start
            )
            limit = _PAGE
            column = f"by_{index}" if index in ("updated", "number", "due") else "by_created"
            yield from ((item[column], item["pk"][2:]) for item in items)
            if start is None:
                return

    def _numbered(self, where: TicketFilter) -> list[str] | None:
        """The ids of the tickets with the numbers asked for, where some are."""
        numbers = filters.numbers(where)
        if numbers is None:
            return None
        live = TRASH if where.deleted else LIVE
        keys = [f"{number:015d}" for number in numbers]
        found = [self._table.query(live, index="number", low=key, high=key)[0] for key in keys]
        return [item["pk"][2:] for items in found for item in items]

    def _few(self, where: TicketFilter, most: int) -> list[str] | None:
        """The ids of all tickets with the filter's most telling value, if they are few enough to be sorted here."""
        facet = filters.facet(where)
        if facet is None:
            return None
        found: list[str] = []
        for index, value in _partitions(facet):
            items, more = self._table.query(value, index=index, forward=False, limit=most)
            found += [item["pk"][2:] for item in items]
            if more or len(found) > most:
                return None
        return found

    def _filled(
        self,
        query: TicketQuery,
        sort: Order,
        pairs: Iterator[Pair],
        search: words.Wanted | None,
        beyond: str | None = None,
    ) -> Page[Ticket]:
        """A page of those that match. `beyond`: how far the proposals reach, where they don't reach the end."""
        taken: list[Ticket] = []
        budget = PageBudget()
        seen: set[str] = set()
        order, looked_at = _order(sort), 0
        step = query.limit + 1
        while part := list(islice(pairs, step)):
            tickets = {ticket.id: ticket for ticket in self._load([ticket_id for _, ticket_id in part])}
            for where, ticket_id in part:
                ticket = tickets.get(ticket_id)
                fits = ticket is not None and rank_of(ticket, order) == where and _fits(query, search, ticket)
                if ticket is None or not fits or ticket_id in seen:
                    continue
                if len(taken) == query.limit or not budget.takes(ticket.description, ticket.resolution):
                    return Page(taken, _sealed(query, sort, rank_of(taken[-1], order)))
                seen.add(ticket_id)
                taken.append(ticket)
            looked_at += len(part)
            if looked_at >= MOST_LOOKED_AT:
                return Page(taken, _sealed(query, sort, part[-1][0]))
            step = 100
        return Page(taken, _sealed(query, sort, beyond))

    # ---- The best matches first ------------------------------------------------------------------------------------

    def _ranked(self, query: TicketQuery, search: words.Wanted) -> Page[Ticket]:
        after = None
        if query.cursor:
            score, number = open_cursor(query.fingerprint, query.cursor, int, int)
            after = (score, -number)
        ranking: Ranking[Ticket] = Ranking(
            self._load_by_id,
            ticket_text,
            lambda ticket: _fits(query, None, ticket),
            _number,
            lambda ticket: len(ticket.description) + len(ticket.resolution or ""),
        )
        if _of_one(query.where):
            found, following = self._ranked_here(query, search, after)
        else:
            ranked, following = ranking.page(self._table, TICKETS, search, query.limit, after)
            found = [one.document for one in ranked]
        if following is None:
            return Page(found)
        return Page(found, seal_cursor(query.fingerprint, [following[0], -following[1]]))

    def _ranked_here(
        self, query: TicketQuery, search: words.Wanted, after: tuple[int, int] | None
    ) -> tuple[list[Ticket], tuple[int, int] | None]:
        """Of one person's or tag's tickets the newest are read and ranked by their own text."""
        pairs = islice(self._walk(query, NEWEST, None), MOST_SORTED)
        tickets = [t for t in self._load([one for _, one in pairs]) if _fits(query, search, t)]
        met = {" ".join(phrase.words): len(tickets) for phrase in search.phrases}
        ranked = []
        for ticket in tickets:
            text = ticket_text(ticket)
            weights = {" ".join(phrase.words): text.weight(phrase) for phrase in search.phrases}
            ranked.append((words.score(weights, met, text.length), -ticket.number, ticket))
        ranked = sorted(one for one in ranked if after is None or one[:2] > after)
        budget = PageBudget()
        page = [*takewhile(lambda one: budget.takes(one[2].description, one[2].resolution), ranked[: query.limit])]
        return [one[2] for one in page], page[-1][:2] if len(ranked) > len(page) else None

    # ---- Tickets ---------------------------------------------------------------------------------------------------

    def _load(self, ids: Sequence[str]) -> list[Ticket]:
        """Those that exist, in this order, each once."""
        found = self._load_by_id(ids)
        return [found[one] for one in dict.fromkeys(ids) if one in found]

    def _load_by_id(self, ids: Sequence[str]) -> Mapping[str, Ticket]:
        items = self._table.get_many(map(ticket_key, ids))
        return {item["id"]: ticket_of(item) for item in items.values()}


def _order(sort: Order) -> str:
    return sort.field.removesuffix("_at")


def _partitions(facet: tuple[str, list[str]]) -> list[tuple[str, str]]:
    name, values = facet
    if name == "mine":
        return [("requester", value) for value in values] + [("label", f"participant#{value}") for value in values]
    if name in ("tag", "watcher"):
        return [("label", f"{name}#{value}") for value in values]
    return [(name, value) for value in values]


def _fits(query: TicketQuery, search: words.Wanted | None, ticket: Ticket) -> bool:
    if not filters.fits(query.where, ticket, query.at):
        return False
    return search is None or search.accepts(ticket_text(ticket))


def _of_one(where: TicketFilter) -> bool:
    facet = filters.facet(where)
    return facet is not None and facet[0] in filters.OF_ONE


def _in_order(tickets: Sequence[Ticket], sort: Order, after: str | None) -> Iterator[Pair]:
    order = _order(sort)
    pairs = [(where, ticket.id) for ticket in tickets if (where := rank_of(ticket, order)) is not None]
    if after is not None:
        pairs = [pair for pair in pairs if (pair[0] < after if sort.descending else pair[0] > after)]
    return iter(sorted(pairs, reverse=sort.descending))


def _opened(query: TicketQuery, sort: Order) -> str | None:
    """The place in a cursor, which is of the same form as the embedded adapter's."""
    if not query.cursor:
        return None
    if sort.field == "number":
        (number,) = open_cursor(query.fingerprint, query.cursor, int)
        value = None
    else:
        value, number = open_cursor(query.fingerprint, query.cursor, str, int)
        if len(value) > 40 or not value.isascii() or not value.isprintable():
            raise InvalidCursor
    if not 0 <= number < 10**15:
        raise InvalidCursor
    return f"{number:015d}" if value is None else place(value, number)


def _sealed(query: TicketQuery, sort: Order, where: str | None) -> str | None:
    if where is None:
        return None
    value, _, number = where.rpartition(" ")
    position = [int(number)] if sort.field == "number" else [value, int(number)]
    return seal_cursor(query.fingerprint, position)


def _number(where: str) -> int:
    return int(where.rpartition(" ")[2])


def _less(where: str) -> str:
    """The greatest text that is less, for places, which end in a digit."""
    return where[:-1] + chr(ord(where[-1]) - 1) + "\U0010ffff"
