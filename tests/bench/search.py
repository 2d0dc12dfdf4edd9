"""Searches and lists among a million tickets: `python -m tests.bench.search --dir DIR [--texts FILE.csv.gz]`.

The database is filled once (minutes) and kept in DIR. Each line is a query through the port: CPU and wall
milliseconds of the first page (median of a few, and the worst), and how that compares with reading one ticket by its id.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from backend.adapters.embedded.tickets import SqliteTickets
from backend.domain.pages import CommentQuery, Sort, TicketFilter, TicketQuery
from backend.domain.search import understand
from backend.domain.tickets import Status, changed, event
from backend.domain.values import now
from tests.bench import corpus
from tests.builders import ADA, a_comment, a_ticket, an_event, saying

TRIES = 3
SLOW_MS = 200
TEXTS = {
    "word in most": "please",
    "word in a third": "{third}",
    "common word": "password",
    "rare word": corpus.RARE,
    "two words": "password reset",
    "two words in most": "please hi",
    "phrase": '"password reset"',
    "prefix of one": "p*",
    "prefix of three": "pas*",
    "without another": "password -reset",
    "without one in most": "password -please",
    "only without": "-password",
    "only without one in most": "-please",
}
FILTERS = {
    "": TicketFilter(),
    "requester with 5": TicketFilter(requester=(corpus.FEW,)),
    "open": TicketFilter(status=(Status.OPEN,)),
    "closed": TicketFilter(status=(Status.CLOSED,)),
    "small team": TicketFilter(team=("Facilities",)),
    "large team": TicketFilter(team=("Service desk",)),
    "open in HR": TicketFilter(status=(Status.OPEN,), category=("HR",)),
    "first year": TicketFilter(also=understand("created:<2021-09-01", "").conditions),
    "one month": TicketFilter(also=understand("created:2022-03", "").conditions),
    "not that tag": TicketFilter(also=understand("-tag:vpn", "").conditions),
}
LISTS = {
    **FILTERS,
    "several states": TicketFilter(also=understand("is:open", "").conditions),
    "several teams": TicketFilter(team=("Network", "Workplace", "Identity")),
    "unassigned": TicketFilter(also=understand("is:open is:unassigned", "").conditions),
    "overdue": TicketFilter(also=understand("is:overdue", "").conditions),
    "tag": TicketFilter(tag=("vpn",)),
    "two tags": TicketFilter(tag=("vpn",), also=understand("tag:mail", "").conditions),
    "watcher": TicketFilter(watcher=("person77@example.org",)),
    "critical of a large team": TicketFilter(also=understand('severity:critical team:"Service desk"', "").conditions),
}

Ask = Callable[[], Awaitable[object]]


class Bench:
    """Measures, prints, and remembers what was slow."""

    def __init__(self, tickets: SqliteTickets) -> None:
        self.tickets = tickets
        self.times: list[tuple[float, str]] = []
        self.unit = 0.0

    async def measure(self, name: str, ask: Ask) -> object:
        """One query, a few times."""
        cpu, wall = [], []
        for _ in range(TRIES):
            started = time.perf_counter(), time.process_time()
            answer = await ask()
            wall.append((time.perf_counter() - started[0]) * 1000)
            cpu.append((time.process_time() - started[1]) * 1000)
        median = statistics.median(cpu)
        self.unit = self.unit or median
        self.times.append((median, name))
        print(
            f"{name:58} {median:8.1f} ms CPU (worst {max(cpu):7.1f}), {statistics.median(wall):8.1f} ms wall, "
            f"{median / self.unit:8.0f} x one ticket",
            flush=True,
        )
        return answer

    async def pages(self, name: str, query: TicketQuery, deep: int) -> None:
        """The first page, and one far behind it."""
        page = await self.measure(name, lambda: self.tickets.list_tickets(query))
        for _ in range(deep):
            if page.next_cursor is None:  # type: ignore[attr-defined]
                return
            query = replace(query, cursor=page.next_cursor)  # type: ignore[attr-defined]
            page = await self.tickets.list_tickets(query)
        if deep and page.next_cursor:  # type: ignore[attr-defined]
            query = replace(query, cursor=page.next_cursor)  # type: ignore[attr-defined]
            await self.measure(f"{name}, {deep} pages on", lambda: self.tickets.list_tickets(query))

    def verdict(self) -> int:
        """How many were fast, and which were not."""
        times = sorted(self.times, reverse=True)
        p95 = times[len(times) // 20][0]
        slow = [f"{name} ({milliseconds:.0f} ms)" for milliseconds, name in times if milliseconds > SLOW_MS]
        print(
            f"{len(times)} queries: p50 {times[len(times) // 2][0]:.1f} ms, p95 {p95:.1f} ms, worst {times[0][0]:.1f}"
        )
        print("over the limit: " + ("; ".join(slow) or "none"))
        return len(slow)


async def hold_ups(tickets: SqliteTickets, query: TicketQuery) -> float:
    """The longest the event loop did not come round while a heavy search ran, in milliseconds."""
    longest = 0.0
    search = asyncio.ensure_future(tickets.list_tickets(query))
    while not search.done():
        started = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - started)
    await search
    return longest * 1000


async def writes(bench: Bench) -> None:
    """A new ticket, a change and a comment, each a commit on the disk."""
    kept = await bench.tickets.add(first := a_ticket(), (), an_event(first))

    def rename(ticket):  # type: ignore[no-untyped-def]
        return changed(ticket, now(), title=now()), event(ADA, ticket.id, now(), "changed")

    async def add() -> None:
        ticket = a_ticket()
        await bench.tickets.add(ticket, (), an_event(ticket))

    async def comment() -> None:
        said = a_comment(kept)
        await bench.tickets.add_comment(said, saying(said))

    await bench.measure("write: new ticket", add)
    await bench.measure("write: change of a title", lambda: bench.tickets.update(kept.id, rename))
    await bench.measure("write: comment", comment)


async def run(tickets: SqliteTickets, only: str) -> int:
    """All of it; `only`: those whose name holds this."""
    bench = Bench(tickets)
    newest = (await tickets.list_tickets(TicketQuery(limit=1))).items[0]
    await bench.measure("one ticket", lambda: tickets.get(newest.id))
    third = await word_in_a_third(tickets)
    texts = {name: text.format(third=third) for name, text in TEXTS.items()}
    for what, where in LISTS.items():
        for sort in (sort for sort in Sort if sort is not Sort.RELEVANCE):
            name = f"list {what or 'everything'} by {sort}"
            if only in name:
                await bench.pages(name, TicketQuery(where, sort=sort), deep=20 if sort is Sort.NEWEST else 0)
    for text, q in texts.items():
        terms = understand(q, "").terms
        for what, where in FILTERS.items():
            for sort in (Sort.RELEVANCE, Sort.NEWEST, Sort.FIRST_UPDATED, Sort.HIGHEST_NUMBER):
                name = f"{text} {f'of {what} ' if what else ''}by {sort}"
                if only not in name or (sort is Sort.RELEVANCE and text.startswith("only")):
                    continue
                await bench.pages(name, TicketQuery(where, terms, sort), deep=10 if sort is Sort.RELEVANCE else 0)
    for text, q in texts.items():
        for what, where in FILTERS.items():
            query = CommentQuery(where, understand(q, "").terms or ())
            name = f"comments: {text} {f'of {what}' if what else ''}"
            if only in name and not text.startswith("only"):
                await bench.measure(name, lambda query=query: tickets.search_comments(query))  # type: ignore[misc]
    if only in "writes":
        await writes(bench)
        heavy = TicketQuery(FILTERS["closed"], understand("please", "").terms, Sort.FIRST_UPDATED)
        print(f"event loop held up by a heavy search: {await hold_ups(tickets, heavy):.1f} ms")
    return bench.verdict()


async def word_in_a_third(tickets: SqliteTickets) -> str:
    """A word of the newest tickets that about three in ten hold."""
    page = await tickets.list_tickets(TicketQuery(limit=200))
    seen: dict[str, int] = {}
    for ticket in page.items:
        for word in set(f"{ticket.title} {ticket.description}".split()):
            seen[word] = seen.get(word, 0) + 1
    return min(seen, key=lambda word: abs(seen[word] / len(page.items) - 0.3))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where the filled database is kept")
    parser.add_argument("--texts", type=Path, help="a .csv.gz whose first column is a text")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="only the queries whose name holds this")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    tickets = SqliteTickets(corpus.fill(asked.dir, asked.count, asked.texts))
    try:
        slow = asyncio.run(run(tickets, asked.only))
    finally:
        tickets.close()
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
