"""What attacks are made of. Each is a function that goes on until its process is ended."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

WAIT_SECONDS = 30
CRLF = b"\r\n\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
"""A head that is not finished."""


@dataclass(frozen=True)
class Target:
    """Where to attack, and with whose tokens."""

    port: int
    admin: str
    token: str
    """The attacker's, an agent's."""
    bystander: str
    ticket: str
    """An ordinary ticket's id."""
    page: str
    """The ticket whose page is hostile."""
    file: str
    """The path of a file of some megabytes."""

    @classmethod
    def load(cls, path: Path) -> "Target":
        """From a file."""
        return cls(**json.loads(path.read_text()))

    def save(self, path: Path) -> None:
        """Into a file."""
        path.write_text(json.dumps(asdict(self)))

    def at(self, port: int) -> "Target":
        """The same contents, served at another port."""
        return replace(self, port=port)


class Report:
    """What an attack did so far."""

    def __init__(self) -> None:
        self.steps = 0
        self.statuses: Counter[str] = Counter()
        self.longest = 0.0

    def step(self, answer: bytes = b"", seconds: float = 0.0) -> None:
        """One more. An answer's status counts."""
        if not self.steps:
            print("begun", flush=True)
        self.steps += 1
        self.longest = max(self.longest, seconds)
        if answer.startswith(b"HTTP/1.1 "):
            self.statuses[answer[9:12].decode()] += 1

    def show(self) -> str:
        """One line of JSON."""
        return json.dumps({"steps": self.steps, "statuses": self.statuses, "longest": round(self.longest, 3)})


Attack = Callable[[Target, Report], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Enter it under its name."""
    ATTACKS[function.__name__.replace("_", " ")] = function
    return function


# ---- What attacks are made of ------------------------------------------------------------------------------------------


def head(target: Target, method: str, path: str, *fields: str, length: int | None = None) -> bytes:
    """The head of a request with the attacker's token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {target.token}", *fields]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def posted(target: Target, path: str, body: bytes, kind: str = "application/json", method: str = "POST") -> bytes:
    """A request with a body."""
    return head(target, method, path, f"Content-Type: {kind}", length=len(body)) + body


async def connect(target: Target, buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; with a small `buffer` for answers, if it is given."""
    made = socket.socket()
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", target.port))
    return await asyncio.open_connection(sock=made, limit=buffer or 65_536)


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """The head of an answer, once its body has been read too."""
    start = await reader.readuntil(CRLF)
    fields = start.lower()
    if b"\r\ncontent-length:" in fields:
        left = int(fields.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
        while left:
            left -= len(await reader.read(min(left, 65_536))) or left
    else:
        while await reader.read(65_536):
            pass
    return start


async def ask(target: Target, sent: bytes) -> bytes:
    """One request on a connection of its own; the head of its answer, or nothing if there was none."""
    writer = None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            reader, writer = await connect(target)
            writer.write(sent)
            return await read_answer(reader)
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return b""
    finally:
        if writer:
            writer.transport.abort()


async def flood(report: Report, target: Target, clients: int, following: Callable[[], bytes]) -> None:
    """So many clients; each sends its next request once the last one is answered."""

    async def client() -> None:
        while True:
            began = time.monotonic()
            answer = await ask(target, following())
            report.step(answer, time.monotonic() - began)
            if not answer or answer[9:12] in (b"429", b"503"):
                await asyncio.sleep(0.05)  # a loop that only meets refusals would measure this machine's two cores

    await asyncio.gather(*(client() for _ in range(clients)))


async def hold(report: Report, target: Target, clients: int, *parts: bytes, drip: bytes = b"", buffer: int = 0) -> None:
    """So many connections that send something, and then `drip` twice a second, or nothing; who is cut off comes again."""

    async def client() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await connect(target, buffer)
                for part in parts:
                    writer.write(part)
                report.step()
                while not writer.is_closing() and (buffer or not reader.at_eof()):
                    await asyncio.sleep(0.5)
                    writer.write(drip)
                    if not buffer:
                        with suppress(TimeoutError):
                            await asyncio.wait_for(reader.read(4_096), 0.01)
                writer.transport.abort()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(client() for _ in range(clients)))


def parts_of(*parts: bytes) -> bytes:
    """A multipart body."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
