"""Real servers on the loopback address for webhooks to be sent to, well and badly behaved."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Target:
    """Keeps what it receives. `answer` gets the connection once a request is read, and does with it what it likes."""

    answer: Callable[[socket.socket], None]
    received: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


def plain(status: int, head: str = "", body: bytes = b"") -> Callable[[socket.socket], None]:
    """An ordinary answer."""
    answer = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body
    return lambda connection: connection.sendall(answer)


@contextmanager
def target(answer: Callable[[socket.socket], None] | None = None) -> Iterator[Target]:
    """A running one; without `answer` it takes everything."""
    found = Target(answer or plain(204))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                path = self.rfile.readline().split()[1].decode()
                headers = {}
                while line := self.rfile.readline().strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = self.rfile.read(int(headers["content-length"]))
                found.received.append(Received(path, headers, body))
                found.answer(self.connection)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
