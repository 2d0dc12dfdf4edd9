"""Real tickets through the API, and searches among them: `python -m tests.bench.real_tickets FILE.csv.gz`.

FILE has two columns, the text and its topic, and a header. Without it this says so and ends with 0.
"""

import argparse
import csv
import gzip
import json
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench import load
from tests.bench.compare import TOKEN, both

SEARCHES = ("printer", "password reset", "vpn", '"new starter"', "outl*", "laptop -monitor", "please", "xyzzy")


def requests_of(file: Path) -> Iterator[bytes]:
    """A POST for each row that has a text."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as handle:
        rows = csv.reader(handle)
        next(rows)
        for text, topic in rows:
            if text.strip():
                ticket = {"title": text[:80], "description": text[:20_000], "severity": "medium", "category": topic}
                yield load.request("POST", "/api/tickets", json.dumps(ticket).encode(), TOKEN)


def search(port: int, query: str) -> tuple[int, float]:
    """Tickets on the first page, and the median milliseconds of a few tries."""
    url = f"http://127.0.0.1:{port}/api/tickets?limit=50&q={urllib.parse.quote(query)}"
    asked = urllib.request.Request(url, headers={"authorization": f"Bearer {TOKEN}"})
    times, items = [], []
    for _ in range(7):
        started = time.perf_counter()
        with urllib.request.urlopen(asked) as answer:
            items = json.load(answer)["items"]
        times.append((time.perf_counter() - started) * 1000)
    return len(items), statistics.median(times)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if not asked.file.exists():
        print(f"skipped: there is no {asked.file}")
        return
    waiting = requests_of(asked.file)

    def following() -> bytes | None:
        return next(waiting, None)

    with tempfile.TemporaryDirectory() as folder, both(Path(folder), asked.workers) as (ours, _):
        result = load.run(ours.port, following, seconds=600)
        print(
            f"{result.requests} tickets in {result.seconds:.1f} s, {result.rate:.0f}/s, {result.errors} refused, "
            f"p50 {result.percentile(0.5):.1f} ms, p99 {result.percentile(0.99):.1f} ms"
        )
        for query in SEARCHES:
            found, milliseconds = search(ours.port, query)
            print(f"  {query:20} {found:3} on the first page, {milliseconds:.1f} ms")
        size = sum(path.stat().st_size for path in Path(folder, "data").iterdir())
        print(f"  database {size / 1e6:.0f} MB, memory {ours.memory_mb():.0f} MB (PSS, {asked.workers} workers)")
    if result.errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
