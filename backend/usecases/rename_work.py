"""Carries a new name of a label to whatever has the old one, step by step, from wherever it was left.

A step looks for tickets with the old name and writes them anew in one commit with its receipt, so each is written once
and counted once, whoever goes on. It is over when a whole walk finds none.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from backend.domain import renames
from backend.domain.catalogue import Kind, Record
from backend.domain.imports import caller_of
from backend.domain.jobs import MOST_TRIES, Leased, LeaseLost
from backend.domain.labels import LabelKind, Spelling
from backend.domain.memories import Memory, MemoryQuery
from backend.domain.once import AlreadyDone, Once
from backend.domain.pages import MOST_ITEMS, TicketFilter, TicketQuery
from backend.domain.search import Condition
from backend.domain.text import folded
from backend.domain.tickets import Ticket, Written
from backend.domain.values import instant
from backend.errors import MemoryNotFound, PreconditionFailed, RecordNotFound, TicketNotFound, Unavailable
from backend.ports import MOST_TOGETHER, Ports
from backend.usecases import setup

JOB = "rename"
LEASE_SECONDS = 10.0
NOTED_SECONDS = 1.0
KEPT = {LabelKind.CATEGORY: Kind.CATEGORY, LabelKind.TEAM: Kind.TEAM}
_RECEIPT_DAYS = 30


def is_under_way(record: Record) -> bool:
    """Whether it is not over yet."""
    return record.body["state"] in ("waiting", "running")


async def run(ports: Ports, leased: Leased) -> None:
    """Go on with it until it is over; once over, look again. Raises Unavailable, LeaseLost."""
    record = await _record(ports, leased)
    if record is None:
        return
    try:
        await _Run(ports, leased, record).to_the_end()
    except PreconditionFailed:
        raise LeaseLost from None  # it goes on in other hands
    except Unavailable:
        if leased.tries >= MOST_TRIES:
            stored = await ports.catalogue.get(Kind.RENAME, record.id)
            problem = "Given up: a store could not be used, again and again."
            body = {**stored.body, "state": "failed", "problem": problem, "finished_at": ports.now()}
            await ports.catalogue.put(stored.with_body(body, ports.now()))
        raise


async def settle(ports: Ports, record: Record) -> None:
    """Spell the label so from now on, and drop the record that was merged into another."""
    kind, old, new = _named(record)
    known = await ports.labels.find([old.label, new.label])
    await ports.labels.put(renames.united(known, old, new))
    dropped = record.body["dropped"]
    if dropped:
        try:
            await ports.catalogue.remove(await ports.catalogue.get(KEPT[kind], dropped))
        except RecordNotFound:
            return
        setup.forget(ports, KEPT[kind])


def _named(record: Record) -> tuple[LabelKind, Spelling, Spelling]:
    kind = LabelKind(record.body["kind"])
    return kind, renames.label_of(kind, record.body["from"], "from"), renames.label_of(kind, record.body["to"], "to")


async def _record(ports: Ports, leased: Leased) -> Record | None:
    """What is to be done; None where it was never begun."""
    rename_id, body = leased.job.body["rename_id"], leased.job.body.get("body")
    try:
        return await ports.catalogue.get(Kind.RENAME, rename_id)
    except RecordNotFound:
        if leased.tries < 3:
            raise Unavailable("The rename has no record yet.") from None
    of = leased.job.body.get("of")
    if not of or not body:
        return None
    try:  # a record's new name was written, and then this one's record was not
        named = await ports.catalogue.get(KEPT[LabelKind(body["kind"])], of)
    except RecordNotFound:
        return None
    if named.body["name"] != body["to"]:
        return None
    at = ports.now()
    return await ports.catalogue.put(Record(Kind.RENAME, rename_id, None, body, 1, at, at))


class _Run:
    """One rename under a lease."""

    def __init__(self, ports: Ports, leased: Leased, record: Record) -> None:
        self._ports, self._leased, self._record = ports, leased, record
        self._kind, self._old, self._new = _named(record)
        self._caller = caller_of(record.body["caller"])
        self._done: dict[str, Any] = dict(record.body)
        self._noted = time.monotonic()
        self._names: frozenset[str] = frozenset()
        self._name = self._new.name

    async def to_the_end(self) -> None:
        if self._done["state"] == "waiting" or self._leased.job.body.get("anew"):
            await settle(self._ports, self._record)
        over = self._done["state"] == "done"
        if not over:
            self._done["state"] = "running"
            await self._note()
        while await self._receipt():
            pass
        await self._look()
        await self._records()
        await self._memories()
        while await self._walk(deleted=False) + await self._walk(deleted=True):
            pass
        if not over:
            self._done |= {"state": "done", "finished_at": self._ports.now()}
        if self._done != self._record.body:
            await self._note()

    async def _look(self) -> None:
        """What the label is called by now: it may have been renamed once more."""
        known = await self._ports.labels.find([self._old.label, self._new.label])
        now = known.get(self._old.label, self._new)
        if now.label == self._old.label and not now.is_former and self._old.label != self._new.label:
            now = known.get(self._new.label, self._new)  # the old name is something of its own again
        self._name = now.name
        self._names = frozenset(now.every()) - {now.name}

    async def _walk(self, *, deleted: bool) -> int:
        """Through all tickets with the old names; how many were changed."""
        found = 0
        cursor: str | None = None
        await self._look()
        if not self._names:
            return found
        asked: dict[str, Any] = {self._kind.value: tuple(sorted(self._names)), "deleted": deleted}
        while True:
            query = TicketQuery(TicketFilter(**asked), limit=MOST_TOGETHER, cursor=cursor, at=self._ports.now())
            page = await self._ports.tickets.list_tickets(query)
            if page.items:
                found += await self._step([ticket.id for ticket in page.items])
            cursor = page.next_cursor
            if cursor is None:
                return found
            if time.monotonic() - self._noted > NOTED_SECONDS:
                await self._note()
            await asyncio.sleep(0)
            await self._look()

    async def _step(self, ids: list[str]) -> int:
        """Write these anew; how many had an old name still."""
        names, name, changed = self._names, self._name, 0

        def edit(tickets: Any) -> list[Written]:
            nonlocal changed
            at = self._ports.now()
            found = [renames.relabel(self._kind, ticket, names, name, self._caller, at) for ticket in tickets]
            written = [one for one in found if one]
            changed = len(written)
            return written

        def answer(_: list[Ticket]) -> bytes:
            return json.dumps(changed).encode()

        expires = instant((int(time.time()) + _RECEIPT_DAYS * 86_400) * 1_000_000)
        try:
            await self._ports.tickets.update_many(ids, edit, Once(self._key(), self._record.id, expires, answer))
        except AlreadyDone:
            await self._receipt()  # by other hands; what these tickets lack the next walk finds
            return 1
        except TicketNotFound:
            return 1  # one is gone since: look again
        self._add(changed)
        return changed

    def _key(self) -> str:
        return f"rename:{self._record.id}:{self._done['step']}"

    async def _receipt(self) -> bool:
        """One step on, if that one has been done."""
        receipt = await self._ports.tickets.find_receipt(self._key())
        if receipt:
            self._add(json.loads(receipt.answer))
        return receipt is not None

    def _add(self, changed: int) -> None:
        self._done["changed"] += changed
        self._done["step"] += 1

    async def _note(self) -> None:
        """Write down how far it has come, and keep the lease."""
        self._noted = time.monotonic()
        following = self._record.with_body(dict(self._done), self._ports.now())
        self._record = await self._ports.catalogue.put(following)
        if not await self._ports.jobs.extend(self._leased, LEASE_SECONDS):
            raise LeaseLost

    async def _records(self) -> None:
        """Saved views that ask for it, and categories whose team it is."""
        for record in await setup.every_record(self._ports, Kind.VIEW):
            await self._put(record, renames.in_view(self._kind, record.body, self._every_spelling(record), self._name))
        if self._kind is LabelKind.TEAM:
            for record in await setup.every_record(self._ports, Kind.CATEGORY):
                team = record.body.get("team")
                if team and self._is_old(team):
                    await self._put(record, {**record.body, "team": self._name})
            setup.forget(self._ports, Kind.CATEGORY)

    def _every_spelling(self, record: Record) -> frozenset[str]:
        """What the view calls it; people type names in any case."""
        return frozenset(name for name in record.body["query"].get(self._kind.value, ()) if self._is_old(name))

    def _is_old(self, name: str) -> bool:
        return folded(name) in map(folded, (*self._names, self._name))

    async def _put(self, record: Record, body: dict[str, Any]) -> None:
        if body == record.body:
            return
        try:
            await self._ports.catalogue.put(record.with_body(body, self._ports.now(), record.label))
        except PreconditionFailed:
            raise Unavailable(f"The {record.kind} {record.id} was changed just now.") from None  # tried again

    async def _memories(self) -> None:
        async for memory in self._found():
            try:
                await self._ports.memories.update(memory.id, self._relabelled)
            except MemoryNotFound:
                continue

    async def _found(self) -> AsyncIterator[Memory]:
        condition = Condition(self._kind.value, tuple(sorted({*self._names, self._name})))
        cursor: str | None = None
        while True:
            query = MemoryQuery(also=(condition,), limit=MOST_ITEMS, cursor=cursor)
            page = await self._ports.memories.list_memories(query)
            for memory in page.items:
                yield memory
            cursor = page.next_cursor
            if cursor is None:
                return

    def _relabelled(self, memory: Memory) -> Memory | None:
        said = (*memory.tags, *(name for name in (memory.category, memory.team) if name))
        old = frozenset(name for name in said if self._is_old(name))
        values = renames.relabelled(self._kind, memory, old, self._name)
        same = all(getattr(memory, name) == value for name, value in values.items())
        return None if same else replace(memory, **values)
