"""What people do to one ticket, as edits: pure functions that the store applies (see `tickets.Edit`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.attachments import Attachment
from backend.domain.setup import Setup
from backend.domain.tickets import (
    ACTIVE,
    MOST_WATCHERS,
    Comment,
    Edit,
    ResolutionDraft,
    Status,
    Ticket,
    TicketChange,
    Written,
    changed,
    differences,
    event,
    may_write,
    must_be_present,
    must_see,
    seen_by,
    written,
)
from backend.domain.values import Instant, fingerprint
from backend.errors import Conflict, NotAllowed, PreconditionFailed

Versions = Sequence[int] | None
"""The versions that a change is meant for; None for any."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Who acts, by which clock, and under what administrators set up."""

    caller: Caller
    now: Callable[[], Instant]
    setup: Setup = field(default_factory=Setup)
    known: frozenset[str] | None = None
    """Which of the linked tickets the caller may know of; None: all."""

    def shown(self, ticket: Ticket) -> Ticket:
        """The ticket as the caller may see it: without links to what is none of their business.

        Of watchers and participants, requesters see only themselves, and of its changes those that they are told of.
        """
        ticket = seen_by(self.caller, ticket)
        if self.known is None:
            return ticket
        links = tuple(link for link in ticket.links if link.ticket_id in self.known)
        watchers = ticket.watchers
        participants = tuple(one for one in ticket.participants if one.ticket_id in self.known)
        if not self.caller.is_at_least(Role.AGENT):
            watchers = tuple(watcher for watcher in watchers if watcher == self.caller.address)
            participants = tuple(one for one in ticket.participants if one.address == self.caller.address)
        return ticket._replace(links=links, watchers=watchers, participants=participants)

    def tag(self, ticket: Ticket) -> str:
        """What tells this state of the ticket from others as the caller sees it: its version, and where links,
        participants or watchers are shown that may change without it, a digest of these."""
        shown = self.shown(ticket)
        apart = (shown.links, shown.participants, () if self.caller.is_at_least(Role.AGENT) else shown.watchers)
        if self.known is None or not any(apart):
            return str(shown.version)
        return f"{shown.version}.{fingerprint(*apart)[:8]}"

    def seeing(self, ticket_id: str) -> "Desk":
        """The same, where the caller may know of this ticket too."""
        return self if self.known is None else replace(self, known=self.known | {ticket_id})

    def must_go_on(self, ticket: Ticket) -> None:
        """Raises Conflict where the ticket was merged into another one: what it says can be done, the caller may do."""
        if ticket.merged_into is None:
            return
        other = self.shown(ticket).merged_into
        if not self.caller.is_at_least(Role.AGENT):
            raise Conflict(f"The ticket was merged into {other or 'another one'}: go on there.")
        if other is None:
            raise Conflict(
                "The ticket was merged into one of another team, which goes on with it: that team has to answer there, "
                "and an agent who may see both can split them."
            )
        raise Conflict(f"The ticket was merged into {other}: go on there, or reopen this one to split it off again.")

    def may_change(self, ticket: Ticket, if_version: Versions) -> None:
        """Raises TicketNotFound, Conflict (in the trash, merged), PreconditionFailed."""
        must_be_present(self.caller, ticket)
        self.must_be_at(ticket, if_version)
        self.must_go_on(ticket)

    def must_be_at(self, ticket: Ticket, if_version: Versions) -> None:
        """Raises PreconditionFailed where the ticket, as the caller sees it, is at none of these versions."""
        version = seen_by(self.caller, ticket).version
        if if_version is not None and version not in if_version:
            raise PreconditionFailed(f"The ticket is at version {version} now; read it again before you change it.")

    def written(
        self, before: Ticket, kind: str, values: dict[str, Any], said: dict[str, Any] | None = None
    ) -> Written | None:
        """The ticket with these values and its line of history, which also tells what was `said`; None: no change."""
        at = self.now()
        after = self.setup.timed(before, changed(before, at, **values))
        changes = {**(said or {}), **differences(before, after)}
        return written(before, after, event(self.caller, before.id, at, kind, changes)) if changes else None


def change(desk: Desk, patch: TicketChange, if_version: Versions) -> Edit:
    """Apply a merge patch. Raises NotAllowed at once."""
    values = patch.named()
    may_write(desk.caller, set(values))

    def edit(ticket: Ticket) -> Written | None:
        desk.may_change(ticket, if_version)
        if not desk.caller.is_at_least(Role.AGENT) and ticket.requester != desk.caller.address:
            raise NotAllowed("Only its requester and agents may change this ticket; you may answer on it.")
        return desk.written(ticket, "changed", desk.setup.settled(ticket, values, new=False))

    return edit


def resolve(desk: Desk, draft: ResolutionDraft, if_version: Versions) -> Edit:
    """Resolve. An agent's resolution is a first answer too. Raises NotAllowed at once."""
    desk.caller.must_be(Role.AGENT)

    def edit(ticket: Ticket) -> Written | None:
        desk.may_change(ticket, if_version)
        if ticket.status not in ACTIVE:
            raise Conflict(f"The ticket is {ticket.status} already; reopen it first.")
        values: dict[str, Any] = {"status": Status.RESOLVED, "resolution": draft.resolution}
        return desk.written(ticket, "resolved", values | _answered(desk, ticket, desk.now()))

    return edit


def reopen(desk: Desk, if_version: Versions) -> Edit:
    """Open again what is resolved or closed; its requester may do so too."""

    def edit(ticket: Ticket) -> Written | None:
        desk.may_change(ticket, if_version)
        if ticket.status in ACTIVE:
            raise Conflict(f"The ticket is {ticket.status}: there is nothing to reopen.")
        return desk.written(ticket, "reopened", {"status": Status.OPEN})

    return edit


def delete(desk: Desk, if_version: Versions) -> Edit:
    """Move to the trash, also what was merged. Raises NotAllowed at once."""
    desk.caller.must_be(Role.AGENT)

    def edit(ticket: Ticket) -> Written | None:
        must_be_present(desk.caller, ticket)
        desk.must_be_at(ticket, if_version)
        return desk.written(ticket, "deleted", {"deleted_at": desk.now()})

    return edit


def restore(desk: Desk, if_version: Versions) -> Edit:
    """Bring back from the trash. Raises NotAllowed at once."""
    desk.caller.must_be(Role.AGENT)

    def edit(ticket: Ticket) -> Written | None:
        must_see(desk.caller, ticket)
        desk.must_be_at(ticket, if_version)
        if ticket.deleted_at is None:
            raise Conflict("The ticket is not in the trash.")
        return desk.written(ticket, "restored", {"deleted_at": None})

    return edit


def say(desk: Desk, comment: Comment, files: Sequence[Attachment] = ()) -> Edit:
    """What a comment with its files does to its ticket: an agent's first public one is the first answer, and the
    requester's ends the waiting for it."""

    def edit(ticket: Ticket) -> Written:
        desk.may_change(ticket, None)
        return said(desk, ticket, comment, files)

    return edit


def said(desk: Desk, ticket: Ticket, comment: Comment, files: Sequence[Attachment] = ()) -> Written:
    """The same for whoever may say it there."""
    sent = {"attachments": (None, [file.name for file in files])} if files else {}
    values: dict[str, Any] = {}
    if not comment.internal:
        values |= _answered(desk, ticket, comment.created_at)
        if ticket.status is Status.WAITING and is_requester(desk.caller, ticket):
            values["status"] = Status.OPEN
    after = desk.setup.timed(ticket, changed(ticket, comment.created_at, **values))
    changes = {"comment": (None, comment.id), **sent_via(comment.via), **sent, **differences(ticket, after)}
    line = event(desk.caller, ticket.id, comment.created_at, "commented", changes, internal=comment.internal)
    return written(ticket, after, line)


def sent_via(via: str | None) -> dict[str, Any]:
    """That somebody sent it on a merged ticket, for the line of history."""
    return {"via": (None, via)} if via else {}


def is_requester(caller: Caller, ticket: Ticket) -> bool:
    """Whether it is their ticket, by themselves or by one that was merged into it. Agents have tickets of their own
    too; whoever is no agent sees no others."""
    return not caller.is_at_least(Role.AGENT) or caller.address in (ticket.requester, *ticket.participating)


def reopened(desk: Desk, ticket: Ticket, reason: str) -> Written:
    """Open again what is over, for a reason that the history tells: to whoever it is assigned, else to everybody."""
    status = Status.IN_PROGRESS if ticket.assignee else Status.OPEN
    written = desk.written(ticket, "reopened", {"status": status}, {"reason": (None, reason)})
    assert written is not None
    return written


def watch(desk: Desk, watching: bool, if_version: Versions) -> Edit:
    """Begin or end to be told of a ticket's changes."""
    me = desk.caller.address

    def edit(ticket: Ticket) -> Written | None:
        desk.may_change(ticket, if_version)
        others = tuple(watcher for watcher in ticket.watchers if watcher != me)
        if watching and len(others) >= MOST_WATCHERS:
            raise Conflict(f"The ticket has {MOST_WATCHERS} watchers already, the most it may have.")
        if watching == (me in ticket.watchers):
            return None
        values = {"watchers": (*others, me) if watching else others}
        return desk.written(ticket, "watched" if watching else "unwatched", values)

    return edit


def _answered(desk: Desk, ticket: Ticket, at: Instant) -> dict[str, Any]:
    """That this is the first answer, if it is one."""
    first = ticket.first_responded_at is None
    by_agent = desk.caller.is_at_least(Role.AGENT) and ticket.requester != desk.caller.address
    return {"first_responded_at": at} if first and by_agent else {}
