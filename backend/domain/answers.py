"""What becomes of what a requester sends: it reaches a ticket that somebody works on, whatever became of theirs.

| their ticket | where it goes |
| --- | --- |
| active | there |
| resolved or closed, no longer than REOPEN_DAYS ago | there, and reopens it |
| resolved or closed before that | a new ticket, linked to the old one; later answers follow there, by the same rules |
| merged | the ticket at the end of the merges, by the same rules |
| merged into one that is in the trash | their own ticket, split off again |
"""

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from backend.domain import edits, links
from backend.domain.access import Caller, Role
from backend.domain.attachments import Attachment
from backend.domain.edits import Desk
from backend.domain.links import MOST_LINKS, ChainMoved
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
_MOST_TIES = 2 * MOST_LINKS
"""More than by hand: a late answer that leaves no tie would open a new ticket each time."""


def is_past(ticket: Ticket, at: Instant, reopen_days: int) -> bool:
    """Whether it is over for so long that an answer opens a new ticket."""
    if ticket.status in ACTIVE:
        return False
    over_since = datetime.fromisoformat(ticket.resolved_at or ticket.updated_at)
    return instant_of(over_since + timedelta(days=reopen_days)) <= at


def follow_ups(ticket: Ticket) -> Sequence[str]:
    """The ids of the tickets that late answers to this one opened, the newest first."""
    return [link.ticket_id for link in reversed(ticket.links) if link.kind is LinkKind.FOLLOWED_BY]


def goes_on_there(caller: Caller, follow_up: Ticket) -> bool:
    """Whether a late answer of the caller's goes there: to what they opened themselves, unless it is in the trash."""
    return follow_up.requester == caller.address and follow_up.deleted_at is None


def legs_of(way: Sequence[Ticket]) -> Sequence[Sequence[Ticket]]:
    """The way of an answer, in legs: a ticket and those that it came to by merging, then the follow-up of the last one
    and those that it came to, and so on."""
    legs = [[way[0]]]
    for ticket in way[1:]:
        if legs[-1][-1].merged_into is not None:
            legs[-1].append(ticket)
        else:
            legs.append([ticket])
    return legs


def take(
    desk: Desk,
    comment: Comment | None,
    files: Sequence[Attachment],
    reopen_days: int,
    looked_at: Container[str] = (),
) -> Take:
    """The answer of a requester: a public comment, files, or both. Their ticket ids are set here.

    It is given the way that the answer goes (see `legs_of`); `looked_at` are the follow-ups that were considered for
    it. Raises TicketNotFound, ChainMoved where it is no longer the way.
    """

    def decide(way: Sequence[Ticket]) -> Taken:
        must_be_present(desk.caller, way[0])
        *legs, leg = legs_of(way)
        starts = [one[0] for one in (*legs, leg)]
        for before, start in zip(legs, starts[1:], strict=True):
            links.must_be_chain(before)
            passes = before[-1].deleted_at is None and is_past(before[-1], desk.now(), reopen_days)
            if not passes or start.id not in follow_ups(before[-1]) or not goes_on_there(desk.caller, start):
                raise ChainMoved
        links.must_be_chain(leg)
        ticket = leg[-1]
        split = Taken()
        if ticket.deleted_at is not None:
            split = links.split_off(desk, leg, ANSWERED)
            ticket = split.written[0][0]
        elif is_past(ticket, desk.now(), reopen_days):
            if any(one not in looked_at for one in follow_ups(ticket)):
                raise ChainMoved  # another answer has just opened one
            return _anew(desk, ticket, comment, files)
        elif len(leg) > 1:
            ticket = _joined(ticket, leg[0])
        via = _via(desk, leg[0], ticket)
        comment_via = replace(comment, via=via) if comment else None
        return _there(desk, split, ticket, comment_via, [replace(file, via=via) for file in files])

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
        links=(Link(LinkKind.FOLLOWS, old.id),),
        created_at=at,
        updated_at=at,
        public_updated_at=at,
    )
    ticket = promised(desk.setup.policy, ticket)
    told = {"attachments": (None, names)} if names else {}
    tie = Link(LinkKind.FOLLOWED_BY, ticket.id)
    tied = changed(old, at, links=(*old.links, tie) if len(old.links) < _MOST_TIES else old.links)
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
