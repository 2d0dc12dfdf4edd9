"""Bearer tokens and sessions in the table: one item by hash to sign in with, and tokens in a list of all."""

import dataclasses
import json
from collections.abc import Sequence

from backend.adapters.aws.catalogue import commit
from backend.adapters.aws.layout import TTL
from backend.adapters.aws.receipts import epoch
from backend.adapters.aws.table import ABSENT, PRESENT, Item, Key, Table, delete, put
from backend.domain.access import Role, Session, Token
from backend.domain.catalogue import Act
from backend.domain.exports import Outcome
from backend.domain.moves import compared_session
from backend.domain.once import Once
from backend.domain.quotas import Amount
from backend.domain.values import Instant, Page, now
from backend.errors import Conflict, TokenNotFound


class DynamoTokens:
    """The port `Tokens` on a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, token: Token, act: Act, once: Once | None = None) -> Token:
        """See ports.Tokens."""

        def work() -> Token:
            (hash_pk, hash_sk), item = _by_hash(token.hash), _item(token)
            writes = [put(item, ABSENT), put({**item, "pk": hash_pk, "sk": hash_sk}, ABSENT)]
            if not commit(self._table, writes, act, once, token):
                raise Conflict("There is such a token already.")
            return token

        return await self._table.cloud.run(work)

    async def find(self, secret_hash: str) -> Token | None:
        """See ports.Tokens."""
        item = await self._table.cloud.run(lambda: self._table.get(_by_hash(secret_hash)))
        return _token(item) if item else None

    async def list_tokens(self) -> Sequence[Token]:
        """See ports.Tokens."""
        return await self._table.cloud.run(lambda: [_token(item) for item in self._table.query_all("TOKENS", "")])

    async def remove(self, token_id: str, act: Act) -> None:
        """See ports.Tokens."""

        def work() -> None:
            item = self._table.get(("TOKENS", token_id))
            if item is None:
                raise TokenNotFound(token_id)
            writes = [delete(("TOKENS", token_id), PRESENT), delete(_by_hash(item["hash"]))]
            if not commit(self._table, writes, act, None, None):
                raise TokenNotFound(token_id)

        await self._table.cloud.run(work)

    async def mark_used(self, token_id: str, at: Instant) -> None:
        """See ports.Tokens."""

        def work() -> None:
            item = self._table.get(("TOKENS", token_id))
            for key in (("TOKENS", token_id), _by_hash(item["hash"])) if item else ():
                self._table.update_if(key, {"last_used_at": at}, _UNUSED)

        await self._table.cloud.run(work)

    async def add_session(self, session: Session, act: Act, once: Once | None = None) -> Session:
        """See ports.Tokens. DynamoDB forgets expired ones by itself."""

        def work() -> Session:
            if not commit(self._table, [put(_session_item(session), ABSENT)], act, once, session):
                raise Conflict("There is such a session already.")
            return session

        return await self._table.cloud.run(work)

    async def find_session(self, secret_hash: str) -> Session | None:
        """See ports.Tokens."""
        item = await self._table.cloud.run(lambda: self._table.get(_session_key(secret_hash)))
        return _session(item) if item else None

    async def renew_session(self, session: Session) -> None:
        """See ports.Tokens."""
        later = {"used_at": session.used_at, "expires_at": session.expires_at, TTL: epoch(session.expires_at)}
        key = _session_key(session.hash)
        await self._table.cloud.run(lambda: self._table.update_if(key, later, "used_at < :used_at"))

    async def remove_session(self, secret_hash: str, act: Act) -> None:
        """See ports.Tokens."""
        removal = delete(_session_key(secret_hash), PRESENT)
        await self._table.cloud.run(lambda: commit(self._table, [removal], act, None, None))

    async def load(self, tokens: Sequence[Token]) -> Sequence[Outcome]:
        """See ports.Tokens."""
        return await self._table.cloud.run(lambda: [self._load(token) for token in tokens])

    async def spend(self, person: str, day: str, amount: Amount, most: Amount) -> bool:
        """See ports.Tokens. One conditional update, so that replicas count together."""
        added = dataclasses.asdict(amount)
        limits = {name: limit for name, limit in dataclasses.asdict(most).items() if limit and added[name] > 0}
        if any(added[name] > limit for name, limit in limits.items()):
            return False
        room = {f"room_{name}": limit - added[name] for name, limit in limits.items()}
        condition = " AND ".join(f"(attribute_not_exists(n_{name}) OR n_{name} <= :room_{name})" for name in limits)
        more = {f"n_{name}": number for name, number in added.items()}
        forgotten = {TTL: epoch(f"{day}T00:00:00Z") or 0}
        forgotten[TTL] += 2 * 24 * 3600
        key = (f"Q#{day}#{person}", "Q")
        work = lambda: self._table.add_if(key, more, forgotten, condition or "attribute_not_exists(absent)", **room)  # noqa: E731
        return await self._table.cloud.run(work) is not None

    async def spent(self, person: str, day: str) -> Amount:
        """See ports.Tokens."""
        item = await self._table.cloud.run(lambda: self._table.get((f"Q#{day}#{person}", "Q"))) or {}
        return Amount(*(max(0, int(item.get(f"n_{one.name}", 0))) for one in dataclasses.fields(Amount)))

    async def dump_sessions(self, limit: int, cursor: str | None) -> Page[Session]:
        """See ports.Tokens."""
        items, following = await self._table.cloud.run(lambda: self._table.scan("S#", "S", cursor))
        at = now()
        return Page([one for one in map(_session, items) if not one.has_expired(at)], following)

    async def load_sessions(self, sessions: Sequence[Session]) -> Sequence[Outcome]:
        """See ports.Tokens."""
        return await self._table.cloud.run(lambda: [self._load_session(session) for session in sessions])

    def _load_session(self, session: Session) -> Outcome:
        item = self._table.get(_session_key(session.hash))
        outcome = compared_session(_session(item) if item else None, session)
        if outcome in (Outcome.ADDED, Outcome.FORWARDED):
            self._table.put_many([_session_item(session)])
        return outcome

    def _load(self, token: Token) -> Outcome:
        (hash_pk, hash_sk), item = _by_hash(token.hash), _item(token)
        stored = self._table.get_many([("TOKENS", token.id), (hash_pk, hash_sk)])
        if not stored:
            writes = [put(item, ABSENT), put({**item, "pk": hash_pk, "sk": hash_sk}, ABSENT)]
            return Outcome.ADDED if commit(self._table, writes, None, None, token) else Outcome.OTHER
        same = [dataclasses.replace(_token(one), last_used_at=token.last_used_at) == token for one in stored.values()]
        return Outcome.SAME if all(same) else Outcome.OTHER


_UNUSED = "attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at < :last_used_at)"
_SESSION_FIELDS = tuple(field.name for field in dataclasses.fields(Session))


def _session_key(secret_hash: str) -> Key:
    return f"S#{secret_hash}", "S"


def _session(item: Item) -> Session:
    return Session(**{name: item[name] for name in _SESSION_FIELDS})


def _session_item(session: Session) -> Item:
    pk, sk = _session_key(session.hash)
    return {"pk": pk, "sk": sk, TTL: epoch(session.expires_at), **dataclasses.asdict(session)}


def _by_hash(secret_hash: str) -> Key:
    return f"K#{secret_hash}", "K"


def _item(token: Token) -> Item:
    return {
        "pk": "TOKENS",
        "sk": token.id,
        "id": token.id,
        "hash": token.hash,
        "name": token.name,
        "role": token.role,
        "email": token.email,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "teams": json.dumps(token.teams, ensure_ascii=False),
        "rate_limit": token.rate_limit,
        "last_used_at": token.last_used_at,
    }


def _token(item: Item) -> Token:
    return Token(
        item["id"],
        item["hash"],
        item["name"],
        Role(item["role"]),
        item.get("email"),
        item["created_at"],
        item.get("expires_at"),
        tuple(json.loads(item["teams"])),
        item.get("rate_limit"),
        item.get("last_used_at"),
    )
