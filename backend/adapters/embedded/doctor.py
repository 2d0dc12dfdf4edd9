"""Looks an installation over, while it runs: what is wrong, and what was mended."""

import hashlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.adapters.embedded import files
from backend.adapters.embedded.backup import Stores
from backend.adapters.embedded.memories import reindex
from backend.adapters.embedded.sqlite import Database, closing, migrations
from backend.adapters.embedded.upgrade import prepare

# An upload in progress has bytes and no record yet; what is older than this and has none never will.
_ORPHAN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, in a line."""

    what: str
    mended: bool = False


def examine(stores: Stores, *, mend: bool, checksums: bool) -> list[Finding]:
    """Everything that is wrong, the database first. Raises StorageRefused where it can't be opened at all."""
    database = Database(stores.data)
    database.open(migrate=False)
    try:
        return [
            *_damage(database),
            *_schema(database, mend),
            *_search_index(database, mend),
            *_attachments(database, stores.uploads, checksums),
            *_orphans(database, stores.uploads, mend),
            *_memories(database, stores.memories, mend),
        ]
    finally:
        database.close()


def _damage(database: Database) -> Iterator[Finding]:
    rows = database.read(lambda connection: connection.execute("PRAGMA integrity_check(10)").fetchall())
    if rows != [("ok",)]:
        for (line,) in rows:
            yield Finding(f"the database is damaged: {line}; restore a backup")
    broken = database.read(lambda connection: connection.execute("PRAGMA foreign_key_check").fetchall())
    if broken:
        yield Finding(f"{len(broken)} rows hang on tickets that are not there; restore a backup")


def _schema(database: Database, mend: bool) -> Iterator[Finding]:
    """Whether every table, index, trigger and view is as this version makes it; what holds no data can be made anew."""
    there = database.read(_objects)
    for name, (kind, definition) in _as_made().items():
        if there.get(name) == (kind, definition):
            continue
        if name in there or kind == "table":
            yield Finding(f"the {kind} {name} is not as this version makes it; restore a backup")
        else:
            yield Finding(f"the {kind} {name} is missing", mended=mend and _make(database, definition))


def _objects(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Name → kind and definition; of a table its columns, since SQLite rewrites the text of one that is altered."""
    rows = connection.execute(
        "SELECT s.name, type, CASE type WHEN 'table' THEN (SELECT group_concat(name) FROM pragma_table_info(s.name))"
        " ELSE sql END FROM sqlite_schema s WHERE sql IS NOT NULL"
    )
    return {name: (kind, definition) for name, kind, definition in rows}


def _as_made() -> dict[str, tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        prepare(connection)
        for _, sql in migrations():
            connection.executescript(sql)
        return _objects(connection)


def _make(database: Database, sql: str) -> bool:
    try:
        with database.exclusive() as connection:
            connection.execute(sql)
    except sqlite3.Error:  # a unique index over rows that no longer are, for one
        return False
    return True


def _search_index(database: Database, mend: bool) -> Iterator[Finding]:
    """Whether the indexes say what the tables say; they can always be made anew."""
    for index in database.read(_indexes_of_text):
        try:
            with database.exclusive() as connection:
                connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            if mend:
                with database.exclusive() as connection:
                    connection.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")
            yield Finding(f"the search index {index} does not match its table", mended=mend)


def _indexes_of_text(connection: sqlite3.Connection) -> list[str]:
    """Every full-text index over a table or view."""
    made = "CREATE VIRTUAL TABLE % USING fts5%content%"
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE sql LIKE ?", (made,))]


def _attachments(database: Database, uploads: Path, checksums: bool) -> Iterator[Finding]:
    rows = database.read(
        lambda connection: connection.execute("SELECT ticket_id, id, key, size, sha256 FROM attachments").fetchall()
    )
    for ticket_id, attachment_id, key, size, sha256 in rows:
        path = files.place(uploads, key)
        name = f"attachment {attachment_id} of ticket {ticket_id}"
        if not path.exists():
            yield Finding(f"{name}: its bytes are missing ({path}); restore a backup")
        elif path.stat().st_size != size:
            yield Finding(f"{name}: {path} has {path.stat().st_size} bytes instead of {size}; restore a backup")
        elif checksums and _sha256(path) != sha256:
            yield Finding(f"{name}: {path} has other content than was uploaded; restore a backup")


def _sha256(path: Path) -> str:
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def _orphans(database: Database, uploads: Path, mend: bool) -> Iterator[Finding]:
    """Bytes without a record: of uploads, imports and backups that a crash cut short."""
    keys = {
        row[0]
        for row in database.read(
            lambda connection: connection.execute(
                "SELECT key FROM attachments UNION ALL SELECT body ->> '$.key' FROM catalogue WHERE kind = 'import' "
                "AND body ->> '$.state' IN ('waiting', 'running') UNION ALL "
                "SELECT body ->> '$.refused_file.key' FROM catalogue WHERE kind = 'import'"
            ).fetchall()
        )
    }
    latest = time.time() - _ORPHAN_SECONDS
    found = [path for path in uploads.glob("??/*") if path.name not in keys]
    found += [*uploads.glob("incoming/*"), *uploads.glob(".backup-*"), *uploads.glob(".probe-*")]
    for path in found:
        if path.stat().st_mtime > latest:
            continue
        if mend:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield Finding(f"{path} belongs to no attachment and no import", mended=mend)


def _memories(database: Database, memories: Path, mend: bool) -> Iterator[Finding]:
    changed, gone = reindex(memories, database, write=mend)
    for name in changed:
        yield Finding(f"the memory {name} is not in the index as its file has it", mended=mend)
    for name in gone:
        yield Finding(f"the memory {name} is in the index, and its file is gone", mended=mend)
