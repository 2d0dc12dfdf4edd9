"""Threads that read, shared out fairly (see domain/reading.py), and two of their own for health and metrics."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

from backend.domain.reading import PERMIT, READER, WATCH, FairQueue, Key, Permit, Reader, ReadLimits
from backend.errors import ClientGone, Overdue, TooManyRequests

Result = TypeVar("Result")

HEALTH_THREADS = 2
GRACE_SECONDS = 0.5  # after the deadline for a read to stop by itself; then its request is answered anyway
RETRY_SECONDS = 5
IDLE_SECONDS = 10.0  # then a thread ends


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[Permit], Any]
    permit: Permit
    future: "Future[Any]"
    context: Context

    def is_vain(self) -> bool:
        return self.future.cancelled() or self.permit.is_over()

    def do(self) -> None:
        """Run it and settle its future."""
        try:
            self.permit.check()
            PERMIT.set(self.permit)
            result = self.work(self.permit)
        except BaseException as problem:
            self.future.set_exception(problem)
        else:
            self.future.set_result(result)


class _Lane:
    """Some threads and what waits for them."""

    def __init__(self, limits: ReadLimits, name: str, leave: Callable[[], None]) -> None:
        self._limits, self._name, self._leave = limits, name, leave
        self._queue: FairQueue[_Job] = FairQueue(limits)
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closed = False
        self._running: set[_Job] = set()

    def add(self, reader: Reader, job: _Job) -> None:
        """Let it wait for its turn. Raises TooManyRequests."""
        with self._changed:
            if reader.is_refusable and self._queue.length(reader.key) >= self._limits.queue:
                dropped = self._queue.drop(reader.key, _Job.is_vain)
                self._settle(dropped)
                if self._queue.length(reader.key) >= self._limits.queue:
                    WATCH.observe("full")
                    raise TooManyRequests(
                        f"{self._limits.queue} of your searches and lists wait already; try again in "
                        f"{RETRY_SECONDS} seconds.",
                        RETRY_SECONDS,
                    )
            self._queue.add(reader.key, job)
            WATCH.observe("waits")
            if self._queue.waiting > self._idle and len(self._threads) < self._limits.threads:
                thread = threading.Thread(target=self._work_on, name=self._name, daemon=True)
                self._threads.add(thread)
                thread.start()
            else:
                self._changed.notify()

    def close(self) -> None:
        """Interrupt what runs, refuse what waits, and let the threads end."""
        with self._changed:
            self._closed = True
            for job in self._running:
                job.permit.is_cancelled = True
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        with self._changed:
            while taken := self._queue.take():
                taken[1].permit.is_cancelled = True
                self._settle([taken[1]])
                self._queue.end(taken[0])

    def _settle(self, jobs: list[_Job]) -> None:
        """Tell those who wait for what is in vain why it is."""
        for job in jobs:
            WATCH.observe("waits_no_more")
            if job.future.set_running_or_notify_cancel():
                job.do()

    def _work_on(self) -> None:
        try:
            while (taken := self._next()) is not None:
                key, job = taken
                WATCH.observe("waits_no_more")
                if job.future.set_running_or_notify_cancel():
                    WATCH.observe("started")
                    job.context.run(job.do)
                    WATCH.observe("ended")
                with self._changed:
                    self._running.discard(job)
                    self._queue.end(key)
                del job, taken
        finally:
            self._leave()

    def _next(self) -> tuple[Key, _Job] | None:
        """Wait for what may run; None: end."""
        with self._changed:
            while True:
                taken = None if self._closed else self._queue.take()
                if taken is not None:
                    self._running.add(taken[1])
                    return taken
                self._idle += 1
                woken = self._closed or self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
                if self._closed or not (woken or self._queue.waiting):
                    self._threads.discard(threading.current_thread())
                    return None


class ReadThreads:
    """Runs what blocks, each for a limited time. `leave` is called on a thread that ends."""

    def __init__(self, limits: ReadLimits, name: str, leave: Callable[[], None] = lambda: None) -> None:
        self.limits = limits
        self._name, self._leave = name, leave
        self._making = threading.Lock()
        self._lanes: dict[bool, _Lane] = {}

    async def run(self, work: Callable[[Permit], Result], *, search: bool = False) -> Result:
        """Do it on a thread, for the reader of the present context, in their turn.

        Raises Overdue past the deadline, which counts from now; ClientGone; TooManyRequests where too much waits.
        """
        reader = READER.get() or Reader()
        seconds = self.limits.search_seconds if search else self.limits.read_seconds
        permit = Permit(seconds, reader.is_gone)
        future: Future[Result] = Future()
        self._lane(reader).add(reader, _Job(work, permit, future, copy_context()))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds + GRACE_SECONDS)
        except TimeoutError:
            permit.is_cancelled = True
            WATCH.observe("overdue")
            raise Overdue(seconds) from None
        except asyncio.CancelledError:
            permit.is_cancelled = True
            raise
        except Overdue:
            WATCH.observe("overdue")
            raise
        except (ClientGone, CancelledError):
            WATCH.observe("gone")
            raise

    def close(self) -> None:
        """Interrupt what runs. The next use starts anew."""
        with self._making:
            lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            lane.close()

    def _lane(self, reader: Reader) -> _Lane:
        with self._making:
            if reader.is_health not in self._lanes:
                own = ReadLimits(threads=HEALTH_THREADS * 4)  # a share is a quarter
                limits, name = (own, f"{self._name}-health") if reader.is_health else (self.limits, self._name)
                self._lanes[reader.is_health] = _Lane(limits, name, self._leave)
            return self._lanes[reader.is_health]
