"""What every adapter of `Tokens` does."""

import asyncio
from collections.abc import Callable

import pytest

from backend.domain.access import Role, hash_secret
from backend.domain.once import AlreadyDone
from backend.errors import TokenNotFound
from backend.ports import Ports
from tests.builders import a_promise, a_token, an_act


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
