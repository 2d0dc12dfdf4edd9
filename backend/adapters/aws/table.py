"""The calls that the adapters are made of, to the one table that `layout.py` describes."""

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from backend.adapters.aws import long_texts
from backend.adapters.aws.clients import Cloud, code_of, explained, told
from backend.adapters.aws.layout import order, partition
from backend.domain.reading import check_permit
from backend.errors import RequestError, TooLarge, Unavailable

Item = dict[str, Any]
Key = tuple[str, str]

MOST_ACTIONS = 100  # of a transaction

_MOST_READ, _MOST_WRITTEN = 100, 25
_TRIES = 10
_TOO_LARGE = "This is more than one entry of the database can hold."
_OF_TRANSACTIONS = ("TransactionCanceledException", "TransactionInProgressException", "ValidationException")
_PASSING_REASONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "TransactionInProgressException"}
)


def pack(values: Mapping[str, Any]) -> Item:
    """As DynamoDB takes it. None and what is empty are left out: DynamoDB Local refuses the latter."""
    packed: Item = {}
    for name, value in values.items():
        if isinstance(value, bool):
            packed[name] = {"BOOL": value}
        elif isinstance(value, int):
            packed[name] = {"N": str(value)}
        elif isinstance(value, bytes):
            packed |= {name: {"B": value}} if value else {}
        elif value:
            packed[name] = {"S": str(value)}
    return packed


def unpack(item: Mapping[str, Any]) -> Item:
    """The values again."""
    values: Item = {}
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        values[name] = int(value) if kind == "N" else value
    return values


def key_of(item: Mapping[str, Any]) -> Key:
    """The key of an item."""
    return item["pk"], item["sk"]


@dataclass(frozen=True, slots=True)
class Action:
    """One part of a transaction."""

    kind: str
    item: Mapping[str, Any]
    condition: str | None = None
    values: Mapping[str, Any] | None = None

    def packed(self, table: str) -> Item:
        """As TransactWriteItems takes it."""
        body: Item = {"TableName": table}
        if self.kind == "Put":
            body["Item"] = pack(self.item)
        else:
            body["Key"] = pack({"pk": self.item["pk"], "sk": self.item["sk"]})
        if self.condition:
            body["ConditionExpression"] = self.condition
        if self.values:
            body["ExpressionAttributeValues"] = pack(self.values)
        return {self.kind: body}


ABSENT, PRESENT = "attribute_not_exists(pk)", "attribute_exists(pk)"


def put(item: Mapping[str, Any], condition: str | None = None, **values: Any) -> Action:
    """Write an item whole."""
    return Action("Put", item, condition, {f":{name}": value for name, value in values.items()} or None)


def delete(key: Key, condition: str | None = None, **values: Any) -> Action:
    """Remove an item."""
    item = {"pk": key[0], "sk": key[1]}
    return Action("Delete", item, condition, {f":{name}": value for name, value in values.items()} or None)


def check(key: Key, condition: str = PRESENT, **values: Any) -> Action:
    """Go on only if this holds."""
    item = {"pk": key[0], "sk": key[1]}
    return Action("ConditionCheck", item, condition, {f":{name}": value for name, value in values.items()} or None)


class Cancelled(Exception):
    """A condition of a transaction did not hold: for each action, whether it was its own."""

    def __init__(self, failed: Sequence[bool]) -> None:
        super().__init__("a condition did not hold")
        self.failed = failed


@dataclass(slots=True)
class _Claim:
    tickets: int
    blocks: int
    got: tuple[int, int] | None = None
    error: Exception | None = None


class Table:
    """The table with this name. Every method blocks: it runs on a thread of the cloud's pool."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self.what = f"The DynamoDB table {name}"
        self._claims: list[_Claim] = []
        self._claiming = threading.Lock()
        self._turn = threading.Lock()

    @property
    def client(self) -> Any:
        """boto3's."""
        return self.cloud.client("dynamodb")

    # ---- Reading ---------------------------------------------------------------------------------------------------

    def get(self, key: Key) -> Item | None:
        """One item as it is now."""
        with told(self.what):
            answer = self.client.get_item(TableName=self.name, Key=_key(key), ConsistentRead=True)
        return self._whole([unpack(answer["Item"])])[0] if "Item" in answer else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Those that exist, as they are now, 100 a call."""
        found: dict[Key, Item] = {}
        waiting = [_key(key) for key in dict.fromkeys(keys)]
        pauses = _pauses()
        while waiting:
            check_permit()
            part, waiting = waiting[:_MOST_READ], waiting[_MOST_READ:]
            with told(self.what):
                answer = self.client.batch_get_item(RequestItems={self.name: {"Keys": part, "ConsistentRead": True}})
            for packed in answer["Responses"].get(self.name, ()):
                item = unpack(packed)
                found[key_of(item)] = item
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if len(left) == len(part):
                self._pause(pauses)
            waiting = left + waiting
        self._whole([*found.values()])
        return found

    def _whole(self, items: Sequence[Item]) -> Sequence[Item]:
        return long_texts.whole(items, self.get_many)

    def query(
        self,
        pk: str,
        *,
        index: str | None = None,
        low: str | None = None,
        high: str | None = None,
        forward: bool = True,
        limit: int | None = None,
        start: Item | None = None,
    ) -> tuple[list[Item], Item | None]:
        """Items of one partition with `low` <= sort key <= `high`, in order, one call; and where to go on."""
        more: Item = {"Limit": limit} if limit else {}
        if start:
            more["ExclusiveStartKey"] = start
        answer = self.ask(asked(pk, index, low, high), ScanIndexForward=forward, **more)
        return [*self._whole([unpack(item) for item in answer["Items"]])], answer.get("LastEvaluatedKey")

    def ask(self, request: Mapping[str, Any], **more: Any) -> Item:
        """One call of Query; see `asked`. Its answer as boto3 has it. Raises Overdue, ClientGone."""
        check_permit()
        with told(self.what):
            answer: Item = self.client.query(TableName=self.name, **request, **more)
        return answer

    def query_all(self, pk: str, prefix: str) -> Iterator[Item]:
        """All items of one partition whose sort key starts so, however many calls that takes."""
        start = None
        while True:
            items, start = self.query(pk, low=prefix or None, high=prefix + "\U0010ffff", start=start)
            yield from items
            if start is None:
                return

    def scan(self, prefix: str, sk: str, cursor: str | None) -> tuple[list[Item], str | None]:
        """Items with this sort key in partitions that start so, one call's worth of the whole table, and where to go
        on. For moving everything; never on a request's path."""
        check_permit()
        more: Item = {"ExclusiveStartKey": json.loads(cursor)} if cursor else {}
        with told(self.what):
            answer = self.client.scan(
                TableName=self.name,
                ConsistentRead=True,
                FilterExpression="begins_with(pk, :p) AND sk = :s",
                ExpressionAttributeValues=pack({":p": prefix, ":s": sk}),
                **more,
            )
        last = answer.get("LastEvaluatedKey")
        found = self._whole([unpack(item) for item in answer["Items"]])
        return [*found], json.dumps(last) if last else None

    # ---- Writing ---------------------------------------------------------------------------------------------------

    def transact(self, actions: Sequence[Action]) -> None:
        """All of it or nothing. Raises Cancelled where a condition does not hold; what passes by itself is retried."""
        actions = self._parted(actions)
        pauses = _pauses()
        while True:
            try:
                with told(self.what, *_OF_TRANSACTIONS):
                    self.client.transact_write_items(TransactItems=[action.packed(self.name) for action in actions])
                return
            except ClientError as problem:
                if code_of(problem) == "ValidationException":
                    raise _too_large_or_refused(problem, self.what) from problem
                reasons = problem.response.get("CancellationReasons") or []
                codes = [reason.get("Code", "None") for reason in reasons]
                if "ConditionalCheckFailed" in codes:
                    raise Cancelled([code == "ConditionalCheckFailed" for code in codes]) from None
                if "ValidationError" in codes:
                    raise TooLarge(_TOO_LARGE) from problem
                if codes and not any(code in _PASSING_REASONS for code in codes):
                    raise Unavailable(f"{self.what} refused the write: {problem}") from problem
                self._pause(pauses)

    def _parted(self, actions: Sequence[Action]) -> list[Action]:
        """The same without long values, which are written here."""
        pairs = [(action, *long_texts.parted(action.item)) for action in actions]
        self._write_items([part for _, _, parts in pairs for part in parts])
        return [replace(action, item=short) if parts else action for action, short, parts in pairs]

    def put_if(self, item: Mapping[str, Any], condition: str, **values: Any) -> bool:
        """Write one item if this holds; whether it did."""
        bound = pack({f":{name}": value for name, value in values.items()})
        more = {"ExpressionAttributeValues": bound} if bound else {}
        short, parts = long_texts.parted(item)
        self._write_items(parts)
        try:
            with told(self.what, "ConditionalCheckFailedException"):
                self.client.put_item(TableName=self.name, Item=pack(short), ConditionExpression=condition, **more)
        except ClientError:
            return False
        return True

    def delete_if(self, key: Key, condition: str, **values: Any) -> bool:
        """Remove one item if this holds; whether it did."""
        bound = pack({f":{name}": value for name, value in values.items()})
        more = {"ExpressionAttributeValues": bound} if bound else {}
        try:
            with told(self.what, "ConditionalCheckFailedException"):
                self.client.delete_item(TableName=self.name, Key=_key(key), ConditionExpression=condition, **more)
        except ClientError:
            return False
        return True

    def update_if(
        self, key: Key, values: Item, condition: str, *, count: str | None = None, **bound: Any
    ) -> Item | None:
        """Set some attributes of one item if this holds, and add one to `count`; the item, or None where it did not."""
        expression = "SET " + ", ".join(f"{name} = :{name}" for name in values)
        counted = {"one": 1} if count else {}
        try:
            with told(self.what, "ConditionalCheckFailedException"):
                answer = self.client.update_item(
                    TableName=self.name,
                    Key=_key(key),
                    UpdateExpression=f"{expression} ADD {count} :one" if count else expression,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=pack(
                        {f":{name}": value for name, value in (values | bound | counted).items()}
                    ),
                    ReturnValues="ALL_NEW",
                )
        except ClientError:
            return None
        return self._whole([unpack(answer["Attributes"])])[0]

    def add_if(self, key: Key, amounts: Mapping[str, int], values: Item, condition: str, **bound: Any) -> Item | None:
        """Add to numbers of one item, made if it is missing, and set `values`, if this holds; the item, else None."""
        sets = ", ".join(f"{name} = :{name}" for name in values)
        adds = ", ".join(f"{name} :{name}" for name in amounts)
        try:
            with told(self.what, "ConditionalCheckFailedException"):
                answer = self.client.update_item(
                    TableName=self.name,
                    Key=_key(key),
                    UpdateExpression=f"SET {sets} ADD {adds}",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=pack(
                        {f":{name}": value for name, value in {**values, **amounts, **bound}.items()}
                    ),
                    ReturnValues="ALL_NEW",
                )
        except ClientError:
            return None
        return unpack(answer["Attributes"])

    def put_many(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write items, each for itself, 25 a call."""
        pairs = [long_texts.parted(item) for item in items]
        self._write_items([part for _, parts in pairs for part in parts])
        self._write_items([short for short, _ in pairs])

    def _write_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        unlike = {key_of(item): item for item in items}  # one call may not name a key twice
        self._write_many([{"PutRequest": {"Item": pack(item)}} for item in unlike.values()])

    def delete_many(self, keys: Iterable[Key]) -> None:
        """Remove items, each for itself, 25 a call."""
        self._write_many([{"DeleteRequest": {"Key": _key(key)}} for key in dict.fromkeys(keys)])

    def _write_many(self, waiting: list[Item]) -> None:
        pauses = _pauses()
        while waiting:
            part, waiting = waiting[:_MOST_WRITTEN], waiting[_MOST_WRITTEN:]
            with told(self.what):
                answer = self.client.batch_write_item(RequestItems={self.name: part})
            left = answer.get("UnprocessedItems", {}).get(self.name, [])
            if len(left) == len(part):
                self._pause(pauses)
            waiting = left + waiting

    def reserve(self, number: int) -> None:
        """Let new tickets get numbers past this one."""
        self.update_if(COUNTERS, {"tickets": number}, "attribute_not_exists(tickets) OR tickets < :tickets")

    def take(self, tickets: int, blocks: int) -> tuple[int, int]:
        """The first of so many new ticket numbers and the first of so many new blocks of events.

        One item counts for everybody. Whoever waits while a call runs shares the next one, so a busy process asks no
        more often than a call takes.
        """
        claim = _Claim(tickets, blocks)
        with self._claiming:
            self._claims.append(claim)
        with self._turn:
            if claim.got is None and claim.error is None:
                with self._claiming:
                    batch, self._claims = self._claims, []
                self._serve(batch)
        if claim.error:
            raise claim.error
        assert claim.got
        return claim.got

    def _serve(self, batch: Sequence[_Claim]) -> None:
        tickets, blocks = sum(claim.tickets for claim in batch), sum(claim.blocks for claim in batch)
        try:
            with told(self.what):
                answer = self.client.update_item(
                    TableName=self.name,
                    Key=_key(COUNTERS),
                    UpdateExpression="ADD tickets :tickets, blocks :blocks",
                    ExpressionAttributeValues=pack({":tickets": tickets, ":blocks": blocks}),
                    ReturnValues="UPDATED_NEW",
                )
        except Exception as problem:
            for claim in batch:
                claim.error = problem
            return
        now = unpack(answer["Attributes"])
        number, block = now.get("tickets", 0) - tickets + 1, now.get("blocks", 0) - blocks + 1
        for claim in batch:
            claim.got = (number, block)
            number, block = number + claim.tickets, block + claim.blocks

    def _pause(self, pauses: Iterator[float]) -> None:
        try:
            time.sleep(next(pauses))
        except StopIteration:
            raise Unavailable(f"{self.what} throttles requests; try again in a moment.") from None


COUNTERS: Key = ("COUNTERS", "COUNTERS")


def _key(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def asked(pk: str, index: str | None, low: str | None, high: str | None) -> Item:
    """What Query is asked for: items of one partition with `low` <= sort key <= `high`."""
    part, sort = ("pk", "sk") if index is None else (partition(index), order(index))
    names, condition = {"#p": part}, "#p = :p"
    bounds = {name: value for name, value in ((":low", low), (":high", high)) if value is not None}
    if bounds:
        names["#s"] = sort
        one = "#s >= :low" if high is None else "#s <= :high"
        condition += " AND #s BETWEEN :low AND :high" if len(bounds) == 2 else f" AND {one}"
    where: Item = {"IndexName": index} if index else {"ConsistentRead": True}
    return where | {
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": pack({":p": pk, **bounds}),
    }


def _too_large_or_refused(problem: ClientError, what: str) -> RequestError:
    """AWS refuses an item past 400 KB within the transaction or, as DynamoDB Local does, the whole call."""
    message = str(problem.response.get("Error", {}).get("Message", ""))
    return TooLarge(_TOO_LARGE) if "size has exceeded" in message else explained(problem, what)


def _pauses() -> Iterator[float]:
    """Growing pauses with chance in them, about four seconds in all."""
    for attempt in range(_TRIES):
        yield random.uniform(0.5, 1) * min(0.01 * 2**attempt, 1.0)  # noqa: S311 - spreads retries, guards nothing
