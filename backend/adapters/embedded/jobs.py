"""The queue of work in SQLite."""

import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from backend.adapters.embedded.sqlite import Database
from backend.domain.jobs import MOST_TRIES, Job, Leased
from backend.domain.values import Instant, instant, now
from backend.errors import Unavailable


class SqliteJobs:
    """The port `Jobs` on the embedded database."""

    adapter = "sqlite"
    remote = False

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> None:
        """Check the database and bring it up to date."""
        self._database.open()

    def close(self) -> None:
        """Finish what was taken."""
        self._database.close()

    async def probe(self) -> None:
        """Look whether something is due; the tickets' probe writes."""
        if not self._database.path.exists():
            raise Unavailable(f"The database {self._database.path} is gone.")
        await self._database.read_aside(_is_due)

    async def put(self, job: Job, delay: float = 0) -> None:
        """See ports.Jobs."""
        values = (job.id, job.kind, json.dumps(job.body, ensure_ascii=False), job.created_at, _in(delay))
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT OR IGNORE INTO jobs (id, kind, body, created_at, due_at) VALUES (?, ?, ?, ?, ?)", values
            ).close()
        )

    async def take(self, lease: float) -> Leased | None:
        """See ports.Jobs. Looks before it writes: an idle queue costs no commit."""
        if not self._database.read(_is_due):
            return None

        def write(connection: sqlite3.Connection) -> Leased | None:
            row = connection.execute(
                "UPDATE jobs SET due_at = ?, lease = ?, tries = tries + 1 WHERE id = ("
                "  SELECT id FROM jobs WHERE due_at <= ? AND tries < ? ORDER BY due_at LIMIT 1"
                ") RETURNING id, kind, body, created_at, lease, tries",
                (_in(lease), secrets.token_hex(8), now(), MOST_TRIES),
            ).fetchone()
            return Leased(_job(row), row[4], row[5]) if row else None

        return await self._database.write(write)

    async def extend(self, leased: Leased, lease: float) -> bool:
        """See ports.Jobs."""
        return await self._change("UPDATE jobs SET due_at = ? WHERE id = ? AND lease = ?", _in(lease), leased)

    async def finish(self, leased: Leased) -> None:
        """See ports.Jobs."""
        await self._change("DELETE FROM jobs WHERE id = ? AND lease = ?", None, leased)

    async def release(self, leased: Leased, delay: float = 0) -> None:
        """See ports.Jobs."""
        sql = "UPDATE jobs SET due_at = ?, lease = NULL WHERE id = ? AND lease = ?"
        await self._change(sql, _in(delay), leased)

    async def list_dead(self, limit: int) -> Sequence[Job]:
        """See ports.Jobs."""
        rows = await self._database.read_aside(
            lambda connection: connection.execute(
                "SELECT id, kind, body, created_at FROM jobs WHERE tries >= ? AND due_at <= ? ORDER BY id LIMIT ?",
                (MOST_TRIES, now(), limit),
            ).fetchall()
        )
        return [_job(row) for row in rows]

    async def _change(self, sql: str, due_at: Instant | None, leased: Leased) -> bool:
        values = (*((due_at,) if due_at else ()), leased.job.id, leased.lease)
        return await self._database.write(lambda connection: connection.execute(sql, values).rowcount == 1)


def _is_due(connection: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM jobs WHERE due_at <= ? AND tries < ? LIMIT 1"
    return connection.execute(sql, (now(), MOST_TRIES)).fetchone() is not None


def _in(seconds: float) -> Instant:
    return instant(time.time_ns() // 1000 + round(seconds * 1_000_000))


def _job(row: Sequence[Any]) -> Job:
    return Job(row[0], row[1], json.loads(row[2]), row[3])
