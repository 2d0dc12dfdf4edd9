"""Posts to addresses that people give, and only to those that are nobody's inside.

A name is resolved once, every address of it is checked, and the connection is made to the very address that was
checked: a name that changes its answer in between gains nothing. A thread a message, with a hard end: when its time
is up the connection is cut, whatever the other side is doing.
"""

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, urlsplit

from backend.domain.webhooks import Answer
from backend.errors import Unprocessable

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
READ_BYTES = 4 * 1024
MOST_THREADS = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Python calls these global, but clouds answer there from inside: Oracle its metadata, Azure its host.
_INSIDE = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))


class _Refused(Exception):
    """The address is not one to send to."""


class HttpSender:
    """The port `Sender` over HTTP. `allowed` are networks that may be sent to though they are private, or `all`."""

    def __init__(self, allowed: Sequence[str], resolve: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        self._all = "all" in allowed
        self._allowed = [ipaddress.ip_network(network) for network in allowed if network != "all"]
        self._resolve = resolve
        self._threads = threading.Semaphore(MOST_THREADS)

    def check(self, url: str) -> None:
        """See ports.Sender."""
        host = urlsplit(url).hostname or ""
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host)
            if not self._may(address):
                raise Unprocessable("The webhook can't be sent there.", [("url", _why(address))])

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See ports.Sender."""
        if not self._threads.acquire(blocking=False):
            return Answer(None, "too many messages are on their way already")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        attempt = _Attempt()

        def run() -> None:
            try:
                answer = self._post(attempt, urlsplit(url), headers, body)
            finally:
                attempt.close()
                self._threads.release()
            with contextlib.suppress(RuntimeError):  # the loop has gone
                loop.call_soon_threadsafe(_hand_over, answered, answer)

        threading.Thread(target=run, name="webhook", daemon=True).start()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await answered
        except TimeoutError:
            return Answer(None, f"no answer within {TOTAL_SECONDS:g} s")
        finally:
            attempt.cut()

    def _post(self, attempt: "_Attempt", target: SplitResult, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            return self._exchange(attempt, target, headers, body)
        except _Refused as problem:
            return Answer(None, str(problem))
        except ssl.SSLError as problem:
            reason = getattr(problem, "verify_message", None) or problem.reason or str(problem)
            return Answer(None, f"TLS failed: {reason}")
        except OSError as problem:
            return Answer(None, f"it can't be reached: {problem.strerror or problem or type(problem).__name__}")
        except (http.client.HTTPException, ValueError, UnicodeError) as problem:
            return Answer(None, f"it does not speak HTTP: {type(problem).__name__}")
        except Exception as problem:
            return Answer(None, f"an unexpected error: {type(problem).__name__}")

    def _exchange(self, attempt: "_Attempt", target: SplitResult, headers: Mapping[str, str], body: bytes) -> Answer:
        name = target.hostname or ""
        port = target.port or (443 if target.scheme == "https" else 80)
        connected = attempt.connect(self._addresses(name, port))
        if target.scheme == "https":
            connected = self._tls.wrap_socket(connected, server_hostname=name)
        connection = http.client.HTTPConnection(name, port)
        connection.sock = connected
        try:
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request("POST", path, body, {**headers, "host": target.netloc, "connection": "close"})
            response = connection.getresponse()
            with contextlib.suppress(OSError, http.client.HTTPException):
                connected.settimeout(1.0)
                response.read1(READ_BYTES)  # enough to be polite; the status says it all
            return Answer(response.status, None, response.headers.get("retry-after"))
        finally:
            connection.close()
            connected.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _addresses(self, name: str, port: int) -> list[tuple[int, Any]]:
        """(family, socket address) of the name. Raises _Refused if any of them may not be sent to."""
        try:
            found = self._resolve(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise _Refused("its name can't be resolved") from None
        addresses = []
        for family, _, _, _, where in found:
            address = ipaddress.ip_address(where[0])
            if not self._may(address):
                raise _Refused(_why(address))
            addresses.append((family, where))
        if not addresses:
            raise _Refused("its name can't be resolved")
        return addresses

    def _may(self, address: Address) -> bool:
        if self._all:
            return True
        return all(
            is_public(one) or any(one in network for network in self._allowed if network.version == one.version)
            for one in meant_by(address)
        )


def _hand_over(answered: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not answered.done():
        answered.set_result(answer)


def _why(address: Address) -> str:
    return f"{address} is not a public address; WEBHOOK_ALLOW_PRIVATE can allow it"


def meant_by(address: Address) -> list[Address]:
    """The address, or the IPv4 address that it carries in some way: that is where a packet may end up."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    found: list[Address] = [address]
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found += address.teredo
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found


def is_public(address: Address) -> bool:
    """Whether it is an ordinary address of the public internet."""
    if isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or int(address) < 2**32):
        return False
    if any(address in network for network in _INSIDE):
        return False
    ordinary = address.is_global and not address.is_multicast and not address.is_reserved
    return ordinary or address in _NAT64


class _Attempt:
    """One connection, which can be cut from another thread at any moment, also in the middle of a TLS handshake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._is_cut = False
        self._deadline = time.monotonic() + TOTAL_SECONDS

    def connect(self, addresses: Sequence[tuple[int, Any]]) -> socket.socket:
        """A connection to the first address that takes one."""
        problem: OSError = TimeoutError()
        for family, where in addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(min(CONNECT_SECONDS, left))
            try:
                connection.connect(where)
                self._hold(connection)
                connection.settimeout(TOTAL_SECONDS)
                return connection
            except OSError as found:
                connection.close()
                problem = found
        raise problem

    def _hold(self, connection: socket.socket) -> None:
        """Keep a second handle: wrapping a socket in TLS takes the first one away."""
        with self._lock:
            if self._is_cut:
                raise TimeoutError
            self._handle = connection.dup()

    def cut(self) -> None:
        """End it now."""
        with self._lock:
            self._is_cut = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the second handle back."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None
