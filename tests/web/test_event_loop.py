"""No route holds up the event loop, whatever people typed, as long as it is allowed.

Measured is the CPU time of the loop's own thread in one step of a request's task (see watchdog.py): what other threads
or processes do meanwhile does not count, so a busy machine fails nothing.
"""

import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI

from backend import watchdog
from backend.domain.values import LONGEST_PROSE
from backend.web import forms
from tests.conftest import ADMIN_TOKEN, Client

UNITS = (
    "```" + " " * 3_000 + "a`\n",
    "```\n",
    "```a\nb```\n",
    "\n",
    " \n",
    "# a\n",
    "`a` ``b`` ",
    "#1 ",
    "*https://a.b/c* ",
    "https://a.b/([{",
    "~~~https://a~~~",
    "&<>\"'",
    "a\u0301\u0323",
    "\ufdfa",
    "印刷できません",
    "\U0001f3f4\U000e0067\U000e007f",
    "\x9d8;",
    "toner ",
)
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}


def long(unit: str) -> str:
    """A text as long as it may be."""
    return ("x" + unit * (LONGEST_PROSE // len(unit)) + "x" * LONGEST_PROSE)[:LONGEST_PROSE]


@pytest.fixture
def steps(admin: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, float]]:
    """The longest step of each route, in seconds; at the end, none may be too long."""
    found: dict[str, float] = {}

    def observe(name: str, seconds: float) -> None:
        found[name] = max(found.get(name, 0.0), seconds)

    monkeypatch.setattr(watchdog.WATCHDOG, "clock", time.thread_time)
    monkeypatch.setattr(watchdog.WATCHDOG, "observe", observe)
    admin.get("/openapi.json")
    yield found
    assert {name: seconds for name, seconds in found.items() if seconds > watchdog.LONGEST_SECONDS} == {}


@pytest.fixture
def browser(admin: Client) -> Client:
    """The same administrator with a session, as a browser has it."""
    client = admin.speaking(None)
    answer = client.post("/api/session", json={"token": ADMIN_TOKEN})
    client.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
    return client


def test_a_step_that_is_too_long_is_measured(admin: Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests rely on; and /metrics tells it by route."""

    async def busy() -> None:
        end = time.thread_time() + 0.11
        while time.thread_time() < end:
            pass

    seen = []
    monkeypatch.setattr(watchdog.WATCHDOG, "clock", time.thread_time)
    real = watchdog.WATCHDOG.observe
    monkeypatch.setattr(watchdog.WATCHDOG, "observe", lambda *one: (seen.append(one), real(*one)))
    app.add_api_route("/busy", busy, include_in_schema=False)
    admin.get("/busy")
    assert any(name == "GET /busy" and seconds > watchdog.LONGEST_SECONDS for name, seconds in seen)
    assert 'event_loop_held_seconds_count{work="GET /busy"}' in admin.get("/metrics").text


def test_pages_and_calls_of_one_ticket(admin: Client, browser: Client, steps: dict[str, float]) -> None:
    ids = []
    for units in (UNITS[:9], UNITS[9:]):
        ticket = admin.ticket(description=long(units[0]))
        ids.append(ticket["id"])
        for unit in units:
            answer = admin.post(f"/api/tickets/{ticket['id']}/comments", json={"body": long(unit)})
            assert answer.status_code == 201, answer.text
    for ticket_id in ids:
        for form in ({"body": long("&"), "version": "0"}, {"description": long("`a` "), "version": "0"}):
            for path in ("comments", "change"):
                answer = browser.post(f"/tickets/{ticket_id}/{path}", content=urlencode(form), headers=FORM)
                assert answer.status_code < 500
        for path in ("", "?all=1", "/suggestions"):
            assert browser.get(f"/tickets/{ticket_id}{path}").status_code == 200
        for path in ("", "/comments?limit=200", "/history?limit=200", "/triage"):
            assert admin.get(f"/api/tickets/{ticket_id}{path}").status_code == 200
        for text in ("\ufdfa", "# a\n", "a\u0301"):
            assert admin.patch(f"/api/tickets/{ticket_id}", json={"description": long(text)}).status_code == 200
        resolution = {"resolution": long("#1 ")}
        assert admin.post(f"/api/tickets/{ticket_id}/resolve", json=resolution).status_code == 200
        assert browser.get(f"/memories/{ticket_id}").status_code == 200


def test_lists_searches_and_exports_of_many_long_tickets(
    admin: Client, browser: Client, steps: dict[str, float]
) -> None:
    for number in range(200):
        admin.ticket(title="toner " * 30, description=long(f"toner{number % 7} ink & "), tags=[f"t{number % 20}"])
    many = " ".join(f"w{number}" for number in range(30)) + " toner1"
    for path in (
        "/api/tickets?limit=200",
        "/api/tickets?limit=200&q=ink",
        "/api/tickets?limit=200&q=-nothing&sort=created_at",
        "/api/search?limit=200&q=ink",
        f"/api/search?limit=200&{urlencode({'q': many})}",
        "/api/export",
        "/api/stats",
        "/api/tags",
        "/api/audit?limit=200",
    ):
        assert admin.get(path).status_code == 200, path
    for path in ("/queue", "/queue?q=ink", "/dashboard", "/memories?q=ink", "/tickets/new", "/admin/tokens"):
        assert browser.get(path, headers={"accept-encoding": "gzip"}).status_code < 500, path


def test_memories(admin: Client, browser: Client, steps: dict[str, float]) -> None:
    for unit in UNITS[:9]:
        body = {"title": "Toner", "body": long(unit)}
        memory = admin.post("/api/memories", json=body)
        assert memory.status_code == 201, memory.text
        assert admin.put(f"/api/memories/{memory.json()['id']}", json=body).status_code == 200
        assert browser.get(f"/memories/{memory.json()['id']}").status_code == 200
    assert admin.get("/api/memories?limit=200").status_code == 200
    assert admin.post("/api/memories", json={"title": "Toner", "body": long("a") + "a"}).status_code == 422


def test_bodies_as_large_as_they_may_be(admin: Client, browser: Client, steps: dict[str, float]) -> None:
    ticket_id = admin.ticket()["id"]
    room = forms.LARGEST_JSON - 100
    calls = (
        ("POST", "/api/tickets"),
        ("PATCH", f"/api/tickets/{ticket_id}"),
        ("POST", f"/api/tickets/{ticket_id}/comments"),
        ("POST", "/api/session"),
        ("POST", "/api/tickets/bulk"),
        ("PUT", "/api/sla"),
    )
    for method, path in calls:
        for content in (
            '{"tags": [' + "[]," * (room // 3 - 10) + "[]]}",
            '{"tags": [' + "[]," * (forms.MOST_VALUES // 2 - 10) + "[]]}",
            "{" + ",".join(f'"a{at}":1' for at in range(forms.MOST_VALUES - 10)) + "}",
            '{"title": "' + "\u202ea" * (room // 4 - 50) + '"}',
            '{"description": "' + "\\u0301" * (room // 6 - 50) + '"}',
        ):
            assert admin.request(method, path, content=content.encode(), headers=JSON).status_code == 422
    for name in ("title", "description", "tags", "category"):
        for unit in (",a", "\u202ea", "\u0301"):
            form = urlencode({name: unit * (400_000 // len(unit)), "once": "k"})
            for path in ("/tickets", f"/tickets/{ticket_id}/change", "/admin/categories"):
                assert browser.post(path, content=form, headers=FORM).status_code < 500
    mapping = {"columns": {f"c{at}": "title" for at in range(5_000)}}
    table = "a,b\n" + '"' + "x," * 200_000
    for files in ({"file": ("a.csv", table)}, {"mapping": (None, json.dumps(mapping)), "file": ("a.csv", "a\n1\n")}):
        assert admin.post("/api/imports?dry_run=true", files=files).status_code < 500
