"""Search in comments, on tickets that a filter lets through: the newest matches of all, held against their tickets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backend.adapters.aws import ticket_filters, words
from backend.adapters.aws.postings import COMMENTS, NOTES, Ranking, opened_rank, sealed_rank
from backend.adapters.aws.table import Table
from backend.adapters.aws.ticket_items import comment_of, comment_text, ticket_key, ticket_of
from backend.domain.pages import CommentQuery
from backend.domain.tickets import Comment, FoundComment, Ticket
from backend.domain.values import Page


class _Said(NamedTuple):
    comment: Comment
    ticket: Ticket


class CommentLists:
    """`search_comments`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(self, query: CommentQuery) -> Page[FoundComment]:
        """See ports.Tickets."""
        search = words.wanted(query.terms)
        after = opened_rank(query.fingerprint, query.cursor) if query.cursor else None
        if not search.phrases or query.where.deleted:
            return Page([])
        ranking: Ranking[_Said] = Ranking(
            self._load,
            lambda said: comment_text(said.comment),
            lambda said: ticket_filters.fits(query.where, said.ticket, query.at),
            _order,
            lambda said: len(said.comment.body),
        )
        namespace = NOTES if query.internal else COMMENTS
        found, following = ranking.page(self._table, namespace, search, query.limit, after)
        comments = [
            FoundComment(said.comment, said.ticket.number, said.ticket.title)
            for said in (one.document for one in found)
        ]
        return Page(comments, sealed_rank(query.fingerprint, *following) if following else None)

    def _load(self, documents: Sequence[str]) -> Mapping[str, _Said]:
        pairs = {document: document.split(" ") for document in documents}
        tickets = {ticket_id for ticket_id, _ in pairs.values()}
        keys = [(f"T#{ticket_id}", f"C#{comment_id}") for ticket_id, comment_id in pairs.values()]
        items = self._table.get_many([*keys, *map(ticket_key, tickets)])
        found = {}
        for document, (ticket_id, comment_id) in pairs.items():
            comment, ticket = items.get((f"T#{ticket_id}", f"C#{comment_id}")), items.get(ticket_key(ticket_id))
            if comment and ticket:
                found[document] = _Said(comment_of(comment), ticket_of(ticket))
        return found


def _order(place: str) -> int:
    """Newer ones first where the score is the same: ids are in the order of time."""
    return int.from_bytes(place.split(" ")[1].encode())
