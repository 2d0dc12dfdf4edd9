"""Signing in, and tokens."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from backend.domain.access import Caller, Role, Token, TokenDraft, hash_secret, new_secret
from backend.domain.catalogue import act
from backend.domain.once import Once
from backend.domain.values import instant_of, is_id, new_id
from backend.errors import NotSignedIn, TokenNotFound, Unprocessable
from backend.ports import Ports

FIRST_ADMIN = Caller(token_id="environment", name="admin", role=Role.ADMIN, address="admin")  # noqa: S106


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and its secret, which is shown this once."""

    token: Token
    secret: str


async def sign_in(ports: Ports, secret: str) -> Caller:
    """Who this bearer token belongs to. Raises NotSignedIn, in the same words whether wrong or expired."""
    secret_hash = hash_secret(secret)
    if hmac.compare_digest(secret_hash, ports.admin_hash()):
        return FIRST_ADMIN
    token = await ports.tokens.find(secret_hash)
    if token is None or token.has_expired(ports.now()):
        raise NotSignedIn("This token is unknown, revoked or expired.")
    return token.caller()


async def create_token(ports: Ports, caller: Caller, draft: TokenDraft, once: Once | None = None) -> NewToken:
    """Make a token. Raises NotAllowed, Unprocessable (an expiry in the past)."""
    caller.must_be(Role.ADMIN)
    at = ports.now()
    expiry = instant_of(draft.expires_at) if draft.expires_at else None
    if expiry is not None and expiry <= at:
        raise Unprocessable("The token would have expired already.", [("expires_at", "must lie ahead")])
    secret = new_secret()
    token = Token(new_id(), hash_secret(secret), draft.name, draft.role, draft.email, at, expiry, draft.teams)
    done = act(caller, at, "token.created", token.id, name=token.name, role=token.role, teams=token.teams)
    await ports.tokens.add(token, done, once and once.wrapping(lambda kept: NewToken(kept, secret)))
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
