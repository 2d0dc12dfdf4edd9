"""Whole tickets out of SQLite and back in."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from backend.adapters.embedded import labels, ticket_rows
from backend.adapters.embedded.ticket_rows import ATTACHMENT_COLUMNS, COLUMNS, COMMENT_COLUMNS, EVENT_COLUMNS
from backend.domain.attachments import Attachment
from backend.domain.exports import Outcome, Whole, compared
from backend.domain.tickets import Comment, Ticket
from backend.errors import TicketNotFound


def dump(connection: sqlite3.Connection, after: int, limit: int) -> list[Whole]:
    """The tickets past a number, with everything, from one moment."""
    sql = f"SELECT {COLUMNS} FROM tickets WHERE number > ? ORDER BY number LIMIT ?"
    return _at_one_moment(connection, sql, (after, limit))


def dump_these(connection: sqlite3.Connection, ticket_ids: Sequence[str]) -> list[Whole]:
    """Tickets by their ids, with everything, from one moment."""
    marks = ", ".join("?" * len(ticket_ids))
    sql = f"SELECT {COLUMNS} FROM tickets WHERE id IN ({marks}) ORDER BY number"
    return _at_one_moment(connection, sql, tuple(ticket_ids))


def _at_one_moment(connection: sqlite3.Connection, sql: str, parameters: tuple[Any, ...]) -> list[Whole]:
    connection.execute("BEGIN")
    try:
        tickets = [ticket_rows.ticket_of(row) for row in connection.execute(sql, parameters).fetchall()]
        return _wholes(connection, tickets)
    finally:
        connection.execute("COMMIT")


def _wholes(connection: sqlite3.Connection, tickets: Sequence[Ticket]) -> list[Whole]:
    ids = [ticket.id for ticket in tickets]
    marks = ", ".join("?" * len(ids))

    def hanging(columns: str, table: str, order: str) -> list[Any]:
        sql = f"SELECT {columns} FROM {table} WHERE ticket_id IN ({marks}) ORDER BY {order}"
        return connection.execute(sql, ids).fetchall()

    comments: dict[str, list[Comment]] = {one: [] for one in ids}
    for row in hanging(COMMENT_COLUMNS, "comments", "id"):
        comment = ticket_rows.comment_of(row)
        comments[comment.ticket_id].append(comment)
    attachments: dict[str, list[Attachment]] = {one: [] for one in ids}
    for row in hanging(ATTACHMENT_COLUMNS, "attachments", "id"):
        attachment = ticket_rows.attachment_of(row)
        attachments[attachment.ticket_id].append(attachment)
    history: dict[str, list[Any]] = {one: [] for one in ids}
    for row in hanging(EVENT_COLUMNS, "events", "seq"):
        event = ticket_rows.event_of(row)
        history[event.ticket_id].append(event)
    return [
        Whole(ticket, tuple(comments[ticket.id]), tuple(attachments[ticket.id]), tuple(history[ticket.id]))
        for ticket in tickets
    ]


def load(connection: sqlite3.Connection, whole: Whole) -> Outcome:
    """Write a ticket with everything, in a savepoint of its own: what breaks a rule of the tables is OTHER."""
    connection.execute("SAVEPOINT whole")
    try:
        outcome = _load(connection, whole)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO whole")
        outcome = Outcome.OTHER
    connection.execute("RELEASE whole")
    return outcome


def _load(connection: sqlite3.Connection, whole: Whole) -> Outcome:
    stored = _find(connection, whole.ticket.id)
    outcome = compared(stored, whole)
    if outcome is Outcome.ADDED:
        ticket_rows.insert(connection, whole.ticket)
        labels.know(connection, whole.ticket)
    elif outcome is Outcome.FORWARDED:
        assert stored is not None
        ticket_rows.replace(connection, stored.ticket, whole.ticket)
        labels.know(connection, whole.ticket)
        for table in ("comments", "attachments"):
            connection.execute(f"DELETE FROM {table} WHERE ticket_id = ?", (whole.ticket.id,))
    else:
        return outcome
    ticket_rows.add_comments(connection, whole.comments)
    # A split may have brought a file here from a ticket whose later state comes after this one's.
    connection.executemany(
        "DELETE FROM attachments WHERE key = ? AND id = ? AND via IS NOT NULL AND ticket_id <> ?",
        [(file.key, file.id, file.ticket_id) for file in whole.attachments],
    )
    ticket_rows.add_attachments(connection, whole.attachments)
    for event in whole.history[len(stored.history) if stored else 0 :]:
        ticket_rows.add_event(connection, event)
    return outcome


def _find(connection: sqlite3.Connection, ticket_id: str) -> Whole | None:
    try:
        ticket = ticket_rows.load(connection, ticket_id)
    except TicketNotFound:
        return None
    return _wholes(connection, [ticket])[0]
