"""What open streams cost everybody else: `python -m tests.bench.streams`.

The same load with and without so many open streams (GET /api/events) on one worker, in alternating rounds of one run.
The streams' reader is a process of its own. Nothing is asserted here; the ratios are to be at most 1.5.

Requests come at a set pace, as people's do, and each write is told to every stream; `--pace 0` sends as fast as answers
come, where the streams' share of the one process shows as well.
"""

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.bench import load
from tests.bench.compare import TOKEN, Server, body, fill, first_id, free_port


async def _follow(port: int, count: int, pipe: Connection) -> None:
    got = 0
    streams = []

    async def read(reader: asyncio.StreamReader) -> None:
        nonlocal got
        while piece := await reader.read(65536):
            got += piece.count(b"\nevent: ticket.")

    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(load.request("GET", "/api/events", token=TOKEN))
        await reader.readuntil(b"event: hello")
        streams.append((asyncio.create_task(read(reader)), writer))
    pipe.send(count)
    await asyncio.to_thread(pipe.recv)
    for task, writer in streams:
        writer.close()
        task.cancel()
    pipe.send(got)


def follow(port: int, count: int, pipe: Connection) -> None:
    """Hold so many streams open, until told to stop."""
    import uvloop

    uvloop.run(_follow(port, count, pipe))


async def _paced(port: int, requests: dict[str, list[bytes]], pace: dict[str, float], seconds: float) -> dict:
    """Send each kind of request so many times a second, whatever the answers take; latencies in seconds by kind."""
    taken: dict[str, list[float]] = {name: [] for name in requests}
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def one(name: str) -> None:
        started = time.perf_counter()
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(random.choice(requests[name]))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 2"), head
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        taken[name].append(time.perf_counter() - started)
        idle.append((reader, writer))

    async def keep_on(name: str) -> None:
        tasks = []
        start = time.perf_counter()
        for number in range(int(seconds * pace[name])):
            await asyncio.sleep(max(0.0, start + number / pace[name] - time.perf_counter()))
            tasks.append(asyncio.create_task(one(name)))
        await asyncio.gather(*tasks)

    await asyncio.gather(*(keep_on(name) for name in requests))
    return taken


def measure(port: int, requests: dict[str, list[bytes]], pace: float, seconds: float) -> dict[str, list[float]]:
    """Sorted latencies by kind of request: `pace` reads a second and a fifth as many writes."""
    import uvloop

    if pace:
        taken = uvloop.run(_paced(port, requests, {"get": pace, "create": pace / 5}, seconds))
    else:
        taken = {
            name: load.run(port, lambda sent=sent: random.choice(sent), 4, seconds).latencies
            for name, sent in requests.items()
        }
    return {name: sorted(latencies) for name, latencies in taken.items()}


def percentile(latencies: list[float], share: float) -> float:
    """In milliseconds."""
    return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="*", default=[500, 1000])
    parser.add_argument("--pace", type=float, default=100.0, help="reads a second; a fifth as many writes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--dir", help="where the database lies; durable writes need a real disk")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder:
        port = free_port()
        variables = {
            "API_PORT": str(port),
            "ADMIN_TOKEN": TOKEN,
            "LOG_LEVEL": "warning",
            "STREAMS_PER_PERSON": "0",
            "STREAMS_PER_ADDRESS": "0",
            **{f"{name}_DIR": str(Path(folder) / name.lower()) for name in ("DATA", "UPLOAD", "MEMORY")},
        }
        server = Server("backend", [sys.executable, "-m", "backend", "serve"], variables, port)
        try:
            fill(server, lambda: load.request("POST", "/api/tickets", body(), TOKEN), 500)
            get = [load.request("GET", f"/api/tickets/{first_id(port)}", token=TOKEN)]
            create = [load.request("POST", "/api/tickets", body(), TOKEN) for _ in range(200)]
            for count in asked.streams:
                compare(server, {"get": get, "create": create}, count, asked)
        finally:
            server.stop()


def compare(server: Server, requests: dict[str, list[bytes]], count: int, asked: argparse.Namespace) -> None:
    """Alternate rounds without and with the streams, and print what they did."""
    rounds: dict[bool, list[dict[str, list[float]]]] = {False: [], True: []}
    told = 0
    memory = server.memory_mb()
    for _ in range(asked.rounds):
        rounds[False].append(measure(server.port, requests, asked.pace, asked.seconds))
        here, there = multiprocessing.Pipe()
        follower = multiprocessing.get_context("spawn").Process(target=follow, args=(server.port, count, there))
        follower.start()
        here.recv()
        held = server.memory_mb()
        rounds[True].append(measure(server.port, requests, asked.pace, asked.seconds))
        time.sleep(4)  # the last events reach their readers
        here.send("stop")
        told += here.recv()
        follower.join()
    pace = f"{asked.pace:g} reads/s" if asked.pace else "closed loop"
    print(f"{count} streams, 1 worker, {pace}, {asked.rounds} × {asked.seconds} s; memory {held - memory:+.0f} MB")
    for name in requests:
        figures = []
        for share in (0.5, 0.99):
            without, with_ = (
                statistics.median(percentile(one[name], share) for one in rounds[open_]) for open_ in (False, True)
            )
            figures.append(f"p{share * 100:.0f} {without:.2f} → {with_:.2f} ms, ratio {with_ / without:.2f}")
        print(f"  {name:7} {'   '.join(figures)}")
    written = sum(len(one["create"]) for one in rounds[True])
    print(f"  {told} events told, {told / count / written:.2f} of what was written to each stream")


if __name__ == "__main__":
    main()
