"""The receipts of idempotent requests, written in the transaction of the effect they record."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from backend.domain.exports import Outcome
from backend.domain.once import AlreadyDone, Once, Receipt
from backend.domain.values import Page, now

_FORGOTTEN_A_WRITE = 20


def refuse_repeat(connection: sqlite3.Connection, once: Once | None) -> None:
    """Raises AlreadyDone where another request with this key took effect first."""
    if once is None:
        return
    receipt = find(connection, once.key)
    if receipt is not None:
        raise AlreadyDone(receipt)


def keep(connection: sqlite3.Connection, once: Once | None, result: Any) -> None:
    """Record the effect; a few receipts that have expired make room."""
    if once is None:
        return
    connection.execute(
        "DELETE FROM receipts WHERE key IN (SELECT key FROM receipts WHERE expires_at <= ? LIMIT ?)",
        (now(), _FORGOTTEN_A_WRITE),
    )
    receipt = once.receipt(result)
    connection.execute(
        "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)",
        (receipt.key, receipt.fingerprint, receipt.answer, receipt.expires_at),
    )


def find(connection: sqlite3.Connection, key: str) -> Receipt | None:
    """The receipt of this key, unless it has expired."""
    row = connection.execute(
        "SELECT key, fingerprint, answer, expires_at FROM receipts WHERE key = ? AND expires_at > ?",
        (key, now()),
    ).fetchone()
    return Receipt(*row) if row else None


def dump(connection: sqlite3.Connection, limit: int, cursor: str | None) -> Page[Receipt]:
    """Those that have not expired, by key."""
    rows = connection.execute(
        "SELECT key, fingerprint, answer, expires_at FROM receipts WHERE key > ? AND expires_at > ? "
        "ORDER BY key LIMIT ?",
        (cursor or "", now(), limit),
    ).fetchall()
    return Page([Receipt(*row) for row in rows], rows[-1][0] if len(rows) == limit else None)


def load(connection: sqlite3.Connection, receipts: Sequence[Receipt]) -> list[Outcome]:
    """Write those that are not there."""
    return [_load(connection, receipt) for receipt in receipts]


def _load(connection: sqlite3.Connection, receipt: Receipt) -> Outcome:
    stored = find(connection, receipt.key)
    if stored:
        return Outcome.SAME if stored == receipt else Outcome.OTHER
    values = (receipt.key, receipt.fingerprint, receipt.answer, receipt.expires_at)
    connection.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)", values)
    return Outcome.ADDED
