"""Bodies: slow ones, and ones of many pieces."""

import asyncio
import random

from tests.siege.attacking import Report, Target, attack, flood, head, hold, parts_of, posted


@attack
async def slow_bodies(target: Target, report: Report) -> None:
    """Bodies that come a byte at a time."""
    json_head = head(target, "POST", "/api/tickets", "Content-Type: application/json", length=1_000_000)
    form_head = head(target, "POST", "/api/tickets", "Content-Type: multipart/form-data; boundary=b", length=1_000_000)
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    await asyncio.gather(
        hold(report, target, 100, json_head + b"{", drip=b" "), hold(report, target, 100, form_head + part, drip=b"a")
    )


def chunked(pieces: int, extension: bytes = b"") -> bytes:
    """A body of so many chunks of one byte."""
    return b'1%s\r\n"\r\n' % extension + (b"1%s\r\na\r\n" % extension) * pieces + b'1\r\n"\r\n0\r\n\r\n'


@attack
async def small_chunks(target: Target, report: Report) -> None:
    """A megabyte in chunks of a byte, with and without extensions."""
    start = head(target, "POST", "/api/tickets", "Content-Type: application/json", "Transfer-Encoding: chunked")
    bodies = [start + chunked(160_000), start + chunked(20_000, b";a=" + b"b" * 50)]
    await flood(report, target, 4, lambda: random.choice(bodies))


@attack
async def many_small_parts(target: Target, report: Report) -> None:
    """Forms of many parts, fields and files, and of lines that look like boundaries."""
    path, kind = f"/api/tickets/{target.ticket}/comments", "multipart/form-data; boundary=b"
    field = b'Content-Disposition: form-data; name="tags"\r\n\r\na'
    file = b'Content-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    fields = b"".join(b"X-%d: a\r\n" % number for number in range(14))
    bodies = [
        parts_of(*[field] * 100_000),
        parts_of(*[file + b"a"] * 100),
        parts_of(*[fields + field] * 10_000),
        parts_of(file + b"\r\n-" * 600_000),
        parts_of(file + b"\r\n--" * 500_000),
        parts_of(file + b"\r" * 2_000_000),
        parts_of(file + b"\r\n--a" * 400_000),
        parts_of(field + b"\n" * 400_000),
        b"\r\n" * 1_000_000,
        b"-" * 2_000_000,
    ]
    sent = [posted(target, path, body, kind) for body in bodies]
    await flood(report, target, 4, lambda: random.choice(sent))
