"""Bring the items of an older version into this version's form.

Every version reads what earlier ones wrote; but words that are folded in a new way, or addresses in a new normal form,
are found only once the items that propose them are written again. `aws-setup` does that: it goes through all tickets
by number and writes each as `domain/upgrades.py` says. How far it has come is kept in the table, so it goes on where
it was stopped, and two at once only do the same work twice.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from backend.adapters.aws.events import Events
from backend.adapters.aws.labels import DynamoLabels
from backend.adapters.aws.table import PRESENT, Cancelled, Item, Key, Table, key_of, pack, put
from backend.adapters.aws.ticket_items import (
    attachment_item,
    comment_item,
    comment_postings,
    event_item,
    hints,
    outdated_words,
    position_of,
    ticket_item,
    ticket_key,
    ticket_of,
)
from backend.adapters.aws.transfers import Transfers
from backend.domain.addresses import normal
from backend.domain.exports import Whole
from backend.domain.labels import LabelKind, names_of, respelled, spellings
from backend.domain.tickets import LinkKind, Participant
from backend.domain.upgrades import upgrade
from backend.errors import Unavailable

LAYOUT = 2
"""The form of the items that this version writes. 2: text is folded for search, addresses and labels compare by their
normal form, files belong to comments."""

LAYOUT_KEY: Key = ("LAYOUT", "LAYOUT")
_A_STEP = 50  # tickets between two notes of how far it has come
_MOST_TRIES = 20

Report = Callable[[str], None]


class Upgrade:
    """The walk over one table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._transfers = Transfers(table, Events(table))
        self._labels = DynamoLabels(table)

    def is_needed(self) -> bool:
        """Whether items of an older form may lie in the table."""
        mark = self._mark()
        return mark is None or mark["layout"] < LAYOUT

    def mark_new(self) -> None:
        """Say of a table that was just made that nothing in it is older."""
        self._keep(LAYOUT, 0)

    def run(self, report: Report) -> int:
        """Write every ticket in this version's form, and tell how far it has come; how many there were."""
        mark = self._mark()
        number = mark["reached"] if mark and mark["towards"] == LAYOUT else 0
        count = 0
        self._know_records()
        while ids := self._transfers.propose(number, _A_STEP):
            for ticket_id in ids:
                number = max(number, self._upgrade_ticket(ticket_id))
            count += len(ids)
            self._keep(mark["layout"] if mark else 1, number)
            report(f"upgraded {count} tickets, up to #{number}")
        self.mark_new()
        return count

    def _mark(self) -> Item | None:
        return self._table.get(LAYOUT_KEY)

    def _keep(self, layout: int, reached: int) -> None:
        pk, sk = LAYOUT_KEY
        self._table.put_many([{"pk": pk, "sk": sk, "layout": layout, "towards": LAYOUT, "reached": reached}])

    def _know_records(self) -> None:
        """Categories and teams that were set up are spelled as their records say; other labels as the oldest ticket."""
        for kind in (LabelKind.CATEGORY, LabelKind.TEAM):
            names = [json.loads(item["body"])["name"] for item in self._table.query_all(f"CAT#{kind}", "")]
            self._labels.add_all(spellings((kind, name) for name in names))

    def _upgrade_ticket(self, ticket_id: str) -> int:
        """Write one ticket; its number. Whoever changes it meanwhile goes first."""
        for _ in range(_MOST_TRIES):
            items = {key_of(item): item for item in self._table.query_all(f"T#{ticket_id}", "")}
            before = self._transfers.find(ticket_id)
            if before is None:
                return 0
            known = self._labels.add_all(spellings(names_of(before.ticket)))
            spelled = replace(before, ticket=respelled(before.ticket, known))
            after = self._with_participants(upgrade(spelled))
            proposals = hints(after.ticket)
            self._table.put_many(list(proposals.values()))
            self._table.put_many([one for comment in after.comments for one in comment_postings(comment)])
            for item in self._items_under(items, after):
                self._replace(items, item)
            try:
                action = put(ticket_item(after.ticket), "version = :version", version=before.ticket.version)
                self._table.transact([action])
            except Cancelled:
                continue
            labels = {key for key in items if key[1].startswith("L#")}
            self._table.delete_many((labels | outdated_words(before)) - proposals.keys())
            return before.ticket.number
        raise Unavailable(f"The ticket {ticket_id} changes all the time; run this again.")

    def _with_participants(self, whole: Whole) -> Whole:
        """With the requesters of the tickets that were merged into it, which versions before did not write down."""
        found: list[Participant] = []
        waiting = [whole.ticket]
        while waiting:
            merged = [link.ticket_id for link in waiting.pop().links if link.kind is LinkKind.MERGED_FROM]
            children = [ticket_of(item) for item in self._table.get_many(map(ticket_key, merged)).values()]
            found += [Participant(child.id, normal(child.requester)) for child in children]
            waiting += children
        known = {participant.ticket_id for participant in whole.ticket.participants}
        more = [participant for participant in found if participant.ticket_id not in known]
        participants = (*whole.ticket.participants, *more)
        return replace(whole, ticket=whole.ticket._replace(participants=participants)) if more else whole

    def _items_under(self, items: Mapping[Key, Item], whole: Whole) -> Iterator[Item]:
        """The comments, files' records and lines of history as this version writes them."""
        yield from map(comment_item, whole.comments)
        yield from map(attachment_item, whole.attachments)
        lines = {item["id"]: item for (_, sk), item in items.items() if sk.startswith("H#")}
        for event in whole.history:
            if event.id in lines:
                line = lines[event.id]
                yield event_item(event, position_of(line), provisional=bool(line.get("provisional")))

    def _replace(self, items: Mapping[Key, Item], item: Item) -> None:
        """Write an item over its older form, unless it is the same or was removed."""
        stored = items.get(key_of(item))
        if stored is not None and pack(stored) != pack(item):
            self._table.put_if(item, PRESENT)
