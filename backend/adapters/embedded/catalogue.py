"""Records and the log of administrative acts, in SQLite."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from backend.adapters.embedded import receipts
from backend.adapters.embedded.sqlite import Database
from backend.domain.catalogue import Act, Kind, Record, name_taken
from backend.domain.exports import Outcome
from backend.domain.once import Once
from backend.domain.values import Page, fingerprint, open_cursor, seal_cursor
from backend.errors import PreconditionFailed, RecordNotFound

_COLUMNS = "kind, id, owner, body, version, created_at, updated_at, label"
_ACT_COLUMNS = "id, at, actor, token_id, action, target, details"


class SqliteCatalogue:
    """The port `Catalogue` on the embedded database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kind: Kind, record_id: str) -> Record:
        """See ports.Catalogue."""
        return self._database.read(lambda connection: _load(connection, kind, record_id))

    async def list_records(self, kind: Kind, limit: int, cursor: str | None) -> Page[Record]:
        """See ports.Catalogue."""
        query = fingerprint("catalogue", kind)
        (after,) = open_cursor(query, cursor, str) if cursor else ("",)
        rows = await self._database.read_page(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM catalogue WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
                (kind, after, limit + 1),
            ).fetchall()
        )
        more = len(rows) > limit
        return Page([_record(row) for row in rows[:limit]], seal_cursor(query, [rows[limit - 1][1]]) if more else None)

    async def put(self, record: Record, act: Act | None = None, once: Once | None = None) -> Record:
        """See ports.Catalogue."""

        def write(connection: sqlite3.Connection) -> Record:
            receipts.refuse_repeat(connection, once)
            _refuse_taken(connection, record)
            done = connection.execute(
                f"INSERT INTO catalogue ({_COLUMNS}) SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE ? = 1 OR EXISTS "
                "(SELECT 1 FROM catalogue WHERE kind = ? AND id = ? AND version = ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, body = excluded.body, "
                "version = excluded.version, updated_at = excluded.updated_at, label = excluded.label "
                "WHERE version = excluded.version - 1",
                (*_values(record), record.version, record.kind, record.id, record.version - 1),
            )
            if done.rowcount == 0:
                raise _changed(record)
            if act:
                log_act(connection, act)
            receipts.keep(connection, once, record)
            return record

        return await self._database.write(write)

    async def remove(self, record: Record, act: Act | None = None) -> None:
        """See ports.Catalogue."""

        def write(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "DELETE FROM catalogue WHERE kind = ? AND id = ? AND version = ?",
                (record.kind, record.id, record.version),
            )
            if done.rowcount == 0:
                _load(connection, record.kind, record.id)
                raise _changed(record)
            if act:
                log_act(connection, act)

        await self._database.write(write)

    async def log_act(self, act: Act, once: Once | None = None) -> None:
        """See ports.Catalogue."""

        def write(connection: sqlite3.Connection) -> None:
            receipts.refuse_repeat(connection, once)
            log_act(connection, act)
            receipts.keep(connection, once, act)

        await self._database.write(write)

    async def load(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """See ports.Catalogue."""
        return await self._database.write(lambda connection: [_load_record(connection, one) for one in records])

    async def load_acts(self, acts: Sequence[Act]) -> Sequence[Outcome]:
        """See ports.Catalogue."""
        return await self._database.write(lambda connection: [_load_act(connection, one) for one in acts])

    async def list_acts(
        self, limit: int, cursor: str | None, action: str | None = None, actor: str | None = None
    ) -> Page[Act]:
        """See ports.Catalogue."""
        query = fingerprint("acts", action, actor)
        (before,) = open_cursor(query, cursor, str) if cursor else ("Z",)
        asked = {name: value for name, value in (("action", action), ("actor", actor)) if value is not None}
        also = " ".join(f"AND {name} = ?" for name in asked)
        rows = await self._database.read_page(
            lambda connection: connection.execute(
                f"SELECT {_ACT_COLUMNS} FROM audit WHERE id < ? {also} ORDER BY id DESC LIMIT ?",
                (before, *asked.values(), limit + 1),
            ).fetchall()
        )
        more = len(rows) > limit
        acts = [_act(row) for row in rows[:limit]]
        return Page(acts, seal_cursor(query, [acts[-1].id]) if more else None)


def log_act(connection: sqlite3.Connection, act: Act) -> None:
    """Write an act in the transaction of what it did."""
    connection.execute(
        f"INSERT INTO audit ({_ACT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            act.id,
            act.at,
            act.actor,
            act.token_id,
            act.action,
            act.target,
            json.dumps(act.details, ensure_ascii=False),
        ),
    )


def _load(connection: sqlite3.Connection, kind: Kind, record_id: str) -> Record:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM catalogue WHERE kind = ? AND id = ?", (kind, record_id)
    ).fetchone()
    if row is None:
        raise RecordNotFound(kind, record_id)
    return _record(row)


def _refuse_taken(connection: sqlite3.Connection, record: Record) -> None:
    """Raises Conflict where another record has this label."""
    taken = connection.execute(
        "SELECT id FROM catalogue WHERE kind = ? AND label = ? AND id <> ?", (record.kind, record.label, record.id)
    ).fetchone()
    if taken:
        raise name_taken(record)


def _values(record: Record) -> tuple[Any, ...]:
    body = json.dumps(record.body, ensure_ascii=False)
    return (
        record.kind,
        record.id,
        record.owner,
        body,
        record.version,
        record.created_at,
        record.updated_at,
        record.label,
    )


def _record(row: Sequence[Any]) -> Record:
    return Record(Kind(row[0]), row[1], row[2], json.loads(row[3]), *row[4:])


def _act(row: Sequence[Any]) -> Act:
    return Act(row[0], row[1], row[2], row[3], row[4], row[5], json.loads(row[6]))


def _load_record(connection: sqlite3.Connection, record: Record) -> Outcome:
    outcome = Outcome.ADDED
    try:
        stored = _load(connection, record.kind, record.id)
        if stored == record:
            return Outcome.SAME
        if stored.created_at != record.created_at or stored.version >= record.version:
            return Outcome.OTHER
        outcome = Outcome.FORWARDED
    except RecordNotFound:
        pass
    marks = ", ".join("?" * len(_COLUMNS.split(",")))
    changes = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[2:])
    try:
        connection.execute(
            f"INSERT INTO catalogue ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (kind, id) DO UPDATE SET {changes}",
            _values(record),
        )
    except sqlite3.IntegrityError:
        return Outcome.OTHER  # its label is another record's
    return outcome


def _load_act(connection: sqlite3.Connection, act: Act) -> Outcome:
    row = connection.execute(f"SELECT {_ACT_COLUMNS} FROM audit WHERE id = ?", (act.id,)).fetchone()
    if row is None:
        log_act(connection, act)
        return Outcome.ADDED
    return Outcome.SAME if _act(row) == act else Outcome.OTHER


def _changed(record: Record) -> PreconditionFailed:
    return PreconditionFailed(f"Somebody else has changed the {record.called}; read it again first.")
