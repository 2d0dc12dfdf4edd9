"""Figures from SQLite, each from an index that begins with the time in question."""

import sqlite3
from itertools import pairwise
from typing import Any

from backend.domain.figures import Figures, Kept, Open, Period, Share, Times, course, times, top

_INDEX = {
    "created_at": "tickets INDEXED BY tickets_opened_figures",
    "resolved_at": "tickets INDEXED BY tickets_resolved_figures",
    "first_response_due_at": "tickets INDEXED BY tickets_answer_figures",
    "due_at": "tickets INDEXED BY tickets_due_figures",
}
_ACTIVE = "status IN ('open', 'in_progress', 'waiting')"  # word for word as in the index


def of(connection: sqlite3.Connection, period: Period) -> Figures:
    """The figures of a period, from one moment."""
    connection.execute("BEGIN")
    try:
        return _Reader(connection, period).figures()
    finally:
        connection.execute("COMMIT")


class _Reader:
    def __init__(self, connection: sqlite3.Connection, period: Period) -> None:
        self._connection = connection
        self._period = period
        marks = ", ".join("?" * len(period.teams))
        # What was merged counts once: as the ticket that goes on.
        self._where = "deleted_at IS NULL AND merged = 0" + (f" AND team IN ({marks})" if marks else "")
        self._end = period.bounds[-1]

    def figures(self) -> Figures:
        backlog = [
            Open(*row)
            for row in self._rows(
                f"SELECT severity, status, count(*) FROM tickets INDEXED BY tickets_backlog_figures "
                f"WHERE {self._where} AND {_ACTIVE} GROUP BY 1, 2"
            )
        ]
        opened, resolved = self._by_day("created_at"), self._by_day("resolved_at")
        return Figures(
            days=course(self._period, opened, resolved, sum(one.count for one in backlog)),
            backlog=tuple(backlog),
            first_answer=self._times("created_at", "created_at", "first_responded_at"),
            resolution=self._times("resolved_at", "created_at", "resolved_at"),
            first_answer_promises=self._kept("first_response_due_at", "first_responded_at"),
            resolution_promises=self._kept("due_at", "resolved_at"),
            categories=self._top("category"),
            teams=self._top("team"),
            assignees=self._top("assignee"),
        )

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        return self._connection.execute(sql, (*self._period.teams, *parameters)).fetchall()

    def _by_day(self, column: str) -> list[int]:
        bounds = self._period.bounds
        sql = f"SELECT count(*) FROM {_INDEX[column]} WHERE {self._where} AND {column} >= ? AND {column} < ?"
        return [self._rows(sql, *span)[0][0] for span in pairwise(bounds)]

    def _times(self, column: str, start: str, end: str) -> Times:
        rows = self._rows(
            f"SELECT (julianday({end}) - julianday({start})) * 86400 FROM {_INDEX[column]} "
            f"WHERE {self._where} AND {column} >= ? AND {column} < ? AND {end} IS NOT NULL",
            self._period.start,
            self._end,
        )
        return times([max(0.0, row[0]) for row in rows])

    def _kept(self, promised: str, done: str) -> Kept:
        (row,) = self._rows(
            f"SELECT count(*), coalesce(sum({done} <= {promised}), 0) FROM {_INDEX[promised]} "
            f"WHERE {self._where} AND {promised} >= ? AND {promised} < ?",
            self._period.start,
            self._period.at,
        )
        return Kept(row[1], row[0] - row[1])

    def _top(self, column: str) -> tuple[Share, ...]:
        return top(self._counted(column, "created_at"), self._counted(column, "resolved_at"))

    def _counted(self, column: str, time: str) -> dict[str, int]:
        return dict(
            self._rows(
                f"SELECT {column}, count(*) FROM {_INDEX[time]} WHERE {self._where} AND {time} >= ? AND {time} < ? "
                f"AND {column} IS NOT NULL GROUP BY 1",
                self._period.start,
                self._end,
            )
        )
