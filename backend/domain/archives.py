"""Plain tar streams, written and read as they pass by. Strict: regular files with short names, nothing else.

Compression, links, folders and names that could lead anywhere are refused by whoever reads: a stream that this
project did not write is none of its business.
"""

import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from backend.errors import InvalidInput, TooLarge

BLOCK = 512
LONGEST_NAME = 100
END = b"\0" * (2 * BLOCK)
_GZIP = b"\x1f\x8b"


def header(name: str, size: int) -> bytes:
    """What stands before a member's bytes; always the same for the same name and size."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """What stands after them."""
    return b"\0" * (-size % BLOCK)


@dataclass(slots=True)
class Member:
    """One file of a stream; to be read to its end before the next one is asked for."""

    name: str
    size: int
    _source: "_Source"
    _left: int

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes. Raises InvalidInput where the stream is cut off."""
        while self._left:
            chunk = await self._source.some(self._left)
            self._left -= len(chunk)
            yield chunk

    async def read(self, limit: int) -> bytes:
        """All of its bytes. Raises TooLarge past `limit`, before anything is read."""
        if self.size > limit:
            raise TooLarge(f"{self.name} has {self.size} bytes; at most {limit} are taken.")
        return b"".join([chunk async for chunk in self.chunks()])

    async def skip(self) -> None:
        """Leave the rest unread."""
        async for _ in self.chunks():
            pass
        await self._source.exactly(-self.size % BLOCK)


async def members(stream: AsyncIterator[bytes]) -> AsyncIterator[Member]:
    """The files of a tar stream. Raises InvalidInput where it is none, is cut off, or holds anything but files."""
    source = _Source(stream)
    while True:
        block = await source.exactly(BLOCK)
        if block.count(0) == BLOCK:
            return
        member = _member(block, source)
        yield member
        await member.skip()


def _member(block: bytes, source: "_Source") -> Member:
    if block.startswith(_GZIP):
        raise InvalidInput("The archive is compressed; send the plain tar (gunzip it first).")
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"This is no tar archive, or a damaged one: {problem}.") from None
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
        raise InvalidInput(f"The archive holds {info.name[:LONGEST_NAME]!r}, which is no plain file.")
    return Member(info.name, info.size, source, info.size)


class _Source:
    """Bytes in the portions that are asked for."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._held = b""

    async def some(self, most: int) -> bytes:
        """At least one byte, at most so many."""
        while not self._held:
            try:
                self._held = await anext(self._stream)
            except StopAsyncIteration:
                raise InvalidInput("The archive is cut off; send the whole of it.") from None
        chunk, self._held = self._held[:most], self._held[most:]
        return chunk

    async def exactly(self, count: int) -> bytes:
        """Just so many bytes."""
        found = b""
        while len(found) < count:
            found += await self.some(count - len(found))
        return found
