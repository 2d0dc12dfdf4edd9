"""The least that can be called the same work: FastAPI, one model, one SQLite table. The backend is measured against it.

`/null/{id}` answers a model without any storage; the rest keeps one durable row a ticket (WAL, synchronous=FULL)
and searches with FTS5. No token, no history, no ETag, no log line.
"""

import os
import sqlite3
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()
_connection: sqlite3.Connection | None = None


class TicketIn(BaseModel):
    """The body that the backend takes."""

    title: str = Field(min_length=1, max_length=200)
    description: str = Field(min_length=1, max_length=20_000)
    severity: Literal["low", "medium", "high", "critical"]
    category: str = Field(min_length=1, max_length=100)
    requester: str | None = None
    tags: list[str] = []


class Ticket(TicketIn):
    """One row."""

    id: int


class Tickets(BaseModel):
    """A page."""

    items: list[Ticket]


def database() -> sqlite3.Connection:
    """This worker's connection."""
    global _connection
    if _connection is None:
        _connection = sqlite3.connect(os.environ["MINIMAL_DB"], isolation_level=None, timeout=30)
        _connection.execute("PRAGMA journal_mode = WAL")
        _connection.execute("PRAGMA synchronous = FULL")
        _connection.execute(
            "CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY, title TEXT, description TEXT, "
            "severity TEXT, category TEXT, requester TEXT)"
        )
        _connection.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS found "
            "USING fts5 (title, description, content='tickets', content_rowid='id')"
        )
        _connection.execute(
            "CREATE TRIGGER IF NOT EXISTS fill AFTER INSERT ON tickets BEGIN "
            "INSERT INTO found (rowid, title, description) VALUES (new.id, new.title, new.description); END"
        )
    return _connection


def _ticket(row: tuple) -> Ticket:
    return Ticket(id=row[0], title=row[1], description=row[2], severity=row[3], category=row[4], requester=row[5])


@app.get("/null/{ticket_id}")
async def null(ticket_id: int) -> Ticket:
    """A model in, a model out."""
    return Ticket(id=ticket_id, title="t", description="d" * 200, severity="low", category="c")


@app.post("/tickets", status_code=201)
async def create(ticket: TicketIn) -> Ticket:
    """One durable row; the search index is left out, as the issue's measure has it."""
    values = (ticket.title, ticket.description, ticket.severity, ticket.category, ticket.requester)
    row = database().execute(
        "INSERT INTO tickets (title, description, severity, category, requester) VALUES (?, ?, ?, ?, ?)", values
    )
    return Ticket(id=row.lastrowid, **ticket.model_dump())


@app.get("/tickets")
async def newest(limit: int = 50) -> Tickets:
    """The newest."""
    rows = database().execute("SELECT * FROM tickets ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return Tickets(items=[_ticket(row) for row in rows])


@app.get("/search")
async def search(q: str, limit: int = 50) -> Tickets:
    """The best matches."""
    rows = database().execute(
        "SELECT t.* FROM found f JOIN tickets t ON t.id = f.rowid WHERE found MATCH ? ORDER BY rank LIMIT ?",
        ('"' + q.replace('"', "") + '"', limit),
    )
    return Tickets(items=[_ticket(row) for row in rows.fetchall()])
