"""What more goes back at a split than one transaction moves, where the process dies on the way."""

import asyncio

import pytest

from backend.adapters.aws.events import Events
from backend.domain.takes import Return
from backend.errors import Unavailable
from backend.ports import Ports
from tests.builders import a_ticket, an_event
from tests.contract.test_returns import bodies, said, splitting, where


def test_each_is_in_one_place_and_the_next_try_moves_the_rest(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        target, hers = [await ports.tickets.add(one, (), an_event(one)) for one in (a_ticket(), a_ticket())]
        for n in range(14):
            await said(ports, target, f"hers{n}", hers.id)

        def die(*_: object) -> None:
            raise Unavailable("killed")

        split = splitting(Return(target.id, hers.id, frozenset({hers.id})))
        with monkeypatch.context() as dying:
            dying.setattr(Events, "commit", die)
            with pytest.raises(Unavailable):
                await ports.tickets.take([hers.id, target.id], split)
        there, here = await bodies(ports, target), await bodies(ports, hers)
        assert here and there and sorted([*there, *here]) == sorted(f"hers{n}" for n in range(14))
        assert len(await where(ports, "hers0")) == len(await where(ports, "hers13")) == 1
        assert (await ports.tickets.get(hers.id)).version == 1
        await ports.tickets.take([hers.id, target.id], split)
        assert await bodies(ports, target) == [] and len(await bodies(ports, hers)) == 14
        assert [await where(ports, f"hers{n}") for n in range(14)] == [[hers.id]] * 14

    asyncio.run(check())
