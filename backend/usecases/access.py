"""Signing in, tokens, and sessions."""

import hmac
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from backend.domain.access import (
    FIRST_ADMIN,
    SESSION_PREFIX,
    Caller,
    Role,
    Session,
    Token,
    TokenDraft,
    bond_to_admin,
    hash_secret,
    new_secret,
    new_session,
    new_session_secret,
    used_this_hour,
)
from backend.domain.catalogue import LOCKED_OUT, NOBODY, Act, act, lock_out
from backend.domain.labels import LabelKind
from backend.domain.once import Once
from backend.domain.pages import MOST_ITEMS
from backend.domain.values import Page, instant_of, is_id, new_id
from backend.errors import NotSignedIn, TokenNotFound, TooManyRequests, Unavailable, Unprocessable
from backend.ports import Ports
from backend.usecases import labels, setup

_is_random = re.compile(r"t[bs]_[A-Za-z0-9_-]{43}").fullmatch


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and its secret, which is shown this once."""

    token: Token
    secret: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has begun, its secret, and whose it is."""

    session: Session
    secret: str
    caller: Caller


def is_random(secret: str) -> bool:
    """Whether it has the form of what is made here, 256 random bits: unknown, it is expired or revoked, and no guess.

    The administrator's token is the only one that somebody chose.
    """
    return _is_random(secret) is not None


async def sign_in(ports: Ports, secret: str) -> Caller:
    """Who this token or session belongs to. Raises NotSignedIn, in the same words whether wrong or expired."""
    if secret.startswith(SESSION_PREFIX):
        caller = await _by_session(ports, secret)
        if caller is not None:
            return caller
    return (await _by_token(ports, hash_secret(secret)))[0]


async def _by_token(ports: Ports, secret_hash: str) -> tuple[Caller, Token | None]:
    """Who the token with this hash belongs to, and the token unless it is the environment's. Raises NotSignedIn."""
    if hmac.compare_digest(secret_hash, ports.admin_hash()):
        return FIRST_ADMIN, None
    token = await ports.tokens.find(secret_hash)
    at = ports.now()
    if token is None or token.has_expired(at):
        raise NotSignedIn("This token is unknown, revoked or expired.")
    if not used_this_hour(token.last_used_at, at):
        with suppress(Unavailable):  # a store that takes no writes may still be read
            await ports.tokens.mark_used(token.id, at)
    return await labels.teams_of(ports, token.caller()), token


async def _by_session(ports: Ports, secret: str) -> Caller | None:
    """Who is signed in with this session; None where there is none. Raises NotSignedIn once it is over."""
    session = await ports.tokens.find_session(hash_secret(secret))
    if session is None:
        return None
    at = ports.now()
    if session.has_expired(at):
        raise NotSignedIn("This session is over; sign in again.")
    if session.token_id == FIRST_ADMIN.token_id:
        if not hmac.compare_digest(session.bond, bond_to_admin(secret, ports.admin_hash())):
            raise NotSignedIn("This session is over; sign in again.")
        caller = FIRST_ADMIN
    else:
        caller, _ = await _by_token(ports, session.bond)
    if not used_this_hour(session.used_at, at):
        with suppress(Unavailable):  # as above
            await ports.tokens.renew_session(session.used(at))
    return caller


async def start_session(ports: Ports, secret: str, once: Once | None = None) -> NewSession:
    """Sign in with a token, for a while. Raises NotSignedIn."""
    caller, token = await _by_token(ports, hash_secret(secret))
    at = ports.now()
    own = new_session_secret()
    bond = token.hash if token else bond_to_admin(own, ports.admin_hash())
    session = new_session(own, caller.token_id, bond, at, token.expires_at if token else None)
    new = NewSession(session, own, caller)
    done = act(caller, at, "session.started", caller.token_id)
    await ports.tokens.add_session(session, done, once and once.wrapping(lambda _: new))
    return new


async def end_session(ports: Ports, caller: Caller, secret: str) -> None:
    """Sign out: this session is refused from now on. Nothing happens where `secret` is no session's."""
    done = act(caller, ports.now(), "session.ended", caller.token_id)
    await ports.tokens.remove_session(hash_secret(secret), done)


async def create_token(ports: Ports, caller: Caller, draft: TokenDraft, once: Once | None = None) -> NewToken:
    """Make a token. Raises NotAllowed, Unprocessable (an expiry in the past, teams of no agent)."""
    caller.must_be(Role.ADMIN)
    at = ports.now()
    expiry = instant_of(draft.expires_at) if draft.expires_at else None
    if expiry is not None and expiry <= at:
        raise Unprocessable("The token would have expired already.", [("expires_at", "must lie ahead")])
    if draft.teams and draft.role is not Role.AGENT:
        raise Unprocessable("Only an agent works for certain teams.", [("teams", f"none for the role {draft.role}")])
    secret = new_secret()
    token = Token(
        id=new_id(),
        hash=hash_secret(secret),
        name=draft.name,
        role=draft.role,
        email=draft.email,
        created_at=at,
        expires_at=expiry,
        teams=await labels.spelled_names(ports, LabelKind.TEAM, draft.teams),
        rate_limit=draft.rate_limit,
    )
    done = act(caller, at, "token.created", token.id, name=token.name, role=token.role, teams=token.teams)
    await ports.tokens.add(token, done, once and once.wrapping(lambda kept: NewToken(kept, secret)))
    setup.forget_people(ports)
    return NewToken(token, secret)


async def list_tokens(ports: Ports, caller: Caller) -> Sequence[Token]:
    """All tokens, without their secrets."""
    caller.must_be(Role.ADMIN)
    return await ports.tokens.list_tokens()


async def revoke_token(ports: Ports, caller: Caller, token_id: str) -> None:
    """Make a token useless from now on. Raises TokenNotFound."""
    caller.must_be(Role.ADMIN)
    if not is_id(token_id):
        raise TokenNotFound(token_id)
    await ports.tokens.remove(token_id, act(caller, ports.now(), "token.revoked", token_id))
    setup.forget_people(ports)


async def list_acts(
    ports: Ports, caller: Caller, limit: int, cursor: str | None, action: str | None, actor: str | None
) -> Page[Act]:
    """What administrators did and who signed in, newest first. Raises NotAllowed, InvalidCursor."""
    caller.must_be(Role.ADMIN)
    return await ports.catalogue.list_acts(limit, cursor, action, actor)


async def log_lock_out(ports: Ports, address: str, seconds: int) -> str:
    """An address is locked out; the act's id. That it is does not depend on the log."""
    begun = lock_out(address, ports.now(), seconds)
    with suppress(Unavailable):
        await ports.catalogue.log_act(begun)
    return begun.id


@dataclass(frozen=True, slots=True)
class Lock:
    """An address that was locked out for so many seconds, so many seconds ago; `id`: its line in the audit log."""

    id: str
    address: str
    seconds: int
    age: float


async def list_locks(ports: Ports) -> Sequence[Lock]:
    """The newest locks of all processes, now and before a restart: the log is where they tell each other."""
    at = datetime.fromisoformat(ports.now())
    try:
        page = await ports.catalogue.list_acts(MOST_ITEMS, None, LOCKED_OUT, NOBODY)
    except (Unavailable, TooManyRequests):
        return ()
    return [
        Lock(one.id, one.target, int(one.details["seconds"]), (at - datetime.fromisoformat(one.at)).total_seconds())
        for one in page.items
    ]
