"""Merges of an older version: their requesters take part once the schema is this version's."""

import json
import sqlite3
from pathlib import Path

from backend.adapters.embedded.sqlite import SCHEMA_DIR, Database
from backend.adapters.embedded.upgrade import prepare
from backend.domain.values import now


def test_requesters_of_merged_tickets_take_part(tmp_path: Path) -> None:
    """Emma's was merged into Bob's, and that one into Lin's, which is linked to Eve's."""
    path = tmp_path / "tickets.db"
    steps = sorted(SCHEMA_DIR.glob("*.sql"))
    before = next(n for n, step in enumerate(steps) if step.stem.endswith("participants"))
    connection = sqlite3.connect(path)
    prepare(connection)
    for step in steps[:before]:
        connection.executescript(step.read_text("utf-8"))
    links = {
        "emma": [["merged_into", "bob"]],
        "bob": [["merged_from", "emma"], ["related", "eve"], ["merged_into", "lin"]],
        "lin": [["related", "eve"], ["merged_from", "bob"]],
        "eve": [["related", "lin"], ["related", "bob"]],
    }
    columns = (
        "id, title, description, severity, category, status, requester, tags, links, created_at, updated_at, version"
    )
    for name, tied in links.items():
        values = (name, "T", "D", "low", "C", "closed", f"{name}@example.org", "[]", json.dumps(tied), now(), now(), 1)
        connection.execute(f"INSERT INTO tickets ({columns}) VALUES ({', '.join('?' * 12)})", values)
    connection.execute(f"PRAGMA user_version = {before}")
    connection.execute("PRAGMA application_id = 1953063787")
    connection.commit()
    connection.close()
    database = Database(tmp_path)
    database.open()
    found = database.read(
        lambda one: {
            row[0]: ({tuple(pair) for pair in json.loads(row[1])}, row[2])
            for row in one.execute("SELECT id, participants, merged FROM tickets")
        }
    )
    emma, bob = ("emma", "emma@example.org"), ("bob", "bob@example.org")
    assert found == {"emma": (set(), 1), "bob": ({emma}, 1), "lin": ({emma, bob}, 0), "eve": (set(), 0)}
    listed = database.read(
        lambda one: one.execute(
            "SELECT participant, t.id FROM ticket_participants p JOIN tickets t USING (number)"
        ).fetchall()
    )
    assert sorted(listed) == [("bob@example.org", "lin"), ("emma@example.org", "bob"), ("emma@example.org", "lin")]
    database.close()
