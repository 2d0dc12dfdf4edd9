"""Tickets with comments, attachments' records, history and receipts, in SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.adapters.embedded import (
    comment_lists,
    figures,
    probes,
    receipts,
    returns,
    ticket_lists,
    ticket_rows,
    transfers,
)
from backend.adapters.embedded.room import Room as DiskRoom
from backend.adapters.embedded.sqlite import Database
from backend.adapters.embedded.ticket_rows import ATTACHMENT_COLUMNS, COMMENT_COLUMNS, EVENT_COLUMNS
from backend.domain.attachments import Attachment
from backend.domain.exports import Outcome, Whole
from backend.domain.figures import Figures, Period
from backend.domain.once import Once, Receipt
from backend.domain.pages import CommentQuery, PageBudget, TicketQuery
from backend.domain.takes import Take, Taken
from backend.domain.tickets import Comment, Edit, EditMany, Event, FoundComment, Position, Ticket, Written
from backend.domain.values import Page, fingerprint, now, open_cursor, seal_cursor
from backend.errors import AttachmentNotFound, Unavailable


class SqliteTickets:
    """The port `Tickets` on the embedded database."""

    adapter = "sqlite"
    remote = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self.room = database.room

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
            self._database.room.check()
            numbered = ticket_rows.insert(connection, ticket)
            ticket_rows.add_attachments(connection, attachments)
            ticket_rows.add_event(connection, event)
            receipts.keep(connection, once, numbered)
            return numbered

        return await self._database.write(write)

    async def get(self, ticket_id: str) -> Ticket:
        """See ports.Tickets."""
        return self._database.read(lambda connection: ticket_rows.load(connection, ticket_id))

    async def update(self, ticket_id: str, edit: Edit, once: Once | None = None) -> Ticket:
        """See ports.Tickets. The edit runs inside the transaction, so nobody comes between."""

        def write(connection: sqlite3.Connection) -> Ticket:
            receipts.refuse_repeat(connection, once)
            after = _edit(connection, ticket_id, edit, self._database.room)
            receipts.keep(connection, once, after)
            return after

        return await self._database.write(write)

    async def update_many(
        self, ticket_ids: Sequence[str], edit: EditMany, once: Once | None = None
    ) -> Sequence[Ticket]:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Sequence[Ticket]:
            receipts.refuse_repeat(connection, once)
            stored = {ticket_id: ticket_rows.load(connection, ticket_id) for ticket_id in ticket_ids}
            for after, event in edit(list(stored.values())):
                ticket_rows.replace(connection, stored[after.id], after)
                ticket_rows.add_event(connection, event)
                stored[after.id] = after
            result = list(stored.values())
            receipts.keep(connection, once, result)
            return result

        return await self._database.write(write)

    async def take(self, ticket_ids: Sequence[str], decide: Take, once: Once | None = None) -> Taken:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Taken:
            receipts.refuse_repeat(connection, once)
            stored = {ticket_id: ticket_rows.load(connection, ticket_id) for ticket_id in ticket_ids}
            self._database.room.check()
            taken, spoken = returns.told(connection, decide(list(stored.values())))
            returns.move(connection, spoken)
            written = []
            for ticket, event in taken.written:
                before = stored.get(ticket.id)
                after = ticket if before else ticket_rows.insert(connection, ticket)
                if before:
                    ticket_rows.replace(connection, before, after)
                    stored[ticket.id] = after
                ticket_rows.add_event(connection, event)
                written.append((after, event))
            if taken.comment and taken.comment.id not in {ticket.id for ticket, _ in written}:
                ticket_rows.add_comment(connection, taken.comment)
            ticket_rows.add_attachments(connection, taken.attachments)
            done = replace(taken, written=written)
            receipts.keep(connection, once, done)
            return done

        return await self._database.write(write)

    async def list_tickets(self, query: TicketQuery) -> Page[Ticket]:
        """See ports.Tickets."""
        # A text index works for long between two steps that could be counted: what searches does so aside.
        if query.terms:
            return await self._database.read_aside(
                lambda connection: ticket_lists.list_tickets(connection, query), search=True
            )
        return await self._database.read_page(lambda connection: ticket_lists.list_tickets(connection, query))

    async def search_comments(self, query: CommentQuery) -> Page[FoundComment]:
        """See ports.Tickets."""
        return await self._database.read_aside(
            lambda connection: comment_lists.search_comments(connection, query), search=True
        )

    async def add_comment(
        self, comment: Comment, edit: Edit, once: Once | None = None, attachments: Sequence[Attachment] = ()
    ) -> Comment:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Comment:
            receipts.refuse_repeat(connection, once)
            self._database.room.check()
            _edit(connection, comment.ticket_id, edit, self._database.room)
            ticket_rows.add_comment(connection, comment)
            ticket_rows.add_attachments(connection, attachments)
            receipts.keep(connection, once, comment)
            return comment

        return await self._database.write(write)

    async def list_comments(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Comment]:
        """See ports.Tickets."""
        query = fingerprint("comments", ticket_id, internal)
        sql = (
            f"SELECT {COMMENT_COLUMNS} FROM comments "
            "WHERE ticket_id = ? AND id > ? AND (? OR NOT internal) ORDER BY id LIMIT ?"
        )
        body = COMMENT_COLUMNS.split(", ").index("body")
        page = await self._list_under(sql, query, ticket_id, internal, limit, cursor, body)
        items = [ticket_rows.comment_of(row) for row in page.items]
        return Page(items, page.next_cursor)

    async def add_attachments(
        self, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Sequence[Attachment]:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Sequence[Attachment]:
            receipts.refuse_repeat(connection, once)
            ticket_rows.must_exist(connection, attachments[0].ticket_id)
            self._database.room.check()
            ticket_rows.add_attachments(connection, attachments)
            ticket_rows.add_event(connection, event)
            receipts.keep(connection, once, attachments)
            return attachments

        return await self._database.write(write)

    async def list_attachments(self, ticket_id: str) -> Sequence[Attachment]:
        """See ports.Tickets."""
        rows = await self._database.read_page(
            lambda connection: connection.execute(
                f"SELECT {ATTACHMENT_COLUMNS} FROM attachments WHERE ticket_id = ? ORDER BY id", (ticket_id,)
            ).fetchall()
        )
        return [ticket_rows.attachment_of(row) for row in rows]

    async def get_attachment(self, ticket_id: str, attachment_id: str) -> Attachment:
        """See ports.Tickets."""
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {ATTACHMENT_COLUMNS} FROM attachments WHERE ticket_id = ? AND id = ?",
                (ticket_id, attachment_id),
            ).fetchone()
        )
        if row is None:
            raise AttachmentNotFound(attachment_id)
        return ticket_rows.attachment_of(row)

    async def remove_attachment(self, ticket_id: str, attachment_id: str, event: Event) -> None:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "DELETE FROM attachments WHERE ticket_id = ? AND id = ?", (ticket_id, attachment_id)
            )
            if done.rowcount == 0:
                raise AttachmentNotFound(attachment_id)
            ticket_rows.add_event(connection, event)

        await self._database.write(write)

    async def list_history(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Event]:
        """See ports.Tickets."""
        query = fingerprint("history", ticket_id, internal)
        sql = (
            f"SELECT seq, {EVENT_COLUMNS} FROM events "
            "WHERE ticket_id = ? AND seq > ? AND (? OR NOT internal) ORDER BY seq LIMIT ?"
        )
        changes = 1 + EVENT_COLUMNS.split(", ").index("changes")
        page = await self._list_under(sql, query, ticket_id, internal, limit, cursor, changes, first=0)
        items = [ticket_rows.event_of(row[1:]) for row in page.items]
        return Page(items, page.next_cursor)

    async def list_events(self, after: int, limit: int) -> Sequence[Position]:
        """See ports.Tickets."""
        return await self._database.read_page(lambda connection: ticket_rows.list_events(connection, after, limit))

    async def last_position(self) -> int:
        """See ports.Tickets."""
        newest: int = self._database.read(
            lambda connection: connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        )
        return newest

    async def settled_position(self) -> int:
        """See ports.Tickets."""
        return await self.last_position()

    async def wait_for_events(self, after: int, seconds: float) -> None:
        """See ports.Tickets."""
        await self._database.wait_until(
            lambda connection: bool(
                connection.execute("SELECT EXISTS (SELECT 1 FROM events WHERE seq > ?)", (after,)).fetchone()[0]
            ),
            seconds,
        )

    async def find_receipt(self, key: str) -> Receipt | None:
        """See ports.Tickets."""
        return self._database.read(lambda connection: receipts.find(connection, key))

    async def dump_receipts(self, limit: int, cursor: str | None) -> Page[Receipt]:
        """See ports.Tickets."""
        return await self._database.read_aside(lambda connection: receipts.dump(connection, limit, cursor))

    async def load_receipts(self, found: Sequence[Receipt]) -> Sequence[Outcome]:
        """See ports.Tickets."""
        return await self._database.write(lambda connection: receipts.load(connection, found))

    async def add_many(self, written: Sequence[Written], once: Once | None = None) -> Sequence[Ticket]:
        """See ports.Tickets."""

        def write(connection: sqlite3.Connection) -> Sequence[Ticket]:
            receipts.refuse_repeat(connection, once)
            self._database.room.check()
            added = []
            for ticket, event in written:
                added.append(ticket_rows.insert(connection, ticket))
                ticket_rows.add_event(connection, event)
            receipts.keep(connection, once, added)
            return added

        return await self._database.write(write)

    async def figures(self, period: Period) -> Figures:
        """See ports.Tickets."""
        return await self._database.read_aside(lambda connection: figures.of(connection, period))

    async def dump(self, after: int, limit: int) -> Sequence[Whole]:
        """See ports.Tickets."""
        return await self._database.read_aside(lambda connection: transfers.dump(connection, after, limit))

    async def dump_these(self, ticket_ids: Sequence[str]) -> Sequence[Whole]:
        """See ports.Tickets."""
        return await self._database.read_aside(lambda connection: transfers.dump_these(connection, ticket_ids))

    async def load(self, wholes: Sequence[Whole]) -> Sequence[Outcome]:
        """See ports.Tickets."""
        return await self._database.write(lambda connection: [transfers.load(connection, whole) for whole in wholes])

    async def _list_under(
        self,
        sql: str,
        query: str,
        ticket_id: str,
        internal: bool,
        limit: int,
        cursor: str | None,
        longest: int,
        first: Any = "",
    ) -> Page[Any]:
        """A page of what hangs on one ticket: rows that start with what they are ordered by, `longest` the place of
        their text."""
        (after,) = open_cursor(query, cursor, type(first)) if cursor else (first,)

        def read(connection: sqlite3.Connection) -> tuple[list[Any], bool]:
            rows, budget = list[Any](), PageBudget()
            for row in connection.execute(sql, (ticket_id, after, internal, limit + 1)):
                if len(rows) == limit or not budget.takes(row[longest]):
                    return rows, True
                rows.append(row)
            return rows, False

        rows, more = await self._database.read_page(read)
        return Page(rows, seal_cursor(query, [rows[-1][0]]) if more else None)


def _edit(connection: sqlite3.Connection, ticket_id: str, edit: Edit, room: DiskRoom) -> Ticket:
    """Apply an edit to the stored ticket. Raises NoSpace where it adds text of any length."""
    before = ticket_rows.load(connection, ticket_id)
    written = edit(before)
    if written is None:
        return before
    after, event = written
    if _length(after) > _length(before):
        room.check()
    ticket_rows.replace(connection, before, after)
    ticket_rows.add_event(connection, event)
    return after


def _length(ticket: Ticket) -> int:
    return len(ticket.description) + len(ticket.resolution or "")
