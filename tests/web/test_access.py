"""Tokens and teams over HTTP. What each call asks of whom is walked through in `test_roles.py`."""

import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from backend.domain.access import hash_secret
from backend.domain.values import instant
from backend.errors import Unavailable
from tests.conftest import ADMIN_TOKEN, Client, problem
from tests.stored import Stored


def test_token_is_shown_once_and_kept_as_a_hash(admin: Client, stored: Stored) -> None:
    answer = admin.post("/api/tokens", json={"name": "Ada", "role": "agent"})
    secret = answer.json()["token"]
    assert answer.headers["cache-control"] == "no-store"
    assert secret not in admin.get("/api/tokens").text
    records = stored.records()
    assert secret.encode() not in records
    assert hash_secret(secret).encode() in records
    assert ADMIN_TOKEN.encode() not in records


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
        {"name": "A", "role": "agent", "expires_at": "9999-12-31T23:59:59-14:00"},
        {"name": "A", "role": "agent", "expires_at": "0001-01-01T00:00:00+14:00"},
        {"name": "A", "role": "agent", "email": "no address"},
        {"name": "A\0B", "role": "agent"},
        {"name": "A", "role": "admin", "teams": ["Network"]},
        {"name": "A", "role": "requester", "teams": ["Network"]},
        {"name": "A", "role": "agent", "teams": ["Network"] * 51},
        {"name": "A", "role": "agent", "teams": [""]},
        {"name": "A", "role": "agent", "rate_limit": 0},
        {"name": "A", "role": "agent", "rate_limit": 1.5},
        {"name": "A", "role": "agent", "last_used_at": "2026-01-01T00:00:00Z"},
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


def test_last_use_is_kept_to_the_hour(admin: Client, app: FastAPI) -> None:
    made = admin.post("/api/tokens", json={"name": "Ada", "role": "agent", "rate_limit": 600}).json()
    assert made["last_used_at"] is None and made["rate_limit"] == 600
    ada, written, ports = admin.speaking(made["token"]), [], app.state.ports
    mark = ports.tokens.mark_used

    async def counted(token_id: str, moment: str) -> None:
        written.append(moment[11:16])
        await mark(token_id, moment)

    ports.tokens.mark_used = counted
    for moment in ("10:59", "11:00", "11:59", "10:00", "12:00"):
        object.__setattr__(ports, "now", lambda moment=moment: f"2031-01-01T{moment}:00.000000Z")
        assert ada.get("/api/tickets").status_code == 200
    assert written == ["10:59", "11:00", "12:00"]
    (kept,) = admin.get("/api/tokens").json()["items"]
    assert kept["last_used_at"] == "2031-01-01T12:00:00.000000Z"
    assert kept == {
        **{name: value for name, value in made.items() if name != "token"},
        "last_used_at": kept["last_used_at"],
    }


def test_signs_in_where_the_store_takes_no_writes(admin: Client, app: FastAPI) -> None:
    made = admin.post("/api/tokens", json={"name": "Ada", "role": "agent"}).json()
    cookie = admin.post("/api/session", json={"token": made["token"]}).headers["set-cookie"].partition(";")[0]

    async def full(*_: object) -> None:
        raise Unavailable("The disk is full.")

    app.state.ports.tokens.mark_used = app.state.ports.tokens.renew_session = full
    object.__setattr__(app.state.ports, "now", lambda: app_time_plus(3))
    for headers in ({"authorization": f"Bearer {made['token']}"}, {"cookie": cookie}):
        assert admin.speaking(None).get("/api/tickets", headers=headers).status_code == 200


def app_time_plus(hours: int) -> str:
    return instant((int(time.time()) + hours * 3600) * 1_000_000)


def test_list_of_tokens_has_an_etag(admin: Client) -> None:
    admin.post("/api/tokens", json={"name": "Ada", "role": "agent"})
    first = admin.get("/api/tokens")
    tag = {"if-none-match": first.headers["etag"]}
    again = admin.get("/api/tokens", headers=tag)
    assert again.status_code == 304 and not again.content and again.headers["etag"] == first.headers["etag"]
    admin.post("/api/tokens", json={"name": "Lin", "role": "agent"})
    assert admin.get("/api/tokens", headers=tag).status_code == 200


def test_agent_with_teams_knows_of_no_other_tickets(admin: Client, person: Callable[..., Client]) -> None:
    mine, other, nobodys = (admin.ticket(title="Router", team=team) for team in ("Network", "Storage", None))
    nia, lead = person("agent", "Nia", teams=["Network"]), person("agent", "Lea", teams=["Network", "Storage"])

    def seen(client: Client, query: str = "") -> list[str]:
        return [ticket["id"] for ticket in client.get(f"/api/tickets{query}").json()["items"]]

    assert seen(nia) == seen(nia, "?q=router") == seen(nia, "?team=Network&team=Storage") == [mine["id"]]
    assert seen(nia, "?team=Storage") == []
    assert set(seen(lead)) == {mine["id"], other["id"]}
    for hidden in (other, nobodys):
        problem(nia.get(f"/api/tickets/{hidden['id']}"), 404)
    admin.delete(f"/api/tickets/{other['id']}")
    assert seen(nia, "?deleted=true") == [] and seen(lead, "?deleted=true") == [other["id"]]


def test_agent_with_teams_hands_a_ticket_over_and_has_seen_the_last_of_it(
    admin: Client, person: Callable[..., Client]
) -> None:
    nia = person("agent", "Nia", teams=["Network"])
    address = f"/api/tickets/{admin.ticket(team='Network')['id']}"
    assert nia.patch(address, json={"team": "Storage"}).json()["team"] == "Storage"
    problem(nia.get(address), 404)
    problem(nia.patch(address, json={"team": "Network"}), 404)
    assert person("agent", "Sam", teams=["Storage"]).get(address).status_code == 200
