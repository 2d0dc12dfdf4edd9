"""Memories as Markdown files, listed and searched through an index in SQLite that any start can make anew."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.adapters.embedded import probes, search
from backend.adapters.embedded.files import flush_folder
from backend.adapters.embedded.sqlite import Database
from backend.domain.memories import Memory, from_markdown, to_markdown
from backend.domain.search import Term
from backend.domain.values import Page, fingerprint, instant, open_cursor, seal_cursor
from backend.errors import MemoryNotFound, StorageRefused, Unavailable

logger = logging.getLogger("backend.memories")

_COLUMNS = "id, title, body, category, tags, ticket_id, ticket_number, author, created_at, updated_at"
_M_COLUMNS = ", ".join(f"m.{name.strip()}" for name in _COLUMNS.split(","))
_LARGEST_FILE = 1024 * 1024


class MarkdownMemories:
    """The port `Memories`: the file `<id>.md` is the truth, the index follows it."""

    adapter = "markdown"
    remote = False

    def __init__(self, directory: Path, database: Database) -> None:
        self._directory = directory
        self._database = database

    def open(self) -> None:
        """Make the directory, and bring the index up to date with files that were changed by hand."""
        probes.must_be_writable(self._directory, "MEMORY_DIR")
        try:
            reindex(self._directory, self._database)
        except (OSError, sqlite3.Error) as problem:
            raise StorageRefused(f"MEMORY_DIR: {self._directory} can't be indexed: {problem}.") from problem

    def close(self) -> None:
        """Nothing is held."""

    async def probe(self) -> None:
        """Write a file and remove it."""
        await probes.write_file(self._directory)

    async def put(self, memory: Memory) -> None:
        """See ports.Memories."""
        path = self._path(memory.id)
        try:
            await asyncio.to_thread(_write, path, to_markdown(memory))
            stamp = _stamp(path)
        except OSError as problem:
            raise Unavailable(f"The memory can't be kept: {problem.strerror or problem}.") from problem
        await self._database.write(lambda connection: _index(connection, memory, stamp))

    async def get(self, memory_id: str) -> Memory:
        """See ports.Memories."""
        try:
            return await asyncio.to_thread(_read, self._path(memory_id))
        except (FileNotFoundError, IsADirectoryError):
            raise MemoryNotFound(memory_id) from None
        except (OSError, ValueError) as problem:
            raise Unavailable(f"The memory can't be read: {problem}.") from problem

    async def list_memories(self, terms: tuple[Term, ...] | None, limit: int, cursor: str | None) -> Page[Memory]:
        """See ports.Memories."""
        if terms is not None and not any(not term.excluded for term in terms):
            return Page([])
        query = fingerprint("memories", terms)
        sql, parameters = _newest(query, cursor) if terms is None else _best(query, terms, cursor)
        rows = await self._database.read_aside(
            lambda connection: connection.execute(sql, (*parameters, limit + 1)).fetchall()
        )
        memories = [_memory(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(memories)
        last = rows[limit - 1]
        return Page(memories, seal_cursor(query, [last[10], last[0]]))

    async def delete(self, memory_id: str) -> None:
        """See ports.Memories."""
        try:
            await asyncio.to_thread(self._path(memory_id).unlink, missing_ok=True)
        except OSError as problem:
            raise Unavailable(f"The memory can't be removed: {problem.strerror or problem}.") from problem
        await self._database.write(lambda connection: _forget(connection, memory_id))

    def _path(self, memory_id: str) -> Path:
        return self._directory / f"{memory_id}.md"


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, durably."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        beside.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def _read(path: Path) -> Memory:
    """The memory in a file. Its name is its id, whatever the front matter says."""
    status = path.stat()
    if status.st_size > _LARGEST_FILE:
        raise ValueError(f"{path.name} is larger than {_LARGEST_FILE} bytes")
    text = path.read_bytes().decode("utf-8", "replace")
    return from_markdown(text, path.stem, instant(status.st_mtime_ns // 1000))


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def _index(connection: sqlite3.Connection, memory: Memory, stamp: str) -> None:
    _forget(connection, memory.id)
    values = (
        memory.id,
        memory.title,
        memory.body,
        memory.category,
        json.dumps(memory.tags, ensure_ascii=False),
        memory.ticket_id,
        memory.ticket_number,
        memory.author,
        memory.created_at,
        memory.updated_at,
        stamp,
    )
    connection.execute(f"INSERT INTO memories ({_COLUMNS}, stamp) VALUES (?{', ?' * 10})", values)


def _forget(connection: sqlite3.Connection, memory_id: str) -> None:
    connection.execute("DELETE FROM memories WHERE id = ?", (memory_id,))


def reindex(directory: Path, database: Database, *, write: bool = True) -> tuple[list[str], list[str]]:
    """Read the files whose size or time is not the one in the index; forget those that are gone.

    The names of both. Without `write` it only looks.
    """
    found = {path.stem: path for path in directory.glob("*.md") if not path.name.startswith(".")}
    known = dict(database.read(lambda connection: connection.execute("SELECT id, stamp FROM memories").fetchall()))
    changed = [name for name, path in found.items() if known.get(name) != _stamp(path)]
    gone = [name for name in known if name not in found]
    if write and (changed or gone):
        with database.exclusive() as connection:
            for name in changed:
                _index_file(connection, found[name])
            for name in gone:
                _forget(connection, name)
        logger.info("memories read anew: %d changed, %d gone", len(changed), len(gone))
    return changed, gone


def _index_file(connection: sqlite3.Connection, path: Path) -> None:
    try:
        _index(connection, _read(path), _stamp(path))
    except (OSError, ValueError) as problem:
        logger.warning("a memory was left out of the index: %s", problem)


def _memory(row: Sequence[Any]) -> Memory:
    return Memory(row[0], row[1], row[2], row[3], tuple(json.loads(row[4])), *row[5:10])


def _newest(query: str, cursor: str | None) -> tuple[str, list[Any]]:
    position = open_cursor(query, cursor, str, str) if cursor else []
    after = "WHERE (m.created_at, m.id) < (?, ?)" if cursor else ""
    sql = f"SELECT {_M_COLUMNS}, m.created_at FROM memories m {after} ORDER BY m.created_at DESC, m.id DESC LIMIT ?"
    return sql, position


def _best(query: str, terms: tuple[Term, ...], cursor: str | None) -> tuple[str, list[Any]]:
    position = open_cursor(query, cursor, float, str) if cursor else []
    after = "WHERE (score, id) > (?, ?)" if cursor else ""
    unwanted = search.negative(terms)
    match = f"({search.positive(terms)})" + (f" NOT ({unwanted})" if unwanted else "")
    sql = (
        f"SELECT * FROM (SELECT {_M_COLUMNS}, bm25(memories_text, 4.0, 1.0) AS score FROM memories_text "
        f"CROSS JOIN memories m ON m.rowid = memories_text.rowid WHERE memories_text MATCH ?) {after} "
        f"ORDER BY score, id LIMIT ?"
    )
    return sql, [match, *position]
