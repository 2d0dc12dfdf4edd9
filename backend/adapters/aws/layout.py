"""How everything lies in one DynamoDB table: its keys, its indexes, and who reads what by them.

Access patterns (decision 0017). `⟨…⟩` is a value; numbers in keys have leading zeros, so text order is their order.

| item | pk | sk | read by |
| --- | --- | --- | --- |
| form of the items, and how far an upgrade has come (`upgrade.py`) | LAYOUT | LAYOUT | GetItem |
| counters: ticket numbers, blocks of events | COUNTERS | COUNTERS | one UpdateItem for all writes that wait |
| ticket | T#⟨id⟩ | T | GetItem |
| comment, attachment, line of history | T#⟨id⟩ | C#⟨id⟩, A#⟨id⟩, H#⟨position⟩ | Query of a ticket's items of one kind |
| tag, watcher or participant of a ticket | T#⟨id⟩ | L#tag#⟨tag⟩, L#watcher#⟨who⟩, L#participant#⟨who⟩ | index `label` |
| block of events: whose histories they are in | E#⟨block⟩ | E | BatchGetItem of blocks one after another |
| part of a long value of any item (`long_texts.py`) | LONG#⟨digest⟩ | ⟨part⟩ | BatchGetItem with the item |
| receipt | R#⟨key⟩ | R | GetItem; expires by TTL |
| token by hash; for the list; session | K#⟨hash⟩; TOKENS; S#⟨hash⟩ | K; ⟨id⟩; S | GetItem; Query; GetItem |
| what a person has spent of a day's quotas | Q#⟨day⟩#⟨person⟩ | Q | GetItem; conditional UpdateItem; expires by TTL |
| spelling of a label | LABELS#⟨kind⟩ | ⟨fold⟩ | BatchGetItem, Query |
| record | CAT#⟨kind⟩ | ⟨id⟩ | GetItem, Query |
| act, three times | ACTS, ACTS#action#⟨action⟩, ACTS#actor#⟨actor⟩ | ⟨id⟩ | Query backwards |
| memory | M#⟨id⟩ | M | index `created`, partition MEMORIES |
| how far events are messages | OUTBOX | OUTBOX | GetItem; moved on condition of its value |
| message of a webhook | D#⟨webhook⟩ | ⟨id⟩ | Query backwards; indexes `due`, `label`, partition MESSAGES |
| messages written ahead | AHEAD#⟨batch⟩ | ⟨id⟩ | Query, until they are messages |
| posting: a word and who has it | ⟨namespace⟩#⟨first character⟩ | ⟨word⟩ ⟨created_at⟩ ⟨number⟩ | Query newest first |

Indexes are eventually consistent: they propose, and the ticket, read consistently, decides. `created updated number
due` have all tickets that are not in the trash (LIVE) or are (TRASH) in that order; `status severity category assignee
team requester label` have those with one value, by `created_at`. Figures alone believe the indexes (decision 0018): for
them `resolved answer` have the tickets in the order of what is done and promised, `backlog` the active ones by status
and severity, and these three, `created` and `due` carry beside their keys what is counted (CARRIED).
"""

from collections.abc import Mapping, Sequence
from typing import Any

ORDERS = ("created", "updated", "number", "due", "resolved", "answer")
FACETS = ("status", "severity", "category", "assignee", "team", "requester", "label", "backlog")
CARRIED: Mapping[str, Sequence[str]] = {
    "created": ("figures", "team"),
    "resolved": ("figures", "team"),
    "due": ("team", "due_at", "resolved_at"),
    "answer": ("team", "first_response_due_at", "first_responded_at"),
    "backlog": ("team",),
}
TTL = "forget_at"


def partition(index: str) -> str:
    """The attribute that an index is divided by."""
    return "live" if index in ORDERS else f"in_{index}"


def order(index: str) -> str:
    """The attribute that an index is in the order of."""
    return f"by_{index}" if index in ORDERS else "by_created"


def definition(name: str) -> dict[str, Any]:
    """The table for CreateTable: on demand, so that nobody plans capacity."""
    sorts = {"by_created", *(order(index) for index in ORDERS)}
    attributes = ["pk", "sk", "live", *sorted(sorts), *(partition(index) for index in FACETS)]
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _schema("pk", "sk"),
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": "S"} for a in attributes],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": _schema(partition(index), order(index)),
                "Projection": _projection(index),
            }
            for index in (*ORDERS, *FACETS)
        ],
    }


def _schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def _projection(index: str) -> dict[str, Any]:
    if index not in CARRIED:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(CARRIED[index])}
