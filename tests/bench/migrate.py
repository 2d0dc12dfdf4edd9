"""How long a new schema takes on a large database, safety copy included: `python -m tests.bench.migrate`.

The start timeout of the quadlet is fitted to it (backend/decisions/0014). From the first schema to the newest, and
once more with the worst that a step may do: every row rewritten and the search index made anew.
"""

import argparse
import random
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from backend.adapters.embedded import sqlite
from tests.bench.compare import WORDS

WORST = (
    "UPDATE tickets SET description = description || '.'; INSERT INTO tickets_text (tickets_text) VALUES ('rebuild');"
)


def fill(directory: Path, count: int) -> None:
    """So many tickets, in one transaction."""
    database = sqlite.Database(directory)
    database.open()
    database.close()
    with sqlite.closing(sqlite3.connect(directory / "tickets.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO tickets (id, title, description, severity, category, status, requester, tags, created_at,"
            " updated_at, version) VALUES (?, ?, ?, 'low', 'Hardware', 'open', 'a@example.org', '[]', ?, ?, 1)",
            (row(number) for number in range(count)),
        )
        connection.execute("COMMIT")


def row(number: int) -> tuple[str, str, str, str, str]:
    """A ticket's identity, text and times."""
    text = " ".join(random.choices(WORDS, k=40))
    moment = f"2026-01-01T00:00:00.{number:06}Z"
    return f"{number:026}", text[:60], text, moment, moment


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--dir", help="where the database lies: a real disk")
    asked = parser.parse_args()
    random.seed(1)
    shipped = sqlite.migrations()
    tried = {
        f"schema 1 to {shipped[-1][0]}": shipped,
        "the same, every row and the search index anew": [*shipped, (shipped[-1][0] + 1, WORST)],
    }
    with tempfile.TemporaryDirectory(dir=asked.dir) as root:
        sqlite.migrations = lambda: shipped[:1]
        fill(Path(root) / "full", asked.tickets)
        size = (Path(root) / "full" / "tickets.db").stat().st_size / 1e6
        print(f"{asked.tickets} tickets, {size:.0f} MB", flush=True)
        for name, steps in tried.items():
            shutil.copytree(Path(root) / "full", Path(root) / "tried")
            sqlite.migrations = lambda steps=steps: steps
            database = sqlite.Database(Path(root) / "tried")
            started, worked = time.perf_counter(), time.process_time()
            database.open()
            seconds, cpu = time.perf_counter() - started, time.process_time() - worked
            print(f"safety copy and {name}: {seconds:.1f} s, of which {cpu:.1f} s of CPU", flush=True)
            database.close()
            shutil.rmtree(Path(root) / "tried")


if __name__ == "__main__":
    main()
