"""Rates, lock-outs, and whose address counts."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.access import hash_secret
from backend.errors import Unavailable
from backend.main import create_app
from backend.settings import load_settings
from backend.web.guard import _counted
from tests.conftest import ADMIN_TOKEN, Client, problem

HERE = {"sec-fetch-site": "same-origin"}


class Clock:
    """A clock that the test moves."""

    now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(app: FastAPI) -> Clock:
    app.state.guard.clock = clock = Clock()
    return clock


def from_address(app: FastAPI, address: str, token: str | None = ADMIN_TOKEN) -> Client:
    client = Client(app, client=(address, 1), raise_server_exceptions=False)
    client.headers.update({"authorization": f"Bearer {token}"} if token else {})
    return client


def guess(client: Client, times: int = 10, how: str = "bearer") -> list[int]:
    """Statuses of so many wrong sign-ins, each with another secret that an administrator might have chosen."""
    found = []
    for number in range(times):
        secret = f"hunter{number:043}"
        headers = {"bearer": {"authorization": f"Bearer {secret}"}}
        if how == "session":
            answer = client.post("/api/session", json={"token": secret})
        else:
            answer = client.get("/api/tickets", headers=headers[how])
        found.append(answer.status_code)
    return found


@pytest.mark.parametrize("how", ["bearer", "session"])
def test_guessing_locks_an_address_out(app: FastAPI, admin: Client, clock: Clock, how: str) -> None:
    assert guess(from_address(app, "192.0.2.1", None), 12, how) == [401] * 10 + [429] * 2
    wrong = from_address(app, "192.0.2.1", "wrong")
    answer = wrong.get("/api/tickets")
    problem(answer, 429)
    assert answer.headers["retry-after"] == "60"
    problem(from_address(app, "192.0.2.2", "wrong").get("/api/tickets"), 401)
    clock.now += 59.5
    assert wrong.get("/api/tickets").headers["retry-after"] == "1"
    clock.now += 0.5
    problem(wrong.get("/api/tickets"), 401)


def test_what_is_over_is_no_guess(app: FastAPI, admin: Client, clock: Clock) -> None:
    """After a weekend every session of an office has expired, and its programs have tokens that were revoked."""
    office = from_address(app, "192.0.2.1", None)
    for number in range(30):
        old = {"cookie": f"ticket_session=ts_{number:043}"}
        problem(office.get("/api/tickets", headers=old), 401)
        problem(office.get("/api/tickets", headers={"authorization": f"Bearer tb_{number:043}"}), 401)
        assert office.get("/sign-in", headers=old).status_code == 200
    assert office.post("/api/session", json={"token": ADMIN_TOKEN}).status_code == 201


def test_a_right_token_works_while_others_guess(app: FastAPI, admin: Client, clock: Clock) -> None:
    guess(from_address(app, "192.0.2.1", None), 20)
    shared = from_address(app, "192.0.2.1")
    assert shared.get("/sign-in").status_code in (200, 303)
    ticket = shared.ticket()
    assert shared.get(f"/api/tickets/{ticket['id']}").status_code == 200
    signed_in = shared.post("/api/session", json={"token": ADMIN_TOKEN})
    assert signed_in.status_code == 201
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    page = from_address(app, "192.0.2.1", None)
    assert page.get("/api/tickets", headers={"cookie": cookie}).status_code == 200, "their new session too"
    problem(from_address(app, "192.0.2.1", "wrong").get("/api/tickets"), 429)


def test_one_stale_program_locks_nobody_out(app: FastAPI, admin: Client, clock: Clock) -> None:
    stale = from_address(app, "192.0.2.1", "revoked")
    assert {stale.get("/api/tickets").status_code for _ in range(15)} == {401}
    assert {from_address(app, "192.0.2.1", None).get("/api/tickets").status_code for _ in range(15)} == {401}


def test_lock_outs_are_logged_and_counted_without_secrets(
    app: FastAPI, admin: Client, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def figure(name: str) -> float:
        return float(admin.get("/metrics").text.split(f"\n{name} ")[1].split("\n")[0])

    before = figure("sign_ins_failed_total"), figure("lock_outs_total")
    guess(from_address(app, "192.0.2.1", None), 15)
    assert (figure("sign_ins_failed_total"), figure("lock_outs_total")) == (before[0] + 15, before[1] + 1)
    (act,) = admin.get("/api/audit?action=address.locked_out").json()["items"]
    assert (act["actor"], act["token_id"], act["target"], act["details"]) == (
        "nobody",
        None,
        "192.0.2.1",
        {"seconds": 60},
    )
    said = [record for record in caplog.records if record.name == "backend.access"]
    assert [record.getMessage() for record in said] == [
        *["a sign-in failed"] * 10,
        "an address is locked out",
    ]
    assert "0000000" not in caplog.text and "hunter" not in caplog.text


def test_lock_out_does_not_need_the_log(app: FastAPI, admin: Client, clock: Clock) -> None:
    async def full(_: Any) -> None:
        raise Unavailable("The disk is full.")

    app.state.ports.catalogue.log_act = full
    assert guess(from_address(app, "192.0.2.1", None), 11) == [401] * 10 + [429]


def limited(stores: dict[str, str], **more: str) -> tuple[FastAPI, Clock]:
    app = create_app(load_settings(stores | more))
    app.state.guard.clock = clock = Clock()
    return app, clock


@pytest.fixture
def closing() -> Iterator[list[FastAPI]]:
    held: list[FastAPI] = []
    yield held
    for app in held:
        app.state.ports.close()


def test_token_has_so_many_requests_a_minute(stores: dict[str, str], closing: list[FastAPI]) -> None:
    app, clock = limited(stores, RATE_LIMIT_PER_MINUTE="5")
    closing.append(app)
    one, elsewhere = from_address(app, "192.0.2.1"), from_address(app, "192.0.2.2")
    draft = {"name": "A", "role": "agent", "rate_limit": 2}
    slow = from_address(app, "192.0.2.1", one.post("/api/tokens", json=draft).json()["token"])
    assert [one.get("/api/tickets").status_code for _ in range(3)] == [200] * 3
    assert [elsewhere.get("/api/tickets").status_code for _ in range(2)] == [200, 429]
    assert [slow.get("/api/tickets").status_code for _ in range(3)] == [200, 200, 429]
    answer = one.get("/api/tickets")
    assert problem(answer, 429)["detail"] == "This token is used too often; try again in 12 seconds."
    assert answer.headers["retry-after"] == "12"
    assert one.get("/health/live").status_code == one.get("/metrics").status_code == 200
    clock.now += 12.5
    assert [one.get("/api/tickets").status_code for _ in range(2)] == [200, 429]


def test_address_has_so_many_requests_a_minute(stores: dict[str, str], closing: list[FastAPI]) -> None:
    app, clock = limited(stores, RATE_LIMIT_ADDRESS_PER_MINUTE="3")
    closing.append(app)
    one = from_address(app, "192.0.2.1")
    wrong = from_address(app, "192.0.2.1", "wrong")
    statuses = [client.get("/api/tickets").status_code for client in (one, wrong, one, one, one, wrong, wrong, wrong)]
    assert statuses == [200, 401, 200, 200, 429, 401, 401, 429], "wrong ones use up nothing of what right ones may"
    assert from_address(app, "192.0.2.2").get("/api/tickets").status_code == 200
    clock.now -= 1_000
    assert one.get("/api/tickets").status_code == 429, "a clock that goes back gives nothing away"


def test_no_limit_unless_asked_for(app: FastAPI, admin: Client, clock: Clock) -> None:
    assert all(admin.get("/api/session").status_code == 200 for _ in range(50))


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("testclient", "unknown"),
        ("<script>", "unknown"),
        ("1" * 9_000, "unknown"),
        ("192.0.2.1\n", "unknown"),
    ],
)
def test_whom_to_count(host: str, counted: str) -> None:
    assert _counted(host) == counted


def test_each_audit_line_of_a_session(app: FastAPI, admin: Client) -> None:
    answer = admin.speaking(None).post("/api/session", json={"token": ADMIN_TOKEN})
    cookie = answer.headers["set-cookie"].partition(";")[0]
    admin.speaking(None).delete("/api/session", headers=HERE | {"cookie": cookie})
    made = admin.post("/api/tokens", json={"name": "Ada", "role": "agent", "teams": ["Network"]}).json()
    admin.delete(f"/api/tokens/{made['id']}")
    page = admin.get("/api/audit?limit=3").json()
    rest = admin.get("/api/audit", params={"limit": 3, "cursor": page["next_cursor"]}).json()
    acts = [*page["items"], *rest["items"]]
    actions = ["token.revoked", "token.created", "session.ended", "session.started"]
    assert [act["action"] for act in acts] == actions and rest["next_cursor"] is None
    assert acts[1]["details"] == {"name": "Ada", "role": "agent", "teams": ["Network"]}
    assert {act["actor"] for act in acts} == {"admin"} and acts[0]["target"] == made["id"]
    secrets = [made["token"], ADMIN_TOKEN, cookie.partition("=")[2]]
    text = admin.get("/api/audit").text
    assert not any(secret in text or hash_secret(secret) in text for secret in secrets)


def test_audit_filters_by_action_and_actor(admin: Client, person: Callable[..., Client]) -> None:
    chief = person("admin", "Chief")
    made = chief.post("/api/tokens", json={"name": "A", "role": "agent"}).json()
    chief.delete(f"/api/tokens/{made['id']}")

    def found(query: str) -> list[tuple[str, str]]:
        return [(act["actor"], act["action"]) for act in admin.get(f"/api/audit?{query}").json()["items"]]

    assert found("actor=Chief") == [("Chief", "token.revoked"), ("Chief", "token.created")]
    assert found("action=token.created") == [("Chief", "token.created"), ("admin", "token.created")]
    assert found("action=token.created&actor=Chief") == [("Chief", "token.created")]
    assert found("actor=nobody") == []
    cursor = admin.get("/api/audit?limit=1").json()["next_cursor"]
    problem(admin.get("/api/audit", params={"actor": "Chief", "cursor": cursor}), 400)
    for query in ("actor=", "actor=a%00b", "limit=0", "limit=201", "other=1", "actor=a&actor=b"):
        problem(admin.get(f"/api/audit?{query}"), 422)
    problem(person("agent", "Ada").get("/api/audit"), 403)
