"""Who is asking, what a role may do, tokens, and the sessions of people who signed in with one."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from backend.domain.addresses import TOKEN, normal, read_email
from backend.domain.text import folded
from backend.domain.values import LINE, Instant, Moment, Name, instant_of
from backend.errors import NotAllowed


class Role(StrEnum):
    """requester < agent < admin."""

    REQUESTER = "requester"
    AGENT = "agent"
    ADMIN = "admin"


ADMIN = "admin"
"""Who the ADMIN_TOKEN of the environment is: no token's address (they hold an @ or begin with `token:`)."""

_RANK = {Role.REQUESTER: 0, Role.AGENT: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is signed in. `address` is who they are wherever that counts, as a ticket's `requester` holds it:
    the normal form of the token's e-mail address, else `token:` and its id. Never a name: several may have the same."""

    token_id: str
    name: str
    role: Role
    address: str
    teams: tuple[str, ...] = ()
    """An agent's scope: the teams whose tickets exist for them; all, if empty."""
    rate_limit: int | None = None
    """Requests a minute, where the token has a limit of its own."""

    def is_at_least(self, role: Role) -> bool:
        """Whether this role includes that one."""
        return _RANK[self.role] >= _RANK[role]

    def works_for(self, team: str | None) -> bool:
        """Whether a team is one of the caller's, however it is spelled; everybody else's is where they have none."""
        return not self.teams or team in self.teams or (team is not None and folded(team) in map(folded, self.teams))

    def must_be(self, role: Role) -> None:
        """Raises NotAllowed below `role`."""
        if not self.is_at_least(role):
            raise NotAllowed(f"This needs the role {role}; this token's role is {self.role}.")


FIRST_ADMIN = Caller(token_id="environment", name="admin", role=Role.ADMIN, address=ADMIN)  # noqa: S106


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token as it is kept: never itself, only its hash."""

    id: str
    hash: str
    name: str
    role: Role
    email: str | None
    created_at: Instant
    expires_at: Instant | None
    teams: tuple[str, ...] = ()
    rate_limit: int | None = None
    last_used_at: Instant | None = None
    """To the hour."""

    def caller(self) -> Caller:
        """The person behind the token."""
        return Caller(self.id, self.name, self.role, self.address, self.teams, self.rate_limit)

    @property
    def address(self) -> str:
        """See Caller."""
        return normal(self.email) if self.email else TOKEN + self.id

    def has_expired(self, at: Instant) -> bool:
        """Whether it is no longer good at that moment."""
        return self.expires_at is not None and self.expires_at <= at


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in on the page: a second secret, kept as its hash, that stands for a token until it ends.

    It is good as long as its token is: `bond` is the hash of the token it stands for (see `bond_to_admin`).
    """

    hash: str
    token_id: str
    bond: str
    created_at: Instant
    used_at: Instant
    """Its last use, to the hour."""
    expires_at: Instant
    """Moves ahead with use; a store may forget it from then on."""
    ends_at: Instant
    """Never moves."""

    def has_expired(self, at: Instant) -> bool:
        """Whether it is no longer good at that moment."""
        return self.expires_at <= at

    def used(self, at: Instant) -> "Session":
        """The same, used just now."""
        return replace(self, used_at=at, expires_at=min(_after(at, SESSION_IDLE), self.ends_at))


SESSION_IDLE = timedelta(hours=12)
SESSION_LONGEST = timedelta(days=30)
SESSION_PREFIX = "ts_"


def new_session(secret: str, token_id: str, bond: str, at: Instant, token_expires_at: Instant | None) -> Session:
    """A session that begins now and never outlives its token."""
    ends = _after(at, SESSION_LONGEST)
    if token_expires_at is not None:
        ends = min(ends, token_expires_at)
    return Session(hash_secret(secret), token_id, bond, at, at, min(_after(at, SESSION_IDLE), ends), ends)


def bond_to_admin(secret: str, admin_hash: str) -> str:
    """What ties a session to the ADMIN_TOKEN of its day. The token may be a weak word, so its plain hash is kept
    nowhere: this one is salted by the session's own secret."""
    return hash_secret(f"{secret} {admin_hash}")


def used_this_hour(used_at: Instant | None, at: Instant) -> bool:
    """Whether a use is on record that is new enough: one write an hour is enough. A clock set back writes nothing."""
    return used_at is not None and at[:13] <= used_at[:13]


def _after(at: Instant, span: timedelta) -> Instant:
    return instant_of(datetime.fromisoformat(at) + span)


Email = Annotated[
    str,
    BeforeValidator(lambda text: read_email(text) if isinstance(text, str) else text),
    StringConstraints(pattern=LINE),
]


class TokenDraft(BaseModel):
    """What an administrator says of a new token."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"name": "Ada", "role": "agent", "email": "ada@example.org"}]},
    )

    name: Name
    role: Role
    email: Email | None = None
    teams: Annotated[tuple[Name, ...], Field(max_length=50)] = Field(
        default=(), description="an agent with teams works on the tickets of these alone, and knows of no others"
    )
    expires_at: Moment | None = Field(default=None, description="RFC 3339 with an offset; never, if left out")
    rate_limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="requests a minute; RATE_LIMIT_PER_MINUTE, if left out"
    )


def new_secret() -> str:
    """A token's text: 256 random bits behind a prefix that secret scanners can look for."""
    return "tb_" + secrets.token_urlsafe(32)


def new_session_secret() -> str:
    """A session's text: as a token's, behind a prefix of its own."""
    return SESSION_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """How a token is kept. Plain SHA-256: the secret has 256 random bits, there is nothing to stretch."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
