"""Sessions over HTTP: a cookie that stands for a token, and only from this site's own pages."""

from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from backend.domain.access import hash_secret
from backend.domain.values import now
from tests.conftest import ADMIN_TOKEN, Client, problem
from tests.stored import Stored

HERE = {"sec-fetch-site": "same-origin"}
TICKET = {"title": "T", "description": "D", "severity": "low", "category": "C"}


def sign_in(client: Client, token: str = ADMIN_TOKEN, **options: Any) -> httpx.Response:
    return client.speaking(None).post("/api/session", json={"token": token}, **options)


def cookie_of(answer: httpx.Response) -> str:
    return SimpleCookie(answer.headers["set-cookie"])["ticket_session"].value


@pytest.fixture
def session(admin: Client) -> Callable[..., Client]:
    """Somebody who signed in: a client whose cookie speaks for it."""

    def start(token: str = ADMIN_TOKEN) -> Client:
        client = admin.speaking(None)
        client.headers["cookie"] = f"ticket_session={cookie_of(sign_in(admin, token))}"
        return client

    return start


def at(app: FastAPI, instant: str) -> None:
    object.__setattr__(app.state.ports, "now", lambda: instant)


def test_token_becomes_a_cookie_that_scripts_do_not_see(admin: Client, stored: Stored) -> None:
    answer = sign_in(admin)
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"name": "admin", "role": "admin", "address": "admin", "teams": []}
    morsel = SimpleCookie(answer.headers["set-cookie"])["ticket_session"]
    assert morsel["httponly"] and morsel["samesite"].lower() == "lax" and morsel["path"] == "/"
    assert not morsel["secure"] and not morsel["domain"] and morsel["max-age"] == str(30 * 86_400)
    records = stored.records()
    for secret in (morsel.value, ADMIN_TOKEN, hash_secret(ADMIN_TOKEN)):
        assert secret.encode() not in records
    assert hash_secret(morsel.value).encode() in records


def test_cookie_is_secure_by_https(app: FastAPI) -> None:
    with Client(app, base_url="https://helpdesk.example.org") as client:
        answer = client.post("/api/session", json={"token": ADMIN_TOKEN})
        morsel = SimpleCookie(answer.headers["set-cookie"])["__Host-ticket_session"]
        assert morsel["secure"] and morsel["path"] == "/" and not morsel["domain"]
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        planted = {"cookie": f"ticket_session={morsel.value}"}
        assert (
            client.get("/api/session", headers={"cookie": f"__Host-ticket_session={morsel.value}"}).status_code == 200
        )
        problem(client.get("/api/session", headers=planted), 401)
        assert "secure" in client.delete("/api/session", headers=HERE).headers["set-cookie"].lower()


@pytest.mark.parametrize(("scheme", "prefix"), [("http", ""), ("https", "__Host-")])
def test_two_ports_of_a_host_do_not_sign_each_other_out(app: FastAPI, scheme: str, prefix: str) -> None:
    jar: dict[str, str] = {}  # a browser's: one for all ports of a host
    with Client(app) as client:
        for host in ("localhost:8000", "localhost:8001", "[::1]:8000", "localhost"):
            address = f"{scheme}://{host}/api/session"
            answer = client.post(address, json={"token": ADMIN_TOKEN}, headers={"cookie": _header(jar)})
            morsels = SimpleCookie(answer.headers["set-cookie"])
            jar |= {name: morsel.value for name, morsel in morsels.items()}
            client.cookies.clear()
        assert set(jar) == {f"{prefix}ticket_session{port}" for port in ("", "_8000", "_8001")}
        for host in ("localhost:8001", "[::1]:8000", "localhost", "localhost:443"):
            assert client.get(f"{scheme}://{host}/api/session", headers={"cookie": _header(jar)}).status_code == 200
        address = f"{scheme}://localhost:8001/api/session"
        gone = client.delete(address, headers={"cookie": _header(jar), **HERE}).headers["set-cookie"]
        assert f"{prefix}ticket_session_8001=" in gone
        problem(client.get(address, headers={"cookie": _header(jar)}), 401)
        assert client.get(f"{scheme}://localhost/api/session", headers={"cookie": _header(jar)}).status_code == 200


def _header(jar: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def test_plain_http_has_no_header_that_needs_https(admin: Client) -> None:
    answer = admin.get("/api/session")
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("way", ["api", "page"])
def test_signing_in_anew_ends_the_old_session(session: Callable[..., Client], admin: Client, way: str) -> None:
    first, other = session(), session()
    own = {"cookie": first.headers["cookie"], **HERE}
    if way == "api":
        assert admin.speaking(None).post("/api/session", json={"token": ADMIN_TOKEN}, headers=own).status_code == 201
    else:
        data = {"token": ADMIN_TOKEN}
        answer = admin.speaking(None).post("/sign-in", data=data, headers=own, follow_redirects=False)
        assert answer.status_code == 303
    problem(first.get("/api/tickets"), 401)
    assert other.get("/api/tickets").status_code == 200


def test_says_who_is_signed_in(session: Callable[..., Client], person: Callable[..., Client]) -> None:
    ada = person("agent", "Ada", teams=["Network"])
    expected = {"name": "Ada", "role": "agent", "address": "ada@example.org", "teams": ["Network"]}
    assert ada.get("/api/session").json() == session(ada.token).get("/api/session").json() == expected


def test_sign_out_ends_the_session_and_no_other(session: Callable[..., Client], admin: Client) -> None:
    first, second = session(), session()
    answer = first.delete("/api/session", headers=HERE)
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["set-cookie"]
    problem(first.get("/api/tickets"), 401)
    assert second.get("/api/tickets").status_code == 200
    assert admin.delete("/api/session").status_code == 204
    assert admin.get("/api/tickets").status_code == 200


def test_ends_with_its_token(session: Callable[..., Client], admin: Client, app: FastAPI) -> None:
    made = [admin.post("/api/tokens", json={"name": "A", "role": "agent", **more}).json() for more in ({}, SOON)]
    revoked, expired = (session(one["token"]) for one in made)
    admin.delete(f"/api/tokens/{made[0]['id']}")
    problem(revoked.get("/api/tickets"), 401)
    assert expired.get("/api/tickets").status_code == 200
    at(app, SOON["expires_at"])
    problem(expired.get("/api/tickets"), 401)


SOON = {"expires_at": now()[:4].replace("2", "3", 1) + "-01-01T00:00:00.000000Z"}


def test_administrators_session_ends_with_the_admin_token(session: Callable[..., Client], app: FastAPI) -> None:
    one = session()
    assert one.get("/api/tokens").status_code == 200
    object.__setattr__(app.state.ports, "admin_hash", lambda: hash_secret("another"))
    problem(one.get("/api/tokens"), 401)


def test_ends_when_unused_for_half_a_day_and_after_thirty_days(session: Callable[..., Client], app: FastAPI) -> None:
    at(app, "2031-01-01T00:30:00.000000Z")
    idle, busy = session(), session()
    for day in range(1, 31):
        for hour in (1, 9, 17):
            at(app, f"2031-01-{day:02}T{hour:02}:00:00.000000Z")
            assert busy.get("/api/tickets").status_code == 200, (day, hour)
    problem(idle.get("/api/tickets"), 401)
    at(app, "2031-01-31T00:29:59.999999Z")
    assert busy.get("/api/tickets").status_code == 200
    at(app, "2031-01-31T00:30:00.000000Z")
    problem(busy.get("/api/tickets"), 401)


def test_use_is_written_once_an_hour_and_never_when_the_clock_goes_back(
    session: Callable[..., Client], app: FastAPI
) -> None:
    ports, written = app.state.ports, []
    renew = ports.tokens.renew_session

    async def counted(session: Any) -> None:
        written.append(session.used_at)
        await renew(session)

    at(app, "2031-01-01T10:30:00.000000Z")
    one = session()
    ports.tokens.renew_session = counted
    for moment in ("10:59", "11:00", "11:30", "11:59", "09:00", "08:00", "12:00"):
        at(app, f"2031-01-01T{moment}:00.000000Z")
        assert one.get("/api/tickets").status_code == 200
    assert [moment[11:16] for moment in written] == ["11:00", "12:00"]


GARBAGE = [
    "",
    "ticket_session",
    "ticket_session=",
    "ticket_session=wrong",
    "ticket_session=ts_" + "x" * 43,
    "ticket_session=" + "x" * 8_192,
    "ticket_session=\u00e9\u00e9",
    "=;;=;ticket_session==;",
    "ticket_session=" + ADMIN_TOKEN,
    "ticket_session=ts_" + "x" * 43 + "; ticket_session=ts_" + "y" * 43,
]


def test_garbage_in_the_cookie_is_401(admin: Client) -> None:
    for cookie in GARBAGE:
        problem(admin.speaking(None).get("/api/tickets", headers={"cookie": cookie.encode("latin-1")}), 401)


def test_planted_cookie_beside_the_real_one_signs_nobody_in(session: Callable[..., Client]) -> None:
    one, other = session(), session()
    both = f"{one.headers['cookie']}; a=b; {other.headers['cookie']}"
    problem(one.get("/api/session", headers={"cookie": both}), 401)
    twice = f"{one.headers['cookie']}; a=b; {one.headers['cookie']}"
    assert one.get("/api/session", headers={"cookie": twice}).status_code == 200


def test_bearer_token_goes_before_the_cookie(session: Callable[..., Client], requester: Client) -> None:
    one = session()
    headers = {"authorization": f"Bearer {requester.token}"}
    assert one.get("/api/session", headers=headers).json()["name"] == "Grace"
    problem(one.get("/api/session", headers={"authorization": "Bearer wrong"}), 401)
    proxys_own = {"authorization": "Basic YTpi"}
    assert one.get("/api/session", headers=proxys_own).json()["name"] == "admin"


ELSEWHERE = [
    {},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://[broken"},
    {"origin": "http://testserver:8000"},
    {"origin": "http://testserver.evil.example"},
    {"origin": "http://evil.example", "referer": "http://testserver/"},
    {"referer": "http://evil.example/testserver"},
    {"origin": "http://", "host": ""},
]


def test_another_site_writes_nothing(session: Callable[..., Client], admin: Client) -> None:
    ticket = admin.ticket()
    address = f"/api/tickets/{ticket['id']}"
    one = session()
    for headers in ELSEWHERE:
        for method, path, body in (
            ("POST", "/api/tickets", TICKET),
            ("PATCH", address, {"title": "X"}),
            ("DELETE", address, None),
            ("DELETE", "/api/session", None),
        ):
            refused = problem(one.request(method, path, json=body, headers=headers), 403)
            assert "\n" not in refused["detail"]
        assert one.get(address, headers=headers).json() == ticket
        assert admin.post("/api/tickets", json=TICKET, headers=headers).status_code == 201, "a bearer token may"


OWN_PAGES = [
    HERE,
    {"sec-fetch-site": "none"},
    {"origin": "http://testserver"},
    {"origin": "https://TESTSERVER"},
    {"referer": "http://testserver/tickets/1"},
    {"origin": "https://helpdesk.example.org", "host": "helpdesk.example.org:443"},
]


def test_own_pages_write(session: Callable[..., Client]) -> None:
    one = session()
    for headers in OWN_PAGES:
        assert one.post("/api/tickets", json=TICKET, headers=headers).status_code == 201, headers


def test_answers_are_for_no_shared_cache(session: Callable[..., Client], admin: Client) -> None:
    one, ticket = session(), admin.ticket()
    for path in ("/api/tickets", f"/api/tickets/{ticket['id']}", "/api/memories", "/api/tokens", "/api/nothing"):
        (control,) = one.get(path).headers.get_list("cache-control")
        assert control == "private, no-cache"
        assert one.get(path).headers["referrer-policy"] == "same-origin", (
            "no-referrer would make forms send Origin: null"
        )


def test_another_site_signs_nobody_in(admin: Client) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        answer = sign_in(admin, headers=headers)
        problem(answer, 403)
        assert "set-cookie" not in answer.headers


BAD_SIGN_INS = [
    (b'{"token": "wrong"}', 401),
    (b'{"token": "\xc3\xa9\xf0\x9f\x98\x80"}', 401),
    (b'{"token": "a\\r\\nSet-Cookie: b=c"}', 401),
    (b'{"token": "\\u0000"}', 401),
    (b'{"token": " "}', 401),
    (b'{"token": "\\ud800"}', 422),
    (b'{"token": ""}', 422),
    (b'{"token": 1}', 422),
    (b'{"token": "a", "role": "admin"}', 422),
    (b"{}", 422),
    (b"[", 422),
    (b"", 400),
]


def test_bad_sign_in_is_refused_without_a_cookie(admin: Client) -> None:
    for body, status in BAD_SIGN_INS:
        headers = {"content-type": "application/json"}
        answer = admin.speaking(None).post("/api/session", content=body, headers=headers)
        problem(answer, status)
        assert "set-cookie" not in answer.headers


def test_session_begets_no_session(admin: Client) -> None:
    problem(sign_in(admin, cookie_of(sign_in(admin))), 401)


def test_idempotency_key_belongs_to_the_session(session: Callable[..., Client], admin: Client) -> None:
    headers = HERE | {"idempotency-key": "k"}
    one, other = session(), session()
    first = one.post("/api/tickets", json=TICKET, headers=headers).json()
    again = one.post("/api/tickets", json=TICKET, headers=headers)
    assert again.json() == first and again.headers["idempotency-replayed"] == "true"
    for client in (other, admin):
        answer = client.post("/api/tickets", json=TICKET, headers=headers)
        assert answer.status_code == 201 and answer.json()["id"] != first["id"]


def test_spelling_of_the_header_does_not_matter_to_the_key(admin: Client) -> None:
    answers = [
        admin.post("/api/tickets", json=TICKET, headers={"idempotency-key": "k", "authorization": scheme + ADMIN_TOKEN})
        for scheme in ("Bearer ", "bearer  ")
    ]
    assert answers[0].json() == answers[1].json()


def test_other_origins_get_no_credentials(stores: dict[str, str]) -> None:
    from backend.main import create_app
    from backend.settings import load_settings

    app = create_app(load_settings({**stores, "CORS_ORIGINS": "https://pages.example.org"}))
    with Client(app) as client:
        origin = {"origin": "https://pages.example.org"}
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        for answer in (
            client.options("/api/tickets", headers=origin | asked),
            client.get("/api/tickets", headers=origin),
            client.post("/api/session", json={"token": ADMIN_TOKEN}, headers=origin),
        ):
            assert "access-control-allow-credentials" not in answer.headers
        assert "set-cookie" not in answer.headers
