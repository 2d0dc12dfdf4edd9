"""What every adapter of `Catalogue` does."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.domain.catalogue import Kind, new_record
from backend.domain.once import AlreadyDone
from backend.domain.values import now
from backend.errors import Conflict, InvalidCursor, PreconditionFailed, RecordNotFound
from backend.ports import Ports
from tests.builders import a_promise, an_act


def test_keeps_records_by_kind_and_version(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        act = an_act()
        first = await ports.catalogue.put(
            new_record(Kind.VIEW, {"name": "Mine", "list": [1, None]}, now(), owner="a"), act
        )
        other = await ports.catalogue.put(new_record(Kind.REPLY, {}, now(), record_id=first.id))
        assert await ports.catalogue.get(Kind.VIEW, first.id) == first
        assert await opened().catalogue.get(Kind.REPLY, first.id) == other
        second = first.with_body({"name": "Ours"}, now())
        assert await ports.catalogue.put(second) == second
        for stale in (first, second):
            with pytest.raises(PreconditionFailed):
                await ports.catalogue.put(stale)
        with pytest.raises(PreconditionFailed):
            await ports.catalogue.remove(first)
        assert await ports.catalogue.get(Kind.VIEW, first.id) == second
        await ports.catalogue.remove(second, an_act("removed"))
        for call in (ports.catalogue.remove(second), ports.catalogue.get(Kind.VIEW, first.id)):
            with pytest.raises(RecordNotFound):
                await call
        with pytest.raises(PreconditionFailed):
            await ports.catalogue.put(second.with_body({}, now()))
        assert await ports.catalogue.get(Kind.REPLY, first.id) == other

    asyncio.run(check())


def test_lists_a_kind_page_by_page(ports: Ports) -> None:
    async def check() -> None:
        made = [await ports.catalogue.put(new_record(Kind.VIEW, {"n": n}, now())) for n in range(7)]
        await ports.catalogue.put(new_record(Kind.TEAM, {}, now()))
        page = await ports.catalogue.list_records(Kind.VIEW, 4, None)
        rest = await ports.catalogue.list_records(Kind.VIEW, 4, page.next_cursor)
        assert [*page.items, *rest.items] == made and rest.next_cursor is None
        with pytest.raises(InvalidCursor):
            await ports.catalogue.list_records(Kind.TEAM, 4, page.next_cursor)

    asyncio.run(check())


def test_acts_are_kept_with_what_they_did_newest_first(ports: Ports) -> None:
    async def check() -> None:
        acts = [an_act(f"act {n}") for n in range(5)]
        await ports.catalogue.put(new_record(Kind.TEAM, {}, now()), acts[0])
        for act in acts[1:]:
            await ports.catalogue.log_act(act)
        page = await ports.catalogue.list_acts(3, None)
        rest = await ports.catalogue.list_acts(3, page.next_cursor)
        assert [*page.items, *rest.items] == acts[::-1] and rest.next_cursor is None

    asyncio.run(check())


def test_acts_are_found_by_action_and_by_actor(ports: Ports) -> None:
    async def check() -> None:
        acts = [replace(an_act(action), actor=actor) for action in "ab" for actor in "xy" for _ in range(2)]
        for act in acts:
            await ports.catalogue.log_act(act)
        for action in (None, "a", "c"):
            for actor in (None, "x", "z"):
                asked = [act for act in acts if action in (None, act.action) and actor in (None, act.actor)]
                found, cursor = [], None
                while True:
                    page = await ports.catalogue.list_acts(3, cursor, action, actor)
                    found += page.items
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                assert found == asked[::-1], (action, actor)
        page = await ports.catalogue.list_acts(3, None, "a")
        with pytest.raises(InvalidCursor):
            await ports.catalogue.list_acts(3, page.next_cursor, "b")

    asyncio.run(check())


def test_label_belongs_to_one_record_of_a_kind(ports: Ports) -> None:
    async def check() -> None:
        first, second = (new_record(Kind.TEAM, {}, now(), label=label) for label in ("a", "b"))
        for record in (
            first,
            second,
            new_record(Kind.CATEGORY, {}, now(), label="a"),
            new_record(Kind.TEAM, {}, now()),
        ):
            assert await ports.catalogue.put(record) == record
        for taken in (new_record(Kind.TEAM, {}, now(), label="a"), second.with_body({}, now(), "a")):
            with pytest.raises(Conflict):
                await ports.catalogue.put(taken, an_act())
        assert not (await ports.catalogue.list_acts(9, None)).items
        kept = await ports.catalogue.put(first.with_body({"n": 1}, now(), "a"))
        assert await ports.catalogue.get(Kind.TEAM, first.id) == kept
        await ports.catalogue.remove(kept)
        assert (await ports.catalogue.put(second.with_body({}, now(), "a"))).label == "a"

    asyncio.run(check())


def test_takes_effect_once_for_a_key(ports: Ports) -> None:
    async def check() -> None:
        first, second = (new_record(Kind.TEAM, {}, now()) for _ in range(2))
        await ports.catalogue.put(first, None, a_promise("k"))
        with pytest.raises(AlreadyDone):
            await ports.catalogue.put(second, an_act(), a_promise("k"))
        assert list((await ports.catalogue.list_records(Kind.TEAM, 9, None)).items) == [first]
        assert not (await ports.catalogue.list_acts(9, None)).items

    asyncio.run(check())
