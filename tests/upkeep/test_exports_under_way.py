"""An export that is taken while everything changes is still of one moment, and can be loaded again and again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.domain.edits import Desk
from backend.domain.tickets import CommentDraft, TicketChange
from backend.domain.values import now
from backend.errors import RequestError
from backend.ports import Ports
from backend.settings import load_settings
from backend.usecases import attachments, exports, loads, tickets
from backend.wiring import wire
from tests.conftest import variables
from tests.upkeep.installations import ADMIN, DRAFT, ticket_with_file

DESK = Desk(ADMIN, now)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Ports, Ports]]:
    """An installation, and an empty one."""
    held = [wire(load_settings(variables(tmp_path / name), Path("/nonexistent"))) for name in ("old", "new")]
    for ports in held:
        ports.open()
    yield held[0], held[1]
    for ports in held:
        ports.close()


async def everything(ports: Ports) -> list:
    return [whole async for whole in exports.all_wholes(ports)]


async def disturb(ports: Ports, ids: list[str], step: int) -> None:
    """Change what has been written already, what has not, and what did not exist."""
    ids.append(await ticket_with_file(ports, b"late %d" % step))
    for ticket_id in (ids[0], ids[step % len(ids)], ids[-1]):
        await tickets.change_ticket(ports, DESK, ticket_id, TicketChange(title=f"step {step}"), None)
    await tickets.add_comment(ports, DESK, ids[1], CommentDraft(body=f"step {step}"))
    for file in await attachments.list_attachments(ports, ADMIN, ids[step % 5]):
        await attachments.delete_attachment(ports, ADMIN, ids[step % 5], file.id)


def test_equals_one_moment_whatever_was_written_meanwhile(both: tuple[Ports, Ports]) -> None:
    old, new = both

    async def play() -> None:
        ids = [await ticket_with_file(old, b"content %d" % n) for n in range(120)]
        archive, step = [], 0
        async for chunk in exports.write_out(old):
            archive.append(chunk)
            step += 1
            if step % 60 == 0 and step < 400:
                await disturb(old, ids, step // 60)

        async def stream():
            for chunk in archive:
                yield chunk

        taken = await loads.load(new, stream())
        assert step > 120 and taken.settled and taken.forwarded > 0
        assert await everything(new) == await everything(old)
        for whole in await everything(new):
            for file in whole.attachments:
                assert await new.uploads.size(file.key) == file.size
        again = await loads.load(new, stream())
        assert (again.added, again.forwarded, again.files_added) == (0, 0, 0)
        assert (await loads.check(stream())).read == taken.read

    asyncio.run(play())


def test_cut_anywhere_and_sent_again_it_is_all_there(both: tuple[Ports, Ports]) -> None:
    old, new = both

    async def play() -> None:
        for n in range(30):
            await ticket_with_file(old, b"content %d" % n)
            await tickets.open_ticket(old, ADMIN, DRAFT)
        archive = b"".join([chunk async for chunk in exports.write_out(old)])

        async def stream(end: int):
            for position in range(0, end, 5_000):
                yield archive[position : min(end, position + 5_000)]

        for end in range(1_000, len(archive) - 1_024, len(archive) // 12):
            with pytest.raises(RequestError):
                await loads.load(new, stream(end))
        await loads.load(new, stream(len(archive)))
        assert await everything(new) == await everything(old)

    asyncio.run(play())
