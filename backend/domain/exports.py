"""The form of an export: which members there are, and each record as one line of JSON.

    export.json                          what this is, first
    files/<key>                          an attachment's bytes, before the member whose tickets name them
    tickets-000001.<sha256>.ndjson       whole tickets, a line each, by number
    changes-000001.<sha256>.ndjson       whole tickets again, as they were at the end, if they changed meanwhile
    tokens-, catalogue-, audit-, memories-…
    manifest.json                        every member with its lines, bytes and SHA-256; and the counts; last

The digest of lines is in their member's name, that of a file in its attachment's record: both are proved before they
take effect, and not when all is over.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from backend.domain.access import Token
from backend.domain.attachments import Attachment
from backend.domain.catalogue import Act, Record
from backend.domain.memories import Memory, is_memory_id
from backend.domain.tickets import Comment, Event, Ticket
from backend.domain.values import is_id
from backend.errors import Conflict, InvalidInput

FORMAT = 2
READ_FORMATS = (1, FORMAT)
"""In the first one a file did not know its comment, and so not whether it is internal."""
HEAD = "export.json"
MANIFEST = "manifest.json"
MOST_LINES = 500
USUAL_BYTES = 4 * 1024 * 1024
LARGEST_MEMBER = 256 * 1024 * 1024  # one ticket is never split
LARGEST_MANIFEST = 32 * 1024 * 1024
MOST_CONFLICTS_TOLD = 20

LINES_NAME = re.compile(r"(tickets|changes|tokens|catalogue|audit|memories)-([0-9]{6,9})\.([0-9a-f]{64})\.ndjson")
FILE_NAME = re.compile(r"files/([0-9A-Za-z]{16,64})")
_is_key = re.compile(r"[0-9A-Za-z]{16,64}").fullmatch
_is_instant = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z").fullmatch


@dataclass(frozen=True, slots=True)
class Whole:
    """A ticket with everything that hangs on it, as it was at one moment; each list oldest first."""

    ticket: Ticket
    comments: tuple[Comment, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    history: tuple[Event, ...] = ()


class Outcome(StrEnum):
    """What became of a record that was to be loaded."""

    ADDED = "added"
    SAME = "same"
    FORWARDED = "forwarded"
    """What is stored was an earlier state of what was given, which replaced it."""
    AHEAD = "ahead"
    """The stored ticket is a later state of the given one, and stays."""
    OTHER = "other"
    """Something else has this id, number or secret; nothing was written."""


class Differs(Conflict):
    """Records of this installation that the export has otherwise. `problems` are (record, message) pairs."""

    def __init__(self, message: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems[:MOST_CONFLICTS_TOLD])


def compared(stored: Whole | None, given: Whole) -> Outcome:
    """How a given ticket stands to the stored one: a ticket's history says which of two states is the later one."""
    if stored is None:
        return Outcome.ADDED
    if stored == given or _without_derived(stored) == _without_derived(given):
        return Outcome.SAME
    before = [event.id for event in stored.history]
    after = [event.id for event in given.history]
    if stored.ticket.number != given.ticket.number:
        return Outcome.OTHER
    if len(before) < len(after) and after[: len(before)] == before:
        return Outcome.FORWARDED
    if len(after) < len(before) and before[: len(after)] == after:
        return Outcome.AHEAD
    return Outcome.OTHER


def _without_derived(whole: Whole) -> Whole:
    """Without what follows from merging, which older versions did not write down."""
    return replace(whole, ticket=whole.ticket._replace(participants=()))


@dataclass(frozen=True, slots=True)
class Listed:
    """One member in the manifest."""

    name: str
    lines: int
    bytes: int


@dataclass(slots=True)
class Counts:
    """What an export holds, or what came in."""

    tickets: int = 0
    comments: int = 0
    attachments: int = 0
    events: int = 0
    tokens: int = 0
    catalogue: int = 0
    audit: int = 0
    memories: int = 0
    files: int = 0
    file_bytes: int = 0

    def add(self, whole: Whole) -> None:
        """Count what hangs on a ticket."""
        self.tickets += 1
        self.comments += len(whole.comments)
        self.attachments += len(whole.attachments)
        self.events += len(whole.history)


@dataclass(frozen=True, slots=True)
class Head:
    """The first member."""

    format: int
    version: str
    created_at: str
    files: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last member. `settled`: all tickets are as they were at `position` of the events, one moment."""

    format: int
    position: int
    settled: bool
    counts: Counts
    members: tuple[Listed, ...] = field(default=())


def to_line(item: Any) -> bytes:
    """A record as a line; a ticket by its fields' names."""
    if isinstance(item, Whole):
        ticket = item.ticket._asdict()
        if not item.ticket.participants:
            del ticket["participants"]  # as older versions write it
        item = {
            "ticket": ticket,
            "comments": [_as_before(comment) for comment in item.comments],
            "attachments": [_as_before(file) for file in item.attachments],
            "history": item.history,
        }
    return to_json(item) + b"\n"


def _as_before(item: Comment | Attachment) -> Any:
    """As older versions write it, where it came via no other ticket."""
    if item.via is not None:
        return item
    return {name: getattr(item, name) for name in item.__dataclass_fields__ if name != "via"}


_KIND: dict[str, TypeAdapter[Any]] = {}
_TYPES: dict[str, Any] = {
    "tickets": Whole,
    "changes": Whole,
    "tokens": Token,
    "catalogue": Record,
    "audit": Act,
    "memories": Memory,
    HEAD: Head,
    MANIFEST: Manifest,
}


def from_line(kind: str, line: bytes) -> Any:
    """The record in a line. Raises InvalidInput unless writing it again gives the very same line."""
    if kind not in _KIND:
        _KIND[kind] = TypeAdapter(_TYPES[kind])
    try:
        item = _KIND[kind].validate_json(line)
    except (ValidationError, RecursionError, OverflowError):
        raise InvalidInput(f"The archive holds a line in {kind} that is no such record.") from None
    if to_line(item).rstrip(b"\n") != line.rstrip(b"\n"):
        raise InvalidInput(f"The archive holds a line in {kind} that this version would write otherwise.")
    _CHECKS.get(kind, _no_check)(item)
    return item


_NEW_OF_TICKETS = ("public_version", "public_updated_at")
_NEW_OF_FILES = {"uploader_id": None, "comment_id": None, "internal": False}


def of_today(kind: str, line: bytes) -> bytes | None:
    """A ticket's line of format 1 with the fields that it lacks; None where it is no such line."""
    if _TYPES[kind] is not Whole:
        return None
    try:
        whole = from_json(line)
        ticket, files = whole["ticket"], whole["attachments"]
        is_newer = ticket.keys() & set(_NEW_OF_TICKETS) or any(file.keys() & _NEW_OF_FILES.keys() for file in files)
        if is_newer or to_json(whole) != line.rstrip(b"\n"):
            return None
        public = zip(_NEW_OF_TICKETS, (ticket["version"], ticket["updated_at"]), strict=True)
        deleted_at = ticket.pop("deleted_at")
        ticket |= {**dict(public), "deleted_at": deleted_at}
        return to_json(whole | {"attachments": [file | _NEW_OF_FILES for file in files]})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _no_check(_: Any) -> None:
    """Nothing more to ask."""


def _must(sound: bool, what: str) -> None:
    if not sound:
        raise InvalidInput(f"The archive holds {what}.")


def _check_whole(whole: Whole) -> None:
    ticket = whole.ticket
    _must(is_id(ticket.id) and 0 < ticket.number < 2**62, "a ticket without a proper id or number")
    _must(0 < ticket.public_version <= ticket.version, "a ticket without a version")
    hanging: list[Comment | Attachment | Event] = [*whole.comments, *whole.attachments, *whole.history]
    _must(all(item.ticket_id == ticket.id and is_id(item.id) for item in hanging), "records of another ticket")
    via = [one.via for one in whole.comments] + [one.via for one in whole.attachments]
    _must(all(one is None or is_id(one) for one in via), "something that came via no ticket")
    _must(all(_is_key(file.key) for file in whole.attachments), "an attachment whose key leads elsewhere")
    notes = {comment.id: comment.internal for comment in whole.comments}
    with_comments = [(file.comment_id, file.internal) for file in whole.attachments if file.comment_id is not None]
    _must(with_comments == [(one, notes.get(one)) for one, _ in with_comments], "an attachment without its comment")
    for item in (ticket, *hanging):
        _check_instants(item)


def _check_instants(item: Any) -> None:
    names = item._fields if isinstance(item, Ticket) else [one.name for one in fields(item)]
    for name in names:
        value = getattr(item, name) if name == "at" or name.endswith("_at") else None
        _must(value is None or _is_instant(value) is not None, "a time that is none")


def _check_record(item: Any) -> None:
    _must(0 < len(item.id) <= 200, "a record without a proper id")
    _check_instants(item)


def _check_memory(memory: Memory) -> None:
    _must(is_memory_id(memory.id), "a memory whose id leads elsewhere")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "tickets": _check_whole,
    "changes": _check_whole,
    "tokens": _check_record,
    "catalogue": _check_record,
    "audit": _check_record,
    "memories": _check_memory,
}
