"""What one client's connections may cost: bounded heads, deadlines for reading and writing, a limit of connections.

uvicorn's protocol reads a head of any size, waits for it for ever, and keeps an answer that nobody takes. This one says
431 or 414, 408, 503, or hangs up. Deadlines are looked after once a second for all connections together, so a request
costs no timer.
"""

import asyncio
import json
import logging
import resource
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

logger = logging.getLogger("backend.connections")

LARGEST_HEAD = 32 * 1024
"""Bytes of a request's first line and header fields together."""
LARGEST_URL = 16 * 1024
MOST_FIELDS = 100
LARGEST_CHUNK_HEAD = 64 * 1024
"""Bytes between two parts of a body in chunks: their sizes, extensions, and the fields after the last one."""
MOST_SMALL_CHUNKS, SMALL_CHUNK = 4_096, 64
"""After so many chunks they must hold this many bytes each on average: taking one costs more than what it brings."""
MOST_PIPELINED = 64
"""Requests of one connection that wait for the answer of an earlier one."""
HEAD_SECONDS = 10.0
"""From the first byte, or from the connection, to the end of the head."""
UNREAD_SECONDS = 10.0
"""For the rest of a body that nobody reads any more, once the answer is out."""
BODY_SECONDS, BODY_BYTES = 20.0, 5 * 1024
"""A body that brings less than this in so many seconds is given up."""
ANSWER_SECONDS, ANSWER_BYTES = 30.0, 30 * 1024
"""An answer of which less than this is taken in so many seconds is given up."""
MOST_CONNECTIONS = 4_096
RESERVED_DESCRIPTORS = 256
"""For files, databases and other services, beside the connections."""
LOG_EVERY_SECONDS = 10.0

Observer = Callable[[str], None]


class Watch:
    """All connections of this process."""

    def __init__(self) -> None:
        self.most = MOST_CONNECTIONS
        self.observe: Observer = lambda _what: None
        """Told of `opened` and `closed`, and of `refused`, `displaced`, `large_head`, `small_chunks`, `slow_head`,
        `slow_body`, `slow_answer`."""
        self._open: set[BoundedProtocol] = set()
        self._by_address: Counter[str] = Counter()
        self._silent: dict[str, dict[BoundedProtocol, None]] = {}
        """By address the connections that brought no whole head yet, the oldest first."""
        self._looking = False
        self._measured = False
        self._logged = -LOG_EVERY_SECONDS

    def _measure(self) -> None:
        """Use as many descriptors as this process may have, and keep connections below that."""
        self._measured = True
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_CONNECTIONS + RESERVED_DESCRIPTORS
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.most = max(16, min(MOST_CONNECTIONS, soft - RESERVED_DESCRIPTORS))

    def admit(self, connection: "BoundedProtocol", address: str, is_proxy: bool) -> bool:
        """Whether there is room for it. One address gets half of it, unless it is a proxy.

        Where there is none, it takes the place of the oldest that brought no whole head yet: at its own address, or, if
        all are in use, at the one with the most. So silent connections keep nobody out, even where all clients seem to
        have one address.
        """
        if not self._measured:
            self._measure()
        full = len(self._open) >= self.most
        if (full or (not is_proxy and self._by_address[address] >= self.most // 2)) and not self._displace(
            address, full
        ):
            self.observe("refused")
            self._log(connection.loop.time(), f"address {address} has half of them" if not full else "all are in use")
            return False
        self._open.add(connection)
        self._by_address[address] += 1
        self._silent.setdefault(address, {})[connection] = None
        self.observe("opened")
        if not self._looking:
            self._looking = True
            connection.loop.call_later(1, self._look, connection.loop)
        return True

    def leave(self, connection: "BoundedProtocol", address: str) -> None:
        """It is closed."""
        if connection not in self._open:
            return  # another has taken its place
        self.hear(connection, address)
        self._open.discard(connection)
        self.observe("closed")
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def hear(self, connection: "BoundedProtocol", address: str) -> None:
        """It brought a head: it is not silent."""
        silent = self._silent.get(address, {})
        silent.pop(connection, None)
        if not silent:
            self._silent.pop(address, None)

    def _displace(self, address: str, full: bool) -> bool:
        if full and address not in self._silent and self._silent:
            address = max(self._silent, key=self._by_address.__getitem__)
        if address not in self._silent:
            return False
        oldest = next(iter(self._silent[address]))
        self.observe("displaced")
        self.leave(oldest, address)
        oldest.displace()
        return True

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        at = loop.time()
        for connection in list(self._open):
            connection.check_deadlines(at)
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(1, self._look, loop)

    def _log(self, at: float, why: str) -> None:
        if at - self._logged >= LOG_EVERY_SECONDS:
            self._logged = at
            logger.warning("connections are refused: %d are open, %d are allowed, %s", len(self._open), self.most, why)


WATCH = Watch()


class _Refused(Exception):
    """A request whose head is over a limit; raised inside the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._admitted = False
        self._address = ""
        self._is_silent = True
        self._in_head = True
        self._head_bytes = 0
        self._head_since: float | None = None
        self._chunk_head_bytes = 0
        self._chunks = self._chunk_bytes = 0
        self._pieces: list[bytes] = []
        self._refusal = (400, "Invalid HTTP request received.")
        # Two windows in which enough must pass: from when, and what it began with.
        self._body_bytes = 0
        self._body_window: tuple[float, int] | None = None
        self._answer_window: tuple[float, int] | None = None
        self._unread_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._admitted = WATCH.admit(self, self._address, self._is_proxy())
        if self._admitted:
            self._head_since = self.loop.time()
        else:
            self._refuse(503, "Too many connections are open; try again in a moment.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        if self._admitted:
            WATCH.leave(self, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.transport.is_closing():
            return  # refused: what still comes is not looked at
        size = len(data)
        if self._in_head:
            if not self._head_bytes:
                self._head_since = self.loop.time()
            self._head_bytes += size
        else:
            self._body_bytes += size
            self._chunk_head_bytes += size
        super().data_received(data)
        self._hand_on()
        if self._in_head and self._head_bytes > LARGEST_HEAD:
            WATCH.observe("large_head")
            self._refuse(*self._too_large())
        elif self._chunk_head_bytes > LARGEST_CHUNK_HEAD + size:
            self._refuse(400, "Too much lies between the parts of the body.")

    def on_headers_complete(self) -> None:
        """The head is whole: see whether it is within bounds."""
        if len(self.headers) > MOST_FIELDS:
            self._stop_parsing(431, f"A request may have {MOST_FIELDS} header fields.")
        if len(self.url) > LARGEST_URL or (self._head_bytes > LARGEST_HEAD and self._head_size() > LARGEST_HEAD):
            self._stop_parsing(*self._too_large())
        if len(self.pipeline) >= MOST_PIPELINED:
            self.transport.abort()
            raise _Refused
        if self._is_silent:
            self._is_silent = False
            WATCH.hear(self, self._address)
        self._in_head = False
        self._head_bytes = self._body_bytes = self._chunk_head_bytes = self._chunks = self._chunk_bytes = 0
        self._body_window = self._unread_since = None
        self.scope["state"]["is_gone"] = self.transport.is_closing
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body. What came at once is handed on at once, however many chunks it is."""
        self._chunk_head_bytes = 0
        self._chunk_bytes += len(body)
        self._pieces.append(body)

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._chunks += 1
        if self._chunks > MOST_SMALL_CHUNKS and self._chunk_bytes < self._chunks * SMALL_CHUNK:
            WATCH.observe("small_chunks")
            self._refusal = (400, "The body comes in too many small chunks.")
            raise _Refused

    def on_message_complete(self) -> None:
        """The request is whole; a next one may follow."""
        self._hand_on()
        self._in_head = True
        self._head_bytes = self._chunk_head_bytes = 0
        self._head_since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser refused, with the reason if it is one of ours."""
        if not self.transport.is_closing():
            self._refuse(*self._refusal)

    def _hand_on(self) -> None:
        if self._pieces:
            body = b"".join(self._pieces)
            self._pieces.clear()
            super().on_body(body)

    def displace(self) -> None:
        """Make room for another connection."""
        self._refuse(503, "Too many connections are open; try again in a moment.")

    def check_deadlines(self, at: float) -> None:
        """Hang up on whoever takes too long. Called about once a second."""
        if self._answer_stalls(at):
            WATCH.observe("slow_answer")
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._in_head:
            waits = self.cycle is None or (self._head_bytes > 0 and self.cycle.response_complete)
            if waits and self._head_since is not None and at - self._head_since > HEAD_SECONDS:
                WATCH.observe("slow_head")
                self._refuse(408, "The request did not arrive in time.")
        elif self.cycle.response_complete:
            self._unread_since = self._unread_since or at
            if at - self._unread_since > UNREAD_SECONDS:
                self.transport.close()
        elif self._body_stalls(at):
            WATCH.observe("slow_body")
            if self.cycle.response_started:
                self.transport.abort()
            else:
                self._refuse(408, "The request's body did not arrive in time.")

    def _answer_stalls(self, at: float) -> bool:
        waiting = self.transport.get_write_buffer_size()
        if not waiting or (self._answer_window and waiting > self._answer_window[1]):
            self._answer_window = None  # all is taken, or there was room for more
        if not waiting:
            return False
        if self._answer_window is None:
            self._answer_window = (at, waiting)
            return False
        since, before = self._answer_window
        if at - since < ANSWER_SECONDS:
            return False
        self._answer_window = (at, waiting)
        return before - waiting < min(ANSWER_BYTES, before)

    def _body_stalls(self, at: float) -> bool:
        if self.flow.read_paused or self.cycle.waiting_for_100_continue or self._body_window is None:
            self._body_window = (at, self._body_bytes)  # it is for us to go on, or it has just begun
            return False
        since, before = self._body_window
        if at - since < BODY_SECONDS:
            return False
        self._body_window = (at, self._body_bytes)
        return self._body_bytes - before < BODY_BYTES

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> tuple[int, str]:
        if len(self.url) > LARGEST_URL:
            return 414, f"The address is longer than {LARGEST_URL} bytes."
        return 431, f"The request's header fields are larger than {LARGEST_HEAD} bytes."

    def _stop_parsing(self, status: int, line: str) -> None:
        WATCH.observe("large_head")
        self._refusal = (status, line)
        raise _Refused

    def _refuse(self, status: int, line: str) -> None:
        """Answer in one line, and hang up."""
        wait = b"retry-after: 5\r\n" if status == 503 else b""
        phrase = HTTPStatus(status).phrase
        problem = {"type": "about:blank", "title": phrase, "status": status, "detail": line}
        body = json.dumps(problem).encode("ascii")
        head = b"content-type: application/problem+json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"
        is_next = self.cycle is None or self.cycle.response_complete
        if is_next or not (self._in_head or self.cycle.response_started):
            self.transport.write(STATUS_LINE[status] + head % (len(body), wait) + body)
        self.transport.close()

    def _is_proxy(self) -> bool:
        """Whether the connection comes from one of TRUSTED_PROXIES."""
        allowed = self.config.forwarded_allow_ips
        if not self.config.proxy_headers or not self._address or not allowed:
            return False
        return _lies_in(self._address, allowed if isinstance(allowed, str) else ",".join(allowed))


@lru_cache(1_000)
def _lies_in(address: str, networks: str) -> bool:
    """Whether an address lies in one of these networks, which have commas between them; never, where it is none."""
    try:
        return any(ip_address(address) in ip_network(network.strip(), strict=False) for network in networks.split(","))
    except ValueError:
        return False
