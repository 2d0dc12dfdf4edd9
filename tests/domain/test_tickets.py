"""The status rules, for every pair of states."""

import pytest

from backend.domain.access import Caller, Role
from backend.domain.tickets import ACTIVE, TRANSITIONS, Status, Ticket, TicketDraft, changed, differences, new_ticket
from backend.errors import Conflict

ADA = Caller("t", "Ada", Role.AGENT, "ada@example.org")
DRAFT = TicketDraft(title="T", description="D", severity="low", category="C")


def ticket_with(status: Status) -> Ticket:
    return new_ticket(ADA, DRAFT, "2026")._replace(status=status, resolved_at=None if status in ACTIVE else "2026")


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_status_goes_only_where_it_may(before: Status, after: Status) -> None:
    ticket = ticket_with(before)
    if before != after and after not in TRANSITIONS[before]:
        with pytest.raises(Conflict):
            changed(ticket, "2027", status=after)
        return
    result = changed(ticket, "2027", status=after)
    assert (result.resolved_at is None) == (after in ACTIVE)
    assert (result.version, result.updated_at) == (2, "2027")


def test_from_everywhere_there_is_a_way_to_everywhere() -> None:
    for start in Status:
        reached = {start}
        for _ in Status:
            reached |= {target for status in reached for target in TRANSITIONS[status]}
        assert reached == set(Status)


def test_differences_leave_out_the_bookkeeping() -> None:
    ticket = ticket_with(Status.OPEN)
    assert differences(ticket, changed(ticket, "2027")) == {}
    assert differences(ticket, changed(ticket, "2027", title="X")) == {"title": ("T", "X")}
