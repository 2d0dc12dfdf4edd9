"""The same POST twice takes effect once: on every POST there is."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI

from tests.conftest import ADMIN_TOKEN, Client, problem
from tests.stored import Stored

KEY = {"idempotency-key": "6f1c3b52-5d52-4c59"}
TICKET = {"title": "T", "description": "D", "severity": "low", "category": "Hardware"}


def posts(app: FastAPI) -> list[str]:
    return [path for path, methods in app.openapi()["paths"].items() if "post" in methods]


def archive_of(admin: Client) -> dict:
    """An export of the installation, which it can take in again; no two are the same."""
    return {"content": admin.get("/api/export").content, "headers": {"content-type": "application/x-tar"}}


def table_of(title: str) -> dict:
    mapping = '{"columns": {"Title": "title"}}'
    return {"data": {"mapping": mapping}, "files": {"file": ("t.csv", f"Title\n{title}\n".encode())}}


def request_for(path: str, admin: Client) -> tuple[str, dict, dict]:
    """Address, body and another body of a POST that will succeed."""
    ticket = f"/api/tickets/{admin.ticket()['id']}"
    other = admin.ticket()["id"]
    if path.endswith("/unwatch"):
        admin.post(f"{ticket}/watch")
    if path.endswith("/reopen"):
        admin.post(f"{ticket}/resolve", json={"resolution": "Done"})
    if path.endswith("/restore"):
        admin.delete(ticket)
    if path == "/api/tags/rename":
        admin.ticket(tags=["old"])
        return path, {"json": {"from": "old", "to": "new"}}, {"json": {"from": "old", "to": "newer"}}
    if path in ("/api/categories/{category_id}/merge", "/api/teams/{team_id}/merge"):
        kind = path.split("/")[2]
        made = [admin.post(f"/api/{kind}", json={"name": name, "active": False}).json()["id"] for name in "ABC"]
        return f"/api/{kind}/{made[0]}/merge", {"json": {"into": made[1]}}, {"json": {"into": made[2]}}
    webhook = {"url": "http://127.0.0.1:9/"}  # where nobody listens
    if "{webhook_id}" in path:
        hook = f"/api/webhooks/{admin.post('/api/webhooks', json=webhook).json()['id']}"
        path = path.replace("/api/webhooks/{webhook_id}", hook)
        if "{delivery_id}" in path:
            path = path.replace("{delivery_id}", admin.post(f"{hook}/test").json()["id"])
        return path, {}, {}
    bodies: dict[str, tuple[dict, dict]] = {
        "tickets": ({"json": TICKET}, {"json": TICKET | {"title": "Other"}}),
        "comments": ({"json": {"body": "Hello"}}, {"json": {"body": "Other"}}),
        "resolve": ({"json": {"resolution": "Done"}}, {"json": {"resolution": "Other"}}),
        "attachments": ({"files": {"f": ("a.txt", b"one")}}, {"files": {"f": ("a.txt", b"two")}}),
        "session": ({"json": {"token": ADMIN_TOKEN}}, {"json": {"token": ADMIN_TOKEN}}),
        "tokens": ({"json": {"name": "A", "role": "agent"}}, {"json": {"name": "B", "role": "agent"}}),
        "webhooks": ({"json": webhook}, {"json": webhook | {"internal": True}}),
        "memories": ({"json": {"title": "T", "body": "B"}}, {"json": {"title": "T", "body": "C"}}),
        "feedback": ({"json": {"helpful": True}}, {"json": {"helpful": False}}),
        "imports": (table_of("one"), table_of("two")),
        "reopen": ({}, {}),
        "restore": ({}, {}),
        "watch": ({}, {}),
        "unwatch": ({}, {}),
        "merge": ({"json": {"into": other}}, {"json": {"into": admin.ticket()["id"]}}),
        "links": (
            {"json": {"kind": "related", "ticket_id": other}},
            {"json": {"kind": "duplicate_of", "ticket_id": other}},
        ),
        "triage": ({}, {}),
        "apply": ({"json": {"category": "Hardware"}}, {"json": {"severity": "low"}}),  # as the other tickets have it
        "bulk": (
            {"json": {"tickets": [{"id": other}], "action": "delete"}},
            {"json": {"tickets": [{"id": other}], "action": "reopen"}},
        ),
        "categories": ({"json": {"name": "Hardware"}}, {"json": {"name": "Software"}}),
        "teams": ({"json": {"name": "Hardware"}}, {"json": {"name": "Software"}}),
        "replies": ({"json": {"title": "A", "body": "B"}}, {"json": {"title": "C", "body": "B"}}),
        "views": ({"json": {"name": "A", "query": {}}}, {"json": {"name": "A", "query": {"q": "x"}}}),
    }
    address = re.sub(r"/api/tickets/\{ticket_id\}", ticket, path)
    if "{memory_id}" in address:
        address = address.format(memory_id=admin.post("/api/memories", json={"title": "T", "body": "B"}).json()["id"])
    if path == "/api/import":
        return address, archive_of(admin), archive_of(admin)
    return address, *bodies[path.rpartition("/")[2]]


def test_every_post_honours_it(app: FastAPI, admin: Client) -> None:
    # An export is compared with what is there, and what comes later leaves work to the background: it goes first.
    for number, path in enumerate(sorted(posts(app), key=lambda path: path != "/api/import")):
        headers = {"idempotency-key": f"key-{number}"}
        address, body, other = request_for(path, admin)
        body["headers"] = other["headers"] = headers | body.pop("headers", {})
        first = admin.post(address, **body)
        assert first.is_success, f"{path}: {first.text}"
        again = admin.post(address, **body)
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.headers["idempotency-replayed"] == "true"
        for name in ("etag", "location", "content-type"):
            assert again.headers.get(name) == first.headers.get(name), path
        if other != body:
            problem(admin.post(address, **other), 422)
        elsewhere = admin.post("/api/tokens", headers=headers, json={"name": "Z", "role": "agent"})
        problem(elsewhere, 422)


def test_every_post_documents_it(app: FastAPI) -> None:
    for path in posts(app):
        names = [one["name"] for one in app.openapi()["paths"][path]["post"]["parameters"]]
        assert "Idempotency-Key" in names, path


def test_spelling_of_the_json_does_not_matter(admin: Client) -> None:
    def send(content: bytes) -> dict:
        return admin.post("/api/tickets", content=content, headers=KEY | {"content-type": "application/json"}).json()

    first = send(b'{"title":"T","description":"D","severity":"low","category":"C"}')
    assert send(b' {"category": "C", "severity": "low", "description": "D", "title": "T"}') == first


def test_form_may_have_another_boundary(admin: Client, stored: Stored) -> None:
    def send() -> dict:
        return admin.post("/api/tickets", headers=KEY, data=TICKET, files={"f": ("a.txt", b"hello")}).json()

    assert send() == send()
    assert len(stored.uploads()) == 1, "the bytes of the repeat are taken back"


def test_key_belongs_to_its_caller(admin: Client, agent: Client) -> None:
    first = admin.post("/api/tickets", headers=KEY, json=TICKET).json()
    assert agent.post("/api/tickets", headers=KEY, json=TICKET).json()["id"] != first["id"]


def test_failure_leaves_no_receipt(admin: Client) -> None:
    problem(admin.post("/api/tickets", headers=KEY, json=TICKET | {"severity": "awful"}), 422)
    assert admin.post("/api/tickets", headers=KEY, json=TICKET).status_code == 201


def test_many_at_once_take_effect_once(admin: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: admin.post("/api/tickets", headers=KEY, json=TICKET), range(16)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(admin.get("/api/tickets").json()["items"]) == 1


def test_stolen_database_shows_no_secret(admin: Client, stored: Stored) -> None:
    secret = admin.post("/api/tokens", headers=KEY, json={"name": "A", "role": "admin"}).json()["token"]
    assert admin.post("/api/tokens", headers=KEY, json={"name": "A", "role": "admin"}).json()["token"] == secret
    assert secret.encode() not in stored.records()


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
def test_key_that_is_none_is_400(admin: Client, key: str) -> None:
    problem(admin.post("/api/tickets", headers={"idempotency-key": key.encode("latin-1")}, json=TICKET), 400)
