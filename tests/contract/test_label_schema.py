"""The step of the embedded database's schema that makes labels which fold alike one."""

import json
import sqlite3
from pathlib import Path

from backend.adapters.embedded import sqlite
from backend.adapters.embedded.sqlite import SCHEMA_DIR, Database, closing


def step() -> int:
    (found,) = SCHEMA_DIR.glob("*_labels.sql")
    return int(found.name[:4])


def add(connection: sqlite3.Connection, number: int, category: str, team: str | None, *tags: str) -> None:
    values = (number, f"{number:026d}", category, team, json.dumps(tags, ensure_ascii=False))
    connection.execute(
        "INSERT INTO tickets (number, id, title, description, severity, category, status, requester, team, tags, "
        "created_at, updated_at, version) VALUES (?, ?, 'T', 'D', 'low', ?, 'open', 'g', ?, ?, 't', 't', 3)",
        values,
    )
    connection.executemany("INSERT INTO ticket_tags VALUES (?, ?)", [(tag, number) for tag in tags])


def test_old_tickets_get_one_spelling(tmp_path: Path, monkeypatch) -> None:
    older = [one for one in sqlite.migrations() if one[0] < step()]
    with monkeypatch.context() as before:
        before.setattr(sqlite, "migrations", lambda: older)
        Database(tmp_path).open()
    with closing(sqlite3.connect(tmp_path / "tickets.db", isolation_level=None)) as connection:
        record = "INSERT INTO catalogue VALUES ('category', ?, NULL, ?, 1, 't', 't', ?)"
        connection.execute(record, ("0" * 26, json.dumps({"name": "ACCESS"}), "access"))
        add(connection, 1, "access", "Netz", "VPN", "Fax")
        add(connection, 2, "Access", "NETZ", "vpn", "ＶＰＮ", "b", "external:a", "external:A")
        add(connection, 3, "Café", None, "b", "fax", "Vpn")
        add(connection, 4, "Cafe\u0301", "other")
        connection.execute("UPDATE tickets SET deleted_at = 't' WHERE number = 4")
    Database(tmp_path).open()
    with closing(sqlite3.connect(tmp_path / "tickets.db")) as connection:
        rows = connection.execute(
            "SELECT category, team, tags, version, updated_at FROM tickets ORDER BY number"
        ).fetchall()
        tagged = connection.execute("SELECT tag, number FROM ticket_tags ORDER BY number, tag").fetchall()
        labels = connection.execute("SELECT kind, fold, name, others FROM labels ORDER BY 1, 2").fetchall()
    assert [(category, team, json.loads(tags)) for category, team, tags, *_ in rows] == [
        ("ACCESS", "Netz", ["VPN", "Fax"]),
        ("ACCESS", "Netz", ["VPN", "b", "external:a", "external:A"]),
        ("Café", None, ["b", "Fax", "VPN"]),
        ("Café", "other", []),
    ]
    assert {(version, updated) for *_, version, updated in rows} == {(3, "t")}
    assert tagged == [
        *[("Fax", 1), ("VPN", 1)],
        *[("VPN", 2), ("b", 2), ("external:A", 2), ("external:a", 2)],
        *[("Fax", 3), ("VPN", 3), ("b", 3)],
    ]
    assert labels == [
        ("category", "access", "ACCESS", "[]"),
        ("category", "café", "Café", "[]"),
        ("tag", "b", "b", "[]"),
        ("tag", "fax", "Fax", "[]"),
        ("tag", "vpn", "VPN", "[]"),
        ("team", "netz", "Netz", "[]"),
        ("team", "other", "other", "[]"),
    ]
