"""Texts as people paste them, by every way in: what nobody meant to send goes, and nothing is refused for it."""

import json

from tests.conftest import Client
from tests.web.test_imports import finished
from tests.web.test_pages import send

LINE = "\ufeff\x1b[1mCafe\u0301\x1b[0m\tVPN\r\n\u202a42\u202c\x0b\u200b"
CLEAN_LINE = "Café VPN 42"
TEXT = "\r\n\ufeff\x1b[31mFailed\x1b[0m: Cafe\u0301\x0c\u2028\tC:\\\u200ex\r\n\x07 \n"
CLEAN_TEXT = "Failed: Café\n\n\tC:\\x"
DIRTY = {"title": LINE, "description": TEXT, "severity": "low", "category": LINE, "team": LINE}
CLEAN = {**dict.fromkeys(("title", "category", "team"), CLEAN_LINE), "description": CLEAN_TEXT, "tags": [CLEAN_LINE]}


def last(admin: Client) -> dict[str, object]:
    ticket = admin.get("/api/tickets?sort=-number&limit=1").json()["items"][0]
    return {name: ticket[name] for name in CLEAN}


def test_a_ticket_filed_any_way(admin: Client) -> None:
    admin.post("/api/tickets", json={**DIRTY, "tags": [LINE, CLEAN_LINE]})
    assert last(admin) == CLEAN
    admin.post("/api/tickets", data={**DIRTY, "tags": [LINE]}, files={"f": ("a.txt", b"x")})
    assert last(admin) == CLEAN
    assert send(admin, "/tickets", **DIRTY, tags=f"{LINE},\u200b, \x1b[0m,{LINE}").status_code == 303
    assert last(admin) == CLEAN
    mapping = {"columns": {name: name for name in (*DIRTY, "tags")}}
    row = ";".join(f'"{value}"' for value in [*DIRTY.values(), LINE])
    table = f"{';'.join([*DIRTY, 'tags'])}\n{row}\n".encode()
    form = {"data": {"mapping": json.dumps(mapping)}, "files": {"file": ("t.csv", table)}}
    preview = admin.post("/api/imports?dry_run=true", **form).json()["rows"][0]
    assert not preview["problems"] and preview["ticket"]["title"] == CLEAN_LINE
    assert finished(admin, admin.post("/api/imports", **form).headers["location"])["tickets_made"] == 1
    assert last(admin) == CLEAN


def test_a_resolution_imported(admin: Client) -> None:
    table = f'title;status;resolution\nT;closed;"{TEXT}"\n'.encode()
    columns = {name: name for name in ("title", "status", "resolution")}
    form = {"data": {"mapping": json.dumps({"columns": columns})}, "files": {"file": ("t.csv", table)}}
    finished(admin, admin.post("/api/imports", **form).headers["location"])
    assert admin.get("/api/tickets").json()["items"][0]["resolution"] == CLEAN_TEXT


def test_a_ticket_changed_any_way(admin: Client) -> None:
    ticket = admin.ticket()
    path = f"/api/tickets/{ticket['id']}"
    assert admin.patch(path, json={"title": LINE}).json()["title"] == CLEAN_LINE
    bulk = {"tickets": [{"id": ticket["id"]}], "action": "change", "change": {"category": LINE, "tags": [LINE]}}
    changed = admin.post("/api/tickets/bulk", json=bulk).json()["items"][0]["ticket"]
    assert (changed["category"], changed["tags"]) == (CLEAN_LINE, [CLEAN_LINE])
    send(admin, f"{path[4:]}/change", team=LINE, description=TEXT)
    changed = admin.get(path).json()
    assert (changed["team"], changed["description"]) == (CLEAN_LINE, CLEAN_TEXT)
    assert admin.patch(path, json={"title": CLEAN_LINE}).json()["version"] == changed["version"]


def test_what_is_said_of_a_ticket(admin: Client) -> None:
    path = f"/api/tickets/{admin.ticket()['id']}"
    assert admin.post(f"{path}/comments", json={"body": TEXT}).json()["body"] == CLEAN_TEXT
    send(admin, f"{path[4:]}/comments", body=TEXT)
    assert [one["body"] for one in admin.get(f"{path}/comments").json()["items"]] == [CLEAN_TEXT] * 2
    assert admin.post(f"{path}/resolve", json={"resolution": TEXT}).json()["resolution"] == CLEAN_TEXT


def test_what_is_set_up(admin: Client) -> None:
    for path, fields in (
        ("categories", {"name": LINE, "description": TEXT}),
        ("teams", {"name": LINE, "description": TEXT}),
        ("replies", {"title": LINE, "body": TEXT}),
        ("memories", {"title": LINE, "body": TEXT.rstrip(), "tags": [LINE]}),
        ("views", {"name": LINE, "query": {"tag": [LINE], "q": LINE}}),
        ("tokens", {"name": LINE, "role": "agent", "teams": [LINE]}),
        ("webhooks", {"url": "https://hooks.example.org/7", "description": TEXT}),
    ):
        made = admin.post(f"/api/{path}", json=fields)
        assert made.status_code == 201, made.text
        body = made.json()
        assert {body.get(name, CLEAN_LINE) for name in ("name", "title")} == {CLEAN_LINE}
        assert {body.get(name) or CLEAN_TEXT for name in ("description", "body")} == {CLEAN_TEXT}
        assert (body.get("tags") or body.get("teams") or [CLEAN_LINE]) == [CLEAN_LINE]
        assert body.get("query", {"tag": [CLEAN_LINE], "q": CLEAN_LINE}) == {"tag": [CLEAN_LINE], "q": CLEAN_LINE}


def test_a_question_finds_what_was_cleaned(admin: Client) -> None:
    ticket = admin.ticket(title=LINE, category=LINE, tags=[LINE])
    admin.ticket()
    asked = [{"q": LINE}, {"category": LINE}, {"tag": LINE}, {"q": f'category:"{LINE}"'}, {"q": "\x1b[1mCafe\u0301"}]
    for query in asked:
        found = admin.get("/api/tickets", params=query).json()["items"]
        assert [one["id"] for one in found] == [ticket["id"]], query
    assert admin.get("/api/search", params={"q": LINE}).json()["items"][0]["id"] == ticket["id"]
    assert "Caf" in admin.get("/queue", params={"q": LINE}).text


def test_a_length_is_that_of_what_is_left(admin: Client) -> None:
    junk = "\x1b[31m\u200b\t" * 400
    assert admin.ticket(title=f"{junk}{'x' * 200}{junk}")["title"] == "x" * 200
    assert admin.get("/api/tickets", params={"q": f"{junk}{'x' * 200}"}).json()["items"]


def test_what_grows_when_it_is_cleaned_fits_and_may_be_sent_back(admin: Client) -> None:
    """NFC makes three characters of this one: 100,000 as typed, and what was read is taken again."""
    text, title = "\ufb2c" * 100_000, "\ufb2c" * 200
    made = admin.post("/api/tickets", json={**DIRTY, "title": title, "description": text})
    assert made.status_code == 201 and len(made.json()["description"]) == 300_000, made.text[:500]
    path = f"/api/tickets/{made.json()['id']}"
    again = {"title": made.json()["title"], "description": made.json()["description"]}
    assert admin.patch(path, json=again).status_code == 200
    assert admin.post(f"{path}/comments", json={"body": text}).status_code == 201
    assert admin.post(f"{path}/comments", json={"body": f"{text}x"}).status_code == 422
    assert send(admin, f"{path.removeprefix('/api')}/comments", body=text, once="x").status_code == 303
