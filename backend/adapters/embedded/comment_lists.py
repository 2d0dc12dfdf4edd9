"""Search in comments, on tickets that a filter lets through."""

import json
import sqlite3

from backend.adapters.embedded import ranking, search
from backend.adapters.embedded.sqlite import one_moment
from backend.adapters.embedded.ticket_filters import Clause, all_of, clauses, numbers
from backend.adapters.embedded.ticket_lists import page_of
from backend.domain.pages import CommentQuery, PageBudget
from backend.domain.tickets import Comment, FoundComment
from backend.domain.values import Page, seal_cursor

# Of so many tickets the comments are gathered first; of more, each match is held against its ticket.
FEW_TICKETS = 30_000


def search_comments(connection: sqlite3.Connection, query: CommentQuery) -> Page[FoundComment]:
    """The best matches first, newer ones first where equal."""
    if not search.positive(query.terms) or query.where.deleted:
        return Page([])
    index = ranking.NOTES if query.internal else ranking.COMMENTS
    with one_moment(connection):
        found = clauses(query.where, query.at)

        def keys_of(most: int) -> list[int] | None:
            tickets = numbers(connection, found, min(most, FEW_TICKETS))
            return None if tickets is None else _comments_of(connection, tickets, query.internal)

        sql, parameters = all_of(found)
        test = (
            f"EXISTS (SELECT 1 FROM comments c JOIN tickets t ON t.id = c.ticket_id "
            f"WHERE c.seq = {index.name}.rowid AND {sql})"
        )
        matches = ranking.best(connection, index, search.expression(query.terms), keys_of, Clause(test, parameters))
        ranked, more = page_of(matches, query.fingerprint, query.cursor, query.limit)
        comments, fitting = _load(connection, [key for _, key in ranked])
        ranked, more = ranked[:fitting], more or fitting < len(ranked)
    return Page(comments, seal_cursor(query.fingerprint, ranked[-1]) if more else None)


def _comments_of(connection: sqlite3.Connection, tickets: list[int], internal: bool) -> list[int]:
    (text,) = connection.execute(
        "SELECT json_group_array(c.seq) FROM (SELECT value AS number FROM json_each(?)) few "
        "CROSS JOIN tickets t ON t.number = few.number "
        "CROSS JOIN comments c ON c.ticket_id = t.id WHERE c.internal = ?",
        (json.dumps(tickets), internal),
    ).fetchone()
    return sorted(json.loads(text))


def _load(connection: sqlite3.Connection, keys: list[int]) -> tuple[list[FoundComment], int]:
    """Those of the comments that fit on a page, in this order, and how many that is, with those that are gone."""
    rows = connection.execute(
        "SELECT c.seq, c.id, c.ticket_id, c.author, c.body, c.internal, c.created_at, t.number, t.title "
        "FROM (SELECT value AS seq FROM json_each(?)) few CROSS JOIN comments c ON c.seq = few.seq "
        "CROSS JOIN tickets t ON t.id = c.ticket_id",
        (json.dumps(keys),),
    )
    comments: dict[int, FoundComment] = {}
    budget = PageBudget()
    for seq, id_, ticket_id, author, body, internal, created_at, number, title in rows:
        comment = Comment(id_, ticket_id, author, body, bool(internal), created_at)
        if not budget.takes(body):
            fitting = keys.index(seq)
            return [comments[key] for key in keys[:fitting] if key in comments], fitting
        comments[seq] = FoundComment(comment, number, title)
    return [comments[key] for key in keys if key in comments], len(keys)
