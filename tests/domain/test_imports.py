"""Rows of somebody else's table as tickets."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.import_times import OrderFinder
from backend.domain.import_words import severity_of
from backend.domain.imports import ImportDraft, guess, plan
from backend.domain.text import clean_line, folded
from backend.domain.tickets import Ticket
from tests.builders import ADA

AT = "2026-11-25T12:00:00.000000Z"


def judged(cells: dict[str, str], **more: object) -> Ticket | dict[str, str]:
    """The ticket of a row whose columns are called like the fields, or what is wrong with it."""
    draft = ImportDraft.model_validate({"columns": {name: name for name in cells}, **more})
    found = plan(draft, list(cells)).judge(list(cells.values()), ADA, AT, "i")
    return found.written[0] if found.written else dict(found.problems)


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
        ("946684800000", False, "2000-01-01T00:00:00"),
        ("202511301305", False, "2025-11-30T12:05:00"),
        ("20251130130559", False, "2025-11-30T12:05:59"),
        ("2025113013", False, "2025-11-30T12:00:00"),
        ("20251130130559.0Z", False, "2025-11-30T13:05:59"),
        ("20251130130559+0530", False, "2025-11-30T07:35:59"),
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
    found = judged({"title": "a\0b", "severity": "odd", "status": "odd", "tags": "y\0", "created_at": "odd"})
    assert isinstance(found, dict) and set(found) == {
        "title",
        "severity",
        "status",
        "tags",
        "created_at",
        "description",
    }


def test_mapping_is_guessed_by_usual_names() -> None:
    columns = ["Issue key", "Summary", "Priority", "Assigned_To", "created-at", "Whatever", "Subject"]
    assert guess(columns) == {
        "Issue key": "external_id",
        "Summary": "title",
        "Priority": "severity",
        "Assigned_To": "assignee",
        "created-at": "created_at",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30/Nov/25 1:05 PM", "2025-11-30T12:05:00"),
        ("30/Nov/25 12:05 AM", "2025-11-29T23:05:00"),
        ("2025-11-30 13:05:00 UTC", "2025-11-30T13:05:00"),
        ("2025-11-30 13:05:00 +0100", "2025-11-30T12:05:00"),
        ("2025-11-30T13:05+01:00[Europe/Zurich]", "2025-11-30T12:05:00"),
        ("Sun, 30 Nov 2025 13:05:00 +0100", "2025-11-30T12:05:00"),
        ("Sun, 30 Nov 2025 13:05:00 GMT", "2025-11-30T13:05:00"),
        ("Sun Nov 30 2025 13:05:00 GMT+0100 (CET)", "2025-11-30T12:05:00"),
        ("Sun Nov 30 13:05:00 UTC 2025", "2025-11-30T13:05:00"),
        ("Sunday, November 30, 2025 at 1:05 PM", "2025-11-30T12:05:00"),
        ("Nov 30, 2025, 1:05:07\u202fPM", "2025-11-30T12:05:07"),
        ("30. November 2025 um 13:05 Uhr", "2025-11-30T12:05:00"),
        ("30-NOV-25 01.05.00.123456 PM", "2025-11-30T12:05:00"),
        ("1. Dez. 2024", "2024-11-30T23:00:00"),
        ("30 de noviembre de 2025", "2025-11-29T23:00:00"),
        ("12 ao\u00fbt 2025 \u00e0 8h30", "2025-08-12T06:30:00"),
        ("2025\u5e7411\u670830\u65e5 13:05", "2025-11-30T12:05:00"),
        ("2025/11/30 13:05", "2025-11-30T12:05:00"),
        ("45991.545138888891", "2025-11-30T12:05:00"),
        ("45991,5", "2025-11-30T11:00:00"),
        ("45991", "2025-11-29T23:00:00"),
        ("20251130T130500Z", "2025-11-30T13:05:00"),
    ],
)
def test_times_of_other_programs(text: str, expected: str) -> None:
    ticket = judged({"title": "T", "created_at": text}, tz="Europe/Zurich")
    assert isinstance(ticket, Ticket) and ticket.created_at[:19] == expected


@pytest.mark.parametrize(
    "text", ["N/A", "n/a", "-", "\u2014", "null", "None", "0000-00-00", "0000-00-00 00:00:00", "0", "  "]
)
def test_no_time_is_none(text: str) -> None:
    ticket = judged({"title": "T", "status": "closed", "created_at": text, "resolved_at": text, "assignee": text})
    assert isinstance(ticket, Ticket) and ticket.created_at == AT
    assert ticket.assignee is None and ("Assignee" in ticket.description) == text.startswith("0")


@given(st.text(max_size=130), st.sampled_from(["dmy", "mdy", None]))
def test_any_text_is_a_time_or_told(text: str, order: str | None) -> None:
    found = judged({"title": "T", "created_at": text}, date_order=order)
    assert isinstance(found, Ticket) or set(found) == {"created_at"}


@given(st.datetimes(datetime(1970, 1, 2), datetime(2026, 11, 24)))
def test_every_form_means_the_same_moment(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    half = moment.strftime("%I:%M:%S %p")
    serial = (moment - datetime(1899, 12, 30)).total_seconds() / 86_400
    written = [
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        moment.strftime("%d/%b/%Y ") + half,
        moment.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        moment.strftime("%d.%m.%Y %H:%M:%S"),
        moment.strftime("%d/%m/%Y ") + half.lower(),
        moment.strftime("%B %d, %Y ") + half,
        f"{serial:.9f}",
    ]
    for text in written if serial >= 25_569 else written[:-1]:
        ticket = judged({"title": "T", "created_at": text}, date_order="dmy")
        assert isinstance(ticket, Ticket) and ticket.created_at[:19] == moment.isoformat()[:19], text


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("New", "open"),
        ("To Do", "open"),
        ("Waiting for support", "open"),
        ("In Progress", "in_progress"),
        ("in-progress", "in_progress"),
        ("IN_PROGRESS", "in_progress"),
        (" in   progress ", "in_progress"),
        ("Pending", "waiting"),
        ("on hold", "waiting"),
        ("Waiting for customer", "waiting"),
        ("pending auto close+", "waiting"),
        ("Done", "resolved"),
        ("Solved", "resolved"),
        ("Closed (Won't fix)", "closed"),
        ("Won\u2019t Do", "closed"),
        ("6 - Closed", "closed"),
        ("N/A", "open"),
        ("Erledigt", "resolved"),
        ("Gelo\u0308st", "resolved"),
        ("\uff23\uff4c\uff4f\uff53\uff45\uff44", "closed"),
        ("clo\u200bs\u00aded", "closed"),
        ("Done \u2705", "resolved"),
        ("Not started", "open"),
    ],
)
def test_words_for_a_status(word: str, status: str) -> None:
    ticket = judged({"title": "T", "status": word})
    assert isinstance(ticket, Ticket) and ticket.status == status


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("P1", "critical"),
        ("p-2", "high"),
        ("SEV 3", "medium"),
        ("Priority 4", "low"),
        ("1", "critical"),
        ("1 - Critical", "critical"),
        ("3 high", "high"),
        ("(3) Moderate", "medium"),
        ("Urgent", "critical"),
        ("HIGHEST", "critical"),
        ("Blocker", "critical"),
        ("Normal", "medium"),
        ("trivial", "low"),
        ("none", "medium"),
        ("Very-Low", "low"),
        ("Hoch", "high"),
        ("2.0", "high"),
        ("3,00", "medium"),
        ("P2.0", "high"),
        ("1.0 - Critical", "critical"),
        ("Level 2", "high"),
        ("ho\u0308chste", "critical"),
        ("Kritisch!", "critical"),
        ("\U0001f534 High", "high"),
        ("Critical (P1)", "critical"),
        ("1 - Critical (P1)", "critical"),
        ("High priority", "high"),
        ("1 - Feuer", "critical"),
        ("\u200b", "medium"),
    ],
)
def test_words_for_a_severity(word: str, severity: str) -> None:
    ticket = judged({"title": "T", "severity": word})
    assert isinstance(ticket, Ticket) and ticket.severity == severity


@pytest.mark.parametrize(
    "word", ["1 of 5", "1 of five", "4/5", "2/5", "1-2", "P1/P2", "2.5", "-1", "2 days", "level 1/5", "10", "2%", "<2"]
)
def test_numbers_that_are_no_severity_are_told(word: str) -> None:
    assert judged({"title": "T", "severity": word}) == {
        "severity": f"{word!r} is not known here; say what it means in values.severity"
    }


@given(
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["/", "-", " of ", ":", " ", ".", " - ", "|", "\u2013", "+"]),
)
def test_two_numbers_are_never_a_severity(one: int, other: int, mark: str) -> None:
    word = f"{one}{mark}{other}"
    if mark != "." or other:
        assert severity_of(word) is None
    elif one < 6:
        assert severity_of(word) == severity_of(str(one))


@pytest.mark.parametrize("order", [None, "dmy", "mdy"])
def test_day_beyond_twelve_tells_its_order_itself(order: str | None) -> None:
    for text in ("20/11/2025 10:00", "11/20/2025 10:00", "20-11-25 10:00"):
        ticket = judged({"title": "T", "created_at": text}, date_order=order)
        assert isinstance(ticket, Ticket) and ticket.created_at[:16] == "2025-11-20T10:00", text
    found = judged({"title": "T", "created_at": "13/13/2025"}, date_order=order)
    assert isinstance(found, dict) and set(found) == {"created_at"}


def test_orders_that_rows_show_are_asked_for_only_where_one_needs_them() -> None:
    finder = OrderFinder()
    finder.take(["20/11/2025", "11/20/2025", "13/13/2025"])
    assert (finder.order, finder.question) == (None, None)
    finder.take(["03/04/2025"])
    assert finder.question and "both orders" in finder.question


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1764063000.0", "2025-11-25T09:30:00"),
        ("1764063000,25", "2025-11-25T09:30:00"),
        ("1764063000123.0", "2025-11-25T09:30:00"),
        ("\u200e25.11.2025 10:30", "2025-11-25T09:30:00"),
        ("\uff12\uff10\uff12\uff15/11/25 10:30", "2025-11-25T09:30:00"),
        ("01.01.1970", "1969-12-31T23:00:00"),
    ],
)
def test_times_as_floats_with_hidden_characters_and_at_the_beginning(text: str, expected: str) -> None:
    ticket = judged({"title": "T", "created_at": text}, tz="Europe/Zurich")
    assert isinstance(ticket, Ticket) and ticket.created_at[:19] == expected


def test_words_of_a_mapping_and_columns_compare_as_people_see_them() -> None:
    columns = {"Priorita\u0308t": "severity", "Status\u200b": "status", "TITEL": "title", "\uff34ext": "description"}
    values = {"severity": {"Gro\u00df ": "low"}, "status": {"Gekla\u0308rt": "closed"}}
    table = ["Priorit\u00e4t", "Status", "\ufeffTitel", "Text"]
    draft = ImportDraft.model_validate({"columns": columns, "values": values})
    found = plan(draft, table).judge(["GROSS", "Gekl\u00e4\u00adrt", "T", "D"], ADA, AT, "i")
    assert found.written, found.problems
    ticket = found.written[0]
    assert (ticket.severity, ticket.status, ticket.title, ticket.description) == ("low", "closed", "T", "D")


def test_column_in_another_case_belongs_to_whoever_names_it() -> None:
    draft = ImportDraft.model_validate({"columns": {"ID": "external_id", "id": "title"}})
    found = plan(draft, ["id", "ID"]).judge(["Title", "7"], ADA, AT, "i")
    assert found.written and (found.written[0].title, found.written[0].tags) == ("Title", ("external:7",))
    with pytest.raises(KeyError):
        plan(draft, ["ID"])


def test_unresolved_is_no_resolution() -> None:
    for word in ("Unresolved", "unresolved ", "Nicht erledigt", "Non re\u0301solu"):
        ticket = judged({"title": "T", "status": "open", "resolution": word})
        assert isinstance(ticket, Ticket) and ticket.resolution is None
    fixed = judged({"title": "T", "status": "done", "resolution": "Fixed"})
    assert isinstance(fixed, Ticket) and fixed.resolution == "Fixed"


def test_columns_of_servicenow_are_proposed() -> None:
    assert guess(["number", "short_description", "caller_id", "opened_at"]) == {
        "number": "external_id",
        "short_description": "title",
        "caller_id": "requester",
        "opened_at": "created_at",
    }


@given(st.text(max_size=500), st.text(max_size=100), st.lists(st.text(max_size=80), max_size=40))
def test_any_title_and_tags_come_in_whole_or_are_told(title: str, description: str, tags: list[str]) -> None:
    ticket = judged({"title": title, "description": description, "tags": ",".join(tags), "external_id": "x" * 60})
    if isinstance(ticket, Ticket):
        shortened = ticket.title.removesuffix("\u2026")
        assert clean_line(title) in (ticket.title, "") or clean_line(title) in clean_line(ticket.description)
        assert clean_line(title).startswith(shortened) or not clean_line(title)
        for tag in ",".join(tags).split(","):
            kept = {folded(one) for one in ticket.tags}
            assert folded(clean_line(tag)) in (*kept, "") or clean_line(tag) in clean_line(ticket.description)


def test_what_is_wrong_is_said_in_our_words() -> None:
    found = judged(
        {"title": "T", "category": "c" * 101, "team": "t" * 101, "requester": "x" * 300, "description": "\0"}
    )
    assert isinstance(found, dict)
    assert found["category"] == found["team"] == "must have at most 100 characters"
    assert not any("should" in reason for reason in found.values()), found
    assert judged({"severity": "low"}) == {"title": "must not be empty", "description": "must not be empty"}


def test_texts_that_are_too_long_stand_whole_in_files() -> None:
    text = "line of a log\n" * 10_000
    cells = {"title": "T", "description": text, "status": "closed", "resolution": text}
    draft = ImportDraft.model_validate({"columns": {name: name for name in cells}})
    found = plan(draft, list(cells)).judge(list(cells.values()), ADA, AT, "i")
    assert found.written and not found.problems
    ticket = found.written[0]
    assert dict(found.files) == {"description.txt": text.strip(), "resolution.txt": text.strip()}
    assert len(ticket.description) <= 100_000 and ticket.description.endswith("in the attached file description.txt.")
    assert ticket.resolution and ticket.resolution.endswith("in the attached file resolution.txt.")
    assert [name for name, _ in found.notes] == ["description", "resolution"]
