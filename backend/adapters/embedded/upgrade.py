"""What steps of the schema do beside their SQL, in the same transaction. They name the columns of their time."""

import json
import sqlite3
from collections.abc import Callable, Mapping

from backend.domain.addresses import normal
from backend.domain.attachments import Attachment
from backend.domain.text import folded
from backend.domain.tickets import Comment, Event
from backend.domain.visibility import corrected


def prepare(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that statements and steps of the schema call."""
    connection.create_function("folded", 1, lambda text: None if text is None else folded(text), deterministic=True)
    connection.create_function(
        "normal_address", 1, lambda text: None if text is None else normal(text), deterministic=True
    )


_FILE = "id, key, name, content_type, size, sha256, uploader, created_at"


def make_what_came_with_notes_internal(connection: sqlite3.Connection) -> None:
    """Files that were sent with an internal note, and the lines of history that name them."""
    found = connection.execute(
        "SELECT DISTINCT ticket_id FROM events WHERE kind = 'attached' "
        "AND ticket_id IN (SELECT ticket_id FROM comments WHERE internal)"
    ).fetchall()
    for (ticket_id,) in found:
        _correct(connection, ticket_id)


def _correct(connection: sqlite3.Connection, ticket_id: str) -> None:
    def hanging(columns: str, table: str, order: str) -> list[tuple[str, ...]]:
        sql = f"SELECT {columns} FROM {table} WHERE ticket_id = ? ORDER BY {order}"
        return connection.execute(sql, (ticket_id,)).fetchall()

    comments = [
        Comment(id_, ticket_id, author, "", bool(internal), at)
        for id_, author, internal, at in hanging("id, author, internal, created_at", "comments", "id")
    ]
    files = [
        Attachment(id_, ticket_id, key, name, kind, int(size), sha256, uploader, at)
        for id_, key, name, kind, size, sha256, uploader, at in hanging(_FILE, "attachments", "id")
    ]
    lines = {
        seq: Event(id_, ticket_id, at, actor, role, kind, json.loads(changes), bool(internal))
        for seq, id_, at, actor, role, kind, changes, internal in hanging(
            "seq, id, at, actor, role, kind, changes, internal", "events", "seq"
        )
    }
    right = corrected(comments, files, list(lines.values()))
    connection.executemany(
        "UPDATE attachments SET comment_id = ?, internal = 1 WHERE ticket_id = ? AND id = ?",
        [(file.comment_id, ticket_id, file.id) for file in right.attachments if file.internal],
    )
    internal = [seq for (seq, line), after in zip(lines.items(), right.history, strict=True) if after is not line]
    connection.executemany("UPDATE events SET internal = 1 WHERE seq = ?", [(seq,) for seq in internal])


BESIDE: Mapping[str, Callable[[sqlite3.Connection], None]] = {"visibility": make_what_came_with_notes_internal}
"""By the name of the step's file, without its number."""
