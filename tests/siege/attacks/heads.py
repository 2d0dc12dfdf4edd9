"""Heads and connections."""

import asyncio
import random
from contextlib import suppress

from tests.siege.attacking import LIVE, Report, Target, attack, connect, flood, head, hold


@attack
async def slow_heads(target: Target, report: Report) -> None:
    """Slowloris: a byte now and then."""
    await hold(report, target, 300, LIVE + b"X-a: ", drip=b"a")


@attack
async def endless_heads(target: Target, report: Report) -> None:
    """Heads that never end, as fast as they are taken."""

    async def client(start: bytes) -> None:
        while True:
            with suppress(OSError):
                _, writer = await connect(target)
                writer.write(LIVE + start)
                for _ in range(40):
                    writer.write(b"a" * 65_536)
                    await writer.drain()
                writer.transport.abort()
            report.step()
            await asyncio.sleep(0.01)

    starts = [b"X-a: ", b"Cookie: ", b"", b"Content-Length: ", b"a: b\r\n" * 90]
    await asyncio.gather(*(client(start) for start in starts * 2))


@attack
async def large_heads(target: Target, report: Report) -> None:
    """Heads as large as they may be: fields, cookies, parameters, lists of tags."""
    fields = [f"X-{number}: {'a' * 300}" for number in range(90)]
    cookie = "Cookie: " + "; ".join(f"a{number}=b" for number in range(3_000))
    etags = "If-None-Match: " + ", ".join('"a"' for _ in range(6_000))
    query = "/api/tickets?" + "&".join("status=open" for _ in range(1_300))
    heads = [
        head(target, "GET", f"/api/tickets/{target.ticket}", *fields),
        head(target, "GET", f"/api/tickets/{target.ticket}", cookie),
        head(target, "GET", f"/api/tickets/{target.ticket}", etags),
        head(target, "GET", query),
        head(target, "GET", "/" + "%2e%2e/" * 2_000),
        head(target, "GET", "/health/live?" + "&a" * 7_000, "Accept-Language: " + ",".join(["de"] * 4_000)),
    ]
    await flood(report, target, 8, lambda: random.choice(heads))


@attack
async def connections(target: Target, report: Report) -> None:
    """As many silent connections as one client gets."""
    await hold(report, target, 3_000)


@attack
async def connections_that_come_and_go(target: Target, report: Report) -> None:
    """Opened and reset at once."""

    async def client() -> None:
        while True:
            with suppress(OSError):
                _, writer = await connect(target)
                writer.write(LIVE[: random.randrange(len(LIVE))])
                writer.transport.abort()
            report.step()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(client() for _ in range(40)))


@attack
async def http_1_0(target: Target, report: Report) -> None:
    """One connection a request, some that ask to keep it and send on."""
    auth = f"Authorization: Bearer {target.token}\r\n"
    plain = f"GET /api/tickets?limit=5 HTTP/1.0\r\n{auth}\r\n".encode()
    kept = f"GET /api/tickets?limit=5 HTTP/1.0\r\nConnection: keep-alive\r\n{auth}\r\n".encode()
    await flood(
        report, target, 8, lambda: random.choice([plain, kept, kept * 5, b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
    )


@attack
async def nonsense(target: Target, report: Report) -> None:
    """What is no HTTP, or nearly."""
    pieces = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        LIVE + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        LIVE
        + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        LIVE + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        LIVE + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        LIVE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /api/tickets HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n" * 10_000,
        random.Random(3).randbytes(20_000),
    ]
    await flood(report, target, 8, lambda: random.choice(pieces))
