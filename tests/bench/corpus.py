"""A database of a million tickets and as many comments, written with the adapter's own functions, kept for reruns."""

import csv
import gzip
import itertools
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.adapters.embedded import ticket_rows
from backend.adapters.embedded.sqlite import Database
from backend.domain.tickets import Severity, Status, Ticket
from backend.domain.values import instant, new_id

FIRST = 1_600_000_000
SECONDS_BETWEEN = 120
FEW = "requester-with-5@example.org"
RARE = "zyzzyva"
CATEGORIES = ("Hardware", "Access", "Storage", "Purchase", "HR", "Miscellaneous", "Administrative rights")
TEAMS = ("Service desk", "Network", "Workplace", "Identity", "Facilities")
TAGS = ("vpn", "printer", "laptop", "onboarding", "urgent", "mail", "phone", "mobile", "license", "outage")
_BATCH = 20_000


def texts(file: Path | None) -> list[str]:
    """Real tickets' texts where there is a file of them, else sentences of a made-up vocabulary."""
    if file and file.exists():
        with gzip.open(file, "rt", encoding="utf-8", newline="") as handle:
            rows = csv.reader(handle)
            next(rows)
            return [row[0] for row in rows if row[0].strip()]
    chance = random.Random(7)
    syllables = ("pri", "net", "mo", "lap", "to", "ser", "ver", "dis", "key", "log", "pass", "win", "do", "cam")
    words = ["please", *("".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(20_000))]
    weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(words))))
    return [" ".join(chance.choices(words, cum_weights=weights, k=chance.randint(8, 90))) for _ in range(20_000)]


def tickets(source: Sequence[str], count: int) -> Iterator[Ticket]:
    """Tickets over years: old ones closed, new ones open, categories and people unevenly spread."""
    chance = random.Random(11)
    few = set(chance.sample(range(count), 5))
    rare = set(chance.sample(range(count), 20))
    for number in range(count):
        text = chance.choice(source)
        at = FIRST + number * SECONDS_BETWEEN
        active = number > count * 0.97 or chance.random() < 0.005
        status = chance.choice(tuple(Status)[:3]) if active else chance.choice(tuple(Status)[3:])
        updated = instant((at + chance.randint(0, 400_000)) * 1_000_000)
        requester = FEW if number in few else f"person{int(chance.paretovariate(0.6)) % 40_000}@example.org"
        yield Ticket(
            id=new_id(),
            number=0,
            title=text[:80],
            description=f"{text} {RARE}" if number in rare else text,
            severity=chance.choices(tuple(Severity), (50, 35, 12, 3))[0],
            category=chance.choices(CATEGORIES, (40, 25, 12, 10, 8, 4, 1))[0],
            status=status,
            requester=requester,
            assignee=None if active and chance.random() < 0.3 else f"agent{chance.randint(0, 60)}@example.org",
            team=chance.choices((None, *TEAMS), (10, 50, 15, 15, 8, 2))[0],
            tags=tuple(chance.sample(TAGS, chance.choice((0, 0, 1, 2)))),
            watchers=(f"person{chance.randint(0, 40_000)}@example.org",) if chance.random() < 0.2 else (),
            links=(),
            resolution=None if active else chance.choice(source)[:200],
            created_at=instant(at * 1_000_000),
            updated_at=updated,
            resolved_at=None if active else updated,
            first_response_due_at=None,
            first_responded_at=None,
            due_at=instant((at + 86_400 * chance.randint(1, 5)) * 1_000_000) if chance.random() < 0.8 else None,
            paused_at=None,
            promised_from=None,
            version=3,
            public_version=3,
            public_updated_at=updated,
        )


def fill(folder: Path, count: int, file: Path | None) -> Database:
    """The database with `count` tickets in `folder`: made where it is not there yet."""
    database = Database(folder)
    database.open()
    have = database.read(lambda connection: connection.execute("SELECT count(*) FROM tickets").fetchone()[0])
    if have >= count:
        return database
    if have:
        raise SystemExit(f"{folder} holds {have} tickets, not {count}: remove it, or give another --dir.")
    started = time.perf_counter()
    source = texts(file)
    waiting = tickets(source, count)
    with database.exclusive() as connection:
        later = _set_aside(connection)
    for start in range(0, count, _BATCH):
        with database.exclusive() as connection:
            connection.execute("PRAGMA cache_size = -400000")
            _write(connection, waiting, min(_BATCH, count - start), source)
        print(f"  {start + _BATCH:,} tickets after {time.perf_counter() - started:.0f} s", flush=True)
    with database.exclusive() as connection:
        connection.execute("PRAGMA cache_size = -400000")
        for sql in later:
            connection.execute(sql)
        for index in ("tickets_text", "comments_text", "notes_text"):
            connection.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")
    print(f"  indexes made after {time.perf_counter() - started:.0f} s", flush=True)
    return database


def _set_aside(connection: sqlite3.Connection) -> list[str]:
    """Take away indexes and triggers, which are quicker to make at the end; the SQL that does so."""
    found = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND (type = 'trigger' OR type = 'index'"
        " AND tbl_name IN ('tickets', 'ticket_tags', 'ticket_watchers', 'comments'))"
    ).fetchall()
    for kind, name, _ in found:
        connection.execute(f"DROP {kind} {name}")
    return [sql for _, _, sql in found]


def _write(connection: sqlite3.Connection, waiting: Iterator[Ticket], count: int, source: Sequence[str]) -> None:
    chance = random.Random(count)
    for ticket in itertools.islice(waiting, count):
        kept = ticket_rows.insert(connection, ticket)
        if chance.random() < 0.9:
            body, internal = chance.choice(source)[:300], chance.random() < 0.3
            connection.execute(
                "INSERT INTO comments (id, ticket_id, author, body, internal, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (new_id(), kept.id, "Ada", body, internal, kept.updated_at),
            )
