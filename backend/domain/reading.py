"""On whose behalf a store is read, for how long, and whose turn it is: one caller's slow reads hold up nobody else.

Threads that read are few. A caller (a person with all their tokens and sessions) and an address get a share of them;
what they want beyond it waits in a queue of the caller's own, and the queues take turns: first between addresses, then
between the callers there.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from backend.errors import ClientGone, Overdue

Job = TypeVar("Job")

Key = tuple[str, str]
"""An address and a caller there."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much is read at once and for how long."""

    threads: int = 8
    queue: int = 32
    """Reads of one caller that may wait."""
    search_seconds: float = 10.0
    read_seconds: float = 30.0

    @property
    def per_caller(self) -> int:
        """Threads that one caller may have: a quarter."""
        return max(1, self.threads // 4)

    @property
    def per_address(self) -> int:
        """Threads that one address may have: three quarters."""
        return max(1, self.threads * 3 // 4)

    def times(self, factor: int) -> "ReadLimits":
        """The same with more threads, for a store whose threads mostly wait."""
        return ReadLimits(self.threads * factor, self.queue * factor, self.search_seconds, self.read_seconds)


@dataclass(slots=True)
class Reader:
    """Who a request reads for. The service's own work has none."""

    address: str = ""
    caller: str = ""
    """Empty until somebody has signed in."""
    is_gone: Callable[[], bool] = lambda: False
    """Whether the client has hung up. Only of requests that change nothing: what writes is carried through."""
    is_refusable: bool = False
    """Whether it may be told to come again later; not in the middle of a write."""
    is_health: bool = False
    """Health and metrics have threads of their own."""

    @property
    def key(self) -> Key:
        """Whose share it takes from."""
        return self.address, self.caller


READER: ContextVar[Reader | None] = ContextVar("reader", default=None)


@contextmanager
def reading_for(reader: Reader | None) -> Iterator[None]:
    """Read on behalf of this one within the block; None: for the service itself."""
    token = READER.set(reader)
    try:
        yield
    finally:
        READER.reset(token)


def name_caller(caller: str) -> None:
    """Say who has signed in with the present request."""
    reader = READER.get()
    if reader is not None:
        reader.caller = caller


@dataclass(slots=True)
class Permit:
    """Leave to read until a moment, as long as somebody waits for it."""

    seconds: float
    is_gone: Callable[[], bool]
    until: float = field(init=False)
    is_cancelled: bool = False

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        """Whether to stop reading. Cheap: asked many times a second, from the thread that reads."""
        return self.is_cancelled or time.monotonic() > self.until or self.is_gone()

    def check(self) -> None:
        """Raises Overdue, ClientGone."""
        if self.is_cancelled or self.is_gone():
            raise ClientGone
        if time.monotonic() > self.until:
            raise Overdue(self.seconds)


PERMIT: ContextVar[Permit | None] = ContextVar("permit", default=None)


def check_permit() -> None:
    """Between two steps of a long read: raises Overdue, ClientGone. Nothing happens outside of one."""
    permit = PERMIT.get()
    if permit is not None:
        permit.check()


class Watch:
    """Told of reads, for the operator: `started`, `ended`, `waits`, `waits_no_more`, and why some were refused."""

    observe: Callable[[str], None] = staticmethod(lambda what: None)


WATCH = Watch()


@dataclass(slots=True)
class _Address(Generic[Job]):
    running: int = 0
    callers: "OrderedDict[str, deque[Job]]" = field(default_factory=OrderedDict)
    """Those who wait, whoever's turn it is first."""


class FairQueue(Generic[Job]):
    """What waits, and who is next. Every step takes time that doesn't grow with what one caller has waiting."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._addresses: OrderedDict[str, _Address[Job]] = OrderedDict()
        self._running: dict[Key, int] = {}
        self.waiting = 0

    def length(self, key: Key) -> int:
        """How much of this caller waits."""
        address = self._addresses.get(key[0])
        return len(address.callers.get(key[1], ())) if address else 0

    def add(self, key: Key, job: Job) -> None:
        """Let it wait."""
        address = self._addresses.setdefault(key[0], _Address())
        address.callers.setdefault(key[1], deque()).append(job)
        self.waiting += 1

    def drop(self, key: Key, is_vain: Callable[[Job], bool]) -> list[Job]:
        """Take out what nobody waits for any more."""
        address = self._addresses.get(key[0])
        jobs = address.callers.get(key[1]) if address else None
        if not address or not jobs:
            return []
        dropped = [job for job in jobs if is_vain(job)]
        rest = deque(job for job in jobs if not is_vain(job)) if dropped else jobs
        address.callers[key[1]] = rest
        self.waiting -= len(jobs) - len(rest)
        self._tidy(key)
        return dropped

    def take(self) -> tuple[Key, Job] | None:
        """The next one whose caller and address may have one more thread; None where there is none."""
        for name, address in self._addresses.items():
            if address.running >= self._limits.per_address:
                continue
            for caller, jobs in address.callers.items():
                key = (name, caller)
                if self._running.get(key, 0) >= self._limits.per_caller:
                    continue
                job = jobs.popleft()
                self.waiting -= 1
                self._running[key] = self._running.get(key, 0) + 1
                address.running += 1
                address.callers.move_to_end(caller)
                self._addresses.move_to_end(name)
                self._tidy(key)
                return key, job
        return None

    def end(self, key: Key) -> None:
        """One of this caller's has ended."""
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._addresses[key[0]].running -= 1
        self._tidy(key)

    def _tidy(self, key: Key) -> None:
        name, caller = key
        address = self._addresses[name]
        if not address.callers.get(caller, True):
            del address.callers[caller]
        if not address.callers and not address.running:
            del self._addresses[name]
