"""The walk that writes an older version's items anew."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.adapters.aws import upgrade as upgrading
from backend.adapters.aws import words
from backend.adapters.aws.memories import S3Memories
from backend.adapters.aws.postings import MEMORIES, NOTES, TICKETS, posting
from backend.adapters.aws.table import Table
from backend.adapters.aws.ticket_items import place, ticket_item, ticket_of
from backend.adapters.aws.tickets import DynamoTickets
from backend.adapters.aws.upgrade import LAYOUT, LAYOUT_KEY, Upgrade
from backend.domain import upgrades
from backend.domain.catalogue import Kind, new_record
from backend.domain.exports import Whole
from backend.domain.labels import LabelKind
from backend.domain.memories import MemoryQuery
from backend.domain.pages import CommentQuery, TicketFilter, TicketQuery
from backend.domain.search import parse
from backend.domain.tickets import Link, LinkKind, Participant, Ticket
from backend.domain.values import now
from backend.ports import Ports
from tests.builders import a_comment, a_memory, a_ticket, an_attachment, an_edit, an_event, saying


def shout(whole: Whole) -> Whole:
    """A rule of the tests: tags in capitals, notes' files renamed."""
    ticket = whole.ticket._replace(tags=tuple(tag.upper() for tag in whole.ticket.tags))
    files = tuple(replace(one, name=one.name.upper()) for one in whole.attachments)
    return replace(whole, ticket=ticket, attachments=files)


@pytest.fixture
def table(ports: Ports) -> Table:
    """The table, as if an older version had made it."""
    assert isinstance(ports.tickets, DynamoTickets)
    ports.tickets.table.delete_many([LAYOUT_KEY])
    return ports.tickets.table


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "RULES", (shout,))


async def filed(ports: Ports, **fields: object) -> Ticket:
    ticket = a_ticket(**fields)
    added = await ports.tickets.add(ticket, [an_attachment(ticket)], an_event(ticket))
    comment = a_comment(added)
    await ports.tickets.add_comment(comment, saying(comment))
    return await ports.tickets.get(added.id)


def test_requesters_of_earlier_merges_take_part(ports: Ports, table: Table) -> None:
    """Emma's was merged into Bob's, and that one into Lin's, by a version that knew no participants."""

    async def check() -> None:
        tickets = [await filed(ports, requester=f"{name}@example.org") for name in ("emma", "bob", "lin")]
        emma, bob, lin = tickets
        ties = {
            emma.id: (Link(LinkKind.MERGED_INTO, bob.id),),
            bob.id: (Link(LinkKind.MERGED_FROM, emma.id), Link(LinkKind.MERGED_INTO, lin.id)),
            lin.id: (Link(LinkKind.MERGED_FROM, bob.id),),
        }
        for ticket_id, links in ties.items():
            await ports.tickets.update(ticket_id, an_edit(links=links))
        for _ in range(2):
            Upgrade(table).run(lambda _line: None)
            found = [set((await ports.tickets.get(one.id)).participants) for one in tickets]
            first, second = Participant(emma.id, "emma@example.org"), Participant(bob.id, "bob@example.org")
            assert found == [set(), {first}, {first, second}]
            table.delete_many([LAYOUT_KEY])
        page = await ports.tickets.list_tickets(TicketQuery(where=TicketFilter(mine=("emma@example.org",))))
        assert {one.id for one in page.items} == {one.id for one in tickets}

    asyncio.run(check())


async def tagged(ports: Ports, tag: str) -> list[str]:
    page = await ports.tickets.list_tickets(TicketQuery(where=TicketFilter(tag=(tag,))))
    return [ticket.id for ticket in page.items]


def test_every_ticket_is_written_anew(ports: Ports, table: Table, rules: None) -> None:
    async def check() -> None:
        tickets = [await filed(ports, tags=("vpn", "x")) for _ in range(3)]
        assert Upgrade(table).is_needed()
        lines: list[str] = []
        assert Upgrade(table).run(lines.append) == 3
        assert lines == [f"upgraded 3 tickets, up to #{tickets[-1].number}"]
        assert not Upgrade(table).is_needed()
        for ticket in tickets:
            assert await ports.tickets.get(ticket.id) == ticket._replace(tags=("VPN", "X"))
            (attachment,) = await ports.tickets.list_attachments(ticket.id)
            assert attachment.name == "A.TXT"
        assert sorted(await tagged(ports, "VPN")) == sorted(ticket.id for ticket in tickets)
        labels = {item["sk"] for item in table.query_all(f"T#{tickets[0].id}", "L#tag")}
        assert labels == {"L#tag#VPN", "L#tag#X"}

    asyncio.run(check())


def test_older_ticket_tells_requesters_what_it_told_everybody() -> None:
    ticket = a_ticket(version=7)
    item = {name: value for name, value in ticket_item(ticket).items() if not name.startswith("public_")}
    assert ticket_of(item) == ticket._replace(public_version=7)


def test_lost_words_are_found_again(ports: Ports, table: Table) -> None:
    async def check() -> None:
        ticket = await filed(ports, title="Drucker")
        gone = posting(TICKETS, "drucker", place(ticket.created_at, ticket.number), ticket.id, 1, 1, 1)
        table.delete_many([(gone["pk"], gone["sk"])])
        query = TicketQuery(terms=parse("drucker"))
        assert not (await ports.tickets.list_tickets(query)).items
        Upgrade(table).run(lambda _line: None)
        assert [one.id for one in (await ports.tickets.list_tickets(query)).items] == [ticket.id]

    asyncio.run(check())


def test_words_folded_in_the_old_way_are_found_by_the_new_one(
    ports: Ports, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        with monkeypatch.context() as earlier:
            earlier.setattr(words, "words_of", words.earlier_words_of)
            ticket = await filed(ports, title="Mueller", description="印刷できません")
            comment = a_comment(ticket, "Straße nach Łódź", internal=True)
            await ports.tickets.add_comment(comment, saying(comment))
            memory = a_memory(title="Søren", body="設定を確認")
            await ports.memories.put(memory)
        assert not (await ports.tickets.list_tickets(TicketQuery(terms=parse("Müller")))).items
        assert isinstance(ports.memories, S3Memories)
        assert ports.memories.index_anew() == 1
        Upgrade(table).run(lambda _line: None)
        for text in ("Müller", "Muller", "印刷", "刷で", "できません"):
            found = await ports.tickets.list_tickets(TicketQuery(terms=parse(text)))
            assert [one.id for one in found.items] == [ticket.id], text
        for text in ("strasse", "lodz"):
            found_notes = await ports.tickets.search_comments(CommentQuery(TicketFilter(), parse(text), internal=True))
            assert [one.comment.id for one in found_notes.items] == [comment.id], text
        for text in ("soeren", "確認"):
            memories = await ports.memories.list_memories(MemoryQuery(parse(text)))
            assert [one.id for one in memories.items] == [memory.id], text
        for namespace, word in (
            (TICKETS, "mueller"),
            (TICKETS, "印刷てきません"),
            (NOTES, "łodz"),
            (MEMORIES, "søren"),
        ):
            assert not list(table.query_all(f"{namespace}#{word[0]}", f"{word} ")), word

    asyncio.run(check())


def test_it_goes_on_where_it_was_stopped(
    ports: Ports, table: Table, rules: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "_A_STEP", 1)

    class Stopped(Exception):
        pass

    def stop_at_second() -> Callable[[str], None]:
        lines: list[str] = []

        def report(line: str) -> None:
            lines.append(line)
            if len(lines) == 2:
                raise Stopped

        return report

    async def check() -> None:
        tickets = [await filed(ports, tags=("vpn",)) for _ in range(3)]
        with pytest.raises(Stopped):
            Upgrade(table).run(stop_at_second())
        assert Upgrade(table).is_needed()
        lines: list[str] = []
        assert Upgrade(table).run(lines.append) == 1
        assert lines == [f"upgraded 1 tickets, up to #{tickets[2].number}"]
        assert sorted(await tagged(ports, "VPN")) == sorted(ticket.id for ticket in tickets)

    asyncio.run(check())


def test_a_newer_version_walks_again(ports: Ports, table: Table, rules: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        await filed(ports)
        Upgrade(table).run(lambda _line: None)
        monkeypatch.setattr(upgrading, "LAYOUT", LAYOUT + 1)
        assert Upgrade(table).is_needed()
        assert Upgrade(table).run(lambda _line: None) == 1

    asyncio.run(check())


def test_the_log_says_that_it_is_due(
    opened: Callable[[], Ports], ports: Ports, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    opened()
    assert [record.message for record in caplog.records if "aws-setup" in record.message]
    caplog.clear()
    Upgrade(table).run(lambda _line: None)
    opened()
    assert not [record.message for record in caplog.records if "aws-setup" in record.message]


def test_people_of_older_tickets_are_found_by_the_one_form(ports: Ports, table: Table) -> None:
    async def check() -> None:
        ticket = await filed(ports, requester="Grace@Example.org", assignee="ADA@x.org", watchers=("Ada <ada@x.org>",))
        Upgrade(table).run(lambda _: None)
        for where in (
            TicketFilter(requester=("grace@example.org",)),
            TicketFilter(assignee=("ada@x.org",)),
            TicketFilter(watcher=("ada@x.org",)),
        ):
            page = await ports.tickets.list_tickets(TicketQuery(where=where))
            assert [found.id for found in page.items] == [ticket.id]
        found = await ports.tickets.list_tickets(TicketQuery(where=TicketFilter(requester=("Grace@Example.org",))))
        assert found.items == []

    asyncio.run(check())


def test_labels_are_spelled_as_the_record_or_the_oldest_ticket_says(ports: Ports, table: Table) -> None:
    async def check() -> None:
        await ports.catalogue.put(new_record(Kind.CATEGORY, {"name": "Access"}, now(), label="access"))
        one = await filed(ports, tags=("VPN", "external:A"), category="access")
        two = await filed(ports, tags=("b", "vpn", "ＶＰＮ"), category="ACCESS", team="Net")
        Upgrade(table).run(lambda _: None)
        assert await ports.tickets.get(one.id) == one._replace(category="Access")
        assert await ports.tickets.get(two.id) == two._replace(category="Access", tags=("b", "VPN"))
        assert sorted(await tagged(ports, "VPN")) == sorted([one.id, two.id]) and await tagged(ports, "vpn") == []
        names = [found.name for found in await ports.labels.begin_with(LabelKind.TAG, "", 9)]
        assert names == ["b", "VPN"]

    asyncio.run(check())
