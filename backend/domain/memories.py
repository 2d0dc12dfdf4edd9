"""Memories: what was learned from resolved tickets, each a Markdown file with front matter."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from backend.domain.access import Caller
from backend.domain.once import Once
from backend.domain.pages import USUAL_ITEMS
from backend.domain.search import Condition, Span, Term
from backend.domain.text import clean_text
from backend.domain.tickets import Tags, Ticket
from backend.domain.values import TEXT, Cleaned, Instant, Name, Title, fingerprint, new_id
from backend.errors import MemoryNotFound, NotAllowed, PreconditionFailed

LONGEST_BODY = 100_000
MOST_COUNTED = 50
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
    team: str | None = None
    helpful: int = 0
    unhelpful: int = 0
    counted: tuple[str, ...] = ()
    """The last keys whose feedback is counted: the receipt in the file itself, as it is the file that changes."""
    more: tuple[tuple[str, str], ...] = ()
    """What else people wrote into the front matter, kept as it is."""

    @property
    def digest(self) -> str:
        """Of all it says: its ETag, since a file edited by hand counts no versions."""
        return hashlib.sha256(to_markdown(self).encode("utf-8", "surrogatepass")).hexdigest()[:32]


MemoryEdit = Callable[[Memory], Memory | None]
"""From a memory as its file has it to what it becomes; None where nothing changes. May raise any RequestError."""

# The front matter's keys, in the order of the file.
_KEYS = ("id", "title", "category", "tags", "team", "ticket_id", "ticket_number", "author", "created_at", "updated_at")
_OPTIONAL = ("helpful", "unhelpful", "counted")


def _clean_file(text: str) -> str:
    """Cleaned as any text, but a file's last line may end like the others."""
    cleaned = clean_text(text)
    return f"{cleaned}\n" if cleaned and text.endswith("\n") else cleaned


Body = Annotated[str, StringConstraints(min_length=1, pattern=TEXT), Cleaned(_clean_file, LONGEST_BODY)]


class MemoryDraft(BaseModel):
    """What an agent says in a memory, whole."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "title": "Blank pages from a new drum",
                    "body": "Take off the drum's orange film.\n",
                    "category": "Hardware",
                    "tags": ["printer"],
                    "team": None,
                }
            ]
        },
    )

    title: Title
    body: Body
    category: Name | None = None
    tags: Tags = ()
    team: Name | None = None


class FeedbackDraft(BaseModel):
    """Whether a memory helped."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"helpful": True}]})

    helpful: bool


@dataclass(frozen=True, slots=True)
class MemoryQuery:
    """One page of the memories: all of them newest first, or those that match `terms`, the best first.

    `teams`: only those of these teams or of none; all, if empty. `also` holds as for tickets, as far as a memory has
    such a field; where it has none, nothing is found.
    """

    terms: tuple[Term, ...] | None = None
    teams: tuple[str, ...] = ()
    also: tuple[Condition | Span, ...] = ()
    limit: int = USUAL_ITEMS
    cursor: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for every page of one query."""
        return fingerprint("memories", self.terms, self.teams, self.also)


def must_see(caller: Caller, memory: Memory) -> None:
    """Raises MemoryNotFound where it is another team's. `MemoryQuery.teams` says the same to a list."""
    if memory.team is not None and not caller.works_for(memory.team):
        raise MemoryNotFound(memory.id)


def may_give(caller: Caller, team: str | None) -> None:
    """Raises NotAllowed where an agent would write for a team that is not theirs."""
    if team is not None and not caller.works_for(team):
        raise NotAllowed(f"This token works for {', '.join(caller.teams)}, not for the team {team}.")


def new_memory(caller: Caller, draft: MemoryDraft, at: Instant, once: Once | None) -> Memory:
    """The draft as a memory. With a key its id follows from that: a repeat after a crash meets the same file."""
    may_give(caller, draft.team)
    memory_id = f"m-{fingerprint('memory', once.key)}" if once else new_id()
    return Memory(
        id=memory_id,
        title=draft.title,
        body=draft.body,
        category=draft.category,
        tags=draft.tags,
        ticket_id=None,
        ticket_number=None,
        author=caller.name,
        created_at=at,
        updated_at=at,
        team=draft.team,
    )


def rewritten(memory: Memory, draft: MemoryDraft, at: Instant) -> Memory:
    """The memory with all that a draft says; where it comes from and what it was worth stays."""
    return replace(memory, updated_at=at, **{name: getattr(draft, name) for name in MemoryDraft.model_fields})


def rated(memory: Memory, helpful: bool, key: str | None) -> Memory | None:
    """The memory with one more voice; None where this key's voice is counted already."""
    if key is not None and key in memory.counted:
        return None
    counted = (*memory.counted, key)[-MOST_COUNTED:] if key is not None else memory.counted
    if helpful:
        return replace(memory, helpful=memory.helpful + 1, counted=counted)
    return replace(memory, unhelpful=memory.unhelpful + 1, counted=counted)


def must_match(memory: Memory, digests: tuple[str, ...] | None) -> None:
    """Raises PreconditionFailed where the memory is none of these; None is any."""
    if digests is not None and memory.digest not in digests:
        raise PreconditionFailed("The memory has changed; read it again before you change it.")


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
        team=ticket.team,
    )


def to_markdown(memory: Memory) -> str:
    """The file: front matter whose values are JSON (which is YAML too), then the body."""
    front = {key: getattr(memory, key) for key in _KEYS}
    front |= {key: value for key in _OPTIONAL if (value := getattr(memory, key))}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    lines += [f"{key}: {value}" for key, value in memory.more]
    return "\n".join([_FENCE, *lines, _FENCE, "", memory.body])


def from_markdown(text: str, memory_id: str, at: Instant) -> Memory:
    """Read a file back; also one written by hand, where anything may be missing.

    The file's name is the id, whatever the front matter says; its time, `at`, stands in for missing times.
    """
    written, body = _split(text)
    front = {key: _value(value) for key, value in written.items()}
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
        team=_text(front, "team"),
        helpful=max(0, _number(front.get("helpful")) or 0),
        unhelpful=max(0, _number(front.get("unhelpful")) or 0),
        counted=_words(front.get("counted")),
        more=tuple((key, value) for key, value in written.items() if key not in (*_KEYS, *_OPTIONAL)),
    )


def _split(text: str) -> tuple[dict[str, str], str]:
    lines = text.lstrip("\ufeff").split("\n")
    if lines[0].rstrip() != _FENCE:
        return {}, text
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return _front(lines[1:index]), "\n".join(lines[index + 1 :]).lstrip("\n")
    return {}, text


def _front(lines: list[str]) -> dict[str, str]:
    front: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key.strip():
            front[key.strip()] = value.strip()
    return front


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
        return value
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
    known = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value if known else None


def _first_line(body: str) -> str | None:
    for line in body.splitlines():
        if line.strip(" #"):
            return line.strip(" #")[:200]
    return None
