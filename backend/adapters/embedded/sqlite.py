"""One SQLite database: its connections, its one writer a process, its schema.

WAL with `synchronous=FULL`: a commit that was answered survives a loss of power. A commit costs a flush of the
disk, so the writes that wait while one flush runs go into the next commit together (group commit). Several
processes (API_WORKERS) take turns by a lock file, which wakes the next one at once; SQLite's own lock is polled.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from backend.adapters.embedded import private, probes, text_indexes
from backend.adapters.embedded.identity import FileIdentity
from backend.adapters.embedded.interrupts import TooLong, until, within
from backend.adapters.embedded.room import Room
from backend.adapters.embedded.upgrade import BESIDE, prepare
from backend.adapters.threads import ReadThreads
from backend.domain.reading import Permit, ReadLimits
from backend.errors import StorageRefused, Unavailable

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

logger = logging.getLogger("backend.sqlite")

UPGRADE_NOTE = "upgrade.progress"  # read by healthcheck.py
APPLICATION_ID = 0x7469636B  # "tick": marks a database file as ours
SCHEMA_DIR = Path(__file__).parent / "schema"
LARGEST_BATCH = 256
CHECKED_AT_START_BYTES = 64 * 1024 * 1024
BUSY_SECONDS = 10.0
LOOK_SECONDS = 0.5  # how often to look for what other processes have committed


@dataclass(slots=True)
class _Job:
    """A write that waits for its commit, and who waits for it."""

    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Database:
    """The database file in `directory`. Nothing is opened before `open` or the first use."""

    def __init__(self, directory: Path, limits: ReadLimits | None = None, reserve: int = 0) -> None:
        self.directory = directory
        self.room = Room(directory, "DATA_DIR", reserve)
        self.path = directory / "tickets.db"
        self._local = threading.local()
        self._threads = ReadThreads(limits or ReadLimits(), "sqlite-reader", self._leave)
        self._opening = threading.Lock()
        self._identity: FileIdentity | None = None  # once it is ready
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._bells: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._ringing = threading.Lock()

    def open(self, *, migrate: bool = True) -> None:
        """Check the file and bring its schema up to date, once. Raises StorageRefused.

        Without `migrate` an older schema is refused, since whoever runs on it would not expect another.
        """
        with self._opening:
            if self._identity:
                return
            probes.must_be_writable(self.directory, "DATA_DIR")
            try:
                private.create(self.path)  # its logs get the same mode
                with self._turn(), closing(self._connect()) as connection:
                    _refuse_foreign(connection, self.path)
                    _check(connection, self.path)
                    _migrate(connection, self.path, migrate, self._index_texts)
                    identity = FileIdentity(self.path)
            except (OSError, sqlite3.Error) as problem:
                raise StorageRefused(
                    f"The database {self.path} can't be used: {problem}. Check the volume's owner (UID "
                    f"{os.getuid()} must be able to write), its free space, and restore a backup if it is damaged."
                ) from problem
            self._identity = identity

    def _index_texts(self, connection: sqlite3.Connection, allowed: bool) -> None:
        """Make what was indexed by other rules searchable anew, and tell meanwhile how far that has come."""
        if not allowed and not text_indexes.are_complete(connection):
            raise StorageRefused(f"The database {self.path} is not indexed to the end: start this version on it first.")
        text_indexes.bring_up_to_date(connection, self._tell)

    def _tell(self, line: str | None) -> None:
        """Say in the log and, for the health check, in a file, how far a start has come; None: it is over."""
        note = self.directory / UPGRADE_NOTE
        if line is None:
            note.unlink(missing_ok=True)
            return
        logger.info("%s", line)
        with suppress(OSError), private.open_text(note) as handle:
            handle.write(f"{line}\n")

    def close(self) -> None:
        """Finish the writes that were taken, then stop."""
        writer, self._writer = self._writer, None
        if writer:
            self._jobs.put(None)
            writer.join()
        self._threads.close()
        self._leave()

    def _leave(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection:
            connection.close()
            del self._local.connection

    def read(self, work: Work[Result]) -> Result:
        """Run a read on this thread. On the event loop only where it is as small as one row."""
        try:
            connection: sqlite3.Connection = self._local.connection
        except AttributeError:
            connection = self._local.connection = self._reader()
        try:
            return work(connection)
        except sqlite3.Error as problem:
            raise _unavailable(problem) from problem

    async def read_page(self, work: Work[Result]) -> Result:
        """Run a read that is nearly always small: here if it stays so, else from the start on another thread.

        Handing a read over costs more than a page found by an index, and a long read would hold up every request.
        """
        try:
            return self.read(lambda connection: within(connection, work))
        except TooLong:
            return await self.read_aside(work)

    async def read_aside(self, work: Work[Result], *, search: bool = False) -> Result:
        """Run a read on another thread, for what may take longer than a row; it is stopped at its deadline.

        Raises Overdue, ClientGone, TooManyRequests.
        """

        def read(permit: Permit) -> Result:
            return self.read(lambda connection: until(permit, connection, work))

        return await self._threads.run(read, search=search)

    async def write(self, work: Work[Result]) -> Result:
        """Run `work` in the writer's next transaction; returns once that is on the disk.

        What `work` raises undoes its own changes only. Raises Unavailable where the commit fails.
        """
        if self._writer is None:
            self._start_writer()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        result: Result = await future
        return result

    async def wait_until(self, holds: Work[bool], seconds: float) -> None:
        """Return once a small read finds that something holds, at the latest after so many seconds.

        It looks after each commit of this process, and every LOOK_SECONDS for those of others.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        bell = asyncio.Event()
        with self._ringing:
            self._bells[bell] = loop
        try:
            while not self.read(holds) and loop.time() < deadline:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(LOOK_SECONDS, deadline - loop.time())):
                        await bell.wait()
                bell.clear()
        finally:
            with self._ringing:
                del self._bells[bell]

    def _ring(self) -> None:
        """Wake those who wait for a commit."""
        with self._ringing:
            for bell, loop in self._bells.items():
                with suppress(RuntimeError):  # its loop has gone
                    loop.call_soon_threadsafe(bell.set)

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """One transaction on this thread, for work at the start, while no request waits."""
        self.open()
        with self._turn(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def _reader(self) -> sqlite3.Connection:
        self.open()
        try:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as problem:
            raise _unavailable(problem) from problem
        return connection

    def _connect(self) -> sqlite3.Connection:
        """A connection; once the database is open, to that file and no other. Raises Unavailable, sqlite3.Error."""
        if self._identity:
            self._identity.check()  # a file that is gone would be made anew, and empty
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {setting}")
        prepare(connection)
        connection.execute("PRAGMA trusted_schema = ON")  # triggers and views may call the function
        connection.create_function("fold_for_search", 1, text_indexes.fold_for_search, deterministic=True)
        return connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be the only process that writes."""
        handle = os.open(self.directory / "tickets.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _start_writer(self) -> None:
        self.open()
        with self._opening:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_on, name="sqlite-writer", daemon=True)
                self._writer.start()

    def _write_on(self) -> None:
        connection: sqlite3.Connection | None = None
        lock: int | None = None
        stop = False
        while not stop:
            batch, stop = self._next_batch()
            try:
                if connection is None:
                    connection = self._connect()
                    assert self._identity
                    self._identity.forget_log()
                if lock is None:
                    lock = os.open(self.directory / "tickets.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    _commit(connection, batch, self._check_place)
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)
            except Exception as problem:  # whatever it is, those who wait are told, and the writer goes on
                logger.error("a commit failed: %s", problem)
                connection = _undo(connection, problem)
                for job in batch:
                    job.error = problem if isinstance(problem, Unavailable) else _unavailable(problem)
            _deliver(batch)
            self._ring()
        if connection:
            connection.close()
        if lock is not None:
            os.close(lock)

    def _check_place(self) -> None:
        """Raises Unavailable where what is written goes to files that nobody will find again."""
        assert self._identity
        self._identity.check_with_log()
        self.room.mind_ballast()

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """Wait for a write, and take with it all that wait already. True: the last batch."""
        job = self._jobs.get()
        batch: list[_Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) == LARGEST_BATCH:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


def _commit(connection: sqlite3.Connection, batch: list[_Job], check_place: Callable[[], None]) -> None:
    """All of the batch in one transaction, each job in a savepoint of its own."""
    if not batch:
        return
    connection.execute("BEGIN IMMEDIATE")
    for job in batch:
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as problem:
            if not connection.in_transaction:
                raise  # SQLite undid everything by itself: full disk, I/O error
            connection.execute("ROLLBACK TO job")
            if isinstance(problem, sqlite3.OperationalError):
                raise  # the engine's fault, not the job's
            job.error = _unavailable(problem) if isinstance(problem, sqlite3.DatabaseError) else problem
        connection.execute("RELEASE job")
    check_place()
    connection.execute("COMMIT")
    check_place()  # before anybody is told that it is written


def _undo(connection: sqlite3.Connection | None, problem: Exception) -> sqlite3.Connection | None:
    """Roll back; the connection, unless it was opened while nobody could write, for it would never write."""
    with suppress(sqlite3.Error):
        if connection is not None and connection.in_transaction:
            connection.execute("ROLLBACK")
    return None if "readonly" in str(problem) else connection  # closed with its last reference


def _deliver(batch: list[_Job]) -> None:
    """Hand the results to those who wait, with one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, jobs)
        except RuntimeError:
            logger.warning("%d writes were committed after their event loop had gone", len(jobs))


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def _unavailable(problem: BaseException) -> Unavailable:
    return Unavailable(f"The database can't be used right now: {problem}.")


@contextmanager
def closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """The connection, closed at the end of the block; sqlite3's own `with` only commits."""
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several reads see the database as of the first of them."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # an error of the disk ends it by itself
            connection.execute("ROLLBACK")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    mark = _pragma(connection, "application_id")
    has_tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] > 0
    if mark != APPLICATION_ID and (mark or has_tables):
        raise StorageRefused(f"{path} is a database of some other program; point DATA_DIR elsewhere.")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """A whole check where it takes well under a second; a larger file shows its damage when it is read."""
    if path.stat().st_size > CHECKED_AT_START_BYTES:
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StorageRefused(f"The database {path} is damaged ({' '.join(verdict.split())}); restore a backup.")


def migrations() -> list[tuple[int, str]]:
    """(version, SQL) of every step, in order."""
    return [(int(path.name[:4]), path.read_text("utf-8")) for path in sorted(SCHEMA_DIR.glob("*.sql"))]


def _migrate(
    connection: sqlite3.Connection, path: Path, allowed: bool, fill: Callable[[sqlite3.Connection, bool], None]
) -> None:
    """Take every step that the file lacks, each in a transaction of its own; `fill` the search indexes in between."""
    steps = migrations()
    newest = steps[-1][0]
    version = _pragma(connection, "user_version")
    if version < newest and not allowed:
        raise StorageRefused(f"The database {path} has schema {version}, not {newest}: start this version on it first.")
    prepare(connection)
    if 0 < version < newest:
        _keep_copy(connection, path, version, newest)
    if version > newest:
        raise StorageRefused(
            f"The database {path} has schema {version}, and this version knows schemas up to {newest}: "
            "start the newer version again, or restore the backup from before the upgrade."
        )
    for number, sql in steps:
        if number > version:
            fill(connection, allowed)  # a step that changes a text needs an index that has it
            connection.executescript(f"BEGIN IMMEDIATE; {sql};")
            _besides(number)(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
            logger.info("database schema is now %d", number)
    fill(connection, allowed)


def _besides(number: int) -> Callable[[sqlite3.Connection], None]:
    """What a step does that SQL does not say."""
    names = [path.stem[5:] for path in SCHEMA_DIR.glob(f"{number:04d}_*.sql")]
    return next((BESIDE[name] for name in names if name in BESIDE), lambda _: None)


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int, newest: int) -> None:
    """A copy of the database from before its schema changes, so that the older version can be gone back to."""
    target = path.with_name(f"before-schema-{newest}.db")
    beside = target.with_suffix(".incoming")
    beside.unlink(missing_ok=True)
    private.create(beside)
    with closing(sqlite3.connect(beside)) as copy:
        connection.backup(copy)
    beside.replace(target)
    logger.info("kept a copy of the database at schema %d: %s", version, target)
