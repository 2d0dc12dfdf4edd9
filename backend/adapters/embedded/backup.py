"""Backups of the embedded stores: one consistent copy of database, attachments and memories, while requests go on.

A backup folder holds

    objects/ab/abcd…        every file once, under its SHA-256: what has not changed is never copied again
    snapshots/<time>.json   what belongs to one backup: path, SHA-256 and size of each file

The database is copied by SQLite's online backup in one step, which sees one moment and holds up no writer. Attachments
are written before their record and removed after it, so every record in the copy has its bytes, as long as removals
wait while what the copy names is gathered (`files.removals`). Memories are whole files that are replaced in one step.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from backend import __version__
from backend.adapters.embedded import files, private, sqlite
from backend.adapters.embedded.memories import reindex
from backend.domain.values import now
from backend.errors import BackupRefused

logger = logging.getLogger("backend.backup")

FORMAT = 1
DATABASE = "data/tickets.db"
_CHUNK = 1024 * 1024
_ASIDE = ".database-"
_INCOMING = ".incoming-"
_COPIERS = 2


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the state lies."""

    data: Path
    uploads: Path
    memories: Path

    def place(self, path: str) -> Path:
        """Where a file of a snapshot belongs: `data/…`, `uploads/…` or `memories/…`. Raises BackupRefused."""
        folder, _, rest = path.partition("/")
        parts = Path(rest).parts
        roots = {"data": self.data, "uploads": self.uploads, "memories": self.memories}
        if folder not in roots or not parts or ".." in parts or Path(rest).is_absolute():
            raise BackupRefused(f"The snapshot names a file outside the state directories: {path}")
        return roots[folder] / rest


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a snapshot."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup."""

    name: str
    created_at: str
    version: str
    schema: int
    tickets: int
    files: tuple[Entry, ...]
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> str:
        """As it lies in the folder, and first in a stream."""
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def from_json(text: str | bytes, source: object) -> "Snapshot":
        """Read it back. Raises BackupRefused where it is none, or of a newer format."""
        try:
            fields = json.loads(text)
            if fields["format"] > FORMAT:
                raise BackupRefused(f"{source} was written by a newer version ({fields['version']}); use that one.")
            fields["files"] = tuple(Entry(**entry) for entry in fields["files"])
            return Snapshot(**fields)
        except (ValueError, KeyError, TypeError) as problem:
            raise BackupRefused(f"{source} is no snapshot of Ticket Backend, or is damaged.") from problem


class Folder:
    """A backup folder. Methods raise BackupRefused with one line, and OSError's as such."""

    def __init__(self, path: Path, *, link: bool = False) -> None:
        self.path = path
        self._link = link  # for a folder that lives as long as the stores do: attachments never change
        self._objects = path / "objects"
        self._snapshots = path / "snapshots"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who writes to it; what a killed one left half done goes."""
        self._objects.mkdir(parents=True, exist_ok=True)
        self._snapshots.mkdir(exist_ok=True)
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self.path.glob(f"{_ASIDE}*"):
                shutil.rmtree(left)
            for left in self._objects.glob(f"{_INCOMING}*"):
                left.unlink()
            yield
        except BlockingIOError:
            raise BackupRefused(f"Another backup is writing to {self.path}; wait until it has finished.") from None
        finally:
            os.close(handle)

    def object(self, sha256: str) -> Path:
        """Where the bytes with this digest lie."""
        return self._objects / sha256[:2] / sha256

    def take(self, source: Path) -> Entry:
        """Move a file in, which lies in this folder already."""
        with source.open("rb") as reader:
            found = hashlib.file_digest(reader, "sha256").hexdigest()
        size = source.stat().st_size
        self._place(source, found, size)
        return Entry("", found, size)

    def _place(self, incoming: Path, sha256: str, size: int) -> None:
        """Give a file its name, unless the same bytes are there."""
        target = self.object(sha256)
        target.parent.mkdir(exist_ok=True)
        if not target.exists() or target.stat().st_size != size:
            incoming.rename(target)

    def keep(self, source: Path, sha256: str | None = None) -> Entry | None:
        """Copy a file in, unless it is there; None where the source is gone. Checks the digest if it is known."""
        if source.is_symlink():
            return None
        if sha256 is not None and self.object(sha256).exists():
            return Entry("", sha256, self.object(sha256).stat().st_size)
        incoming = self._objects / f"{_INCOMING}{os.urandom(8).hex()}"
        try:
            if sha256 is not None and self._link:
                self.object(sha256).parent.mkdir(exist_ok=True)
                os.link(source, self.object(sha256))
                return Entry("", sha256, source.stat().st_size)
            found, size = _copy(source, incoming)
            if sha256 is not None and found != sha256:
                raise BackupRefused(f"{source} is not what was uploaded: its SHA-256 is {found}, not {sha256}.")
            self._place(incoming, found, size)
            return Entry("", found, size)
        except FileNotFoundError:
            return None
        finally:
            incoming.unlink(missing_ok=True)

    def add(self, snapshot: Snapshot) -> None:
        """Write the snapshot, last of all and durably: without it the backup does not exist."""
        os.sync()
        path = self._snapshots / f"{snapshot.name}.json"
        beside = path.with_suffix(".incoming")
        with beside.open("w", encoding="utf-8") as handle:
            handle.write(snapshot.to_json())
            handle.flush()
            os.fsync(handle.fileno())
        beside.rename(path)
        files.flush_folder(self._snapshots)

    def names(self) -> list[str]:
        """The snapshots, oldest first."""
        return sorted(path.stem for path in self._snapshots.glob("*.json"))

    def load(self, name: str | None = None) -> Snapshot:
        """One snapshot, the newest if none is named."""
        names = self.names()
        if not names:
            raise BackupRefused(f"There is no backup in {self.path}.")
        chosen = name or names[-1]
        if chosen not in names:
            raise BackupRefused(f"There is no snapshot {chosen} in {self.path}; there are: {', '.join(names)}.")
        return Snapshot.from_json((self._snapshots / f"{chosen}.json").read_bytes(), chosen)

    def forget_all_but(self, count: int) -> int:
        """Remove the oldest snapshots, then every object that no snapshot names. How many snapshots went."""
        old = self.names()[:-count]
        for name in old:
            (self._snapshots / f"{name}.json").unlink()
        used = {entry.sha256 for name in self.names() for entry in self.load(name).files}
        for path in self._objects.glob("*/*"):
            if path.name not in used:
                path.unlink()
        return len(old)


def back_up(stores: Stores, folder: Folder, keep: int | None = None, *, prove: bool = False) -> Snapshot:
    """Take a backup into the folder; with `keep`, only so many of the newest stay.

    With `prove` it is verified before it gets its name. What went bad in the folder since an earlier backup is copied
    anew first, which mends the earlier ones too.
    """
    with folder.locked(), tempfile.TemporaryDirectory(dir=folder.path, prefix=_ASIDE) as aside:
        copy = Path(aside) / "tickets.db"
        snapshot = _gather(stores, folder, copy)
        if prove:
            snapshot = _proven(stores, folder, copy, snapshot)
        folder.add(snapshot)
        if keep is not None:
            folder.forget_all_but(keep)
        return snapshot


def _proven(stores: Stores, folder: Folder, copy: Path, snapshot: Snapshot) -> Snapshot:
    """This snapshot, or one gathered once more where bytes in the folder were not what they should be."""
    damaged = _problems(folder, snapshot)
    for entry, problem in damaged:
        logger.warning("%s; copying it anew", problem)
        folder.object(entry.sha256).unlink(missing_ok=True)
    if not damaged:
        _prove_database(snapshot, folder)
        return snapshot
    again = _gather(stores, folder, copy)
    _prove(folder, again)
    return again


def _gather(stores: Stores, folder: Folder, copy: Path) -> Snapshot:
    _copy_attachments(stores, folder, _attachments(stores.data / "tickets.db"))  # the bulk, while removals go on
    with files.removals(stores.uploads, wait=True):
        _copy_database(stores.data / "tickets.db", copy)
        attachments = _copy_attachments(stores, folder, _attachments(copy))
    memories = _copy_memories(stores, folder)
    schema, tickets = _facts(copy)
    database = folder.take(copy)
    entries = [Entry(DATABASE, database.sha256, database.size), *attachments, *memories]
    moment = now()
    name = moment[:23].replace(":", "-") + "Z"
    return Snapshot(name, moment, __version__, schema, tickets, tuple(entries))


def _copy_database(source: Path, target: Path) -> None:
    """One moment of the database, while others write to it."""
    if not source.exists():
        raise BackupRefused(f"There is no database {source}; check DATA_DIR.")
    with sqlite.closing(sqlite3.connect(source)) as original, sqlite.closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it


def _attachments(database: Path) -> list[tuple[str, str]]:
    """(key, SHA-256) of every attachment."""
    if not database.exists():
        return []
    with sqlite.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows: list[tuple[str, str]] = connection.execute("SELECT key, sha256 FROM attachments ORDER BY key").fetchall()
        return rows


def _facts(database: Path) -> tuple[int, int]:
    with sqlite.closing(sqlite3.connect(database)) as connection:
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        return schema, connection.execute("SELECT count(*) FROM tickets").fetchone()[0]


def _copy_attachments(stores: Stores, folder: Folder, wanted: list[tuple[str, str]]) -> list[Entry]:
    """Each file, several at once: hashing and writing overlap."""

    def copy(one: tuple[str, str]) -> Entry | None:
        key, sha256 = one
        kept = folder.keep(files.place(stores.uploads, key), sha256)
        if kept is None:
            logger.warning("the bytes of attachment %s are missing; run: python -m backend doctor", key)
            return None
        return Entry(f"uploads/{key[:2]}/{key}", kept.sha256, kept.size)

    with ThreadPoolExecutor(_COPIERS) as copiers:
        return [entry for entry in copiers.map(copy, wanted) if entry]


def _copy_memories(stores: Stores, folder: Folder) -> list[Entry]:
    entries = []
    for path in sorted(stores.memories.glob("*.md")):
        kept = folder.keep(path) if not path.name.startswith(".") and private.is_ours(path) else None
        if kept:
            entries.append(Entry(f"memories/{path.name}", kept.sha256, kept.size))
    return entries


def _copy(source: Path, target: Path) -> tuple[str, int]:
    """Copy the bytes, durably; their SHA-256 and number.

    The kernel copies (sendfile); the digest is that of the copy. Other files are hashed while this one is flushed.
    """
    shutil.copyfile(source, target, follow_symlinks=False)
    with private.open_file(target) as reader:
        digest = hashlib.file_digest(reader, "sha256").hexdigest()
        os.fdatasync(reader.fileno())
        return digest, os.fstat(reader.fileno()).st_size


def verify(folder: Folder, name: str | None = None) -> Snapshot:
    """Prove that a backup can be restored: every byte, a sound database, and that nothing it names is missing."""
    snapshot = folder.load(name)
    _prove(folder, snapshot)
    return snapshot


def _prove(folder: Folder, snapshot: Snapshot) -> None:
    problems = [problem for _, problem in _problems(folder, snapshot)]
    if problems:
        raise BackupRefused(f"The backup {snapshot.name} is damaged: {'; '.join(problems[:5])}")
    _prove_database(snapshot, folder)


def _problems(folder: Folder, snapshot: Snapshot) -> list[tuple[Entry, str]]:
    """Every file whose bytes are not those that were copied."""
    with ThreadPoolExecutor(_COPIERS) as readers:
        found = readers.map(lambda entry: (entry, _wrong(folder, entry)), snapshot.files)
        return [(entry, problem) for entry, problem in found if problem]


def _wrong(folder: Folder, entry: Entry) -> str | None:
    path = folder.object(entry.sha256)
    if not path.exists():
        return f"{entry.path} is missing"
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as reader:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() == entry.sha256:
        return None
    return f"{entry.path} is not what was copied (remove {path}, and the next backup copies it anew)"


def _prove_database(snapshot: Snapshot, folder: Folder) -> None:
    database = next((entry for entry in snapshot.files if entry.path == DATABASE), None)
    if database is None:
        raise BackupRefused(f"The backup {snapshot.name} holds no database.")
    uri = f"{folder.object(database.sha256).absolute().as_uri()}?mode=ro&immutable=1"
    with sqlite.closing(sqlite3.connect(uri, uri=True)) as connection:
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise BackupRefused(f"The database in the backup {snapshot.name} is damaged: {verdict}")
        held = {entry.path for entry in snapshot.files}
        keys = [row[0] for row in connection.execute("SELECT key FROM attachments")]
    missing = [key for key in keys if f"uploads/{key[:2]}/{key}" not in held]
    if missing:
        raise BackupRefused(f"The backup {snapshot.name} lacks the bytes of {len(missing)} attachments.")


def restore(stores: Stores, folder: Folder, name: str | None = None) -> Snapshot:
    """Bring a backup back into empty state directories, once every checksum has been verified."""
    _must_be_empty(stores)
    snapshot = verify(folder, name)
    # The database last: without it an interrupted restore is no installation, and can be started again.
    for entry in sorted(snapshot.files, key=lambda one: one.path == DATABASE):
        target = stores.place(entry.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".restoring-{target.name}")
        shutil.copyfile(folder.object(entry.sha256), beside)
        beside.rename(target)
    database = sqlite.Database(stores.data)
    reindex(stores.memories, database)  # the files have new times
    database.close()
    os.sync()
    return snapshot


def _must_be_empty(stores: Stores) -> None:
    found = [
        path
        for root, pattern in ((stores.data, "tickets.db*"), (stores.uploads, "??/*"), (stores.memories, "*.md"))
        for path in root.glob(pattern)
        if path.name != "tickets.lock"
    ]
    if found:
        raise BackupRefused(f"Restore overwrites nothing, and {found[0]} is there: empty the state directories first.")


def stream_out(stores: Stores, target: IO[bytes]) -> Snapshot:
    """Take a backup as a tar stream: `snapshot.json`, then the objects, as `stream_in` reads them."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=stores.uploads) as aside:
        folder = Folder(Path(aside), link=True)
        snapshot = back_up(stores, folder)
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as stream:
            stream.add(folder.path / "snapshots" / f"{snapshot.name}.json", "snapshot.json")
            for sha256 in dict.fromkeys(entry.sha256 for entry in snapshot.files):
                stream.add(folder.object(sha256), f"objects/{sha256[:2]}/{sha256}")
        return snapshot


@contextmanager
def stream_in(stores: Stores, source: IO[bytes]) -> Iterator[Folder]:
    """A backup folder made from a tar stream, for as long as the block runs. Raises BackupRefused."""
    stores.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=stores.data) as aside:
        folder = Folder(Path(aside))
        with folder.locked():
            pass
        try:
            with tarfile.open(fileobj=source, mode="r|") as stream:
                _unpack(stream, folder)
        except tarfile.TarError as problem:
            raise BackupRefused(f"Standard input holds no whole backup: {problem}.") from problem
        yield folder


def _unpack(stream: Iterable[tarfile.TarInfo], folder: Folder) -> None:
    for member in stream:
        content = stream.extractfile(member)  # type: ignore[attr-defined]
        if content is None:
            continue
        if member.name == "snapshot.json":
            folder.add(Snapshot.from_json(content.read(), "The stream"))
        else:
            _unpack_object(member.name, content, folder)


def _unpack_object(name: str, content: Any, folder: Folder) -> None:
    sha256 = name.rpartition("/")[2]
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise BackupRefused(f"The stream holds something that is no part of a backup: {name[:100]}")
    target = folder.object(sha256)
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as writer:
        shutil.copyfileobj(content, writer, _CHUNK)
