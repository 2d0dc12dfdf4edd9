"""A closed loop over keep-alive connections: each sends its next request when the last one is answered."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Result:
    """What one round gave. Latencies in seconds, sorted."""

    requests: int
    seconds: float
    latencies: list[float]
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


class _Connection(asyncio.Protocol):
    def __init__(
        self, next_request: Callable[[], bytes | None], until: float, result: Result, done: asyncio.Future
    ) -> None:
        self.next_request, self.until, self.result, self.done = next_request, until, result, done
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        request = self.next_request()
        if request is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        start = head.find(b"content-length:") + 15
        stop = head.find(b"\r\n", start)
        length = int(head[start : stop if stop > 0 else None])
        if len(self.buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self.result.latencies.append(now - self.sent)
        self.result.requests += 1
        self.result.errors += not head.startswith(b"http/1.1 2")
        self.buffer = b""
        if now < self.until:
            self._send()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.done.done():
            self.result.errors += 1
            self.done.set_result(None)


async def _run(port: int, next_request: Callable[[], bytes | None], connections: int, seconds: float) -> Result:
    loop = asyncio.get_running_loop()
    result = Result(0, 0.0, [], 0)
    started = time.perf_counter()
    waiting = []
    for _ in range(connections):
        done = loop.create_future()
        await loop.create_connection(
            lambda done=done: _Connection(next_request, started + seconds, result, done), "127.0.0.1", port
        )
        waiting.append(done)
    await asyncio.gather(*waiting)
    result.seconds = time.perf_counter() - started
    result.latencies.sort()
    return result


def run(port: int, next_request: Callable[[], bytes | None], connections: int = 16, seconds: float = 3.0) -> Result:
    """Load 127.0.0.1:`port` for so long. `next_request` gives the bytes of each request, None to end."""
    import uvloop

    return uvloop.run(_run(port, next_request, connections, seconds))


def request(method: str, path: str, body: bytes = b"", token: str | None = None) -> bytes:
    """An HTTP/1.1 request's bytes."""
    head = [f"{method} {path} HTTP/1.1", "host: bench"]
    if token:
        head.append(f"authorization: Bearer {token}")
    if body:
        head += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body
