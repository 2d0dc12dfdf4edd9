"""Who is who on tickets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.addresses import normal
from backend.domain.people import People, Person, with_normal_addresses
from backend.errors import Unprocessable
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


PEOPLE = People.of(
    [
        Person("ada@x.org", "Ada Lovelace"),
        Person("ada@x.org", "Ada L."),
        Person("mia.keller@x.org", "Mia Keller"),
        Person("twin1@x.org", "Twin"),
        Person("twin2@x.org", "Twin"),
        Person("token:01KBX5Z9N0QW3E4R5T6Y7V8A9B", "Kiosk"),
        Person("admin", "admin"),
    ]
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@x.org", "ada@x.org"),
        ("Ada <ADA@X.ORG>;", "ada@x.org"),
        ("ada lovelace", "ada@x.org"),
        (" Ada  L. ", "ada@x.org"),
        ("Kiosk", "token:01KBX5Z9N0QW3E4R5T6Y7V8A9B"),
        ("token:01kbx5z9n0qw3e4r5t6y7v8a9b", "token:01KBX5Z9N0QW3E4R5T6Y7V8A9B"),
        ("Admin", "admin"),
    ],
)
def test_an_address_or_a_name_of_one_person_alone_is_that_person(text: str, address: str) -> None:
    assert PEOPLE.find(text) == PEOPLE.known(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mia", "no agent has the name or address Mia; did you mean Mia Keller (mia.keller@x.org)?"),
        ("ada@x.rog", "no agent has the name or address ada@x.rog; did you mean Ada Lovelace (ada@x.org)?"),
        ("Ada Lovelase", "did you mean Ada Lovelace (ada@x.org)?"),
        (
            "Twin",
            "several agents are called Twin; enter the address of one: Twin (twin1@x.org), Twin (twin2@x.org)",
        ),
        ("zzzzzz", "no agent has the name or address zzzzzz"),
        ("me", "no agent has the name or address me"),
        ("x" * 200, "no agent has the name or address " + "x" * 60 + "…"),
    ],
)
def test_anybody_else_is_refused_with_the_nearest(text: str, said: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        PEOPLE.find(text)
    ((field, message),) = refused.value.problems
    assert field == "assignee" and said in message and "\n" not in message
    assert PEOPLE.known(text) is None


def test_me_is_whoever_asks() -> None:
    assert replace(PEOPLE, me="ada@x.org").find("ME") == "ada@x.org"


@given(st.text(max_size=300))
def test_no_words_make_anybody_else_of_it(text: str) -> None:
    assert People().known(text) is None
    assert PEOPLE.known(text) is None or PEOPLE.known(text) in PEOPLE.names
    assert len(PEOPLE.nearest(text)) <= 3
