"""The backend against a minimal app on the same uvicorn, in one run: `python -m tests.bench.compare`.

Prints, per operation, the medians of alternating rounds and their ratio. "CPU" is the whole server's CPU time a
request, which is steadier than requests a second on a machine that others use too. Nothing is asserted here.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from tests.bench import load

ROOT = Path(__file__).parents[2]
TOKEN = "benchmark-token-0123456789"
WORDS = [
    "printer",
    "laptop",
    "screen",
    "password",
    "network",
    "vpn",
    "outlook",
    "mail",
    "server",
    "access",
    "folder",
    "account",
    "phone",
    "keyboard",
    "mouse",
    "monitor",
    "error",
    "update",
    "install",
    "license",
    "software",
    "hardware",
    "request",
    "problem",
    "slow",
    "broken",
    "new",
    "user",
    "please",
    "help",
    "urgent",
    "office",
    "project",
    "team",
    "meeting",
    "room",
    "projector",
    "cable",
    "dock",
    "battery",
    "login",
    "reset",
    "locked",
    "expired",
    "certificate",
    "driver",
]
TARGETS = {"create": 0.7, "get": 0.4, "list": 0.4, "search": 0.4}


class Server:
    """A running server, with its process tree."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], port: int) -> None:
        self.name, self.port = name, port
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.5)
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start")

    def pids(self) -> list[int]:
        """The process and its children."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """CPU time of the whole tree so far."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Proportional set size of the whole tree."""
        total = 0
        for pid in self.pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(text.split("\nPss:")[1].split()[0])
        return total / 1024

    def stop(self) -> None:
        """End the group that was started here."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def both(folder: Path, workers: int):
    """The backend and the minimal app."""
    port = free_port()
    ours = Server(
        "backend",
        [sys.executable, "-m", "backend", "serve"],
        {
            "API_PORT": str(port),
            "API_WORKERS": str(workers),
            "ADMIN_TOKEN": TOKEN,
            "LOG_LEVEL": "info",
            **{f"{name}_DIR": str(folder / name.lower()) for name in ("DATA", "UPLOAD", "MEMORY")},
        },
        port,
    )
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench.minimal:app", "--port", str(port), "--no-access-log"]
    minimal = Server("minimal", [*command, "--workers", str(workers)], {"MINIMAL_DB": str(folder / "minimal.db")}, port)
    try:
        yield ours, minimal
    finally:
        ours.stop()
        minimal.stop()


def body() -> bytes:
    """A ticket of ordinary length."""
    text = " ".join(random.choices(WORDS, k=40))
    return json.dumps(
        {
            "title": " ".join(random.choices(WORDS, k=6)),
            "description": text,
            "severity": random.choice(["low", "medium", "high", "critical"]),
            "category": random.choice(["Hardware", "Access", "Network"]),
            "requester": f"user{random.randrange(500)}@example.org",
        }
    ).encode()


def first_id(port: int) -> str:
    """The id of some ticket of the backend."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/tickets?limit=1", headers={"authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer)["items"][0]["id"]


def operations(ours: Server) -> dict[str, tuple[Callable[[], bytes], Callable[[], bytes]]]:
    """For each operation what is sent to the backend, and to the minimal app."""
    bodies = [body() for _ in range(2000)]
    mine = [load.request("POST", "/api/tickets", one, TOKEN) for one in bodies]
    theirs = [load.request("POST", "/tickets", one) for one in bodies]
    identity = first_id(ours.port)

    def found(path: str, token: str | None) -> Callable[[], bytes]:
        sent = [load.request("GET", f"{path}{urllib.parse.quote(word)}", token=token) for word in WORDS]
        return lambda: random.choice(sent)

    get = load.request("GET", f"/api/tickets/{identity}", token=TOKEN)
    page = load.request("GET", "/api/tickets?limit=50", token=TOKEN)
    null, newest = load.request("GET", "/null/1"), load.request("GET", "/tickets?limit=50")
    return {
        "get": (lambda: get, lambda: null),
        "list": (lambda: page, lambda: newest),
        "search": (found("/api/tickets?limit=50&q=", TOKEN), found("/search?limit=50&q=", None)),
        "create": (lambda: random.choice(mine), lambda: random.choice(theirs)),
    }


def fill(server: Server, next_request: Callable[[], bytes], count: int) -> None:
    """Create about so many tickets."""
    made = 0
    while made < count:
        made += load.run(server.port, next_request, seconds=1.0).requests


def measure(server: Server, next_request: Callable[[], bytes], seconds: float) -> tuple[float, float, load.Result]:
    """Requests a second, CPU milliseconds a request, and the rest."""
    before = server.cpu_seconds()
    result = load.run(server.port, next_request, seconds=seconds)
    if result.errors:
        print(f"  {server.name}: {result.errors} of {result.requests} failed", file=sys.stderr)
    return result.rate, (server.cpu_seconds() - before) * 1000 / result.requests, result


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(TARGETS))
    parser.add_argument("--dir", help="where the databases lie; durable writes need a real disk")
    asked = parser.parse_args()
    random.seed(1)
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder, both(Path(folder), asked.workers) as (ours, minimal):
        idle = ours.memory_mb(), minimal.memory_mb()
        fill(ours, lambda: load.request("POST", "/api/tickets", body(), TOKEN), asked.tickets)
        fill(minimal, lambda: load.request("POST", "/tickets", body()), asked.tickets)
        print(f"{asked.tickets} tickets, {asked.workers} workers, 16 connections, {asked.rounds} × {asked.seconds} s")
        print(
            f"{'':8}{'backend/s':>11}{'minimal/s':>11}{'ratio':>7}{'wanted':>8}"
            f"{'CPU ms':>9}{'CPU ms':>9}{'ratio':>7}   p50/p99 ms"
        )
        for name, (mine, theirs) in operations(ours).items():
            if asked.only and name not in asked.only:
                continue
            rounds = [
                (measure(ours, mine, asked.seconds), measure(minimal, theirs, asked.seconds))
                for _ in range(asked.rounds)
            ]
            a, b = (statistics.median(r[side][0] for r in rounds) for side in (0, 1))
            ca, cb = (statistics.median(r[side][1] for r in rounds) for side in (0, 1))
            pa, pb = rounds[-1][0][2], rounds[-1][1][2]
            print(
                f"{name:8}{a:11.0f}{b:11.0f}{a / b:7.2f}{TARGETS[name]:8.2f}{ca:9.3f}{cb:9.3f}{cb / ca:7.2f}   "
                f"{pa.percentile(0.5):.1f}/{pa.percentile(0.99):.1f} "
                f"against {pb.percentile(0.5):.1f}/{pb.percentile(0.99):.1f}"
            )
        print(
            f"idle memory, PSS: {idle[0]:.0f} MB against {idle[1]:.0f} MB, ratio {idle[0] / idle[1]:.2f} (at most 1.5)"
        )


if __name__ == "__main__":
    main()
