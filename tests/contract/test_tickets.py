"""What every adapter of `Tickets` does."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from backend.domain.once import AlreadyDone
from backend.domain.pages import Sort, TicketFilter, TicketQuery
from backend.domain.search import Span, parse
from backend.domain.takes import Take, Taken
from backend.domain.tickets import Edit, Link, LinkKind, Participant, Status, Ticket, Written, changed
from backend.domain.values import new_id, now
from backend.errors import AttachmentNotFound, Conflict, InvalidCursor, TicketNotFound
from backend.ports import Ports, Tickets
from tests.builders import a_comment, a_promise, a_ticket, an_attachment, an_edit, an_event, saying

run = asyncio.run


async def added(tickets: Tickets, **fields) -> Ticket:
    ticket = a_ticket(**fields)
    return await tickets.add(ticket, (), an_event(ticket))


async def every_page(tickets: Tickets, query: TicketQuery) -> list[Ticket]:

    found: list[Ticket] = []
    cursor = None
    while True:
        page = await tickets.list_tickets(replace(query, cursor=cursor))
        assert len(page.items) <= query.limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_gives_back_what_it_took(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        whole = a_ticket(description="é😀\n" * 100, tags=("b", "a"), assignee="x", team="y", resolution="z")
        kept = await ports.tickets.add(whole, (), an_event(whole))
        assert kept == whole._replace(number=kept.number)
        assert await ports.tickets.get(whole.id) == kept
        ports.close()
        assert await opened().tickets.get(whole.id) == kept, "after a restart too"

    run(check())


def test_many_at_once_are_all_kept_with_numbers_of_their_own(ports: Ports) -> None:
    async def check() -> None:
        made = await asyncio.gather(*(added(ports.tickets) for _ in range(300)))
        assert sorted(ticket.number for ticket in made) == list(range(1, 301))
        found = await every_page(ports.tickets, TicketQuery(limit=200))
        assert {ticket.id for ticket in found} == {ticket.id for ticket in made}

    run(check())


def test_edits_never_overwrite_each_other(ports: Ports) -> None:
    async def check() -> None:
        ticket = await added(ports.tickets)

        def appending(word: str) -> Edit:
            return lambda t: (changed(t, now(), tags=(*t.tags, word)), an_event(t, "changed"))

        await asyncio.gather(*(ports.tickets.update(ticket.id, appending(f"t{n}")) for n in range(20)))
        stored = await ports.tickets.get(ticket.id)
        assert sorted(stored.tags) == sorted(f"t{n}" for n in range(20))
        assert stored.version == 21
        assert len((await ports.tickets.list_history(ticket.id, True, 100, None)).items) == 21
        with pytest.raises(TicketNotFound):
            await ports.tickets.update(new_id(), an_edit())

    run(check())


def test_edit_that_refuses_or_changes_nothing_leaves_no_trace(ports: Ports) -> None:
    async def check() -> None:
        ticket = await added(ports.tickets)

        def refuse(_: Ticket) -> None:
            raise Conflict("no")

        with pytest.raises(Conflict):
            await ports.tickets.update(ticket.id, refuse)
        assert await ports.tickets.update(ticket.id, lambda _: None) == ticket
        assert len((await ports.tickets.list_history(ticket.id, True, 100, None)).items) == 1

    run(check())


def test_several_tickets_change_together_or_not_at_all(ports: Ports) -> None:
    async def check() -> None:
        first, second = await added(ports.tickets), await added(ports.tickets)

        def close(found: Sequence[Ticket]) -> list[Written]:
            return [(changed(t, now(), status=Status.CLOSED), an_event(t, "changed")) for t in found]

        def refuse(found: Sequence[Ticket]) -> list[Written]:
            raise Conflict("no")

        done = await ports.tickets.update_many([second.id, first.id], close)
        assert [t.id for t in done] == [second.id, first.id]
        assert all(t.status is Status.CLOSED and t.version == 2 for t in done)
        assert await ports.tickets.get(first.id) == done[1]
        for broken, ids in ((refuse, [first.id]), (close, [first.id, new_id()])):
            with pytest.raises((Conflict, TicketNotFound)):
                await ports.tickets.update_many(ids, broken)
        assert (await ports.tickets.get(first.id)).version == 2

    run(check())


def test_events_have_one_order(ports: Ports) -> None:
    async def check() -> None:
        assert await ports.tickets.last_position() == 0
        made = await asyncio.gather(*(added(ports.tickets, requester=f"r{n}") for n in range(10)))
        await ports.tickets.update(made[0].id, an_edit(team="Network"))
        seen = list(await ports.tickets.list_events(0, 6))
        while page := await ports.tickets.list_events(seen[-1].number, 6):
            seen += page
        numbers = [position.number for position in seen]
        assert numbers == sorted(set(numbers)) and numbers[-1] == await ports.tickets.last_position()
        assert {position.event.ticket_id for position in seen} == {ticket.id for ticket in made}
        assert (seen[-1].event.kind, seen[-1].requester, seen[-1].team) == ("changed", "r0", "Network")
        assert seen[-1].ticket_number == made[0].number and not seen[-1].deleted

    run(check())


def test_unknown_ticket_is_not_found(ports: Ports) -> None:
    async def check() -> None:
        unknown = a_ticket()
        with pytest.raises(TicketNotFound):
            await ports.tickets.get(unknown.id)
        with pytest.raises(TicketNotFound):
            await ports.tickets.add_comment(a_comment(unknown), an_edit())
        with pytest.raises(TicketNotFound):
            await ports.tickets.add_attachments([an_attachment(unknown)], an_event(unknown))
        with pytest.raises(AttachmentNotFound):
            await ports.tickets.get_attachment(unknown.id, new_id())
        with pytest.raises(AttachmentNotFound):
            await ports.tickets.remove_attachment(unknown.id, new_id(), an_event(unknown))

    run(check())


@pytest.mark.parametrize("sort", [sort for sort in Sort if sort is not Sort.RELEVANCE])
def test_pages_hold_each_ticket_once_while_others_are_added(ports: Ports, sort: Sort) -> None:
    async def check() -> None:
        made = [await added(ports.tickets, due_at=now() if number % 3 else None) for number in range(23)]
        page = await ports.tickets.list_tickets(TicketQuery(sort=sort, limit=5))
        seen = list(page.items)
        while page.next_cursor:
            await added(ports.tickets, due_at=now())
            page = await ports.tickets.list_tickets(TicketQuery(sort=sort, limit=5, cursor=page.next_cursor))
            seen += page.items
            if len(seen) > 60:
                break
        ids = [ticket.id for ticket in seen]
        assert len(ids) == len(set(ids))
        if sort is Sort.FIRST_DUE:
            made.sort(key=lambda ticket: ticket.due_at is None)  # the rest comes last
        expected = [ticket.id for ticket in made]
        assert [identity for identity in ids if identity in expected] == (
            expected[::-1] if sort.descending else expected
        )

    run(check())


def test_filters_hold_together(ports: Ports) -> None:
    async def check() -> None:
        both = await added(ports.tickets, category="A", tags=("x", "y"), requester="r1")
        await added(ports.tickets, category="A", tags=("z",), requester="r2")
        await added(ports.tickets, category="B", tags=("x",), requester="r1")
        where = TicketFilter(category=("A",), tag=("x", "q"), requester=("r1",))
        assert await every_page(ports.tickets, TicketQuery(where)) == [both]
        gone = await ports.tickets.update(both.id, an_edit("deleted", deleted_at=now()))
        assert await every_page(ports.tickets, TicketQuery(where)) == []
        assert await every_page(ports.tickets, TicketQuery(TicketFilter(deleted=True))) == [gone]

    run(check())


def test_whole_life_comes_back_as_it_was(ports: Ports) -> None:
    async def check() -> None:
        links = (Link(LinkKind.MERGED_FROM, new_id()), Link(LinkKind.RELATED, new_id()))
        times = {"paused_at": now(), "promised_from": now(), "first_responded_at": now(), "due_at": now()}
        ticket = await added(ports.tickets, watchers=("a", "é"), links=links, **times)
        assert await ports.tickets.get(ticket.id) == ticket
        assert await every_page(ports.tickets, TicketQuery(TicketFilter(watcher=("é", "x")))) == [ticket]
        after = await ports.tickets.update(ticket.id, an_edit(watchers=("b",), links=links[:1], paused_at=None))
        assert await ports.tickets.get(ticket.id) == after
        assert await every_page(ports.tickets, TicketQuery(TicketFilter(watcher=("é",)))) == []
        assert await every_page(ports.tickets, TicketQuery(TicketFilter(watcher=("b",)))) == [after]

    run(check())


def test_late_is_what_still_lacks_what_was_promised(ports: Ports) -> None:
    async def check() -> None:
        early, at, late = "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z", "2026-01-03T00:00:00.000000Z"
        by_resolution = await added(ports.tickets, due_at=early, first_responded_at=early)
        by_answer = await added(ports.tickets, due_at=late, first_response_due_at=early)
        for fields in (
            {},
            {"due_at": late, "first_response_due_at": late},
            {"due_at": at},
            {"due_at": late, "first_response_due_at": early, "first_responded_at": late},
            {"due_at": early, "status": Status.WAITING},
            {"due_at": early, "status": Status.RESOLVED},
            {"due_at": early, "deleted_at": early},
        ):
            await added(ports.tickets, **fields)

        def query(sort: Sort = Sort.LOWEST_NUMBER, terms: str | None = None, **where) -> TicketQuery:
            return TicketQuery(TicketFilter(**where), terms and parse(terms), sort, limit=2, at=at)

        assert await every_page(ports.tickets, query(overdue=True)) == [by_resolution, by_answer]
        found = await every_page(ports.tickets, query(Sort.RELEVANCE, "printer", overdue=True))
        assert {ticket.id for ticket in found} == {by_resolution.id, by_answer.id}
        due = await every_page(ports.tickets, query(Sort.FIRST_DUE, due_before=at))
        assert [ticket.due_at for ticket in due] == [early] * 3
        assert by_resolution in due

    run(check())


def test_search_follows_every_change(ports: Ports) -> None:
    async def check() -> None:
        def query(text: str, **where) -> TicketQuery:
            return TicketQuery(TicketFilter(**where), parse(text), Sort.RELEVANCE, limit=2)

        ticket = await added(ports.tickets, title="Scanner", description="paper jam")
        assert await every_page(ports.tickets, query("scanner")) == [ticket]
        other = await ports.tickets.update(ticket.id, an_edit(title="Copier"))
        assert await every_page(ports.tickets, query("scanner")) == []
        assert await every_page(ports.tickets, query("copier jam")) == [other]
        assert await every_page(ports.tickets, query("copier", status=(Status.CLOSED,))) == []
        await ports.tickets.update(ticket.id, an_edit("deleted", deleted_at=now()))
        assert await every_page(ports.tickets, query("copier")) == []

    run(check())


def test_search_pages_hold_each_match_once(ports: Ports) -> None:
    async def check() -> None:
        for number in range(25):
            await added(ports.tickets, description="jam " * (1 + number % 4) + "word " * (number % 7))
        for sort in (Sort.RELEVANCE, Sort.NEWEST, Sort.LOWEST_NUMBER):
            found = await every_page(ports.tickets, TicketQuery(terms=parse("jam"), sort=sort, limit=4))
            assert sorted(ticket.number for ticket in found) == list(range(1, 26)), sort

    run(check())


@pytest.mark.parametrize("cursor", ["", "x", "AAAA"])
def test_cursor_that_is_none_is_refused(ports: Ports, cursor: str) -> None:
    async def check() -> None:
        ticket = await added(ports.tickets)
        with pytest.raises(InvalidCursor):
            await ports.tickets.list_history(ticket.id, True, 5, cursor or "-")
        with pytest.raises(InvalidCursor):
            await ports.tickets.list_comments(ticket.id, True, 5, cursor or "-")
        with pytest.raises(InvalidCursor):
            await ports.tickets.list_tickets(TicketQuery(cursor=cursor or "-"))

    run(check())


def test_comments_come_in_order_and_internal_ones_only_if_asked_for(ports: Ports) -> None:
    async def check() -> None:
        ticket = await added(ports.tickets)
        made = [a_comment(ticket, f"C{n}", internal=n % 2 == 1) for n in range(7)]
        for comment in made:
            await ports.tickets.add_comment(comment, saying(comment))
        page = await ports.tickets.list_comments(ticket.id, True, 4, None)
        rest = await ports.tickets.list_comments(ticket.id, True, 4, page.next_cursor)
        assert [*page.items, *rest.items] == made
        assert rest.next_cursor is None
        public = await ports.tickets.list_comments(ticket.id, False, 200, None)
        assert [comment.body for comment in public.items] == ["C0", "C2", "C4", "C6"]
        assert len((await ports.tickets.list_history(ticket.id, False, 200, None)).items) == 5

    run(check())


def test_attachments_records(ports: Ports) -> None:
    async def check() -> None:
        ticket = a_ticket()
        first = an_attachment(ticket, "1")
        await ports.tickets.add(ticket, [first], an_event(ticket))
        second = an_attachment(ticket, "2")
        assert list(await ports.tickets.add_attachments([second], an_event(ticket, "attached"))) == [second]
        assert list(await ports.tickets.list_attachments(ticket.id)) == [first, second]
        await ports.tickets.remove_attachment(ticket.id, first.id, an_event(ticket, "detached"))
        assert list(await ports.tickets.list_attachments(ticket.id)) == [second]
        assert await ports.tickets.get_attachment(ticket.id, second.id) == second

    run(check())


@pytest.mark.parametrize("sort", [Sort.LAST_UPDATED, Sort.FIRST_UPDATED])
@pytest.mark.parametrize("text", [None, "jam"])
def test_requesters_lists_follow_what_they_are_told_of(ports: Ports, sort: Sort, text: str | None) -> None:
    async def check() -> None:
        tickets = [await added(ports.tickets, requester="grace", title=f"{n} jam") for n in range(7)]
        await added(ports.tickets, requester="lin", title="jam")
        for ticket in tickets[2:5]:
            note = a_comment(ticket, internal=True)
            await ports.tickets.add_comment(note, saying(note))
        change = an_edit(team="Network")
        changed_ = await ports.tickets.update(tickets[0].id, change)
        assert (changed_.version, changed_.public_version) == (2, 2)
        noted = await ports.tickets.get(tickets[2].id)
        assert (noted.version, noted.public_version, noted.public_updated_at) == (2, 1, tickets[2].updated_at)
        where = TicketFilter(mine=("grace",), public=True)
        terms = parse(text) if text else None
        found = await every_page(ports.tickets, TicketQuery(where, terms, sort, limit=2))
        expected = [*tickets[1:], tickets[0]]
        assert [t.id for t in found] == [t.id for t in (expected[::-1] if sort.descending else expected)]
        since = Span("public_updated", noted.updated_at, None)
        found = await every_page(ports.tickets, TicketQuery(replace(where, also=(since,)), terms, sort))
        assert [t.id for t in found] == [tickets[0].id]

    run(check())


def test_comment_comes_with_its_files_or_not_at_all(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        ticket = await added(ports.tickets)
        own = an_attachment(ticket)
        await ports.tickets.add_attachments([own], an_event(ticket, "attached"))
        note = a_comment(ticket, internal=True)
        files = [an_attachment(ticket, name).sent_with(ticket.id, note.id, True) for name in ("a.txt", "b.txt")]

        def refuse(_: Ticket) -> None:
            raise Conflict("no")

        with pytest.raises(Conflict):
            await ports.tickets.add_comment(note, refuse, None, files)
        assert list(await ports.tickets.list_attachments(ticket.id)) == [own]
        await ports.tickets.add_comment(note, saying(note), a_promise("k"), files)
        with pytest.raises(AlreadyDone):
            await ports.tickets.add_comment(note, saying(note), a_promise("k"), files)
        ports.close()
        again = opened().tickets
        assert list(await again.list_attachments(ticket.id)) == [own, *files]
        assert await again.get_attachment(ticket.id, files[1].id) == files[1]
        (whole,) = await again.dump(0, 1)
        assert whole.attachments == (own, *files)

    run(check())


class TestOnce:
    def test_every_write_takes_effect_once_for_a_key(self, ports: Ports) -> None:
        async def check() -> None:
            ticket = await added(ports.tickets)
            attachment, comment = an_attachment(ticket), a_comment(ticket)

            def edit_all(found: Sequence[Ticket]) -> list[Written]:
                return [(changed(t, now()), an_event(t)) for t in found]

            writes = {
                "add": lambda once: ports.tickets.add(a := a_ticket(), (), an_event(a), once),
                "update": lambda once: ports.tickets.update(ticket.id, an_edit(), once),
                "update_many": lambda once: ports.tickets.update_many([ticket.id], edit_all, once),
                "comment": lambda once: ports.tickets.add_comment(comment, saying(comment), once),
                "attach": lambda once: ports.tickets.add_attachments([attachment], an_event(ticket), once),
            }
            for key, write in writes.items():
                assert await ports.tickets.find_receipt(key) is None
                await write(a_promise(key))
                receipt = await ports.tickets.find_receipt(key)
                assert receipt is not None and receipt.answer.startswith(b"answer")
                before = (await ports.tickets.list_history(ticket.id, True, 200, None)).items
                with pytest.raises(AlreadyDone) as done:
                    await write(a_promise(key, b"another"))
                assert done.value.receipt == receipt
                assert (await ports.tickets.list_history(ticket.id, True, 200, None)).items == before

        run(check())

    def test_two_at_once_take_effect_once(self, ports: Ports) -> None:
        async def check() -> None:
            made = [a_ticket() for _ in range(10)]
            results = await asyncio.gather(
                *(ports.tickets.add(ticket, (), an_event(ticket), a_promise("k")) for ticket in made),
                return_exceptions=True,
            )
            won = [result for result in results if isinstance(result, Ticket)]
            assert len(won) == 1
            assert sum(isinstance(result, AlreadyDone) for result in results) == 9
            receipt = await ports.tickets.find_receipt("k")
            assert receipt is not None and receipt.answer == b"answer" + won[0].id.encode()
            assert len(await every_page(ports.tickets, TicketQuery())) == 1

        run(check())

    def test_failed_write_leaves_no_receipt(self, ports: Ports) -> None:
        async def check() -> None:
            unknown = a_ticket()
            with pytest.raises(TicketNotFound):
                await ports.tickets.update(unknown.id, an_edit(), a_promise("k"))
            assert await ports.tickets.find_receipt("k") is None

        run(check())

    def test_receipt_is_forgotten_when_it_expires(self, ports: Ports) -> None:
        async def check() -> None:
            for _ in range(2):
                ticket = a_ticket()
                await ports.tickets.add(ticket, (), an_event(ticket), a_promise("k", expires_at="2001"))
                assert await ports.tickets.find_receipt("k") is None
            assert len(await every_page(ports.tickets, TicketQuery())) == 2

        run(check())


def test_probe_works(ports: Ports) -> None:
    run(ports.tickets.probe())


def test_waits_for_events_of_this_process_and_of_others(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await ports.tickets.wait_for_events(0, 0.05)
        assert loop.time() - started >= 0.04, "nothing came"
        for writer, seconds in ((ports, 0.4), (opened(), 2.0)):
            last = await ports.tickets.last_position()
            waiting = asyncio.create_task(ports.tickets.wait_for_events(last, 30))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            ticket = a_ticket()
            await writer.tickets.add(ticket, [], an_event(ticket))
            await asyncio.wait_for(waiting, seconds)
        await asyncio.wait_for(ports.tickets.wait_for_events(0, 30), 0.4)

    asyncio.run(check())


def test_what_is_taken_is_written_whole_or_not_at_all(ports: Ports) -> None:
    """A changed ticket, a new one, a comment and a file's record in one write, on condition of every ticket looked at."""

    async def check() -> None:
        old, looked_at = await added(ports.tickets), await added(ports.tickets)
        comment, file = a_comment(old), an_attachment(old)
        new = a_ticket(title="New")

        def decide(found: Sequence[Ticket]) -> Taken:
            twice = changed(changed(found[0], now(), tags=("one",)), now(), tags=("two",))
            lines = [(twice, an_event(old, "commented")), (new, an_event(new))]
            return Taken(lines, comment, [file])

        done = await ports.tickets.take([old.id, looked_at.id], decide, a_promise("taken"))
        numbered = await ports.tickets.get(new.id)
        assert done.written[1][0] == numbered and numbered.number == looked_at.number + 1
        assert (await ports.tickets.get(old.id)).tags == ("two",)
        assert (await ports.tickets.list_comments(old.id, True, 10, None)).items == [comment]
        assert list(await ports.tickets.list_attachments(old.id)) == [file]
        assert len((await ports.tickets.list_history(old.id, True, 10, None)).items) == 2
        with pytest.raises(AlreadyDone):
            await ports.tickets.take([old.id, looked_at.id], decide, a_promise("taken"))

        def refuse(_: Sequence[Ticket]) -> Taken:
            raise Conflict("no")

        for ids, by in (([old.id], refuse), ([old.id, new_id()], decide)):
            with pytest.raises((Conflict, TicketNotFound)):
                await ports.tickets.take(ids, by)
        assert (await ports.tickets.get(old.id)).version == 3

    run(check())


def test_takes_and_edits_never_overwrite_each_other(ports: Ports) -> None:
    async def check() -> None:
        ticket = await added(ports.tickets)

        def saying_(word: str) -> Take:
            def decide(found: Sequence[Ticket]) -> Taken:
                after = changed(found[0], now(), tags=(*found[0].tags, word))
                return Taken([(after, an_event(ticket, "commented"))], a_comment(ticket, word))

            return decide

        await asyncio.gather(*(ports.tickets.take([ticket.id], saying_(f"t{n}")) for n in range(10)))
        assert sorted((await ports.tickets.get(ticket.id)).tags) == sorted(f"t{n}" for n in range(10))
        assert len((await ports.tickets.list_comments(ticket.id, True, 50, None)).items) == 10

    run(check())


def test_participants_find_the_ticket_as_their_own(ports: Ports) -> None:
    async def check() -> None:
        own = await added(ports.tickets, requester="emma@example.org")
        joined = await added(ports.tickets, requester="lin@example.org")
        await added(ports.tickets, requester="bob@example.org")

        async def mine(**more: Any) -> set[str]:
            where = TicketFilter(mine=("emma@example.org",), **more)
            return {
                one.id
                for sort in (Sort.NEWEST, Sort.LAST_UPDATED, Sort.LOWEST_NUMBER)
                for one in (await ports.tickets.list_tickets(TicketQuery(where, sort=sort))).items
            }

        assert await mine() == {own.id}
        together = (Participant(own.id, "emma@example.org"), Participant(new_id(), "emma@example.org"))
        after = await ports.tickets.update(joined.id, an_edit(participants=together, tags=("x",)))
        assert await ports.tickets.get(joined.id) == after and after.participating == ("emma@example.org",)
        assert await mine() == {own.id, joined.id} and await mine(tag=("x",)) == {joined.id}
        pages, cursor = [], None
        for _ in range(2):
            query = TicketQuery(TicketFilter(mine=("emma@example.org",)), limit=1, cursor=cursor)
            page = await ports.tickets.list_tickets(query)
            pages += [one.id for one in page.items]
            cursor = page.next_cursor
        assert pages == [joined.id, own.id]
        (position, *_) = reversed(await ports.tickets.list_events(0, 50))
        assert position.participants == ("emma@example.org",)
        assert (await ports.tickets.dump_these([joined.id]))[0].ticket == after
        await ports.tickets.update(joined.id, an_edit(participants=()))
        assert await mine() == {own.id}

    run(check())
