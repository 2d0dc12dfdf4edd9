"""What goes back to a ticket that is split off: its comments and files lie under another key then.

As many as one transaction holds move together with the split. More of them move ahead of it in transactions of their
own, on condition that the tickets are as they were: each is in one place at any moment, on the merged ticket or on the
one that goes on, whose threads belong together until the split. What a process that dies leaves there is where it
belongs, and the next try moves the rest.
"""

from collections.abc import Iterator, Mapping

from backend.adapters.aws import table as limits
from backend.adapters.aws.events import Lost, Plan
from backend.adapters.aws.table import PRESENT, Action, Cancelled, Item, Key, Table, check, delete, key_of, put
from backend.adapters.aws.ticket_items import (
    attachment_item,
    attachment_of,
    comment_item,
    comment_of,
    comment_postings,
    returned_postings,
    ticket_key,
)
from backend.domain.attachments import Attachment
from backend.domain.takes import Return, Spoken, Taken, with_moves_told
from backend.domain.tickets import Comment, Ticket

_CHECKS = 2  # of the tickets, in a transaction of moves


class Returning:
    """The moves of one write, over all its tries."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ahead: dict[Return, Spoken] = {}
        self._waiting: dict[Return, Spoken] = {}

    def told(self, taken: Taken) -> Taken:
        """What was taken, with lines of history that say what moves."""
        self._waiting = {one: self._spoken(one) for one in taken.returns}
        return with_moves_told(
            taken, {one: self._ahead.get(one, Spoken()).with_more(items) for one, items in self._waiting.items()}
        )

    def _spoken(self, one: Return) -> Spoken:
        pk = f"T#{one.source}"
        comments = [comment_of(item) for item in self._table.query_all(pk, "C#") if item.get("via") in one.via]
        files = [attachment_of(item) for item in self._table.query_all(pk, "A#") if item.get("via") in one.via]
        return Spoken(comments, files)

    def move(self, plan: Plan, stored: Mapping[str, Ticket]) -> None:
        """Plan the moves that fit beside what is planned, and make the others now. Raises Lost."""
        moves = [(one, items) for one, all_ in self._waiting.items() for items in _parts(all_)]
        sizes = [2 * (len(items.comments) + len(items.attachments)) for _, items in moves]
        planned = len(plan.truth) + len(plan.events) + len(plan.receipt) + 1  # the block
        while moves and sum(sizes) + planned > limits.MOST_ACTIONS:
            self._move_ahead(*moves.pop(0), stored)
            sizes.pop(0)
        for one, items in moves:
            plan.truth += _actions(one, items)
            for comment in items.comments:
                add, remove = _postings(one, comment)
                plan.add += add
                plan.remove += remove
        plan.version = max([plan.version, *(ticket.version for ticket in stored.values())])

    def _move_ahead(self, one: Return, items: Spoken, stored: Mapping[str, Ticket]) -> None:
        unchanged = [
            check(ticket_key(ticket_id), "version = :version", version=stored[ticket_id].version)
            for ticket_id in (one.source, one.target)
        ]
        postings = [_postings(one, comment) for comment in items.comments]
        self._table.put_many([item for add, _ in postings for item in add])
        try:
            self._table.transact([*unchanged, *_actions(one, items)])
        except Cancelled:
            raise Lost([]) from None
        self._ahead[one] = self._ahead.get(one, Spoken()).with_more(items)
        self._table.delete_many([key for _, remove in postings for key in remove])


def _parts(spoken: Spoken) -> Iterator[Spoken]:
    """As many at a time, of either kind, as one transaction moves: each takes two actions."""
    both: list[Comment | Attachment] = [*spoken.comments, *spoken.attachments]
    together = (limits.MOST_ACTIONS - _CHECKS) // 2
    for start in range(0, len(both), together):
        part = both[start : start + together]
        yield Spoken(
            [one for one in part if isinstance(one, Comment)], [one for one in part if isinstance(one, Attachment)]
        )


def _actions(one: Return, items: Spoken) -> list[Action]:
    pairs: list[tuple[Item, Item]] = [
        *((comment_item(comment), comment_item(one.comment_at_target(comment))) for comment in items.comments),
        *((attachment_item(file), attachment_item(one.file_at_target(file))) for file in items.attachments),
    ]
    return [action for old, new in pairs for action in (delete(key_of(old), PRESENT), put(new))]


def _postings(one: Return, comment: Comment) -> tuple[list[Item], list[Key]]:
    """Those of the comment at its target, and the keys of those at its source."""
    new = returned_postings(one.comment_at_target(comment))
    old = [*comment_postings(comment), *returned_postings(comment)]
    return new, [key_of(item) for item in old]
