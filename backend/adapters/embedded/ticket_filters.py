"""What a filter asks of a ticket's row, in SQL, and how few rows an index leaves of it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backend.domain.pages import TicketFilter
from backend.domain.search import Condition, Span
from backend.domain.sla import RUNNING
from backend.domain.values import Instant

_COLUMNS = ("requester", "assignee", "team", "category", "status", "severity")
_WORDS = {"tag": "ticket_tags", "watcher": "ticket_watchers"}
_RUNNING = tuple(sorted(status.value for status in RUNNING))

# (column, order) → the index that holds the rows of one value in that order.
ORDERED = {(column, "created_at"): f"tickets_{column}" for column in _COLUMNS} | {
    ("status", "updated_at"): "tickets_status_updated",
    ("status", "due_at"): "tickets_status_due",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition on the row `t`. `numbers`, where there is one, selects the same tickets by an index alone.

    `column` and `values` are there where the condition is that the column holds one of them.
    """

    sql: str
    parameters: Sequence[Any] = ()
    numbers: str | None = None
    field: str | None = None
    column: str | None = None
    values: tuple[Any, ...] = ()
    is_time: bool = False


def clauses(where: TicketFilter, at: Instant) -> list[Clause]:
    """Everything that must hold at this moment, whether a ticket is in the trash first."""
    found = [Clause("t.deleted_at IS NOT NULL" if where.deleted else "t.deleted_at IS NULL")]
    for field in (*_COLUMNS, *_WORDS):
        values = getattr(where, field)
        if values:
            found.append(_clause(Condition(field, tuple(values)), at))
    if where.mine:
        found.append(_mine(where.mine))
    if where.due_before is not None:
        found.append(_clause(Span("due", None, where.due_before), at))
    if where.overdue:
        found += _overdue(at)
    for condition in where.also:
        late = isinstance(condition, Condition) and condition.field == "is" and not condition.excluded
        found += _overdue(at) if late else [_clause(condition, at)]
    if where.deleted:  # what is in the trash is in no index but its own
        found = [Clause(clause.sql, clause.parameters) for clause in found]
    return found


def all_of(found: Sequence[Clause]) -> tuple[str, list[Any]]:
    """The clauses as one condition."""
    return " AND ".join(clause.sql for clause in found), [value for clause in found for value in clause.parameters]


def narrowest(connection: sqlite3.Connection, found: Sequence[Clause], most: int) -> Clause | None:
    """The clause whose index leaves the fewest tickets, if they are at most `most`. Counts no further than it must."""
    best, fewest = None, most + 1
    for clause in found:
        if clause.numbers and fewest:
            # A time's tickets lie together in no other order: what passes by the rest would pass by nearly all.
            limit = fewest * 3 if best is None and clause.is_time else fewest
            sql = f"SELECT count(*) FROM ({clause.numbers} LIMIT {limit})"
            (count,) = connection.execute(sql, clause.parameters).fetchone()
            if count < limit:
                best, fewest = clause, count
    return best


def numbers(connection: sqlite3.Connection, found: Sequence[Clause], most: int) -> list[int] | None:
    """The numbers of the tickets for which all hold, in order; None where no index leaves few enough to look at."""
    best = narrowest(connection, found, most)
    if best is None or best.numbers is None:
        return None
    sql, parameters = all_of(found)
    # As one value: a statement of many rows asks for Python's lock once a row.
    (text,) = connection.execute(
        f"SELECT json_group_array(DISTINCT t.number) FROM ({best.numbers}) few "
        f"CROSS JOIN tickets t ON t.number = few.number WHERE {sql}",
        [*best.parameters, *parameters],
    ).fetchone()
    return sorted(json.loads(text))


def _clause(condition: Condition | Span, at: Instant) -> Clause:
    if isinstance(condition, Span):
        clause = _span(condition)
    elif condition.field in _COLUMNS:
        clause = _column(condition.field, condition.values)
    elif condition.field in _WORDS:
        clause = _word(condition.field, condition.values)
    elif condition.field == "number":
        marks = _marks(condition.values)
        numbers_ = f"SELECT number FROM tickets WHERE number IN ({marks})"
        clause = Clause(f"t.number IN ({marks})", condition.values, numbers_)
    else:
        sql, parameters = all_of(_overdue(at))
        clause = Clause(f"({sql})", parameters)
    # A comparison with nothing is neither true nor false; whatever does not hold counts as excluded.
    return Clause(f"NOT coalesce({clause.sql}, 0)", clause.parameters) if condition.excluded else clause


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _column(column: str, values: Sequence[Any]) -> Clause:
    named = tuple(str(value) for value in values if value is not None)
    within = f"{column} IN ({_marks(named)})"
    if None in values:
        return Clause(f"(t.{column} IS NULL OR t.{within})", named)
    numbers_ = f"SELECT number FROM tickets INDEXED BY tickets_{column} WHERE deleted_at IS NULL AND {within}"
    return Clause(f"t.{within}", named, numbers_, column, column, named)


def _word(field: str, values: Sequence[Any]) -> Clause:
    numbers_ = f"SELECT number FROM {_WORDS[field]} WHERE {field} IN ({_marks(values)})"
    sql = f"EXISTS (SELECT 1 FROM {_WORDS[field]} w WHERE w.number = t.number AND w.{field} IN ({_marks(values)}))"
    return Clause(sql, tuple(values), numbers_)


def _mine(addresses: Sequence[str]) -> Clause:
    """Requester, or participant by a ticket that was merged."""
    marks = _marks(addresses)
    sql = (
        f"(t.requester IN ({marks}) OR EXISTS (SELECT 1 FROM ticket_participants w "
        f"WHERE w.number = t.number AND w.participant IN ({marks})))"
    )
    numbers_ = (
        f"SELECT number FROM tickets INDEXED BY tickets_requester WHERE deleted_at IS NULL AND requester IN ({marks}) "
        f"UNION SELECT number FROM ticket_participants WHERE participant IN ({marks})"
    )
    return Clause(sql, (*addresses, *addresses), numbers_)


def _span(span: Span) -> Clause:
    column = f"{span.field}_at"
    bounds = [(f"{column} >= ?", span.start), (f"{column} < ?", span.end)]
    tests = [test for test, value in bounds if value is not None]
    parameters = tuple(value for _, value in bounds if value is not None)
    numbers_ = (
        f"SELECT number FROM tickets INDEXED BY tickets_{span.field} WHERE deleted_at IS NULL AND {' AND '.join(tests)}"
    )
    return Clause(
        "(" + " AND ".join(f"t.{test}" for test in tests) + ")", parameters, numbers_, span.field, is_time=True
    )


def _overdue(at: Instant) -> list[Clause]:
    """A promised time has passed, what was promised is lacking, and the clock runs."""
    late = "(t.due_at < ? OR (t.first_responded_at IS NULL AND t.first_response_due_at < ?))"
    return [_column("status", _RUNNING), Clause(late, (at, at))]


def ranges(found: Sequence[Clause], order: str) -> Iterator[tuple[Clause, str]]:
    """The clauses that an index serves in this order, each with its index."""
    for clause in found:
        index = ORDERED.get((clause.column or "", order))
        if index:
            yield clause, index
