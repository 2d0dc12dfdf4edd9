"""Files of tickets over HTTP, streamed both ways."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from backend.domain.access import Caller
from backend.domain.attachments import Attachment, name_on_disk
from backend.domain.file_types import is_shown, served_type
from backend.domain.once import Once
from backend.errors import InvalidInput
from backend.ports import Ports
from backend.usecases import answers as sending
from backend.usecases import attachments, tickets
from backend.usecases.attachments import Uploads
from backend.web import forms
from backend.web.answers import attachment_body, json_answer, problem_answer, stream_answer
from backend.web.deps import AttachmentId, TicketId, enter, none_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import BINARY, FILES_FORM, answers
from backend.web.tickets import contents

router = APIRouter(prefix="/api/tickets/{ticket_id}/attachments", tags=["attachments"])


class FilesDraft(BaseModel):
    """What is said of files that are attached."""

    internal: bool = False


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@router.post(
    "",
    status_code=201,
    summary="Attach files",
    responses=answers("AttachmentList", 400, 403, 404, 409, 413, 415, 422, status=201),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": FILES_FORM},
)
async def attach_files(request: Request, ticket_id: TicketId) -> Response:
    """A form with up to 20 files. The type is told by the content. 415 names what the administrator forbids.

    With `internal` set to true, for agents, requesters never see them. Files of a comment are sent with the comment."""
    ports, caller = await enter(request)
    await attachments.may_attach(ports, caller, ticket_id)
    uploads = Uploads(ports, caller)
    fields: dict[str, str | bool] = {}
    try:
        async for part in forms.read_parts(request):
            if part.filename is not None:
                await uploads.take(part.filename, part.content_type, part.chunks)
            elif part.name == "internal":
                fields["internal"] = await part.text() or False  # an input that was left empty
            else:
                raise InvalidInput(f"The form may hold files and `internal`; {part.name[:100]!r} has no file name.")
        internal = FilesDraft.model_validate(fields).internal
        content = [*contents(uploads.files), *(["internal"] if internal else ())]
        promise = await once(request, ports, caller, content, _created)
        kept = await _kept(ports, caller, ticket_id, uploads, promise, internal=internal)
    except BaseException as problem:
        await uploads.discard(problem)
        raise
    return _created(kept)


async def _kept(
    ports: Ports, caller: Caller, ticket_id: str, uploads: Uploads, promise: Once | None, *, internal: bool
) -> Sequence[Attachment]:
    if uploads.files and not internal and await sending.is_answer(ports, caller, ticket_id):
        desk = await tickets.desk_at(ports, caller, ticket_id)
        wrapped = promise and promise.wrapping(lambda sent: sent.attachments)
        return (await sending.send(ports, desk, ticket_id, None, uploads.files, wrapped)).attachments
    return await attachments.attach_files(ports, caller, ticket_id, uploads, promise, internal=internal)


def _created(kept: Sequence[Attachment]) -> Response:
    bodies = [attachment_body(attachment) for attachment in kept]
    return json_answer({"items": bodies}, 201, {"location": bodies[0]["url"]})


@router.get(
    "",
    summary="List a ticket's files",
    responses=answers("AttachmentList", 404),
)
async def list_attachments(request: Request, ticket_id: TicketId) -> Response:
    """Oldest first; internal ones only for agents."""
    ports, caller = await enter(request)
    found = await attachments.list_attachments(ports, caller, ticket_id)
    return json_answer({"items": [attachment_body(attachment) for attachment in found]})


_DOWNLOAD: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: BINARY,
        206: {**BINARY, "description": "The part that Range asked for."},
        307: {"description": "The bytes are at `Location` for a while (only with UPLOAD_LINK_SECONDS)."},
        304: {"description": "The client has it already (If-None-Match)."},
        **answers(None, 404, 416, status=None),
    },
}


@router.get("/{attachment_id}", summary="Download a file", **_DOWNLOAD)
@router.head("/{attachment_id}", summary="Ask what a download would answer", **_DOWNLOAD)
async def download(request: Request, ticket_id: TicketId, attachment_id: AttachmentId) -> Response:
    """Streamed; one range at a time. The SHA-256 is the `ETag`."""
    ports, caller = await enter(request)
    attachment = await attachments.get_attachment(ports, caller, ticket_id, attachment_id)
    tag = f'"{attachment.sha256}"'
    headers = _headers(attachment, tag)
    if none_match(request, tag):
        return Response(status_code=304, headers=headers)
    if request.method == "GET" and request.headers.get("sec-fetch-dest") != "image":  # pages show only their own images
        link = await attachments.link_to(ports, attachment, headers["content-type"], headers["content-disposition"])
        if link:
            return Response(status_code=307, headers={"location": link, "cache-control": "private, no-store"})
    status, start, end = _span(request, tag, attachment.size)
    if status == 416:
        detail = f"The file has {attachment.size} bytes; the range lies outside of them."
        outside = {"content-range": f"bytes */{attachment.size}"}
        return problem_answer(416, "Range Not Satisfiable", detail, headers=outside)
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{attachment.size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    stream = attachments.read_bytes(ports, attachment, start, end - start)
    return await stream_answer(stream, status, headers)


@router.delete(
    "/{attachment_id}",
    status_code=204,
    summary="Remove a file",
    responses=answers(None, 403, 404, 422, status=204),
)
async def delete_attachment(request: Request, ticket_id: TicketId, attachment_id: AttachmentId) -> Response:
    """For agents, and for whoever attached it."""
    ports, caller = await enter(request)
    await attachments.delete_attachment(ports, caller, ticket_id, attachment_id)
    return Response(status_code=204)


def _headers(attachment: Attachment, tag: str) -> dict[str, str]:
    """Never guessed at, never run: what is not plainly harmless is a download."""
    shown = "inline" if is_shown(attachment.content_type) else "attachment"
    name = name_on_disk(attachment.name)
    ascii_name = re.sub(r'[^\x20-\x7e]|["\\%/]', "_", name)
    return {
        "content-type": served_type(attachment.content_type),
        "content-disposition": f'{shown}; filename="{ascii_name}"; '
        f"filename*=UTF-8''{quote(name, safe='', errors='replace')}",
        "content-security-policy": "default-src 'none'; sandbox",
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
    }


def _span(request: Request, tag: str, size: int) -> tuple[int, int, int]:
    """Status, first byte and the one after the last (RFC 9110, 14.2): one range, or the whole file.

    What is not one byte range, or is meant for other bytes (If-Range), is ignored, as the RFC allows.
    """
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if not asked or asked[0] == "bytes=-" or request.headers.get("if-range", tag) != tag:
        return 200, 0, size
    first, last = asked.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return 200, 0, size
    return (206, start, end) if start < end else (416, 0, 0)
