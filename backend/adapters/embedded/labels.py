"""How tags, categories and teams are spelled, in SQLite."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from backend.adapters.embedded.sqlite import Database
from backend.domain.labels import Label, LabelKind, Spelling, names_of, spellings
from backend.domain.tickets import Ticket

_COLUMNS = "kind, fold, name, others"
_COUNTED = {
    LabelKind.TAG: "ticket_tags w JOIN tickets t ON t.number = w.number AND t.deleted_at IS NULL WHERE w.tag = ?",
    LabelKind.CATEGORY: "tickets INDEXED BY tickets_category WHERE deleted_at IS NULL AND category = ?",
    LabelKind.TEAM: "tickets INDEXED BY tickets_team WHERE deleted_at IS NULL AND team = ?",
}


class SqliteLabels:
    """The port `Labels` on the embedded database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, labels: Sequence[Label]) -> Mapping[Label, Spelling]:
        """See ports.Labels."""
        return self._database.read(lambda connection: _find(connection, labels))

    async def add(self, spellings: Sequence[Spelling]) -> Mapping[Label, Spelling]:
        """See ports.Labels."""
        wanted = [one.label for one in spellings]
        known = await self.find(wanted)
        if len(known) == len(set(wanted)):
            return known

        def write(connection: sqlite3.Connection) -> Mapping[Label, Spelling]:
            connection.executemany("INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?)", map(_row, spellings))
            return _find(connection, wanted)

        return await self._database.write(write)

    async def put(self, spellings: Sequence[Spelling]) -> None:
        """See ports.Labels."""

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", map(_row, spellings))

        await self._database.write(write)

    async def begin_with(self, kind: LabelKind, prefix: str, limit: int) -> Sequence[Spelling]:
        """See ports.Labels."""
        sql = f"SELECT {_COLUMNS} FROM labels WHERE kind = ? AND fold >= ? AND fold < ? ORDER BY fold LIMIT ?"
        rows = await self._database.read_page(
            lambda connection: connection.execute(sql, (kind.value, prefix, prefix + "\U0010ffff", limit)).fetchall()
        )
        return [_spelling(row) for row in rows]

    async def count(self, kind: LabelKind, names: Sequence[str], most: int) -> Sequence[int]:
        """See ports.Labels."""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {_COUNTED[kind]} LIMIT {most:d})"
        return await self._database.read_page(
            lambda connection: [connection.execute(sql, (name,)).fetchone()[0] for name in names]
        )


def know(connection: sqlite3.Connection, ticket: Ticket) -> None:
    """Note how a ticket that is written as it was elsewhere spells its labels."""
    asked = spellings(names_of(ticket))
    known = _find(connection, [one.label for one in asked])
    noted = [known[one.label].known_as(one.name) if one.label in known else one for one in asked]
    connection.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", map(_row, noted))


def _find(connection: sqlite3.Connection, labels: Sequence[Label]) -> dict[Label, Spelling]:
    sql = f"SELECT {_COLUMNS} FROM labels WHERE kind = ? AND fold = ?"
    rows = [connection.execute(sql, (kind.value, fold)).fetchone() for kind, fold in labels]
    found = [_spelling(row) for row in rows if row]
    return {one.label: one for one in found}


def _row(one: Spelling) -> tuple[str, str, str, str]:
    return one.label.kind.value, one.label.fold, one.name, json.dumps(one.others, ensure_ascii=False)


def _spelling(row: Sequence[Any]) -> Spelling:
    return Spelling(Label(LabelKind(row[0]), row[1]), row[2], tuple(json.loads(row[3])))
