"""An export back in. Each member is proved before it takes effect, what is there and the same is skipped, and
nothing is ever written over: an import that was cut short is started again from its beginning."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.archives import Member, members
from backend.domain.catalogue import Record, act
from backend.domain.exports import (
    FILE_NAME,
    HEAD,
    LARGEST_MANIFEST,
    LARGEST_MEMBER,
    LINES_NAME,
    MANIFEST,
    READ_FORMATS,
    Counts,
    Differs,
    Head,
    Listed,
    Manifest,
    Outcome,
    Whole,
    from_line,
)
from backend.domain.memories import Memory
from backend.domain.moves import travelling
from backend.domain.once import Once
from backend.domain.upgrades import from_any_line
from backend.domain.webhooks import lacks_secret, with_secret_of
from backend.errors import InvalidInput, MemoryNotFound, RecordNotFound
from backend.ports import MOST_TOGETHER, Ports
from backend.usecases import setup

LARGEST_FILE = 16 * 1024 * 1024 * 1024
_MOST_AHEAD = 100_000


@dataclass(slots=True)
class Taken:
    """What an import found: how many records of each kind came in, and how many of them were there already."""

    read: Counts = field(default_factory=Counts)
    added: int = 0
    same: int = 0
    forwarded: int = 0
    files_added: int = 0
    settled: bool = True


Told = Callable[[Taken], None]


async def take_in(ports: Ports, caller: Caller, stream: AsyncIterator[bytes]) -> Taken:
    """Load an export. Raises InvalidInput, TooLarge (what it is not), Differs (what is here is something else)."""
    caller.must_be(Role.ADMIN)
    return await load(ports, stream)


async def write_down(ports: Ports, caller: Caller, taken: Taken, once: Once | None = None) -> None:
    """That it was done, and by whom: the request's decisive write, as the records themselves may come again."""
    counts = {"tickets": taken.read.tickets, "added": taken.added, "forwarded": taken.forwarded}
    done = act(caller, ports.now(), "imported", "everything", **counts)
    await ports.catalogue.log_act(done, once and once.wrapping(lambda _: taken))


async def load(ports: Ports, stream: AsyncIterator[bytes], told: Told = lambda _: None) -> Taken:
    """Load an export into these stores."""
    return await _Load(ports, told).run(stream)


async def check(stream: AsyncIterator[bytes], told: Told = lambda _: None) -> Taken:
    """Prove an export whole and sound, and touch nothing."""
    return await _Load(None, told).run(stream)


class _Load:
    """One import under way; without ports it only looks."""

    def __init__(self, ports: Ports | None, told: Told) -> None:
        self._ports = ports
        self._told = told
        self._taken = Taken()
        self._members: list[Listed] = []
        self._numbers: set[int] = set()
        self._highest = 0
        self._files: dict[str, str] = {}  # key → SHA-256 of the bytes that wait for the member that names them
        self._new_files: set[str] = set()
        self._ahead: set[str] = set()  # stored tickets that are past the stream's; `changes` may still say the same

    async def run(self, stream: AsyncIterator[bytes]) -> Taken:
        manifest: Manifest | None = None
        head: Head | None = None
        async for member in members(stream):
            if manifest:
                raise InvalidInput(f"The archive goes on after {MANIFEST}.")
            if head is None:
                head = await self._head(member)
            elif member.name == MANIFEST:
                manifest = from_line(MANIFEST, await member.read(LARGEST_MANIFEST))
            else:
                await self._member(member)
            self._told(self._taken)
        if manifest is None:
            raise InvalidInput(f"The archive holds no {MANIFEST}: it is no export, or was cut off.")
        return await self._finish(manifest)

    async def _head(self, member: Member) -> Head:
        if member.name != HEAD:
            raise InvalidInput(f"The archive begins with {member.name[:100]!r} and not with {HEAD}: it is no export.")
        head: Head = from_line(HEAD, await member.read(LARGEST_MANIFEST))
        if head.format not in READ_FORMATS:
            known = " and ".join(map(str, READ_FORMATS))
            raise InvalidInput(f"The export has format {head.format}; this version reads formats {known}.")
        return head

    async def _member(self, member: Member) -> None:
        lines, file = LINES_NAME.fullmatch(member.name), FILE_NAME.fullmatch(member.name)
        if lines:
            await self._lines(member, lines[1], lines[3])
        elif file:
            await self._file(member, file[1])
        else:
            raise InvalidInput(f"The archive holds {member.name[:100]!r}, which is no part of an export.")

    async def _lines(self, member: Member, kind: str, sha256: str) -> None:
        content = await member.read(LARGEST_MEMBER)
        items = await asyncio.to_thread(_parse, member.name, kind, sha256, content)
        self._members.append(Listed(member.name, len(items), len(content)))
        if kind in ("tickets", "changes"):
            await self._match_files(items)
        for start in range(0, len(items), MOST_TOGETHER):
            some = items[start : start + MOST_TOGETHER]
            self._count(kind, some)
            if self._ports:
                await self._load(self._ports, kind, some)

    def _count(self, kind: str, items: Sequence[Any]) -> None:
        read = self._taken.read
        for item in items:
            if kind == "tickets":
                self._highest = item.ticket.number
                read.add(item)
            elif kind == "changes":
                number = item.ticket.number
                if number > self._highest and number not in self._numbers:
                    self._numbers.add(number)
                    read.add(item)
            else:
                setattr(read, kind, getattr(read, kind) + 1)

    async def _load(self, ports: Ports, kind: str, items: Sequence[Any]) -> None:
        if kind in ("tickets", "changes"):
            if self._taken.added + self._taken.same + self._taken.forwarded == 0 and not self._ahead:
                await _must_be_ours(ports, items)
            outcomes = await ports.tickets.load(items)
            self._note_ahead(items, outcomes)
        elif kind == "tokens":
            outcomes = await ports.tokens.load(items)
        elif kind == "catalogue":
            await pass_events(ports)
            outcomes = await load_records(ports, items)
        elif kind == "audit":
            outcomes = await ports.catalogue.load_acts(items)
        else:
            outcomes = [await load_memory(ports, memory) for memory in items]
        other = [(_named(kind, item), "is something else here") for item, o in zip(items, outcomes, strict=True)
                 if o is Outcome.OTHER]  # fmt: skip
        if other:
            raise Differs(f"{len(other)} records here have the same id or number and are something else.", other)
        self._taken.added += outcomes.count(Outcome.ADDED)
        self._taken.same += outcomes.count(Outcome.SAME)
        self._taken.forwarded += outcomes.count(Outcome.FORWARDED)

    def _note_ahead(self, items: Sequence[Whole], outcomes: Sequence[Outcome]) -> None:
        for whole, outcome in zip(items, outcomes, strict=True):
            if outcome is Outcome.AHEAD:
                self._ahead.add(whole.ticket.id)
            else:
                self._ahead.discard(whole.ticket.id)
        if len(self._ahead) > _MOST_AHEAD:
            raise _ahead(self._ahead)

    async def _file(self, member: Member, key: str) -> None:
        self._taken.read.files += 1
        self._taken.read.file_bytes += member.size
        size = await self._ports.uploads.size(key) if self._ports else None
        if self._ports is None or size == member.size:
            self._files[key] = await _digest(member)
            return
        if size is not None:
            raise Differs(f"The file {key} is here with {size} bytes instead of {member.size}.")
        stored = await self._ports.uploads.put(member.chunks(), LARGEST_FILE, key)
        self._new_files.add(key)
        self._files[key] = stored.sha256
        self._taken.files_added += 1

    async def _match_files(self, wholes: Sequence[Whole]) -> None:
        """Hold the bytes that came before these tickets against what their records say; what is wrong goes again."""
        wanted = {file.key: file.sha256 for whole in wholes for file in whole.attachments}
        for key, sha256 in self._files.items():
            if wanted.get(key) != sha256:
                if self._ports and key in self._new_files:
                    await self._ports.uploads.delete(key)
                raise InvalidInput(f"files/{key} is damaged, or no ticket after it names it.")
        self._files.clear()
        self._new_files.clear()

    async def _finish(self, manifest: Manifest) -> Taken:
        if self._files or manifest.members != tuple(self._members) or manifest.counts != self._taken.read:
            raise InvalidInput(f"The archive does not hold what its {MANIFEST} says: parts of it are missing.")
        if self._ahead:
            raise _ahead(self._ahead)
        if self._ports:
            further = await self._ports.tickets.dump(max(self._highest, *self._numbers, 0), 1)
            if further:
                raise Differs(
                    "Everything of the export is here, and this installation holds further tickets, such as "
                    f"number {further[0].ticket.number}."
                )
        self._taken.settled = manifest.settled
        return self._taken


def _parse(name: str, kind: str, sha256: str, content: bytes) -> list[Any]:
    """The records of a member whose digest is the one in its name."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidInput(f"{name} is damaged: its SHA-256 is not the one in its name.")
    return [from_any_line(kind, line) for line in content.removesuffix(b"\n").split(b"\n")]


async def _digest(member: Member) -> str:
    digest = hashlib.sha256()
    async for chunk in member.chunks():
        digest.update(chunk)
    return digest.hexdigest()


async def _must_be_ours(ports: Ports, first: Sequence[Whole]) -> None:
    """Before anything is written: an installation with tickets must have begun with these, in whatever order."""
    stored = await ports.tickets.dump(0, 1)
    if stored and stored[0].ticket.id not in {whole.ticket.id for whole in first}:
        raise Differs("This installation holds tickets of its own; an import needs an empty one, or the same one.")


async def pass_events(ports: Ports) -> None:
    """Before webhooks come in: what has been loaded is history, and was told where it happened."""
    await ports.outbox.fan_out(await ports.outbox.position(), await ports.tickets.settled_position(), ())


async def load_records(ports: Ports, records: Sequence[Record]) -> list[Outcome]:
    """Write them as they travel; what is here just as it was there (its own export, come back) is the same too."""
    records = [await _with_secret(ports, record) if lacks_secret(record) else record for record in records]
    outcomes = list(await ports.catalogue.load([travelling(record) for record in records]))
    for index, record in enumerate(records):
        if outcomes[index] is Outcome.OTHER and travelling(record) is not record:
            outcomes[index] = (await ports.catalogue.load([record]))[0]
        setup.forget(ports, record.kind)
    return outcomes


async def _with_secret(ports: Ports, record: Record) -> Record:
    """A webhook of an export without secrets keeps the one it has here, else it gets a new one."""
    try:
        return with_secret_of(record, await ports.catalogue.get(record.kind, record.id))
    except RecordNotFound:
        return with_secret_of(record, None)


async def load_memory(ports: Ports, memory: Memory) -> Outcome:
    """Write one, unless what is here is something else or later."""
    try:
        stored = await ports.memories.get(memory.id)
    except MemoryNotFound:
        await ports.memories.put(memory)
        return Outcome.ADDED
    if stored == memory:
        return Outcome.SAME
    if (stored.created_at, stored.author) != (memory.created_at, memory.author) or stored.digest == memory.digest:
        return Outcome.OTHER
    if stored.updated_at > memory.updated_at:
        return Outcome.OTHER
    await ports.memories.put(memory)
    return Outcome.FORWARDED


def _named(kind: str, item: Any) -> str:
    if isinstance(item, Whole):
        return f"ticket {item.ticket.id} (number {item.ticket.number})"
    return f"{kind} {item.id}"


def _ahead(ids: set[str]) -> Differs:
    told = [(f"ticket {one}", "has gone on here since") for one in sorted(ids)]
    return Differs(f"{len(ids)} tickets have been changed here since the export; they were left as they are.", told)
