"""Files of tickets: bytes first, record second, and the bytes removed again where the record fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from backend.domain.access import Caller, Role
from backend.domain.attachments import (
    MOST_FILES_A_REQUEST,
    Attachment,
    StoredFile,
    clean_name,
)
from backend.domain.file_types import ForbiddenTypes, TextJudge, content_type
from backend.domain.once import Once
from backend.domain.tickets import event
from backend.domain.values import is_id, new_id
from backend.errors import AttachmentNotFound, InvalidInput, NotAllowed, RequestError, TooLarge, Uncertain
from backend.ports import Ports
from backend.usecases import quotas
from backend.usecases.tickets import desk_for, get_ticket


@dataclass(slots=True)
class Uploads:
    """The files of one request, as they come in. What the request does not keep is taken back by `discard`."""

    ports: Ports
    caller: Caller
    files: list[Attachment] = field(default_factory=list)

    async def take(self, name: str | None, claimed_type: str | None, chunks: AsyncIterator[bytes]) -> None:
        """Keep one file's bytes. Raises TooLarge, UnsupportedType (forbidden by the administrator).

        Nothing without a name is what a form sends for a file input that was left empty: no file.
        """
        if len(self.files) == MOST_FILES_A_REQUEST:
            raise TooLarge(f"A request may carry at most {MOST_FILES_A_REQUEST} files.")
        forbidden = ForbiddenTypes(self.ports.limits.forbidden_types)
        kept_name = clean_name(name)
        forbidden.must_allow(kept_name)
        await quotas.must_have_room_for_a_file(self.ports, self.caller)
        judge = TextJudge()
        stored = await self.ports.uploads.put(_heard(chunks, judge), self.ports.limits.upload)
        try:
            kind = content_type(stored.head, judge.charset, claimed_type)
            forbidden.must_allow(kept_name, kind)
        except BaseException:
            await self.ports.uploads.delete(stored.key)
            raise
        if name or stored.size:
            try:
                await quotas.count_file(self.ports, self.caller, stored.size)
            except RequestError:
                await self.ports.uploads.delete(stored.key)
                raise
            self.files.append(self._attachment(kept_name, kind, stored))
        else:
            await self.ports.uploads.delete(stored.key)

    def _attachment(self, name: str, kind: str, stored: StoredFile) -> Attachment:
        return Attachment(
            id=new_id(),
            ticket_id="",
            key=stored.key,
            name=name,
            content_type=kind,
            size=stored.size,
            sha256=stored.sha256,
            uploader=self.caller.name,
            created_at=self.ports.now(),
            uploader_id=self.caller.address,
        )

    async def discard(self, problem: BaseException) -> None:
        """Remove the bytes of every file taken, since the request failed with this problem.

        Not where it may have taken effect all the same: bytes without a record cost room, the other way round a file.
        """
        files, self.files = self.files, []
        if isinstance(problem, Uncertain | asyncio.CancelledError):
            return
        for file in files:
            await self.ports.uploads.delete(file.key)
        await quotas.give_back(self.ports, self.caller, [file.size for file in files])


async def _heard(chunks: AsyncIterator[bytes], judge: TextJudge) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        judge.take(chunk)
        yield chunk


async def attach_files(
    ports: Ports, caller: Caller, ticket_id: str, uploads: Uploads, once: Once | None = None, *, internal: bool = False
) -> Sequence[Attachment]:
    """Hang files whose bytes are kept on a ticket. Internal ones are for agents.

    Raises TicketNotFound, Conflict, InvalidInput (no file), NotAllowed.
    """
    await may_attach(ports, caller, ticket_id)
    if internal and not caller.is_at_least(Role.AGENT):
        raise NotAllowed("Only agents may attach files internally.")
    if not uploads.files:
        raise InvalidInput("The form holds no file: send at least one part with a file name.")
    owned = [replace(file, ticket_id=ticket_id, internal=internal) for file in uploads.files]
    changes = {"attachments": (None, [file.name for file in owned])}
    said = event(caller, ticket_id, ports.now(), "attached", changes, internal=internal)
    return await ports.tickets.add_attachments(owned, said, once)


async def may_attach(ports: Ports, caller: Caller, ticket_id: str) -> None:
    """Asked before the bytes are taken. Raises TicketNotFound, Conflict (in the trash, merged).

    What a requester sends on a merged ticket is taken: it goes to the other one (`usecases/answers.py`).
    """
    ticket = await get_ticket(ports, caller, ticket_id)
    if not caller.is_at_least(Role.AGENT):
        return
    (await desk_for(ports, caller, ticket)).may_change(ticket, None)


async def list_attachments(ports: Ports, caller: Caller, ticket_id: str) -> Sequence[Attachment]:
    """The files of a ticket, oldest first; internal ones only for agents."""
    await get_ticket(ports, caller, ticket_id)
    return [file for file in await ports.tickets.list_attachments(ticket_id) if _may_see(caller, file)]


def _may_see(caller: Caller, attachment: Attachment) -> bool:
    return caller.is_at_least(Role.AGENT) or not attachment.internal


async def get_attachment(ports: Ports, caller: Caller, ticket_id: str, attachment_id: str) -> Attachment:
    """One file's record. Raises TicketNotFound, AttachmentNotFound: absent and internal look the same to requesters."""
    await get_ticket(ports, caller, ticket_id)
    if not is_id(attachment_id):
        raise AttachmentNotFound(attachment_id)
    found = await ports.tickets.get_attachment(ticket_id, attachment_id)
    if not _may_see(caller, found):
        raise AttachmentNotFound(attachment_id)
    return found


async def link_to(ports: Ports, attachment: Attachment, content_type: str, disposition: str) -> str | None:
    """Where the bytes may be read for a while without this server; None where they go through it."""
    return await ports.uploads.link(attachment.key, content_type, disposition)


def read_bytes(ports: Ports, attachment: Attachment, start: int, length: int) -> AsyncIterator[bytes]:
    """A range of a file's bytes."""
    return ports.uploads.read(attachment.key, start, length)


async def delete_attachment(ports: Ports, caller: Caller, ticket_id: str, attachment_id: str) -> None:
    """Remove a file: the record first, so that no record ever points to bytes that are gone."""
    attachment = await get_attachment(ports, caller, ticket_id, attachment_id)
    if not caller.is_at_least(Role.AGENT) and attachment.uploader_id != caller.address:
        raise NotAllowed("Only agents may remove files that others attached.")
    ticket = await get_ticket(ports, caller, ticket_id)
    (await desk_for(ports, caller, ticket)).may_change(ticket, None)
    changes = {"attachments": ([attachment.name], None)}
    removed = event(caller, ticket_id, ports.now(), "detached", changes, internal=attachment.internal)
    await ports.tickets.remove_attachment(ticket_id, attachment_id, removed)
    await ports.uploads.delete(attachment.key)
