"""What was sent on a merged ticket goes back to it, all of it and once, however much there is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from backend.domain.pages import CommentQuery, TicketFilter
from backend.domain.search import parse
from backend.domain.takes import Return, Taken
from backend.domain.tickets import Comment, Ticket, changed, written
from backend.domain.values import new_id, now
from backend.errors import AttachmentNotFound
from backend.ports import Ports
from tests.builders import a_comment, a_ticket, an_attachment, an_event, saying

run = asyncio.run


async def said(ports: Ports, ticket: Ticket, body: str, via: str | None, files: int = 0) -> Comment:
    comment = replace(a_comment(ticket, body), via=via)
    attachments = [
        replace(an_attachment(ticket, f"{body}.log").sent_with(ticket.id, comment.id, False), via=via)
        for _ in range(files)
    ]
    await ports.tickets.add_comment(comment, saying(comment), None, attachments)
    return comment


def splitting(*returns: Return):
    def decide(found: Sequence[Ticket]) -> Taken:
        one, *others = found
        lines = [written(one, changed(one, now()), an_event(one, "reopened"))]
        lines += [written(it, changed(it, now()), an_event(it, "split", internal=True)) for it in others]
        return Taken(lines, returns=returns)

    return decide


async def bodies(ports: Ports, ticket: Ticket) -> list[str]:
    return [one.body for one in (await ports.tickets.list_comments(ticket.id, True, 200, None)).items]


async def where(ports: Ports, word: str) -> list[str]:
    query = CommentQuery(TicketFilter(), parse(word), limit=200)
    return [hit.comment.ticket_id for hit in (await ports.tickets.search_comments(query)).items]


@pytest.mark.parametrize("count", [1, 110])
def test_all_that_came_via_a_ticket_goes_back_once(ports: Ports, count: int) -> None:
    async def check() -> None:
        target, hers = [await ports.tickets.add(one, (), an_event(one)) for one in (a_ticket(), a_ticket())]
        other, further = new_id(), new_id()
        await said(ports, target, "answer", None, files=1)
        await said(ports, target, "elsewhere", other, files=1)
        await said(ports, target, "further", further)
        made = [await said(ports, target, f"hers number{n}", hers.id, files=n == 0) for n in range(count)]
        alone = replace(an_attachment(target, "alone.txt"), via=hers.id)
        await ports.tickets.add_attachments([alone], an_event(target, "attached"))
        back = Return(target.id, hers.id, frozenset({hers.id, further}))
        done = await ports.tickets.take([hers.id, target.id], splitting(back))

        assert await bodies(ports, target) == ["answer", "elsewhere"]
        assert await bodies(ports, hers) == ["further", *(one.body for one in made)]
        comments = (await ports.tickets.list_comments(hers.id, True, 200, None)).items
        assert [one.via for one in comments] == [further, *[None] * count], "what came further stays known"
        assert {one.ticket_id for one in comments} == {hers.id}
        files = await ports.tickets.list_attachments(hers.id)
        assert [(one.name, one.comment_id, one.via) for one in files] == [
            ("hers number0.log", made[0].id, None),
            ("alone.txt", None, None),
        ]
        assert await ports.tickets.get_attachment(hers.id, alone.id) == replace(alone, ticket_id=hers.id, via=None)
        with pytest.raises(AttachmentNotFound):
            await ports.tickets.get_attachment(target.id, alone.id)
        assert [one.name for one in await ports.tickets.list_attachments(target.id)] == ["answer.log", "elsewhere.log"]

        assert await where(ports, f"number{count - 1}") == [hers.id]
        assert await where(ports, "hers") == [hers.id] * count
        assert await where(ports, "answer") == await where(ports, "elsewhere") == [target.id]

        moved = {"comments": [one.id for one in comments], "attachments": [one.id for one in files]}
        (reopened, split), stored = [line for _, line in done.written], [ticket for ticket, _ in done.written]
        assert (reopened.changes["moved"], split.changes["moved"]) == ((None, moved), (moved, None))
        assert not split.internal, "whoever could read them there is told"
        assert [await ports.tickets.get(one.id) for one in stored] == stored
        assert stored[1].public_version == stored[1].version, "so pages show it no longer"
        for ticket, line in ((hers, reopened), (target, split)):
            history = (await ports.tickets.list_history(ticket.id, True, 200, None)).items
            assert history[-1].changes["moved"] == tuple(line.changes["moved"])

        await ports.tickets.take([target.id, hers.id], splitting(Return(hers.id, target.id, frozenset({further}))))
        assert await where(ports, "further") == [target.id]
        (whole,) = await ports.tickets.dump_these([hers.id])
        assert [one.body for one in whole.comments] == [one.body for one in made]

    run(check())


def test_nothing_to_give_back_leaves_the_lines_alone(ports: Ports) -> None:
    async def check() -> None:
        target, hers = [await ports.tickets.add(one, (), an_event(one)) for one in (a_ticket(), a_ticket())]
        await said(ports, target, "answer", None)
        done = await ports.tickets.take(
            [hers.id, target.id], splitting(Return(target.id, hers.id, frozenset({hers.id})))
        )
        assert [line.changes for _, line in done.written] == [{}, {}] and done.written[1][1].internal

    run(check())


def test_what_comes_while_it_is_split_is_not_left_behind(ports: Ports) -> None:
    """Somebody speaks through the ticket at the very moment: before the split, and then it goes back, or not at all."""

    async def check() -> None:
        target, hers = [await ports.tickets.add(one, (), an_event(one)) for one in (a_ticket(), a_ticket())]
        await said(ports, target, "first", hers.id)

        async def speak(n: int) -> None:
            def decide(found: Sequence[Ticket]) -> Taken:
                one, end = found
                if one.version > 1:
                    return Taken()
                comment = replace(a_comment(end, f"word{n}"), via=one.id)
                return Taken([(changed(end, now()), an_event(end, "commented"))], comment)

            await ports.tickets.take([hers.id, target.id], decide)

        split = splitting(Return(target.id, hers.id, frozenset({hers.id})))
        await asyncio.gather(
            *(speak(n) for n in range(5)),
            ports.tickets.take([hers.id, target.id], split),
            *(speak(n) for n in range(5, 9)),
        )
        assert await bodies(ports, target) == []
        assert "first" in await bodies(ports, hers)

    run(check())
