"""What every adapter of `Outbox` does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.domain.exports import Outcome
from backend.domain.once import AlreadyDone
from backend.domain.values import new_id
from backend.domain.webhooks import Delivery, State, later, new_delivery
from backend.errors import InvalidCursor, RecordNotFound
from backend.ports import MOST_FANNED_OUT, Ports
from tests.builders import a_promise

AT = "2026-11-25T10:00:00.000000Z"
HERE, THERE = new_id(), new_id()


def a_delivery(webhook_id: str = HERE, at: str = AT) -> Delivery:
    return new_delivery(webhook_id, "ticket.created", 1, '{"ü": 1}', at)


def test_messages_and_position_move_together_and_once(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        first = [a_delivery() for _ in range(MOST_FANNED_OUT)]
        assert await ports.outbox.position() == 0
        assert await ports.outbox.fan_out(0, 7, first)
        assert not await ports.outbox.fan_out(0, 7, [a_delivery()]), "somebody else was faster"
        assert await ports.outbox.fan_out(7, 9, [])
        again = opened()
        assert await again.outbox.position() == 9
        page = await again.outbox.list_deliveries(HERE, None, 200, None)
        assert list(page.items) == first[::-1]

    asyncio.run(check())


def test_only_one_of_several_moves_the_position(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        others = [ports, opened(), opened()]
        moved = await asyncio.gather(*(other.outbox.fan_out(0, 3, [a_delivery()]) for other in others * 3))
        assert moved.count(True) == 1
        assert await ports.outbox.counts() == {State.PENDING: 1}

    asyncio.run(check())


def test_claims_what_is_due_for_nobody_else_until_the_lease_ends(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        for webhook_id in (HERE, HERE, HERE, THERE):
            await ports.outbox.add(a_delivery(webhook_id))
        await ports.outbox.add(a_delivery(THERE, later(AT, 100)))
        assert sorted(await ports.outbox.due([HERE, THERE, new_id()], AT)) == sorted([HERE, THERE])
        until = later(AT, 60)
        others = [ports, opened(), opened()]
        claimed = [
            one
            for found in await asyncio.gather(*(other.outbox.claim({HERE: 1, THERE: 9}, AT, until) for other in others))
            for one in found
        ]
        assert len({one.id for one in claimed}) == len(claimed) == 4
        assert {(one.attempts, one.due_at) for one in claimed} == {(1, until)}
        assert await ports.outbox.due([HERE, THERE], AT) == []
        again = await ports.outbox.claim({HERE: 9}, until, later(until, 60))
        assert [one.attempts for one in again] == [2, 2, 2]

    asyncio.run(check())


def test_settles_only_what_is_still_its_own(ports: Ports) -> None:
    async def check() -> None:
        await ports.outbox.add(a_delivery())
        (mine,) = await ports.outbox.claim({HERE: 1}, AT, AT)
        (theirs,) = await ports.outbox.claim({HERE: 1}, AT, AT)
        done = {"state": State.DELIVERED, "settled_at": AT, "status": 204}
        assert not await ports.outbox.settle(replace(mine, **done)), "its lease ended and somebody else has it"
        assert await ports.outbox.settle(replace(theirs, **done))
        assert not await ports.outbox.settle(replace(theirs, state=State.DEAD))
        (kept,) = (await ports.outbox.list_deliveries(HERE, State.DELIVERED, 9, None)).items
        assert kept == replace(theirs, **done)

    asyncio.run(check())


def test_lists_by_state_page_by_page(ports: Ports) -> None:
    async def check() -> None:
        made = [await ports.outbox.add(replace(a_delivery(), state=State.DEAD)) for _ in range(5)]
        await ports.outbox.add(a_delivery())
        await ports.outbox.add(replace(a_delivery(THERE), state=State.DEAD))
        page = await ports.outbox.list_deliveries(HERE, State.DEAD, 3, None)
        rest = await ports.outbox.list_deliveries(HERE, State.DEAD, 3, page.next_cursor)
        assert [*page.items, *rest.items] == made[::-1] and rest.next_cursor is None
        with pytest.raises(InvalidCursor):
            await ports.outbox.list_deliveries(HERE, None, 3, page.next_cursor)

    asyncio.run(check())


def test_replays_one_or_all_that_are_dead(ports: Ports) -> None:
    async def check() -> None:
        ended = {"attempts": 10, "settled_at": AT, "status": 500, "problem": "it answered 500"}
        dead = [await ports.outbox.add(replace(a_delivery(), state=State.DEAD, **ended)) for _ in range(3)]
        done = await ports.outbox.add(replace(a_delivery(), state=State.DELIVERED, **ended))
        again = await ports.outbox.replay(HERE, done.id, later(AT, 9), a_promise("k"))
        assert (again.id, again.state, again.attempts, again.due_at, again.settled_at) == (
            done.id,
            State.PENDING,
            0,
            later(AT, 9),
            None,
        )
        with pytest.raises(AlreadyDone):
            await ports.outbox.replay(HERE, dead[0].id, AT, a_promise("k"))
        for webhook_id, delivery_id in ((THERE, dead[0].id), (HERE, new_id()), (HERE, "nonsense")):
            with pytest.raises(RecordNotFound):
                await ports.outbox.replay(webhook_id, delivery_id, AT)
        assert await ports.outbox.replay_dead(THERE, AT) == 0
        assert await ports.outbox.replay_dead(HERE, AT) == 3
        assert await ports.outbox.counts() == {State.PENDING: 4}
        assert await ports.outbox.first_due() == AT

    asyncio.run(check())


def test_forgets_what_is_old_and_what_belongs_to_nobody(ports: Ports) -> None:
    async def check() -> None:
        week, month, hour = later(AT, -7 * 86_400), later(AT, -30 * 86_400), later(AT, -3_600)
        kept = [
            a_delivery(),
            replace(a_delivery(), state=State.DELIVERED, settled_at=later(week, 1)),
            replace(a_delivery(), state=State.DEAD, settled_at=later(month, 1)),
            replace(a_delivery(), created_at=later(month, 1)),
            replace(a_delivery(THERE), created_at=later(hour, 1)),
        ]
        old = [
            replace(a_delivery(), state=State.DELIVERED, settled_at=later(week, -1)),
            replace(a_delivery(), state=State.DEAD, settled_at=later(month, -1)),
            replace(a_delivery(), created_at=later(month, -1)),
            replace(a_delivery(THERE), created_at=later(hour, -1)),
        ]
        for one in kept + old:
            await ports.outbox.add(one)
        assert await ports.outbox.forget(week, month, hour, [HERE]) == len(old)
        left = [
            one.id
            for webhook_id in (HERE, THERE)
            for one in (await ports.outbox.list_deliveries(webhook_id, None, 99, None)).items
        ]
        assert sorted(left) == sorted(one.id for one in kept)
        await ports.outbox.drop(HERE)
        assert sum((await ports.outbox.counts()).values()) == 1

    asyncio.run(check())


def test_messages_load_as_they_were_and_the_given_state_counts(ports: Ports) -> None:
    async def check() -> None:
        pending, done = (
            a_delivery(),
            replace(a_delivery(), state=State.DELIVERED, attempts=1, settled_at=AT, status=200),
        )
        for outcome in (Outcome.ADDED, Outcome.SAME):
            assert list(await ports.outbox.load([pending, done])) == [outcome] * 2
        assert {one.id for one in (await ports.outbox.list_deliveries(HERE, None, 9, None)).items} == {
            pending.id,
            done.id,
        }
        assert list(await ports.outbox.due([HERE], AT)) == [HERE]
        tried = replace(pending, attempts=2, due_at=later(AT, 60), problem="it answered 500", status=500)
        assert list(await ports.outbox.load([tried])) == [Outcome.FORWARDED]
        assert list(await ports.outbox.due([HERE], AT)) == []
        assert list(await ports.outbox.load([replace(tried, state=State.DEAD, settled_at=AT)])) == [Outcome.FORWARDED]
        assert await ports.outbox.counts() == {State.DELIVERED: 1, State.DEAD: 1}
        assert await ports.outbox.first_due() is None
        assert list(await ports.outbox.load([replace(done, body="{}")])) == [Outcome.OTHER]

    asyncio.run(check())
