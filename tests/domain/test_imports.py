"""Rows of somebody else's table as tickets."""

import pytest

from backend.domain.imports import ImportDraft, guess, plan
from backend.domain.tickets import Ticket
from tests.builders import ADA

AT = "2026-11-25T12:00:00.000000Z"


def judged(cells: dict[str, str], **more: object) -> Ticket | dict[str, str]:
    """The ticket of a row whose columns are called like the fields, or what is wrong with it."""
    draft = ImportDraft.model_validate({"columns": {name: name for name in cells}, **more})
    found = plan(draft, list(cells)).ticket(list(cells.values()), ADA, AT, "i")
    return found[0] if isinstance(found, tuple) else dict(found)


@pytest.mark.parametrize(
    ("text", "day_first", "expected"),
    [
        ("2026-03-04T05:06:07Z", False, "2026-03-04T05:06:07"),
        ("2026-03-04T05:06:07+02:00", False, "2026-03-04T03:06:07"),
        ("2026-03-04 05:06", False, "2026-03-04T04:06:00"),
        ("2026-07-04", False, "2026-07-03T22:00:00"),
        ("04.03.2026 05:06", False, "2026-03-04T04:06:00"),
        ("03/04/2026 05:06", False, "2026-03-04T04:06:00"),
        ("03/04/2026 05:06", True, "2026-04-03T03:06:00"),
        ("3/4/2026 5:06 PM", False, "2026-03-04T16:06:00"),
        ("04 Mar 2026 05:06:07", True, "2026-03-04T04:06:07"),
        ("1719828000", False, "2024-07-01T10:00:00"),
        ("1719828000123", False, "2024-07-01T10:00:00"),
    ],
)
def test_times_in_usual_forms(text: str, day_first: bool, expected: str) -> None:
    ticket = judged({"title": "T", "created_at": text}, tz="Europe/Zurich", day_first=day_first)
    assert isinstance(ticket, Ticket) and ticket.created_at[:19] == expected


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "2999-01-01",
        "1950-01-01",
        "0001-01-01",
        "0198-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "32.13.2026",
        "9" * 400,
        "-1",
    ],
)
def test_times_that_are_none_are_told(text: str) -> None:
    found = judged({"title": "T", "created_at": text})
    assert isinstance(found, dict) and set(found) == {"created_at"}


def test_what_is_missing_is_made_up() -> None:
    ticket = judged({"description": "\n The first line, " + "and so on " * 20 + "\nmore"})
    assert isinstance(ticket, Ticket)
    assert ticket.title.startswith("The first line") and ticket.title.endswith("…") and len(ticket.title) <= 80
    assert (ticket.severity, ticket.category, ticket.status, ticket.created_at) == ("medium", "General", "open", AT)


def test_tags_are_split_and_the_id_from_elsewhere_is_one() -> None:
    ticket = judged({"title": "T", "tags": " a | b||a", "external_id": "X-1"}, tag_separator="|")
    assert isinstance(ticket, Ticket) and ticket.tags == ("a", "b", "external:X-1")


def test_open_tickets_were_never_resolved_and_closed_ones_were() -> None:
    was_open = judged({"title": "T", "status": "OPEN", "resolved_at": "2026-01-02"})
    closed = judged({"title": "T", "status": "closed", "created_at": "2026-01-01"})
    assert isinstance(was_open, Ticket) and was_open.resolved_at is None
    assert isinstance(closed, Ticket) and closed.resolved_at == closed.created_at == "2026-01-01T00:00:00.000000Z"
    backwards = judged({"title": "T", "status": "closed", "created_at": "2026-01-02", "resolved_at": "2026-01-01"})
    assert backwards == {"resolved_at": "lies before created_at"}


def test_every_field_that_is_wrong_is_told() -> None:
    found = judged({"title": "x" * 201, "severity": "no", "status": "no", "tags": "y" * 51, "created_at": "no"})
    assert isinstance(found, dict) and set(found) == {"title", "severity", "status", "tags", "created_at"}


def test_mapping_is_guessed_by_usual_names() -> None:
    columns = ["Issue key", "Summary", "Priority", "Assigned_To", "created-at", "Whatever", "Subject"]
    assert guess(columns) == {
        "Issue key": "external_id",
        "Summary": "title",
        "Priority": "severity",
        "Assigned_To": "assignee",
        "created-at": "created_at",
    }
