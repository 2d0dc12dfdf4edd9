"""The receipts of idempotent requests, written in the transaction of the effect they record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backend.adapters.aws.layout import TTL
from backend.adapters.aws.table import ABSENT, Action, Cancelled, Item, Table, put
from backend.domain.exports import Outcome
from backend.domain.once import AlreadyDone, Once, Receipt
from backend.domain.values import Instant, Page, now


def keeping(once: Once | None, result: Any) -> list[Action]:
    """What records the effect, the condition first: that no other request with this key took effect."""
    if once is None:
        return []
    return _writes(once.receipt(result))


def _writes(receipt: Receipt) -> list[Action]:
    item: Item = {
        "pk": f"R#{receipt.key}",
        "sk": "R",
        TTL: epoch(receipt.expires_at),
        "fingerprint": receipt.fingerprint,
        "expires_at": receipt.expires_at,
        "answer": receipt.answer,
        "parts": 1,
    }
    return [put(item, f"{ABSENT} OR expires_at <= :now", now=now())]


def find(table: Table, key: str) -> Receipt | None:
    """The receipt of this key, unless it has expired: DynamoDB removes what expired in its own time."""
    item = table.get((f"R#{key}", "R"))
    return _receipt(table, item) if item else None


def _receipt(table: Table, item: Item) -> Receipt | None:
    if item["expires_at"] <= now():
        return None
    key, answer = item["pk"][2:], item.get("answer", b"")
    if item["parts"] > 1:  # as an earlier version wrote long ones
        others = {part["sk"]: part["answer"] for part in table.query_all(f"R#{key}", "R#")}
        answer += b"".join(others[f"R#{n:03d}"] for n in range(1, item["parts"]))
    return Receipt(key, item["fingerprint"], answer, item["expires_at"])


def refuse_repeat(table: Table, once: Once | None) -> None:
    """Raises AlreadyDone where another request with this key took effect first."""
    receipt = find(table, once.key) if once else None
    if receipt:
        raise AlreadyDone(receipt)


def dump(table: Table, cursor: str | None) -> Page[Receipt]:
    """Those that have not expired, of one call's worth of the table."""
    items, following = table.scan("R#", "R", cursor)
    found = [receipt for item in items if (receipt := _receipt(table, item)) is not None]
    return Page(found, following)


def load(table: Table, receipts: Sequence[Receipt]) -> list[Outcome]:
    """Write those that are not there."""
    return [_load(table, receipt) for receipt in receipts]


def _load(table: Table, receipt: Receipt) -> Outcome:
    stored = find(table, receipt.key)
    if stored:
        return Outcome.SAME if stored == receipt else Outcome.OTHER
    try:
        table.transact(_writes(receipt))
    except Cancelled:
        return Outcome.OTHER
    return Outcome.ADDED


def epoch(instant: Instant) -> int | None:
    """The second at which DynamoDB may forget an item."""
    try:
        return int(datetime.fromisoformat(instant).timestamp())
    except ValueError:
        return None
