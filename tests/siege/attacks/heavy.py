"""What is large or slow to answer. `python -m tests.bench.siege` prints what it does to others; no test holds it yet."""

import asyncio
import random
from contextlib import suppress

from tests.siege.attacking import LIVE, Report, Target, ask, attack, connect, flood, head, hold, posted


@attack
async def pipelines(target: Target, report: Report) -> None:
    """Many requests at once on each connection, read by some and by others never."""
    sent = (LIVE + b"\r\n") * 20 + head(target, "GET", "/api/tickets?limit=100") * 40

    async def client(reads: bool) -> None:
        while True:
            with suppress(OSError, TimeoutError):
                reader, writer = await connect(target, 0 if reads else 4_096)
                writer.write(sent)
                report.step()
                async with asyncio.timeout(3):
                    while await (reader.read(65_536) if reads else asyncio.sleep(1, True)):
                        pass
                writer.transport.abort()

    await asyncio.gather(*(client(number % 2 == 0) for number in range(20)))


@attack
async def hostile_json(target: Target, report: Report) -> None:
    """JSON of two megabytes: deep, wide, long numbers, many fields, errors and escapes."""
    size = 1_900_000
    text = b'{"title":"T","severity":"low","category":"C","description":"%s"}'
    bodies = [
        b"[" * size,
        b'{"a":' * (size // 5),
        b'{"title":"T","tags":[' + b'"a",' * (size // 4) + b'"a"]}',
        b'{"title":"T","tags":[' + b"1," * (size // 2) + b"1]}",
        b"{" + b",".join(b'"a%d":1' % number for number in range(size // 12)) + b"}",
        b"9" * size,
        text % (b"\\u0000" * (size // 6)),
        text % (b"\\ud83d\\ude00" * 90_000),
        text % ("ﷺ" * 90_000).encode(),
        text % ("e" + "\u0301" * 90_000).encode(),
        text % (b"a" * size),
        text % (b"> " * 45_000),
    ]
    sent = [posted(target, "/api/tickets", body) for body in bodies]
    await flood(report, target, 3, lambda: random.choice(sent))


@attack
async def answers_never_read(target: Target, report: Report) -> None:
    """Large answers that are asked for and not read."""
    paths = ["/api/tickets?limit=200", f"/api/tickets/{target.page}/comments?limit=200", target.file]
    await asyncio.gather(*(hold(report, target, 30, head(target, "GET", path), buffer=4_096) for path in paths))


@attack
async def answers_read_slowly(target: Target, report: Report) -> None:
    """A few bytes at a time."""

    async def client(path: str) -> None:
        while True:
            with suppress(OSError):
                reader, writer = await connect(target, 4_096)
                writer.write(head(target, "GET", path))
                report.step()
                while True:
                    await asyncio.sleep(0.1)
                    if not await reader.read(200):
                        break
                writer.transport.abort()

    paths = ["/api/tickets?limit=200", target.file, "/queue"]
    await asyncio.gather(*(client(path) for path in paths * 20))


@attack
async def large_answers(target: Target, report: Report) -> None:
    """The largest answers there are, again and again."""
    paths = ["/api/tickets?limit=200", f"/api/tickets/{target.page}/comments?limit=200", "/openapi.json", "/docs"]
    heads = [head(target, "GET", path, "Accept-Encoding: gzip") for path in paths]
    await flood(report, target, 6, lambda: random.choice(heads))


@attack
async def streams(target: Target, report: Report) -> None:
    """Many open streams of one token, half of which are never read, beside tickets that are filed."""
    draft = b'{"title":"T","severity":"low","category":"C","description":"D"}'
    sent = head(target, "GET", "/api/events")

    async def write() -> None:
        while True:
            report.step(await ask(target, posted(target, "/api/tickets", draft)))
            await asyncio.sleep(0.05)

    await asyncio.gather(hold(report, target, 300, sent), hold(report, target, 300, sent, buffer=4_096), write())


@attack
async def searches(target: Target, report: Report) -> None:
    """Searches of every shape, made by Hypothesis from words of the text."""
    from tests.siege.shapes import random_path

    await flood(report, target, 8, lambda: head(target, "GET", random_path()))
