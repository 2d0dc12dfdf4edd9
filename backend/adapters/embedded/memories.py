"""Memories as Markdown files, listed and searched through an index in SQLite that any start can make anew."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from backend.adapters.embedded import memory_lists, private, probes, receipts
from backend.adapters.embedded.files import flush_folder
from backend.adapters.embedded.memory_lists import COLUMNS
from backend.adapters.embedded.room import Room
from backend.adapters.embedded.sqlite import Database
from backend.domain.memories import Memory, MemoryEdit, MemoryQuery, from_markdown, is_memory_id, to_markdown
from backend.domain.once import Once
from backend.domain.values import Page, instant
from backend.errors import MemoryNotFound, StorageRefused, Unavailable

logger = logging.getLogger("backend.memories")

_LARGEST_FILE = 1024 * 1024
_ASK_AGAIN_SECONDS = 0.005
_NAMED_LINKS = 20


class MarkdownMemories:
    """The port `Memories`: the file `<id>.md` is the truth, the index follows it."""

    adapter = "markdown"
    remote = False

    def __init__(self, directory: Path, database: Database, reserve: int = 0) -> None:
        self._directory = directory
        self.room = Room(directory, "MEMORY_DIR", reserve)
        self._database = database

    def open(self) -> None:
        """Make the directory, and bring the index up to date with files that were changed by hand."""
        probes.must_be_writable(self._directory, "MEMORY_DIR")
        try:
            reindex(self._directory, self._database)
        except (OSError, sqlite3.Error) as problem:
            raise StorageRefused(f"MEMORY_DIR: {self._directory} can't be indexed: {problem}.") from problem

    def close(self) -> None:
        """Close the index's database, also where the tickets are elsewhere."""
        self._database.close()

    async def probe(self) -> None:
        """Write a file and remove it."""
        await probes.write_file(self._directory)

    async def put(self, memory: Memory, once: Once | None = None) -> Memory:
        """See ports.Memories."""
        async with self._turn():
            await self._refuse_repeat(once)
            return await self._keep(memory, once)

    async def get(self, memory_id: str) -> Memory:
        """See ports.Memories."""
        try:
            return await asyncio.to_thread(read, self._path(memory_id))
        except (FileNotFoundError, private.LinkRefused):
            raise MemoryNotFound(memory_id) from None
        except (OSError, ValueError) as problem:
            raise Unavailable(f"The memory can't be read: {problem}.") from problem

    async def update(self, memory_id: str, edit: MemoryEdit, once: Once | None = None) -> Memory:
        """See ports.Memories."""
        async with self._turn():
            await self._refuse_repeat(once)
            before = await self.get(memory_id)
            after = edit(before)
            if after is None and once is None:
                return before
            return await self._keep(after or before, once)

    async def list_memories(self, query: MemoryQuery) -> Page[Memory]:
        """See ports.Memories."""
        return await self._database.read_aside(
            lambda connection: memory_lists.list_memories(connection, query), search=bool(query.terms)
        )

    async def delete(self, memory_id: str, check: Callable[[Memory], None] | None = None) -> None:
        """See ports.Memories."""
        async with self._turn():
            if check:
                check(await self.get(memory_id))
            try:
                await asyncio.to_thread(_remove, self._path(memory_id))
            except OSError as problem:
                raise Unavailable(f"The memory can't be removed: {problem.strerror or problem}.") from problem
            await self._database.write(lambda connection: _forget(connection, memory_id))

    async def _refuse_repeat(self, once: Once | None) -> None:
        """Raises AlreadyDone. Asked within the turn, so that no other request with this key is on its way."""
        if once:
            await self._database.read_aside(lambda connection: receipts.refuse_repeat(connection, once))

    async def _keep(self, memory: Memory, once: Once | None) -> Memory:
        """The file first, then index and receipt in one commit."""
        path = self._path(memory.id)
        self.room.check()
        try:
            stamp = await asyncio.to_thread(_write, path, to_markdown(memory))
        except OSError as problem:
            raise Unavailable(f"The memory can't be kept: {problem.strerror or problem}.") from problem

        def index(connection: sqlite3.Connection) -> None:
            _index(connection, memory, stamp)
            receipts.keep(connection, once, memory)

        await self._database.write(index)
        return memory

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Be the only one, in any process, who writes memories. Asked again and again rather than waited for in a
        thread, which would keep the lock if the request were given up meanwhile."""
        try:
            handle = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise Unavailable(f"The memories can't be locked: {problem.strerror or problem}.") from problem
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
            yield
        finally:
            os.close(handle)

    def _path(self, memory_id: str) -> Path:
        return self._directory / f"{memory_id}.md"


def _write(path: Path, text: str) -> str:
    """Replace the file in one step, durably; its stamp."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with private.open_text(beside) as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        beside.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
    return _stamp(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    flush_folder(path.parent)


def read(path: Path) -> Memory:
    """The memory in a file. Its name is its id, whatever the front matter says. Raises LinkRefused, ValueError."""
    with private.open_file(path) as handle:
        status = os.fstat(handle.fileno())
        if status.st_size > _LARGEST_FILE:
            raise ValueError(f"{path.name} is larger than {_LARGEST_FILE} bytes")
        text = handle.read(_LARGEST_FILE).decode("utf-8", "replace")
    return from_markdown(text, path.stem, instant(status.st_mtime_ns // 1000))


def _stamp(path: Path) -> str:
    status = path.lstat()
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
        memory.team,
        memory.helpful,
        memory.unhelpful,
        stamp,
    )
    connection.execute(f"INSERT INTO memories ({COLUMNS}, stamp) VALUES (?{', ?' * 13})", values)


def _forget(connection: sqlite3.Connection, memory_id: str) -> None:
    connection.execute("DELETE FROM memories WHERE id = ?", (memory_id,))


def reindex(directory: Path, database: Database, *, write: bool = True) -> tuple[list[str], list[str]]:
    """Read the files whose size or time is not the one in the index; forget those that are gone.

    The names of both. Without `write` it only looks.
    """
    named = [path for path in directory.glob("*.md") if is_memory_id(path.stem)]
    found = {path.stem: path for path in named if private.is_ours(path)}
    if links := [path.name for path in named if path.stem not in found]:
        logger.warning("links and what is no file are no memories: %s", ", ".join(sorted(links)[:_NAMED_LINKS]))
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
        _index(connection, read(path), _stamp(path))
    except (OSError, ValueError) as problem:
        logger.warning("a memory was left out of the index: %s", problem)
