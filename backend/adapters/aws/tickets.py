"""Tickets with comments, attachments' records, history and receipts, in one DynamoDB table."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

from backend.adapters.aws import figures, plans, receipts
from backend.adapters.aws.clients import check_at_start
from backend.adapters.aws.comment_lists import CommentLists
from backend.adapters.aws.events import Events, Lost, Plan, ReceiptExists
from backend.adapters.aws.returns import Returning
from backend.adapters.aws.table import ABSENT, PRESENT, Item, Table, check, delete, put
from backend.adapters.aws.ticket_items import (
    attachment_item,
    attachment_of,
    comment_item,
    comment_of,
    comment_postings,
    event_of,
    hints,
    ticket_item,
    ticket_key,
    ticket_of,
)
from backend.adapters.aws.ticket_lists import TicketLists
from backend.adapters.aws.transfers import Transfers
from backend.adapters.aws.upgrade import Upgrade
from backend.domain.attachments import Attachment
from backend.domain.exports import Outcome, Whole
from backend.domain.figures import Figures, Period
from backend.domain.once import AlreadyDone, Once, Receipt
from backend.domain.pages import CommentQuery, PageBudget, TicketQuery
from backend.domain.takes import Take, Taken
from backend.domain.tickets import Comment, Edit, EditMany, Event, FoundComment, Position, Ticket, Written
from backend.domain.values import Page, fingerprint, now, open_cursor, seal_cursor
from backend.errors import AttachmentNotFound, InvalidCursor, RequestError, TicketNotFound, Unavailable

Result = TypeVar("Result")

VARIABLE = "DYNAMODB_TABLE_NAME"
_MOST_TRIES = 20  # of an edit that others come before
_MOST_CALLS = 5  # for a page of what hangs on a ticket
_MOST_PUBLIC_CALLS = 100  # for one without what is internal
_LOCKS = 64

logger = logging.getLogger("backend.dynamodb")


class DynamoTickets:
    """The port `Tickets` on a table."""

    adapter = "dynamodb"
    remote = True

    def __init__(self, table: Table) -> None:
        self.table = table
        self._events = Events(table)
        self._lists = TicketLists(table)
        self._comments = CommentLists(table)
        self._transfers = Transfers(table, self._events)
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def open(self) -> None:
        """Ask the table once."""
        warning = check_at_start(self._probe, VARIABLE)
        if warning:
            logger.warning("%s", warning)
            return
        with suppress(RequestError):
            if Upgrade(self.table).is_needed():
                logger.warning(
                    "%s holds the form of an older version: run `python -m backend aws-setup` once every replica runs "
                    "this version. Until then searches and filters may miss tickets.",
                    self.table.what,
                )

    def close(self) -> None:
        """Let running calls finish."""
        self.table.cloud.close()

    async def probe(self) -> None:
        """Write an item, and read one."""
        await self.table.cloud.hurried().run(self._probe)

    def _probe(self) -> None:
        asked = Table(self.table.cloud.hurried(), self.table.name)
        asked.put_many([{"pk": "PROBE", "sk": "PROBE", "at": now()}])
        asked.get(("PROBE", "PROBE"))

    # ---- Tickets ---------------------------------------------------------------------------------------------------

    async def add(
        self, ticket: Ticket, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Ticket:
        """See ports.Tickets. Two calls: the number and the event's block, then everything."""

        def work() -> Ticket:
            number, block = self.table.take(0 if ticket.number else 1, 1)
            numbered = ticket if ticket.number else ticket._replace(number=number)
            plan = Plan(
                [put(ticket_item(numbered), ABSENT), *(put(attachment_item(one)) for one in attachments)],
                [event],
                receipts.keeping(once, numbered),
                add=list(hints(numbered).values()),
            )
            self._commit(plan, once, block)
            return numbered

        return await self.table.cloud.run(work)

    async def get(self, ticket_id: str) -> Ticket:
        """See ports.Tickets."""
        return await self.table.cloud.run(lambda: self._load(ticket_id))

    async def update(self, ticket_id: str, edit: Edit, once: Once | None = None) -> Ticket:
        """See ports.Tickets."""
        return await self.table.cloud.run(lambda: self._edited(ticket_id, edit, once, lambda after: after))

    async def update_many(
        self, ticket_ids: Sequence[str], edit: EditMany, once: Once | None = None
    ) -> Sequence[Ticket]:
        """See ports.Tickets."""

        def attempt() -> Sequence[Ticket]:
            found = self.table.get_many(map(ticket_key, ticket_ids))
            for ticket_id in ticket_ids:
                if ticket_key(ticket_id) not in found:
                    raise TicketNotFound(ticket_id)
            before = {item["id"]: ticket_of(item) for item in found.values()}
            stored = {ticket_id: before[ticket_id] for ticket_id in ticket_ids}
            written = edit(list(stored.values()))
            after = stored | {ticket.id: ticket for ticket, _ in written}
            result = list(after.values())
            plan = Plan([], [event for _, event in written], receipts.keeping(once, result))
            for ticket in after.values():
                if ticket is not stored[ticket.id]:
                    plans.replace_ticket(plan, stored[ticket.id], ticket)
            self._commit(plan, once)
            return result

        def work() -> Sequence[Ticket]:
            with self._held(ticket_ids):
                return self._until_written(attempt, once)

        return await self.table.cloud.run(work)

    async def take(self, ticket_ids: Sequence[str], decide: Take, once: Once | None = None) -> Taken:
        """See ports.Tickets."""
        returning = Returning(self.table)

        def attempt() -> Taken:
            found = self.table.get_many(map(ticket_key, ticket_ids))
            for ticket_id in ticket_ids:
                if ticket_key(ticket_id) not in found:
                    raise TicketNotFound(ticket_id)
            stored = {ticket_id: ticket_of(found[ticket_key(ticket_id)]) for ticket_id in ticket_ids}
            taken = returning.told(decide(list(stored.values())))
            new = any(ticket.id not in stored for ticket, _ in taken.written)
            number, block = self.table.take(1, 1) if new else (0, None)
            done, plan = plans.taking(stored, taken, number, once)
            returning.move(plan, stored)
            self._commit(plan, once, block)
            return done

        def work() -> Taken:
            with self._held(ticket_ids):
                return self._until_written(attempt, once)

        return await self.table.cloud.run(work)

    async def list_tickets(self, query: TicketQuery) -> Page[Ticket]:
        """See ports.Tickets."""
        return await self.table.cloud.read(lambda: self._lists.page(query), search=bool(query.terms))

    # ---- Comments --------------------------------------------------------------------------------------------------

    async def add_comment(
        self, comment: Comment, edit: Edit, once: Once | None = None, attachments: Sequence[Attachment] = ()
    ) -> Comment:
        """See ports.Tickets."""
        more = [comment_item(comment), *map(attachment_item, attachments)]

        def work() -> Comment:
            self._edited(comment.ticket_id, edit, once, lambda _: comment, more, comment_postings(comment))
            return comment

        return await self.table.cloud.run(work)

    async def list_comments(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Comment]:
        """See ports.Tickets."""
        query = fingerprint("comments", ticket_id, internal)
        (after,) = open_cursor(query, cursor, str) if cursor else ("",)
        if len(after) > 100:
            raise InvalidCursor

        def work() -> Page[Comment]:
            items, more = self._under(ticket_id, "C#", after, internal, limit)
            return Page([comment_of(item) for item in items], more and seal_cursor(query, [more]))

        return await self.table.cloud.read(work)

    async def search_comments(self, query: CommentQuery) -> Page[FoundComment]:
        """See ports.Tickets."""
        return await self.table.cloud.read(lambda: self._comments.page(query), search=True)

    # ---- Attachments -----------------------------------------------------------------------------------------------

    async def add_attachments(
        self, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Sequence[Attachment]:
        """See ports.Tickets."""
        ticket_id = attachments[0].ticket_id

        def work() -> Sequence[Attachment]:
            truth = [check(ticket_key(ticket_id)), *(put(attachment_item(one)) for one in attachments)]
            try:
                self._commit(Plan(truth, [event], receipts.keeping(once, attachments)), once)
            except Lost:
                raise TicketNotFound(ticket_id) from None
            return attachments

        return await self.table.cloud.run(work)

    async def list_attachments(self, ticket_id: str) -> Sequence[Attachment]:
        """See ports.Tickets."""
        return await self.table.cloud.run(
            lambda: [attachment_of(item) for item in self.table.query_all(f"T#{ticket_id}", "A#")]
        )

    async def get_attachment(self, ticket_id: str, attachment_id: str) -> Attachment:
        """See ports.Tickets."""

        def work() -> Attachment:
            item = self.table.get((f"T#{ticket_id}", f"A#{attachment_id}"))
            if item is None:
                raise AttachmentNotFound(attachment_id)
            return attachment_of(item)

        return await self.table.cloud.run(work)

    async def remove_attachment(self, ticket_id: str, attachment_id: str, event: Event) -> None:
        """See ports.Tickets."""

        def work() -> None:
            try:
                self._commit(Plan([delete((f"T#{ticket_id}", f"A#{attachment_id}"), PRESENT)], [event]), None)
            except Lost:
                raise AttachmentNotFound(attachment_id) from None

        await self.table.cloud.run(work)

    # ---- History ---------------------------------------------------------------------------------------------------

    async def list_history(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Event]:
        """See ports.Tickets."""
        query = fingerprint("history", ticket_id, internal)
        (after,) = open_cursor(query, cursor, int) if cursor else (0,)
        if not 0 <= after < 10**18:
            raise InvalidCursor

        def work() -> Page[Event]:
            items, more = self._under(ticket_id, "H#", f"{after:018d}", internal, limit)
            return Page([event_of(item) for item in items], more and seal_cursor(query, [int(more)]))

        return await self.table.cloud.read(work)

    async def list_events(self, after: int, limit: int) -> Sequence[Position]:
        """See ports.Tickets."""
        return await self.table.cloud.read(lambda: self._events.after(after, limit))

    async def last_position(self) -> int:
        """See ports.Tickets."""
        return await self.table.cloud.run(self._events.last_position)

    async def settled_position(self) -> int:
        """See ports.Tickets."""
        return await self._events.settled_position()

    async def wait_for_events(self, after: int, seconds: float) -> None:
        """See ports.Tickets."""
        await self._events.wait(after, seconds)

    async def find_receipt(self, key: str) -> Receipt | None:
        """See ports.Tickets."""
        return await self.table.cloud.run(lambda: receipts.find(self.table, key))

    async def dump_receipts(self, limit: int, cursor: str | None) -> Page[Receipt]:
        """See ports.Tickets."""
        return await self.table.cloud.run(lambda: receipts.dump(self.table, cursor))

    async def load_receipts(self, found: Sequence[Receipt]) -> Sequence[Outcome]:
        """See ports.Tickets."""
        return await self.table.cloud.run(lambda: receipts.load(self.table, found))

    # ---- Many ------------------------------------------------------------------------------------------------------

    async def add_many(self, written: Sequence[Written], once: Once | None = None) -> Sequence[Ticket]:
        """See ports.Tickets."""

        def work() -> Sequence[Ticket]:
            receipts.refuse_repeat(self.table, once)
            number, block = self.table.take(len(written), 1)
            added = [ticket._replace(number=ticket.number or number + n) for n, (ticket, _) in enumerate(written)]
            plan = Plan(
                [put(ticket_item(ticket), ABSENT) for ticket in added],
                [event for _, event in written],
                receipts.keeping(once, added),
                add=[item for ticket in added for item in hints(ticket).values()],
            )
            self._commit(plan, once, block)
            return added

        return await self.table.cloud.run(work)

    async def figures(self, period: Period) -> Figures:
        """See ports.Tickets."""
        return await figures.of(self.table, period)

    async def dump(self, after: int, limit: int) -> Sequence[Whole]:
        """See ports.Tickets."""
        ids = await self.table.cloud.run(lambda: self._transfers.propose(after, limit))
        return await self._wholes(ids)

    async def dump_these(self, ticket_ids: Sequence[str]) -> Sequence[Whole]:
        """See ports.Tickets."""
        return await self._wholes(ticket_ids)

    async def _wholes(self, ticket_ids: Sequence[str]) -> Sequence[Whole]:
        """Several at a time, since each takes calls of its own."""
        found = await asyncio.gather(
            *(self.table.cloud.run(partial(self._transfers.find, one)) for one in dict.fromkeys(ticket_ids))
        )
        return sorted((whole for whole in found if whole), key=lambda whole: whole.ticket.number)

    async def load(self, wholes: Sequence[Whole]) -> Sequence[Outcome]:
        """See ports.Tickets."""
        highest = max(whole.ticket.number for whole in wholes)
        await self.table.cloud.run(lambda: self.table.reserve(highest))
        return await asyncio.gather(*(self.table.cloud.run(partial(self._transfers.load, whole)) for whole in wholes))

    # ---- Inside ----------------------------------------------------------------------------------------------------

    def _load(self, ticket_id: str) -> Ticket:
        item = self.table.get(ticket_key(ticket_id))
        if item is None:
            raise TicketNotFound(ticket_id)
        return ticket_of(item)

    def _edited(
        self,
        ticket_id: str,
        edit: Edit,
        once: Once | None,
        result: Callable[[Ticket], Any],
        more: Sequence[Item] = (),
        add: Sequence[Item] = (),
    ) -> Ticket:
        """Apply an edit to the stored ticket, and write `more` and hints with it."""

        def attempt() -> Ticket:
            before = self._load(ticket_id)
            written = edit(before)
            after = written[0] if written else before
            plan = Plan([], [written[1]] if written else [], receipts.keeping(once, result(after)))
            if written:
                plans.replace_ticket(plan, before, after)
            plan.truth += [put(item) for item in more]
            plan.add += add
            if plan.truth or plan.receipt:
                self._commit(plan, once)
            return after

        with self._held([ticket_id]):
            return self._until_written(attempt, once)

    def _until_written(self, attempt: Callable[[], Result], once: Once | None) -> Result:
        """Read, change, write; again where somebody else's write came between."""
        for _ in range(_MOST_TRIES):
            try:
                return attempt()
            except Lost:
                continue
            except RequestError:
                # What refuses it now may be the effect of the same request, which was faster.
                receipts.refuse_repeat(self.table, once)
                raise
        raise Unavailable("Too many people change this ticket at once; try again.")

    def _commit(self, plan: Plan, once: Once | None, block: int | None = None) -> None:
        try:
            self._events.commit(plan, block)
        except ReceiptExists:
            receipt = receipts.find(self.table, once.key) if once else None
            if receipt is None:
                raise Unavailable("The answer to the first such request is just expiring; try again.") from None
            raise AlreadyDone(receipt) from None

    def _under(
        self, ticket_id: str, kind: str, after: str, internal: bool, limit: int
    ) -> tuple[list[Item], str | None]:
        """A page of a ticket's items of one kind, and after which the next begins."""
        found: list[Item] = []
        budget = PageBudget()
        low, start = f"{kind}{after}!" if after else kind, None
        # A short page would tell a requester that there is something between.
        calls, size = (_MOST_CALLS, limit + 1) if internal else (_MOST_PUBLIC_CALLS, max(limit + 1, 100))
        for _ in range(calls):
            items, start = self.table.query(
                f"T#{ticket_id}", low=low, high=kind + "\U0010ffff", limit=size, start=start
            )
            counted = self._events.only_committed(items) if kind == "H#" else items
            for item in counted if internal else [item for item in counted if not item["internal"]]:
                if len(found) == limit or not budget.takes(item.get("body"), item.get("changes")):
                    return found, found[-1]["sk"][2:]
                found.append(item)
            if start is None:
                return found, None
        return found, start["sk"]["S"][2:] if start else None

    @contextmanager
    def _held(self, ticket_ids: Sequence[str]) -> Iterator[None]:
        """Let this process's writes to one ticket wait for each other rather than lose to each other."""
        with ExitStack() as stack:
            for index in sorted({crc32(ticket_id.encode()) % _LOCKS for ticket_id in ticket_ids}):
                stack.enter_context(self._locks[index])
            yield
