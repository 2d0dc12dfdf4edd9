"""Figures from the table's indexes, whose entries carry what is counted (decision 0018): no ticket is read.

What was opened and resolved is read entry by entry, at most a month a piece; what was promised and what is left is
counted where it lies. So a call takes as long as its period and the backlog are large, whatever else the table holds.
"""

import asyncio
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any, TypeVar

from backend.adapters.aws.table import Item, Table, asked, pack
from backend.adapters.aws.ticket_items import COUNTED, LIVE
from backend.domain.figures import Figures, Kept, Open, Period, course, times, took, top
from backend.domain.tickets import ACTIVE, Severity, Status
from backend.domain.values import Instant

Part = TypeVar("Part")
Result = TypeVar("Result")
Span = tuple[Instant, Instant]

_MOST_AT_ONCE = 8  # of the pool's threads, which others need too
_PIECE_DAYS = 31
_KEPT = {"due": "resolved_at <= due_at", "answer": "first_responded_at <= first_response_due_at"}
_NAMES = ("category", "team", "assignee")


async def of(table: Table, period: Period) -> Figures:
    """The figures of a period, from no single moment: what is written meanwhile may be in some and not in others."""
    return await _Reader(table, period).figures()


@dataclass(slots=True)
class _Happened:
    """What was opened, or resolved, and how long that had taken or its first answer took."""

    days: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    names: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _NAMES})

    def __iadd__(self, other: "_Happened") -> "_Happened":
        self.days += other.days
        self.seconds += other.seconds
        for name in _NAMES:
            self.names[name] += other.names[name]
        return self


class _Reader:
    def __init__(self, table: Table, period: Period) -> None:
        self._table = table
        self._period = period
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def figures(self) -> Figures:
        states = sorted(product(Severity, ACTIVE))
        opened, resolved, answer, due, backlog = await asyncio.gather(
            self._happened("created", "created_at", "first_responded_at"),
            self._happened("resolved", "resolved_at", "resolved_at"),
            self._kept("answer"),
            self._kept("due"),
            self._each(self._left, states),
        )
        came, went = ([found.days[n] for n in range(len(self._period.days))] for found in (opened, resolved))
        shares = {name: top(opened.names[name], resolved.names[name]) for name in _NAMES}
        return Figures(
            days=course(self._period, came, went, sum(backlog)),
            backlog=tuple(Open(*state, count) for state, count in zip(states, backlog, strict=True) if count),
            first_answer=times(opened.seconds),
            resolution=times(resolved.seconds),
            first_answer_promises=answer,
            resolution_promises=due,
            categories=shares["category"],
            teams=shares["team"],
            assignees=shares["assignee"],
        )

    async def _each(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """The work on each part, some at once."""

        async def one(part: Part) -> Result:
            async with self._room:
                return await self._table.cloud.read(lambda: work(part))

        return list(await asyncio.gather(*map(one, parts)))

    # ---- What happened ---------------------------------------------------------------------------------------------

    async def _happened(self, index: str, when: str, until: str) -> _Happened:
        """Of the tickets whose time `when` is in the period, and how long after it was opened each came to `until`."""
        place, end = COUNTED.index(when), COUNTED.index(until)
        total = _Happened()
        for part in await self._each(lambda span: self._listed(index, span, place, end), self._pieces()):
            total += part
        return total

    def _listed(self, index: str, span: Span, when: int, until: int) -> _Happened:
        found = _Happened()
        bounds, names = self._period.bounds, [found.names[name] for name in _NAMES]
        for entry in self._entries(index, span):
            found.days[bisect_right(bounds, entry[when]) - 1] += 1
            if entry[until] is not None:
                found.seconds.append(took(entry[0], entry[until]))
            for counts, name in zip(names, entry[3:], strict=True):
                if name is not None:
                    counts[name] += 1
        return found

    def _entries(self, index: str, span: Span) -> Iterator[Sequence[Any]]:
        """The values COUNTED of each ticket."""
        for answer in self._answers(LIVE, index, span, ProjectionExpression="figures"):
            for item in answer["Items"]:
                if "figures" in item:  # not of what was merged
                    yield json.loads(item["figures"]["S"])

    # ---- What is counted where it lies -----------------------------------------------------------------------------

    async def _kept(self, index: str) -> Kept:
        """Promises whose time came, up to now."""
        condition = _KEPT[index]
        pieces = [(start, min(end, self._period.at)) for start, end in self._pieces()]
        kept = await self._each(lambda span: self._count(LIVE, index, span, condition), pieces)
        broken = await self._each(lambda span: self._count(LIVE, index, span, f"NOT {condition}"), pieces)
        return Kept(sum(kept), sum(broken))

    def _left(self, state: tuple[Severity, Status]) -> int:
        severity, status = state
        return self._count(f"{status} {severity}", "backlog", None)

    def _count(self, pk: str, index: str, span: Span | None, condition: str | None = None) -> int:
        return sum(answer["Count"] for answer in self._answers(pk, index, span, condition, Select="COUNT"))

    # ---- Calls -----------------------------------------------------------------------------------------------------

    def _pieces(self) -> list[Span]:
        """The period in parts that can be read at once."""
        bounds = self._period.bounds
        return list(pairwise([*bounds[:-1:_PIECE_DAYS], bounds[-1]]))

    def _answers(
        self, pk: str, index: str, span: Span | None, condition: str | None = None, **more: Any
    ) -> Iterator[Item]:
        """Query's answers about the entries from the start of a span to before its end, of the period's teams.

        A place in an order is a time and a number, so all those of the end itself come after it.
        """
        request = asked(pk, index, *(span or (None, None)))
        conditions = [condition] if condition else []
        if self._period.teams:
            marks = {f":team{n}": team for n, team in enumerate(self._period.teams)}
            request["ExpressionAttributeValues"] |= pack(marks)
            conditions.append(f"team IN ({', '.join(marks)})")
        if conditions:
            request["FilterExpression"] = " AND ".join(conditions)
        while True:
            answer = self._table.ask(request, **more)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
