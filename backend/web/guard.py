"""The door: who may ask, how often, and how often one may guess. Each worker process keeps its own books."""

import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from fastapi import Request

from backend.domain.access import Caller
from backend.domain.limits import MOST_REMEMBERED, Buckets, LockOut
from backend.errors import NotSignedIn, TooManyRequests
from backend.logs import log
from backend.ports import Ports
from backend.usecases import access
from backend.web import metrics

logger = logging.getLogger("backend.access")

UNKNOWN = "unknown"
_LOCK_OUTS_LOGGED_A_MINUTE = 60


class Guard:
    """Sign-ins of this process. A limit of 0 is none."""

    def __init__(self, per_token: int, per_address: int) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self._per_token = per_token
        self._per_address = per_address
        self._tokens = Buckets()
        self._addresses = Buckets()
        self._acts = Buckets()
        self._lock_out = LockOut()

    async def sign_in(self, request: Request, ports: Ports, secret: str) -> Caller:
        """Who this token or session belongs to. Raises NotSignedIn, TooManyRequests.

        A right secret always works, whatever others at its address have tried: an office, or everybody behind rootless
        Podman's port forwarding, may share one. What a lock keeps from an address is being told that a guess is wrong.
        """
        address = address_of(request)
        at = self.clock()
        if self._per_address:
            _refuse(self._addresses.take(address, self._per_address, at), "Your address asks too often")
        try:
            caller = await access.sign_in(ports, secret)
        except NotSignedIn:
            metrics.sign_in_failed()
            is_guess = not access.is_random(secret)
            if is_guess:  # what a lock refuses fills no log
                _refuse(self._lock_out.wait(address, at), "Too many wrong tokens came from your address")
            log(logger, logging.WARNING, "a sign-in failed", address=address)
            if is_guess:
                await self._count_guess(ports, address, hash(secret), at)
            raise
        limit = caller.rate_limit or self._per_token
        if limit:
            _refuse(self._tokens.take(caller.token_id, limit, at), "This token is used too often")
        return caller

    async def _count_guess(self, ports: Ports, address: str, secret: int, at: float) -> None:
        seconds = round(self._lock_out.failed(address, secret, at))
        if not seconds:
            return
        metrics.locked_out()
        log(logger, logging.WARNING, "an address is locked out", address=address, seconds=seconds)
        if not self._acts.take("", _LOCK_OUTS_LOGGED_A_MINUTE, at):  # whoever has a million addresses fills no disk
            await access.log_lock_out(ports, address, seconds)


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
    client = request.scope.get("client")
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
