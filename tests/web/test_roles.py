"""Every call there is, with every kind of person: each may do what its line in RULES says, and can't tell what else exists.

A new call needs a line here. That is all: what it must refuse to whom follows from its role and its address.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from tests.conftest import ADMIN_TOKEN, Client

OPEN = "open"  # to everybody, without a token
SECRET = "secret"  # the token is in its body
REQUESTER, AGENT, ADMIN = "requester", "agent", "admin"  # from this role up
RANK = {REQUESTER: 0, AGENT: 1, ADMIN: 2}


@dataclass(frozen=True)
class Rule:
    """Who may make a call, a body that is good for it, and what its ticket must be before: resolved, deleted, linked.

    `{name}` in a body is what World.names says.
    """

    least: str
    body: Any = None
    files: Any = None
    before: str | None = None
    headers: dict[str, str] | None = None
    good: int | None = None  # what it answers to whoever may, where that is no success


ABSENT = "01M82WN1MF4T9XV22B24PC6B8F"
TICKET = {"title": "T", "description": "D", "severity": "low", "category": "C"}
FILE = {"files": ("b.txt", b"bytes")}

RULES: dict[str, Rule] = {
    "GET /health": Rule(OPEN),
    "GET /health/live": Rule(OPEN),
    "GET /health/ready": Rule(OPEN),
    "GET /metrics": Rule(OPEN),
    "POST /api/session": Rule(SECRET, {"token": ADMIN_TOKEN}),
    "GET /api/session": Rule(REQUESTER),
    "DELETE /api/session": Rule(REQUESTER),
    "GET /api/tickets": Rule(REQUESTER),
    "POST /api/tickets": Rule(REQUESTER, TICKET),
    "GET /api/tickets/{ticket_id}": Rule(REQUESTER),
    "PATCH /api/tickets/{ticket_id}": Rule(REQUESTER, {"title": "X"}),
    "DELETE /api/tickets/{ticket_id}": Rule(AGENT),
    "POST /api/tickets/{ticket_id}/restore": Rule(AGENT, before="deleted"),
    "POST /api/tickets/{ticket_id}/resolve": Rule(AGENT, {"resolution": "X"}),
    "POST /api/tickets/{ticket_id}/reopen": Rule(REQUESTER, before="resolved"),
    "GET /api/tickets/{ticket_id}/comments": Rule(REQUESTER),
    "POST /api/tickets/{ticket_id}/comments": Rule(REQUESTER, {"body": "X"}),
    "GET /api/tickets/{ticket_id}/history": Rule(REQUESTER),
    "GET /api/tickets/{ticket_id}/attachments": Rule(REQUESTER),
    "POST /api/tickets/{ticket_id}/attachments": Rule(REQUESTER, files=FILE),
    "GET /api/tickets/{ticket_id}/attachments/{attachment_id}": Rule(REQUESTER),
    "HEAD /api/tickets/{ticket_id}/attachments/{attachment_id}": Rule(REQUESTER),
    "DELETE /api/tickets/{ticket_id}/attachments/{attachment_id}": Rule(REQUESTER),
    "POST /api/tickets/{ticket_id}/merge": Rule(AGENT, {"into": "{other_id}"}),
    "POST /api/tickets/{ticket_id}/links": Rule(AGENT, {"kind": "related", "ticket_id": "{other_id}"}),
    "DELETE /api/tickets/{ticket_id}/links/{other_id}": Rule(AGENT, before="linked"),
    "GET /api/tickets/{ticket_id}/triage": Rule(AGENT),
    "POST /api/tickets/{ticket_id}/triage": Rule(AGENT),
    "POST /api/tickets/{ticket_id}/triage/apply": Rule(AGENT, {"category": "Absent"}, good=409),  # nobody suggests it
    "GET /api/tickets/{ticket_id}/replies/{reply_id}": Rule(AGENT),
    "POST /api/tickets/{ticket_id}/watch": Rule(REQUESTER),
    "POST /api/tickets/{ticket_id}/unwatch": Rule(REQUESTER),
    "POST /api/tickets/bulk": Rule(AGENT, {"tickets": [{"id": "{ticket_id}"}], "action": "reopen", "mode": "each"}),
    "GET /api/categories": Rule(REQUESTER),
    "POST /api/categories": Rule(ADMIN, {"name": "C {n}", "active": False}),
    "GET /api/categories/{category_id}": Rule(REQUESTER),
    "PUT /api/categories/{category_id}": Rule(ADMIN, {"name": "C {n}", "active": False}),
    "DELETE /api/categories/{category_id}": Rule(ADMIN),
    "GET /api/teams": Rule(REQUESTER),
    "POST /api/teams": Rule(ADMIN, {"name": "T {n}", "active": False}),
    "GET /api/teams/{team_id}": Rule(REQUESTER),
    "PUT /api/teams/{team_id}": Rule(ADMIN, {"name": "T {n}", "active": False}),
    "DELETE /api/teams/{team_id}": Rule(ADMIN),
    "GET /api/replies": Rule(AGENT),
    "POST /api/replies": Rule(AGENT, {"title": "R {n}", "body": "B"}),
    "GET /api/replies/{reply_id}": Rule(AGENT),
    "PUT /api/replies/{reply_id}": Rule(AGENT, {"title": "R {n}", "body": "B"}),
    "DELETE /api/replies/{reply_id}": Rule(AGENT),
    "GET /api/views": Rule(AGENT),
    "POST /api/views": Rule(AGENT, {"name": "V {n}", "query": {}}),
    "GET /api/views/{view_id}": Rule(AGENT),
    "PUT /api/views/{view_id}": Rule(AGENT, {"name": "V {n}", "query": {}}),
    "DELETE /api/views/{view_id}": Rule(AGENT),
    "GET /api/workflow": Rule(REQUESTER),
    "GET /api/sla": Rule(REQUESTER),
    "PUT /api/sla": Rule(ADMIN, {"time_zone": "UTC", "hours": {"monday": ["09:00-17:00"]}, "promises": {}}),
    "GET /api/memories": Rule(AGENT),
    "POST /api/memories": Rule(AGENT, {"title": "T", "body": "B"}),
    "GET /api/memories/{memory_id}": Rule(AGENT),
    "PUT /api/memories/{memory_id}": Rule(AGENT, {"title": "T", "body": "B"}),
    "DELETE /api/memories/{memory_id}": Rule(AGENT),
    "POST /api/memories/{memory_id}/feedback": Rule(AGENT, {"helpful": True}),
    "GET /api/tags": Rule(REQUESTER),
    "POST /api/tags/rename": Rule(ADMIN, {"from": "unused", "to": "T {n}"}, good=422),
    "GET /api/renames": Rule(ADMIN),
    "GET /api/renames/{rename_id}": Rule(ADMIN),
    "POST /api/categories/{category_id}/merge": Rule(ADMIN, {"into": ABSENT}, good=404),
    "POST /api/teams/{team_id}/merge": Rule(ADMIN, {"into": ABSENT}, good=404),
    "GET /api/search": Rule(REQUESTER, good=422),  # it wants a q
    "GET /api/webhooks": Rule(ADMIN),
    "POST /api/webhooks": Rule(ADMIN, {"url": "http://127.0.0.1:9/"}),
    "GET /api/webhooks/{webhook_id}": Rule(ADMIN),
    "PATCH /api/webhooks/{webhook_id}": Rule(ADMIN, {"description": "X"}),
    "DELETE /api/webhooks/{webhook_id}": Rule(ADMIN),
    "POST /api/webhooks/{webhook_id}/secret": Rule(ADMIN, before="webhook"),
    "POST /api/webhooks/{webhook_id}/test": Rule(ADMIN, before="webhook"),
    "GET /api/webhooks/{webhook_id}/deliveries": Rule(ADMIN),
    "POST /api/webhooks/{webhook_id}/deliveries/replay": Rule(ADMIN, before="webhook"),
    "POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Rule(ADMIN, before="webhook"),
    "GET /api/events": Rule(REQUESTER, headers={"last-event-id": "none"}, good=400),  # a stream has no end,
    "POST /api/tokens": Rule(ADMIN, {"name": "X", "role": "agent"}),
    "GET /api/tokens": Rule(ADMIN),
    "DELETE /api/tokens/{token_id}": Rule(ADMIN),
    "GET /api/audit": Rule(ADMIN),
    "GET /api/stats": Rule(AGENT),
    "GET /api/export": Rule(ADMIN),
    "POST /api/import": Rule(ADMIN, good=415),  # it wants a tar
    "GET /api/imports": Rule(ADMIN),
    "POST /api/imports": Rule(ADMIN, files={"file": ("t.csv", b"Title\nT\n")}, good=400),  # it wants a mapping too
    "GET /api/imports/{import_id}": Rule(ADMIN),
    "GET /api/imports/{import_id}/refused": Rule(ADMIN),
    "DELETE /api/imports/{import_id}": Rule(ADMIN),
}

EXPIRY = "2999-01-01T00:00:00.000000Z"
CLOSED = sorted(call for call, rule in RULES.items() if rule.least not in (OPEN, SECRET))
OF_A_TICKET = [call for call in CLOSED if "{ticket_id}" in call]
CHANGING = ("PATCH", "PUT", "POST", "DELETE")


class World:
    """A ticket of Grace's in the team Network, and everybody who might ask for it."""

    def __init__(self, admin: Client, person: Callable[..., Client]) -> None:
        self.admin = admin
        self.grace = person("requester", "Grace")
        self.lin = person("requester", "Lin")
        self.ada = person("agent", "Ada")
        self.nia = person("agent", "Nia", teams=["Network"])
        self.omar = person("agent", "Omar", teams=["Storage"])
        self.session = admin.speaking(None)
        self.session.headers["sec-fetch-site"] = "same-origin"
        self.sign_in()
        self.other = self.ticket()

    def sign_in(self) -> None:
        """Begin a session of Nia's."""
        signed_in = self.admin.speaking(None).post("/api/session", json={"token": self.nia.token})
        self.session.headers["cookie"] = signed_in.headers["set-cookie"].partition(";")[0]

    def insiders(self) -> Iterator[tuple[str, str, Client]]:
        """(name, role, client) of all who may know of the ticket."""
        yield "its requester", REQUESTER, self.grace
        yield "an agent", AGENT, self.ada
        yield "an agent of its team", AGENT, self.nia
        yield "a session of that agent", AGENT, self.session
        yield "an administrator", ADMIN, self.admin

    def outsiders(self) -> Iterator[tuple[str, str, Client]]:
        """Those who may not."""
        yield "another requester", REQUESTER, self.lin
        yield "an agent of another team", AGENT, self.omar

    def names(self, before: str | None = None, for_call: str | None = None) -> dict[str, str]:
        """Things that exist, by the name that an address gives them. A new ticket of Grace's each time.

        `for_call`: no file and no memory that its address does not name.
        """
        ticket = self.ticket()
        other = self.other
        file = memory = ABSENT
        if for_call is None or "{attachment_id}" in for_call:
            file = self.grace.attach(ticket, b"hello").json()["items"][0]["id"]
        if for_call is None or "{memory_id}" in for_call:
            memory = self.admin.post("/api/memories", json={"title": "T", "body": "B", "team": "Network"}).json()["id"]
        if before == "linked":
            self.admin.post(f"/api/tickets/{ticket}/links", json={"kind": "related", "ticket_id": other})
        if before == "deleted":
            self.admin.delete(f"/api/tickets/{ticket}")
        if before == "resolved":
            self.admin.post(f"/api/tickets/{ticket}/resolve", json={"resolution": "X", "remember": False})
        found = {"ticket_id": ticket, "attachment_id": file, "other_id": other, "memory_id": memory, "n": ticket}
        return found | self.webhook() if before == "webhook" else found

    def webhook(self) -> dict[str, str]:
        """A webhook to where nobody listens, and a delivery of it."""
        made = self.admin.post("/api/webhooks", json={"url": "http://127.0.0.1:9/"}).json()["id"]
        sent = self.admin.post(f"/api/webhooks/{made}/test").json()["id"]
        return {"webhook_id": made, "delivery_id": sent}

    def ticket(self) -> str:
        """A new ticket of Grace's."""
        return str(self.admin.ticket(title="Private", requester="grace@example.org", team="Network")["id"])


@pytest.fixture
def world(admin: Client, person: Callable[..., Client]) -> World:
    return World(admin, person)


def send(
    client: Client, call: str, names: dict[str, str], headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    """Make the call; what `names` does not name is an id of nothing."""
    method, _, path = call.partition(" ")
    rule = RULES[call]
    sent = body or {"json": filled(rule.body, names), "files": rule.files}
    return client.request(
        method, path.format_map(_Absent(names)), headers={**(rule.headers or {}), **(headers or {})}, **sent
    )


def filled(body: Any, names: dict[str, str]) -> Any:
    """The body with the names in it."""
    if isinstance(body, dict):
        return {key: filled(value, names) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, names) for value in body]
    return body.format_map(_Absent(names)) if isinstance(body, str) else body


class _Absent(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return ABSENT


def told(answer: httpx.Response, ticket_id: str) -> tuple[int, str, dict[str, str]]:
    """All that an answer tells, but for the id that was asked for."""
    own = ("x-request-id", "date")
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status_code, answer.text.replace(ticket_id, "…"), headers


def test_every_call_has_a_rule_and_every_rule_a_call(app: FastAPI) -> None:
    calls = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    without = sorted(calls - RULES.keys())
    assert not without, f"say in RULES (tests/web/test_roles.py) who may make these new calls: {without}"
    assert not (gone := sorted(RULES.keys() - calls)), f"RULES has calls that are no more: {gone}"


def test_addresses_outside_the_api_are_few_and_known(app: FastAPI) -> None:
    """What is not described (pages, styles) is not walked through: it must be named here."""
    described = set(app.openapi()["paths"])
    others = {route.path for route in app.routes if getattr(route, "path", None)} - described
    assert not [path for path in others if path.startswith("/api")], "a call that OpenAPI does not describe"


def test_whoever_is_nobody_gets_the_same_401_everywhere(app: FastAPI, world: World) -> None:
    made = [
        world.admin.post("/api/tokens", json={"name": "Old", "role": "admin", "expires_at": EXPIRY}).json()
        for _ in range(2)
    ]
    world.admin.delete(f"/api/tokens/{made[0]['id']}")
    nobody = {secret: world.admin.speaking(secret) for secret in (None, "guess", made[0]["token"], made[1]["token"])}
    signed_out, garbage = world.session, world.admin.speaking(None)
    world.session.delete("/api/session")
    garbage.headers["cookie"] = "ticket_session=garbage;;="
    names = world.names()
    object.__setattr__(app.state.ports, "now", lambda: EXPIRY)
    for who, client in {**nobody, "signed out": signed_out, "garbage": garbage}.items():
        texts = set()
        for call in CLOSED:
            answer = send(client, call, names)
            assert answer.status_code == 401, f"{who}: {call}: {answer.status_code} {answer.text}"
            assert answer.headers["www-authenticate"] == "Bearer"
            texts |= {answer.text} - {""}
        assert len(texts) == 1, texts
        for call, rule in RULES.items():
            if rule.least == OPEN:
                assert send(client, call, {}).status_code == 200, f"{who}: {call}"


def test_unknown_revoked_and_expired_look_the_same(app: FastAPI, world: World) -> None:
    made = [
        world.admin.post("/api/tokens", json={"name": "Old", "role": "agent", **more}).json()
        for more in ({}, {"expires_at": EXPIRY})
    ]
    world.admin.delete(f"/api/tokens/{made[0]['id']}")
    object.__setattr__(app.state.ports, "now", lambda: EXPIRY)
    secrets = (made[0]["token"], made[1]["token"], "wrong", "ts_" + "x" * 43)
    answers = {world.admin.speaking(secret).get("/api/tickets").text for secret in secrets}
    assert len(answers) == 1


def test_each_role_may_do_what_the_rule_says(world: World) -> None:
    shared = world.names()
    for call in CLOSED:
        rule = RULES[call]
        asked = {part.strip("{}") for part in call.split("/") if part.startswith("{")}
        for name, role, client in world.insiders():
            allowed = RANK[role] >= RANK[rule.least]
            names = {**shared, "n": f"{call} {name}"[-60:]}
            if allowed and call.startswith(CHANGING) and asked & {"ticket_id", "memory_id"}:
                names = world.names(rule.before, call)
            answer = send(client, call, names)
            say = f"{name}: {call}: {answer.status_code} {answer.text}"
            if not allowed:
                assert answer.status_code == 403, say
                assert told(answer, names["ticket_id"]) == told(send(client, call, {}), ABSENT), (
                    f"{say} tells what exists"
                )
            elif asked <= names.keys():
                assert answer.status_code == rule.good or answer.is_success, say
            else:
                assert answer.status_code == 404, say
        if call.endswith("/session"):
            world.sign_in()


def ways(call: str) -> list[dict[str, Any]]:
    """What may be sent along with a call, the plain way first."""
    tags = ['"1"', '"2"', '"99"', "*", "nonsense"]
    conditions = ({"if-match": tag} for tag in tags)
    if call.startswith(("GET", "HEAD")):
        conditions = ({"if-none-match": "*"}, {"range": "bytes=0-1"}, {"range": "bytes=999-"})
    headers: list[dict[str, Any]] = [{}, *({"headers": one} for one in conditions)]
    if call.startswith("POST"):
        headers.append({"headers": {"idempotency-key": "k"}})
    return headers + (list(BODIES) if call.startswith(CHANGING) else [])


BODIES: tuple[dict[str, Any], ...] = ({"json": {"nonsense": 1}}, {"content": b"{"}, {"json": []})


@pytest.mark.parametrize("before", [None, "resolved", "deleted"])
def test_what_is_anothers_looks_like_what_is_not_there(world: World, before: str | None) -> None:
    """Same status, same text, same headers, whatever is sent along. None of it may change the ticket."""
    names = world.names(before)
    ticket = world.admin.get(f"/api/tickets/{names['ticket_id']}").json()
    for call in OF_A_TICKET:
        for name, role, client in world.outsiders():
            allowed = RANK[role] >= RANK[RULES[call].least]
            for number, way in enumerate(ways(call) if before is None else [{}]):
                there, absent = send(client, call, names, **way), send(client, call, {}, **way)
                say = f"{name}: {call} {way}: {there.status_code} {there.text}; absent: {absent.text}"
                assert told(there, names["ticket_id"]) == told(absent, ABSENT), say
                assert there.status_code in (400, 403, 404, 415, 422), say
                if number == 0:
                    assert there.status_code == (404 if allowed else 403), say
    assert world.admin.get(f"/api/tickets/{names['ticket_id']}").json() == ticket


def test_attachment_of_another_ticket_looks_like_none(world: World) -> None:
    own, other = world.grace.ticket()["id"], world.admin.ticket()["id"]
    file = world.admin.attach(other, b"secret").json()["items"][0]["id"]
    for method in ("GET", "HEAD", "DELETE"):
        call = f"{method} /api/tickets/{{ticket_id}}/attachments/{{attachment_id}}"
        there = send(world.grace, call, {"ticket_id": own, "attachment_id": file})
        absent = send(world.grace, call, {"ticket_id": own, "attachment_id": ABSENT})
        assert there.status_code == 404 and told(there, file) == told(absent, ABSENT), call


def test_replaying_anothers_key_shows_nothing_of_theirs(world: World) -> None:
    """A key belongs to whoever used it: the same request by another is judged as their own."""
    owners = {REQUESTER: world.grace, AGENT: world.nia, ADMIN: world.admin}
    for number, call in enumerate(call for call in CLOSED if call.startswith("POST")):
        rule = RULES[call]
        names, key = world.names(rule.before, call), {"idempotency-key": f"key-{number}"}
        first = send(owners[rule.least], call, names, key)
        if first.status_code == rule.good:
            continue  # no success, no receipt
        assert first.is_success, f"{call}: {first.text}"
        for name, role, client in world.outsiders():
            again = send(client, call, names, key)
            say = f"{name}: {call}: {again.status_code} {again.text}"
            assert "idempotency-replayed" not in again.headers, say
            if RANK[role] < RANK[rule.least]:
                assert again.status_code == 403, say
            elif "{ticket_id}" in call:
                absent = send(client, call, {}, {"idempotency-key": f"absent-{number}"})
                assert again.status_code == 404, say
                assert told(again, names["ticket_id"]) == told(absent, ABSENT), say
            else:
                assert again.json() != first.json(), say


def test_lists_hold_nothing_of_others(world: World) -> None:
    names = world.names()
    for name, _, client in world.outsiders():
        for query in (
            "",
            "?q=private",
            "?requester=grace@example.org",
            "?team=Network",
            "?sort=number",
            "?status=open",
        ):
            answer = client.get(f"/api/tickets{query}")
            assert answer.json() == {"items": [], "next_cursor": None}, f"{name}: {query}"
            assert names["ticket_id"] not in answer.text
    assert world.lin.get("/api/tickets?deleted=true").status_code == 403
