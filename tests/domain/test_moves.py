"""Whether two sides are told to be the same when they are, and only then."""

import pytest

from backend.domain.catalogue import Kind, new_record
from backend.domain.exports import Whole
from backend.domain.moves import Compared, Tally, Verdict, files_of, item_of, items_of, travelling
from backend.domain.values import now
from tests.builders import a_comment, a_ticket, a_token, an_attachment, an_event


def compared(ours: list[tuple[str, bytes]], theirs: list[tuple[str, bytes]]) -> Compared:
    found = Compared()
    for name, line in ours:
        found.see(name, line, at_source=True)
    for name, line in theirs:
        found.see(name, line, at_source=False)
    return found


def test_order_makes_no_difference() -> None:
    assert compared([("a", b"1"), ("b", b"2")], [("b", b"2"), ("a", b"1")]).same


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ([("a", b"1")], "b is only in the source"),
        ([("a", b"1"), ("b", b"3")], "b is not the same"),
        ([("a", b"1"), ("b", b"2"), ("c", b"3")], "c is only in the target"),
        ([("a", b"2"), ("b", b"1")], "a is not the same"),
    ],
)
def test_each_difference_is_named(theirs: list[tuple[str, bytes]], told: str) -> None:
    found = compared([("a", b"1"), ("b", b"2")], theirs)
    assert not found.same and told in found.problems()


def test_two_of_the_same_do_not_cancel_each_other_out() -> None:
    one, two = Tally(), Tally()
    for _ in range(2):
        one.add(b"x" * 32)
    assert (one.count, one.digest) == (2, f"{(int.from_bytes(b'x' * 32) * 2) % 2**256:064x}") and one != two


def test_verdict_tells_what_differs() -> None:
    verdict = Verdict({"tokens": compared([("a", b"1")], []), "audit": compared([], [])})
    assert verdict.problems() == [("tokens", "a is only in the source")]


def test_a_ticket_is_compared_piece_by_piece() -> None:
    ticket = a_ticket()
    whole = Whole(ticket, (a_comment(ticket),), (an_attachment(ticket),), (an_event(ticket), an_event(ticket)))
    assert [kind for kind, _, _ in items_of(whole)] == ["tickets", "comments", "attachments", "history", "history"]
    assert [(file.key, file.sha256) for file in files_of(whole)] == [(one.key, one.sha256) for one in whole.attachments]


def test_webhook_travels_without_its_position() -> None:
    hook, team = new_record(Kind.WEBHOOK, {"since": 7, "url": "x"}, now()), new_record(Kind.TEAM, {"name": "x"}, now())
    assert travelling(hook).body == {"since": 0, "url": "x"} and travelling(team) is team
    assert item_of("records", hook) == item_of("records", travelling(hook))
    token = a_token()
    assert item_of("tokens", token)[:2] == ("tokens", token.id)
