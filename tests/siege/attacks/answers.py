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
