"""A TCP relay between the backend and a store, which can be cut, hold up, slow down or answer with an error of its own."""

import asyncio
import threading
from contextlib import suppress
from urllib.parse import urlsplit

CHUNK = 256 * 1024


class Relay:
    """Passes on what comes to `port` to the store at `address`, as long as nothing else is asked of it."""

    def __init__(self, address: str, host: str = "127.0.0.1") -> None:
        parts = urlsplit(address)
        self._target = (parts.hostname, parts.port)
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._cut = False
        self._delay = 0.0
        self._answer: bytes | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, host, 0, backlog=256))
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens, as a URL of this machine."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break everything off, and listen no more."""
        self.cut()
        self._do(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.close()

    def cut(self) -> None:
        """Break every connection, and each that comes."""
        self._do(self._set, cut=True, drop=True)

    def stall(self) -> None:
        """Take connections and bytes, and pass nothing on: to the caller the store just doesn't answer."""
        self._do(self._set, stalled=True)

    def slow(self, seconds: float) -> None:
        """Pass each piece of a request on after so long."""
        self._do(self._set, delay=seconds)

    def answer(self, status: int, body: bytes, kind: str) -> None:
        """Answer every request so, in the store's place."""
        head = f"HTTP/1.1 {status} Told\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self._do(self._set, answer=head.encode() + body, drop=True)

    def mend(self) -> None:
        """Pass everything on again, what was held up first."""
        self._do(self._set)

    def _set(
        self,
        *,
        cut: bool = False,
        stalled: bool = False,
        delay: float = 0.0,
        answer: bytes | None = None,
        drop: bool = False,
    ) -> None:
        self._cut, self._delay, self._answer = cut, delay, answer
        (self._open.clear if stalled else self._open.set)()
        if drop:
            for writer in self._connections:
                writer.transport.abort()

    def _do(self, act, **how) -> None:
        done = threading.Event()

        def work() -> None:
            act(**how)
            done.set()

        self._loop.call_soon_threadsafe(work)
        done.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            if self._cut:
                return
            if self._answer is not None:
                await self._tell(reader, writer, self._answer)
                return
            await self._open.wait()
            there, back = await asyncio.open_connection(*self._target)
            self._connections.add(back)
            try:
                await asyncio.gather(self._pass_on(reader, back, slowed=True), self._pass_on(there, writer))
            finally:
                self._connections.discard(back)
                back.transport.abort()
        except (OSError, asyncio.CancelledError):
            return  # one of the two has gone, or the relay; so goes the other
        finally:
            self._connections.discard(writer)
            if self._answer is None:
                writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowed: bool = False
    ) -> None:
        while chunk := await reader.read(CHUNK):
            if slowed and self._delay:
                await asyncio.sleep(self._delay)
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"expect: 100-continue" not in head:
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
                await reader.readexactly(int(length or 0))
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
