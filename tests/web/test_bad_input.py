"""What no client should send, and what it gets: a problem body, and nothing half written."""

import json
import re
import time

import pytest

from backend.web import errors
from tests.conftest import Client, problem
from tests.web.test_roles import ABSENT, RULES

GOOD = {"title": "T", "description": "D", "severity": "low", "category": "C"}
JSON = {"content-type": "application/json"}


def post(admin: Client, content: bytes):
    return admin.post("/api/tickets", content=content, headers=JSON)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"{'title': 1}",
        b'{"title": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\0",
        b'{"title": "\xed\xa0\x80"}',
        json.dumps(GOOD).encode("utf-16"),
        b"1" * 5000,
    ],
    ids=range(13),
)
def test_malformed_json_is_422(admin: Client, content: bytes) -> None:
    problem(post(admin, content), 422)
    assert admin.get("/api/tickets").json()["items"] == []


@pytest.mark.parametrize(
    "content",
    [
        b'{"tags": [' + b"[]," * 600_000 + b"[]]}",
        b"{" + b",".join(b'"a%d": 1' % number for number in range(120_000)) + b"}",
        b'{"tags": ["' + b'","' * 500_000 + b'"]}',
        b'{"title": "' + b'\\"' * 900_000,
        b'{"tags": [' + b"[]," * 4_000 + b"[]]}",
    ],
    ids=["arrays", "unknown", "empty texts", "a text without end", "a small one"],
)
def test_json_of_many_values_costs_little(admin: Client, content: bytes) -> None:
    started = time.process_time()
    body = problem(post(admin, content), 422)
    assert time.process_time() - started < 2, "20 s before"
    assert len(body.get("errors", ())) <= errors.MOST_PROBLEMS and len(json.dumps(body)) < 100_000


def test_a_text_may_hold_as_many_commas_as_it_likes(admin: Client) -> None:
    text = '"[{,\\' * 20_000
    assert post(admin, json.dumps(GOOD | {"description": text}).encode()).json()["description"] == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", "x" * 201),
        ("title", "a\0b"),
        ("title", "\x1b[31m"),
        ("title", "\x9b31m"),
        ("title", "\u200b\u202e\u200d\u3164"),
        ("category", "\ufeff\u200e"),
        ("category", "a\0b"),
        ("tags", ["\u2066\u2069"]),
        ("tags", ["a\0b"]),
        ("description", "\x1b[31m\x1b[0m\r\n\u2028\x0c"),
        ("requester", "\u202e"),
        ("title", "\ud800"),
        ("title", 1),
        ("title", None),
        ("title", ["x"]),
        ("description", ""),
        ("description", " \n\t"),
        ("description", "x" * 100_001),
        ("description", "a\0b"),
        ("description", "\udfff"),
        ("severity", "LOW"),
        ("severity", 1),
        ("category", ""),
        ("category", "x" * 101),
        ("tags", "x"),
        ("tags", [1]),
        ("tags", [""]),
        ("tags", ["x"] * 21),
        ("tags", [["x"]]),
        ("requester", ""),
        ("requester", {"a": 1}),
        ("requester", "a\0b"),
        ("unknown", 1),
        ("id", "01M82WN1MF4T9XV22B24PC6B8F"),
        ("number", 7),
        ("__class__", {}),
    ],
)
def test_value_that_is_not_allowed_is_422_and_names_the_field(admin: Client, field: str, value: object) -> None:
    body = problem(post(admin, json.dumps(GOOD | {field: value}).encode()), 422)
    if value not in ("\ud800", "\udfff"):  # the whole body is no JSON then
        assert any(error["field"].startswith(field) for error in body["errors"])
    assert admin.get("/api/tickets").json()["items"] == []


def test_what_is_wrong_is_not_repeated(admin: Client) -> None:
    secret = "hunter2-" * 50
    assert "hunter2" not in post(admin, json.dumps(GOOD | {"severity": secret}).encode()).text


@pytest.mark.parametrize("field", list(GOOD))
def test_missing_field_is_422(admin: Client, field: str) -> None:
    body = problem(post(admin, json.dumps({k: v for k, v in GOOD.items() if k != field}).encode()), 422)
    assert body["errors"] == [{"field": field, "message": "is missing"}]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tags", [str(number) for number in range(30)], "must have at most 20 entries, not 30"),
        ("description", "x" * 100_001, "must have at most 100,000 characters"),
        ("title", "", "must not be empty"),
        ("number", 7, "is not known here"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(admin: Client, field: str, value: object, message: str) -> None:
    body = problem(post(admin, json.dumps(GOOD | {field: value}).encode()), 422)
    assert {"field": field, "message": message} in body["errors"]


def test_longest_values_are_taken(admin: Client) -> None:
    ticket = admin.ticket(title="😀" * 200, description="😀" * 100_000, tags=["x" * 50] + [str(n) for n in range(19)])
    assert admin.get(f"/api/tickets/{ticket['id']}").json() == ticket


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "' OR 1=1 --", "${jndi:ldap://x}", "a\tb\nc"])
def test_untrusted_text_stays_text(admin: Client, text: str) -> None:
    ticket = admin.ticket(description=text)
    assert admin.get(f"/api/tickets/{ticket['id']}").json()["description"] == text


def test_text_of_every_field_comes_back_as_it_was(admin: Client) -> None:
    script = "<img src=x onerror=alert(1)>{{7*7}}"
    fields = dict.fromkeys(("title", "description", "category", "requester", "team"), script)
    ticket = admin.ticket(**fields, tags=[script])
    path = f"/api/tickets/{ticket['id']}"
    assert {name: ticket[name] for name in fields} == fields and ticket["tags"] == [script]
    assert admin.patch(path, json={"watchers": [script]}).json()["watchers"] == [script]
    assert admin.post(f"{path}/comments", json={"body": script}).json()["body"] == script
    made = admin.post("/api/replies", json={"title": script, "body": script + "{{title}}"}).json()
    answer = admin.get(f"{path}/replies/{made['id']}")
    assert answer.json()["body"] == script + script and answer.headers["content-type"] == "application/json"


def test_longest_comment_and_one_of_many_lines(admin: Client) -> None:
    path = f"/api/tickets/{admin.ticket()['id']}/comments"
    assert admin.post(path, json={"body": "\n" * 19_999 + "x"}).status_code == 201
    (error,) = problem(admin.post(path, json={"body": "line\n" * 50_000}), 422)["errors"]
    assert error["field"] == "body" and error["message"] == "must have at most 100,000 characters"


def test_writing_from_right_to_left_is_prose(admin: Client) -> None:
    ticket = admin.ticket(title="المدير قال: שלום", description="نمی\u200cخواهم א (ב) ג", category="חומרה")
    assert admin.get(f"/api/tickets/{ticket['id']}").json() == ticket


def test_body_over_the_limit_is_413(admin: Client) -> None:
    assert "2048 KiB" in problem(post(admin, b'{"title": "' + b"x" * 2 * 1024 * 1024 + b'"}'), 413)["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", "application/x-www-form-urlencoded"])
def test_other_content_types_are_415(admin: Client, kind: str) -> None:
    problem(admin.post("/api/tickets", content=json.dumps(GOOD).encode(), headers={"content-type": kind}), 415)


def test_empty_body_is_400(admin: Client) -> None:
    problem(post(admin, b""), 400)


def test_unknown_address_and_method_are_problems(admin: Client) -> None:
    problem(admin.get("/nothing"), 404)
    answer = admin.put("/api/tickets")
    problem(answer, 405)
    assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]


SYNTAX = ['"', '""', "*", "-", "a*b*", "(", ")", "a AND", "{x}", "^x", "+", "\\", "'", "col:x", "a\tb", "é" * 500]


@pytest.mark.parametrize("q", SYNTAX)
def test_search_syntax_is_only_text(admin: Client, q: str) -> None:
    admin.ticket()
    assert admin.get("/api/tickets", params={"q": q}).status_code == 200
    assert admin.get("/api/memories", params={"q": q}).status_code == 200


@pytest.mark.parametrize("path", ["/api/tickets", "/api/memories", "/api/search"])
def test_nul_in_a_search_is_422(admin: Client, path: str) -> None:
    problem(admin.get(path, params={"q": "a\0"}), 422)


@pytest.mark.parametrize("identity", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "a" * 200, ".hidden", "a%00b", "CON"])
def test_memory_id_is_never_a_path(admin: Client, identity: str) -> None:
    problem(admin.get(f"/api/memories/{identity}"), 404)


def test_request_id_is_kept_if_it_is_harmless(admin: Client) -> None:
    assert admin.get("/health/live", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 65, "a\x1b"):
        assert admin.get("/health/live", headers={"x-request-id": bad}).headers["x-request-id"] != bad


_NOTHING_ASKED = [
    call
    for call in RULES
    if call.split()[0] not in ("GET", "HEAD") and "/api/session" not in call and call != "POST /api/imports"
]


@pytest.mark.parametrize("call", _NOTHING_ASKED)
def test_what_writes_refuses_parameters_that_it_would_ignore(admin: Client, call: str) -> None:
    """`?version=3` or `?internal=true` that takes no effect says the contrary of what is done."""
    method, path = call.split()
    answer = admin.request(method, re.sub(r"\{\w+\}", ABSENT, path) + "?internal=true")
    assert [one["field"] for one in problem(answer, 422)["errors"]] == ["internal"]
    assert admin.request(method, re.sub(r"\{\w+\}", ABSENT, path) + "?").status_code != 500
