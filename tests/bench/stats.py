"""How long figures take: `python -m tests.bench.stats [TICKETS]`, spread over two years, a twentieth of them open."""

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from backend.adapters.embedded import ticket_rows
from backend.domain.figures import period
from backend.domain.tickets import Severity, Status
from backend.domain.values import instant, now
from backend.settings import load_settings
from backend.wiring import wire
from tests.builders import a_ticket
from tests.conftest import variables

DAY = 86_400_000_000
COLUMNS = f"INSERT INTO tickets ({ticket_rows.COLUMNS}) VALUES ({', '.join('?' * len(ticket_rows.COLUMNS.split(',')))})"


def fill(path: Path, count: int) -> None:
    """Rows straight into the table: its text index has no part in figures."""
    chance = random.Random(1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("DROP TRIGGER tickets_text_add")
    end = time.time_ns() // 1000
    plain = a_ticket()

    def row(n: int) -> list[object]:
        came = end - 730 * DAY + n * 730 * DAY // count
        over = chance.random() > 0.05
        done = instant(min(end, came + chance.randrange(DAY * 3)))
        ticket = plain._replace(
            number=n + 1,
            id=f"{n:026d}",
            severity=chance.choice(list(Severity)),
            category=f"Category {chance.randrange(12)}",
            status=Status.CLOSED if over else Status.OPEN,
            team=f"Team {chance.randrange(8)}",
            assignee=f"agent{chance.randrange(40)}@example.org",
            created_at=instant(came),
            resolved_at=done if over else None,
            first_responded_at=done if over else None,
            first_response_due_at=instant(came + DAY // 6),
            due_at=instant(came + DAY * 2),
        )
        return [ticket.id, ticket.number, *ticket_rows._values(ticket)]

    with connection:
        connection.executemany(COLUMNS, (row(n) for n in range(count)))
    connection.close()


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as aside:
        ports = wire(load_settings(variables(Path(aside)), Path("/nonexistent")))
        ports.open()
        fill(Path(aside) / "data" / "tickets.db", count)
        print(f"{count} tickets")
        for days, teams in ((30, ()), (30, ("Team 1",)), (366, ())):
            found = []
            for _ in range(5):
                started = time.perf_counter()
                asyncio.run(ports.tickets.figures(period(days, "Europe/Zurich", now(), teams)))
                found.append((time.perf_counter() - started) * 1000)
            print(
                f"{days} days, {len(teams) or 'all'} teams: median {sorted(found)[2]:.0f} ms, best {min(found):.0f} ms"
            )
        ports.close()


if __name__ == "__main__":
    main()
