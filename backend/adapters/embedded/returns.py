"""What goes back to a ticket that is split off: its comments and files, which the indexes know by other names."""

import json
import sqlite3

from backend.adapters.embedded import ticket_rows
from backend.adapters.embedded.ticket_rows import ATTACHMENT_COLUMNS, COMMENT_COLUMNS
from backend.domain.takes import Return, Spoken, Taken, with_moves_told


def told(connection: sqlite3.Connection, taken: Taken) -> tuple[Taken, dict[Return, Spoken]]:
    """What was taken with lines of history that say what moves, and what that is."""
    spoken = {one: _spoken(connection, one) for one in taken.returns}
    return with_moves_told(taken, spoken), spoken


def _spoken(connection: sqlite3.Connection, one: Return) -> Spoken:
    def rows(columns: str, table: str) -> list[tuple[object, ...]]:
        sent = "ticket_id = ? AND via IN (SELECT value FROM json_each(?))"
        sql = f"SELECT {columns} FROM {table} WHERE {sent} ORDER BY id"
        return connection.execute(sql, (one.source, json.dumps(sorted(one.via)))).fetchall()

    return Spoken(
        [ticket_rows.comment_of(row) for row in rows(COMMENT_COLUMNS, "comments")],
        [ticket_rows.attachment_of(row) for row in rows(ATTACHMENT_COLUMNS, "attachments")],
    )


def move(connection: sqlite3.Connection, spoken: dict[Return, Spoken]) -> None:
    """Hang it on the tickets that it goes to."""
    for one, items in spoken.items():
        comments = [(one.comment_at_target(comment), comment.ticket_id) for comment in items.comments]
        files = [(one.file_at_target(file), file.ticket_id) for file in items.attachments]
        for table, pairs in (("comments", comments), ("attachments", files)):
            connection.executemany(
                f"UPDATE {table} SET ticket_id = ?, via = ? WHERE ticket_id = ? AND id = ?",
                [(after.ticket_id, after.via, source, after.id) for after, source in pairs],
            )
