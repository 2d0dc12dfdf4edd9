"""Values that are too long for an item lie in items of their own, so that no text meets the limit of 400 KB an item
and 4 MB a transaction, and a change of a ticket's status does not write its long description again.

They are named by their content and written before the item that names them; they are never changed and never removed.
So whoever reads an older state of the item finds its text, and the line of history that tells of the former text has
it too. What a failed write leaves behind takes room alone. Those of an item that expires expire after it.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from backend.adapters.aws.layout import TTL
from backend.errors import Unavailable

LONG = 16_000
"""Bytes: a transaction takes 4 MB, and its largest writes 50 tickets with their lines of history."""

MARK = "long"
_PART = 350_000  # bytes: an item holds 400 KB
_LONGER = 30 * 86_400  # seconds that parts are kept after their item

Item = dict[str, Any]
Key = tuple[str, str]


def parted(item: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Item]]:
    """The item as it is written, and the items that hold its long values."""
    long = {name: data for name, value in item.items() if (data := _long(value)) is not None}
    if not long:
        return item, []
    named: dict[str, list[Any]] = {}
    parts: list[Item] = []
    for name, data in long.items():
        is_text = isinstance(item[name], str)
        kept = zlib.compress(data, 6) if is_text else data
        lives = {TTL: int(item[TTL]) + _LONGER} if item.get(TTL) else {}
        digest = hashlib.sha256(kept).hexdigest() + "".join(f".{until}" for until in lives.values())
        pieces = [kept[start : start + _PART] for start in range(0, len(kept), _PART)]
        parts += [
            dict(zip(("pk", "sk"), _key(digest, n), strict=True), data=one, **lives) for n, one in enumerate(pieces)
        ]
        named[name] = [digest, len(pieces), is_text]
    short = {name: value for name, value in item.items() if name not in long}
    return {**short, MARK: json.dumps(named)}, parts


def whole(items: Sequence[Item], load: Callable[[Iterable[Key]], Mapping[Key, Item]]) -> Sequence[Item]:
    """Items as they were before they were parted; in place. Raises Unavailable where a part is missing."""
    marked = [(item, json.loads(item.pop(MARK))) for item in items if MARK in item]
    if not marked:
        return items
    keys = [_key(digest, n) for _, named in marked for digest, count, _ in named.values() for n in range(count)]
    found = load(keys)
    for item, named in marked:
        for name, (digest, count, is_text) in named.items():
            try:
                data = b"".join(found[_key(digest, n)]["data"] for n in range(count))
            except KeyError:
                raise Unavailable(f"A part of a long text is missing from the table: {digest[:16]}.") from None
            item[name] = zlib.decompress(data).decode() if is_text else data
    return items


def _long(value: Any) -> bytes | None:
    """The bytes of a long value, else None."""
    if isinstance(value, str) and len(value) > LONG // 4:
        data = value.encode()
        return data if len(data) > LONG else None
    return value if isinstance(value, bytes) and len(value) > LONG else None


def _key(digest: str, n: int) -> Key:
    return f"LONG#{digest}", f"{n:03d}"
