"""How late others hear when one person holds many streams: `python -m tests.bench.late_streams`.

One worker without a limit of streams. One person holds so many (GET /api/events); another opens the last stream of all.
Prints the time from a write to its event on that stream, and until every stream had it, for each number of streams.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import load
from tests.bench.compare import TOKEN, Server, body, free_port


async def _post(port: int, path: str, content: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(load.request("POST", path, content, TOKEN))
    head = await reader.readuntil(b"\r\n\r\n")
    answer = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
    writer.close()
    return answer


async def measure(port: int, count: int, writes: int) -> tuple[list[float], list[float]]:
    """Seconds until the other person, and until all had heard, for each write."""
    import orjson

    other = orjson.loads(await _post(port, "/api/tokens", b'{"name": "Ada", "role": "agent"}'))["token"]
    times: list[float] = []
    others: list[float] = []

    async def read(reader: asyncio.StreamReader, into: list[list[float]]) -> None:
        while piece := await reader.read(65_536):
            if b"\nevent: ticket." in piece:
                for each in into:
                    each.append(time.perf_counter())

    tasks = []
    for number in range(count + 1):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(load.request("GET", "/api/events", token=TOKEN if number < count else other))
        await reader.readuntil(b"event: hello")
        tasks.append((asyncio.create_task(read(reader, [times] if number < count else [times, others])), writer))
    first, last = [], []
    for _ in range(writes):
        times.clear()
        others.clear()
        started = time.perf_counter()
        await _post(port, "/api/tickets", body())
        while len(times) < count + 1:  # noqa: ASYNC110  # lists that other tasks fill have no event
            await asyncio.sleep(0.005)
        first.append(others[0] - started)
        last.append(max(times) - started)
    for task, writer in tasks:
        task.cancel()
        writer.close()
    return first, last


def main() -> None:
    """Run it."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="*", default=[30, 1000, 3000])
    parser.add_argument("--writes", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        variables = {
            "API_PORT": str(port),
            "ADMIN_TOKEN": TOKEN,
            "LOG_LEVEL": "warning",
            "STREAMS_PER_PERSON": "0",
            "STREAMS_PER_ADDRESS": "0",
            "TRUSTED_PROXIES": "127.0.0.1",
            **{f"{name}_DIR": str(Path(folder) / name.lower()) for name in ("DATA", "UPLOAD", "MEMORY")},
        }
        server = Server("backend", [sys.executable, "-m", "backend", "serve"], variables, port)
        try:
            for count in asked.streams:
                first, last = uvloop.run(measure(port, count, asked.writes))
                print(
                    f"{count:5} streams of one person: another hears after {max(first) * 1000:7.1f} ms at worst,"
                    f" all have heard after {max(last) * 1000:7.1f} ms"
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
