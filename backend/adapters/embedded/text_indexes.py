"""Fills the full-text indexes with the folded words of what the tables say, at a start that finds them empty or old.

Each step is a commit that notes how far it has come, so a start that is killed goes on where it was. Nobody writes
meanwhile: whoever opens the database has the turn until this is done, and what is written later keeps itself in step.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from backend.domain import folding

logger = logging.getLogger("backend.sqlite")

TOLD_SECONDS = 5.0
STEP_SECONDS = 1.0  # of work between two commits
_ROWS = 500

Report = Callable[[str | None], None]
"""Hears a line about how far it has come, and None at the end."""


@dataclass(frozen=True, slots=True)
class _Index:
    name: str
    table: str
    key: str
    columns: str
    where: str = "1"


_INDEXES = (
    _Index("tickets_text", "tickets", "number", "title, description, resolution", "deleted_at IS NULL"),
    _Index("comments_text", "comments", "seq", "body", "NOT internal"),
    _Index("notes_text", "comments", "seq", "body", "internal"),
    _Index("memories_text", "memories", "rowid", "title, body"),
)


def fold_for_search(text: str | None) -> str | None:
    """What the index holds of a text; the function of this name in SQL."""
    return None if text is None else folding.for_index(text)


def _are_there(connection: sqlite3.Connection) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'text_indexes'"
    return bool(connection.execute(sql).fetchone()[0])


def are_complete(connection: sqlite3.Connection) -> bool:
    """Whether every index holds all, folded as this version does."""
    if not _are_there(connection):
        return True  # an older schema, which some other version looks after
    rows = connection.execute("SELECT folding, reached FROM text_indexes").fetchall()
    return all(rules == folding.VERSION and reached is None for rules, reached in rows)


def bring_up_to_date(connection: sqlite3.Connection, report: Report) -> None:
    """Fill what is not filled. Raises sqlite3.Error."""
    if are_complete(connection):
        return
    for index in _INDEXES:
        _fill(connection, index, report)
    report(None)


def _fill(connection: sqlite3.Connection, index: _Index, report: Report) -> None:
    rules, reached = connection.execute(
        "SELECT folding, reached FROM text_indexes WHERE name = ?", (index.name,)
    ).fetchone()
    if rules != folding.VERSION:
        reached = 0
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"INSERT INTO {index.name} ({index.name}) VALUES ('delete-all')")
        _note(connection, index, reached)
        connection.execute("COMMIT")
    if reached is None:
        return
    (last,) = connection.execute(f"SELECT coalesce(max({index.key}), 0) FROM {index.table}").fetchone()
    told = time.monotonic()
    while reached is not None:
        reached = _step(connection, index, reached)
        if reached is not None and time.monotonic() - told >= TOLD_SECONDS:
            told = time.monotonic()
            report(f"the search index {index.name} is being made anew: {reached / last:.0%}")
    logger.info("the search index %s is complete", index.name)


def _step(connection: sqlite3.Connection, index: _Index, reached: int) -> int | None:
    """About STEP_SECONDS of it in one commit; how far that came, None: to the end."""
    started = time.monotonic()
    place: int | None = reached
    marks = ", ".join("?" * (index.columns.count(",") + 2))
    connection.execute("BEGIN IMMEDIATE")
    while True:
        rows = connection.execute(
            f"SELECT {index.key}, {index.columns} FROM {index.table} WHERE {index.key} > ? AND {index.where} "
            f"ORDER BY {index.key} LIMIT {_ROWS}",
            (place,),
        ).fetchall()
        connection.executemany(
            f"INSERT INTO {index.name} (rowid, {index.columns}) VALUES ({marks})",
            ((key, *map(fold_for_search, texts)) for key, *texts in rows),
        )
        place = rows[-1][0] if len(rows) == _ROWS else None
        if place is None or time.monotonic() - started >= STEP_SECONDS:
            break
    _note(connection, index, place)
    connection.execute("COMMIT")
    return place


def _note(connection: sqlite3.Connection, index: _Index, reached: int | None) -> None:
    connection.execute(
        "UPDATE text_indexes SET folding = ?, reached = ? WHERE name = ?", (folding.VERSION, reached, index.name)
    )
