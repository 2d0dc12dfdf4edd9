"""A newer version brings the database up to date, and keeps a copy from before."""

import sqlite3
from pathlib import Path

import pytest

from backend.adapters.embedded import doctor, sqlite, text_indexes
from backend.adapters.embedded.backup import Stores
from backend.errors import StorageRefused

NEWEST = sqlite.migrations()[-1][0]
NEXT = (99, "ALTER TABLE tickets ADD COLUMN of_the_next_version TEXT")


def query(path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next version, which has one step more."""
    steps = [*sqlite.migrations(), NEXT]
    monkeypatch.setattr(sqlite, "migrations", lambda: steps)


def open_database(stores: Stores) -> None:
    database = sqlite.Database(stores.data)
    database.open()
    database.close()


def test_copy_from_before_the_step_is_kept(stores: Stores, newer: None) -> None:
    before = query(stores.data / "tickets.db", "SELECT * FROM tickets")
    open_database(stores)
    assert query(stores.data / "tickets.db", "PRAGMA user_version") == [(99,)]
    assert query(stores.data / "tickets.db", "SELECT of_the_next_version FROM tickets LIMIT 1") == [(None,)]
    copy = stores.data / f"before-schema-{NEXT[0]}.db"
    assert query(copy, "SELECT * FROM tickets") == before
    assert query(copy, "PRAGMA user_version") == [(NEWEST,)]


def test_step_that_fails_leaves_everything_as_it_was(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [*sqlite.migrations(), (99, f"{NEXT[1]}; SELECT * FROM nothing")]
    monkeypatch.setattr(sqlite, "migrations", lambda: steps)
    with pytest.raises(StorageRefused):
        open_database(stores)
    assert query(stores.data / "tickets.db", "PRAGMA user_version") == [(NEWEST,)]
    assert (
        "of_the_next_version"
        not in query(stores.data / "tickets.db", "SELECT sql FROM sqlite_schema WHERE name = 'tickets'")[0][0]
    )


def test_older_version_refuses_it_and_the_doctor_never_upgrades(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = sqlite.migrations()
    with monkeypatch.context() as later:
        later.setattr(sqlite, "migrations", lambda: [*steps, NEXT])
        with pytest.raises(StorageRefused, match=f"schema {NEWEST}, not 99"):
            doctor.examine(stores, mend=True, checksums=False)
        assert query(stores.data / "tickets.db", "PRAGMA user_version") == [(NEWEST,)]
        open_database(stores)
    with pytest.raises(StorageRefused, match="schema 99"):
        open_database(stores)


@pytest.fixture
def older(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """The same tickets in an installation of the version before, as far as the schema goes."""
    if len(sqlite.migrations()) == 1:
        pytest.skip("there has been only one schema so far")
    older = Stores(tmp_path / "older", stores.uploads, stores.memories)
    steps = sqlite.migrations()[:-1]
    with monkeypatch.context() as before:
        before.setattr(sqlite, "migrations", lambda: steps)
        open_database(older)
    connection = sqlite3.connect(older.data / "tickets.db", isolation_level=None)
    connection.create_function("fold_for_search", 1, text_indexes.fold_for_search, deterministic=True)
    connection.execute("ATTACH ? AS filled", (str(stores.data / "tickets.db"),))
    for table in ("tickets", "ticket_tags", "comments", "attachments", "events"):
        columns = ", ".join(sorted(columns_of(connection, "main", table) & columns_of(connection, "filled", table)))
        connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM filled.{table}")
    connection.close()
    return older


def columns_of(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}


def test_newest_step_keeps_every_ticket(older: Stores) -> None:
    before = query(older.data / "tickets.db", "SELECT id, number, title, description, version FROM tickets ORDER BY 1")
    open_database(older)
    assert before
    assert query(older.data / "tickets.db", "PRAGMA user_version") == [(NEWEST,)]
    assert before == query(
        older.data / "tickets.db", "SELECT id, number, title, description, version FROM tickets ORDER BY 1"
    )
    assert query(older.data / f"before-schema-{NEWEST}.db", "PRAGMA integrity_check") == [("ok",)]
    assert doctor.examine(older, mend=True, checksums=True) is not None
    assert doctor.examine(older, mend=False, checksums=True) == []
