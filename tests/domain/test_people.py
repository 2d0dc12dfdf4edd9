"""Who is who on tickets."""

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.addresses import normal
from backend.domain.people import with_normal_addresses
from tests.builders import a_ticket

WRITTEN = st.sampled_from(
    ["Ada <ADA@x.org>", "ada@x.org;", "ada@x.org", "Bob@X.org", "Front desk", "token:01kbx5z9n0qw3e4r5t6y7v8a9b"]
)


@given(WRITTEN, st.none() | WRITTEN, st.lists(WRITTEN, max_size=4))
def test_tickets_of_earlier_versions_name_everybody_in_one_form(
    requester: str, assignee: str | None, watchers: list[str]
) -> None:
    ticket = a_ticket(requester=requester, assignee=assignee, watchers=tuple(watchers))
    found = with_normal_addresses(ticket)
    assert found.requester == normal(requester)
    assert found.assignee == (normal(assignee) if assignee else None)
    assert list(found.watchers) == list(dict.fromkeys(map(normal, watchers)))
    assert with_normal_addresses(found) is found
    assert found._replace(requester=requester, assignee=assignee, watchers=tuple(watchers)) == ticket
