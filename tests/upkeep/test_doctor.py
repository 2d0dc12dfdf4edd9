"""The doctor finds what is wrong, and mends only what is safe."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from backend.adapters.embedded import doctor
from backend.adapters.embedded.backup import Stores
from backend.errors import StorageRefused


def found(stores: Stores, *, mend: bool = False) -> list[doctor.Finding]:
    return doctor.examine(stores, mend=mend, checksums=True)


def attachment(stores: Stores) -> Path:
    return next(stores.uploads.glob("??/*"))


def test_healthy_installation_has_no_finding(stores: Stores) -> None:
    assert found(stores) == []


def test_missing_bytes_are_told_and_never_mended(stores: Stores) -> None:
    attachment(stores).unlink()
    assert "missing" in found(stores, mend=True)[0].what
    assert not found(stores, mend=True)[0].mended


@pytest.mark.parametrize(("content", "words"), [(b"short", "bytes instead of"), (None, "other content")])
def test_changed_bytes_are_told(stores: Stores, content: bytes | None, words: str) -> None:
    path = attachment(stores)
    path.write_bytes(path.read_bytes()[::-1] if content is None else content)
    (finding,) = found(stores)
    assert words in finding.what


def test_orphans_go_once_they_are_old(stores: Stores) -> None:
    orphan = attachment(stores).with_name("0" * 32)
    orphan.write_bytes(b"left by a crash")
    assert found(stores, mend=True) == [], "an upload in progress looks the same"
    os.utime(orphan, (time.time() - 7200,) * 2)
    assert [finding.mended for finding in found(stores)] == [False]
    assert [finding.mended for finding in found(stores, mend=True)] == [True]
    assert not orphan.exists()
    assert found(stores) == []


def test_search_index_is_made_anew(stores: Stores) -> None:
    connection = sqlite3.connect(stores.data / "tickets.db", isolation_level=None)
    connection.execute("DROP TRIGGER tickets_text_change")
    connection.execute("UPDATE tickets SET title = 'quite another' WHERE number = 1")
    connection.close()
    assert [finding.mended for finding in found(stores)] == [False, False], "the trigger, and what it was for"
    assert [finding.mended for finding in found(stores, mend=True)] == [True, True]
    assert found(stores) == []
    connection = sqlite3.connect(stores.data / "tickets.db")
    hits = connection.execute("SELECT rowid FROM tickets_text WHERE tickets_text MATCH 'another'").fetchall()
    connection.close()
    assert hits == [(1,)]


def change(stores: Stores, sql: str) -> None:
    connection = sqlite3.connect(stores.data / "tickets.db", isolation_level=None)
    connection.execute(sql)
    connection.close()


def test_what_holds_no_data_is_made_anew_where_it_is_missing(stores: Stores) -> None:
    change(stores, "DROP INDEX tickets_created")
    (finding,) = found(stores)
    assert (finding.what, finding.mended) == ("the index tickets_created is missing", False)
    assert [finding.mended for finding in found(stores, mend=True)] == [True]
    assert found(stores) == []


@pytest.mark.parametrize("sql", ["ALTER TABLE comments ADD COLUMN extra TEXT", "DROP TABLE receipts"])
def test_table_that_is_another_is_told_and_never_mended(stores: Stores, sql: str) -> None:
    change(stores, sql)
    findings = found(stores, mend=True)
    assert any("is not as this version makes it; restore a backup" in finding.what for finding in findings)
    assert not all(finding.mended for finding in findings)


def test_memories_edited_by_hand_are_read_anew(stores: Stores) -> None:
    (memory,) = stores.memories.glob("*.md")
    memory.write_text(memory.read_text() + "\nMore.\n")
    (stores.memories / "by-hand.md").write_text("# By hand\n")
    assert len(found(stores)) == 2
    assert all(finding.mended for finding in found(stores, mend=True))
    assert found(stores) == []


def test_other_schema_is_refused(stores: Stores) -> None:
    connection = sqlite3.connect(stores.data / "tickets.db", isolation_level=None)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageRefused, match="schema 99"):
        found(stores)
