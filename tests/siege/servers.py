"""A real server with something in it, and what its processes use."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tests.bench.compare import WORDS
from tests.conftest import ADMIN_TOKEN, variables
from tests.siege.attacking import Target

ROOT = Path(__file__).parents[2]
MEGABYTE = 1024 * 1024
START_SECONDS = 60
SERVE = (sys.executable, "-m", "backend", "serve")
TICKETS, LONG_TICKETS, LONG_TEXT = 100, 60, 20_000
HOSTILE_COMMENTS, HOSTILE_TEXT = 120, 100_000
FILE_BYTES = 8 * MEGABYTE
HOSTILE_PIECES = (
    "[a](https://example.org/b) ",
    "https://example.org/" + "a" * 60 + " ",
    "```\n",
    "> * # `a` **b** ",
    "[" * 20 + "](",
    "#12 ",
    "*_" * 12,
    "<script>&amp; ",
)
"""What the comments of the hostile page repeat: links, fences, marks that open and never close."""


def call(
    port: int, method: str, path: str, body: object = None, token: str = ADMIN_TOKEN, **headers: str
) -> tuple[int, Any]:
    """The status and the JSON of one request on a connection of its own. A body of bytes is sent as it is."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"authorization": f"Bearer {token}", "content-type": "application/json", **headers}
    try:
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text
    finally:
        connection.close()


def form(name: str, content: bytes, **fields: str) -> tuple[bytes, str]:
    """A multipart body with one file, and its Content-Type."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()]
    parts.append(f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n')
    return "".join(parts).encode() + content + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


@dataclass(frozen=True)
class Server:
    """A running server and what is known of its contents."""

    process: subprocess.Popen
    root: Path
    target: Target

    def pids(self) -> list[int]:
        """The process and its children."""
        pids = [self.process.pid]
        for pid in pids:
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += [int(child) for child in (task / "children").read_text().split()]
        return pids

    def memory(self) -> int:
        """Bytes of all processes together; what they share counts once (PSS)."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(text.split("\nPss:")[1].split()[0]) * 1024
        return total

    def log(self) -> str:
        """Everything it wrote."""
        return (self.root / "log").read_text()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(root: Path, workers: int, **more: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """A process that serves what lies under `root`, and its port. Rates and checks are those of production."""
    port = free_port()
    given = {
        "ENVIRONMENT": "production",
        "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        "TRUSTED_PROXIES": "192.0.2.1",
        **more,
    }
    environment = variables(root, API_PORT=str(port), API_WORKERS=str(workers), **given)
    environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with (root / "log").open("ab") as log:
        started = subprocess.Popen(SERVE, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError, HTTPException):
                if call(port, "GET", "/health/ready")[0] == 200:
                    break
            assert started.poll() is None and time.monotonic() < deadline, (root / "log").read_text()[-2_000:]
            time.sleep(0.05)
        yield started, port
        started.send_signal(signal.SIGTERM)
        started.wait(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def serving(root: Path, workers: int) -> Iterator[Server]:
    """A server on a copy of what `fill` made under `root`."""
    target = Target.load(root / "target.json")
    with process(root, workers) as (started, port):
        yield Server(started, root, target.at(port))


def furnish(
    port: int,
    admin: str = ADMIN_TOKEN,
    tickets: int = TICKETS,
    long: int = LONG_TICKETS,
    hostile: int = HOSTILE_COMMENTS,
) -> Target:
    """Make the contents: people, ordinary and long tickets, a file, and a page of hostile comments."""

    def make(path: str, body: object, **headers: str) -> Any:
        status, made = call(port, "POST", path, body, admin, **headers)
        assert status == 201, made
        return made

    words, tokens, ids = random.Random(1), {}, []
    for name in ("bystander", "mallory"):
        tokens[name] = make("/api/tokens", {"name": name, "role": "agent", "email": f"{name}@example.org"})["token"]
    for number in range(tickets + long):
        text = " ".join(words.choices(WORDS, k=(200 if number < tickets else LONG_TEXT) // 6))
        draft = {"title": "Printer", "description": text, "severity": "low", "category": "Hardware"}
        ids.append(make("/api/tickets", draft)["id"])
    for number in range(hostile):
        piece = HOSTILE_PIECES[number % len(HOSTILE_PIECES)]
        make(f"/api/tickets/{ids[0]}/comments", {"body": (piece * (HOSTILE_TEXT // len(piece))).strip()})
    body, kind = form("a.bin", random.Random(2).randbytes(FILE_BYTES))
    file = make(f"/api/tickets/{ids[1]}/attachments", body, **{"content-type": kind})["items"][0]["url"]
    return Target(port, admin, tokens["mallory"], tokens["bystander"], ids[1], ids[0], file)


def fill(root: Path) -> None:
    """Make the contents in files under `root`, for `serving`."""
    root.mkdir(parents=True, exist_ok=True)
    with process(root, 1, RATE_LIMIT_PER_MINUTE="0", RATE_LIMIT_ADDRESS_PER_MINUTE="0") as (_, port):
        furnish(port).save(root / "target.json")


def copy(root: Path, to: Path) -> Path:
    """What `fill` made, for one server more."""
    return Path(shutil.copytree(root, to))
