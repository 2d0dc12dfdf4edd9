"""Tickets with comments, attachments' records, history and receipts, in SQLite."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from backend.adapters.embedded import probes, receipts, search
from backend.adapters.embedded.sqlite import Database
from backend.domain.attachments import Attachment
from backend.domain.once import Once, Receipt
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.tickets import Comment, Event, Severity, Status, Ticket
from backend.domain.values import Page, fingerprint, now, open_cursor, seal_cursor
from backend.errors import AttachmentNotFound, TicketNotFound, Unavailable, VersionConflict

_COLUMNS = (
    "id, number, title, description, severity, category, status, requester, assignee, team, tags, "
    "resolution, created_at, updated_at, resolved_at, version, deleted_at"
)
_T_COLUMNS = ", ".join(f"t.{name.strip()}" for name in _COLUMNS.split(","))
_INSERT = f"INSERT INTO tickets ({_COLUMNS}) VALUES (?, NULL{', ?' * 15})"
_UPDATE = (
    "UPDATE tickets SET title = ?, description = ?, severity = ?, category = ?, status = ?, requester = ?, "
    "assignee = ?, team = ?, tags = ?, resolution = ?, created_at = ?, updated_at = ?, resolved_at = ?, "
    "version = ?, deleted_at = ? WHERE id = ? AND version = ?"
)
_SEVERITY = {severity.value: severity for severity in Severity}
_STATUS = {status.value: status for status in Status}

# Relevance is worked out for the newest matches only, so that a word found everywhere stays cheap.
RANKED_MATCHES = 1_000


class SqliteTickets:
    """The port `Tickets` on the embedded database."""

    adapter = "sqlite"
    remote = False

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> None:
        """Check the database and bring it up to date."""
        self._database.open()

    def close(self) -> None:
        """Finish what was taken."""
        self._database.close()

    async def probe(self) -> None:
        """Write a row and a file beside it, and read a ticket."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE probe SET at = ? WHERE id = 1", (now(),))

        def read(connection: sqlite3.Connection) -> None:
            connection.execute("SELECT * FROM tickets ORDER BY number DESC LIMIT 1").fetchone()

        await probes.write_file(self._database.directory)
        if not self._database.path.exists():
            raise Unavailable(f"The database {self._database.path} is gone.")
        await self._database.write(write)
        await self._database.read_aside(read)

    async def add(
        self, ticket: Ticket, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Ticket:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Ticket:
            receipts.refuse_repeat(connection, once)
            number = connection.execute(_INSERT, (ticket.id, *_values(ticket))).lastrowid
            assert number is not None
            numbered = ticket._replace(number=number)
            _add_tags(connection, number, ticket.tags)
            _add_attachments(connection, attachments)
            _add_event(connection, event)
            receipts.keep(connection, once, numbered)
            return numbered

        return await self._database.write(write)

    async def get(self, ticket_id: str) -> Ticket:
        """See ports.Tickets."""
        return self._database.read(lambda connection: _load(connection, ticket_id))

    async def save(self, ticket: Ticket, expected_version: int, event: Event, once: Once | None = None) -> Ticket:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Ticket:
            receipts.refuse_repeat(connection, once)
            done = connection.execute(_UPDATE, (*_values(ticket), ticket.id, expected_version))
            if done.rowcount == 0:
                _load(connection, ticket.id)
                raise VersionConflict(f"ticket {ticket.id} is no longer at version {expected_version}")
            connection.execute("DELETE FROM ticket_tags WHERE number = ?", (ticket.number,))
            _add_tags(connection, ticket.number, ticket.tags)
            _add_event(connection, event)
            receipts.keep(connection, once, ticket)
            return ticket

        return await self._database.write(write)

    async def list_tickets(self, query: TicketQuery) -> Page[Ticket]:
        """See ports.Tickets."""
        return await self._database.read_page(lambda connection: _list(connection, query))

    async def add_comment(self, comment: Comment, event: Event, once: Once | None = None) -> Comment:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Comment:
            receipts.refuse_repeat(connection, once)
            _must_exist(connection, comment.ticket_id)
            connection.execute(
                "INSERT INTO comments (id, ticket_id, author, body, internal, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    comment.id,
                    comment.ticket_id,
                    comment.author,
                    comment.body,
                    comment.internal,
                    comment.created_at,
                ),
            )
            _add_event(connection, event)
            receipts.keep(connection, once, comment)
            return comment

        return await self._database.write(write)

    async def list_comments(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Comment]:
        """See ports.Tickets."""
        query = fingerprint("comments", ticket_id, internal)
        sql = (
            "SELECT id, ticket_id, author, body, internal, created_at FROM comments "
            "WHERE ticket_id = ? AND id > ? AND (? OR NOT internal) ORDER BY id LIMIT ?"
        )
        page = await self._list_under(sql, query, ticket_id, internal, limit, cursor)
        items = [Comment(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in page.items]
        return Page(items, page.next_cursor)

    async def add_attachments(
        self, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Sequence[Attachment]:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Sequence[Attachment]:
            receipts.refuse_repeat(connection, once)
            _must_exist(connection, attachments[0].ticket_id)
            _add_attachments(connection, attachments)
            _add_event(connection, event)
            receipts.keep(connection, once, attachments)
            return attachments

        return await self._database.write(write)

    async def list_attachments(self, ticket_id: str) -> Sequence[Attachment]:
        """See ports.Tickets."""
        rows = await self._database.read_aside(
            lambda connection: connection.execute(
                f"SELECT {_ATTACHMENT_COLUMNS} FROM attachments WHERE ticket_id = ? ORDER BY id", (ticket_id,)
            ).fetchall()
        )
        return [Attachment(*row) for row in rows]

    async def get_attachment(self, ticket_id: str, attachment_id: str) -> Attachment:
        """See ports.Tickets."""
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_ATTACHMENT_COLUMNS} FROM attachments WHERE ticket_id = ? AND id = ?",
                (ticket_id, attachment_id),
            ).fetchone()
        )
        if row is None:
            raise AttachmentNotFound(attachment_id)
        return Attachment(*row)

    async def remove_attachment(self, ticket_id: str, attachment_id: str, event: Event) -> None:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "DELETE FROM attachments WHERE ticket_id = ? AND id = ?", (ticket_id, attachment_id)
            )
            if done.rowcount == 0:
                raise AttachmentNotFound(attachment_id)
            _add_event(connection, event)

        await self._database.write(write)

    async def list_history(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Event]:
        """See ports.Tickets."""
        query = fingerprint("history", ticket_id, internal)
        sql = (
            "SELECT id, ticket_id, at, actor, role, kind, changes, internal FROM events "
            "WHERE ticket_id = ? AND id > ? AND (? OR NOT internal) ORDER BY id LIMIT ?"
        )
        page = await self._list_under(sql, query, ticket_id, internal, limit, cursor)
        items = [
            Event(row[0], row[1], row[2], row[3], row[4], row[5], _changes(row[6]), bool(row[7])) for row in page.items
        ]
        return Page(items, page.next_cursor)

    async def find_receipt(self, key: str) -> Receipt | None:
        """See ports.Tickets."""
        return self._database.read(lambda connection: receipts.find(connection, key))

    async def _list_under(
        self, sql: str, query: str, ticket_id: str, internal: bool, limit: int, cursor: str | None
    ) -> Page[Any]:
        """A page of what hangs on one ticket: rows that start with their id, which is also their order."""
        (after,) = open_cursor(query, cursor, str) if cursor else ("",)
        rows = await self._database.read_page(
            lambda connection: connection.execute(sql, (ticket_id, after, internal, limit + 1)).fetchall()
        )
        more = len(rows) > limit
        return Page(rows[:limit], seal_cursor(query, [rows[limit - 1][0]]) if more else None)


_ATTACHMENT_COLUMNS = "id, ticket_id, key, name, content_type, size, sha256, uploader, created_at"


def _values(ticket: Ticket) -> tuple[Any, ...]:
    """The columns after id and number, in order."""
    return (
        ticket.title,
        ticket.description,
        ticket.severity.value,
        ticket.category,
        ticket.status.value,
        ticket.requester,
        ticket.assignee,
        ticket.team,
        json.dumps(ticket.tags, ensure_ascii=False) if ticket.tags else "[]",
        ticket.resolution,
        ticket.created_at,
        ticket.updated_at,
        ticket.resolved_at,
        ticket.version,
        ticket.deleted_at,
    )


def _ticket(row: Sequence[Any]) -> Ticket:
    """A row of _COLUMNS as a ticket."""
    values = list(row[:17])
    values[4] = _SEVERITY[values[4]]
    values[6] = _STATUS[values[6]]
    values[10] = () if values[10] == "[]" else tuple(json.loads(values[10]))
    return Ticket._make(values)


def _load(connection: sqlite3.Connection, ticket_id: str) -> Ticket:
    row = connection.execute(f"SELECT {_COLUMNS} FROM tickets WHERE id = ?", (ticket_id,)).fetchone()
    if row is None:
        raise TicketNotFound(ticket_id)
    return _ticket(row)


def _must_exist(connection: sqlite3.Connection, ticket_id: str) -> None:
    if connection.execute("SELECT 1 FROM tickets WHERE id = ?", (ticket_id,)).fetchone() is None:
        raise TicketNotFound(ticket_id)


def _add_tags(connection: sqlite3.Connection, number: int, tags: Sequence[str]) -> None:
    if tags:
        connection.executemany("INSERT INTO ticket_tags VALUES (?, ?)", [(tag, number) for tag in tags])


def _add_attachments(connection: sqlite3.Connection, attachments: Sequence[Attachment]) -> None:
    for a in attachments:
        connection.execute(
            f"INSERT INTO attachments ({_ATTACHMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (a.id, a.ticket_id, a.key, a.name, a.content_type, a.size, a.sha256, a.uploader, a.created_at),
        )


def _add_event(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute(
        "INSERT INTO events (id, ticket_id, at, actor, role, kind, changes, internal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
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


def _changes(text: str) -> Mapping[str, tuple[Any, Any]]:
    return {field: (pair[0], pair[1]) for field, pair in json.loads(text).items()}


def _list(connection: sqlite3.Connection, query: TicketQuery) -> Page[Ticket]:
    """The page, read as one JSON value: a statement of many rows would ask for Python's lock once a row."""
    if query.terms == ():
        return Page([])  # a search for nothing but punctuation finds nothing
    ranked = query.sort is Sort.RELEVANCE
    sql, parameters = _by_relevance(query) if ranked else _by_field(query)
    (text,) = connection.execute(
        f"SELECT json_group_array(json_array({_COLUMNS}, score)) FROM ({sql})", (*parameters, query.limit + 1)
    ).fetchone()
    rows = json.loads(text)
    tickets = [_ticket(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return Page(tickets)
    last = tickets[-1]
    position = [rows[query.limit - 1][17], last.number] if ranked else _position(query, last)
    return Page(tickets, seal_cursor(query.fingerprint, position))


def _position(query: TicketQuery, last: Ticket) -> list[Any]:
    if query.sort.field == "number":
        return [last.number]
    return [getattr(last, query.sort.field), last.number]


def _by_field(query: TicketQuery) -> tuple[str, list[Any]]:
    """SQL and parameters, without the limit, for an order by a column."""
    joins, conditions, parameters = "tickets t", *_conditions(query.where)
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
    field, order = query.sort.field, "DESC" if query.sort.descending else "ASC"
    comparison = "<" if query.sort.descending else ">"
    keys = ["t.number"] if field == "number" else [f"t.{field}", "t.number"]
    if query.cursor:
        kinds = (int,) if field == "number" else (str, int)
        conditions.append(f"({', '.join(keys)}) {comparison} ({', '.join('?' * len(keys))})")
        parameters += open_cursor(query.fingerprint, query.cursor, *kinds)
    ordering = ", ".join(f"{key} {order}" for key in keys)
    sql = f"SELECT {_T_COLUMNS}, 0 AS score FROM {joins} WHERE {' AND '.join(conditions)} ORDER BY {ordering} LIMIT ?"
    return sql, parameters


def _by_relevance(query: TicketQuery) -> tuple[str, list[Any]]:
    """SQL and parameters, without the limit, for the best matches first (BM25), newer ones first where equal."""
    assert query.terms
    wanted, unwanted = search.positive(query.terms), search.negative(query.terms)
    parameters: list[Any] = [f"({wanted}) NOT ({unwanted})" if unwanted else wanted]
    filtered = ""
    if query.where != TicketFilter():
        conditions, values = _conditions(query.where)
        conditions.append("t.number = tickets_text.rowid")
        filtered = f"AND EXISTS (SELECT 1 FROM tickets t WHERE {' AND '.join(conditions)})"
        parameters += values
    after = ""
    if query.cursor:
        after = "WHERE (score, -n) > (?, ?)"
        score, number = open_cursor(query.fingerprint, query.cursor, int, int)
        parameters += [score, -number]
    sql = (
        f"SELECT {_T_COLUMNS}, m.score FROM ("
        f"  SELECT * FROM ("
        f"    SELECT rowid AS n, CAST(rank * 1e9 AS INTEGER) AS score FROM tickets_text"
        f"    WHERE tickets_text MATCH ? {filtered} ORDER BY rowid DESC LIMIT {RANKED_MATCHES}"
        f"  ) {after} ORDER BY score, n DESC LIMIT ?"
        f") m JOIN tickets t ON t.number = m.n ORDER BY m.score, m.n DESC"
    )
    return sql, parameters


def _conditions(where: TicketFilter) -> tuple[list[str], list[Any]]:
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
    if where.tag:
        marks = ", ".join("?" * len(where.tag))
        conditions.append(f"EXISTS (SELECT 1 FROM ticket_tags g WHERE g.number = t.number AND g.tag IN ({marks}))")
        parameters += where.tag
    return conditions, parameters
