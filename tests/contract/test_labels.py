"""What every adapter of `Labels` does."""

import asyncio
from collections.abc import Callable

from backend.domain.exports import Whole
from backend.domain.labels import Label, LabelKind, Spelling, names_of, spelling, spellings
from backend.ports import Ports
from tests.builders import a_ticket, an_edit, an_event

TAG, CATEGORY, TEAM = LabelKind.TAG, LabelKind.CATEGORY, LabelKind.TEAM


def of(kind: LabelKind, name: str) -> Spelling:
    one = spelling(kind, name)
    assert one
    return one


def test_the_first_spelling_stays(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        first = await ports.labels.add([of(TAG, "VPN"), of(CATEGORY, "vpn")])
        assert {one.label: one.name for one in first.values()} == {
            Label(TAG, "vpn"): "VPN",
            Label(CATEGORY, "vpn"): "vpn",
        }
        again = await opened().labels.add([of(TAG, "Vpn"), of(TAG, "fax")])
        assert sorted(one.name for one in again.values()) == ["VPN", "fax"]
        found = await ports.labels.find([Label(TAG, "vpn"), Label(TAG, "fax"), Label(TEAM, "vpn")])
        assert found == again
        assert await ports.labels.find([]) == {} == await ports.labels.add([])

    asyncio.run(check())


def test_of_many_at_once_one_is_first(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        ways = ["vpn", "VPN", "Vpn", "vPn"]
        others = [ports, opened()]
        found = await asyncio.gather(*(others[n % 2].labels.add([of(TAG, ways[n % 4])]) for n in range(12)))
        assert len({known[Label(TAG, "vpn")].name for known in found}) == 1

    asyncio.run(check())


def test_a_label_is_spelled_anew(ports: Ports) -> None:
    async def check() -> None:
        await ports.labels.add([of(TAG, "vpn")])
        new = Spelling(Label(TAG, "vpn"), "VPN", ("vpn", "Tunnel"))
        await ports.labels.put([new])
        assert await ports.labels.add([of(TAG, "vpn")]) == {new.label: new}

    asyncio.run(check())


def test_lists_by_what_they_begin_with(ports: Ports) -> None:
    async def check() -> None:
        names = ["Printer", "print", "ＰＲＩＯ", "pr", "other", "ﷺ" * 90, "\U0001f5a8 jam"]
        await ports.labels.add([of(TAG, name) for name in names])
        await ports.labels.add([of(CATEGORY, "Private")])

        async def begun(prefix: str, limit: int = 9) -> list[str]:
            return [one.name for one in await ports.labels.begin_with(TAG, prefix, limit)]

        assert await begun("pr") == ["pr", "print", "Printer", "ＰＲＩＯ"]
        assert await begun("print", 1) == ["print"]
        assert await begun("\U0001f5a8") == ["\U0001f5a8 jam"]
        assert sorted(await begun("")) == sorted(names) and await begun("x") == []
        assert (await ports.labels.find([of(TAG, "ﷺ" * 90).label]))[of(TAG, "ﷺ" * 90).label].name == "ﷺ" * 90

    asyncio.run(check())


def test_counts_tickets_that_are_not_in_the_trash(ports: Ports) -> None:
    async def check() -> None:
        for _ in range(3):
            last = a_ticket(tags=("a", "b"), category="C", team="T")
            await ports.tickets.add(last, (), an_event(last))
        gone = an_edit("deleted", deleted_at="2026-01-01T00:00:00.000000Z")
        await ports.tickets.update(last.id, gone)
        assert list(await ports.labels.count(TAG, ["b", "x", "a"], 100)) == [2, 0, 2]
        assert list(await ports.labels.count(TAG, ["a"], 1)) == [1]
        assert (
            list(await ports.labels.count(CATEGORY, ["C"], 9)) == list(await ports.labels.count(TEAM, ["T"], 9)) == [2]
        )

    asyncio.run(check())


def test_what_is_loaded_is_known_however_it_is_spelled(ports: Ports) -> None:
    async def check() -> None:
        await ports.labels.add([of(TAG, "VPN")])
        ticket = a_ticket(tags=("vpn", "new", "external:1"), category="C", number=7)
        await ports.tickets.load([Whole(ticket, (), (), (an_event(ticket),))])
        known = await ports.labels.find([one.label for one in spellings(names_of(ticket))])
        assert {one.every() for one in known.values()} == {("VPN", "vpn"), ("new",), ("C",)}

    asyncio.run(check())
