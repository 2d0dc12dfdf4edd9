"""Somebody who goes on working: their requests are timed before, while and after another client attacks."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol

from tests.siege.attacking import Target

ADDRESS = "127.0.0.2"  # not the attacker's 127.0.0.1
PAUSE_SECONDS = 0.01
GIVE_UP_SECONDS = 30
RECOVERY_SECONDS = 5.0
CALM_SECONDS = 0.5
"""The attack is over for the bystander once nothing was slow for so long."""
SLOW = 3.0
"""Times the quiet p99."""
ALWAYS_FAST_SECONDS = 0.1
"""What is never called slow: on a shared machine it is noise."""
ROOT = Path(__file__).parents[2]


class Attacked(Protocol):
    """A server, wherever it runs."""

    @property
    def target(self) -> Target:
        """Where it is, and what is in it."""
        ...

    def memory(self) -> int:
        """Bytes of all its processes together."""
        ...


@dataclass(frozen=True)
class Timed:
    """One request of the bystander's."""

    began: float
    seconds: float
    failure: str | None


class Bystander:
    """Reads, writes and looks at pages on a kept connection; every fourth request comes on a new one."""

    def __init__(self, target: Target) -> None:
        self.timed: list[Timed] = []
        self._target = target
        self._connection: HTTPConnection | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Bystander":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(GIVE_UP_SECONDS + 1)

    def since(self, moment: float, until: float = float("inf")) -> list[Timed]:
        """The requests that were under way then."""
        return [one for one in self.timed if one.began + one.seconds >= moment and one.began < until]

    def _work(self) -> None:
        ticket = f"/api/tickets/{self._target.ticket}"
        draft = {"title": "T", "description": "D", "severity": "low", "category": "Hardware"}
        calls: list[tuple[str, str, Any]] = [
            ("GET", "/health/live", None),
            ("GET", ticket, None),
            ("GET", "/api/tickets?limit=20", None),
            ("POST", "/api/tickets", draft),
            ("GET", ticket, None),
            ("GET", "/health", None),
            ("GET", "/api/tickets?q=keyboard&limit=10", None),
            ("GET", f"{ticket}/comments", None),
        ]
        for number in range(sys.maxsize):
            if self._ending.wait(PAUSE_SECONDS):
                break
            if number % 4 == 0:
                self._hang_up()
            self._time(*calls[number % len(calls)])
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _time(self, method: str, path: str, body: Any) -> None:
        began, failure = time.monotonic(), None
        try:
            if self._connection is None:
                self._connection = HTTPConnection(
                    "127.0.0.1", self._target.port, timeout=GIVE_UP_SECONDS, source_address=(ADDRESS, 0)
                )
            headers = {"authorization": f"Bearer {self._target.bystander}", "content-type": "application/json"}
            self._connection.request(method, path, body and json.dumps(body), headers)
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                failure = f"{method} {path}: {answer.status} {text[:200].decode(errors='replace')}"
        except (OSError, HTTPException) as problem:
            failure = f"{method} {path}: {problem!r}"
            self._hang_up()
        self.timed.append(Timed(began, time.monotonic() - began, failure))


def p99(timed: list[Timed]) -> float:
    """Seconds within which 99 of 100 were answered."""
    seconds = sorted(one.seconds for one in timed)
    return seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]


@dataclass(frozen=True)
class Verdict:
    """What an attack did to the bystander and to the server. Seconds and bytes."""

    quiet: float
    """The bystander's p99 before."""
    during: float
    """And while the attack went on."""
    longest: float
    requests: int
    failures: list[str]
    idle_memory: int
    most_memory: int
    recovery: float
    """From the end of the attack to the end of the last request that was slow or failed."""
    report: dict[str, Any]
    """What the attack says it did."""

    def show(self) -> str:
        """One line of JSON, for where a test fails."""
        return json.dumps(asdict(self))


def crowd() -> float:
    """How many processes want each core of this machine, at least 1: by so much every time may be longer."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Attacker:
    """An attack in a process of its own."""

    def __init__(self, name: str, target: Target) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.siege.attacks", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(target)))
        self._process.stdin.close()
        self._process.stdin = None
        assert self._process.stdout
        self._process.stdout.readline()  # it has begun

    def is_over(self) -> bool:
        """Whether it ended by itself, which none should."""
        return self._process.poll() is not None

    def stop(self) -> dict[str, Any]:
        """End it; what it did."""
        self._process.terminate()
        try:
            told, _ = self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return dict(json.loads(told or "{}"))


@dataclass(frozen=True)
class Idle:
    """A server that only the bystander uses."""

    p99: float
    memory: int


def look_at_idle(server: Attacked, seconds: float) -> Idle:
    """Time the bystander while nobody attacks."""
    with Bystander(server.target) as bystander:
        _wait(1, lambda: len(bystander.timed) > 20)
        warm = time.monotonic()
        _wait(seconds, lambda: False)
        return Idle(p99(bystander.since(warm)), server.memory())


def besiege(server: Attacked, name: str, seconds: float, idle: Idle) -> Verdict:
    """Time the bystander during and after one attack."""
    with Bystander(server.target) as bystander:
        attacker = Attacker(name, server.target)
        began = time.monotonic()
        most = 0

        def look() -> bool:
            nonlocal most
            most = max(most, server.memory())
            return attacker.is_over()

        _wait(seconds, look)
        report = attacker.stop()
        ended = time.monotonic()
        slow = max(SLOW * idle.p99, ALWAYS_FAST_SECONDS)

        def last_slow() -> float:
            late = [one for one in bystander.since(ended) if one.failure or one.seconds > slow]
            return max((one.began + one.seconds for one in late), default=ended)

        _wait(
            GIVE_UP_SECONDS,
            lambda: time.monotonic() - last_slow() > CALM_SECONDS and bystander.timed[-1].began > ended,
        )
        recovered = last_slow() - ended if time.monotonic() - last_slow() > CALM_SECONDS else float("inf")
    under_attack = bystander.since(began, ended)
    return Verdict(
        quiet=idle.p99,
        during=p99(under_attack),
        longest=max(one.seconds for one in under_attack),
        requests=len(under_attack),
        failures=[one.failure for one in bystander.timed if one.failure],
        idle_memory=idle.memory,
        most_memory=most,
        recovery=recovered,
        report=report,
    )


def _wait(seconds: float, done: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not done():
        time.sleep(0.1)
