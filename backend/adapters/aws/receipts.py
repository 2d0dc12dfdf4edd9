"""The receipts of idempotent requests, written in the transaction of the effect they record."""

from datetime import datetime
from typing import Any

from backend.adapters.aws.table import ABSENT, TTL, Action, Item, Table, put
from backend.domain.once import AlreadyDone, Once, Receipt
from backend.domain.values import Instant, now

_PART = 300_000  # bytes: an item holds 400 KB


def keeping(once: Once | None, result: Any) -> list[Action]:
    """What records the effect, the condition first: that no other request with this key took effect."""
    if once is None:
        return []
    receipt = once.receipt(result)
    parts = [receipt.answer[start : start + _PART] for start in range(0, len(receipt.answer), _PART)]
    common = {"pk": f"R#{receipt.key}", TTL: epoch(receipt.expires_at)}
    first: Item = {
        **common,
        "sk": "R",
        "fingerprint": receipt.fingerprint,
        "expires_at": receipt.expires_at,
        "answer": parts[0] if parts else None,
        "parts": len(parts),
    }
    rest = [put({**common, "sk": f"R#{n:03d}", "answer": part}) for n, part in enumerate(parts[1:], start=1)]
    return [put(first, f"{ABSENT} OR expires_at <= :now", now=now()), *rest]


def find(table: Table, key: str) -> Receipt | None:
    """The receipt of this key, unless it has expired: DynamoDB removes what expired in its own time."""
    item = table.get((f"R#{key}", "R"))
    if item is None or item["expires_at"] <= now():
        return None
    answer = item.get("answer", b"")
    if item["parts"] > 1:
        others = {part["sk"]: part["answer"] for part in table.query_all(f"R#{key}", "R#")}
        answer += b"".join(others[f"R#{n:03d}"] for n in range(1, item["parts"]))
    return Receipt(key, item["fingerprint"], answer, item["expires_at"])


def refuse_repeat(table: Table, once: Once | None) -> None:
    """Raises AlreadyDone where another request with this key took effect first."""
    receipt = find(table, once.key) if once else None
    if receipt:
        raise AlreadyDone(receipt)


def epoch(instant: Instant) -> int | None:
    """The second at which DynamoDB may forget an item."""
    try:
        return int(datetime.fromisoformat(instant).timestamp())
    except ValueError:
        return None
