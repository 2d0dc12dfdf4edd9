"""Whole tickets out of the table and back in."""

import heapq
from collections.abc import Sequence
from itertools import islice

from backend.adapters.aws.events import A_BLOCK, Events, block_key
from backend.adapters.aws.labels import DynamoLabels
from backend.adapters.aws.table import ABSENT, Cancelled, Item, Key, Table, put
from backend.adapters.aws.ticket_items import (
    LIVE,
    TRASH,
    attachment_item,
    attachment_of,
    comment_item,
    comment_of,
    comment_postings,
    event_item,
    event_of,
    hints,
    ticket_item,
    ticket_key,
    ticket_of,
)
from backend.domain.exports import Outcome, Whole, compared
from backend.domain.labels import names_of, spellings
from backend.errors import Unavailable

_MOST_TRIES = 10


class Transfers:
    """What `dump`, `dump_these` and `load` are made of."""

    def __init__(self, table: Table, events: Events) -> None:
        self._table = table
        self._events = events
        self._labels = DynamoLabels(table)

    def propose(self, after: int, limit: int) -> list[str]:
        """The ids of the tickets past a number, from the list and from the trash."""
        low = f"{after + 1:015d}"
        lists = [self._table.query(live, index="number", low=low, limit=limit)[0] for live in (LIVE, TRASH)]
        proposed = heapq.merge(*([(item["by_number"], item["pk"][2:]) for item in items] for items in lists))
        return list(dict.fromkeys(ticket_id for _, ticket_id in islice(proposed, limit)))

    def find(self, ticket_id: str) -> Whole | None:
        """A ticket with everything. A query is no single moment, so it is asked until it says the same twice."""
        before = self._items(ticket_id)
        if not before:
            return None
        for _ in range(_MOST_TRIES):
            again = self._items(ticket_id)
            if again == before:
                return self._whole(again)
            before = again
        raise Unavailable(f"The ticket {ticket_id} changes all the time; try again.")

    def _items(self, ticket_id: str) -> list[Item]:
        return [item for item in self._table.query_all(f"T#{ticket_id}", "") if not item["sk"].startswith("L#")]

    def _whole(self, items: Sequence[Item]) -> Whole | None:
        tickets = [ticket_of(item) for item in items if item["sk"] == "T"]
        if not tickets:
            return None
        lines = self._events.only_committed([item for item in items if item["sk"].startswith("H#")])
        return Whole(
            tickets[0],
            tuple(comment_of(item) for item in items if item["sk"].startswith("C#")),
            tuple(attachment_of(item) for item in items if item["sk"].startswith("A#")),
            tuple(event_of(line) for line in lines),
        )

    def load(self, whole: Whole) -> Outcome:
        """Write a ticket with everything, whose number is reserved. What hangs on it comes first: without the ticket
        nobody finds it."""
        stored = self.find(whole.ticket.id)
        outcome = compared(stored, whole)
        if outcome not in (Outcome.ADDED, Outcome.FORWARDED):
            return outcome
        if stored is None and self._number_taken(whole.ticket.number):
            return Outcome.OTHER
        self._labels.know(spellings(names_of(whole.ticket)))
        events = whole.history[len(stored.history) if stored else 0 :]
        blocks = -(-len(events) // A_BLOCK)
        _, first = self._table.take(0, blocks)
        old = hints(stored.ticket) if stored else {}
        new = hints(whole.ticket)
        lines = [event_item(event, first * A_BLOCK + n, provisional=True) for n, event in enumerate(events)]
        items = [*map(comment_item, whole.comments), *map(attachment_item, whole.attachments), *lines, *new.values()]
        items += [one for comment in whole.comments for one in comment_postings(comment)]
        self._table.put_many(items)
        named = [put(self._block(first + n, events, n), ABSENT) for n in range(blocks)]
        condition = "version = :version" if stored else ABSENT
        bound = {"version": stored.ticket.version} if stored else {}
        try:
            self._table.transact([put(ticket_item(whole.ticket), condition, **bound), *named])
        except Cancelled:
            return Outcome.OTHER
        self._forget(stored, whole, [key for key in old if key not in new])
        return outcome

    def _block(self, block: int, events: Sequence[object], n: int) -> Item:
        pk, sk = block_key(block)
        part = events[n * A_BLOCK : (n + 1) * A_BLOCK]
        return {"pk": pk, "sk": sk, "tickets": " ".join(getattr(event, "ticket_id", "") for event in part)}

    def _forget(self, stored: Whole | None, whole: Whole, hinted: Sequence[Key]) -> None:
        """What the earlier state had and the later one has not."""
        gone = list(hinted)
        if stored:
            kept = {f"C#{one.id}" for one in whole.comments} | {f"A#{one.id}" for one in whole.attachments}
            had = [f"C#{one.id}" for one in stored.comments] + [f"A#{one.id}" for one in stored.attachments]
            gone += [(ticket_key(whole.ticket.id)[0], sk) for sk in had if sk not in kept]
        self._table.delete_many(gone)

    def _number_taken(self, number: int) -> bool:
        key = f"{number:015d}"
        return any(self._table.query(live, index="number", low=key, high=key)[0] for live in (LIVE, TRASH))
