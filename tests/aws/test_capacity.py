"""What a request reads of the table: as much as its page holds, however many tickets there are beside it."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from backend.adapters.aws.postings import RANKED_MATCHES
from backend.adapters.aws.table import Table
from backend.adapters.aws.ticket_items import hints, ticket_item
from backend.adapters.aws.tickets import DynamoTickets
from backend.domain.figures import period
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.search import parse
from backend.domain.tickets import Status, Ticket
from backend.domain.values import instant
from backend.ports import Ports
from tests.builders import a_ticket

FEW, MANY, OPEN = 200, 2_000, 60
AN_HOUR = 3_600_000_000
END = 1_774_872_000_000_000  # 2026-03-30T12:00Z
PAGES = {
    "the newest": TicketQuery(limit=20),
    "the oldest": TicketQuery(sort=Sort.OLDEST, limit=20),
    "the last changed": TicketQuery(sort=Sort.LAST_UPDATED, limit=20),
    "of a status": TicketQuery(TicketFilter(status=(Status.CLOSED,)), limit=20),
    "the newest with a word": TicketQuery(terms=parse("printer"), limit=20),
    "the best with a rare word": TicketQuery(terms=parse("toner"), sort=Sort.RELEVANCE, limit=20),
}
A_PAGE, A_PAGE_OF_POSTINGS = 21, 500 + 21
COMMON = TicketQuery(terms=parse("printer"), sort=Sort.RELEVANCE, limit=20)


def one(n: int) -> Ticket:
    """The n-th ticket back from END, an hour each; all but the newest are done with."""
    at = instant(END - n * AN_HOUR)
    title = "Printer toner" if n < OPEN else "Printer"
    done = {} if n < OPEN else {"status": Status.CLOSED, "resolved_at": at}
    return a_ticket(number=MANY - n, title=title, description="Printer", created_at=at, updated_at=at, **done)


def fill(table: Table, numbers: range) -> None:
    """Straight into the table, many a call: how they are written is no matter here."""
    tickets = [one(n) for n in numbers]
    table.put_many([item for ticket in tickets for item in (ticket_item(ticket), *hints(ticket).values())])


class Consumed:
    """What the calls to a table read, in units and in entries."""

    def __init__(self, table: Table) -> None:
        self.units = 0.0
        self.entries = 0
        for name in ("Query", "BatchGetItem", "GetItem"):
            table.client.meta.events.register(f"provide-client-params.dynamodb.{name}", self._ask)
            table.client.meta.events.register(f"after-call.dynamodb.{name}", self._add)

    def _ask(self, params: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def _add(self, parsed: dict[str, Any], **_: object) -> None:
        told = parsed.get("ConsumedCapacity", [])
        self.units += sum(one["CapacityUnits"] for one in (told if isinstance(told, list) else [told]))
        self.entries += parsed.get("ScannedCount", 0) + sum(map(len, parsed.get("Responses", {}).values()))

    async def of(self, answer: Awaitable[Any]) -> tuple[float, int]:
        self.units, self.entries = 0.0, 0
        await answer
        return self.units, self.entries


def test_pages_and_figures_read_no_more_of_a_large_table(ports: Ports) -> None:
    async def check() -> None:
        assert isinstance(ports.tickets, DynamoTickets)
        consumed = Consumed(ports.tickets.table)
        week = period(7, "UTC", instant(END))

        async def read() -> dict[str, tuple[float, int]]:
            found = {name: await consumed.of(ports.tickets.list_tickets(query)) for name, query in PAGES.items()}
            return found | {"figures of a week": await consumed.of(ports.tickets.figures(week))}

        fill(ports.tickets.table, range(FEW))
        few = await read()
        fill(ports.tickets.table, range(FEW, MANY))
        many = await read()
        assert len((await ports.tickets.list_tickets(PAGES["the newest"])).items) == 20
        for name, (units, entries) in many.items():
            assert units <= few[name][0] * 1.5, (name, few[name], many[name])
            assert entries <= few[name][1] * 1.1 or entries <= A_PAGE_OF_POSTINGS, (name, few[name], many[name])
        _, entries = await consumed.of(ports.tickets.list_tickets(COMMON))
        assert entries <= RANKED_MATCHES + 3 * A_PAGE, "a word that all of them have is ranked over the newest matches"

    asyncio.run(check())
