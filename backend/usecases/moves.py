"""Everything from one set of stores into another, through the ports. Written so that it may be cut off anywhere and
simply be done again: what is there already and the same is left, nothing else is written over."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from backend.domain.catalogue import Kind
from backend.domain.exports import Differs, Outcome
from backend.domain.jobs import Job
from backend.domain.moves import Stored, files_of, is_under_way, lasts
from backend.errors import Unavailable
from backend.ports import MOST_TOGETHER, Ports
from backend.usecases import outbox, rename_work
from backend.usecases.exports import all_memories, all_wholes, pages, records_of
from backend.usecases.import_work import JOB
from backend.usecases.loads import LARGEST_FILE, load_memory, load_records, pass_events
from backend.usecases.patience import patient, patiently

Told = Callable[[str, int, int | None], None]
"""Told of the kind that is under way, how many of it are done, and how many there are, where that is known."""
Load = Callable[[Sequence[Any]], Awaitable[Sequence[Outcome]]]

LONGEST_WAIT, PAUSE = 120.0, 0.05
_PARTS = 5  # of a load, side by side
_FILES = 4


async def move(source: Ports, target: Ports, told: Told = lambda *_: None) -> Counter[Outcome]:
    """Copy everything; how many records were what. Raises Differs where the target holds something else."""
    moving = _Move(patient(source), patient(target), told)
    await moving.run()
    return moving.outcomes


async def highest_number(ports: Ports) -> int:
    """The greatest number that a ticket has, by halving: no port counts."""
    low, high = 0, 1
    while await ports.tickets.dump(high, 1):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if await ports.tickets.dump(middle, 1):
            low = middle + 1
        else:
            high = middle
    return high


async def together(items: AsyncIterator[Any], most: int = MOST_TOGETHER) -> AsyncIterator[list[Any]]:
    """The items in lists of so many."""
    held: list[Any] = []
    async for item in items:
        held.append(item)
        if len(held) == most:
            yield held
            held = []
    if held:
        yield held


class _Move:
    """One move under way."""

    def __init__(self, source: Ports, target: Ports, told: Told) -> None:
        self._source = source
        self._target = target
        self._told = told
        self.outcomes: Counter[Outcome] = Counter()

    async def run(self) -> None:
        source, target = self._source, self._target
        await self._owe_nothing()
        await self._tickets()
        await pass_events(target)
        await self._all("tokens", _listed(source.tokens.list_tokens), self._load_tokens)
        for kind in Kind:
            await self._all(f"{kind} records", records_of(source, kind), self._load_records)
        await self._all("audit", pages(source.catalogue.list_acts), target.catalogue.load_acts)
        await self._all("memories", all_memories(source), self._load_memories)
        await self._all("messages", all_messages(source), target.outbox.load)
        await self._all("sessions", lasting(source, source.tokens.dump_sessions), target.tokens.load_sessions)
        await self._all("answers", lasting(source, source.tickets.dump_receipts), target.tickets.load_receipts)
        await self._go_on_with_imports()
        await self._go_on_with_renames()

    async def _owe_nothing(self) -> None:
        """Make the source's events into the messages they stand for: nobody would do it later."""
        source, deadline = self._source, time.monotonic() + LONGEST_WAIT
        await source.tickets.settled_position()  # what lies behind an empty place among the events is owed too
        while await outbox.fan_out(source) or (await outbox.figures(source)).events_behind:
            if time.monotonic() > deadline:
                raise Unavailable("The source's events can't be made into messages to webhooks.")
            await asyncio.sleep(PAUSE)

    async def _tickets(self) -> None:
        last = await highest_number(self._source)
        await self._must_be_ours()
        ahead: list[str] = []

        async def load(wholes: Sequence[Any]) -> Sequence[Outcome]:
            await self._files([file for whole in wholes for file in files_of(whole)])
            found = await self._target.tickets.load(wholes)
            ahead.extend(w.ticket.id for w, o in zip(wholes, found, strict=True) if o is Outcome.AHEAD)
            return found

        await self._all("tickets", all_wholes(self._source), load, last, lambda whole: whole.ticket.number)
        further = await self._target.tickets.dump(last, 1)
        ahead += [whole.ticket.id for whole in further]
        if ahead:
            told = [(f"ticket {one}", "is new or has gone on in the target") for one in ahead]
            raise Differs("The target has been worked with since it was moved to; nothing of that was changed.", told)

    async def _must_be_ours(self) -> None:
        """Before anything is written: the first of the target's tickets must be one of the source."""
        theirs = await self._target.tickets.dump(0, 1)
        if theirs and not await self._source.tickets.dump_these([theirs[0].ticket.id]):
            raise Differs("The target holds tickets of its own; a move needs an empty one, or goes on with its own.")

    async def _all(
        self,
        kind: str,
        items: AsyncIterator[Any],
        load: Load,
        last: int | None = None,
        number: Callable[[Any], int] | None = None,
    ) -> None:
        """Load all of a kind. Raises Differs."""
        done = 0
        async for some in together(items):
            size = -(-len(some) // _PARTS)
            parts = [some[start : start + size] for start in range(0, len(some), size)]
            found = await asyncio.gather(*map(load, parts))
            outcomes = [outcome for part in found for outcome in part]
            _refuse_others(kind, some, outcomes)
            self.outcomes.update(outcomes)
            done = number(some[-1]) if number else done + len(some)
            self._told(kind, done, last)

    async def _load_tokens(self, tokens: Sequence[Any]) -> Sequence[Outcome]:
        outcomes = await self._target.tokens.load(tokens)
        for token, outcome in zip(tokens, outcomes, strict=True):
            if outcome is Outcome.SAME and token.last_used_at:
                await self._target.tokens.mark_used(token.id, token.last_used_at)
        return outcomes

    async def _load_records(self, records: Sequence[Any]) -> Sequence[Outcome]:
        await self._files([file for record in records for file in files_of(record)])
        return await load_records(self._target, records)

    async def _load_memories(self, memories: Sequence[Any]) -> Sequence[Outcome]:
        return [await load_memory(self._target, memory) for memory in memories]

    async def _files(self, files: Sequence[Stored]) -> None:
        """Bytes before the records that name them."""
        turn = asyncio.Semaphore(_FILES)

        async def copy(file: Stored) -> None:
            async with turn:
                await patiently(lambda: self._file(file))

        await asyncio.gather(*map(copy, files))

    async def _file(self, file: Stored) -> None:
        """One file, unless its bytes are there, or are gone in the source too."""
        if await self._target.uploads.size(file.key) == file.size or await self._source.uploads.size(file.key) is None:
            return
        await self._target.uploads.put(self._source.uploads.read(file.key, 0, file.size), LARGEST_FILE, file.key)

    async def _go_on_with_imports(self) -> None:
        """A job for each import of a table that is not over: it goes on from the receipts that came along."""
        async for record in records_of(self._source, Kind.IMPORT):
            if is_under_way(record):
                body = {"import_id": record.id, "key": record.body["key"]}
                await self._target.jobs.put(Job(record.id, JOB, body, self._target.now()))

    async def _go_on_with_renames(self) -> None:
        """A job for each that is not over. How labels are spelled does not come along, so it says so anew."""
        async for record in records_of(self._source, Kind.RENAME):
            if rename_work.is_under_way(record):
                body = {"rename_id": record.id, "anew": True}
                await self._target.jobs.put(Job(record.id, rename_work.JOB, body, self._target.now()))


def _refuse_others(kind: str, items: Sequence[Any], outcomes: Sequence[Outcome]) -> None:
    told = [
        (f"{kind}: {_name(item)}", "is something else in the target")
        for item, outcome in zip(items, outcomes, strict=True)
        if outcome is Outcome.OTHER
    ]
    if told:
        raise Differs("The target holds something else; a move needs an empty one, or the same one.", told)


def _name(item: Any) -> str:
    ticket = getattr(item, "ticket", item)
    return str(getattr(ticket, "id", "one"))


async def _listed(ask: Callable[[], Awaitable[Sequence[Any]]]) -> AsyncIterator[Any]:
    for item in await ask():
        yield item


async def all_messages(ports: Ports) -> AsyncIterator[Any]:
    """Every message of every webhook; those of webhooks that are gone will never be sent."""
    async for webhook in records_of(ports, Kind.WEBHOOK):
        async for delivery in pages(
            lambda limit, cursor, at=webhook.id: ports.outbox.list_deliveries(at, None, limit, cursor)
        ):
            yield delivery


async def lasting(ports: Ports, ask: Callable[..., Any]) -> AsyncIterator[Any]:
    """Sessions or receipts that are good for a while yet."""
    at = ports.now()
    async for item in pages(ask):
        if lasts(item, at):
            yield item
