"""Bearer tokens and sessions in SQLite."""

import dataclasses
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from backend.adapters.embedded import catalogue, receipts
from backend.adapters.embedded.sqlite import Database
from backend.domain.access import Role, Session, Token
from backend.domain.catalogue import Act
from backend.domain.exports import Outcome
from backend.domain.moves import compared_session
from backend.domain.once import Once
from backend.domain.quotas import Amount
from backend.domain.values import Instant, Page, now
from backend.errors import TokenNotFound

_COLUMNS = "id, hash, name, role, email, created_at, expires_at, teams, rate_limit, last_used_at"
_SESSION_COLUMNS = "hash, token_id, bond, created_at, used_at, expires_at, ends_at"
_FORGOTTEN_A_WRITE = 20


class SqliteTokens:
    """The port `Tokens` on the embedded database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: Token, act: Act, once: Once | None = None) -> Token:
        """See ports.Tokens."""

        def write(connection: sqlite3.Connection) -> Token:
            receipts.refuse_repeat(connection, once)
            _insert(connection, token)
            catalogue.log_act(connection, act)
            receipts.keep(connection, once, token)
            return token

        return await self._database.write(write)

    async def find(self, secret_hash: str) -> Token | None:
        """See ports.Tokens."""
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?", (secret_hash,)
            ).fetchone()
        )
        return _token(row) if row else None

    async def list_tokens(self) -> Sequence[Token]:
        """See ports.Tokens."""
        rows = await self._database.read_page(
            lambda connection: connection.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY id").fetchall()
        )
        return [_token(row) for row in rows]

    async def remove(self, token_id: str, act: Act) -> None:
        """See ports.Tokens."""

        def write(connection: sqlite3.Connection) -> None:
            if connection.execute("DELETE FROM tokens WHERE id = ?", (token_id,)).rowcount == 0:
                raise TokenNotFound(token_id)
            catalogue.log_act(connection, act)

        await self._database.write(write)

    async def mark_used(self, token_id: str, at: Instant) -> None:
        """See ports.Tokens."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE tokens SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)",
                (at, token_id, at),
            )
        )

    async def load(self, tokens: Sequence[Token]) -> Sequence[Outcome]:
        """See ports.Tokens."""
        return await self._database.write(lambda connection: [_load(connection, token) for token in tokens])

    async def add_session(self, session: Session, act: Act, once: Once | None = None) -> Session:
        """See ports.Tokens."""

        def write(connection: sqlite3.Connection) -> Session:
            receipts.refuse_repeat(connection, once)
            connection.execute(
                "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at <= ? LIMIT ?)",
                (now(), _FORGOTTEN_A_WRITE),
            )
            connection.execute(
                f"INSERT INTO sessions ({_SESSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                dataclasses.astuple(session),
            )
            catalogue.log_act(connection, act)
            receipts.keep(connection, once, session)
            return session

        return await self._database.write(write)

    async def find_session(self, secret_hash: str) -> Session | None:
        """See ports.Tokens."""
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_SESSION_COLUMNS} FROM sessions WHERE hash = ?", (secret_hash,)
            ).fetchone()
        )
        return Session(*row) if row else None

    async def renew_session(self, session: Session) -> None:
        """See ports.Tokens."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE sessions SET used_at = ?, expires_at = ? WHERE hash = ? AND used_at < ?",
                (session.used_at, session.expires_at, session.hash, session.used_at),
            )
        )

    async def remove_session(self, secret_hash: str, act: Act) -> None:
        """See ports.Tokens."""

        def write(connection: sqlite3.Connection) -> None:
            if connection.execute("DELETE FROM sessions WHERE hash = ?", (secret_hash,)).rowcount:
                catalogue.log_act(connection, act)

        await self._database.write(write)

    async def spend(self, person: str, day: str, amount: Amount, most: Amount) -> bool:
        """See ports.Tokens."""

        def write(connection: sqlite3.Connection) -> bool:
            before = _spent(connection, person, day)
            if not before.fits(amount, most):
                return False
            connection.execute(
                "DELETE FROM spent WHERE (day, person) IN (SELECT day, person FROM spent WHERE day < ? LIMIT ?)",
                (day, _FORGOTTEN_A_WRITE),
            )
            connection.execute(
                "INSERT OR REPLACE INTO spent (day, person, files, size, receipts) VALUES (?, ?, ?, ?, ?)",
                (day, person, *dataclasses.astuple(before.plus(amount))),
            )
            return True

        return await self._database.write(write)

    async def spent(self, person: str, day: str) -> Amount:
        """See ports.Tokens."""
        return self._database.read(lambda connection: _spent(connection, person, day))

    async def dump_sessions(self, limit: int, cursor: str | None) -> Page[Session]:
        """See ports.Tokens."""
        rows = await self._database.read_aside(
            lambda connection: connection.execute(
                f"SELECT {_SESSION_COLUMNS} FROM sessions WHERE hash > ? AND expires_at > ? ORDER BY hash LIMIT ?",
                (cursor or "", now(), limit),
            ).fetchall()
        )
        return Page([Session(*row) for row in rows], rows[-1][0] if len(rows) == limit else None)

    async def load_sessions(self, sessions: Sequence[Session]) -> Sequence[Outcome]:
        """See ports.Tokens."""
        return await self._database.write(
            lambda connection: [_load_session(connection, session) for session in sessions]
        )


def _spent(connection: sqlite3.Connection, person: str, day: str) -> Amount:
    row = connection.execute(
        "SELECT files, size, receipts FROM spent WHERE day = ? AND person = ?", (day, person)
    ).fetchone()
    return Amount(*row) if row else Amount()


def _load_session(connection: sqlite3.Connection, session: Session) -> Outcome:
    row = connection.execute(f"SELECT {_SESSION_COLUMNS} FROM sessions WHERE hash = ?", (session.hash,)).fetchone()
    outcome = compared_session(Session(*row) if row else None, session)
    if outcome in (Outcome.ADDED, Outcome.FORWARDED):
        connection.execute(
            f"INSERT OR REPLACE INTO sessions ({_SESSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            dataclasses.astuple(session),
        )
    return outcome


def _insert(connection: sqlite3.Connection, token: Token) -> None:
    connection.execute(
        f"INSERT INTO tokens ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            token.id,
            token.hash,
            token.name,
            token.role,
            token.email,
            token.created_at,
            token.expires_at,
            json.dumps(token.teams, ensure_ascii=False),
            token.rate_limit,
            token.last_used_at,
        ),
    )


def _load(connection: sqlite3.Connection, token: Token) -> Outcome:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM tokens WHERE id = ? OR hash = ?", (token.id, token.hash)
    ).fetchall()
    if not rows:
        _insert(connection, token)
        return Outcome.ADDED
    stored = [dataclasses.replace(_token(row), last_used_at=token.last_used_at) for row in rows]
    return Outcome.SAME if stored == [token] else Outcome.OTHER


def _token(row: Sequence[Any]) -> Token:
    teams = tuple(json.loads(row[7]))
    return Token(row[0], row[1], row[2], Role(row[3]), row[4], row[5], row[6], teams, row[8], row[9])
