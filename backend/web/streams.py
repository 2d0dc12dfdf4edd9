"""How many live event streams a person and an address hold open in this process, and whether they are still welcome."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from backend.domain.access import Caller
from backend.domain.limits import Recent
from backend.errors import TooManyRequests
from backend.ports import Ports
from backend.usecases import access

RETRY_SECONDS = 30
SHARED_SECONDS = 1.0  # streams of one token ask the store together


class Streams:
    """The streams of one process. A limit of 0 is none."""

    def __init__(self, per_person: int, per_address: int) -> None:
        self._per_person, self._per_address = per_person, per_address
        self._open: Counter[tuple[str, str]] = Counter()
        self._callers: Recent[str, tuple[Caller, float]] = Recent()

    def check(self, caller: Caller, address: str) -> None:
        """Raises TooManyRequests where there is no room for one more."""
        self._must_fit("You have", ("person", caller.address), self._per_person)
        self._must_fit("Your network address has", ("address", address), self._per_address)

    def _must_fit(self, who: str, key: tuple[str, str], most: int) -> None:
        if most and self._open[key] >= most:
            raise TooManyRequests(
                f"{who} {most} live event streams open, as many as one {key[0]} may; close one, and try again.",
                RETRY_SECONDS,
            )

    @contextmanager
    def room(self, caller: Caller, address: str) -> Iterator[int]:
        """Count one stream while this block runs; the person's how manieth it is. Raises TooManyRequests."""
        self.check(caller, address)
        keys = (("person", caller.address), ("address", address))
        self._open.update(keys)
        try:
            yield self._open[keys[0]]
        finally:
            for key in keys:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]

    async def caller(self, ports: Ports, secret: str) -> Caller:
        """Who reads, as of SHARED_SECONDS ago at most. Raises NotSignedIn, Unavailable."""
        known = self._callers.get(secret)
        if known and time.monotonic() - known[1] < SHARED_SECONDS:
            return known[0]
        caller = await access.sign_in(ports, secret)
        self._callers.set(secret, (caller, time.monotonic()))
        return caller


def streams_of(request: Request) -> Streams:
    """The application's streams."""
    streams: Streams = request.app.state.streams
    return streams
