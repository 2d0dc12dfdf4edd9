"""Whether two installations hold the same: everything is read again on both sides, and every file byte for byte."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import zip_longest
from typing import Any

from backend.domain.catalogue import Kind, Record
from backend.domain.exports import Whole
from backend.domain.moves import Compared, Item, Stored, Verdict, files_of, item_of, items_of
from backend.errors import NotFound
from backend.ports import Ports
from backend.usecases.exports import all_memories, all_wholes, pages, records_of
from backend.usecases.moves import Told, all_messages, lasting, together
from backend.usecases.patience import patient, patiently

KINDS = (
    "tickets",
    "comments",
    "attachments",
    "history",
    "files",
    "tokens",
    "records",
    "audit",
    "memories",
    "messages",
    "sessions",
    "answers",
)
_FILES = 4
_MISSING = "missing"


async def compare(source: Ports, target: Ports, told: Told = lambda *_: None) -> Verdict:
    """Hold everything against everything."""
    return await _Proof(patient(source), patient(target), told).run()


class _Proof:
    """One comparison under way."""

    def __init__(self, source: Ports, target: Ports, told: Told) -> None:
        self._source = source
        self._target = target
        self._told = told
        self._found = {kind: Compared() for kind in KINDS}
        self._lost = 0

    async def run(self) -> Verdict:
        await self._in_step("tickets", all_wholes)
        await self._in_step("tokens", _tokens)
        for kind in Kind:
            await self._in_step("records", partial(_records, kind))
        await self._in_step("audit", lambda ports: pages(ports.catalogue.list_acts))
        await self._in_step("memories", all_memories)
        await self._in_step("messages", all_messages)
        await self._by_name("sessions", self._source.tokens.dump_sessions, self._session)
        await self._by_name("answers", self._source.tickets.dump_receipts, self._receipt)
        return Verdict(self._found, self._lost)

    async def _in_step(self, kind: str, stream: Callable[[Ports], AsyncIterator[Any]]) -> None:
        """Both sides page by page, so that no more is held than what one is ahead of the other."""
        here, there = together(stream(self._source)), together(stream(self._target))
        done = 0
        while True:
            ours, theirs = await asyncio.gather(anext(here, []), anext(there, []))
            if not ours and not theirs:
                return
            for one, other in zip_longest(ours, theirs):
                self._see(kind, one, at_source=True)
                self._see(kind, other, at_source=False)
            await self._files([file for one in ours for file in _files(one)])
            done += len(ours)
            self._told(f"verifying {kind}", done, None)

    def _see(self, kind: str, item: Any, *, at_source: bool) -> None:
        if item is None:
            return
        found: Sequence[Item] = list(items_of(item)) if isinstance(item, Whole) else [item_of(kind, item)]
        for one, name, line in found:
            self._found[one].see(name, line, at_source=at_source)

    async def _by_name(self, kind: str, ask: Callable[..., Any], find: Callable[[Any], Any]) -> None:
        """What can only be looked up in the target."""
        async for item in lasting(self._source, ask):
            self._see(kind, item, at_source=True)
            self._see(kind, await find(item), at_source=False)

    async def _session(self, session: Any) -> Any:
        return await self._target.tokens.find_session(session.hash)

    async def _receipt(self, receipt: Any) -> Any:
        return await self._target.tickets.find_receipt(receipt.key)

    async def _files(self, files: Sequence[Stored]) -> None:
        turn = asyncio.Semaphore(_FILES)

        async def look(file: Stored) -> None:
            async with turn:
                await patiently(lambda: self._file(file))

        await asyncio.gather(*map(look, files))

    async def _file(self, file: Stored) -> None:
        """What the record says, or where that is not true in the source either, what is there."""
        there = await _digest(self._target, file)
        here = file.sha256 if file.sha256 == there else await _digest(self._source, file)
        self._lost += here == there == _MISSING
        for digest, at_source in ((here, True), (there, False)):
            self._found["files"].see(file.key, f"{file.key} {digest}".encode(), at_source=at_source)


def _files(item: Any) -> list[Stored]:
    return files_of(item) if isinstance(item, Whole | Record) else []


def _records(kind: Kind, ports: Ports) -> AsyncIterator[Record]:
    return records_of(ports, kind)


async def _tokens(ports: Ports) -> AsyncIterator[Any]:
    for token in await ports.tokens.list_tokens():
        yield token


async def _digest(ports: Ports, file: Stored) -> str:
    """The SHA-256 of the bytes that are there."""
    digest = hashlib.sha256()
    try:
        if await ports.uploads.size(file.key) != file.size:
            return _MISSING
        async with aclosing(ports.uploads.read(file.key, 0, file.size)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                digest.update(chunk)
    except NotFound:
        return _MISSING
    return digest.hexdigest()
