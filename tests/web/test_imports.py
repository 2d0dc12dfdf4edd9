"""CSV from elsewhere as tickets: whatever is in it, each row comes once or is told."""

import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Client, problem
from tests.stored import Stored
from tests.streams import wait_until
from tests.targets import target

MAPPING: dict[str, Any] = {
    "columns": {
        "Number": "external_id",
        "Short description": "title",
        "Text": "description",
        "Priority": "severity",
        "Group": "team",
        "Labels": "tags",
        "State": "status",
        "Opened": "created_at",
        "Closed": "resolved_at",
        "Notes": "resolution",
    },
    "values": {"severity": {"P1": "critical", "p4": "low"}, "status": {"Done": "closed", "New": "open"}},
    "defaults": {"category": "Imported", "requester": "import@example.org"},
    "tz": "Europe/Zurich",
}
HEADER = "Number,Short description,Text,Priority,Group,Labels,State,Opened,Closed,Notes\n"
ROW = 'INC1,Printer,Blank,P1,Net,"a, b",Done,2026-07-01 09:00,02.07.2026 10:30,Drum\n'


def send(admin: Client, content: bytes, mapping: dict | None = None, query: str = "", **headers: str):
    fields = {} if mapping is None else {"mapping": json.dumps(mapping)}
    return admin.post(f"/api/imports{query}", data=fields, files={"file": ("t.csv", content)}, headers=headers)


def finished(admin: Client, location: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = admin.get(location).json()
        if found["state"] not in ("waiting", "running"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"not finished: {found}")


def imported(admin: Client, content: bytes, mapping: dict | None = None) -> dict[str, Any]:
    answer = send(admin, content, MAPPING if mapping is None else mapping)
    assert answer.status_code == 202, answer.text
    return finished(admin, answer.headers["location"])


def tickets(admin: Client) -> list[dict[str, Any]]:
    return admin.get("/api/tickets?sort=number&limit=200").json()["items"]


def refused(admin: Client, done: dict[str, Any]) -> list[dict[str, str]]:
    answer = admin.get(f"/api/imports/{done['id']}/refused")
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_row_becomes_a_ticket(admin: Client, stored: Stored) -> None:
    done = imported(admin, (HEADER + ROW).encode())
    assert (done["state"], done["tickets_made"], done["rows_refused"], done["percent"]) == ("done", 1, 0, 100.0)
    (ticket,) = tickets(admin)
    expected = {
        "title": "Printer",
        "description": "Blank",
        "severity": "critical",
        "category": "Imported",
        "status": "closed",
        "requester": "import@example.org",
        "team": "Net",
        "tags": ["a", "b", "external:INC1"],
        "resolution": "Drum",
        "created_at": "2026-07-01T07:00:00.000000Z",
        "resolved_at": "2026-07-02T08:30:00.000000Z",
    }
    assert {name: ticket[name] for name in expected} == expected
    (line,) = admin.get(f"/api/tickets/{ticket['id']}/history").json()["items"]
    assert line["changes"] == {"import": {"from": None, "to": done["id"]}}
    assert not stored.uploads(), "the table's bytes are gone"
    assert admin.get("/api/imports").json()["items"] == [done]


@pytest.mark.parametrize(
    "content",
    [
        "Number;Text\n1;ä\n".encode(),
        b"\xef\xbb\xbfNumber;Text\r\n1;\xc3\xa4\r\n",
        "Number\tText\n1\tä".encode("utf-16"),
        "Number|Text\n1|ä\n".encode("windows-1252"),
        b'\xef\xbb\xbf"Number","Text"\n"1","\xc3\xa4"',
    ],
    ids=["utf-8", "mark", "utf-16", "windows-1252", "quotes"],
)
def test_encoding_and_delimiter_are_told_by_the_content(admin: Client, content: bytes) -> None:
    imported(admin, content, {"columns": {"Number": "external_id", "Text": "description"}})
    assert [(one["description"], one["tags"]) for one in tickets(admin)] == [("ä", ["external:1"])]


def test_each_refused_row_is_told_with_its_line_and_reasons(admin: Client) -> None:
    rows = [
        ("good", "D", "low", ""),
        ("bad severity", "D", "awful", ""),
        ("a\0b", "D", "low", ""),
        ("bad date", "D", "low", "yesterday"),
        ("ahead", "D", "low", "2999-01-01"),
        ("line\nbreak", 'quo"te,d', "low", ""),
        ("", "", "low", ""),
        ("good too", "two\nlines", "HIGH", "1719828000"),
    ]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("t", "d", "s", "c"), *rows])
    text = out.getvalue() + 'ragged\r\nlong,D,low,,,,extra\r\n\r\nlast,D,low,"2026-01-02"'
    columns = {"t": "title", "d": "description", "s": "severity", "c": "created_at"}
    done = imported(admin, text.encode(), {"columns": columns})
    assert [one["title"] for one in tickets(admin)] == ["good", "line break", "good too", "ragged", "last"]
    assert (done["rows_read"], done["tickets_made"], done["rows_refused"]) == (11, 5, 6)
    found = refused(admin, done)
    assert [int(one["line"]) for one in found] == [3, 4, 5, 6, 9, 13]
    assert found[0]["reasons"].startswith("severity: ") and found[2]["reasons"].startswith("created_at: ")
    assert found[1]["t"] == "a\0b" and found[4]["t"] == found[4]["d"] == ""


def test_webhooks_hear_only_what_happens_after_it(admin: Client) -> None:
    with target() as there:
        admin.post("/api/webhooks", json={"url": there.url})
        assert imported(admin, (HEADER + ROW * 3).encode())["tickets_made"] == 3
        (first, *_) = tickets(admin)
        admin.post(f"/api/tickets/{first['id']}/reopen")
        wait_until(lambda: there.received)
    assert [json.loads(message.body)["type"] for message in there.received] == ["ticket.reopened"]


def test_cell_of_any_size_is_passed_over(admin: Client) -> None:
    huge = b"x" * 3_000_000
    lines = b'a,"' + b"line\nand line\n" * 200_000 + b'"\n'
    content = b"t,d\none,D\n" + huge + b",D\n" + b"two,D\n" + lines + b"three,D\nfour," + huge
    done = imported(admin, content, {"columns": {"t": "title", "d": "description"}})
    assert [one["title"] for one in tickets(admin)] == ["one", "two", "three"]
    found = refused(admin, done)
    assert [int(one["line"]) for one in found] == [3, 5, 400_007]
    assert all("longer than" in one["reasons"] for one in found)


def test_many_rows_in_batches_come_once_each_and_in_order(admin: Client) -> None:
    rows = [f"n{n},{'low' if n % 7 else 'no'}\n" for n in range(1_000)]
    done = imported(admin, ("t,s\n" + "".join(rows)).encode(), {"columns": {"t": "title", "s": "severity"}})
    assert (done["tickets_made"], done["rows_refused"]) == (857, 143)
    found, cursor = [], ""
    while True:
        page = admin.get(f"/api/tickets?sort=number&limit=200{cursor}").json()
        found += [one["title"] for one in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [f"n{n}" for n in range(1_000) if n % 7]


def test_dry_run_keeps_nothing_and_proposes_a_mapping(admin: Client, stored: Stored) -> None:
    answer = send(admin, (HEADER + ROW).encode(), query="?dry_run=true")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["columns"][:2] == ["Number", "Short description"] and found["delimiter"] == ","
    assert found["mapping"]["columns"]["Short description"] == "title"
    assert found["rows"][0]["problems"] == [] and found["rows"][0]["ticket"]["status"] == "resolved"
    shown = send(admin, (HEADER + ROW).encode(), MAPPING, "?dry_run=true").json()
    assert shown["rows"][0]["ticket"]["severity"] == "critical" and shown["rows"][0]["line"] == 2
    assert len(shown["rows"]) == 1
    assert tickets(admin) == [] and admin.get("/api/imports").json()["items"] == []
    assert not stored.uploads()


def test_sent_twice_with_a_key_it_comes_once(admin: Client) -> None:
    first = send(admin, (HEADER + ROW).encode(), MAPPING, **{"idempotency-key": "k"})
    again = send(admin, (HEADER + ROW).encode(), MAPPING, **{"idempotency-key": "k"})
    assert again.headers["idempotency-replayed"] == "true" and again.json()["id"] == first.json()["id"]
    finished(admin, first.headers["location"])
    assert len(tickets(admin)) == 1


def test_cancelled_it_stops_and_forgotten_it_is_gone(admin: Client, stored: Stored) -> None:
    content = "t\n" + "".join(f"ticket {n}\n" for n in range(100_000))
    location = send(admin, content.encode(), {"columns": {"t": "title"}}).headers["location"]
    deadline = time.monotonic() + 30
    while (answer := admin.delete(location)).status_code == 412 and time.monotonic() < deadline:
        pass
    assert answer.status_code == 204
    assert admin.get(location).json()["state"] == "cancelled"
    problem(admin.get(f"{location}/refused"), 409)
    assert admin.delete(location).status_code == 204
    problem(admin.get(location), 404)
    assert not stored.uploads()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda m: m.update(columns={}), 422),
        (lambda m: m.update(columns={"No such": "title"}), 422),
        (lambda m: m.update(columns={"Text": "number"}), 422),
        (lambda m: m.update(columns={"Text": "title", "Notes": "title"}), 422),
        (lambda m: m.update(delimiter="x"), 422),
        (lambda m: m.update(tz="Mars/Olympus"), 422),
        (lambda m: m.update(tz="../../etc/passwd"), 422),
        (lambda m: m.update(encoding="rot13"), 422),
        (lambda m: m.update(unknown=1), 422),
    ],
    ids=range(9),
)
def test_refuses_a_mapping_that_makes_no_sense(admin: Client, change: Callable, status: int) -> None:
    mapping = json.loads(json.dumps(MAPPING))
    change(mapping)
    problem(send(admin, (HEADER + ROW).encode(), mapping), status)


def test_refuses_forms_that_make_no_sense(admin: Client, agent: Client, stored: Stored) -> None:
    problem(send(admin, b"", MAPPING), 400)
    problem(send(admin, b"\n\n\n", MAPPING), 400)
    problem(send(admin, b"x\n"), 400)
    problem(admin.post("/api/imports", data={"mapping": "{"}, files={"file": ("t", b"x")}), 422)
    problem(admin.post("/api/imports", files=[("file", ("t", b"x")), ("more", ("t", b"x"))]), 400)
    problem(admin.post("/api/imports", json={}), 400)
    problem(send(agent, b"x", MAPPING), 403)
    problem(admin.get("/api/imports/nonsense"), 404)
    problem(admin.delete("/api/imports/01M82WN1MF4T9XV22B24PC6B8F"), 404)
    assert not stored.uploads()
