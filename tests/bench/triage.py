"""How good the built-in suggestions are: `python -m tests.bench.triage FILE.csv.gz [--known 100,3000,30000]`.

FILE has two columns, the text and its topic, and a header; without it this says so and ends with 0. Of the rows, in
an order shuffled with a fixed seed, the first ones become resolved tickets with their topics as categories; the next
ones are asked about, each as a new ticket that says nothing of its topic, and then resolved under it. Printed is how often the category was right,
against always saying the most frequent one, and how often each confidence was right.
"""

import argparse
import asyncio
import csv
import gzip
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from backend.domain.access import Caller, Role
from backend.domain.neighbours import Subject
from backend.domain.tickets import Status, Ticket, TicketDraft, Written, changed, event, new_ticket
from backend.domain.values import now
from backend.ports import MOST_ADDED, Ports
from backend.settings import load_settings
from backend.usecases import triage
from backend.wiring import wire

AGENT = Caller("bench", "Bench", Role.AGENT, "bench@example.org")
UNKNOWN = "Not known yet"
STEPS = 5

Row = tuple[str, str]


def rows_of(file: Path) -> list[Row]:
    """Texts and topics, shuffled."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as handle:
        rows = csv.reader(handle)
        next(rows)
        found = [(text[:20_000], topic) for text, topic in rows if text.strip()]
    random.Random(5).shuffle(found)
    return found


def a_ticket(text: str, category: str, **more: object) -> Ticket:
    """A ticket of a row."""
    draft = TicketDraft(title=text[:80], description=text, severity="medium", category=category)
    return new_ticket(AGENT, draft, now())._replace(**more)


def written(ticket: Ticket) -> Written:
    """The ticket with its first line of history."""
    return ticket, event(AGENT, ticket.id, ticket.created_at, "created", {})


def settled(ticket: Ticket, topic: str) -> Ticket:
    """The ticket once somebody has dealt with it."""
    return changed(ticket, now(), category=topic, status=Status.RESOLVED)


async def learn(ports: Ports, rows: list[Row]) -> None:
    """Keep the rows as resolved tickets."""
    for start in range(0, len(rows), MOST_ADDED):
        batch = [a_ticket(*row, status=Status.RESOLVED, resolved_at=now()) for row in rows[start : start + MOST_ADDED]]
        await ports.tickets.add_many([written(ticket) for ticket in batch])


async def ask(ports: Ports, rows: list[Row]) -> None:
    """Ask about each row, and print how that went."""
    right, spent = 0, []
    told: dict[int, list[bool]] = {step: [] for step in range(STEPS)}
    for text, topic in rows:
        ticket, filed = written(a_ticket(text, UNKNOWN))
        await ports.tickets.add(ticket, (), filed)
        begun = time.perf_counter()
        found = (await triage.show(ports, AGENT, ticket.id)).triage
        spent.append((time.perf_counter() - begun) * 1000)
        await ports.tickets.update(ticket.id, lambda asked, topic=topic: written(settled(asked, topic)))
        said = next((one for one in found.suggestions if one.subject is Subject.CATEGORY), None)
        if said:
            right += said.value == topic
            told[min(STEPS - 1, int(said.confidence * STEPS))].append(said.value == topic)
    most = Counter(topic for _, topic in rows).most_common(1)[0][1]
    print(f"  right {right / len(rows):.1%} of {len(rows)}, {right / most:.2f} x the most frequent category alone")
    for step, answers in told.items():
        if answers:
            low, high = step / STEPS, (step + 1) / STEPS
            print(f"    confidence {low:.1f} to {high:.1f}: {len(answers):5}, right {statistics.mean(answers):.0%}")
    cuts = statistics.quantiles(spent, n=20)
    print(f"  {statistics.median(spent):.1f} ms a ticket, p95 {cuts[-1]:.1f} ms")


async def measure(rows: list[Row], known: int, asked: int) -> None:
    """One size of history."""
    with tempfile.TemporaryDirectory() as folder:
        names = {"DATA_DIR": "data", "UPLOAD_DIR": "uploads", "MEMORY_DIR": "memories"}
        places = {name: str(Path(folder, place)) for name, place in names.items()}
        ports = wire(load_settings({**places, "ADMIN_TOKEN": "bench-bench-bench"}, Path("/nonexistent")))
        ports.open()
        try:
            await learn(ports, rows[asked : asked + known])
            print(f"{known} tickets known:")
            await ask(ports, rows[:asked])
        finally:
            ports.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--known", default="30,300,3000,30000", help="how many resolved tickets there are, by commas")
    parser.add_argument("--asked", type=int, default=1_000, help="how many are asked about")
    asked = parser.parse_args()
    if not asked.file.exists():
        print(f"skipped: there is no {asked.file}")
        return
    rows = rows_of(asked.file)
    for known in asked.known.split(","):
        asyncio.run(measure(rows, int(known), asked.asked))


if __name__ == "__main__":
    main()
