"""A rename on every adapter: whatever has the old name gets the new one, whoever goes on."""

import asyncio
from collections.abc import Callable

import pytest

from backend.domain.access import FIRST_ADMIN
from backend.domain.jobs import Leased, new_job
from backend.domain.labels import Label, LabelKind, spellings
from backend.domain.pages import TicketFilter, TicketQuery
from backend.domain.renames import RenameDraft
from backend.ports import Ports
from backend.usecases import rename_work, renames
from tests.builders import a_ticket, an_event


async def having(ports: Ports, name: str, *, deleted: bool = False) -> int:
    query = TicketQuery(TicketFilter(tag=(name,), deleted=deleted), limit=100, at=ports.now())
    return len((await ports.tickets.list_tickets(query)).items)


def test_a_walk_that_is_cut_off_goes_on(
    ports: Ports, opened: Callable[[], Ports], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held(*_: object) -> bool:
        return True

    async def check() -> None:
        monkeypatch.setattr(rename_work, "MOST_TOGETHER", 2)
        monkeypatch.setattr(type(ports.jobs), "extend", held)
        await ports.labels.add(spellings([(LabelKind.TAG, "vpn"), (LabelKind.TAG, "x")]))
        made = [a_ticket(tags=("vpn", "x")) for _ in range(5)]
        made.append(a_ticket(tags=("x", "vpn"), deleted_at=ports.now()))
        for ticket in made:
            await ports.tickets.add(ticket, [], an_event(ticket))
        draft = RenameDraft.model_validate({"from": "VPN", "to": "X"})
        record = await renames.rename_tag(ports, FIRST_ADMIN, draft)
        leased = Leased(new_job("rename", ports.now(), rename_id=record.id), "lease", 1)
        real, steps = rename_work._Run._step, iter(range(9))

        async def cut_off(self: rename_work._Run, ids: list[str]) -> int:
            if next(steps) == 1:
                raise asyncio.CancelledError
            return await real(self, ids)

        monkeypatch.setattr(rename_work._Run, "_step", cut_off)
        with pytest.raises(asyncio.CancelledError):
            await rename_work.run(ports, leased)
        assert await having(ports, "vpn") == 3
        other = opened()
        await rename_work.run(other, leased)
        await rename_work.run(ports, leased)
        body = (await renames.get_rename(ports, FIRST_ADMIN, record.id)).body
        assert (body["state"], body["changed"], body["merged"]) == ("done", 6, True)
        for ticket in made:
            after = await ports.tickets.get(ticket.id)
            assert (after.tags, after.version, after.updated_at) == (("X",), 2, ticket.updated_at)
            assert len((await ports.tickets.list_history(ticket.id, True, 10, None)).items) == 2
        assert await having(ports, "vpn") == await having(ports, "x") == 0
        assert (await having(ports, "X"), await having(ports, "X", deleted=True)) == (5, 1)
        known = await ports.labels.find([Label(LabelKind.TAG, "vpn"), Label(LabelKind.TAG, "x")])
        assert {one.name for one in known.values()} == {"X"} and len(known) == 2

    asyncio.run(check())
