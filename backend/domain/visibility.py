"""What of a ticket is internal because it came with a note, for tickets of before a file knew its comment."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from backend.domain.attachments import Attachment
from backend.domain.tickets import Comment, Event
from backend.domain.values import Instant

ONE_ACT = timedelta(seconds=3)
"""A page wrote the files first and the note right after them, each in a commit of its own."""


class Corrected(NamedTuple):
    """A ticket's files and history as they should have been written."""

    attachments: tuple[Attachment, ...]
    history: tuple[Event, ...]


def corrected(comments: Sequence[Comment], attachments: Sequence[Attachment], history: Sequence[Event]) -> Corrected:
    """Make internal what came in one act with an internal note: the files, and the lines of history that name them.

    One act: by the same person, at the same moment, and with no public comment of theirs at that moment. Again, it
    changes nothing more.
    """
    lines = [line for line in history if line.kind in ("created", "attached") and _names(line, 1)]
    notes = {line.id: note for line in lines if line.kind == "attached" and (note := _note_of(line, comments))}
    files = tuple(_corrected_file(file, lines, notes) for file in attachments)
    return Corrected(files, tuple(_corrected_lines(history, notes)))


def _note_of(line: Event, comments: Sequence[Comment]) -> Comment | None:
    """The note that the files of this line came with."""
    near = [one for one in comments if one.author == line.actor and _apart(one.created_at, line.at) <= ONE_ACT]
    if not near or not all(one.internal for one in near):
        return None
    return min(near, key=lambda one: _apart(one.created_at, line.at))


def _apart(one: Instant, other: Instant) -> timedelta:
    return abs(datetime.fromisoformat(one) - datetime.fromisoformat(other))


def _corrected_file(file: Attachment, lines: Sequence[Event], notes: dict[str, Comment]) -> Attachment:
    """A file belongs to the first line after it came that is its uploader's and names it."""
    if file.comment_id is not None or file.internal:
        return file
    line = next(
        (
            one
            for one in lines
            if one.at >= file.created_at and one.actor == file.uploader and file.name in _names(one, 1)
        ),
        None,
    )
    note = notes.get(line.id) if line else None
    return replace(file, comment_id=note.id, internal=True) if note else file


def _corrected_lines(history: Sequence[Event], notes: dict[str, Comment]) -> Iterator[Event]:
    """A removal is internal where only internal lines have named the file before."""
    public: set[str] = set()
    hidden: set[str] = set()
    for line in history:
        internal = line.internal or line.id in notes
        if line.kind == "detached":
            names = set(_names(line, 0))
            internal = internal or (names <= hidden and names.isdisjoint(public))
        else:
            (hidden if internal else public).update(_names(line, 1))
        yield line if internal == line.internal else replace(line, internal=True)


def _names(line: Event, side: int) -> list[str]:
    """The files that a line says were there before (0) or after (1)."""
    pair = line.changes.get("attachments")
    return [str(name) for name in pair[side] or ()] if pair else []
