"""Domain values as JSON answers. `web/schemas.py` describes the same shapes for the API's documentation."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from orjson import dumps as to_json
from starlette.responses import Response, StreamingResponse

from backend.domain.access import Token
from backend.domain.attachments import Attachment
from backend.domain.catalogue import Act, Record
from backend.domain.events import event_body as event_body
from backend.domain.events import ticket_body as ticket_body
from backend.domain.memories import Memory
from backend.domain.tickets import Ticket
from backend.domain.values import Page
from backend.domain.webhooks import Delivery, State, Webhook
from backend.usecases.access import NewToken
from backend.usecases.tickets import Said

Item = TypeVar("Item")

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as a JSON answer."""
    return Response(to_json(value), status, headers, JSON)


def page_answer(page: Page[Item], shown: Callable[[Item], Any]) -> Response:
    """A page as `{"items": […], "next_cursor": …}`."""
    return json_answer({"items": [shown(item) for item in page.items], "next_cursor": page.next_cursor})


def problem_body(status: int, title: str, detail: str, problems: Any = ()) -> dict[str, Any]:
    """An error as RFC 9457 has it; `errors` lists the fields that are wrong."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if problems:
        body["errors"] = [{"field": field, "message": message} for field, message in problems]
    return body


def problem_answer(
    status: int,
    title: str,
    detail: str,
    problems: Any = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The same as an answer."""
    return Response(to_json(problem_body(status, title, detail, problems)), status, headers, PROBLEM_JSON)


async def stream_answer(
    stream: AsyncIterator[bytes],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str | None = None,
) -> Response:
    """Bytes as they come. Their beginning is read first: what can't be read at all is told by the status."""
    first = await anext(stream, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for chunk in stream:
            yield chunk

    return StreamingResponse(whole(), status, headers, media_type)


def etag(record: Record) -> str:
    """The ETag of a record: its version."""
    return f'"{record.version}"'


def ticket_answer(ticket: Ticket, tag: str) -> Response:
    """A ticket with its ETag."""
    return json_answer(ticket_body(ticket), 200, {"etag": f'"{tag}"'})


def merged_ticket_answer(ticket: Ticket, tag: str, into: Ticket | None) -> Response:
    """A merged ticket, and which one goes on in its place, if the reader may see that."""
    told = into and {"id": into.id, "number": into.number, "title": into.title}
    return json_answer({**ticket_body(ticket), "merged_into": told}, 200, {"etag": f'"{tag}"'})


def created_ticket_answer(ticket: Ticket) -> Response:
    """A new ticket, and where it is."""
    headers = {"etag": f'"{ticket.version}"', "location": f"/api/tickets/{ticket.id}"}
    return json_answer(ticket_body(ticket), 201, headers)


def comment_body(said: Said) -> dict[str, Any]:
    """A comment's JSON, with its files."""
    comment = said.comment
    return {
        "id": comment.id,
        "ticket_id": comment.ticket_id,
        "author": comment.author,
        "body": comment.body,
        "internal": comment.internal,
        "created_at": comment.created_at,
        "attachments": [attachment_body(attachment) for attachment in said.attachments],
    }


def attachment_body(attachment: Attachment) -> dict[str, Any]:
    """A file's JSON."""
    return {
        "id": attachment.id,
        "name": attachment.name,
        "content_type": attachment.content_type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "uploader": attachment.uploader,
        "created_at": attachment.created_at,
        "comment_id": attachment.comment_id,
        "internal": attachment.internal,
        "url": f"/api/tickets/{attachment.ticket_id}/attachments/{attachment.id}",
    }


def memory_body(memory: Memory) -> dict[str, Any]:
    """A memory's JSON."""
    return {
        "id": memory.id,
        "title": memory.title,
        "body": memory.body,
        "category": memory.category,
        "tags": memory.tags,
        "ticket_id": memory.ticket_id,
        "ticket_number": memory.ticket_number,
        "team": memory.team,
        "author": memory.author,
        "helpful": memory.helpful,
        "unhelpful": memory.unhelpful,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
    }


def token_body(token: Token) -> dict[str, Any]:
    """A token's JSON, without its secret."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "email": token.email,
        "teams": token.teams,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "rate_limit": token.rate_limit,
        "last_used_at": token.last_used_at,
    }


def act_body(act: Act) -> dict[str, Any]:
    """An administrative act's JSON."""
    return {
        "id": act.id,
        "at": act.at,
        "actor": act.actor,
        "token_id": act.token_id or None,
        "action": act.action,
        "target": act.target,
        "details": act.details,
    }


def new_token_answer(new: NewToken) -> Response:
    """A new token with its secret."""
    body = {**token_body(new.token), "token": new.secret}
    return json_answer(body, 201, {"location": f"/api/tokens/{new.token.id}", "cache-control": "no-store"})


def webhook_body(webhook: Webhook) -> dict[str, Any]:
    """A webhook's JSON, without its secrets."""
    return {
        "id": webhook.id,
        "url": webhook.url,
        "description": webhook.description,
        "events": webhook.events,
        "active": webhook.active,
        "internal": webhook.internal,
        "disabled_reason": webhook.disabled_reason,
        "old_secret_until": webhook.old_secret_until,
        "created_at": webhook.record.created_at,
        "updated_at": webhook.record.updated_at,
        "version": webhook.record.version,
    }


def webhook_answer(webhook: Webhook) -> Response:
    """A webhook with its ETag."""
    return json_answer(webhook_body(webhook), 200, {"etag": f'"{webhook.record.version}"'})


def webhook_secret_answer(webhook: Webhook, status: int = 200) -> Response:
    """A webhook with the secret it has now."""
    headers = {"etag": f'"{webhook.record.version}"', "cache-control": "no-store"}
    if status == 201:
        headers["location"] = f"/api/webhooks/{webhook.id}"
    return json_answer({**webhook_body(webhook), "secret": webhook.secret}, status, headers)


def new_webhook_answer(webhook: Webhook) -> Response:
    """A new webhook with its secret."""
    return webhook_secret_answer(webhook, 201)


def delivery_body(delivery: Delivery) -> dict[str, Any]:
    """A delivery's JSON, without the message."""
    return {
        "id": delivery.id,
        "kind": delivery.kind,
        "position": delivery.position,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": delivery.due_at if delivery.state is State.PENDING else None,
        "created_at": delivery.created_at,
        "settled_at": delivery.settled_at,
        "status": delivery.status,
        "problem": delivery.problem,
    }


def delivery_answer(delivery: Delivery) -> Response:
    """A delivery that will be attempted."""
    return json_answer(delivery_body(delivery), 202)
