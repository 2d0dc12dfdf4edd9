"""What is written together when something is taken, and what goes back to a ticket that is split off.

What somebody sends on a merged ticket lies on the ticket that goes on, and is marked with the one it came `via`. After
a split that one has it again: its writer reads it there, and the other ticket's requester no longer does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from backend.domain.attachments import Attachment
from backend.domain.tickets import Comment, Event, Ticket, Written

MOVED = "moved"
"""In a line of history: the ids of comments and files that came from another ticket, or went there."""


@dataclass(frozen=True, slots=True)
class Return:
    """Whatever lies on the ticket `source` and came via one of these tickets goes to the ticket `target`."""

    source: str
    target: str
    via: frozenset[str]

    def comment_at_target(self, comment: Comment) -> Comment:
        """The comment as it is after the move."""
        return replace(comment, ticket_id=self.target, via=self._via_after(comment.via))

    def file_at_target(self, file: Attachment) -> Attachment:
        """The file's record as it is after the move."""
        return replace(file, ticket_id=self.target, via=self._via_after(file.via))

    def _via_after(self, via: str | None) -> str | None:
        return None if via == self.target else via


class Spoken(NamedTuple):
    """The comments and files on one ticket that a return speaks of."""

    comments: Sequence[Comment] = ()
    attachments: Sequence[Attachment] = ()

    def with_more(self, other: "Spoken") -> "Spoken":
        """Both."""
        return Spoken((*self.comments, *other.comments), (*self.attachments, *other.attachments))


@dataclass(frozen=True, slots=True)
class Taken:
    """What is written together: tickets with their lines of history, new ones with the number 0, and what hangs on
    them. A ticket that stands there twice changed twice. `returns`: what else moves, which only the store knows."""

    written: Sequence[Written] = ()
    comment: Comment | None = None
    attachments: Sequence[Attachment] = ()
    returns: Sequence[Return] = ()


Take = Callable[[Sequence[Ticket]], Taken]
"""From tickets as they are stored to what is written. It may be called again, as an `Edit` may."""


def with_moves_told(taken: Taken, spoken: Mapping[Return, Spoken]) -> Taken:
    """The same with what moves in the first line of history of each ticket, so that its readers know of it."""
    away: dict[str, Spoken] = {}
    back: dict[str, Spoken] = {}
    for one, items in spoken.items():
        if any(items):
            away[one.source] = away.get(one.source, Spoken()).with_more(items)
            back[one.target] = back.get(one.target, Spoken()).with_more(items)
    written = []
    for ticket, line in taken.written:
        if ticket.id in away:
            written.append(_told(ticket, line, (_ids(away.pop(ticket.id)), None)))
        elif ticket.id in back:
            written.append(_told(ticket, line, (None, _ids(back.pop(ticket.id)))))
        else:
            written.append((ticket, line))
    return replace(taken, written=written)


def _told(ticket: Ticket, line: Event, moved: tuple[object, object]) -> Written:
    """Requesters are told too: what they could read is elsewhere now."""
    if line.internal:
        ticket = ticket._replace(public_version=ticket.public_version + 1, public_updated_at=ticket.updated_at)
    return ticket, replace(line, changes={**line.changes, MOVED: moved}, internal=False)


def _ids(spoken: Spoken) -> dict[str, list[str]]:
    return {"comments": [one.id for one in spoken.comments], "attachments": [one.id for one in spoken.attachments]}
