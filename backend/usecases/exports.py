"""Everything out as one stream, through the ports alone, so that any store can be moved to any other."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any

from backend import __version__
from backend.domain.access import Caller, Role
from backend.domain.archives import END, header, padding
from backend.domain.attachments import Attachment
from backend.domain.catalogue import Kind, Record, act
from backend.domain.exports import (
    FORMAT,
    HEAD,
    MANIFEST,
    MOST_LINES,
    USUAL_BYTES,
    Counts,
    Head,
    Listed,
    Manifest,
    Whole,
    to_line,
)
from backend.domain.memories import Memory, MemoryQuery
from backend.domain.webhooks import without_secrets
from backend.errors import MemoryNotFound, NotFound
from backend.ports import MOST_TOGETHER, Ports

Told = Callable[[Counts], None]
_PAGE = 200
_EVENTS = 1_000
_ROUNDS = 20  # over what changed meanwhile, each shorter than the one before


async def export(ports: Ports, caller: Caller, *, files: bool, secrets: bool) -> AsyncIterator[bytes]:
    """The stream, once it is written down who took it. For administrators: it holds everything."""
    caller.must_be(Role.ADMIN)
    await ports.catalogue.log_act(act(caller, ports.now(), "exported", "everything", files=files, secrets=secrets))
    return write_out(ports, files=files, secrets=secrets)


async def write_out(
    ports: Ports, *, files: bool = True, secrets: bool = False, told: Told = lambda _: None
) -> AsyncIterator[bytes]:
    """The stream, with the webhooks' secrets only if asked for. Memory holds one member, whatever the size of the
    whole."""
    archive = _Archive(ports, files, told)
    start = await ports.tickets.last_position()
    yield archive.plain(HEAD, Head(FORMAT, __version__, ports.now(), files))
    async for chunk in archive.wholes("tickets", all_wholes(ports)):
        yield chunk
    position, settled = start, False
    for _ in range(_ROUNDS):
        newest = await ports.tickets.last_position()
        settled = newest == position
        if settled:
            break
        async for chunk in archive.wholes("changes", _changed(ports, position, newest)):
            yield chunk
        position = newest
    for stem, items in _small(ports, secrets):
        async for chunk in archive.small(stem, items):
            yield chunk
    yield archive.plain(MANIFEST, Manifest(FORMAT, position, settled, archive.counts, tuple(archive.members)))
    yield END


async def all_wholes(ports: Ports) -> AsyncIterator[Whole]:
    """Every ticket, by number."""
    after = 0
    while page := await ports.tickets.dump(after, MOST_TOGETHER):
        for whole in page:
            yield whole
        after = page[-1].ticket.number


async def _changed(ports: Ports, position: int, newest: int) -> AsyncIterator[Whole]:
    """The tickets of the events between two positions, as they are now."""
    while position < newest:
        events = await ports.tickets.list_events(position, _EVENTS)
        if not events:
            return
        ids = list(dict.fromkeys(one.event.ticket_id for one in events))
        for start in range(0, len(ids), MOST_TOGETHER):
            for whole in await ports.tickets.dump_these(ids[start : start + MOST_TOGETHER]):
                yield whole
        position = events[-1].number


def _small(ports: Ports, secrets: bool) -> Iterable[tuple[str, AsyncIterator[Any]]]:
    """What there is beside tickets."""
    yield "tokens", _tokens(ports)
    yield "catalogue", _records(ports, secrets)
    yield "audit", pages(ports.catalogue.list_acts)
    yield "memories", all_memories(ports)


async def all_memories(ports: Ports) -> AsyncIterator[Memory]:
    """Every memory as its file has it: what a list is made of may hold less."""
    async for listed in pages(lambda limit, at: ports.memories.list_memories(MemoryQuery(limit=limit, cursor=at))):
        with suppress(MemoryNotFound):  # removed since
            yield await ports.memories.get(listed.id)


async def _tokens(ports: Ports) -> AsyncIterator[Any]:
    for token in await ports.tokens.list_tokens():
        yield token


async def _records(ports: Ports, secrets: bool) -> AsyncIterator[Any]:
    """Records of every kind but imports and renames, which are work in progress of this installation."""
    for kind in Kind:
        if kind not in (Kind.IMPORT, Kind.RENAME):
            async for record in records_of(ports, kind):
                yield record if secrets else without_secrets(record)


def records_of(ports: Ports, kind: Kind) -> AsyncIterator[Record]:
    """Every record of a kind."""
    return pages(lambda limit, cursor: ports.catalogue.list_records(kind, limit, cursor))


async def pages(ask: Callable[..., Any]) -> AsyncIterator[Any]:
    """Every item of a list with pages."""
    cursor: str | None = None
    while True:
        page = await ask(_PAGE, cursor)
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return


class _Archive:
    """What has been written so far."""

    def __init__(self, ports: Ports, files: bool, told: Told) -> None:
        self._ports = ports
        self._files = files
        self._told = told
        self._numbers: dict[str, int] = {}
        self._highest = 0  # tickets in `changes` that are past it are new
        self._new: set[str] = set()
        self.counts = Counts()
        self.members: list[Listed] = []

    def plain(self, name: str, item: Any) -> bytes:
        """A member of one line."""
        return _member(name, to_line(item))

    async def wholes(self, stem: str, wholes: AsyncIterator[Whole]) -> AsyncIterator[bytes]:
        """Tickets in members of bounded size, the bytes of their attachments before them."""
        waiting: list[bytes] = []
        async for whole in wholes:
            self._count(stem, whole)
            for attachment in whole.attachments if self._files else ():
                async for chunk in self._file(attachment):
                    yield chunk
            waiting.append(to_line(whole))
            if len(waiting) == MOST_LINES or sum(map(len, waiting)) >= USUAL_BYTES:
                yield self._lines(stem, waiting)
                waiting = []
        if waiting:
            yield self._lines(stem, waiting)

    async def small(self, stem: str, items: AsyncIterator[Any]) -> AsyncIterator[bytes]:
        """Other records in members of bounded size."""
        waiting: list[bytes] = []
        async for item in items:
            setattr(self.counts, stem, getattr(self.counts, stem) + 1)
            waiting.append(to_line(item))
            if len(waiting) == MOST_LINES or sum(map(len, waiting)) >= USUAL_BYTES:
                yield self._lines(stem, waiting)
                waiting = []
        if waiting:
            yield self._lines(stem, waiting)

    def _count(self, stem: str, whole: Whole) -> None:
        if stem == "tickets":
            self.counts.add(whole)
            self._highest = whole.ticket.number
        elif whole.ticket.number > self._highest and whole.ticket.id not in self._new:
            self._new.add(whole.ticket.id)
            self.counts.add(whole)

    def _lines(self, stem: str, lines: list[bytes]) -> bytes:
        content = b"".join(lines)
        number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
        name = f"{stem}-{number:06d}.{hashlib.sha256(content).hexdigest()}.ndjson"
        self.members.append(Listed(name, len(lines), len(content)))
        self._told(self.counts)
        return _member(name, content)

    async def _file(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """An attachment's bytes; nothing where they are gone: removed since, or damaged as the source is."""
        stream = self._ports.uploads.read(attachment.key, 0, attachment.size)
        async with aclosing(stream) as chunks:  # type: ignore[type-var]
            try:
                first = await anext(chunks, b"")
            except NotFound:
                return
            if attachment.size and not first:
                return
            yield header(f"files/{attachment.key}", attachment.size)
            yield first
            async for chunk in chunks:
                yield chunk
        yield padding(attachment.size)
        self.counts.files += 1
        self.counts.file_bytes += attachment.size


def _member(name: str, content: bytes) -> bytes:
    return b"".join((header(name, len(content)), content, padding(len(content))))
