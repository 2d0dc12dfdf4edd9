"""A database of before files knew their comment: what came with internal notes becomes internal, and nothing else."""

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from backend.adapters.embedded import sqlite
from backend.domain.exports import Whole, to_line
from backend.domain.tickets import Comment, Event
from backend.domain.upgrades import from_any_line
from backend.domain.values import Instant, instant, new_id
from tests.builders import a_ticket, an_attachment
from tests.upkeep.installations import ports_on, stores_in

BEFORE = int(next(path.name[:4] for path in sqlite.SCHEMA_DIR.glob("*_visibility.sql"))) - 1
ZERO = 1_780_000_000_000_000


def at(seconds: float) -> Instant:
    return instant(ZERO + int(seconds * 1_000_000))


def whole() -> Whole:
    """A ticket as the page and programs wrote it then: files first, each act in commits of its own."""
    ticket = a_ticket(number=1, created_at=at(0), updated_at=at(900), version=7)
    comments, files, history = [], [], [Event(new_id(), ticket.id, at(0), "Grace", "requester", "created", {})]

    def act(seconds: float, actor: str, *names: str, note: bool | None = None) -> None:
        for name in names:
            files.append(replace(an_attachment(ticket, name), uploader=actor, created_at=at(seconds - 0.2)))
        if names:
            attached = {"attachments": (None, list(names))}
            history.append(Event(new_id(), ticket.id, at(seconds), actor, "agent", "attached", attached))
        if note is not None:
            said = Comment(new_id(), ticket.id, actor, "B", note, at(seconds + 0.05))
            comments.append(said)
            changes = {"comment": (None, said.id)}
            history.append(Event(new_id(), ticket.id, said.created_at, actor, "agent", "commented", changes, note))

    act(100, "Ada", "secret.txt", "image.png", note=True)
    act(200, "Ada", "image.png", note=False)
    act(300, "Lin", "alone.txt")
    act(400, "Ada", note=True)
    act(404, "Ada", "later.txt")
    gone = {"attachments": (["secret.txt"], None)}
    history.append(Event(new_id(), ticket.id, at(500), "Ada", "agent", "detached", gone))
    return Whole(ticket, tuple(comments), tuple(files[1:]), tuple(history))


def of_that_time(path: Path, monkeypatch: pytest.MonkeyPatch, given: Whole) -> None:
    """A database of the schema before, with the ticket in it."""
    steps = sqlite.migrations()[:BEFORE]
    with monkeypatch.context() as then:
        then.setattr(sqlite, "migrations", lambda: steps)
        database = sqlite.Database(path)
        database.open()
        database.close()
    connection = sqlite3.connect(path / "tickets.db")

    def insert(table: str, values: dict) -> None:
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        values = {
            name: json.dumps(v) if isinstance(v, tuple | dict) else v for name, v in values.items() if name in known
        }
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))

    insert("tickets", given.ticket._asdict())
    for table, items in (("comments", given.comments), ("attachments", given.attachments), ("events", given.history)):
        for item in items:
            insert(table, {name: getattr(item, name) for name in item.__dataclass_fields__})
    connection.commit()
    connection.close()


def check(found: Whole, given: Whole) -> None:
    assert [(one.name, one.internal, one.comment_id) for one in found.attachments] == [
        ("image.png", True, given.comments[0].id),
        ("image.png", False, None),
        ("alone.txt", False, None),
        ("later.txt", False, None),
    ]
    public = [one for one in found.history if not one.internal]
    kinds = ["created", "attached", "commented", "attached", "attached"]
    assert [one.kind for one in public] == kinds
    assert "secret" not in str(public)
    assert [one.id for one in found.history] == [one.id for one in given.history]
    assert found.ticket == given.ticket._replace(public_version=7, public_updated_at=given.ticket.updated_at)
    assert found.comments == given.comments


def test_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores, given = stores_in(tmp_path), whole()
    of_that_time(stores.data, monkeypatch, given)
    ports = ports_on(stores)
    (found,) = asyncio.run(ports.tickets.dump(0, 10))
    ports.close()
    check(found, given)


def test_export() -> None:
    given = whole()
    line = json.loads(to_line(given))
    del line["ticket"]["public_version"], line["ticket"]["public_updated_at"]
    for file in line["attachments"]:
        del file["uploader_id"], file["comment_id"], file["internal"]
    old = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
    check(from_any_line("tickets", old), given)
    today = replace(given, ticket=given.ticket._replace(public_updated_at=at(5)))
    assert from_any_line("tickets", to_line(today)) == today, "a line of today is left as it is"
