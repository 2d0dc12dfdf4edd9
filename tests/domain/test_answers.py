"""Whatever became of the tickets, what a requester sends is written once, on a ticket that is active after it."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.access import Caller, Role
from backend.domain.answers import is_past, take
from backend.domain.edits import Desk
from backend.domain.tickets import ACTIVE, Comment, Link, LinkKind, Participant, Status, Ticket
from backend.domain.values import instant_of, new_id
from tests.builders import a_ticket, an_attachment

NOW = "2026-11-30T12:00:00.000000Z"
EMMA = Caller("t", "Emma", Role.REQUESTER, "emma@example.org")


@st.composite
def chains(draw: st.DrawFn) -> list[Ticket]:
    """Emma's ticket and those it came to by merging, the last of any status, perhaps in the trash."""
    count = draw(st.integers(1, 4))
    found = [a_ticket(requester="emma@example.org" if n == 0 else f"r{n}@example.org") for n in range(count)]
    for n in range(count - 1):
        one, other = found[n], found[n + 1]
        found[n] = one._replace(status=Status.CLOSED, links=(*one.links, Link(LinkKind.MERGED_INTO, other.id)))
        participants = (*one.participants, Participant(one.id, one.requester))
        found[n + 1] = other._replace(links=(Link(LinkKind.MERGED_FROM, one.id),), participants=participants)
    status = draw(st.sampled_from(Status))
    ago = timedelta(days=draw(st.integers(0, 60)))
    over = None if status in ACTIVE else instant_of(datetime.fromisoformat(NOW) - ago)
    deleted = NOW if count > 1 and draw(st.booleans()) else None
    assignee = draw(st.sampled_from([None, "ada@example.org"]))
    found[-1] = found[-1]._replace(status=status, resolved_at=over, deleted_at=deleted, assignee=assignee)
    return found


@given(chains(), st.integers(0, 60), st.integers(0, 2), st.booleans())
def test_nothing_is_lost(chain: list[Ticket], days: int, files: int, words: bool) -> None:
    comment = Comment(new_id(), chain[0].id, "Emma", "Still broken", False, NOW) if words or not files else None
    sent = [an_attachment(chain[0], f"{n}.txt") for n in range(files)]
    taken = take(Desk(EMMA, lambda: NOW), comment, sent, days)(chain)
    after = {ticket.id: ticket for ticket, _ in taken.written}
    (where,) = {one.ticket_id for one in (taken.comment, *taken.attachments) if one}
    ticket = after[where]
    assert ticket.status in ACTIVE and ticket.deleted_at is None
    assert EMMA.address in (ticket.requester, *ticket.participating)
    end, known = chain[-1], {one.id for one in chain}
    if end.deleted_at:
        assert ticket.id == chain[0].id and ticket.merged_into is None
        assert all(EMMA.address not in after[one.id].participating for one in chain[1:])
    elif is_past(end, NOW, days):
        assert where not in known and Link(LinkKind.FOLLOWS, end.id) in ticket.links
        assert Link(LinkKind.FOLLOWED_BY, where) in after[end.id].links and after[end.id].status is end.status
        assert comment is None or ticket.description == comment.body
    else:
        assert where == end.id
        if end.status not in ACTIVE:
            assert ticket.status is (Status.IN_PROGRESS if end.assignee else Status.OPEN)
            assert taken.written[-1][1].changes["reason"] == (None, "answered")
    assert len(taken.attachments) == files and (taken.comment is None) == (comment is None)
    for one in known & after.keys():
        before = next(ticket for ticket in chain if ticket.id == one)
        assert after[one].version - before.version == sum(event.ticket_id == one for _, event in taken.written)
