"""A ticket's comments and history as one story, oldest first."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from backend.domain.access import Caller, Role
from backend.domain.attachments import Attachment
from backend.domain.file_types import is_shown
from backend.domain.pages import MOST_ITEMS
from backend.domain.takes import MOVED
from backend.domain.tickets import Comment, Event, Ticket
from backend.domain.triage import OFFLINE
from backend.domain.values import Page
from backend.ports import Ports
from backend.usecases import attachments, tickets

Item = TypeVar("Item")

MOST_SHOWN = 300
MOST_CHARACTERS = 1_000_000
"""So much text, at least a novel, is put into a page; a ticket may have more, and must not take all memory for it."""
# Said by the comment itself, or of no interest to anybody: dates follow from what else is said.
_SILENT = frozenset(
    {
        "comment",
        "attachments",
        "resolved_at",
        "first_responded_at",
        "first_response_due_at",
        "due_at",
        "paused_at",
        "promised_from",
        "assistant",
        "reason",
        "via",
        MOVED,
    }
)
_SAID_BY_THE_KIND = frozenset(
    {
        "reopened",
        "deleted",
        "restored",
        "merged",
        "absorbed",
        "split",
        "linked",
        "unlinked",
        "followed",
        "watched",
        "unwatched",
    }
)
_WORDS = {
    "created": "filed this ticket",
    "attached": "attached",
    "detached": "removed",
    "resolved": "resolved this ticket",
    "reopened": "reopened this ticket",
    "deleted": "moved this ticket to the trash",
    "restored": "brought this ticket back from the trash",
    "watched": "began to watch",
    "unwatched": "ended watching",
}
_REOPENED = {
    "answered": "reopened this ticket by answering",
    "merged": "reopened this ticket by merging another into it",
}
# What is said before the other tickets, in their place where the reader may not know of them, and after them.
_ABOUT_OTHERS = {
    "merged": ("merged this ticket into", "another one", ""),
    "absorbed": ("merged", "another ticket", "into this one"),
    "split": ("split", "a merged ticket", "off again"),
    "linked": ("linked this ticket to", "another one", ""),
    "unlinked": ("untied this ticket from", "another one", ""),
    "followed": ("answered when this ticket had long been over, which opened", "a new one", ""),
    "answered": ("filed this ticket by answering on", "one that had long been over", ""),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A comment, or a line of history: who did what, which fields changed, and the files that came.

    `resolution` is the text of one; `others` are the tickets that a line speaks of between `words` and `tail`, and
    `otherwise` stands in their place where there are none to name; `origin` is the merged ticket that it is from.
    """

    id: str
    at: str
    who: str
    comment: Comment | None = None
    words: str = ""
    changes: Sequence[tuple[str, Any, Any]] = ()
    files: Sequence[Attachment] = ()
    names: Sequence[str] = ()
    internal: bool = False
    resolution: str = ""
    kind: str = ""
    tied: Sequence[str] = ()
    others: Sequence[Ticket] = ()
    otherwise: str = ""
    tail: str = ""
    origin: Ticket | None = None


@dataclass(slots=True)
class Story:
    """What happened, less what lies too far back to be shown at once; `left_out` counts that."""

    entries: list[Entry]
    files: Sequence[Attachment]
    first_files: Sequence[Attachment]
    left_out: int = 0
    whole: bool = False
    people: list[str] = field(default_factory=list)


async def tell(ports: Ports, caller: Caller, ticket_id: str, *, whole: bool = False) -> Story:
    """The story of a ticket that the caller may see."""
    comments, gone = await _latest(
        lambda cursor: tickets.list_comments(ports, caller, ticket_id, MOST_ITEMS, cursor), lambda one: len(one.body)
    )
    events, forgotten = await _latest(
        lambda cursor: tickets.list_history(ports, caller, ticket_id, MOST_ITEMS, cursor), _length
    )
    files = await attachments.list_attachments(ports, caller, ticket_id)
    sent = tickets.sent_with(files)
    waiting = sent.get(None, [])
    first_files: Sequence[Attachment] = ()
    entries = [
        Entry(one.id, one.created_at, one.author, comment=one, files=sent.get(one.id, ()), internal=one.internal)
        for one in comments
    ]
    solution = ""
    for one in events:
        solution = str(one.changes.get("resolution", ("", solution))[1] or "")
        entry = _line(one, waiting, for_agents=caller.is_at_least(Role.AGENT))
        if one.kind == "created":
            first_files = entry.files
            if entry.kind == "answered":
                entries.append(replace(entry, files=()))
        elif one.kind == "resolved" and solution:
            entries.append(replace(entry, resolution=solution, words="", changes=()))
        elif entry.words or entry.changes:
            entries.append(entry)
    entries.sort(key=lambda entry: (entry.at, entry.id))
    left_out = 0 if whole else max(0, len(entries) - MOST_SHOWN)
    people = list(dict.fromkeys(entry.who for entry in entries))
    return Story(entries[left_out:], files, first_files, left_out + gone + forgotten, whole, people)


async def _latest(
    read: Callable[[str | None], Awaitable[Page[Item]]], length: Callable[[Item], int]
) -> tuple[list[Item], int]:
    """The end of a list, up to so much text, and how many items come before it."""
    found: deque[Item] = deque()
    size = gone = 0
    cursor = None
    while True:
        page = await read(cursor)
        for item in page.items:
            found.append(item)
            size += length(item)
            while size > MOST_CHARACTERS:
                size -= length(found.popleft())
                gone += 1
        cursor = page.next_cursor
        if cursor is None:
            return list(found), gone


def _length(event: Event) -> int:
    return 100 + sum(len(value) for pair in event.changes.values() for value in pair if isinstance(value, str))


def _line(event: Event, waiting: list[Attachment], *, for_agents: bool) -> Entry:
    """One line of history; it takes the files that it speaks of out of `waiting`."""
    names: list[str] = []
    files: list[Attachment] = []
    if "attachments" in event.changes and "comment" not in event.changes:  # else the comment has them
        before, after = event.changes["attachments"]
        names = [str(name) for name in before or after or ()]
        if after:
            files = _taken(waiting, names, internal=event.internal)
    changes = [(name, old, new) for name, (old, new) in event.changes.items() if name not in _SILENT]
    if event.kind == "resolved":
        changes = [change for change in changes if change[0] not in ("status", "resolution")]
    if event.kind in _SAID_BY_THE_KIND:
        changes = []
    kind = event.kind
    if kind == "created" and "reason" in event.changes:
        kind = "answered"
    if kind in _ABOUT_OTHERS:
        before, otherwise, tail = _ABOUT_OTHERS[kind]
        tail = " ".join(part for part in (tail, _moved(event)) if part)
        line = Entry(event.id, event.at, event.actor, words=before, otherwise=otherwise, tail=tail, kind=kind)
        return replace(line, tied=_tied(event), files=files, internal=event.internal)
    words = _WORDS.get(event.kind, "" if event.kind in ("changed", "commented") else event.kind.replace("_", " "))
    if event.kind == "triaged":
        words = _taken_up(event, for_agents=for_agents)
    if event.kind == "reopened":
        words = _REOPENED.get(str(event.changes.get("reason", ("", ""))[1]), words)
        words = " ".join(part for part in (words, _moved(event)) if part)
        files += _came_back(event, waiting)
    return Entry(event.id, event.at, event.actor, None, words, changes, files, names, event.internal, kind=kind)


def _moved(event: Event) -> str:
    """What a split took from one ticket to the other."""
    away, back = event.changes.get(MOVED, (None, None))
    moved = away or back
    if not moved:
        return ""
    counts = ((len(moved["comments"]), "comment"), (len(moved["attachments"]), "file"))
    what = " and ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts if count)
    return f"with {what} sent there" if away else f"with {what} sent here while it was merged"


def _came_back(event: Event, waiting: list[Attachment]) -> list[Attachment]:
    """The files of the ticket itself that a split gave back to it."""
    ids = (event.changes.get(MOVED, (None, None))[1] or {}).get("attachments", ())
    files = [file for file in waiting if file.id in ids]
    waiting[:] = [file for file in waiting if file.id not in ids]
    return files


def _tied(event: Event) -> Sequence[str]:
    """The ids of the tickets that a line ties or unties."""
    before, after = event.changes.get("links") or ((), ())
    sides = ({link["ticket_id"]: None for link in side} for side in (before or (), after or ()))
    old, new = sides
    return [one for one in {**old, **new} if (one in old) != (one in new)]


def _taken_up(event: Event, *, for_agents: bool) -> str:
    """Whose suggestion it was, for agents; to others it is a change like any other."""
    by = str(event.changes.get("assistant", ("", ""))[1] or OFFLINE)
    return f"took a suggestion of {by.replace(OFFLINE, 'the built-in assistant')}:" if for_agents else ""


def _taken(waiting: list[Attachment], names: list[str], *, internal: bool) -> list[Attachment]:
    found = []
    for name in names:
        file = next((one for one in waiting if (one.name, one.internal) == (name, internal)), None)
        if file is not None:
            waiting.remove(file)
            found.append(file)
    return found


def is_picture(file: Attachment) -> bool:
    """Whether the page shows it: a picture that can hold no script. Everything else is a download."""
    return file.content_type.startswith("image/") and is_shown(file.content_type)
