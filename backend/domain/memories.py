"""Memories: what was learned from resolved tickets, each a Markdown file with front matter."""

import json
import re
from dataclasses import dataclass
from typing import Any

from backend.domain.tickets import Ticket
from backend.domain.values import Instant

_FENCE = "---"
_is_memory_id = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}").fullmatch


def is_memory_id(text: str) -> bool:
    """Whether `text` can be a memory's id: a file name without its ending, never a path."""
    return _is_memory_id(text) is not None


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory. Its id, which is its file's name, is the id of the ticket it was learned from: one file a ticket."""

    id: str
    title: str
    body: str
    category: str | None
    tags: tuple[str, ...]
    ticket_id: str | None
    ticket_number: int | None
    author: str
    created_at: Instant
    updated_at: Instant


def from_ticket(ticket: Ticket, author: str, at: Instant) -> Memory:
    """What a resolved ticket teaches: the problem, and what solved it."""
    body = f"## Problem\n\n{ticket.description.strip()}\n\n## Resolution\n\n{(ticket.resolution or '').strip()}\n"
    return Memory(
        id=ticket.id,
        title=ticket.title,
        body=body,
        category=ticket.category,
        tags=ticket.tags,
        ticket_id=ticket.id,
        ticket_number=ticket.number,
        author=author,
        created_at=at,
        updated_at=at,
    )


def to_markdown(memory: Memory) -> str:
    """The file: front matter whose values are JSON (which is YAML too), then the body."""
    front = {
        "id": memory.id,
        "title": memory.title,
        "category": memory.category,
        "tags": list(memory.tags),
        "ticket_id": memory.ticket_id,
        "ticket_number": memory.ticket_number,
        "author": memory.author,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    return "\n".join([_FENCE, *lines, _FENCE, "", memory.body])


def from_markdown(text: str, memory_id: str, at: Instant) -> Memory:
    """Read a file back; also one written by hand, where anything may be missing.

    The file's name is the id, whatever the front matter says; its time, `at`, stands in for missing times.
    """
    front, body = _split(text)
    return Memory(
        id=memory_id,
        title=_text(front, "title") or _first_line(body) or memory_id,
        body=body,
        category=_text(front, "category"),
        tags=_words(front.get("tags")),
        ticket_id=_text(front, "ticket_id"),
        ticket_number=_number(front.get("ticket_number")),
        author=_text(front, "author") or "unknown",
        created_at=_text(front, "created_at") or at,
        updated_at=_text(front, "updated_at") or at,
    )


def _split(text: str) -> tuple[dict[str, Any], str]:
    lines = text.lstrip("\ufeff").split("\n")
    if lines[0].rstrip() != _FENCE:
        return {}, text
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return _front(lines[1:index]), "\n".join(lines[index + 1 :]).lstrip("\n")
    return {}, text


def _front(lines: list[str]) -> dict[str, Any]:
    front: dict[str, Any] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key.strip():
            front[key.strip()] = _value(value.strip())
    return front


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text.startswith("[") and text.endswith("]"):
        return [part.strip().strip("'\"") for part in text[1:-1].split(",") if part.strip()]
    return text.strip("'\"")


def _text(front: dict[str, Any], key: str) -> str | None:
    value = front.get(key)
    return str(value) if isinstance(value, str | int | float) and str(value).strip() else None


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    return tuple(str(word) for word in value) if isinstance(value, list) else ()


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first_line(body: str) -> str | None:
    for line in body.splitlines():
        if line.strip(" #"):
            return line.strip(" #")[:200]
    return None
