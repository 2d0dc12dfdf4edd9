"""The best matches of a text, by BM25, among the newest ones (see decision 10)."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from backend.adapters.embedded.text_indexes import fold_for_search
from backend.adapters.embedded.ticket_filters import Clause

# What few rows say is indexed anew, in memory, rather than found among what a million say; more of them where
# the text has so many matches that passing by those would take longer.
FEW = 200
FEW_OF_MANY = 1_000
MANY = 100_000
MOST_FOLDED = 1_000_000  # characters, which Python folds in a tenth of a second
_TOKENIZE = "tokenize = 'ascii'"

# So few rows of a filter are collected at once, and so many where the newest matches are not enough.
FEW_KEYS = 2_000
MANY_KEYS = 50_000
LOOKED_AT = 5  # matches for each that is ranked

Keys = Callable[[int], Sequence[int] | None]
"""The keys of a filter's rows, in order, if there are no more than so many."""

Ranked = tuple[int, int]
"""A score, the smaller the better, and the row's key."""


@dataclass(frozen=True, slots=True)
class TextIndex:
    """An FTS5 table. `texts` selects the key and the columns of the rows whose keys it is given as a JSON array."""

    name: str
    columns: str
    weights: str
    texts: str
    ranked: int
    """How many matches are ranked, the newest ones: a word that is everywhere stays cheap."""


TICKETS = TextIndex(
    "tickets_text",
    "title, description, resolution",
    "4.0, 1.0, 1.0",
    "SELECT number, title, description, resolution FROM tickets WHERE number IN (SELECT value FROM json_each(?))",
    1_000,
)
_COMMENT_TEXTS = "SELECT seq, body FROM comments WHERE seq IN (SELECT value FROM json_each(?))"
COMMENTS = TextIndex("comments_text", "body", "1.0", _COMMENT_TEXTS, 500)
NOTES = TextIndex("notes_text", "body", "1.0", _COMMENT_TEXTS, 500)


def best(
    connection: sqlite3.Connection, index: TextIndex, match: str, keys_of: Keys | None, test: Clause
) -> list[Ranked]:
    """The matches that are ranked, the best first, and newer ones first where equal.

    `test`, SQL about `rowid`, must hold for each. `keys_of` gives the keys of the only rows for which it does, where
    they are few: a wide filter lets enough of the newest matches through, and collecting all of its rows costs more.
    """
    keys = keys_of(FEW_KEYS) if keys_of else None
    if keys_of and keys is None:
        newest = _among_newest(connection, index, match, test)
        if newest is not None:
            return _in_order(newest)
        keys = keys_of(MANY_KEYS)
    few = keys is not None and _are_few(connection, index, match, keys)
    found = _among_few(connection, index, match, keys) if keys is not None and few else None
    if found is None:
        within = _within(keys) if keys is not None else test
        found = _ranked(
            connection,
            f"SELECT CAST(rank * 1e9 AS INTEGER) AS score, rowid AS key FROM {index.name} "
            f"WHERE {index.name} MATCH ? AND {within.sql} ORDER BY rowid DESC LIMIT {index.ranked}",
            (match, *within.parameters),
        )
    return _in_order(found)


def _among_newest(connection: sqlite3.Connection, index: TextIndex, match: str, test: Clause) -> list[Ranked] | None:
    """All that are ranked, if they are among the newest matches; None where they may reach further back."""
    matches = f"FROM {index.name} WHERE {index.name} MATCH ?"
    last = connection.execute(
        f"SELECT rowid {matches} ORDER BY rowid DESC LIMIT 1 OFFSET {LOOKED_AT * index.ranked}", (match,)
    ).fetchone()
    found = _ranked(
        connection,
        f"SELECT CAST(rank * 1e9 AS INTEGER) AS score, rowid AS key {matches} AND rowid > ? AND {test.sql} "
        f"ORDER BY rowid DESC LIMIT {index.ranked}",
        (match, last[0] if last else -1, *test.parameters),
    )
    return found if last is None or len(found) == index.ranked else None


def _ranked(connection: sqlite3.Connection, sql: str, parameters: Sequence[object]) -> list[Ranked]:
    # As one value: a statement of many rows asks for Python's lock once a row, and each time waits for whoever has it.
    (text,) = connection.execute(f"SELECT json_group_array(json_array(score, key)) FROM ({sql})", parameters).fetchone()
    return [(score, key) for score, key in json.loads(text)]


def _in_order(found: Sequence[Ranked]) -> list[Ranked]:
    return sorted(found, key=lambda ranked: (ranked[0], -ranked[1]))


def matching(connection: sqlite3.Connection, index: TextIndex, match: str, keys: Sequence[int]) -> list[int]:
    """Those of `keys`, which are in order, whose text matches."""
    few = _among_few(connection, index, match, keys) if _are_few(connection, index, match, keys) else None
    if few is not None:
        return [key for _, key in few]
    within = _within(keys)
    sql = f"SELECT json_group_array(rowid) FROM {index.name} WHERE {index.name} MATCH ? AND {within.sql}"
    found: list[int] = json.loads(connection.execute(sql, (match, *within.parameters)).fetchone()[0])
    return found


def count(connection: sqlite3.Connection, index: TextIndex, match: str, most: int) -> int:
    """How many rows match, counted no further than `most`."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {index.name} WHERE {index.name} MATCH ? LIMIT {most})"
    (found,) = connection.execute(sql, (match,)).fetchone()
    return int(found)


def _are_few(connection: sqlite3.Connection, index: TextIndex, match: str, keys: Sequence[int]) -> bool:
    if len(keys) <= FEW:
        return True
    return len(keys) <= FEW_OF_MANY and count(connection, index, match, MANY) == MANY


def _within(keys: Sequence[int]) -> Clause:
    # The plus keeps FTS5 from seeking each key by itself, which costs more than passing by those in between.
    condition = "rowid BETWEEN ? AND ? AND +rowid IN (SELECT value FROM json_each(?))"
    return Clause(condition, (keys[0], keys[-1], json.dumps(keys)))


def _among_few(
    connection: sqlite3.Connection, index: TextIndex, match: str, keys: Sequence[int]
) -> list[Ranked] | None:
    """The matches among a few rows, ranked by how special a word is among these; None where they say too much."""
    rows = connection.execute(index.texts, (json.dumps(keys),)).fetchall()
    if sum(len(text or "") for _, *texts in rows for text in texts) > MOST_FOLDED:
        return None
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as few:
        few.execute(f"CREATE VIRTUAL TABLE few USING fts5 ({index.columns}, content = '', {_TOKENIZE})")
        few.execute("BEGIN")
        marks = ", ".join("?" * (index.columns.count(",") + 2))
        folded = ((key, *map(fold_for_search, texts)) for key, *texts in rows)
        few.executemany(f"INSERT INTO few (rowid, {index.columns}) VALUES ({marks})", folded)
        few.execute("COMMIT")
        score = f"CAST(bm25(few, {index.weights}) * 1e9 AS INTEGER)"
        return few.execute(f"SELECT {score}, rowid FROM few WHERE few MATCH ?", (match,)).fetchall()
