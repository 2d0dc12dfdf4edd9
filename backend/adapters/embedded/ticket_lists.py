"""Lists of tickets in SQLite: filters, orders, full text, and pages by key."""

import json
import sqlite3
from typing import Any

from backend.adapters.embedded import search
from backend.adapters.embedded.ticket_rows import COLUMNS, T_COLUMNS, ticket_of
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.tickets import Ticket
from backend.domain.values import Instant, Page, open_cursor, seal_cursor

# Relevance is worked out for the newest matches only, so that a word found everywhere stays cheap.
RANKED_MATCHES = 1_000


def list_tickets(connection: sqlite3.Connection, query: TicketQuery) -> Page[Ticket]:
    """The page, read as one JSON value: a statement of many rows would ask for Python's lock once a row."""
    if query.terms == ():
        return Page([])  # a search for nothing but punctuation finds nothing
    ranked = query.sort is Sort.RELEVANCE
    sql, parameters = _by_relevance(query) if ranked else _by_field(query)
    (text,) = connection.execute(
        f"SELECT json_group_array(json_array({COLUMNS}, score)) FROM ({sql})", (*parameters, query.limit + 1)
    ).fetchone()
    rows = json.loads(text)
    tickets = [ticket_of(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return Page(tickets)
    last = tickets[-1]
    position = [rows[query.limit - 1][-1], last.number] if ranked else _position(query, last)
    return Page(tickets, seal_cursor(query.fingerprint, position))


def _position(query: TicketQuery, last: Ticket) -> list[Any]:
    if query.sort.field == "number":
        return [last.number]
    return [getattr(last, query.sort.field), last.number]


def _by_field(query: TicketQuery) -> tuple[str, list[Any]]:
    """SQL and parameters, without the limit, for an order by a column."""
    joins, conditions, parameters = "tickets t", *_conditions(query.where, query.at)
    if query.terms:
        wanted, unwanted = search.positive(query.terms), search.negative(query.terms)
        if wanted:
            # CROSS JOIN fixes the order: the text index first, each match looked up by its number.
            joins = "tickets_text CROSS JOIN tickets t ON t.number = tickets_text.rowid"
            conditions.insert(0, "tickets_text MATCH ?")
            parameters.insert(0, wanted)
        if unwanted:
            conditions.append("t.number NOT IN (SELECT rowid FROM tickets_text WHERE tickets_text MATCH ?)")
            parameters.append(unwanted)
    if query.sort is Sort.FIRST_DUE:
        conditions.append("t.due_at IS NOT NULL")
    field, order = query.sort.field, "DESC" if query.sort.descending else "ASC"
    comparison = "<" if query.sort.descending else ">"
    keys = ["t.number"] if field == "number" else [f"t.{field}", "t.number"]
    if query.cursor:
        kinds = (int,) if field == "number" else (str, int)
        conditions.append(f"({', '.join(keys)}) {comparison} ({', '.join('?' * len(keys))})")
        parameters += open_cursor(query.fingerprint, query.cursor, *kinds)
    ordering = ", ".join(f"{key} {order}" for key in keys)
    sql = f"SELECT {T_COLUMNS}, 0 AS score FROM {joins} WHERE {' AND '.join(conditions)} ORDER BY {ordering} LIMIT ?"
    return sql, parameters


def _by_relevance(query: TicketQuery) -> tuple[str, list[Any]]:
    """SQL and parameters, without the limit, for the best matches first (BM25), newer ones first where equal."""
    assert query.terms
    wanted, unwanted = search.positive(query.terms), search.negative(query.terms)
    parameters: list[Any] = [f"({wanted}) NOT ({unwanted})" if unwanted else wanted]
    filtered = ""
    if query.where != TicketFilter():
        conditions, values = _conditions(query.where, query.at)
        conditions.append("t.number = tickets_text.rowid")
        filtered = f"AND EXISTS (SELECT 1 FROM tickets t WHERE {' AND '.join(conditions)})"
        parameters += values
    after = ""
    if query.cursor:
        after = "WHERE (score, -n) > (?, ?)"
        score, number = open_cursor(query.fingerprint, query.cursor, int, int)
        parameters += [score, -number]
    sql = (
        f"SELECT {T_COLUMNS}, m.score FROM ("
        f"  SELECT * FROM ("
        f"    SELECT rowid AS n, CAST(rank * 1e9 AS INTEGER) AS score FROM tickets_text"
        f"    WHERE tickets_text MATCH ? {filtered} ORDER BY rowid DESC LIMIT {RANKED_MATCHES}"
        f"  ) {after} ORDER BY score, n DESC LIMIT ?"
        f") m JOIN tickets t ON t.number = m.n ORDER BY m.score, m.n DESC"
    )
    return sql, parameters


def _conditions(where: TicketFilter, at: Instant) -> tuple[list[str], list[Any]]:
    conditions = ["t.deleted_at IS NOT NULL" if where.deleted else "t.deleted_at IS NULL"]
    parameters: list[Any] = []
    columns = {
        "status": where.status,
        "severity": where.severity,
        "category": where.category,
        "assignee": where.assignee,
        "team": where.team,
        "requester": where.requester,
    }
    for column, values in columns.items():
        if values:
            conditions.append(f"t.{column} IN ({', '.join('?' * len(values))})")
            parameters += [str(value) for value in values]
    for table, column, values in (("ticket_tags", "tag", where.tag), ("ticket_watchers", "watcher", where.watcher)):
        if values:
            marks = ", ".join("?" * len(values))
            conditions.append(f"EXISTS (SELECT 1 FROM {table} g WHERE g.number = t.number AND g.{column} IN ({marks}))")
            parameters += values
    if where.due_before is not None:
        conditions.append("t.due_at < ?")
        parameters.append(where.due_before)
    if where.overdue:
        lacking = "t.first_responded_at IS NULL AND t.first_response_due_at < ?"
        conditions.append(f"t.status IN ('open', 'in_progress') AND (t.due_at < ? OR {lacking})")
        parameters += [at, at]
    return conditions, parameters
