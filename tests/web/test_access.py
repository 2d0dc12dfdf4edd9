"""Tokens and roles over HTTP, and a walk over every call with every role."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from backend.domain.access import hash_secret
from tests.conftest import ADMIN_TOKEN, Client, problem


def test_token_is_shown_once_and_kept_as_a_hash(admin: Client, tmp_path) -> None:
    answer = admin.post("/api/tokens", json={"name": "Ada", "role": "agent"})
    secret = answer.json()["token"]
    assert answer.headers["cache-control"] == "no-store"
    assert secret not in admin.get("/api/tokens").text
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert secret.encode() not in stored
    assert hash_secret(secret).encode() in stored
    assert ADMIN_TOKEN.encode() not in stored


def test_revoked_token_is_refused_from_then_on(admin: Client) -> None:
    made = admin.post("/api/tokens", json={"name": "Ada", "role": "agent"}).json()
    ada = admin.speaking(made["token"])
    assert ada.get("/api/tickets").status_code == 200
    assert admin.delete(f"/api/tokens/{made['id']}").status_code == 204
    problem(ada.get("/api/tickets"), 401)
    problem(admin.delete(f"/api/tokens/{made['id']}"), 404)
    problem(admin.delete("/api/tokens/nonsense"), 404)


def test_expired_token_is_refused(admin: Client, app: FastAPI) -> None:
    expires = "2999-01-01T00:00:00+02:00"
    made = admin.post("/api/tokens", json={"name": "Ada", "role": "agent", "expires_at": expires}).json()
    assert made["expires_at"] == "2998-12-31T22:00:00.000000Z"
    ada = admin.speaking(made["token"])
    assert ada.get("/api/tickets").status_code == 200
    object.__setattr__(app.state.ports, "now", lambda: "2998-12-31T22:00:00.000000Z")
    problem(ada.get("/api/tickets"), 401)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "A", "role": "king"},
        {"name": "", "role": "agent"},
        {"name": "A", "role": "agent", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "A", "role": "agent", "expires_at": "2999-01-01T00:00:00"},
        {"name": "A", "role": "agent", "email": "no address"},
        {"name": "A\nB", "role": "agent"},
        {"name": "A"},
    ],
)
def test_refuses_tokens_that_make_no_sense(admin: Client, body: dict) -> None:
    problem(admin.post("/api/tokens", json=body), 422)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer wrong", "bearer \u00e9", "Bearer " + "x" * 5000]
)
def test_without_a_good_token_it_is_401(admin: Client, header: str) -> None:
    answer = admin.speaking(None).get("/api/tickets", headers={"authorization": header.encode("latin-1")})
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


OPEN = {"/health", "/health/live", "/health/ready", "/metrics"}
ENDLESS = {("get", "/api/events"): {"last-event-id": "none"}}  # a header with which it is a plain 400
PATCHES = {"/api/tickets/{ticket_id}": {"title": "X"}, "/api/webhooks/{webhook_id}": {"description": "X"}}
FOR_AGENTS = {
    ("get", "/api/memories"),
    ("get", "/api/memories/{memory_id}"),
    ("delete", "/api/tickets/{ticket_id}"),
    ("post", "/api/tickets/{ticket_id}/resolve"),
    ("post", "/api/tickets/{ticket_id}/restore"),
}
FOR_ADMINS = {
    ("post", "/api/tokens"),
    ("get", "/api/tokens"),
    ("delete", "/api/tokens/{token_id}"),
    ("get", "/api/webhooks"),
    ("post", "/api/webhooks"),
    ("get", "/api/webhooks/{webhook_id}"),
    ("patch", "/api/webhooks/{webhook_id}"),
    ("delete", "/api/webhooks/{webhook_id}"),
    ("post", "/api/webhooks/{webhook_id}/secret"),
    ("post", "/api/webhooks/{webhook_id}/test"),
    ("get", "/api/webhooks/{webhook_id}/deliveries"),
    ("post", "/api/webhooks/{webhook_id}/deliveries/replay"),
    ("post", "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"),
}


def calls(app: FastAPI) -> list[tuple[str, str]]:
    return [(method, path) for path, methods in app.openapi()["paths"].items() for method in methods]


def test_every_call_asks_for_a_token(app: FastAPI, admin: Client) -> None:
    stranger = admin.speaking(None)
    for method, path in calls(app):
        answer = stranger.request(method, re.sub(r"\{\w+\}", "01M82WN1MF4T9XV22B24PC6B8F", path))
        assert (answer.status_code == 401) == (path not in OPEN), f"{method} {path}: {answer.status_code}"


def test_every_call_keeps_to_its_role(app: FastAPI, admin: Client, person: Callable[..., Client]) -> None:
    """A requester meets 403 on what is for others, and 404 on what is another's: never anything else."""
    agent, requester = person("agent", "Ada"), person("requester", "Grace")
    ticket = admin.ticket()
    file = admin.attach(ticket["id"], b"hello").json()["items"][0]
    names = {
        "ticket_id": ticket["id"],
        "attachment_id": file["id"],
        "memory_id": ticket["id"],
        "token_id": ticket["id"],
        "webhook_id": ticket["id"],
        "delivery_id": ticket["id"],
    }
    bodies = {
        "resolve": {"resolution": "X"},
        "comments": {"body": "X"},
        "tokens": {"name": "X", "role": "agent"},
        "webhooks": {"url": "http://127.0.0.1:9/"},
        "tickets": {"title": "T", "description": "D", "severity": "low", "category": "C"},
    }
    for method, path in calls(app):
        if path in OPEN:
            continue
        body = bodies.get(path.rpartition("/")[2]) if method == "post" else PATCHES.get(path)
        address = path.format(**names)
        for who, role in ((requester, "requester"), (agent, "agent")):
            headers = ENDLESS.get((method, path))
            status = who.request(method, address, json=body, headers=headers).status_code
            if (method, path) in FOR_ADMINS or (role == "requester" and (method, path) in FOR_AGENTS):
                assert status == 403, f"{role} {method} {path}: {status}"
            elif role == "requester" and "{ticket_id}" in path:
                assert status == 404, f"{role} {method} {path}: {status}"
            else:
                assert status not in (401, 403, 500), f"{role} {method} {path}: {status}"
        admin.post(f"/api/tickets/{ticket['id']}/restore")
