"""One search over tickets, comments and memories.

Scores of different indexes can't be compared, so the lists are merged by reciprocal rank fusion (Cormack, Clarke and
Buettcher, SIGIR 2009: each hit counts 1 / (60 + its rank)). No hit stands in two lists here, and then that order is:
the first of each list, the second of each, and so on. So each list is read by its own exact cursor, and no further
than the page needs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.excerpts import Piece, best_excerpt, excerpt, share_of_reading
from backend.domain.memories import Memory, MemoryQuery
from backend.domain.pages import MOST_CHARACTERS, CommentQuery, Sort, TicketFilter, TicketQuery
from backend.domain.search import Search, Term
from backend.domain.tickets import FoundComment, Ticket
from backend.domain.values import Instant, Page, fingerprint, open_cursor, seal_cursor
from backend.errors import InvalidCursor
from backend.ports import Ports
from backend.usecases import labels, numbers, people


class SearchKind(StrEnum):
    """What can be found."""

    TICKET = "ticket"
    COMMENT = "comment"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found. `field` is where the excerpt comes from."""

    kind: SearchKind
    id: str
    title: str
    ticket_id: str | None
    ticket_number: int | None
    author: str | None
    internal: bool
    created_at: Instant
    field: str
    excerpt: Sequence[Piece]


Fetch = Callable[[int, str | None], Awaitable[Page[Any]]]


async def search(
    ports: Ports, caller: Caller, asked: Search, kinds: Sequence[SearchKind], limit: int, cursor: str | None
) -> Page[Hit]:
    """The best matches of all kinds; without `kinds`, of all that the caller may see. Raises NotAllowed, InvalidCursor.

    What a list may hold is settled before it is asked: nothing that the caller may not see is ever counted or ranked.
    """
    agent = caller.is_at_least(Role.AGENT)
    if SearchKind.MEMORY in kinds:
        caller.must_be(Role.AGENT)
    where = (await people.meant(ports, TicketFilter(also=asked.conditions))).seen_by(caller)
    where = where and await labels.widened(ports, where)
    lists = _lists(ports, caller, asked, where, agent) if where else {}
    query = fingerprint("search", where, asked.terms, sorted(kinds), agent)
    wanted = {name: fetch for (kind, name), fetch in lists.items() if not kinds or kind in kinds}
    waiting = _opened(query, cursor, wanted) if cursor else dict.fromkeys(wanted)
    hits, waiting = await take_turns(wanted, waiting, limit)
    # Aside, since it looks into texts of any kind, many of them.
    shown = await asyncio.to_thread(_shown, hits, asked.terms or ())
    return Page(shown, seal_cursor(query, [[list(pair) for pair in waiting.items()]]) if waiting else None)


async def in_comments(ports: Ports, caller: Caller, query: TicketQuery, limit: int) -> Page[Hit]:
    """The best comments, at most `limit`, on tickets that match the query's filters; for agents internal notes too.

    The cursor says only whether there are more.
    """
    where = query.where.seen_by(caller)
    if where is None or query.terms is None or all(term.excluded for term in query.terms):
        return Page([])
    asked = CommentQuery(where, query.terms, False, limit, None, ports.now())
    kinds = [asked, replace(asked, internal=True)] if caller.is_at_least(Role.AGENT) else [asked]
    pages = await asyncio.gather(*map(ports.tickets.search_comments, kinds))
    in_turn = [found for row in zip_longest(*(page.items for page in pages)) for found in row if found]
    more = len(in_turn) > limit or any(page.next_cursor for page in pages)
    shown = await asyncio.to_thread(_shown, in_turn[:limit], query.terms)
    return Page(shown, "more" if more else None)


def _lists(
    ports: Ports, caller: Caller, asked: Search, where: TicketFilter, agent: bool
) -> dict[tuple[SearchKind, str], Fetch]:
    """The lists that there are for this caller and this question, by kind and name."""
    terms, at = asked.terms, ports.now()

    async def tickets(limit: int, cursor: str | None) -> Page[Any]:
        sort = Sort.RELEVANCE if asked.ranks else Sort.NEWEST
        return await numbers.list_tickets(ports, TicketQuery(where, terms, sort, limit, cursor, at, asked.number))

    def comments(internal: bool) -> Fetch:
        async def fetch(limit: int, cursor: str | None) -> Page[Any]:
            return await ports.tickets.search_comments(CommentQuery(where, terms or (), internal, limit, cursor, at))

        return fetch

    async def memories(limit: int, cursor: str | None) -> Page[Any]:
        return await ports.memories.list_memories(MemoryQuery(terms, caller.teams, where.also, limit, cursor))

    found: dict[tuple[SearchKind, str], Fetch] = {(SearchKind.TICKET, "tickets"): tickets}
    if asked.ranks:  # a comment is found by what it says
        found[SearchKind.COMMENT, "comments"] = comments(internal=False)
    if agent and asked.ranks:
        found[SearchKind.COMMENT, "notes"] = comments(internal=True)
        found[SearchKind.MEMORY, "memories"] = memories
    return found


def _opened(query: str, cursor: str, lists: Mapping[str, Fetch]) -> dict[str, str | None]:
    """Where each list goes on, in the order of their turns."""
    (pairs,) = open_cursor(query, cursor, list)
    try:
        waiting: dict[str, Any] = dict(pairs)
    except (TypeError, ValueError):
        raise InvalidCursor from None
    known = waiting.keys() <= lists.keys() and all(p is None or isinstance(p, str) for p in waiting.values())
    if not waiting or not known:
        raise InvalidCursor
    return waiting


async def take_turns(
    lists: Mapping[str, Fetch], waiting: Mapping[str, str | None], limit: int
) -> tuple[list[Any], dict[str, str | None]]:
    """At most `limit` items (fewer of long texts), one of each list in turn, and where the lists that have more go on,
    the next one first."""
    order = list(waiting.items())
    taken: dict[str, list[Any]] = {name: [] for name in waiting}
    turns: list[str] = []
    left, length = limit, 0
    while order and left and length < MOST_CHARACTERS // 2:
        share, extra = divmod(left, len(order))
        going_on = []
        for place, (name, cursor) in enumerate(order):
            count = share + (place < extra)
            page = await lists[name](count, cursor) if count else Page([], cursor)
            taken[name] += page.items
            length += sum(map(_length, page.items))
            left -= len(page.items)
            if not count or page.next_cursor is not None:
                going_on.append((name, page.next_cursor, place < extra))
        # Whoever had one more than the others waits longest for the next.
        order = [(name, cursor) for name, cursor, had in sorted(going_on, key=lambda one: one[2])]
    turns = list(waiting)
    longest = max(map(len, taken.values()), default=0)
    items = [taken[name][rank] for rank in range(longest) for name in turns if rank < len(taken[name])]
    return items, dict(order)


def _length(found: Any) -> int:
    """Characters of a hit's long texts."""
    if isinstance(found, FoundComment):
        return len(found.comment.body)
    return len(found.body) if isinstance(found, Memory) else len(getattr(found, "description", ""))


def _shown(hits: Sequence[Any], terms: Sequence[Term]) -> list[Hit]:
    most = share_of_reading(len(hits))
    return [_hit(found, terms, most) for found in hits]


def _hit(found: Ticket | FoundComment | Memory, terms: Sequence[Term], most: int) -> Hit:
    if isinstance(found, FoundComment):
        comment = found.comment
        return Hit(
            SearchKind.COMMENT,
            comment.id,
            found.ticket_title,
            comment.ticket_id,
            found.ticket_number,
            comment.author,
            comment.internal,
            comment.created_at,
            "body",
            excerpt(comment.body, terms, most),
        )
    if isinstance(found, Memory):
        field, text = best_excerpt({"body": found.body, "title": found.title}, terms, "body", most)
        author, ticket, number = found.author, found.ticket_id, found.ticket_number
        return Hit(
            SearchKind.MEMORY, found.id, found.title, ticket, number, author, False, found.created_at, field, text
        )
    texts = {"description": found.description, "resolution": found.resolution or "", "title": found.title}
    field, text = best_excerpt(texts, terms, "description", most)
    return Hit(
        SearchKind.TICKET, found.id, found.title, found.id, found.number, None, False, found.created_at, field, text
    )
