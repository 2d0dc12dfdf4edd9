"""Tables as Jira, Zammad, Redmine, Excel and mail programs write them; and a dry run says what the import says."""

import csv
import io
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.tables import written
from tests.conftest import Client, problem
from tests.stored import Stored
from tests.web.test_imports import finished, imported, refused, send, tickets

TABLES = Path(__file__).parents[1] / "tables"
GERMAN = {
    "Nummer": "external_id",
    "Titel": "title",
    "Text": "description",
    "Priorität": "severity",
    "Status": "status",
    "Erstellt": "created_at",
}


def rehearsed(admin: Client, content: bytes, mapping: dict[str, Any] | None) -> dict[str, Any]:
    answer = send(admin, content, mapping, "?dry_run=true")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def brought(admin: Client, name: str, columns: dict[str, str] | None = None, **more: Any) -> list[dict[str, Any]]:
    """The tickets of a sample, by the mapping that a dry run proposes."""
    content = (TABLES / name).read_bytes()
    mapping = {"columns": columns or rehearsed(admin, content, None)["mapping"]["columns"], **more}
    dry = rehearsed(admin, content, mapping)
    done = imported(admin, content, mapping)
    assert dry["report"] == done["report"] and dry["complete"] and dry["questions"] == []
    assert done["rows_refused"] == 0, refused(admin, done)
    return tickets(admin)


def test_jira(admin: Client) -> None:
    first, second, third = brought(admin, "jira.csv")
    assert (first["severity"], first["status"], first["created_at"]) == (
        "critical",
        "in_progress",
        "2025-11-30T13:05:00.000000Z",
    )
    assert first["tags"] == ["printer", "floor-2", "external:HELP-1"]
    for said in ("Since this morning.", "=1+1 is on the page.", "the other tray?", "Yes, the same."):
        assert said in first["description"]
    assert (second["status"], second["resolution"], second["resolved_at"]) == (
        "resolved",
        "Fixed",
        "2025-12-02T00:30:00.000000Z",
    )
    assert second["tags"] == ["vpn", "home", "external:HELP-2"]
    assert len(third["title"]) <= 200 and third["title"].endswith("…")
    assert "to its end" in third["description"] and third["description"].endswith("Short.")


def test_zammad(admin: Client, agent: Client) -> None:
    first, second, third = brought(admin, "zammad.csv")
    assert [one["severity"] for one in (first, second, third)] == ["high", "medium", "low"]
    assert [one["status"] for one in (first, second, third)] == ["waiting", "closed", "open"]
    assert (first["tags"][:2], first["assignee"], second["assignee"]) == (["monitor", "büro"], "ada@example.org", None)
    assert second["resolved_at"] == "2025-12-01T08:00:00.000000Z"


def test_rails(admin: Client) -> None:
    first, second = brought(admin, "rails.csv")
    assert (first["created_at"], first["status"], first["severity"]) == (
        "2025-11-30T12:05:00.000000Z",
        "waiting",
        "critical",
    )
    assert (second["resolved_at"], second["status"]) == ("2025-12-01T09:00:00.000000Z", "closed")


def test_german_excel(admin: Client) -> None:
    first, second = brought(admin, "excel-german.csv", GERMAN, tz="Europe/Zurich")
    assert (first["title"], first["description"]) == ("Drücker klemmt", 'Größe "L"; zu klein')
    assert (first["severity"], first["status"], first["created_at"][:16]) == ("high", "in_progress", "2025-11-30T12:05")
    assert (second["severity"], second["status"], second["created_at"][:16]) == ("low", "resolved", "2025-11-30T23:00")


def test_american_excel_in_utf_16(admin: Client) -> None:
    first, second = brought(admin, "excel-american.txt", tz="America/New_York")
    assert (first["created_at"][:16], first["resolved_at"][:16]) == ("2025-11-30T18:05", "2025-12-02T14:00")
    assert (second["status"], second["created_at"][:16]) == ("waiting", "2025-12-03T13:00")


def test_serial_numbers_and_rows_that_end_as_on_old_macs(admin: Client) -> None:
    first, second = brought(admin, "excel-serial.csv")
    assert (first["severity"], first["created_at"][:19]) == ("critical", "2025-11-30T13:05:00")
    assert (second["severity"], second["created_at"][:19]) == ("low", "2025-12-01T00:00:00")


def test_mail(admin: Client) -> None:
    first, second = brought(admin, "mail.csv")
    assert (
        first["created_at"] == "2025-11-30T12:05:00.000000Z" and second["created_at"] == "2025-12-01T08:00:00.000000Z"
    )
    assert (second["severity"], second["status"]) == ("medium", "open")


def test_times_that_can_be_read_in_two_ways_are_asked_for_once(admin: Client, stored: Stored) -> None:
    mapping: dict[str, Any] = {"columns": {"t": "title", "c": "created_at"}}
    content = b"t,c\na,03/04/2025\nb,5/6/2025 1:05 PM\n"
    (question,) = rehearsed(admin, content, mapping)["questions"]
    assert question["field"] == "date_order" and "03/04/2025" in question["message"]
    told = problem(send(admin, content, mapping), 422)
    assert told["errors"][0]["field"] == "date_order" and told["errors"][0]["message"] == question["message"]
    assert not stored.uploads()
    imported(admin, content, mapping | {"date_order": "dmy"})
    assert [one["created_at"][:10] for one in tickets(admin)] == ["2025-04-03", "2025-06-05"]
    imported(admin, content + b"c,13/4/2025\n", mapping)
    assert [one["created_at"][:10] for one in tickets(admin)][2:] == ["2025-04-03", "2025-06-05", "2025-04-13"]
    done = imported(admin, content + b"c,4/13/2025\n", mapping)
    assert [one["created_at"][:10] for one in tickets(admin)][5:] == ["2025-03-04", "2025-05-06", "2025-04-13"]
    assert done["report"]["problems"] == []


def test_unknown_words_are_told_once_with_their_count(admin: Client) -> None:
    content = b"t,s,p\n" + b"a,Frobbed,High\n" * 3 + b"a,Done,Odd\n" + b"a,done,P2\n"
    mapping: dict[str, Any] = {"columns": {"t": "title", "s": "status", "p": "severity"}}
    dry, done = rehearsed(admin, content, mapping), imported(admin, content, mapping)
    assert dry["report"] == done["report"]
    assert [(one["field"], one["rows"]) for one in done["report"]["problems"]] == [("status", 3), ("severity", 1)]
    assert "'Frobbed'" in done["report"]["problems"][0]["message"]
    mapping["values"] = {"status": {"frobbed": "On hold"}, "severity": {"odd": "low"}}
    assert imported(admin, content, mapping)["rows_refused"] == 0


def test_quote_that_is_never_closed_is_told_and_takes_nothing_in(admin: Client) -> None:
    content = b'Title,Description\n0,zero\n1,"it broke\n2,two\n3,three\n'
    mapping = {"columns": {"Title": "title", "Description": "description"}}
    dry, done = rehearsed(admin, content, mapping), imported(admin, content, mapping)
    assert dry["report"] == done["report"]
    assert (done["tickets_made"], done["rows_refused"]) == (1, 1)
    reason = "a quotation mark is never closed: from line 3 on, the rest of the table was not read"
    assert done["report"]["problems"] == [{"field": "row", "message": reason, "rows": 1}]
    assert reason in str(refused(admin, done))
    bad = send(admin, b'Title,"Description\n1,2\n', mapping, "?dry_run=true")
    assert bad.status_code == 400 and "quotation mark" in bad.text


def test_nothing_is_cut_unseen(admin: Client) -> None:
    labels = [f"label-{n}" for n in range(30)] + ["x" * 60]
    content = ("t,d," + ",".join(["Labels"] * 31) + ",Status,Status\nT,D," + ",".join(labels) + ",Open,Odd\n").encode()
    done = imported(
        admin, content, {"columns": {"t": "title", "d": "description", "Labels": "tags", "Status": "status"}}
    )
    (ticket,) = tickets(admin)
    assert len(ticket["tags"]) == 20
    assert all(label in ticket["tags"] or label in ticket["description"] for label in labels)
    assert ticket["status"] == "open" and "Status: Odd" in ticket["description"]
    assert {one["field"] for one in done["report"]["notes"]} == {"tags", "status"}


def test_text_that_no_ticket_holds_is_whole_in_a_file(admin: Client) -> None:
    log = "09:10:02 timed out\n" * 10_000
    rows = [["t", "d"], ["before", "short"], ["The log", log], ["after", "short"], ["Another", log + "end"]]
    content = b"".join(map(written, rows))
    mapping = {"columns": {"t": "title", "d": "description"}}
    dry, done = rehearsed(admin, content, mapping), imported(admin, content, mapping)
    assert dry["report"] == done["report"] and (done["tickets_made"], done["rows_refused"]) == (4, 0)
    assert done["report"]["notes"] == [
        {
            "field": "description",
            "message": "longer than 100,000 characters: the whole is attached as description.txt",
            "rows": 2,
        }
    ]
    found = {ticket["title"]: ticket for ticket in tickets(admin)}
    assert [ticket["number"] for ticket in map(found.__getitem__, ("before", "The log", "after", "Another"))] == [
        1,
        2,
        3,
        4,
    ]
    for title, text in (("The log", log), ("Another", log + "end")):
        at = f"/api/tickets/{found[title]['id']}/attachments"
        (file,) = admin.get(at).json()["items"]
        assert file["name"] == "description.txt"
        assert admin.get(f"{at}/{file['id']}").text == text.strip()


def test_rows_that_a_stray_quote_joins_are_told_by_number(admin: Client) -> None:
    content = b'n,t,s\n1,"Printer broken,low\n2,Monitor 27",high\n3,"Screen dark,low\n4,"Fan, loud",high\n'
    mapping = {"columns": {"n": "external_id", "t": "title", "s": "severity"}}
    dry, done = rehearsed(admin, content, mapping), imported(admin, content, mapping)
    assert dry["report"] == done["report"] and done["tickets_made"] == 3
    assert {ticket["title"] for ticket in tickets(admin)} >= {'"Screen dark', "Fan, loud"}
    assert [one["message"].split(",")[0] for one in done["report"]["notes"]] == ["lines 2 to 3 came in as one row"]


def test_refused_rows_are_harmless_in_a_spreadsheet_and_come_back_as_they_were(admin: Client) -> None:
    said = '=HYPERLINK("http://example.org";"x")'
    rows = [["title", "text", "state"], [said, "\t+1", "Odd"], ["-5", "'=1", "Odd"], ["@x", "plain", "Odd"]]
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    mapping: dict[str, Any] = {"columns": {"title": "title", "text": "description", "state": "status"}}
    done = imported(admin, out.getvalue().encode(), mapping)
    (first, second, third) = refused(admin, done)
    assert (first["line"], first["title"], first["text"]) == ("2", f"'{said}", "'\t+1")
    assert (second["title"], second["text"], third["title"], third["text"]) == ("'-5", "'=1", "'@x", "plain")
    again = admin.get(f"/api/imports/{done['id']}/refused").content
    imported(admin, again, mapping | {"values": {"status": {"Odd": "open"}}})
    assert [(one["title"], one["description"].strip()) for one in tickets(admin)] == [
        (said, "+1"),
        ("-5", "=1"),
        ("@x", "plain"),
    ]


WORDS = st.sampled_from(
    [
        "",
        "Done",
        "in-progress",
        "odd",
        "P1",
        "Urgent",
        "none",
        "2999-01-01",
        "13/04/2025",
        "2025-11-30 13:05",
        "30/Nov/25 1:05 PM",
        "04/13/2025",
        "x" * 300,
        "a,b",
        "'=1",
        "\x00",
        "y" * 60,
    ]
)


@settings(max_examples=10)
@given(st.lists(st.lists(WORDS, min_size=6, max_size=7), max_size=12), st.sampled_from([None, "dmy", "mdy"]))
def test_dry_run_says_what_the_import_says(admin: Client, table: list[list[str]], order: str | None) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["t", "s", "p", "c", "r", "l"], *table])
    names = ("title", "status", "severity", "created_at", "resolved_at", "tags")
    mapping = {"columns": dict(zip("tspcrl", names, strict=True)), "date_order": order}
    content = out.getvalue().encode()
    dry = rehearsed(admin, content, mapping)
    answer = send(admin, content, mapping)
    if dry["questions"]:
        assert problem(answer, 422)["errors"][0]["message"] == dry["questions"][0]["message"]
        return
    done = finished(admin, answer.headers["location"])
    assert done["state"] == "done"
    assert dry["report"] == done["report"]
    if done["rows_refused"]:
        lines = {int(one["line"]): one["reasons"] for one in refused(admin, done)}
        for row in dry["rows"]:
            told = "; ".join(f"{one['field']}: {one['message']}" for one in row["problems"])
            assert lines.get(row["line"], "") == told
