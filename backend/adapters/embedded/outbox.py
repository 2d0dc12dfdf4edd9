"""Messages for webhooks, and how far the events have been made into them, in SQLite."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from backend.adapters.embedded import receipts
from backend.adapters.embedded.sqlite import Database
from backend.domain.exports import Outcome
from backend.domain.moves import compared_delivery
from backend.domain.once import Once
from backend.domain.values import Instant, Page, fingerprint, open_cursor, seal_cursor
from backend.domain.webhooks import Delivery, State
from backend.errors import RecordNotFound

_NAMES = tuple(field.name for field in fields(Delivery))
_COLUMNS = ", ".join(_NAMES)
_INSERT = f"INSERT INTO deliveries ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"
_AGAIN = "state = 'pending', attempts = 0, due_at = ?, settled_at = NULL"
_FORGOTTEN_AT_ONCE = 1_000


class SqliteOutbox:
    """The port `Outbox` on the embedded database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def position(self) -> int:
        """See ports.Outbox."""
        found: int = self._database.read(
            lambda connection: connection.execute("SELECT position FROM outbox").fetchone()[0]
        )
        return found

    async def fan_out(self, before: int, position: int, deliveries: Sequence[Delivery]) -> bool:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> bool:
            moved = connection.execute("UPDATE outbox SET position = ? WHERE position = ?", (position, before))
            if moved.rowcount == 0:
                return False
            connection.executemany(_INSERT, [_values(delivery) for delivery in deliveries])
            return True

        return await self._database.write(write)

    async def add(self, delivery: Delivery, once: Once | None = None) -> Delivery:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> Delivery:
            receipts.refuse_repeat(connection, once)
            connection.execute(_INSERT, _values(delivery))
            receipts.keep(connection, once, delivery)
            return delivery

        return await self._database.write(write)

    async def due(self, webhook_ids: Sequence[str], at: Instant) -> Sequence[str]:
        """See ports.Outbox."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM deliveries "
                "WHERE webhook_id = value AND state = 'pending' AND due_at <= ?)",
                (json.dumps(webhook_ids), at),
            ).fetchall()
        )
        return [row[0] for row in rows]

    async def claim(self, room: Mapping[str, int], at: Instant, until: Instant) -> Sequence[Delivery]:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> Sequence[Delivery]:
            claimed = []
            for webhook_id, limit in room.items():
                claimed += connection.execute(
                    "UPDATE deliveries SET attempts = attempts + 1, due_at = ? WHERE id IN (SELECT id FROM deliveries "
                    "WHERE webhook_id = ? AND state = 'pending' AND due_at <= ? ORDER BY due_at LIMIT ?) "
                    f"RETURNING {_COLUMNS}",
                    (until, webhook_id, at, limit),
                ).fetchall()
            return sorted((_delivery(row) for row in claimed), key=lambda delivery: delivery.id)

        return await self._database.write(write)

    async def settle(self, delivery: Delivery) -> bool:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> bool:
            done = connection.execute(
                "UPDATE deliveries SET state = ?, due_at = ?, settled_at = ?, status = ?, problem = ? "
                "WHERE id = ? AND state = 'pending' AND attempts = ?",
                (
                    delivery.state,
                    delivery.due_at,
                    delivery.settled_at,
                    delivery.status,
                    delivery.problem,
                    delivery.id,
                    delivery.attempts,
                ),
            )
            return done.rowcount == 1

        return await self._database.write(write)

    async def list_deliveries(
        self, webhook_id: str, state: State | None, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        """See ports.Outbox."""
        query = fingerprint("deliveries", webhook_id, state)
        (before,) = open_cursor(query, cursor, str) if cursor else ("Z",)
        condition, values = ("AND state = ?", [state]) if state else ("", [])
        rows = await self._database.read_page(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM deliveries WHERE webhook_id = ? AND id < ? {condition} "
                "ORDER BY id DESC LIMIT ?",
                (webhook_id, before, *values, limit + 1),
            ).fetchall()
        )
        found = [_delivery(row) for row in rows[:limit]]
        return Page(found, seal_cursor(query, [found[-1].id]) if len(rows) > limit else None)

    async def replay(self, webhook_id: str, delivery_id: str, at: Instant, once: Once | None = None) -> Delivery:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> Delivery:
            receipts.refuse_repeat(connection, once)
            row = connection.execute(
                f"UPDATE deliveries SET {_AGAIN} WHERE id = ? AND webhook_id = ? RETURNING {_COLUMNS}",
                (at, delivery_id, webhook_id),
            ).fetchone()
            if row is None:
                raise RecordNotFound("delivery", delivery_id)
            delivery = _delivery(row)
            receipts.keep(connection, once, delivery)
            return delivery

        return await self._database.write(write)

    async def replay_dead(self, webhook_id: str, at: Instant, once: Once | None = None) -> int:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> int:
            receipts.refuse_repeat(connection, once)
            done = connection.execute(
                f"UPDATE deliveries SET {_AGAIN} WHERE webhook_id = ? AND state = 'dead'", (at, webhook_id)
            )
            receipts.keep(connection, once, done.rowcount)
            return done.rowcount

        return await self._database.write(write)

    async def forget(self, delivered: Instant, others: Instant, orphans: Instant, webhook_ids: Sequence[str]) -> int:
        """See ports.Outbox."""

        def write(connection: sqlite3.Connection) -> int:
            done = connection.execute(
                "DELETE FROM deliveries WHERE id IN ("
                "  SELECT id FROM deliveries WHERE state = 'delivered' AND settled_at < ?"
                "  UNION ALL SELECT id FROM deliveries WHERE state = 'dead' AND settled_at < ?"
                "  UNION ALL SELECT id FROM deliveries WHERE state = 'pending' AND created_at < ?"
                "  UNION ALL SELECT id FROM deliveries WHERE created_at < ?"
                "    AND webhook_id NOT IN (SELECT value FROM json_each(?))"
                "  LIMIT ?)",
                (delivered, others, others, orphans, json.dumps(webhook_ids), _FORGOTTEN_AT_ONCE),
            )
            return done.rowcount

        return await self._database.write(write)

    async def drop(self, webhook_id: str) -> None:
        """See ports.Outbox."""
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM deliveries WHERE webhook_id = ?", (webhook_id,))
        )

    async def load(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """See ports.Outbox."""
        return await self._database.write(lambda connection: [_load(connection, one) for one in deliveries])

    async def counts(self) -> Mapping[State, int]:
        """See ports.Outbox."""
        rows = await self._database.read_aside(
            lambda connection: connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall()
        )
        return {State(state): count for state, count in rows}

    async def first_due(self) -> Instant | None:
        """See ports.Outbox."""
        found: Instant | None = await self._database.read_aside(
            lambda connection: connection.execute(
                "SELECT min(due_at) FROM deliveries WHERE state = 'pending'"
            ).fetchone()[0]
        )
        return found


def _load(connection: sqlite3.Connection, delivery: Delivery) -> Outcome:
    row = connection.execute(f"SELECT {_COLUMNS} FROM deliveries WHERE id = ?", (delivery.id,)).fetchone()
    outcome = compared_delivery(_delivery(row) if row else None, delivery)
    if outcome is Outcome.FORWARDED:
        connection.execute("DELETE FROM deliveries WHERE id = ?", (delivery.id,))
    if outcome in (Outcome.ADDED, Outcome.FORWARDED):
        connection.execute(_INSERT, _values(delivery))
    return outcome


def _values(delivery: Delivery) -> list[Any]:
    return [getattr(delivery, name) for name in _NAMES]


def _delivery(row: Sequence[Any]) -> Delivery:
    values = dict(zip(_NAMES, row, strict=True))
    return Delivery(**{**values, "state": State(values["state"])})
