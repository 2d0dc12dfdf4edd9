"""Answers."""

import random

from tests.siege.attacking import Report, Target, attack, flood, head


@attack
async def ranges(target: Target, report: Report) -> None:
    """Ranges without end: many, overlapping, huge, at the ends."""
    many = "Range: bytes=" + ",".join(f"{number}-" for number in range(4_000))
    fields = [many, "Range: bytes=0-999999999999999999", "Range: bytes=-1", "Range: bytes=8000000-", "Range: bytes=5-1"]
    fields += ["Range: bytes=999999999999999999-", "Range: bytes=" + "1" * 20_000 + "-", "Range: bytes=0-0"]
    heads = [head(target, "GET", target.file, field) for field in fields]
    await flood(report, target, 6, lambda: random.choice(heads))


@attack
async def hostile_pages(target: Target, report: Report) -> None:
    """A page of 120 comments of 100,000 characters with links, fences and marks."""
    await flood(report, target, 4, lambda: head(target, "GET", f"/tickets/{target.page}", "Accept-Encoding: gzip"))
