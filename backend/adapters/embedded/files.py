"""Attachments as files: written beside, flushed, then moved to their place."""

import asyncio
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from backend.adapters.embedded import private, probes
from backend.adapters.embedded.room import Room
from backend.domain.attachments import StoredFile
from backend.domain.file_types import SNIFFED_BYTES
from backend.errors import NotFound, StorageRefused, TooLarge, Unavailable

_BLOCK = 256 * 1024
_INCOMING = "incoming"
_ABANDONED_SECONDS = 24 * 3600


class LocalFiles:
    """The port `Files` on a directory: `ab/abcdef…` for the key `abcdef…`."""

    adapter = "files"
    remote = False

    def __init__(self, directory: Path, reserve: int = 0) -> None:
        self._directory = directory
        self.room = Room(directory, "UPLOAD_DIR", reserve)
        self._incoming = directory / _INCOMING

    def open(self) -> None:
        """Make the directory, write to it, and clear away uploads that a crash cut short."""
        probes.must_be_writable(self._directory, "UPLOAD_DIR")
        self._incoming.mkdir(private.FOLDER, exist_ok=True)
        if self._incoming.is_symlink():
            raise StorageRefused(f"UPLOAD_DIR: {self._incoming} must be a directory, not a link.")
        for path in self._incoming.iterdir():
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is held."""

    async def probe(self) -> None:
        """Write a file as an upload is written, and remove it: a directory that took its place fails here too."""
        await probes.write_file(self._incoming, self._directory)

    async def put(self, chunks: AsyncIterator[bytes], limit: int, key: str | None = None) -> StoredFile:
        """See ports.Files."""
        key = key or secrets.token_hex(16)
        path = self._incoming / f"{key}.{secrets.token_hex(4)}"
        try:
            self.room.check()
            incoming = _Incoming(await asyncio.to_thread(private.open_new, path), self.room)
            try:
                await _copy(chunks, incoming, limit)
                await asyncio.to_thread(incoming.flush_to_disk)
            finally:
                incoming.handle.close()
            await asyncio.to_thread(_move, path, self._path(key))
        except OSError as problem:
            with suppress(OSError):  # what keeps it from being written may keep it from being removed
                path.unlink(missing_ok=True)
            raise Unavailable(f"The file can't be kept: {problem.strerror or problem}.") from problem
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return StoredFile(key, incoming.size, incoming.digest.hexdigest(), incoming.head)

    async def size(self, key: str) -> int | None:
        """See ports.Files."""
        try:
            status = await asyncio.to_thread(self._path(key).lstat)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Unavailable(f"The file can't be read: {problem.strerror or problem}.") from problem
        return status.st_size

    async def link(self, key: str, content_type: str, disposition: str) -> str | None:
        """See ports.Files."""
        return None

    async def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See ports.Files."""
        try:
            handle = await asyncio.to_thread(_open, self._path(key))
        except (FileNotFoundError, private.LinkRefused):
            raise NotFound("The bytes of this attachment are gone.") from None
        except OSError as problem:
            raise Unavailable(f"The file can't be read: {problem.strerror or problem}.") from problem
        with handle:
            handle.seek(start)
            while length > 0:
                block = await asyncio.to_thread(handle.read, min(_BLOCK, length))
                if not block:
                    raise Unavailable("The file is shorter than its record says.")
                length -= len(block)
                yield block

    async def delete(self, key: str) -> None:
        """See ports.Files."""
        try:
            await asyncio.to_thread(self._remove, key)
        except OSError as problem:
            raise Unavailable(f"The file can't be removed: {problem.strerror or problem}.") from problem

    def _remove(self, key: str) -> None:
        path = self._path(key)
        with removals(self._directory), suppress(FileNotFoundError), private.folder_of(path) as folder:
            os.unlink(path.name, dir_fd=folder)

    def _path(self, key: str) -> Path:
        return place(self._directory, key)


def place(directory: Path, key: str) -> Path:
    """Where the bytes under this key lie."""
    return directory / key[:2] / key


@contextmanager
def removals(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Remove files in this block; or, with `wait`, make every removal wait for it, while a backup gathers."""
    handle = os.open(directory / ".removals", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


class _Incoming:
    """A file that is being written, with its size, digest and first bytes so far."""

    def __init__(self, handle: BinaryIO, room: Room) -> None:
        self.handle = handle
        self.room = room
        self.size = 0
        self.digest = hashlib.sha256()
        self.head = b""

    def write(self, block: bytes) -> None:
        self.room.check()  # many may be on their way
        self.handle.write(block)
        self.digest.update(block)
        self.size += len(block)
        if len(self.head) < SNIFFED_BYTES:
            self.head = (self.head + block)[:SNIFFED_BYTES]

    def flush_to_disk(self) -> None:
        self.handle.flush()
        os.fsync(self.handle.fileno())


async def _copy(chunks: AsyncIterator[bytes], incoming: _Incoming, limit: int) -> None:
    """Write in blocks, each on another thread, so that neither disk nor hash holds up the event loop."""
    waiting: list[bytes] = []
    size = held = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"A file may have at most {limit // (1024 * 1024)} MiB.")
        waiting.append(chunk)
        held += len(chunk)
        if held >= _BLOCK:
            await asyncio.to_thread(incoming.write, b"".join(waiting))
            waiting, held = [], 0
    if waiting:
        await asyncio.to_thread(incoming.write, b"".join(waiting))


def _open(path: Path) -> BinaryIO:
    """The file, to be read. A backup may have given it another name. Raises LinkRefused, OSError."""
    with private.folder_of(path) as folder:
        return private.open_file(Path(path.name), folder, linked=True)


def _move(source: Path, target: Path) -> None:
    """Give the file its name, durably: the folder's entry is flushed too."""
    made = not target.parent.exists()
    target.parent.mkdir(private.FOLDER, exist_ok=True)
    with private.folder_of(target) as folder:
        os.rename(source, target.name, dst_dir_fd=folder)
        os.fsync(folder)
    if made:
        flush_folder(target.parent.parent)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
