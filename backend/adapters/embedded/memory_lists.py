"""Lists of memories from their index."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from backend.adapters.embedded import search
from backend.domain.memories import Memory, MemoryQuery
from backend.domain.pages import PageBudget
from backend.domain.search import Condition, Span
from backend.domain.text import folded
from backend.domain.values import Page, open_cursor, seal_cursor

COLUMNS = (
    "id, title, body, category, tags, ticket_id, ticket_number, author, created_at, updated_at, "
    "team, helpful, unhelpful"
)
_BODY = COLUMNS.split(", ").index("body")
_M_COLUMNS = ", ".join(f"m.{name}" for name in COLUMNS.split(", "))
# What of a search box means something for a memory.
_FIELDS = {"category": "m.category", "team": "m.team", "number": "m.ticket_number"}
_MOMENTS = {"created": "m.created_at", "updated": "m.updated_at"}


def list_memories(connection: sqlite3.Connection, query: MemoryQuery) -> Page[Memory]:
    """Newest first, or the best matches first."""
    wanted = search.positive(query.terms or ())
    tests = _tests(query)
    if tests is None or (query.terms is not None and not wanted):
        return Page([])
    conditions = " AND ".join(["1", *(sql for sql, _ in tests)])
    values = [value for _, found in tests for value in found]
    sql, parameters = _best(query, conditions, values) if wanted else _newest(query, conditions, values)
    rows, budget = list[Any](), PageBudget()
    for row in connection.execute(sql, (*parameters, query.limit + 1)):
        if len(rows) == query.limit or not budget.takes(row[_BODY]):
            last = rows[-1]
            return Page([*map(_memory, rows)], seal_cursor(query.fingerprint, [last[-1], last[0]]))
        rows.append(row)
    return Page([*map(_memory, rows)])


def _newest(query: MemoryQuery, conditions: str, values: list[Any]) -> tuple[str, list[Any]]:
    position = open_cursor(query.fingerprint, query.cursor, str, str) if query.cursor else []
    after = "AND (m.created_at, m.id) < (?, ?)" if query.cursor else ""
    sql = (
        f"SELECT {_M_COLUMNS}, m.created_at FROM memories m WHERE {conditions} {after} "
        "ORDER BY m.created_at DESC, m.id DESC LIMIT ?"
    )
    return sql, [*values, *position]


def _best(query: MemoryQuery, conditions: str, values: list[Any]) -> tuple[str, list[Any]]:
    position = open_cursor(query.fingerprint, query.cursor, float, str) if query.cursor else []
    after = "WHERE (score, id) > (?, ?)" if query.cursor else ""
    sql = (
        f"SELECT * FROM (SELECT {_M_COLUMNS}, bm25(memories_text, 4.0, 1.0) AS score FROM memories_text "
        f"CROSS JOIN memories m ON m.rowid = memories_text.rowid WHERE memories_text MATCH ? AND {conditions}) {after} "
        f"ORDER BY score, id LIMIT ?"
    )
    return sql, [search.expression(query.terms or ()), *values, *position]


def _tests(query: MemoryQuery) -> list[tuple[str, Sequence[Any]]] | None:
    """SQL and values of each condition; None where one is about what no memory has."""
    tests: list[tuple[str, Sequence[Any]]] = []
    if query.teams:
        teams = list(map(folded, query.teams))
        tests.append((f"(m.team IS NULL OR folded(m.team) IN ({_marks(teams)}))", teams))
    for condition in query.also:
        test = _span(condition) if isinstance(condition, Span) else _condition(condition)
        if test is None:
            return None
        sql, values = test
        tests.append((f"NOT coalesce({sql}, 0)" if condition.excluded else sql, values))
    return tests


def _condition(condition: Condition) -> tuple[str, Sequence[Any]] | None:
    named = [value for value in condition.values if value is not None]
    if condition.field == "tag":
        tags = [folded(str(value)) for value in named]
        return f"EXISTS (SELECT 1 FROM json_each(m.tags) WHERE folded(value) IN ({_marks(tags)}))", tags
    column = _FIELDS.get(condition.field)
    if column is None:
        return None
    if condition.field in ("category", "team"):  # files written by hand spell as they like
        named, compared = [folded(str(value)) for value in named], f"folded({column})"
    else:
        compared = column
    nothing = f"{column} IS NULL OR " if None in condition.values else ""
    return f"({nothing}{compared} IN ({_marks(named)}))", named


def _span(span: Span) -> tuple[str, Sequence[Any]] | None:
    column = _MOMENTS.get(span.field)
    if column is None:
        return None
    bounds = [(f"{column} >= ?", span.start), (f"{column} < ?", span.end)]
    tests = " AND ".join(test for test, value in bounds if value is not None)
    return f"({tests})", [value for _, value in bounds if value is not None]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _memory(row: Sequence[Any]) -> Memory:
    return Memory(row[0], row[1], row[2], row[3], tuple(json.loads(row[4])), *row[5:13])
