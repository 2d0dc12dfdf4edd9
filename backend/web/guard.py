"""The door: who may ask, how often, and how often one may guess.

Each process counts for itself. Which addresses are locked out they tell each other by the audit log, which outlives
them.
"""

import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from fastapi import Request
from starlette.types import Scope

from backend.domain.access import Caller
from backend.domain.limits import MOST_REMEMBERED, Buckets, LockOut, guesses_of_each
from backend.domain.reading import name_caller
from backend.errors import NotSignedIn, TooManyRequests
from backend.logs import log
from backend.ports import Ports
from backend.usecases import access
from backend.web import metrics

logger = logging.getLogger("backend.access")

UNKNOWN = "unknown"
_LOCK_OUTS_LOGGED_A_MINUTE = 60
LEARN_SECONDS = 1.0


class Guard:
    """Sign-ins of this process. A limit of 0 is none."""

    def __init__(self, per_token: int, per_address: int, processes: int = 1) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self._per_token = per_token
        self._per_address = per_address
        self._tokens = Buckets()
        self._addresses = Buckets()
        self._strangers = Buckets()
        self._acts = Buckets()
        self._lock_out = LockOut(guesses_of_each(processes))
        self._learned_at = -math.inf
        self._known_locks: set[str] = set()

    async def sign_in(self, request: Request, ports: Ports, secret: str) -> Caller:
        """Who this token or session belongs to. Raises NotSignedIn, TooManyRequests.

        A right secret always works, whatever others at its address have tried: an office, or everybody behind rootless
        Podman's port forwarding, may share one. What a lock keeps from an address is being told that a guess is wrong.
        """
        address = address_of(request)
        at = self.clock()
        try:
            caller = await access.sign_in(ports, secret)
        except NotSignedIn:
            metrics.sign_in_failed()
            self._count(self._strangers, address, at)
            is_guess = not access.is_random(secret)
            if is_guess:  # what a lock refuses fills no log
                await self._learn(ports, at)
                _refuse(self._lock_out.wait(address, at), "Too many wrong tokens came from your address")
            log(logger, logging.WARNING, "a sign-in failed", address=address)
            if is_guess:
                await self._count_guess(ports, address, hash(secret), at)
            raise
        name_caller(caller.address)
        self._count(self._addresses, address, at)
        limit = caller.rate_limit or self._per_token
        if limit:
            _refuse(self._tokens.take(caller.token_id, limit, at), "This token is used too often")
        return caller

    def _count(self, requests: Buckets, address: str, at: float) -> None:
        """Those that signed in and those that did not are counted apart: no wrong ones use up what right ones may."""
        if self._per_address:
            _refuse(requests.take(address, self._per_address, at), "Your address asks too often")

    async def _learn(self, ports: Ports, at: float) -> None:
        """What other processes know of guesses, and this one before it was restarted."""
        if at - self._learned_at < LEARN_SECONDS:
            return
        self._learned_at = at
        locks = await access.list_locks(ports)
        for lock in locks:
            if lock.id not in self._known_locks:
                self._lock_out.learn(lock.address, lock.seconds, at - lock.age)
        if locks:
            self._known_locks = {lock.id for lock in locks}

    async def _count_guess(self, ports: Ports, address: str, secret: int, at: float) -> None:
        seconds = round(self._lock_out.failed(address, secret, at))
        if not seconds:
            return
        metrics.locked_out()
        log(logger, logging.WARNING, "an address is locked out", address=address, seconds=seconds)
        if not self._acts.take("", _LOCK_OUTS_LOGGED_A_MINUTE, at):  # whoever has a million addresses fills no disk
            self._known_locks.add(await access.log_lock_out(ports, address, seconds))


def _refuse(seconds: float, why: str) -> None:
    if seconds:
        wait = math.ceil(seconds)
        raise TooManyRequests(f"{why}; try again in {wait} {'second' if wait == 1 else 'seconds'}.", wait)


def guard_of(request: Request) -> Guard:
    """The application's guard."""
    guard: Guard = request.app.state.guard
    return guard


def address_of(request: Request) -> str:
    """Whom to count: the client's address, an IPv6 network of one subscriber, or `unknown` where it is none."""
    return address_in(request.scope)


def address_in(scope: Scope) -> str:
    """The same."""
    client = scope.get("client")
    return _counted(client[0]) if client else UNKNOWN


@lru_cache(MOST_REMEMBERED)
def _counted(host: str) -> str:
    """A subscriber has 2^64 addresses of IPv6, so it is their network that counts."""
    try:
        address = ip_address(host)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
