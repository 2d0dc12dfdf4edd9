"""One order over the events of all tickets, and the transactions that write them.

A transaction takes a block (a number from the table's counter) *before* it commits, and writes under it whose history
got a line: the position of its n-th event is `block * 64 + n`. Blocks may commit in another order than they were
taken, so a reader that meets a block not yet written waits for it. A writer that died would keep it waiting for ever:
after HOLE_SECONDS the reader closes the block with an empty one, on condition that it is still absent, and a late
writer's own condition makes its transaction fail, whereupon it takes a new block. So nothing ever appears before what a
reader has seen.

Within one ticket positions follow versions, because the block is taken after the ticket was read and a transaction
that lost to another takes a new one.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.adapters.aws import table as limits
from backend.adapters.aws.table import (
    ABSENT,
    COUNTERS,
    Action,
    Cancelled,
    Item,
    Key,
    Table,
    delete,
    put,
)
from backend.adapters.aws.ticket_items import event_item, event_of, history_key, position_of, ticket_key, ticket_of
from backend.domain.tickets import Event, Position
from backend.errors import TicketBackendError, Unavailable, Uncertain

logger = logging.getLogger("backend.dynamodb")

A_BLOCK = 64  # most events of one transaction
HOLE_SECONDS = 3.0
ASK_SECONDS = 0.7  # for what other processes write
LOOK_SECONDS = 0.2  # for what is to settle
SETTLED_BLOCKS = 1_000  # below so many, no writer is still at it when a process looks for the first time
_MOST_BLOCKS = 5


def block_key(block: int) -> Key:
    """Where a block lies: each in a partition of its own, so that none is hot."""
    return f"E#{block}", "E"


@dataclass(slots=True)
class Plan:
    """What one transaction is to write. `hints` only propose (see `table`), so they may be written around it."""

    truth: list[Action]
    events: Sequence[Event]
    receipt: list[Action] = field(default_factory=list)
    add: list[Item] = field(default_factory=list)
    remove: list[Key] = field(default_factory=list)
    version: int = 0
    """That of the ticket whose hints these are: a hint that a later version wrote is not removed."""


class Lost(Exception):
    """A condition of the truth did not hold: by index, which."""

    def __init__(self, failed: Sequence[int]) -> None:
        super().__init__("somebody else was faster")
        self.failed = failed


class ReceiptExists(Exception):
    """Another request with this key took effect first."""


class Events:
    """Writes and reads the one order."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._missing: dict[int, float] = {}
        self._known = 0, 0  # up to which block nothing is missing, and the last position in there
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def commit(self, plan: Plan, block: int | None = None) -> None:
        """Write it all, under `block` or one taken now. Raises Lost, ReceiptExists; then nothing has changed."""
        for _ in range(_MOST_BLOCKS):
            if block is None:
                _, block = self._table.take(0, 1)
            try:
                self._write(plan, block)
            except _BlockClosed:
                block = None
                continue
            except Unavailable as problem:
                if not self._took_effect(plan, block, problem):
                    raise
            except Exception:
                self._close(block)
                raise
            self._wake()
            return
        raise Unavailable(f"{self._table.what} is too slow: readers closed {_MOST_BLOCKS} blocks of this write.")

    def _write(self, plan: Plan, block: int) -> None:
        positions = [(block * A_BLOCK + n, event) for n, event in enumerate(plan.events)]
        pk, sk = block_key(block)
        named = " ".join(event.ticket_id for event in plan.events)
        fixed = [*plan.truth, put({"pk": pk, "sk": sk, "tickets": named}, ABSENT), *plan.receipt]
        provisional = len(fixed) + len(positions) > limits.MOST_ACTIONS
        lines = [event_item(event, position, provisional=provisional) for position, event in positions]
        before: list[Item] = lines if provisional else []
        actions = fixed if provisional else [*fixed, *map(put, lines)]
        room = max(0, limits.MOST_ACTIONS - len(actions))
        actions = [*actions, *map(put, plan.add[:room])]
        before = [*before, *plan.add[room:]]
        room = max(0, limits.MOST_ACTIONS - len(actions))
        actions = [*actions, *map(delete, plan.remove[:room])]
        if before:
            self._table.put_many(before)
        try:
            self._table.transact(actions)
        except Cancelled as problem:
            raise _cause(plan, problem) from None
        self._remove(plan.remove[room:], plan.version)

    def _remove(self, keys: Sequence[Key], version: int) -> None:
        """Hints that found no room; left behind they would do no harm, so trouble is only logged."""
        older = "attribute_not_exists(version) OR version < :version"
        try:
            for start in range(0, len(keys), limits.MOST_ACTIONS):
                part = keys[start : start + limits.MOST_ACTIONS]
                try:
                    self._table.transact([delete(key, older, version=version) for key in part])
                except Cancelled:
                    for key in part:
                        self._table.delete_if(key, older, version=version)
        except TicketBackendError as problem:
            logger.warning("hints of an older text are left behind: %s", problem)

    def _took_effect(self, plan: Plan, block: int, problem: Unavailable) -> bool:
        """Whether a write took effect although its answer is missing: its block, which is nobody else's, says so.

        Closed now, the block keeps the write from ever doing so. Raises Uncertain where the table does not tell.
        """
        key = block_key(block)
        try:
            if self._table.put_if({"pk": key[0], "sk": key[1]}, ABSENT):
                return False
            found = self._table.get(key)
        except TicketBackendError:
            raise Uncertain(str(problem)) from problem
        named = [event.ticket_id for event in plan.events]
        if not named:
            raise Uncertain(str(problem)) from problem  # a block that names nothing looks like a closed one
        return _tickets(found) == named

    def _close(self, block: int) -> bool:
        """Fill a block with nothing, so that no reader waits for it; whether it was still absent."""
        pk, sk = block_key(block)
        try:
            return self._table.put_if({"pk": pk, "sk": sk}, ABSENT)
        except TicketBackendError:
            return False  # a reader will do it

    # ---- Waiting ---------------------------------------------------------------------------------------------------

    async def wait(self, after: int, seconds: float) -> None:
        """Until a reader would see something past this position: woken by this process's writes, asking for others'."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        deadline = time.monotonic() + seconds
        with self._lock:
            self._waiting.append(waiter)
        try:
            while True:
                waiter[1].clear()
                left = deadline - time.monotonic()
                if left <= 0 or await self._table.cloud.run(lambda: bool(self.after(after, 1))):
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiter[1].wait(), min(left, ASK_SECONDS))
        finally:
            with self._lock:
                self._waiting.remove(waiter)

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, event in waiting:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(event.set)

    # ---- Reading ---------------------------------------------------------------------------------------------------

    def newest(self) -> int:
        """The newest block that was taken."""
        counters = self._table.get(COUNTERS)
        return int(counters.get("blocks", 0)) if counters else 0

    def last_position(self) -> int:
        """The position of the newest event before which nothing is missing: who starts past it will miss nothing."""
        top = self.newest()
        whole, last = self._known if self._known[0] <= top else (0, 0)  # else the table was made anew
        if whole == 0:
            whole = max(0, top - SETTLED_BLOCKS)
            last = self._last_up_to(whole)
        while whole < top:
            numbers = range(whole + 1, min(top, whole + 100) + 1)
            blocks = self._table.get_many(map(block_key, numbers))
            self._note_missing([n for n in numbers if block_key(n) not in blocks])
            for number in numbers:
                item = blocks.get(block_key(number))
                if item is None and self._waits_for(number):
                    self._known = whole, last
                    return last
                self._missing.pop(number, None)
                whole, last = number, _last_of(number, item) or last
        self._known = whole, last
        return last

    async def settled_position(self) -> int:
        """The same, once it counts every block that is taken by now."""
        top = await self._table.cloud.run(self.newest)
        while True:
            last = await self._table.cloud.run(self.last_position)
            if self._known[0] >= top:
                return last
            await asyncio.sleep(LOOK_SECONDS)

    def _last_up_to(self, top: int) -> int:
        """The position of the newest event in these blocks, of which none is still to come."""
        while top > 0:
            low = max(1, top - 15)
            blocks = self._table.get_many(block_key(n) for n in range(low, top + 1))
            for block in range(top, low - 1, -1):
                last = _last_of(block, blocks.get(block_key(block)))
                if last:
                    return last
            top = low - 1
        return 0

    def after(self, after: int, limit: int) -> list[Position]:
        """The events past this position, as far as nothing is missing before them."""
        found: list[tuple[int, str]] = []
        block, top = max(1, (after + 1) // A_BLOCK), self.newest()
        while block <= top and len(found) < limit:
            last = min(top, block + min(limit, 100) - 1)
            blocks = self._table.get_many(block_key(n) for n in range(block, last + 1))
            self._note_missing([n for n in range(block, last + 1) if block_key(n) not in blocks])
            for number in range(block, last + 1):
                item = blocks.get(block_key(number))
                if item is None and self._waits_for(number):
                    return self._positions(found[:limit])
                self._missing.pop(number, None)
                named = [(number * A_BLOCK + n, ticket) for n, ticket in enumerate(_tickets(item))]
                found += [one for one in named if one[0] > after]
            block = last + 1
        return self._positions(found[:limit])

    def _note_missing(self, blocks: Sequence[int]) -> None:
        """Since when each is: a process that is killed may leave many holes, which are waited for together."""
        with self._lock:
            for block in blocks:
                self._missing.setdefault(block, time.monotonic())

    def _waits_for(self, block: int) -> bool:
        """Whether a missing block may still come; else it is closed now, and stays empty."""
        with self._lock:
            since = self._missing.setdefault(block, time.monotonic())
            if time.monotonic() - since < HOLE_SECONDS:
                return True
        return not self._close(block)

    def _positions(self, found: Sequence[tuple[int, str]]) -> list[Position]:
        """Each with what decides who may see it now."""
        keys = [history_key(ticket, position) for position, ticket in found]
        items = self._table.get_many([*keys, *(ticket_key(ticket) for _, ticket in found)])
        positions = []
        for key, (position, ticket_id) in zip(keys, found, strict=True):
            ticket = ticket_of(items[ticket_key(ticket_id)])
            positions.append(
                Position(
                    position,
                    event_of(items[key]),
                    ticket.number,
                    ticket.requester,
                    ticket.team,
                    ticket.deleted_at is not None,
                    ticket.participating,
                    tuple(participant.ticket_id for participant in ticket.participants),
                )
            )
        return positions

    def only_committed(self, lines: Sequence[Item]) -> list[Item]:
        """Lines of history without those that were written ahead of a transaction that failed."""
        unsure = {position_of(line) // A_BLOCK for line in lines if line.get("provisional")}
        blocks = self._table.get_many(map(block_key, unsure)) if unsure else {}

        def counts(line: Item) -> bool:
            block, n = divmod(position_of(line), A_BLOCK)
            named = _tickets(blocks.get(block_key(block)))
            return n < len(named) and line["pk"] == f"T#{named[n]}"

        return [line for line in lines if not line.get("provisional") or counts(line)]


class _BlockClosed(Exception):
    """A reader did not wait any longer."""


def _cause(plan: Plan, problem: Cancelled) -> Exception:
    """Which condition it was; the receipt's comes first, since a repeated request has lost whatever else happened."""
    failed = [index for index, lost in enumerate(problem.failed) if lost]
    block = len(plan.truth)
    if plan.receipt and block + 1 in failed:
        return ReceiptExists()
    truth = [index for index in failed if index < block]
    if truth:
        return Lost(truth)
    return _BlockClosed()


def _last_of(number: int, block: Item | None) -> int:
    """The position of a block's last event, 0 where there is none."""
    count = len(_tickets(block))
    return number * A_BLOCK + count - 1 if count else 0


def _tickets(block: Item | None) -> list[str]:
    return str(block.get("tickets", "")).split() if block else []
