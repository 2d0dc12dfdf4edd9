"""Ties between two tickets, kept on both: links, merging duplicates, and splitting them again."""

from collections.abc import Container, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from backend.domain import edits
from backend.domain.access import Role
from backend.domain.edits import Desk, Versions
from backend.domain.takes import Return, Take, Taken
from backend.domain.tickets import (
    ACTIVE,
    COUNTERPART,
    MOST_WATCHERS,
    EditMany,
    Link,
    LinkKind,
    Participant,
    Status,
    Ticket,
    Written,
    changed,
    differences,
    event,
    must_be_present,
    must_see,
)
from backend.errors import Conflict, LinkNotFound

MOST_LINKS = 100
MOST_PARTICIPANTS = 100
_BY_MERGING = frozenset({LinkKind.MERGED_INTO, LinkKind.MERGED_FROM})
_BY_ANSWERING = frozenset({LinkKind.FOLLOWS, LinkKind.FOLLOWED_BY})
_EXAMPLE = "01KBX5Z9N0QW3E4R5T6Y7V8A9B"


class MergeDraft(BaseModel):
    """Which ticket goes on in place of this one."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"into": _EXAMPLE}]})

    into: str = Field(max_length=64, description="the id of the ticket that goes on")
    reopen: bool = Field(
        default=True,
        description="whether that one is reopened where it is resolved or closed and this one is not",
    )


class LinkDraft(BaseModel):
    """A tie to another ticket."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"kind": "duplicate_of", "ticket_id": _EXAMPLE}]},
    )

    kind: LinkKind = Field(
        description="related, duplicate_of or duplicated_by; the others come from merging and answers"
    )
    ticket_id: str = Field(max_length=64)

    @field_validator("kind")
    @classmethod
    def _made_by_hand(cls, kind: LinkKind) -> LinkKind:
        if kind in _BY_MERGING:
            raise ValueError("comes from merging alone: POST …/merge")
        if kind in _BY_ANSWERING:
            raise ValueError("comes from a requester's late answer alone")
        return kind


def merge(desk: Desk, if_version: Versions, *, reopen: bool = True) -> EditMany:
    """Close the first ticket in favour of the second, whose watchers then are those of both and the requester.

    The first one's requester takes part in the second from now on. What was promised for the first is promised no
    more. `reopen`: the second goes on where the first was still to be done.
    """
    desk.caller.must_be(Role.AGENT)

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        desk.may_change(one, if_version)
        _must_be_open_to(desk, other)
        watchers = dict.fromkeys((*other.watchers, *one.watchers, one.requester))
        watchers.pop(other.requester, None)
        if len(watchers) > MOST_WATCHERS:
            raise Conflict(f"The ticket {other.id} would have more than {MOST_WATCHERS} watchers; remove some first.")
        participants = (*other.participants, *one.participants, Participant(one.id, one.requester))
        if len(participants) > MOST_PARTICIPANTS:
            raise Conflict(f"The ticket {other.id} stands for {MOST_PARTICIPANTS} others already, the most it may.")
        taken = {
            "watchers": tuple(watchers),
            "links": _tied(other, LinkKind.MERGED_FROM, one),
            "participants": participants,
        }
        absorbed = desk.written(other, "absorbed", taken)
        assert absorbed is not None
        written = [_closed(desk, one, other), absorbed]
        if reopen and one.status in ACTIVE and other.status not in ACTIVE:
            written.append(edits.reopened(desk, absorbed[0], "merged"))
        return written

    return edit


def _closed(desk: Desk, one: Ticket, other: Ticket) -> Written:
    at = desk.now()
    unpromised = {"due_at": None, "first_response_due_at": None, "paused_at": None}
    links = _tied(one, LinkKind.MERGED_INTO, other)
    after = changed(one, at, status=Status.CLOSED, links=links, **unpromised)
    return after, event(desk.caller, one.id, at, "merged", differences(one, after))


def split(desk: Desk, if_version: Versions) -> Take:
    """Undo a merge: the first ticket is open again, and the second goes on without it.

    Given the first and every ticket that it came to by merging, in that order (see `must_be_chain`).
    """

    def decide(chain: Sequence[Ticket]) -> Taken:
        one, other = chain[:2]
        must_be_present(desk.caller, one)
        must_see(desk.caller, other)
        desk.must_be_at(one, if_version)
        if one.merged_into != other.id:
            raise Conflict("The ticket is no longer merged into that one; read it again.")
        must_be_chain(chain)
        return split_off(desk, chain)

    return decide


def must_be_chain(found: Sequence[Ticket]) -> None:
    """Raises ChainMoved unless each ticket is merged into the next one and the last into none."""
    if [ticket.merged_into for ticket in found] != [*(ticket.id for ticket in found[1:]), None]:
        raise ChainMoved


class ChainMoved(Conflict):
    """What a ticket is merged into has changed since it was read."""

    def __init__(self) -> None:
        super().__init__("Others merge or split these tickets at this moment; try again.")


def split_off(desk: Desk, chain: Sequence[Ticket], reason: str | None = None) -> Taken:
    """The first of a chain goes on by itself; whoever took part through it does so no more, all the way up, and what
    they said through it comes back to it."""
    one, other, *above = chain
    gone = frozenset({one.id, *(participant.ticket_id for participant in one.participants)})
    opened = {"status": Status.OPEN, "links": _untied(one, other)}
    written = [
        desk.written(one, "reopened", opened, {"reason": (None, reason)} if reason else None),
        desk.written(other, "split", {"links": _untied(other, one), **_without(other, gone)}),
    ]
    for ticket in above:
        at = desk.now()
        after = changed(ticket, at, **_without(ticket, gone))
        written.append((after, event(desk.caller, ticket.id, at, "split", internal=True)))
    return Taken(_both(*written), returns=[Return(ticket.id, one.id, gone) for ticket in chain[1:]])


def _without(ticket: Ticket, gone: Container[str]) -> dict[str, Any]:
    """Participants and watchers without those who were there for tickets that are gone."""
    stay = tuple(one for one in ticket.participants if one.ticket_id not in gone)
    left = {one.address for one in ticket.participants} - {one.address for one in stay}
    return {"participants": stay, "watchers": tuple(one for one in ticket.watchers if one not in left)}


def link(desk: Desk, kind: LinkKind, if_version: Versions) -> EditMany:
    """Tie two tickets, in place of what tied them before."""
    desk.caller.must_be(Role.AGENT)

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        desk.may_change(one, if_version)
        present = next((tie.kind for tie in one.links if tie.ticket_id == other.id), None)
        if present is kind or (kind is LinkKind.RELATED and present in _BY_ANSWERING):  # which says more
            return ()
        if present in _BY_MERGING:
            raise Conflict(f"The ticket {other.id} was merged into this one; reopen it first to split it off again.")
        _must_be_open_to(desk, other)
        return _both(
            desk.written(one, "linked", {"links": _tied(one, kind, other)}),
            desk.written(other, "linked", {"links": _tied(other, COUNTERPART[kind], one)}),
        )

    return edit


def unlink(desk: Desk, if_version: Versions) -> EditMany:
    """Untie two tickets, also where the other one is in the trash."""
    desk.caller.must_be(Role.AGENT)

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        desk.may_change(one, if_version)
        must_see(desk.caller, other)
        tie = next((tie for tie in one.links if tie.ticket_id == other.id), None)
        if tie is None:
            raise LinkNotFound(other.id)
        if tie.kind in _BY_MERGING:
            raise Conflict("These tickets were merged; reopen the one that was merged to split them again.")
        return _both(
            desk.written(one, "unlinked", {"links": _untied(one, other)}),
            desk.written(other, "unlinked", {"links": _untied(other, one)}),
        )

    return edit


def _must_be_open_to(desk: Desk, other: Ticket) -> None:
    """Raises TicketNotFound, and Conflict that names the other ticket where it is in the trash or was merged."""
    must_see(desk.caller, other)
    if other.deleted_at is not None:
        raise Conflict(f"The ticket {other.id} is in the trash; restore it first.")
    if other.merged_into is not None:
        raise Conflict(
            f"The ticket {other.id} was merged into {desk.shown(other).merged_into or 'another one'} itself."
        )


def _tied(ticket: Ticket, kind: LinkKind, other: Ticket) -> tuple[Link, ...]:
    links = (*_untied(ticket, other), Link(kind, other.id))
    if len(links) > MOST_LINKS:
        raise Conflict(f"The ticket {ticket.id} has {MOST_LINKS} links already, the most it may have.")
    return links


def _untied(ticket: Ticket, other: Ticket) -> tuple[Link, ...]:
    return tuple(link for link in ticket.links if link.ticket_id != other.id)


def _both(*written: Written | None) -> Sequence[Written]:
    return tuple(one for one in written if one)
