"""Attachments: their records, and what they may be called. What they are by their content: file_types.py."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from backend.domain.values import Instant

MOST_FILES_A_REQUEST = 20
LONGEST_NAME = 255
LONGEST_NAME_BYTES = 255
"""On a disk, which is where a downloaded file goes."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a ticket. `key` is where the bytes lie; `name` is the sender's and never a path.

    `comment_id` is the comment or note that it was sent with, None for a file of the ticket itself. An internal one,
    such as every file of a note, is never shown to requesters. `via` is as for comments.
    """

    id: str
    ticket_id: str
    key: str
    name: str
    content_type: str
    size: int
    sha256: str
    uploader: str
    created_at: Instant
    uploader_id: str | None = None
    """Who that is (`Caller.address`), since several may have the name; None where that was not kept."""
    comment_id: str | None = None
    internal: bool = False
    via: str | None = None

    def sent_with(self, ticket_id: str, comment_id: str, internal: bool) -> "Attachment":
        """The same as a file of a comment or an internal note."""
        return replace(self, ticket_id=ticket_id, comment_id=comment_id, internal=internal)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes that a store has taken: their key, size, SHA-256 (hex) and first bytes."""

    key: str
    size: int
    sha256: str
    head: bytes


def clean_name(name: str | None) -> str:
    """A name to keep: as it was, but for folders before it and control characters, at most LONGEST_NAME characters."""
    base = (name or "").replace("\\", "/").rpartition("/")[2]
    visible = "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp"))
    if not visible.strip() or visible.strip() in (".", ".."):
        return "file"
    return _shortened(visible, LONGEST_NAME, len)


def name_on_disk(name: str) -> str:
    """The name for whoever saves the file: nothing that turns its direction, and at most LONGEST_NAME_BYTES."""
    harmless = "".join("_" if char in _TURNING else char for char in name)
    return _shortened(harmless, LONGEST_NAME_BYTES, lambda text: len(text.encode("utf-8", "replace")))


_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _shortened(name: str, limit: int, length: Callable[[str], int]) -> str:
    """The beginning and the ending of a name that is longer."""
    if length(name) <= limit:
        return name
    stem, dot, ending = name.rpartition(".")
    tail = dot + ending if stem and length(ending) <= 16 else ""
    stem = name.removesuffix(tail)[:limit]
    while length(stem + tail) > limit:
        stem = stem[:-1]
    return stem + tail
