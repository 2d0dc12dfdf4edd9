"""What every adapter of `Tokens` does."""

import asyncio
from collections.abc import Callable

import pytest

from backend.domain.access import Role, hash_secret, new_session
from backend.domain.once import AlreadyDone
from backend.domain.values import now
from backend.errors import TokenNotFound
from backend.ports import Ports
from tests.builders import a_promise, a_session, a_token, an_act


def test_finds_by_hash_lists_in_order_and_forgets(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        first = await ports.tokens.add(
            a_token("one", role=Role.ADMIN, email="a@example.org", expires_at="2030"), an_act()
        )
        second = await ports.tokens.add(a_token("two"), an_act())
        assert await ports.tokens.find(hash_secret("one")) == first
        assert await ports.tokens.find(hash_secret("three")) is None
        assert list(await opened().tokens.list_tokens()) == [first, second]
        await ports.tokens.remove(first.id, an_act())
        assert await ports.tokens.find(hash_secret("one")) is None
        with pytest.raises(TokenNotFound):
            await ports.tokens.remove(first.id, an_act())

    asyncio.run(check())


def test_takes_effect_once_for_a_key(ports: Ports) -> None:
    async def check() -> None:
        await ports.tokens.add(a_token("one"), an_act(), a_promise("k"))
        with pytest.raises(AlreadyDone):
            await ports.tokens.add(a_token("two"), an_act(), a_promise("k"))
        assert len(await ports.tokens.list_tokens()) == 1

    asyncio.run(check())


def test_keeps_a_session_until_it_is_removed(ports: Ports, opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        session = await ports.tokens.add_session(a_session("s", a_token()), an_act("started"), a_promise("k"))
        assert await opened().tokens.find_session(hash_secret("s")) == session
        assert await ports.tokens.find_session(hash_secret("t")) is None
        with pytest.raises(AlreadyDone):
            await ports.tokens.add_session(a_session("t", a_token()), an_act(), a_promise("k"))
        later, latest = session.used("9000-01-01T01:00:00Z"), session.used("9000-01-01T02:00:00Z")
        await ports.tokens.renew_session(latest)
        await ports.tokens.renew_session(later)
        assert await ports.tokens.find_session(session.hash) == latest
        for _ in range(2):
            await ports.tokens.remove_session(session.hash, an_act("ended"))
        assert await ports.tokens.find_session(session.hash) is None
        await ports.tokens.renew_session(latest)
        assert await ports.tokens.find_session(session.hash) is None
        acts = (await ports.catalogue.list_acts(9, None)).items
        assert [act.action for act in acts] == ["ended", "started"]

    asyncio.run(check())


def test_expired_sessions_are_found_expired_or_not_at_all(ports: Ports) -> None:
    async def check() -> None:
        old = new_session("old", "t", "b", "2001-01-01T00:00:00Z", None)
        await ports.tokens.add_session(old, an_act())
        await ports.tokens.add_session(a_session("new", a_token()), an_act())
        found = await ports.tokens.find_session(old.hash)
        assert found is None or found.has_expired(now())

    asyncio.run(check())


def test_last_use_only_goes_forward(ports: Ports) -> None:
    async def check() -> None:
        token = await ports.tokens.add(a_token("one", rate_limit=60, teams=("Network", "Büro")), an_act())
        assert await ports.tokens.find(token.hash) == token and token.last_used_at is None
        for moment in ("2031-01-01T02:00:00Z", "2031-01-01T01:00:00Z"):
            await ports.tokens.mark_used(token.id, moment)
            (found,) = await ports.tokens.list_tokens()
            assert found.last_used_at == "2031-01-01T02:00:00Z"
        await ports.tokens.mark_used("01KBX5Z9N0QW3E4R5T6Y7V8A9B", "2031-01-01T02:00:00Z")
        assert len(await ports.tokens.list_tokens()) == 1

    asyncio.run(check())
