"""One replica against two on one DynamoDB table: `python -m tests.bench.replicas`. Needs Java (tests/clouds.py).

On one machine the store, the load and the replicas share the processors, so a throughput alone says little. Two things are
measured: as fast as it goes, with the processor time that each part took, which says what the limit is and how many
requests a second of a replica's processor time serves; and with the store so far away that waiting for it limits each
replica, as many calls at once as it has threads for, where a second replica should double what gets through.
"""

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import pytest

from backend.settings import load_settings
from backend.wiring import CloudSetup
from tests import clouds
from tests.aws.test_replicas import Replica, replicas
from tests.bench import load
from tests.conftest import ADMIN_TOKEN, variables
from tests.replicas import TICKET, ask

SECONDS = 10.0
FAR_SECONDS = 0.4
CONNECTIONS = 16  # to each replica, as fast as it goes
CONNECTIONS_FAR = 64  # more than a replica has threads for its store
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Round:
    """What one round gave: requests answered a second, and processor seconds by part."""

    rate: float
    errors: int
    median: float
    seconds: float
    used: dict[str, float]

    def told(self, name: str) -> str:
        """One line."""
        count = self.rate * self.seconds
        parts = ", ".join(f"{part} {used / self.seconds:.2f}" for part, used in self.used.items())
        ours = self.used["replicas"]
        return (
            f"{name:24} {self.rate:7.1f} requests/s, median {self.median:6.1f} ms, {self.errors} errors; cores used: "
            f"{parts}; {count / ours if ours else 0:.0f} requests for each second of a replica's processor"
        )


def spent(pids: Sequence[int]) -> float:
    """Processor seconds of these processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def busy() -> float:
    """Processor seconds of the whole machine so far."""
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + soft) / _TICK


def measure(made: Sequence[Replica], stores: Sequence[int], request: bytes, connections: int) -> Round:
    """Load each replica with this request over and over."""
    parts = {"replicas": [one.pid for one in made], "store": list(stores), "load and relay": [os.getpid()]}
    before, all_before = {name: spent(pids) for name, pids in parts.items()}, busy()
    started = perf_counter()
    with ThreadPoolExecutor(len(made)) as pool:
        results = list(pool.map(lambda one: load.run(one.port, lambda: request, connections, SECONDS), made))
    seconds = perf_counter() - started
    used = {name: spent(pids) - before[name] for name, pids in parts.items()}
    used["others"] = max(0.0, busy() - all_before - sum(used.values()))
    latencies = sorted(latency for result in results for latency in result.latencies)
    answered, errors = sum(result.requests for result in results), sum(result.errors for result in results)
    return Round(answered / seconds, errors, latencies[len(latencies) // 2] * 1000, seconds, used)


def children(name: str) -> list[int]:
    """Processes that this one started, by the program's name."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in found if name in Path(f"/proc/{pid}/cmdline").read_text()]


def both(kind: str, request: bytes, made: Sequence[Replica], stores: Sequence[int], connections: int) -> float:
    """One replica, then two; how many times as much got through."""
    one, two = measure(made[:1], stores, request, connections), measure(made, stores, request, connections)
    print(one.told(f"{kind}, one replica"))
    print(two.told(f"{kind}, two replicas"))
    ratio, cores = two.rate / one.rate, os.cpu_count() or 1
    total = sum(two.used.values()) / two.seconds
    share = {name: used / sum(two.used.values()) for name, used in two.used.items()}
    limit = (
        f"the machine's {cores} cores, of which {total:.2f} were busy" if total > 0.85 * cores else "not the processors"
    )
    shares = ", ".join(f"{name} {part:.0%}" for name, part in share.items())
    print(f"  two serve {ratio:.2f} times as much as one; the limit with two: {limit} ({shares})", flush=True)
    return ratio


def main() -> None:
    """Measure and print."""
    reason = clouds.missing()
    if reason:
        sys.exit(reason)
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        root = Path(scratch)
        engines = stack.enter_context(clouds.running(root))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in engines.environ().items():
            patch.setenv(name, value)
        given = variables(root, **clouds.variables())
        CloudSetup(load_settings(given)).make()
        made = stack.enter_context(replicas(2, root, engines, given))
        stores = [*children("DynamoDBLocal"), *children("moto")]
        ticket = ask(made[0].port, ADMIN_TOKEN, "POST", "/api/tickets", TICKET).json["id"]
        read = load.request("GET", f"/api/tickets/{ticket}", token=ADMIN_TOKEN)
        file = load.request("POST", "/api/tickets", json.dumps(TICKET).encode(), ADMIN_TOKEN)
        for request in (read, file):
            for replica in made:
                load.run(replica.port, lambda request=request: request, 8, 2.0)  # until Java is warm
        both("read", read, made, stores, CONNECTIONS)
        both("file", file, made, stores, CONNECTIONS)
        for replica in made:
            replica.table.slow(FAR_SECONDS)
        print(f"The store is {FAR_SECONDS:g} s away:")
        both("read", read, made, stores, CONNECTIONS_FAR)


if __name__ == "__main__":
    main()
