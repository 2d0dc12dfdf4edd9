"""What a backup costs, against copying the same bytes, and what requests feel of it: `python -m tests.bench.backup`.

Prints the time of a first backup, of `cp -r` of the same directories (both followed by a flush of the disk, since a
backup that is still in memory is none), of a second, incremental one, and the latency of reads and writes with and
without a backup running. Nothing is asserted here.
"""

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from backend.domain.access import Caller, Role
from backend.domain.tickets import TicketDraft
from backend.settings import load_settings
from backend.usecases import tickets
from backend.usecases.attachments import Uploads
from backend.wiring import wire
from tests.bench import load
from tests.bench.compare import ROOT, TOKEN, WORDS, Server, body, free_port

_ADMIN = Caller("t", "bench", Role.ADMIN, "bench@example.org")
_MEGABYTE = 1024 * 1024


def environment(folder: Path) -> dict[str, str]:
    """The state directories."""
    return {f"{name}_DIR": str(folder / name.lower()) for name in ("DATA", "UPLOAD", "MEMORY")}


async def fill(folder: Path, count: int, megabytes: int) -> None:
    """So many tickets, and so many of them with a file of 1 MiB."""
    ports = wire(load_settings(environment(folder)))
    ports.open()

    async def one(number: int) -> None:
        text = " ".join(random.choices(WORDS, k=40))
        draft = TicketDraft(title=text[:60], description=text, severity="low", category="Hardware")
        uploads = Uploads(ports, _ADMIN)
        if number < megabytes:

            async def chunks():
                yield os.urandom(_MEGABYTE)

            await uploads.take("file.bin", None, chunks())
        await tickets.open_ticket(ports, _ADMIN, draft, uploads.files)

    for start in range(0, count, 200):
        await asyncio.gather(*(one(number) for number in range(start, min(start + 200, count))))
    ports.close()


def timed(work: Callable[[], object]) -> float:
    """Seconds, with the disk flushed before and after."""
    os.sync()
    started = time.perf_counter()
    work()
    os.sync()
    return time.perf_counter() - started


def back_up(folder: Path, target: Path) -> None:
    """As the command does it, in a process of its own."""
    command = [sys.executable, "-m", "backend", "backup", str(target)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **environment(folder)}, stderr=subprocess.DEVNULL)


def copy(folder: Path, target: Path) -> None:
    """What a backup is measured against."""
    subprocess.run(
        ["cp", "-r", *(str(folder / name) for name in ("data", "upload", "memory")), str(target)], check=True
    )


def feel(folder: Path, seconds: float) -> None:
    """Latencies of reads and of writes, alone and with backups running."""
    port = free_port()
    settings = {"API_PORT": str(port), "ADMIN_TOKEN": TOKEN, "API_WORKERS": "2", **environment(folder)}
    server = Server("backend", [sys.executable, "-m", "backend", "serve"], settings, port)
    mixed = [load.request("POST", "/api/tickets", body(), TOKEN) for _ in range(300)]
    mixed += [load.request("GET", "/api/tickets?limit=20", token=TOKEN)] * 700
    try:
        load.run(port, lambda: random.choice(mixed), connections=4, seconds=2)
        alone = load.run(port, lambda: random.choice(mixed), connections=4, seconds=seconds)
        stop = threading.Event()

        def keep_backing_up() -> None:
            while not stop.is_set():
                shutil.rmtree(folder / "felt", ignore_errors=True)
                back_up(folder, folder / "felt")

        thread = threading.Thread(target=keep_backing_up)
        thread.start()
        during = load.run(port, lambda: random.choice(mixed), connections=4, seconds=seconds)
        stop.set()
        thread.join()
    finally:
        server.stop()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        a, b = alone.percentile(share), during.percentile(share)
        wanted = " (at most 2)" if name == "p99" else ""
        print(f"{name} of requests: {a:.1f} ms alone, {b:.1f} ms during backups, ratio {b / a:.2f}{wanted}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", help="where everything lies: a real disk")
    asked = parser.parse_args()
    random.seed(1)
    with tempfile.TemporaryDirectory(dir=asked.dir) as root:
        folder = Path(root)
        asyncio.run(fill(folder, asked.tickets, asked.megabytes))
        for _ in range(asked.rounds):
            shutil.rmtree(folder / "backups", ignore_errors=True)
            shutil.rmtree(folder / "copy", ignore_errors=True)
            (folder / "copy").mkdir()
            first = timed(lambda: back_up(folder, folder / "backups"))
            copied = timed(lambda: copy(folder, folder / "copy"))
            second = timed(lambda: back_up(folder, folder / "backups"))
            ratio = first / copied
            print(f"backup {first:.2f} s, cp -r {copied:.2f} s, ratio {ratio:.2f} (at most 1.5), again {second:.2f} s")
        shutil.rmtree(folder / "copy")
        feel(folder, 10)


if __name__ == "__main__":
    main()
