"""A newer version brings the database up to date, and keeps a copy from before."""

import sqlite3

import pytest

from backend.adapters.embedded import doctor, sqlite
from backend.adapters.embedded.backup import Stores
from backend.errors import StorageRefused

NOW = sqlite.migrations()[-1][0]
NEXT = (99, "ALTER TABLE tickets ADD COLUMN brand_new TEXT")


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
    assert query(stores.data / "tickets.db", "SELECT brand_new FROM tickets LIMIT 1") == [(None,)]
    copy = stores.data / f"before-schema-{NOW + 1}.db"
    assert query(copy, "SELECT * FROM tickets") == before
    assert query(copy, "PRAGMA user_version") == [(NOW,)]


def test_step_that_fails_leaves_everything_as_it_was(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [*sqlite.migrations(), (99, f"{NEXT[1]}; SELECT * FROM nothing")]
    monkeypatch.setattr(sqlite, "migrations", lambda: steps)
    with pytest.raises(StorageRefused):
        open_database(stores)
    assert query(stores.data / "tickets.db", "PRAGMA user_version") == [(NOW,)]
    assert (
        "brand_new"
        not in query(stores.data / "tickets.db", "SELECT sql FROM sqlite_schema WHERE name = 'tickets'")[0][0]
    )


def test_older_version_refuses_it_and_the_doctor_never_upgrades(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = sqlite.migrations()
    with monkeypatch.context() as later:
        later.setattr(sqlite, "migrations", lambda: [*steps, NEXT])
        with pytest.raises(StorageRefused, match=f"schema {NOW}, not 99"):
            doctor.examine(stores, mend=True, checksums=False)
        assert query(stores.data / "tickets.db", "PRAGMA user_version") == [(NOW,)]
        open_database(stores)
    with pytest.raises(StorageRefused, match="schema 99"):
        open_database(stores)
