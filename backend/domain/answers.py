"""What becomes of what a requester sends: it reaches a ticket that somebody works on, whatever became of theirs.

| their ticket | where it goes |
| --- | --- |
| active | there |
| resolved or closed, no longer than REOPEN_DAYS ago | there, and reopens it |
| resolved or closed before that | a new ticket, linked to the old one |
| merged | the ticket at the end of the merges, by the same rules |
| merged into one that is in the trash | their own ticket, split off again |
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from backend.domain import edits, links
from backend.domain.access import Role
from backend.domain.attachments import Attachment
from backend.domain.edits import Desk
from backend.domain.links import MOST_LINKS
from backend.domain.sla import promised
from backend.domain.takes import Take, Taken
from backend.domain.tickets import (
    ACTIVE,
    JUST_FILED,
    Comment,
    Link,
    LinkKind,
    Participant,
    Ticket,
    changed,
    differences,
    event,
    must_be_present,
)
from backend.domain.values import Instant, instant_of, new_id

ANSWERED = "answered"
_LONGEST_TITLE = 200


def is_past(ticket: Ticket, at: Instant, reopen_days: int) -> bool:
    """Whether it is over for so long that an answer opens a new ticket."""
    if ticket.status in ACTIVE:
        return False
    over_since = datetime.fromisoformat(ticket.resolved_at or ticket.updated_at)
    return instant_of(over_since + timedelta(days=reopen_days)) <= at


def take(desk: Desk, comment: Comment | None, files: Sequence[Attachment], reopen_days: int) -> Take:
    """The answer of a requester: a public comment, files, or both. Their ticket ids are set here.

    It is given their ticket and each one that it came to by merging, in that order. Raises TicketNotFound, ChainMoved.
    """

    def decide(chain: Sequence[Ticket]) -> Taken:
        must_be_present(desk.caller, chain[0])
        links.must_be_chain(chain)
        before = Taken()
        ticket = chain[-1]
        if ticket.deleted_at is not None:
            before = links.split_off(desk, chain, ANSWERED)
            ticket = before.written[0][0]
        elif is_past(ticket, desk.now(), reopen_days):
            return _anew(desk, ticket, comment, files)
        elif len(chain) > 1:
            ticket = _joined(ticket, chain[0])
        via = _via(desk, chain[0], ticket)
        comment_via = replace(comment, via=via) if comment else None
        return _there(desk, before, ticket, comment_via, [replace(file, via=via) for file in files])

    return decide


def _via(desk: Desk, sent_on: Ticket, ticket: Ticket) -> str | None:
    """The merged ticket through which somebody is heard on this one, also where they write there at once; None where
    it is their own."""
    if sent_on.id != ticket.id:
        return sent_on.id
    if desk.caller.is_at_least(Role.AGENT) or desk.caller.address == ticket.requester:
        return None
    return next((one.ticket_id for one in ticket.participants if one.address == desk.caller.address), None)


def _joined(ticket: Ticket, one: Ticket) -> Ticket:
    """With the requester of the merged ticket among the participants, where an older version merged them."""
    mine = Participant(one.id, one.requester)
    return ticket if mine in ticket.participants else ticket._replace(participants=(*ticket.participants, mine))


def _there(desk: Desk, before: Taken, ticket: Ticket, comment: Comment | None, files: Sequence[Attachment]) -> Taken:
    """On this ticket, which is reopened where it is over."""
    written = list(before.written)
    if comment is not None:
        comment = replace(comment, ticket_id=ticket.id)
        owned = [file.sent_with(ticket.id, comment.id, comment.internal) for file in files]
        written.append(edits.said(desk, ticket, comment, owned))
        ticket = written[-1][0]
    else:
        owned = [replace(file, ticket_id=ticket.id) for file in files]
        at = desk.now()
        names: dict[str, Any] = {"attachments": (None, [file.name for file in owned])}
        names |= edits.sent_via(owned[0].via)
        ticket = changed(ticket, at)
        written.append((ticket, event(desk.caller, ticket.id, at, "attached", names)))
    if ticket.status not in ACTIVE:
        written.append(edits.reopened(desk, ticket, ANSWERED))
    return Taken(written, comment, owned, before.returns)


def _anew(desk: Desk, old: Ticket, comment: Comment | None, files: Sequence[Attachment]) -> Taken:
    """As a new ticket. Category and team stay as they are, also where they are no longer active: what somebody sent
    is not refused for that."""
    at = desk.now()
    names = [file.name for file in files]
    ticket = Ticket(
        **JUST_FILED,
        id=new_id(),
        title=_again(old.title),
        description=comment.body if comment else f"Sent to #{old.number}: {', '.join(names)}",
        severity=old.severity,
        category=old.category,
        requester=desk.caller.address,
        assignee=None,
        team=old.team,
        tags=old.tags,
        links=(Link(LinkKind.RELATED, old.id),),
        created_at=at,
        updated_at=at,
        public_updated_at=at,
    )
    ticket = promised(desk.setup.policy, ticket)
    told = {"attachments": (None, names)} if names else {}
    tie = Link(LinkKind.RELATED, ticket.id)
    tied = changed(old, at, links=(*old.links, tie) if len(old.links) < MOST_LINKS else old.links)
    followed = differences(old, tied) | {"reason": (None, ANSWERED)}
    words = comment and replace(comment, id=ticket.id, ticket_id=ticket.id)
    return Taken(
        [
            (ticket, event(desk.caller, ticket.id, at, "created", {**told, "reason": (None, ANSWERED)})),
            (tied, event(desk.caller, old.id, at, "followed", followed)),
        ],
        words,
        [replace(file, ticket_id=ticket.id) for file in files],
    )


def _again(title: str) -> str:
    again = title if title.casefold().startswith("re:") else f"Re: {title}"
    return again if len(again) <= _LONGEST_TITLE else f"{again[: _LONGEST_TITLE - 1]}…"
