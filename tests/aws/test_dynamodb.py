"""What the contract of the ports does not ask: how often the table is called, and what its limits must not break."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from backend.adapters.aws import events
from backend.adapters.aws.tickets import DynamoTickets
from backend.domain.once import AlreadyDone
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.search import parse
from backend.domain.tickets import Status, Ticket, Written, changed
from backend.domain.values import now
from backend.errors import TicketNotFound
from backend.ports import MOST_ADDED, MOST_TOGETHER, Ports
from tests.builders import a_comment, a_promise, a_ticket, an_attachment, an_edit, an_event, saying
from tests.contract import test_exchange, test_long_texts

run = asyncio.run


class Calls:
    """Counts the calls to the table by name."""

    def __init__(self, ports: Ports) -> None:
        assert isinstance(ports.tickets, DynamoTickets)
        self.made: Counter[str] = Counter()
        client = ports.tickets.table.client
        client.meta.events.register("before-call.dynamodb", self._count)

    def _count(self, model, **_) -> None:
        self.made[model.name] += 1

    async def of(self, awaitable) -> dict[str, int]:
        self.made.clear()
        await awaitable
        return dict(self.made)


async def added(ports: Ports, **fields) -> Ticket:
    ticket = a_ticket(**fields)
    return await ports.tickets.add(ticket, (), an_event(ticket))


def test_calls_per_request(on_moto: Ports) -> None:
    async def check() -> None:
        ports = on_moto
        calls = Calls(ports)
        prose = " ".join(f"word{n}" for n in range(70))
        ticket = a_ticket(description=prose, tags=("a", "b"), watchers=("w",))
        attachments = [an_attachment(ticket, f"{n}") for n in range(3)]
        made = calls.of(ports.tickets.add(ticket, attachments, an_event(ticket), a_promise("k")))
        assert await made == {"UpdateItem": 1, "TransactWriteItems": 1}
        assert await calls.of(ports.tickets.get(ticket.id)) == {"GetItem": 1}
        assert await calls.of(ports.tickets.list_comments(ticket.id, True, 50, None)) == {"Query": 1}
        assert await calls.of(ports.tickets.list_history(ticket.id, True, 50, None)) == {"Query": 1}
        assert await calls.of(ports.tickets.list_attachments(ticket.id)) == {"Query": 1}
        assert await calls.of(ports.tickets.get_attachment(ticket.id, attachments[0].id)) == {"GetItem": 1}
        assert await calls.of(ports.tickets.find_receipt("k")) == {"GetItem": 1}
        assert await calls.of(ports.tokens.find("0" * 64)) == {"GetItem": 1}
        assert await calls.of(ports.tokens.find_session("0" * 64)) == {"GetItem": 1}
        listed = calls.of(ports.tickets.list_tickets(TicketQuery(TicketFilter(status=(Status.OPEN,)))))
        assert await listed == {"Query": 1, "BatchGetItem": 1}
        found = calls.of(ports.tickets.list_tickets(TicketQuery(terms=parse("word3"), sort=Sort.RELEVANCE)))
        assert await found == {"Query": 1, "BatchGetItem": 1}
        edited = calls.of(ports.tickets.update(ticket.id, an_edit(status=Status.WAITING)))
        assert await edited == {"GetItem": 1, "UpdateItem": 1, "TransactWriteItems": 1}
        comment = a_comment(ticket)
        said = calls.of(ports.tickets.add_comment(comment, saying(comment)))
        assert await said == {"GetItem": 1, "UpdateItem": 1, "TransactWriteItems": 1}

    run(check())


def test_writes_that_wait_share_the_counter(ports: Ports) -> None:
    async def check() -> None:
        calls = Calls(ports)
        await asyncio.gather(*(added(ports) for _ in range(30)))
        assert calls.made["UpdateItem"] < 30

    run(check())


def test_fifty_tickets_change_together_or_not_at_all(on_moto: Ports) -> None:
    async def check() -> None:
        ports = on_moto
        made = [await added(ports) for _ in range(MOST_TOGETHER)]  # moto copies its table a transaction: one by one
        ids = [ticket.id for ticket in made]

        def tag(found: Sequence[Ticket]) -> list[Written]:
            return [(changed(t, now(), tags=("bulk",)), an_event(t, "tagged")) for t in found]

        done = await ports.tickets.update_many(ids, tag, a_promise("k"))
        assert [ticket.id for ticket in done] == ids
        page = await ports.tickets.list_tickets(TicketQuery(TicketFilter(tag=("bulk",)), limit=200))
        assert {ticket.id for ticket in page.items} == set(ids)
        line = (await ports.tickets.list_history(ids[7], True, 9, None)).items[-1]
        assert line.kind == "tagged"
        with pytest.raises(AlreadyDone):
            await ports.tickets.update_many(ids, tag, a_promise("k"))

        def outrun(found: Sequence[Ticket]) -> list[Written]:
            raced.append(1)
            if len(raced) == 1:
                asyncio.run(other.update(ids[3], an_edit("outran", team="Fast")))
            return tag(found)

        raced: list[int] = []
        assert isinstance(ports.tickets, DynamoTickets)
        other = DynamoTickets(ports.tickets.table)
        await ports.tickets.update_many(ids, outrun)
        assert len(raced) == 2, "somebody came between, so it was done again"
        kinds = [line.kind for line in (await ports.tickets.list_history(ids[3], True, 9, None)).items]
        assert kinds == ["created", "tagged", "outran", "tagged"], "the attempt that was lost left no line"
        seen = [position.event for position in await ports.tickets.list_events(0, 500)]
        assert [event.kind for event in seen if event.ticket_id == ids[3]] == kinds

    run(check())


def test_many_are_added_at_once(on_moto: Ports) -> None:
    test_exchange.test_add_many_is_all_or_none_and_once(on_moto)


def test_forty_long_texts_fit_into_one_transaction(on_moto: Ports) -> None:
    test_long_texts.write_many(on_moto, MOST_ADDED)


def test_long_texts_and_long_answers_fit(ports: Ports) -> None:
    async def check() -> None:
        words = " ".join(f"{n:030}é" for n in range(600))
        ticket = await added(ports, description=words)
        assert (await ports.tickets.get(ticket.id)).description == words
        last = words.split()[-1]
        for text in (words.split()[0], last):
            page = await ports.tickets.list_tickets(TicketQuery(terms=parse(text), sort=Sort.RELEVANCE))
            assert [found.id for found in page.items] == [ticket.id]
        await ports.tickets.update(ticket.id, an_edit(description="short", resolution="😀" * 20_000))
        for text, ids in ((last, []), ("short", [ticket.id])):
            page = await ports.tickets.list_tickets(TicketQuery(terms=parse(text)))
            assert [found.id for found in page.items] == ids
        answer = bytes(range(256)) * 4_000
        await ports.tickets.update(ticket.id, an_edit(), a_promise("k", answer))
        receipt = await ports.tickets.find_receipt("k")
        assert receipt is not None and receipt.answer.startswith(answer)

    run(check())


class TestEvents:
    def test_reader_waits_for_a_block_that_may_come_and_closes_it_in_the_end(
        self, ports: Ports, opened: Callable[[], Ports], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def check() -> None:
            assert isinstance(ports.tickets, DynamoTickets)
            await added(ports)
            _, hole = ports.tickets.table.take(0, 1)
            later = await added(ports)
            (first,) = await ports.tickets.list_events(0, 9)  # nothing past what is missing
            for replica in (ports, opened()):
                assert await replica.tickets.last_position() == first.number, "nor does anybody start past it"
            monkeypatch.setattr(events, "HOLE_SECONDS", 0.0)
            seen = await ports.tickets.list_events(0, 9)
            assert [position.event.ticket_id for position in seen][1:] == [later.id]
            assert await ports.tickets.last_position() == seen[-1].number
            late = a_ticket()
            plan = events.Plan([], [an_event(late)])
            events.Events(opened().tickets.table).commit(plan, hole)
            blocks = ports.tickets.table.get_many(map(events.block_key, range(hole, hole + 9)))
            assert "tickets" not in blocks[events.block_key(hole)]
            named = [block.get("tickets") for block in blocks.values()]
            assert named.count(late.id) == 1, "the late writer took a new block"

        run(check())

    def test_settled_position_waits_for_what_a_killed_writer_left(
        self, ports: Ports, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def check() -> None:
            assert isinstance(ports.tickets, DynamoTickets)
            monkeypatch.setattr(events, "HOLE_SECONDS", 0.3)
            await added(ports)
            ports.tickets.table.take(0, 3)
            last = await added(ports)
            position = await ports.tickets.settled_position()
            assert [one.event.ticket_id for one in await ports.tickets.list_events(position - 1, 9)] == [last.id]

        run(check())

    def test_writes_of_several_replicas_have_one_order(self, opened: Callable[[], Ports]) -> None:
        async def check() -> None:
            replicas = [opened() for _ in range(3)]
            ticket = await added(replicas[0])

            async def write(replica: Ports, n: int) -> None:
                await replica.tickets.update(ticket.id, an_edit(f"e{n}"))

            async def watch() -> list[int]:
                seen: list[int] = []
                while len(seen) < 31:
                    page = await replicas[2].tickets.list_events(seen[-1] if seen else 0, 7)
                    seen += [position.number for position in page]
                return seen

            writes = [write(replicas[n % 2], n) for n in range(30)]
            seen, *_ = await asyncio.gather(watch(), *writes)
            assert seen == sorted(set(seen))
            stored = await replicas[0].tickets.get(ticket.id)
            assert stored.version == 31
            assert await replicas[1].tickets.last_position() == seen[-1]
            history = await replicas[1].tickets.list_history(ticket.id, True, 200, None)
            order = [position.event for position in await replicas[0].tickets.list_events(0, 200)]
            assert list(history.items) == order

        run(check())


def test_a_proposal_left_behind_is_turned_down(ports: Ports) -> None:
    async def check() -> None:
        assert isinstance(ports.tickets, DynamoTickets)
        ticket = await added(ports, title="Scanner", tags=("old",))
        table = ports.tickets.table
        items = list(table.query_all(f"T#{ticket.id}", "L#"))
        words, _ = table.query("W#s", low="scanner ", high="scanner z")
        await ports.tickets.update(ticket.id, an_edit(title="Copier", tags=()))
        table.put_many([*items, *words])
        for query in (TicketQuery(terms=parse("scanner")), TicketQuery(TicketFilter(tag=("old",)))):
            assert (await ports.tickets.list_tickets(query)).items == []
        with pytest.raises(TicketNotFound):
            await ports.tickets.get("0" * 26)

    run(check())
