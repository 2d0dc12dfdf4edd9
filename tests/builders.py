"""Domain values for tests, with only what matters spelled out."""

from typing import Any

from backend.domain.access import Caller, Role, Session, Token, hash_secret, new_session
from backend.domain.attachments import Attachment
from backend.domain.catalogue import Act, act
from backend.domain.edits import Desk, say
from backend.domain.memories import Memory
from backend.domain.once import Once
from backend.domain.tickets import Comment, Edit, Event, Ticket, TicketDraft, changed, event, new_ticket
from backend.domain.values import new_id, now

ADA = Caller("t", "Ada", Role.AGENT, "ada@example.org")


def a_ticket(**fields: Any) -> Ticket:
    draft = TicketDraft(title="Printer", description="Blank pages", severity="low", category="Hardware")
    return new_ticket(ADA, draft, now())._replace(**fields)


def an_event(ticket: Ticket | str, kind: str = "created", **more: Any) -> Event:
    return event(ADA, ticket if isinstance(ticket, str) else ticket.id, now(), kind, **more)


def an_edit(kind: str = "changed", **values: Any) -> Edit:
    """An edit that sets these fields, whatever the ticket is."""
    return lambda ticket: (changed(ticket, now(), **values), an_event(ticket, kind))


def saying(comment: Comment) -> Edit:
    """The edit that goes with a comment."""
    return say(Desk(ADA, now), comment)


def an_act(action: str = "tested", target: str = "it") -> Act:
    return act(ADA, now(), action, target)


def a_comment(ticket: Ticket, body: str = "Hello", internal: bool = False) -> Comment:
    return Comment(new_id(), ticket.id, "Ada", body, internal, now())


def an_attachment(ticket: Ticket, name: str = "a.txt") -> Attachment:
    return Attachment(
        new_id(), ticket.id, new_id().lower(), name, "text/plain", 5, "0" * 64, "Ada", now(), uploader_id=ADA.address
    )


def a_token(secret: str = "secret", **fields: Any) -> Token:
    values = {"name": "Ada", "role": Role.AGENT, "email": None, "created_at": now(), "expires_at": None}
    return Token(id=new_id(), hash=hash_secret(secret), **(values | fields))


def a_session(secret: str, token: Token) -> Session:
    return new_session(secret, token.id, token.hash, now(), token.expires_at)


def a_memory(memory_id: str | None = None, **fields: Any) -> Memory:
    values = {"title": "Printer", "body": "Drum\n", "category": None, "tags": (), "ticket_id": None}
    more = {"ticket_number": None, "author": "Ada", "created_at": now(), "updated_at": now()}
    return Memory(id=memory_id or new_id(), **(values | more | fields))


def a_promise(key: str, answer: bytes = b"answer", expires_at: str = "9999") -> Once:
    return Once(key, "fingerprint", expires_at, lambda result: answer + getattr(result, "id", "").encode())
