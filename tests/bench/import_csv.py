"""How fast a table comes in, and what requests notice of it: `python -m tests.bench.import_csv [ROWS]`.

With `CSV_GZ=/path/to/table.csv.gz` the texts are real ones (columns `document`, `topic_group`), repeated to ROWS.
"""

import csv
import gzip
import http.client
import io
import json
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import call, running

WORDS = [
    "printer",
    "vpn",
    "password",
    "mailbox",
    "laptop",
    "screen",
    "access",
    "network",
    "slow",
    "broken",
    "request",
    "update",
    "licence",
    "phone",
]


def texts() -> list[tuple[str, str]]:
    """(description, category)."""
    source = os.environ.get("CSV_GZ")
    if source:
        with gzip.open(source, "rt", encoding="utf-8", newline="") as handle:
            return [(row["document"][:2_000], row["topic_group"]) for row in csv.DictReader(handle)]
    return [(" ".join(WORDS[(n * k) % len(WORDS)] for k in range(1, 40)), f"Category {n % 8}") for n in range(5_000)]


def table(path: Path, rows: int) -> None:
    """A CSV file of so many rows."""
    found = texts()
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["Number", "Title", "Text", "Topic", "Priority", "State", "Opened", "Closed"])
        for n in range(rows):
            text, topic = found[n % len(found)]
            day = f"2026-{n % 10 + 1:02d}-{n % 28 + 1:02d} 09:{n % 60:02d}"
            over = n % 20 != 0
            state, closed = ("Done", day.replace(" 09", " 15")) if over else ("New", "")
            title = f"{text[:60].strip() or 'none'} {n}"
            writer.writerow([f"INC{n:07d}", title, text, topic, f"P{n % 4 + 1}", state, day, closed])


MAPPING = {
    "columns": {
        "Number": "external_id",
        "Title": "title",
        "Text": "description",
        "Topic": "category",
        "Priority": "severity",
        "State": "status",
        "Opened": "created_at",
        "Closed": "resolved_at",
    },
    "values": {
        "severity": {"P1": "critical", "P2": "high", "P3": "medium", "P4": "low"},
        "status": {"Done": "closed", "New": "open"},
    },
}


def send(port: int, path: Path) -> str:
    """Upload the table; where its import is."""
    head = (
        b'--b\r\nContent-Disposition: form-data; name="mapping"\r\n\r\n'
        + json.dumps(MAPPING).encode()
        + b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\n'
    )
    tail = b"\r\n--b--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest("POST", "/api/imports")
    connection.putheader("Authorization", f"Bearer {ADMIN_TOKEN}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(len(head) + path.stat().st_size + len(tail)))
    connection.endheaders()
    connection.send(head)
    with path.open("rb") as handle:
        while chunk := handle.read(256 * 1024):
            connection.send(chunk)
    connection.send(tail)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 202, body
    return f"/api/imports/{body['id']}"


class Others:
    """Somebody who reads and writes all the while."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> "Others":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _go_on(self) -> None:
        ticket = {"title": "T", "description": "D", "severity": "low", "category": "C"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        while not self._stop.is_set():
            for method, path, body in (("GET", "/api/tickets?limit=20", None), ("POST", "/api/tickets", ticket)):
                started = time.perf_counter()
                connection.request(method, path, json.dumps(body) if body else None, headers)
                connection.getresponse().read()
                self.seconds.append(time.perf_counter() - started)
            time.sleep(0.01)

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[int(len(ordered) * share)] * 1000 if ordered else 0.0


def main() -> None:
    """Print the figures."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as aside:
        root = Path(aside)
        path = root / "table.csv"
        table(path, rows)
        print(f"{rows} rows, {path.stat().st_size / 1e6:.0f} MB")
        with running(root) as (process, port):
            with Others(port) as before:
                time.sleep(5)
            print(f"others before: p50 {before.percentile(0.5):.1f} ms, p99 {before.percentile(0.99):.1f} ms")
            started = time.monotonic()
            location = send(port, path)
            print(f"uploaded in {time.monotonic() - started:.1f} s")
            started = time.monotonic()
            with Others(port) as during:
                time.sleep(15)
            print(f"others meanwhile: p50 {during.percentile(0.5):.1f} ms, p99 {during.percentile(0.99):.1f} ms")
            while (found := call(port, "GET", location)[1])["state"] in ("waiting", "running"):
                time.sleep(1)
            took = time.monotonic() - started
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = next(line for line in io.StringIO(status) if line.startswith("VmHWM")).split()[1]
            print(
                f"{found['state']}: {found['tickets_made']} tickets, {found['rows_refused']} refused, in {took:.0f} s: "
                f"{found['rows_read'] / took:.0f} rows/s; peak memory {int(peak) // 1024} MB"
            )
            for days in (30, 30, 30, 365):
                started = time.perf_counter()
                call(port, "GET", f"/api/stats?days={days}&tz=Europe/Zurich")
                print(f"stats of {days} days: {(time.perf_counter() - started) * 1000:.0f} ms")
    print(f"system time of children: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime:.0f} s")


if __name__ == "__main__":
    main()
