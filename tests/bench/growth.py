"""What growing costs on AWS, and what is the limit first: `python -m tests.bench.growth [--texts FILE.csv.gz]`.

1. Each operation runs once on moto (which takes 100 actions in a transaction, as AWS does) while every call to the table
   is metered: units written and read by AWS's rules (SOURCES), and how many of the units written go to one partition.
2. A ticket's life (LIFE) at 10, 1,000 and 100,000 tickets in the busiest hour: units a second, the busiest
   partition, processors, dollars.
3. A simulation of a day, second by second: arrivals by chance over the hours of a working day with an outage in it. A
   partition writes 1,000 units a second, the rest waits. At which rate that is too long.
"""

import argparse
import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from backend.adapters.aws import clients
from backend.adapters.aws.layout import definition
from backend.adapters.aws.table import Table
from backend.domain.figures import period
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.search import parse
from backend.domain.tickets import Severity, Status, Ticket
from backend.domain.values import now
from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import CloudSetup, wire
from tests import clouds
from tests.bench import corpus
from tests.builders import a_comment, a_promise, a_ticket, an_edit, an_event, saying
from tests.conftest import variables

SOURCES = """\
Units: a write of up to 1 KB is a unit, in a transaction two, and so is each entry that an index must change; a consistent
read of up to 4 KB is a unit, any other half of one (AWS: DynamoDB read and write operations).
Limits: 1,000 units written and 3,000 read a second for a partition; 40,000 of each for a table, until asked for more; a new
table starts at 4,000 and 12,000, and doubles its peak within 30 minutes (AWS: quotas; throttling of on-demand tables).
Prices, us-east-1, 2025: 0.625 and 0.125 dollars a million units written and read; 0.25 a GB and month stored; S3 0.005 a
thousand writes, 0.0004 a thousand reads, 0.023 a GB and month; SQS 0.40 a million; Fargate 0.04048 a processor and hour,
0.004445 a GB and hour. Prices of other regions are up to a third higher: look yours up."""

WRITE, READ, STORED = 0.625e-6, 0.125e-6, 0.25
S3_WRITE, S3_READ, S3_STORED = 0.005e-3, 0.0004e-3, 0.023
PROCESSOR, MEMORY = 0.04048, 0.004445
HOURS, WORKING_DAYS = 730, 22
PARTITION = 1_000
BUSY = 0.6  # of a replica's one processor, so that a replica may fail
RATES = (10, 1_000, 100_000)
FILLED, TRIES = 12, 10  # few: moto copies its whole table for each transaction
ENTRY = 300  # bytes of an index that are read to be counted
OWN = "own "
Item = Mapping[str, Any]

LIFE = {
    "create": 1.0,
    "comment": 3.0,
    "edit": 3.0,
    "resolve": 1.0,
    "read": 12.0,
    "list": 15.0,
    "search": 3.0,
    "figures": 0.05,
}
"""How often a ticket's life has each operation: an assumption, for a team that keeps the queue open all day."""

HTTP_MS = 2.0  # of a processor for a request before the stores are asked (tests.bench.compare)
WORKING_DAY = (0, 0, 0, 0, 0, 0, 1, 3, 8, 12, 12, 10, 8, 10, 11, 10, 8, 4, 2, 1, 0, 0, 0, 0)  # shares of 24 hours
OUTAGE = (10 * 3600, 600)  # from ten o'clock, for ten minutes
OUTAGES = (1.0, 3.0, 10.0)  # times as many tickets as usual meanwhile
BEARABLE = 2.0  # seconds; the adapters repeat what is refused for four


@dataclass(slots=True)
class Cost:
    """What one operation took."""

    written: float = 0.0
    read: float = 0.0
    calls: int = 0
    processor_ms: float = 0.0
    stored: float = 0.0
    """Bytes more in the table and its indexes."""
    partitions: Counter[str] = field(default_factory=Counter)
    """Units written, by table or index and partition."""


class Meter:
    """Counts units by AWS's rules. It keeps what it has seen written, to know which entries of indexes a write moves."""

    def __init__(self, table: Table) -> None:
        self.cost = Cost()
        self._items: dict[tuple[str, str], Item] = {}
        self._of_index = False
        self._indexes = definition(table.name)["GlobalSecondaryIndexes"]
        events = table.client.meta.events
        for name in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"):
            events.register(f"provide-client-params.dynamodb.{name}", self._writes)
        events.register("provide-client-params.dynamodb.Query", self._asks)
        for name in ("GetItem", "BatchGetItem", "Query"):
            events.register(f"after-call.dynamodb.{name}", self._reads)

    async def of(self, work: Callable[[], Awaitable[object]]) -> Cost:
        """What this takes."""
        self.cost = Cost()
        started = time.process_time()
        await work()
        self.cost.processor_ms = (time.process_time() - started) * 1000
        return self.cost

    def _writes(self, params: dict[str, Any], model: Any, **_: object) -> None:
        """Counted as it is sent: without errors each is sent once."""
        self.cost.calls += 1
        factor = 2 if model.name == "TransactWriteItems" else 1
        for kind, action in _actions(model.name, params):
            key = action.get("Item") or action["Key"]
            at = (key["pk"]["S"], key["sk"]["S"])
            before = self._items.get(at, {})
            after = action["Item"] if kind == "Put" else {} if kind == "Delete" else before
            self._count(f"table {at[0]}", factor * max(1, _kilobytes(before, 1), _kilobytes(after, 1)))
            self._items[at] = after
            self.cost.stored += _kept(after) - _kept(before)
            for index in self._indexes:
                for partition, entry, change in _moved(index, before, after):
                    self.cost.stored += change * _kept(entry)
                    self._count(f"index {index['IndexName']} {partition}", max(1, _kilobytes(entry, 1)))

    def _count(self, partition: str, units: int) -> None:
        self.cost.written += units
        self.cost.partitions[partition] += units

    def _asks(self, params: dict[str, Any], **_: object) -> None:
        self._of_index = "IndexName" in params

    def _reads(self, parsed: dict[str, Any], model: Any, **_: object) -> None:
        self.cost.calls += 1
        if model.name == "Query":
            size = sum(map(_size, parsed["Items"])) if "Items" in parsed else ENTRY * parsed["ScannedCount"]
            self.cost.read += max(1, math.ceil(size / 4096)) * (0.5 if self._of_index else 1)
        elif model.name == "GetItem":
            self.cost.read += max(1, _kilobytes(parsed.get("Item", {}), 4))
        else:
            found = [one for items in parsed["Responses"].values() for one in items]
            self.cost.read += sum(_kilobytes(one, 4) for one in found)


def _actions(name: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The writes of a call: Put, Delete, Update or ConditionCheck, and what goes with it."""
    if name == "TransactWriteItems":
        for one in params["TransactItems"]:
            yield from one.items()
    elif name == "BatchWriteItem":
        for requests in params["RequestItems"].values():
            for request in requests:
                yield from ((kind.removesuffix("Request"), action) for kind, action in request.items())
    else:
        yield name.removesuffix("Item"), params


def _moved(index: Mapping[str, Any], before: Item, after: Item) -> Iterator[tuple[str, Item, int]]:
    """The entries of an index that a write removes (-1), adds (1) or changes in place (0), with their partitions."""
    keys = [one["AttributeName"] for one in index["KeySchema"]]
    carried = {"pk", "sk", *keys, *index["Projection"].get("NonKeyAttributes", ())}
    old, new = (
        {name: item[name] for name in carried & item.keys()} if item.keys() >= set(keys) else {}
        for item in (before, after)
    )
    if old == new:
        return
    in_place = old and new and all(old[key] == new[key] for key in keys)
    for entry, change in ((new, 0),) if in_place else ((old, -1), (new, 1)):
        if entry:
            yield entry[keys[0]]["S"], entry, change


def _size(item: Item) -> int:
    return sum(len(name) + len(str(value)) for name, typed in item.items() for value in typed.values())


def _kept(item: Item) -> int:
    return _size(item) + 100 if item else 0  # what DynamoDB adds to each


def _kilobytes(item: Item, unit: int) -> int:
    return math.ceil(_size(item) / (unit * 1024))


# ---- Measuring ---------------------------------------------------------------------------------------------------------


async def measured(ports: Ports, texts: list[str]) -> dict[str, Cost]:
    """What each operation takes, among a few tickets; the mean of several."""
    table = ports.tickets.table
    meter = Meter(table)
    chance = random.Random(3)
    made: list[Ticket] = []

    async def create() -> None:
        text = chance.choice(texts)
        fields = {
            "status": Status.OPEN,
            "category": chance.choice(corpus.CATEGORIES),
            "team": chance.choice(corpus.TEAMS),
        }
        tags = (chance.choice(corpus.TAGS),)
        ticket = a_ticket(title=text[:80], description=text, severity=Severity.LOW, tags=tags, **fields)
        made.append(await ports.tickets.add(ticket, (), an_event(ticket), a_promise(ticket.id, b"{}" * 500)))

    def one() -> Ticket:
        return chance.choice(made)

    async def comment() -> None:
        said = a_comment(one(), chance.choice(texts)[:300])
        await ports.tickets.add_comment(said, saying(said))

    async def edit() -> None:
        change = chance.choice(({"assignee": "ada@example.org"}, {"status": Status.IN_PROGRESS}, {"team": "Network"}))
        await ports.tickets.update(one().id, an_edit(**change))

    async def resolve() -> None:
        done = an_edit(status=Status.RESOLVED, resolved_at=now(), resolution=chance.choice(texts)[:300])
        await ports.tickets.update(one().id, done)

    async def read() -> None:
        ticket = one()
        await ports.tickets.get(ticket.id)
        await ports.tickets.list_comments(ticket.id, True, 50, None)
        await ports.tickets.list_history(ticket.id, True, 50, None)
        await ports.tickets.list_attachments(ticket.id)

    async def queue() -> None:
        await ports.tickets.list_tickets(TicketQuery(TicketFilter(status=(Status.OPEN,)), limit=30))

    async def search() -> None:
        words = one().description.split()
        terms = parse(" ".join(chance.sample(words, min(2, len(words)))))
        await ports.tickets.list_tickets(TicketQuery(terms=terms, sort=Sort.RELEVANCE, limit=30))

    async def figures() -> None:
        await ports.tickets.figures(period(30, "UTC", now()))

    for _ in range(FILLED):
        await create()
    works = {"create": create, "comment": comment, "edit": edit, "resolve": resolve, "read": read, "list": queue}
    works |= {"search": search, "figures": figures}
    found: dict[str, Cost] = {}
    for name, work in works.items():
        costs = [await meter.of(work) for _ in range(TRIES)]
        found[name] = _mean(costs)
    return found


def _mean(costs: list[Cost]) -> Cost:
    total: Counter[str] = Counter()
    for cost in costs:
        for partition, units in cost.partitions.items():
            total[_group(partition)] += units
    count = len(costs)
    return Cost(
        sum(cost.written for cost in costs) / count,
        sum(cost.read for cost in costs) / count,
        round(sum(cost.calls for cost in costs) / count),
        sorted(cost.processor_ms for cost in costs)[count // 2],
        sum(cost.stored for cost in costs) / count,
        Counter({name: units / count for name, units in total.items()}),
    )


def _group(partition: str) -> str:
    """One name for what is a partition a ticket, a receipt or a block of its own."""
    place, _, name = partition.partition(" ")
    for own in ("T#", "R#", "E#"):
        if place == "table" and name.startswith(own):
            return f"{OWN}{own}"
    return partition


# ---- Planning ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Life:
    """A ticket's life, from its first moment to its last."""

    written: float
    read: float
    processor_ms: float
    stored: float
    partitions: Mapping[str, float]

    @classmethod
    def of(cls, costs: Mapping[str, Cost]) -> "Life":
        """All its operations."""
        partitions: Counter[str] = Counter()
        for name, times in LIFE.items():
            for partition, units in costs[name].partitions.items():
                partitions[partition] += units * times
        return cls(
            sum(costs[name].written * times for name, times in LIFE.items()),
            sum(costs[name].read * times for name, times in LIFE.items()),
            sum((costs[name].processor_ms + HTTP_MS) * times for name, times in LIFE.items()),
            sum(costs[name].stored * times for name, times in LIFE.items()),
            {name: units for name, units in partitions.items() if not name.startswith(OWN)},
        )

    def hot(self) -> list[tuple[str, float]]:
        """The partitions that all tickets share, the busiest first, with the units that a ticket writes there."""
        return sorted(self.partitions.items(), key=lambda one: -one[1])


def plan(life: Life, an_hour: int) -> str:
    """A line of the table: for a working day's busiest hour with so many tickets."""
    a_second = an_hour / 3600
    cores = a_second * life.processor_ms / 1000
    replicas = max(2, math.ceil(cores / BUSY))
    tickets = an_hour * sum(WORKING_DAY) / max(WORKING_DAY) * WORKING_DAYS  # a month
    units = tickets * (life.written * WRITE + life.read * READ)
    machines = replicas * (PROCESSOR + 2 * MEMORY) * HOURS
    partition, most = life.hot()[0]
    return (
        f"| {an_hour:,} | {a_second * life.written:,.0f} | {a_second * life.read:,.0f} | {a_second * most:,.1f} "
        f"({partition}) | {cores:.2f} | {replicas} | {tickets:,.0f} | {units:,.0f} | {machines:,.0f} |"
    )


def longest_wait(units: float, an_hour: float, factor: float, chance: random.Random) -> float:
    """The longest wait of a write to one partition on a simulated day, in seconds.

    `units` a ticket, `an_hour` tickets in the busiest hour, but `factor` times as many in the outage. Arrivals by chance
    (Poisson); past 1,000 units a second the rest is refused and comes again, as the adapters' retries do.
    """
    begin, length = OUTAGE
    waiting = longest = 0.0
    for second in range(86_400):
        share = WORKING_DAY[second // 3600] / max(WORKING_DAY)
        mean = an_hour / 3600 * share * (factor if begin <= second < begin + length else 1.0)
        waiting = max(0.0, waiting + _poisson(mean, chance) * units - PARTITION)
        longest = max(longest, waiting / PARTITION)
    return longest


def most_bearable(units: float, factor: float) -> int:
    """Tickets in the busiest hour at which the longest wait of a day is bearable, to the thousand below."""
    low, high = 0, 1_000
    while high - low > 1:
        middle = (low + high) // 2
        fits = longest_wait(units, middle * 1_000, factor, random.Random(5)) <= BEARABLE
        low, high = (middle, high) if fits else (low, middle)
    return low * 1_000


def _poisson(mean: float, chance: random.Random) -> int:
    """Knuth's method for small means, the normal curve for large ones."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def report(costs: Mapping[str, Cost]) -> None:
    """What the page in backend/adapters/aws has."""
    print("| operation | units written | units read | calls | processor ms |\n| --- | --- | --- | --- | --- |")
    for name, cost in costs.items():
        print(f"| {name} | {cost.written:.0f} | {cost.read:.1f} | {cost.calls} | {cost.processor_ms:.1f} |")
    life = Life.of(costs)
    print(
        f"\nA ticket's life: {life.written:.0f} units written, {life.read:.0f} read, {life.processor_ms:.0f} ms of a processor, {life.stored / 1000:.0f} kB kept"
    )
    print("Busiest partitions, units a ticket: " + "; ".join(f"{name} {units:.1f}" for name, units in life.hot()[:8]))
    print(
        "\n| tickets an hour | written/s | read/s | busiest partition/s | processors | replicas | a month | table $ | machines $ |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for an_hour in RATES:
        print(plan(life, an_hour))
    partition, units = life.hot()[0]
    print(
        f"\nSimulated: the most tickets in the busiest hour with no write to {partition} waiting over {BEARABLE:.0f} s"
    )
    for factor in OUTAGES:
        print(f"- with ten minutes of {factor:.0f} times as many: {most_bearable(units, factor):,} an hour")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="What growing costs on AWS, and what is the limit first.")
    parser.add_argument("--texts", type=Path, help="a .csv.gz whose first column is a text")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, clouds.moto(Path(folder)) as address, pytest.MonkeyPatch.context() as patch:
        for name in ("DYNAMODB", "S3", "SQS"):
            patch.setenv(f"AWS_ENDPOINT_URL_{name}", address)
        patch.setattr(clients, "READ_SECONDS", 60.0)
        settings = load_settings(variables(Path(folder), **clouds.variables()), Path("/nonexistent"))
        CloudSetup(settings).make()
        ports = wire(settings)
        ports.open()
        try:
            report(asyncio.run(measured(ports, corpus.texts(asked.texts))))
        finally:
            ports.close()
    print(f"\n{SOURCES}")


if __name__ == "__main__":
    main()
