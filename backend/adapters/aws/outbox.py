"""Messages for webhooks, and how far the events have been made into them, in the table.

A message lies in its webhook's partition under its id. Two indexes, keys only, propose what to look at; the message
itself, changed on condition of what it is, decides: `due` has the pending ones by webhook and moment, so that one
query finds who has something due, and nothing where nobody has; `label` has all of them by state, webhook and id.

Position and messages move in one transaction. Where they are too many or too large for one, the messages are written
ahead, where nobody looks; the position then moves and names them in one write, and whoever reads the position next
makes them messages, should the one that moved it be killed before it did.
"""

import asyncio
import logging
import random
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

from backend.adapters.aws import receipts
from backend.adapters.aws import table as limits
from backend.adapters.aws.catalogue import commit
from backend.adapters.aws.clients import told
from backend.adapters.aws.layout import TTL
from backend.adapters.aws.table import ABSENT, PRESENT, Cancelled, Item, Key, Table, key_of, pack, put
from backend.domain.exports import Outcome
from backend.domain.moves import compared_delivery
from backend.domain.once import Once
from backend.domain.values import Instant, Page, fingerprint, is_id, new_id, open_cursor, seal_cursor
from backend.domain.webhooks import Delivery, State
from backend.errors import InvalidCursor, RecordNotFound

POSITION: Key = ("OUTBOX", "OUTBOX")
KEPT_SECONDS = 40 * 86_400
"""Time to live of a message; `forget` comes by long before, but of a table that nobody serves."""

_MESSAGES = "MESSAGES"  # their partition in both indexes
_MOST_BYTES = 3_500_000  # of a transaction, which holds 4 MB
_END = "\U0010ffff"
_A_LOOK = 30  # entries of `due` in one call
_SPARE = 8  # candidates beside those asked for, should others be faster
_LOOKS = 3
_MOST_CALLS = 10  # for a page of messages
_FORGOTTEN_AT_ONCE = 1_000
_COUNTED_AGAIN = 20  # times what counting took: so it takes a twentieth of the time at most
_PENDING = "attribute_exists(live)"
_SETTLED = f"{PRESENT} AND attribute_not_exists(live)"

logger = logging.getLogger("backend.dynamodb")


class DynamoOutbox:
    """The port `Outbox` on a table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counted: dict[State, tuple[float, int]] = {}

    # ---- Position and messages -------------------------------------------------------------------------------------

    async def position(self) -> int:
        """See ports.Outbox. Also finishes what somebody who was killed left unfinished."""

        def work() -> int:
            mark = self._mark()
            if "unfinished" in mark:
                self._finish(mark)
            return int(mark.get("reached", 0))

        return await self._table.cloud.run(work)

    async def fan_out(self, before: int, position: int, deliveries: Sequence[Delivery]) -> bool:
        """See ports.Outbox."""

        def work() -> bool:
            items = [_item(delivery) for delivery in deliveries]
            size = sum(len(item["body"]) + 1_000 for item in items)
            if len(items) < limits.MOST_ACTIONS and size <= _MOST_BYTES:
                return self._together(before, position, items)
            return self._ahead(before, position, items)

        return await self._table.cloud.run(work)

    def _together(self, before: int, position: int, items: Sequence[Item]) -> bool:
        moved = put(_at(position), _still(before), before=before)
        try:
            self._table.transact([moved, *map(put, items)])
        except Cancelled:
            return False
        return True

    def _ahead(self, before: int, position: int, items: Sequence[Item]) -> bool:
        batch = new_id()
        ahead = [{**_hidden(item), "pk": f"AHEAD#{batch}"} for item in items]
        self._table.put_many(ahead)
        mark = {**_at(position), "unfinished": batch}
        moved = self._table.put_if(mark, _still(before), before=before)
        if not moved and self._mark().get("unfinished") != batch:  # else it was sent twice, and the first one counted
            self._table.delete_many(map(key_of, ahead))
            return False
        self._finish(mark)
        return True

    def _finish(self, mark: Item) -> None:
        """Make messages of what was written ahead. Several may do it at once: each message appears once."""
        ahead = list(self._table.query_all(f"AHEAD#{mark['unfinished']}", ""))
        for item in ahead:
            self._table.put_if(_item(_delivery(item)), ABSENT)
        self._table.put_if(_at(mark["reached"]), "unfinished = :batch", batch=mark["unfinished"])
        self._table.delete_many(map(key_of, ahead))

    def _mark(self) -> Item:
        return self._table.get(POSITION) or {}

    async def add(self, delivery: Delivery, once: Once | None = None) -> Delivery:
        """See ports.Outbox."""

        def work() -> Delivery:
            receipts.refuse_repeat(self._table, once)
            commit(self._table, [put(_item(delivery))], None, once, delivery)
            return delivery

        return await self._table.cloud.run(work)

    # ---- Sending ---------------------------------------------------------------------------------------------------

    async def due(self, webhook_ids: Sequence[str], at: Instant) -> Sequence[str]:
        """See ports.Outbox. One call where little waits, at most one for each webhook that has something pending."""
        wanted = set(webhook_ids)
        firsts = await self._table.cloud.run(lambda: list(self._firsts("due", "")))
        return [webhook_id for webhook_id, first in firsts if webhook_id in wanted and _due_at(first) <= at]

    async def first_due(self) -> Instant | None:
        """See ports.Outbox."""
        firsts = await self._table.cloud.read(lambda: list(self._firsts("due", "")))
        return min((_due_at(first) for _, first in firsts), default=None)

    async def claim(self, room: Mapping[str, int], at: Instant, until: Instant) -> Sequence[Delivery]:
        """See ports.Outbox. Trouble with one webhook keeps nothing from those whose messages are claimed already."""
        claimed: list[Delivery] = []
        works = [partial(self._claim, one, limit, at, until, claimed) for one, limit in room.items()]
        done = await asyncio.gather(*map(self._table.cloud.run, works), return_exceptions=True)
        problems = [problem for problem in done if isinstance(problem, BaseException)]
        if problems and not claimed:
            raise problems[0]
        for problem in problems:
            logger.warning("some messages could not be claimed: %s", problem)
        return sorted(claimed, key=lambda delivery: delivery.id)

    def _claim(self, webhook_id: str, limit: int, at: Instant, until: Instant, claimed: list[Delivery]) -> None:
        """Move up to `limit` due messages of one webhook to `until`; somebody else may be faster with each."""
        left, start = limit, None
        for _ in range(_LOOKS):
            keys, start = self._table.query(
                _MESSAGES,
                index="due",
                low=f"{webhook_id} ",
                high=f"{webhook_id} {at}",
                limit=limit + _SPARE,
                start=start,
            )
            random.shuffle(keys)  # several processes shall not begin with the same one
            for key in keys:
                if left == 0:
                    return
                moved = {"due_at": until, "by_due": f"{webhook_id} {until}"}
                still_due = f"{_PENDING} AND due_at <= :at"
                item = self._table.update_if(key_of(key), moved, still_due, count="attempts", at=at)
                if item:
                    claimed.append(_delivery(item))
                    left -= 1
            if start is None:
                return

    async def settle(self, delivery: Delivery) -> bool:
        """See ports.Outbox."""
        condition = f"{_PENDING} AND attempts = :attempts"
        return await self._table.cloud.run(
            lambda: self._table.put_if(_item(delivery), condition, attempts=delivery.attempts)
        )

    # ---- Looking ---------------------------------------------------------------------------------------------------

    async def list_deliveries(
        self, webhook_id: str, state: State | None, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        """See ports.Outbox."""
        query = fingerprint("deliveries", webhook_id, state)
        (before,) = open_cursor(query, cursor, str) if cursor else ("~",)
        if cursor and not is_id(before):
            raise InvalidCursor
        pages = self._newest(webhook_id, before, limit) if state is None else self._of(state, webhook_id, before, limit)

        def work() -> Page[Delivery]:
            found: list[Delivery] = []
            ended = ""
            for page, ended_at in pages:
                found, ended = found + page, ended_at
                if len(found) > limit:
                    return Page(found[:limit], seal_cursor(query, [found[limit - 1].id]))
            return Page(found, seal_cursor(query, [ended]) if ended else None)

        return await self._table.cloud.read(work)

    def _newest(self, webhook_id: str, before: str, limit: int) -> Iterator[tuple[list[Delivery], str]]:
        """Messages of a webhook older than `before`, newest first, and where each call ended: empty at the end."""
        start = None
        for _ in range(_MOST_CALLS):
            items, start = self._table.query(
                f"D#{webhook_id}", high=before, forward=False, limit=limit + 2, start=start
            )
            yield [_delivery(item) for item in items if item["sk"] < before], start["sk"]["S"] if start else ""
            if start is None:
                return

    def _of(self, state: State, webhook_id: str, before: str, limit: int) -> Iterator[tuple[list[Delivery], str]]:
        """The same of one state."""
        prefix, start = f"{state} {webhook_id} ", None
        for _ in range(_MOST_CALLS):
            keys, start = self._table.query(
                _MESSAGES,
                index="label",
                low=prefix,
                high=prefix + before,
                forward=False,
                limit=limit + 2,
                start=start,
            )
            found = self._read([key_of(key) for key in keys if key["sk"] < before])
            yield [one for one in found if one.state is state], start["sk"]["S"] if start else ""
            if start is None:
                return

    async def counts(self) -> Mapping[State, int]:
        """See ports.Outbox. Where there are many, of a while ago: counting reads an entry for each."""

        def work() -> dict[State, int]:
            counts = {state: self._count(state) for state in State}
            return {state: count for state, count in counts.items() if count}

        return await self._table.cloud.read(work)

    def _count(self, state: State) -> int:
        began = time.monotonic()
        good_until, count = self._counted.get(state, (0.0, 0))
        if began < good_until:
            return count
        count, start = 0, None
        while True:
            with told(self._table.what):
                answer = self._table.client.query(
                    TableName=self._table.name,
                    IndexName="label",
                    Select="COUNT",
                    KeyConditionExpression="in_label = :p AND begins_with(by_created, :state)",
                    ExpressionAttributeValues=pack({":p": _MESSAGES, ":state": f"{state} "}),
                    **({"ExclusiveStartKey": start} if start else {}),
                )
            count, start = count + int(answer["Count"]), answer.get("LastEvaluatedKey")
            if start is None:
                break
        ended = time.monotonic()
        self._counted[state] = (ended + _COUNTED_AGAIN * (ended - began), count)
        return count

    # ---- Again, and no more ----------------------------------------------------------------------------------------

    async def replay(self, webhook_id: str, delivery_id: str, at: Instant, once: Once | None = None) -> Delivery:
        """See ports.Outbox."""

        def work() -> Delivery:
            receipts.refuse_repeat(self._table, once)
            item = self._table.get((f"D#{webhook_id}", delivery_id))
            delivery = _again(_delivery(item), at) if item else None
            if delivery is None or not commit(self._table, [put(_item(delivery), PRESENT)], None, once, delivery):
                raise RecordNotFound("delivery", delivery_id)
            return delivery

        return await self._table.cloud.run(work)

    async def replay_dead(self, webhook_id: str, at: Instant, once: Once | None = None) -> int:
        """See ports.Outbox. One by one, then the receipt: cut off, the same request goes on with those still dead."""

        def work() -> int:
            receipts.refuse_repeat(self._table, once)
            dead = [key for keys in self._keys(State.DEAD, webhook_id) for key in keys]
            done = 0
            for start in range(0, len(dead), 100):
                for one in self._read(dead[start : start + 100]):
                    if one.state is State.DEAD:
                        done += self._table.put_if(_item(_again(one, at)), _SETTLED)
            if once:
                commit(self._table, [], None, once, done)
            return done

        return await self._table.cloud.run(work)

    async def forget(self, delivered: Instant, others: Instant, orphans: Instant, webhook_ids: Sequence[str]) -> int:
        """See ports.Outbox."""
        ends = {State.DELIVERED: delivered, State.DEAD: others, State.PENDING: others}

        def work() -> int:
            count = 0
            for state, end in ends.items():
                for webhook_id, _ in list(self._firsts("label", f"{state} ")):
                    count += self._forget(state, webhook_id, end, "" if webhook_id in webhook_ids else orphans)
                    if count >= _FORGOTTEN_AT_ONCE:
                        return count
            return count

        return await self._table.cloud.run(work)

    def _forget(self, state: State, webhook_id: str, end: Instant, orphans: Instant) -> int:
        """Oldest first, until a page ends with one that was made after both moments: those behind are younger still."""
        condition = _PENDING if state is State.PENDING else _SETTLED
        count = 0
        for keys in self._keys(state, webhook_id):
            found = self._read(keys)
            for one in found:
                moment = one.created_at if state is State.PENDING else one.settled_at
                old = one.created_at < orphans or (moment is not None and moment < end)
                if one.state is state and old:
                    count += self._table.delete_if((f"D#{webhook_id}", one.id), condition)
            if count >= _FORGOTTEN_AT_ONCE or (found and found[-1].created_at > max(end, orphans)):
                break
        return count

    async def drop(self, webhook_id: str) -> None:
        """See ports.Outbox."""
        await self._table.cloud.run(
            lambda: self._table.delete_many(map(key_of, self._table.query_all(f"D#{webhook_id}", "")))
        )

    async def load(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """See ports.Outbox."""
        return await self._table.cloud.run(lambda: [self._load(delivery) for delivery in deliveries])

    def _load(self, delivery: Delivery) -> Outcome:
        item = self._table.get((f"D#{delivery.webhook_id}", delivery.id))
        outcome = compared_delivery(_delivery(item) if item else None, delivery)
        if outcome in (Outcome.ADDED, Outcome.FORWARDED):
            self._table.put_many([_item(delivery)])
        return outcome

    # ---- Inside ----------------------------------------------------------------------------------------------------

    def _firsts(self, index: str, prefix: str) -> Iterator[tuple[str, Item]]:
        """Of each webhook in an index the first entry. Whatever is behind that entry is leapt over."""
        low, last = prefix, ""
        while True:
            keys, more = self._table.query(_MESSAGES, index=index, low=low or None, high=prefix + _END, limit=_A_LOOK)
            for key in keys:
                if key["pk"][2:] != last:
                    last = key["pk"][2:]
                    yield last, key
            if more is None:
                return
            low = f"{prefix}{last} {_END}"

    def _keys(self, state: State, webhook_id: str) -> Iterator[list[Key]]:
        """All of one state of one webhook, oldest first, a page at a time."""
        prefix, start = f"{state} {webhook_id} ", None
        while True:
            keys, start = self._table.query(
                _MESSAGES, index="label", low=prefix, high=prefix + _END, limit=100, start=start
            )
            yield [key_of(key) for key in keys]
            if start is None:
                return

    def _read(self, keys: Sequence[Key]) -> list[Delivery]:
        """Those that are there, as they are now, in this order."""
        found = self._table.get_many(keys)
        return [_delivery(found[key]) for key in keys if key in found]


_NAMES = tuple(field.name for field in fields(Delivery))


def _at(position: int) -> Item:
    pk, sk = POSITION
    return {"pk": pk, "sk": sk, "reached": position}


def _still(before: int) -> str:
    """The condition that the position is `before`, and nothing unfinished."""
    there = "reached = :before" if before else f"({ABSENT} OR reached = :before)"
    return f"{there} AND attribute_not_exists(unfinished)"


def _item(delivery: Delivery) -> Item:
    """The message as the table has it; its text packed, since that is most of it and JSON shrinks well."""
    pending = delivery.state is State.PENDING
    return {
        **{name: getattr(delivery, name) for name in _NAMES},
        "pk": f"D#{delivery.webhook_id}",
        "sk": delivery.id,
        "body": zlib.compress(delivery.body.encode()),
        "live": _MESSAGES if pending else None,
        "by_due": f"{delivery.webhook_id} {delivery.due_at}" if pending else None,
        "in_label": _MESSAGES,
        "by_created": f"{delivery.state} {delivery.webhook_id} {delivery.id}",
        TTL: int(time.time()) + KEPT_SECONDS,
    }


def _hidden(item: Item) -> Item:
    """The same without what indexes show."""
    return {name: value for name, value in item.items() if name not in ("live", "by_due", "in_label", "by_created")}


def _delivery(item: Mapping[str, Any]) -> Delivery:
    values: dict[str, Any] = {name: item.get(name) for name in _NAMES}
    body = zlib.decompress(item["body"]).decode()
    return Delivery(**{**values, "state": State(item["state"]), "body": body})


def _again(delivery: Delivery, at: Instant) -> Delivery:
    return replace(delivery, state=State.PENDING, attempts=0, due_at=at, settled_at=None)


def _due_at(entry: Item) -> Instant:
    due_at: Instant = entry["by_due"].rpartition(" ")[2]
    return due_at
