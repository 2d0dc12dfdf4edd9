"""Lists of tickets in SQLite: filters, orders, full text, and pages by key.

SQLite has no statistics here, so the way to a page is chosen by looking: whatever leaves few rows goes first.
"""

import copy
import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any

from backend.adapters.embedded import ranking, search
from backend.adapters.embedded.sqlite import one_moment
from backend.adapters.embedded.ticket_filters import Clause, all_of, clauses, narrowest, numbers, ranges
from backend.adapters.embedded.ticket_rows import COLUMNS, ticket_of
from backend.domain import pages
from backend.domain.pages import UNPROMISED, PageBudget, Sort, TicketFilter, TicketQuery
from backend.domain.search import Term
from backend.domain.tickets import Ticket
from backend.domain.values import LONGEST_PROSE, Page, open_cursor, seal_cursor

# Up to so many tickets of a filter are looked at one by one and sorted; of more, the order's own index meets enough.
FEW_LISTED = 12_500
FEW_SEARCHED = 50_000
# Matches up to here are each looked up; past the second, a page's worth is met soon by looking into tickets in order.
FEW_MATCHES = 20_000
MANY_MATCHES = 150_000
LOOKED_INTO = 200
MOST_LOOKS = 4

Row = tuple[int, Any]


def list_tickets(connection: sqlite3.Connection, query: TicketQuery) -> Page[Ticket]:
    """The page, all of it as of one moment."""
    if query.terms == ():
        return Page([])  # a search for nothing but punctuation finds nothing
    with one_moment(connection):
        return _by_relevance(connection, query) if query.sort is Sort.RELEVANCE else _by_field(connection, query)


def _by_relevance(connection: sqlite3.Connection, query: TicketQuery) -> Page[Ticket]:
    """The best matches first (BM25), newer ones first where equal."""
    found = clauses(query.where, query.at)
    keys_of, test = None, Clause("1")
    if query.where != TicketFilter():  # the text index holds nothing of the trash
        keys_of = partial(numbers, connection, found)
        sql, parameters = all_of(found)
        exists = f"EXISTS (SELECT 1 FROM tickets t WHERE t.number = tickets_text.rowid AND {sql})"
        test = Clause(*all_of([Clause(exists, parameters), *_bounds(connection, found, "rowid")]))
    matches = ranking.best(connection, ranking.TICKETS, search.expression(query.terms or ()), keys_of, test)
    ranked, more = page_of(matches, query.fingerprint, query.cursor, query.limit)
    fitting = _fitting(connection, [number for _, number in ranked])
    ranked, more = ranked[:fitting], more or fitting < len(ranked)
    tickets = _load(connection, [number for _, number in ranked])
    return Page(tickets, seal_cursor(query.fingerprint, ranked[-1]) if more else None)


def page_of(
    matches: Sequence[ranking.Ranked], query: str, cursor: str | None, limit: int
) -> tuple[Sequence[ranking.Ranked], bool]:
    """The matches after a cursor, at most `limit`, and whether there are more."""
    if cursor:
        score, key = open_cursor(query, cursor, int, int)
        matches = [match for match in matches if (match[0], -match[1]) > (score, -key)]
    return matches[:limit], len(matches) > limit


def _fitting(connection: sqlite3.Connection, wanted: Sequence[int]) -> int:
    """How many of these tickets fit on a page; one whose text is gone takes none of the budget."""
    if len(wanted) * 2 * LONGEST_PROSE <= pages.MOST_CHARACTERS:
        return len(wanted)
    (text,) = connection.execute(
        "SELECT json_group_array(json_array(number, length(description) + coalesce(length(resolution), 0))) "
        "FROM tickets WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(wanted),),
    ).fetchone()
    lengths, budget = dict(json.loads(text)), PageBudget()
    return next(
        (at for at, number in enumerate(wanted) if not budget.takes_length(lengths.get(number, 0))), len(wanted)
    )


def _load(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[Ticket]:
    """The tickets with these numbers, in this order, read as one JSON value: a statement of many rows would ask for
    Python's lock once a row."""
    (text,) = connection.execute(
        f"SELECT json_group_array(json_array({COLUMNS})) FROM tickets WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(numbers),),
    ).fetchone()
    tickets = {ticket.number: ticket for ticket in map(ticket_of, json.loads(text))}
    return [tickets[number] for number in numbers if number in tickets]


def _by_field(connection: sqlite3.Connection, query: TicketQuery) -> Page[Ticket]:
    """In the order of a column, then of the number."""
    field = query.field
    rows = _rows(connection, query)
    numbers_ = [number for number, _ in rows[: query.limit]]
    fitting = _fitting(connection, numbers_)
    tickets = _load(connection, numbers_[:fitting])
    if len(rows) <= fitting:
        return Page(tickets)
    number, value = rows[fitting - 1]
    return Page(tickets, seal_cursor(query.fingerprint, [number] if field == "number" else [value, number]))


def _rows(connection: sqlite3.Connection, query: TicketQuery) -> list[Row]:
    """Number and sorted column of the page's tickets, and of one more where there is one."""
    found = clauses(query.where, query.at)
    walk = _Walk(connection, query, found)
    return _first_due(walk, query) if query.sort is Sort.FIRST_DUE else _along(walk, query.terms)


def _first_due(walk: "_Walk", query: TicketQuery) -> list[Row]:
    """Those with a promised time, then those without."""
    rows = [] if walk.past_promised else _along(walk.where(Clause("t.due_at IS NOT NULL")), query.terms)
    if len(rows) < walk.limit and not query.where.needs_due:
        rest = walk.unpromised().at_most(walk.limit - len(rows))
        rows += [(number, f"{UNPROMISED}{value}") for number, value in _along(rest, query.terms)]
    return rows


def _along(walk: "_Walk", terms: Sequence[Term] | None) -> list[Row]:
    return _searched(walk, terms) if terms else _listed(walk)


def _listed(walk: "_Walk") -> list[Row]:
    """The page, whatever the text."""
    narrowing = [clause for clause in walk.found if clause.numbers]
    ordered = list(ranges(walk.found, walk.field))
    if not (len(narrowing) == 1 and ordered):
        best = narrowest(walk.connection, narrowing, FEW_LISTED)
        if best and f"{best.field}_at" != walk.field:  # a range of the order's own index needs no sorting
            few = f"(SELECT DISTINCT number FROM ({best.numbers})) few CROSS JOIN tickets t ON t.number = few.number"
            return walk.along(few, best.parameters)
    if ordered:
        clause, index = ordered[0]
        rows = [
            row
            for value in clause.values
            for row in walk.along(f"tickets t INDEXED BY {index}", (), Clause(f"t.{clause.column} = ?", (value,)))
        ]
        return walk.sorted(rows)
    return walk.in_order(*(_bounds(walk.connection, walk.found, "t.number") if walk.field == "number" else ()))


def _bounds(connection: sqlite3.Connection, found: Sequence[Clause], key: str) -> list[Clause]:
    """Between which numbers the tickets of a time lie; numbers nearly follow time, and the engine can start there."""
    bounds = []
    for clause in found:
        if clause.numbers and clause.field == "created":
            sql = f"SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM ({clause.numbers})"
            bounds.append(Clause(f"{key} BETWEEN ? AND ?", connection.execute(sql, clause.parameters).fetchone()))
    return bounds


def _searched(walk: "_Walk", terms: Sequence[Term]) -> list[Row]:
    """The same among the tickets whose text matches."""
    connection, index = walk.connection, ranking.TICKETS
    wanted, match = search.positive(terms), search.expression(terms)
    text = f"{index.name} CROSS JOIN tickets t ON t.number = {index.name}.rowid"
    of_text = Clause(f"{index.name} MATCH ?", (match,))
    matches = ranking.count(connection, index, match, MANY_MATCHES + 1)
    if wanted and matches <= FEW_MATCHES:
        return walk.along(text, (), of_text)
    many = _many(connection) if wanted else MANY_MATCHES
    if (matches > many) == bool(wanted):
        rows = _looked_into(walk, match, bool(wanted))
        if rows is not None:
            return rows
    keys = numbers(connection, walk.found, FEW_SEARCHED)
    if keys is not None:
        matching = set(ranking.matching(connection, index, match, keys))
        return walk.among([key for key in keys if (key in matching) == bool(wanted)])
    if wanted and walk.field == "number":
        return walk.along(text, (), of_text, key=f"{index.name}.rowid")
    # The plus keeps SQLite from starting with all the matches, of which there are many.
    among = f"+t.number {'' if wanted else 'NOT '}IN (SELECT rowid FROM {index.name} WHERE {index.name} MATCH ?)"
    return walk.in_order(Clause(among, (match,)))


def _many(connection: sqlite3.Connection) -> int:
    """So many matches are met soon in any order: one ticket in eight, if that is fewer than MANY_MATCHES."""
    last: int = connection.execute("SELECT coalesce(max(number), 0) FROM tickets").fetchone()[0]
    return max(FEW_MATCHES, min(MANY_MATCHES, last // 8))


def _looked_into(walk: "_Walk", match: str, wanted: bool) -> list[Row] | None:
    """The page by looking into the tickets in order; None where that would take too long."""
    rows: list[Row] = []
    for _ in range(MOST_LOOKS):
        some = walk.at_most(LOOKED_INTO)
        found = _listed(some)
        keys = sorted(number for number, _ in found)
        matching = set(ranking.matching(walk.connection, ranking.TICKETS, match, keys))
        rows += [row for row in found if (row[0] in matching) == wanted]
        if len(rows) >= walk.limit or len(found) < LOOKED_INTO:
            return rows[: walk.limit]
        walk = walk.after(found[-1])
    return None


class _Walk:
    """Reads a page's keys along one source of rows or another, in the query's order, from its cursor on."""

    def __init__(self, connection: sqlite3.Connection, query: TicketQuery, found: Sequence[Clause]) -> None:
        self.connection, self.found, self.field = connection, found, query.field
        self.limit, self._descending = query.limit + 1, query.sort.descending
        self._trash = query.where.deleted
        kinds = (int,) if self.field == "number" else (str, int)
        self._position = open_cursor(query.fingerprint, query.cursor, *kinds) if query.cursor else []

    def at_most(self, limit: int) -> "_Walk":
        """The same for a page of another size."""
        other = copy.copy(self)
        other.limit = limit
        return other

    def where(self, clause: Clause) -> "_Walk":
        """The same of the tickets for which this holds too."""
        other = copy.copy(self)
        other.found = [*self.found, clause]
        return other

    @property
    def past_promised(self) -> bool:
        """Whether the cursor lies among the tickets without a promised time."""
        return bool(self._position) and str(self._position[0]).startswith(UNPROMISED)

    def unpromised(self) -> "_Walk":
        """The tickets without a promised time, in the order of their creation."""
        other = self.where(Clause("t.due_at IS NULL"))
        other.field = "created_at"
        other._position = [self._position[0][len(UNPROMISED) :], self._position[1]] if self.past_promised else []
        return other

    def after(self, row: Row) -> "_Walk":
        """The same, past this row."""
        other = copy.copy(self)
        other._position = [row[0]] if self.field == "number" else [row[1], row[0]]
        return other

    def along(self, source: str, parameters: Sequence[Any], *more: Clause, key: str = "t.number") -> list[Row]:
        """The page's keys along `source`, which holds the tickets as `t`."""
        keys = [key] if self.field == "number" else [f"t.{self.field}", key]
        tests = [*more, *self.found]
        if self._position:
            sign, marks = "<" if self._descending else ">", ", ".join("?" * len(keys))
            tests.append(Clause(f"({', '.join(keys)}) {sign} ({marks})", self._position))
        sql, values = all_of(tests)
        order = ", ".join(f"{name} {'DESC' if self._descending else 'ASC'}" for name in keys)
        return self.connection.execute(
            f"SELECT t.number, t.{self.field} FROM {source} WHERE {sql} ORDER BY {order} LIMIT {self.limit}",
            [*parameters, *values],
        ).fetchall()

    def among(self, numbers_: Sequence[int]) -> list[Row]:
        """The page's keys among a few tickets."""
        few = "(SELECT value AS number FROM json_each(?)) few CROSS JOIN tickets t ON t.number = few.number"
        return self.along(few, [json.dumps(numbers_)])

    def in_order(self, *more: Clause) -> list[Row]:
        """The page's keys along the order's own index, passing by what does not fit."""
        if self._trash:
            return self.along("tickets t INDEXED BY tickets_deleted", (), *more)
        index = {
            "created_at": "created",
            "updated_at": "updated",
            "public_updated_at": "public_updated",
            "due_at": "due",
        }.get(self.field)
        return self.along(f"tickets t {f'INDEXED BY tickets_{index}' if index else 'NOT INDEXED'}", (), *more)

    def sorted(self, rows: list[Row]) -> list[Row]:
        """Rows of several sources as one page."""
        return sorted(rows, key=lambda row: (row[1], row[0]), reverse=self._descending)[: self.limit]
