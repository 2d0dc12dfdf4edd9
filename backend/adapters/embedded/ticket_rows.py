"""Tickets and what hangs on them as rows of SQLite, for the modules that read and write them."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from backend.domain.attachments import Attachment
from backend.domain.tickets import Comment, Event, Link, LinkKind, Participant, Position, Severity, Status, Ticket
from backend.errors import TicketNotFound

COLUMNS = ", ".join(Ticket._fields)
T_COLUMNS = ", ".join(f"t.{name}" for name in Ticket._fields)
ATTACHMENT_COLUMNS = (
    "id, ticket_id, key, name, content_type, size, sha256, uploader, created_at, uploader_id, comment_id, internal, via"
)
COMMENT_COLUMNS = ", ".join(Comment.__dataclass_fields__)
EVENT_COLUMNS = "id, ticket_id, at, actor, role, kind, changes, internal"

_SEVERITY = {severity.value: severity for severity in Severity}
_STATUS = {status.value: status for status in Status}
_FIELDS = len(Ticket._fields)
_JSON = ("tags", "watchers", "links", "participants")
_AT = {name: Ticket._fields.index(name) for name in ("severity", "status", *_JSON)}
_INSERT = f"INSERT INTO tickets ({COLUMNS}, merged) VALUES ({', '.join('?' * (_FIELDS + 1))})"
_CHANGING = tuple(name for name in Ticket._fields if name not in ("id", "number"))
_UPDATE = f"UPDATE tickets SET {', '.join(f'{name} = ?' for name in _CHANGING)}, merged = ? WHERE id = ?"


def _values(ticket: Ticket) -> list[Any]:
    """The columns after id and number, in order, and whether it was merged, which figures ask for."""
    values: list[Any] = list(ticket)
    values[_AT["severity"]] = ticket.severity.value
    values[_AT["status"]] = ticket.status.value
    for name in _JSON:
        found = getattr(ticket, name)
        values[_AT[name]] = json.dumps(found, ensure_ascii=False) if found else "[]"
    return [*values[2:], ticket.merged_into is not None]


def ticket_of(row: Sequence[Any]) -> Ticket:
    """A row of COLUMNS as a ticket."""
    values = list(row[:_FIELDS])
    values[_AT["severity"]] = _SEVERITY[values[_AT["severity"]]]
    values[_AT["status"]] = _STATUS[values[_AT["status"]]]
    for name in ("tags", "watchers"):
        text = values[_AT[name]]
        values[_AT[name]] = () if text == "[]" else tuple(json.loads(text))
    text = values[_AT["links"]]
    values[_AT["links"]] = () if text == "[]" else tuple(Link(LinkKind(kind), to) for kind, to in json.loads(text))
    text = values[_AT["participants"]]
    values[_AT["participants"]] = () if text == "[]" else tuple(Participant(*pair) for pair in json.loads(text))
    return Ticket._make(values)


def load(connection: sqlite3.Connection, ticket_id: str) -> Ticket:
    """The ticket with this id. Raises TicketNotFound."""
    row = connection.execute(f"SELECT {COLUMNS} FROM tickets WHERE id = ?", (ticket_id,)).fetchone()
    if row is None:
        raise TicketNotFound(ticket_id)
    return ticket_of(row)


def must_exist(connection: sqlite3.Connection, ticket_id: str) -> None:
    """Raises TicketNotFound."""
    if connection.execute("SELECT 1 FROM tickets WHERE id = ?", (ticket_id,)).fetchone() is None:
        raise TicketNotFound(ticket_id)


def insert(connection: sqlite3.Connection, ticket: Ticket) -> Ticket:
    """Write a new ticket, which gets its number; one that has a number keeps it."""
    number = connection.execute(_INSERT, (ticket.id, ticket.number or None, *_values(ticket))).lastrowid
    assert number is not None
    _add_words(connection, number, ticket)
    return ticket._replace(number=number)


def replace(connection: sqlite3.Connection, before: Ticket, after: Ticket) -> None:
    """Write a ticket over the one that was read in this transaction."""
    connection.execute(_UPDATE, (*_values(after), after.id))
    words = [(one.tags, one.watchers, one.participants) for one in (before, after)]
    if words[0] != words[1]:
        for table in ("ticket_tags", "ticket_watchers", "ticket_participants"):
            connection.execute(f"DELETE FROM {table} WHERE number = ?", (after.number,))
        _add_words(connection, after.number, after)


def _add_words(connection: sqlite3.Connection, number: int, ticket: Ticket) -> None:
    if ticket.tags:
        connection.executemany("INSERT INTO ticket_tags VALUES (?, ?)", [(tag, number) for tag in ticket.tags])
    if ticket.watchers:
        watchers = [(watcher, number) for watcher in ticket.watchers]
        connection.executemany("INSERT INTO ticket_watchers VALUES (?, ?)", watchers)
    if ticket.participants:
        participants = [(address, number) for address in ticket.participating]
        connection.executemany("INSERT INTO ticket_participants VALUES (?, ?)", participants)


def add_attachments(connection: sqlite3.Connection, attachments: Sequence[Attachment]) -> None:
    """Write the records of files."""
    names = ATTACHMENT_COLUMNS.split(", ")
    sql = f"INSERT INTO attachments ({ATTACHMENT_COLUMNS}) VALUES ({', '.join('?' * len(names))})"
    connection.executemany(sql, [[getattr(one, name) for name in names] for one in attachments])


def add_comment(connection: sqlite3.Connection, comment: Comment) -> None:
    """Write a comment."""
    add_comments(connection, [comment])


def add_comments(connection: sqlite3.Connection, comments: Sequence[Comment]) -> None:
    """Write comments."""
    names = COMMENT_COLUMNS.split(", ")
    sql = f"INSERT INTO comments ({COMMENT_COLUMNS}) VALUES ({', '.join('?' * len(names))})"
    connection.executemany(sql, [[getattr(one, name) for name in names] for one in comments])


def comment_of(row: Sequence[Any]) -> Comment:
    """A row of COMMENT_COLUMNS as a comment."""
    values = dict(zip(COMMENT_COLUMNS.split(", "), row, strict=True))
    return Comment(**(values | {"internal": bool(values["internal"])}))


def attachment_of(row: Sequence[Any]) -> Attachment:
    """A row of ATTACHMENT_COLUMNS as a file's record."""
    values = dict(zip(ATTACHMENT_COLUMNS.split(", "), row, strict=True))
    return Attachment(**(values | {"internal": bool(values["internal"])}))


def add_event(connection: sqlite3.Connection, event: Event) -> None:
    """Write a line of history; its place in the order of commits is given here."""
    connection.execute(
        f"INSERT INTO events ({EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.id,
            event.ticket_id,
            event.at,
            event.actor,
            event.role,
            event.kind,
            json.dumps(event.changes, ensure_ascii=False) if event.changes else "{}",
            event.internal,
        ),
    )


def event_of(row: Sequence[Any]) -> Event:
    """A row of EVENT_COLUMNS as an event."""
    id_, ticket_id, at, actor, role, kind, changes, internal = row
    return Event(id_, ticket_id, at, actor, role, kind, _changes(changes), bool(internal))


def list_events(connection: sqlite3.Connection, after: int, limit: int) -> list[Position]:
    """The events past a position, with what decides who may see them now."""
    columns = ", ".join(f"e.{name}" for name in EVENT_COLUMNS.split(", "))
    rows = connection.execute(
        f"SELECT {columns}, e.seq, t.number, t.requester, t.team, t.deleted_at IS NOT NULL, "
        "t.participants FROM events e "
        "JOIN tickets t ON t.id = e.ticket_id WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
        (after, limit),
    )
    return [
        Position(row[8], event_of(row[:8]), row[9], row[10], row[11], bool(row[12]), *_participants(row[13]))
        for row in rows
    ]


def _participants(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Their addresses, each once, and the ids of their tickets."""
    pairs = [] if text == "[]" else json.loads(text)
    return tuple(dict.fromkeys(address for _, address in pairs)), tuple(ticket_id for ticket_id, _ in pairs)


def _changes(text: str) -> Mapping[str, tuple[Any, Any]]:
    return {field: (pair[0], pair[1]) for field, pair in json.loads(text).items()}
