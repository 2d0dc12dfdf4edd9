"""Labels that fold alike: rules for any names."""

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.labels import (
    EXTERNAL_TAG,
    LabelKind,
    Spelling,
    asked_for,
    names_of,
    respelled,
    spelling,
    spellings,
    widened,
)
from backend.domain.pages import TicketFilter
from backend.domain.search import Condition
from backend.domain.text import clean_line, folded
from tests.builders import a_ticket

NAMES = (
    (st.text(min_size=1, max_size=12) | st.sampled_from(["VPN", "vpn", "ＶＰＮ", "Straße", "STRASSE", "ﬁ", "ǰ", "ᾳ"]))
    .map(clean_line)
    .filter(bool)
)


@given(NAMES)
def test_folding_is_done_once_and_for_all(name: str) -> None:
    fold = folded(name)
    assert folded(fold) == fold == folded(f" {name}\n") == folded(clean_line(name))
    assert folded(name.casefold()) == fold


def test_what_folds_alike() -> None:
    for ways in (
        ("VPN", "vpn", "ＶＰＮ", " vpn "),
        ("Café", "CAFE\u0301"),
        ("Straße", "STRASSE"),
        ("a  b", "A\u00a0b"),
    ):
        assert len({folded(way) for way in ways}) == 1
    assert len({folded(name) for name in ("ä", "a", "ae", "vpn", "vpn2", "a b", "ab")}) == 7


@given(st.lists(NAMES, max_size=6), NAMES, st.none() | NAMES)
def test_a_ticket_is_respelled_once(tags: list[str], category: str, team: str | None) -> None:
    ticket = a_ticket(tags=tuple(dict.fromkeys(tags)), category=category, team=team)
    known = {one.label: Spelling(one.label, one.name.upper() or one.name) for one in spellings(names_of(ticket))}
    after = respelled(ticket, known)
    assert respelled(after, known) == after or folded(category.upper()) != folded(category)
    assert len(after.tags) <= len(ticket.tags) and len(set(after.tags)) == len(after.tags)
    assert respelled(ticket, {}) is ticket


@given(NAMES, st.lists(NAMES, max_size=3))
def test_a_filter_asks_for_every_spelling(name: str, others: list[str]) -> None:
    one = spelling(LabelKind.TAG, name)
    where = TicketFilter(tag=(name,), also=(Condition("tag", (name,), excluded=True), Condition("assignee", (None,))))
    if one is None:
        assert name.startswith(EXTERNAL_TAG) and widened(where, {}) == where
        return
    assert [found.label for found in asked_for(where)] == [one.label]
    wide = widened(where, {one.label: Spelling(one.label, "X", tuple(others))})
    assert set(wide.tag) == {name, "X", *others} and len(set(wide.tag)) == len(wide.tag)
    assert wide.also == (Condition("tag", wide.tag, excluded=True), where.also[1])
    assert widened(where, {}) == where
