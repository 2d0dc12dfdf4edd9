"""Live updates. One reader of the store a process, the hub, serves every stream that is open.

A stream that has caught up gets its events from the hub's ring, each made into bytes once. One that has just come,
or has fallen behind the ring, reads from the store until it has caught up. Nothing is ever queued for a stream: it
only remembers how far it has come, so one that is stuck costs nothing and holds up nobody.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from backend.domain.events import Sight
from backend.domain.tickets import Position
from backend.errors import InvalidInput, Unavailable
from backend.ports import Ports

LONGEST_WAIT = 60.0
TROUBLE_SECONDS = 1.0
STALE_SECONDS = 5.0
READ_AT_ONCE = 100
LONGEST_RING = 1_000
LARGEST_RING = 4 * 1024 * 1024
LARGEST_PIECE = 64 * 1024
MOST_PIECES = 64

# Readers are woken a few at a time with a pause between that is as long as they took: requests come between them, and
# however many streams are open, waking them takes at most half of the process, in a time that is linear in them.
WOKEN_TOGETHER = 8

logger = logging.getLogger("backend.events")

Shown = Callable[[Position], bytes]


@dataclass(frozen=True, slots=True)
class _Entry:
    position: Position
    shown: bytes


@dataclass(slots=True, eq=False)
class Reader:
    """One stream: who reads, and how far they have come. Events up to `joined` come from the store.

    `rank` is the person's how manieth stream it is: everybody's first ones are woken first, so that whoever holds many
    makes nobody else's late.
    """

    sight: Sight
    after: int
    joined: int
    rank: int = 1
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def end(self) -> None:
        """Nothing more for this one."""
        self.ended = True
        self.bell.set()


class Hub:
    """Reads events as long as anybody follows them, and lets the readers know. `show` makes an event into bytes."""

    def __init__(self, ports: Ports, show: Shown) -> None:
        self._tickets = ports.tickets
        self._show = show
        self._ring: deque[_Entry] = deque()
        self._ring_bytes = 0
        self._before_ring = 0
        self._newest = 0
        self._readers: set[Reader] = set()
        self._pieces: dict[tuple[Sight, int], tuple[bytes, int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def start_of(self, after: int | None) -> int:
        """Where to start: past `after`, or past what is there now. Raises InvalidInput where that lies ahead."""
        newest = await self._tickets.last_position()
        if after is not None and after > newest:
            raise InvalidInput(f"Last-Event-ID {after} lies ahead of the newest event, {newest}; start without it.")
        return newest if after is None else after

    async def join(self, sight: Sight, after: int, rank: int = 1) -> Reader:
        """A new reader of the events past `after`; to be given to `leave` in the end."""
        newest = await self._tickets.last_position()
        if self._task is None:
            self._ring.clear()
            self._pieces.clear()
            self._ring_bytes = 0
            self._newest = self._before_ring = newest
            self._task = asyncio.create_task(self._run(), name="events", context=Context())  # of no request
        reader = Reader(sight, after, newest, rank, ended=self._closed)
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader; with the last one the hub rests."""
        self._readers.discard(reader)
        if not self._readers and self._task is not None:
            self._task.cancel()
            self._task = None

    def close(self) -> None:
        """End every stream, and each that comes later."""
        self._closed = True
        for reader in self._readers:
            reader.end()

    async def next(self, reader: Reader, seconds: float) -> bytes:
        """What comes next for the reader; empty where there was nothing in time, or where it has ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not reader.ended and loop.time() < deadline:
            reader.bell.clear()
            if reader.after < self._newest:
                piece = await self._read_on(reader)
                if piece:
                    return piece
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await reader.bell.wait()
        return b""

    def refresh(self, reader: Reader) -> None:
        """Let the reader, who was held up, read from the store: what the ring says of who may see it has aged."""
        reader.joined = self._newest

    async def _read_on(self, reader: Reader) -> bytes:
        if reader.after < max(self._before_ring, reader.joined):
            found = await self._tickets.list_events(reader.after, READ_AT_ONCE)
            stored = (_Entry(position, b"") for position in found)
            piece, reader.after = self._join(reader.sight, stored, reader.after)
            if not found:
                reader.joined = reader.after = max(reader.after, self._newest)
            await asyncio.sleep(0)
            return piece
        key = (reader.sight, reader.after)
        known = self._pieces.get(key)
        if known is None:
            known = self._join(reader.sight, self._ring_past(reader.after), reader.after)
            if len(self._pieces) >= MOST_PIECES:
                self._pieces.clear()
            self._pieces[key] = known
        piece, reader.after = known
        return piece

    def _ring_past(self, after: int) -> Iterator[_Entry]:
        newer = 0
        for entry in reversed(self._ring):
            if entry.position.number <= after:
                break
            newer += 1
        return (self._ring[index] for index in range(len(self._ring) - newer, len(self._ring)))

    def _join(self, sight: Sight, entries: Iterable[_Entry], after: int) -> tuple[bytes, int]:
        """What the sight takes of the entries, up to LARGEST_PIECE, and the position that this reaches."""
        parts: list[bytes] = []
        size = 0
        for entry in entries:
            after = entry.position.number
            seen = sight.of(entry.position)
            if seen is not None:
                shown = entry.shown if entry.shown and seen is entry.position else self._show(seen)
                parts.append(shown)
                size += len(shown)
                if size >= LARGEST_PIECE:
                    break
        return b"".join(parts), after

    async def _run(self) -> None:
        while True:
            try:
                await self._tickets.wait_for_events(self._newest, LONGEST_WAIT)
                if await self._read_all():
                    await self._wake_all()
            except Unavailable as problem:
                logger.warning("events can't be read: %s", problem)
                await asyncio.sleep(TROUBLE_SECONDS)
            except Exception:
                logger.exception("an unexpected error")
                await asyncio.sleep(TROUBLE_SECONDS)

    async def _read_all(self) -> bool:
        """Take what is new into the ring, as much as it holds; whether there was anything."""
        taken = 0
        while taken < LONGEST_RING:
            found = await self._tickets.list_events(self._newest, READ_AT_ONCE)
            self._take(found)
            taken += len(found)
            if len(found) < READ_AT_ONCE:
                break
            await asyncio.sleep(0)
        return taken > 0

    def _take(self, found: Sequence[Position]) -> None:
        for position in found:
            entry = _Entry(position, self._show(position))
            self._ring.append(entry)
            self._ring_bytes += len(entry.shown)
            self._newest = position.number
        while len(self._ring) > LONGEST_RING or self._ring_bytes > LARGEST_RING:
            gone = self._ring.popleft()
            self._ring_bytes -= len(gone.shown)
            self._before_ring = gone.position.number
        if found:
            self._pieces.clear()

    async def _wake_all(self) -> None:
        loop = asyncio.get_running_loop()
        readers = sorted(self._readers, key=lambda reader: reader.rank)
        for start in range(0, len(readers), WOKEN_TOGETHER):
            began = loop.time()
            for reader in readers[start : start + WOKEN_TOGETHER]:
                reader.bell.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # they hear the bell in one round of the loop and send in the next
            await asyncio.sleep(loop.time() - began)
