"""What every adapter of `Files` does."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.embedded.files import LocalFiles
from backend.domain.file_types import SNIFFED_BYTES
from backend.errors import NotFound, TooLarge, Unavailable
from backend.ports import Ports

run = asyncio.run


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(ports: Ports, key: str, start: int, length: int) -> bytes:
    return b"".join([chunk async for chunk in ports.uploads.read(key, start, length)])


@pytest.mark.parametrize("size", [0, 1, SNIFFED_BYTES - 1, SNIFFED_BYTES, SNIFFED_BYTES + 1, 300_000, 3_000_000])
def test_gives_back_what_it_took(ports: Ports, opened: Callable[[], Ports], size: int) -> None:
    async def check() -> None:
        content = (bytes(range(251)) * (size // 251 + 1))[:size]
        stored = await ports.uploads.put(chunks(content[: size // 3], content[size // 3 :]), 5_000_000)
        assert (stored.size, stored.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert stored.head == content[:SNIFFED_BYTES]
        assert await whole(opened(), stored.key, 0, size) == content

    run(check())


def test_bytes_go_through_the_server_unless_links_are_asked_for(ports: Ports) -> None:
    assert run(ports.uploads.link("0" * 32, "text/plain", "inline")) is None


def test_keys_are_random(ports: Ports) -> None:
    async def check() -> None:
        keys = {(await ports.uploads.put(chunks(b"same"), 10)).key for _ in range(20)}
        assert len(keys) == 20

    run(check())


@given(st.integers(0, 999), st.integers(1, 999))
def test_reads_any_range(tmp_path_factory: pytest.TempPathFactory, start: int, length: int) -> None:
    async def check() -> None:
        files = LocalFiles(tmp_path_factory.mktemp("files"))
        files.open()
        content = bytes(range(250)) * 4
        stored = await files.put(chunks(content), 1000)
        end = min(1000, start + length)
        assert b"".join([part async for part in files.read(stored.key, start, end - start)]) == content[start:end]

    run(check())


def test_limit_is_exact_and_nothing_is_kept_beyond_it(ports: Ports) -> None:
    async def check() -> None:
        assert (await ports.uploads.put(chunks(b"12345", b"67890"), 10)).size == 10
        with pytest.raises(TooLarge):
            await ports.uploads.put(chunks(b"12345", b"67890", b"1"), 10)

    run(check())


def test_error_of_the_sender_goes_on(ports: Ports) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ConnectionResetError

    with pytest.raises((ConnectionResetError, Unavailable)):  # it is an OSError, as a disk's would be
        run(ports.uploads.put(broken(), 100))


def test_deleted_bytes_are_gone(ports: Ports) -> None:
    async def check() -> None:
        stored = await ports.uploads.put(chunks(b"hello"), 100)
        await ports.uploads.delete(stored.key)
        await ports.uploads.delete(stored.key)
        with pytest.raises(NotFound):
            await whole(ports, stored.key, 0, 5)

    run(check())


def test_probe_works(ports: Ports) -> None:
    run(ports.uploads.probe())
