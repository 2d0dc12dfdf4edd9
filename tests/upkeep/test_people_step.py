"""The schema's step to people by one normal form: what earlier versions kept under several spellings and by names."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.embedded import sqlite

STEP = next(number for number, sql in sqlite.migrations() if "normal_address" in sql)
EARLIER, LATER = "2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"


class Before:
    """A database of the version before the step."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        steps = [one for one in sqlite.migrations() if one[0] < STEP]
        with monkeypatch.context() as before:
            before.setattr(sqlite, "migrations", lambda: steps)
            self._open()
        self._connection = sqlite3.connect(directory / "tickets.db", isolation_level=None)

    def _open(self) -> None:
        database = sqlite.Database(self._directory)
        database.open()
        database.close()

    def add(self, table: str, **values: Any) -> None:
        """A row, with whatever else it must have."""
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
        )

    def token(self, name: str, email: str | None = None, role: str = "requester", at: str = EARLIER) -> str:
        token_id = f"01KBX5Z9N0QW3E4R5T6Y{self._count('tokens'):06}"
        self.add("tokens", id=token_id, hash=token_id, name=name, role=role, email=email, created_at=at)
        return f"token:{token_id}"

    def ticket(self, ticket_id: str, requester: str, assignee: str | None = None, watchers: Any = ()) -> None:
        texts = dict.fromkeys(("title", "description", "severity", "category", "status"), "x")
        times = {"created_at": LATER, "updated_at": LATER, "version": 1, "tags": "[]"}
        number = self._count("tickets") + 1
        people = {"requester": requester, "assignee": assignee, "watchers": json.dumps(watchers)}
        self.add("tickets", id=ticket_id, number=number, **texts, **times, **people)
        for watcher in watchers:
            self.add("ticket_watchers", watcher=watcher, number=number)

    def file(self, file_id: str, ticket_id: str, uploader: str, role: str) -> None:
        texts = dict.fromkeys(("name", "content_type", "sha256"), "x")
        self.add(
            "attachments",
            id=file_id,
            key=file_id,
            ticket_id=ticket_id,
            size=1,
            uploader=uploader,
            created_at=LATER,
            **texts,
        )
        texts = {"kind": "attached", "changes": "{}", "internal": 0}
        self.add("events", id=file_id, ticket_id=ticket_id, at=LATER, actor=uploader, role=role, **texts)

    def _count(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def upgraded(self, sql: str) -> list[Any]:
        """What the version after the step finds."""
        self._connection.close()
        self._open()
        self._connection = sqlite3.connect(self._directory / "tickets.db")
        found = self._connection.execute(sql).fetchall()
        self._connection.close()
        return found


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Before:
    return Before(tmp_path, monkeypatch)


def test_spellings_become_one(before: Before) -> None:
    before.token("Grace", " Grace@Example.org", "requester")
    before.ticket("a", "Grace@Example.ORG", "Ada <ADA@example.org>", ["Bob@x.org", "bob@x.org", "Cy@x.org"])
    before.ticket("b", "Walk-in at the desk", None, ["x"])
    found = before.upgraded("SELECT requester, assignee, watchers, version FROM tickets ORDER BY id")
    assert [(*row[:2], json.loads(row[2]), row[3]) for row in found] == [
        ("grace@example.org", "ada@example.org", ["bob@x.org", "cy@x.org"], 1),
        ("Walk-in at the desk", None, ["x"], 1),
    ]
    assert before.upgraded("SELECT watcher, number FROM ticket_watchers ORDER BY 2, 1") == [
        ("bob@x.org", 1),
        ("cy@x.org", 1),
        ("x", 2),
    ]
    assert before.upgraded("SELECT email FROM tokens") == [("grace@example.org",)]


def test_a_name_becomes_the_id_of_the_one_token_that_it_always_meant(before: Before) -> None:
    kiosk = before.token("Kiosk")
    before.token("Twin")
    before.token("Twin")
    before.token("New", at="2026-03-01T00:00:00.000000Z")  # after the ticket: there was another one of this name
    before.token("admin")
    before.token("grace@example.org")  # a name that is somebody's address
    names = ["Kiosk", "Twin", "New", "admin", "grace@example.org"]
    for name in names:
        before.ticket(name, name, name, [name])
    found = before.upgraded("SELECT requester, assignee, watchers FROM tickets ORDER BY number")
    assert [row[0] for row in found] == [kiosk, *names[1:]]
    assert [row[1] for row in found] == names, "who may only ask is nobody's assignee"
    assert [json.loads(row[2]) for row in found] == [[name] for name in names]


def test_agents_without_an_address_keep_their_tickets(before: Before) -> None:
    helper = before.token("Helper", role="agent")
    before.ticket("a", "x", "Helper", ["Helper", "y"])
    found = before.upgraded("SELECT assignee, watchers FROM tickets")
    assert [(one, json.loads(two)) for one, two in found] == [(helper, [helper, "y"])]


def test_files_get_who_sent_them_where_there_is_no_doubt(before: Before) -> None:
    before.token("Grace", "Grace@x.org")
    kiosk = before.token("Kiosk")
    before.token("Twin")
    before.token("Twin", "twin@x.org")
    before.token("Ada", "mallory@x.org")  # has the name of an agent who is gone
    before.ticket("t", "x")
    for uploader, role in (("Grace", "requester"), ("Kiosk", "requester"), ("Twin", "requester"), ("Ada", "agent")):
        before.file(uploader, "t", uploader, role)
    before.file("Gone", "t", "Gone", "requester")
    found = dict(before.upgraded("SELECT uploader, uploader_id FROM attachments"))
    assert found == {"Grace": "grace@x.org", "Kiosk": kiosk, "Twin": None, "Ada": None, "Gone": None}


def test_views_of_two_spellings_are_one_persons(before: Before) -> None:
    for number, (owner, name) in enumerate((("Ada@x.org", "Mine"), ("ada@x.org", "Mine"), ("ada@x.org", "Other"))):
        texts = {"owner": owner, "label": f"{owner}\n{name.lower()}", "body": json.dumps({"name": name, "query": {}})}
        times = {"version": 1, "created_at": LATER, "updated_at": LATER}
        before.add("catalogue", kind="view", id=f"01VIEW{number}", **texts, **times)
    found = before.upgraded("SELECT owner, label, json_extract(body, '$.name') FROM catalogue ORDER BY id")
    assert {row[0] for row in found} == {"ada@x.org"}
    assert [row[2] for row in found] == ["Mine 1VIEW0", "Mine", "Other"]
    assert [row[1] for row in found] == ["ada@x.org\nmine 1view0", "ada@x.org\nmine", "ada@x.org\nother"]
