"""Webhooks from the call that makes one to the message at its target. Time is simulated, the targets are real."""

import asyncio
import base64
import hmac
import itertools
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.webhooks import DELAYS, later
from backend.usecases import outbox, webhooks
from tests.conftest import ADMIN_TOKEN, Client, positions, problem
from tests.streams import wait_until
from tests.targets import Received, Target, plain, target


@pytest.fixture
def admin(app: FastAPI) -> Iterator[Client]:
    """The first administrator of an application whose worker does not run: the tests do its work."""
    app.state.ports.open()
    yield Client(app, raise_server_exceptions=False).speaking(ADMIN_TOKEN)
    app.state.ports.close()


@pytest.fixture
def work(app: FastAPI) -> Callable[..., None]:
    """Does what the worker does until nothing is left, so many seconds after now."""
    start = app.state.ports.now()

    async def all_of_it() -> None:
        while await outbox.fan_out(app.state.ports):
            pass
        while await outbox.deliver(app.state.ports):
            pass

    def run(after: float | None = None) -> None:
        if after is not None:
            object.__setattr__(app.state.ports, "now", lambda: later(start, after))
        asyncio.run(all_of_it())

    return run


def hook(admin: Client, there: Target, **more: Any) -> dict[str, Any]:
    answer = admin.post("/api/webhooks", json={"url": there.url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def deliveries(admin: Client, made: dict[str, Any], state: str = "") -> list[dict[str, Any]]:
    query = f"?state={state}" if state else ""
    return admin.get(f"/api/webhooks/{made['id']}/deliveries{query}").json()["items"]


def is_signed(received: Received, secret: str) -> bool:
    """As a receiver would check it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    mine = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return mine in received.headers["webhook-signature"].split(" ")


def test_event_arrives_signed_with_the_ticket(admin: Client, work: Callable, app: FastAPI) -> None:
    admin.ticket()
    with target() as there:
        made = hook(admin, there)
        ticket = admin.ticket(title="Drücker")
        work()
    (received,) = there.received
    assert is_signed(received, made["secret"]) and not is_signed(received, "whsec_" + "A" * 44)
    assert received.headers["content-type"] == "application/json"
    body = json.loads(received.body)
    assert body["type"] == "ticket.created"
    assert body["timestamp"] == ticket["created_at"]
    assert body["data"]["ticket"] == admin.get(f"/api/tickets/{ticket['id']}").json()
    assert (body["data"]["event"]["position"], body["data"]["event"]["ticket_id"]) == (positions(app)[1], ticket["id"])
    (delivery,) = deliveries(admin, made)
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("delivered", 1, 204)
    assert delivery["id"] == received.headers["webhook-id"]


def test_secret_is_shown_once_and_nowhere_else(
    admin: Client, work: Callable, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with target(plain(500)) as there:
        made = hook(admin, there)
        admin.ticket()
        work()
    address = f"/api/webhooks/{made['id']}"
    renewed = admin.post(f"{address}/secret")
    assert renewed.headers["cache-control"] == "no-store"
    shown = [admin.get("/api/webhooks"), admin.get(address), admin.patch(address, json={"description": "x"})]
    shown.append(admin.get(f"{address}/deliveries"))
    acts = asyncio.run(app.state.ports.catalogue.list_acts(99, None)).items
    assert [act.action for act in acts][::-1] == ["webhook.created", "webhook.secret_rotated", "webhook.changed"]
    everything = "".join(answer.text for answer in shown) + repr(acts) + caplog.text
    for secret in (made["secret"], renewed.json()["secret"]):
        assert secret not in everything and secret.removeprefix("whsec_") not in everything


def test_new_secret_signs_beside_the_old_one_for_a_day(admin: Client, work: Callable) -> None:
    with target() as there:
        made = hook(admin, there)
        new = admin.post(f"/api/webhooks/{made['id']}/secret").json()
        admin.ticket()
        work(60)
        admin.ticket()
        work(86_401)
    first, second = there.received
    assert is_signed(first, made["secret"]) and is_signed(first, new["secret"])
    assert not is_signed(second, made["secret"]) and is_signed(second, new["secret"])


def test_only_what_was_asked_for_is_sent(admin: Client, work: Callable) -> None:
    with target() as all_of_it, target() as resolved, target() as inside:
        hook(admin, all_of_it)
        hook(admin, resolved, events=["ticket.resolved", "ticket.resolved"])
        hook(admin, inside, internal=True)
        ticket = admin.ticket()
        admin.post(f"/api/tickets/{ticket['id']}/comments", json={"body": "secret", "internal": True})
        admin.post(f"/api/tickets/{ticket['id']}/resolve", json={"resolution": "Done"})
        work()
    kinds = [sorted(json.loads(one.body)["type"] for one in there.received) for there in (all_of_it, resolved, inside)]
    assert kinds == [
        ["ticket.created", "ticket.resolved"],
        ["ticket.resolved"],
        ["ticket.commented", "ticket.created", "ticket.resolved"],
    ]


def test_target_that_fails_for_a_day_gets_it_in_the_end(admin: Client, work: Callable) -> None:
    with target(plain(500)) as there:
        made = hook(admin, there)
        admin.ticket()
        times = list(itertools.accumulate(int(delay * 1.25) + 1 for delay in DELAYS))
        for after in (0, *(time for time in times if time < 86_400)):
            work(after)
        failed = len(there.received)
        (waiting,) = deliveries(admin, made, "pending")
        assert waiting["problem"] == "it answered 500" and waiting["due_at"]
        there.answer = plain(200)
        work(2 * 86_400)
        assert deliveries(admin, made, "delivered")[0]["attempts"] == failed + 1
    assert failed > 5
    assert len({one.headers["webhook-id"] for one in there.received}) == 1
    assert len({one.headers["webhook-timestamp"] for one in there.received}) == failed + 1
    assert all(is_signed(one, made["secret"]) for one in there.received)


def test_dead_letters_are_kept_and_replayed(admin: Client, work: Callable) -> None:
    with target(plain(500)) as there:
        made = hook(admin, there)
        for _ in range(3):
            admin.ticket()
        for day in range(len(DELAYS) + 1):
            work(day * 2 * 86_400)
        dead = deliveries(admin, made, "dead")
        assert [one["attempts"] for one in dead] == [len(DELAYS) + 1] * 3
        there.answer = plain(200)
        there.received.clear()
        work(99 * 86_400)
        assert not there.received, "dead is dead"
        address = f"/api/webhooks/{made['id']}/deliveries"
        again = admin.post(f"{address}/{dead[0]['id']}/replay")
        assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "pending", 0)
        work()
        assert [one.headers["webhook-id"] for one in there.received] == [dead[0]["id"]]
        assert admin.post(f"{address}/replay").json() == {"replayed": 2}
        work()
        assert len(there.received) == 3 and not deliveries(admin, made, "dead")
        problem(admin.post(f"{address}/nonsense/replay"), 404)


def test_gone_makes_it_inactive_until_somebody_activates_it(admin: Client, work: Callable, app: FastAPI) -> None:
    with target(plain(410)) as there:
        made = hook(admin, there)
        address = f"/api/webhooks/{made['id']}"
        admin.ticket()
        work()
        now = admin.get(address).json()
        assert (now["active"], now["disabled_reason"]) == (False, "it answered 410 Gone")
        assert deliveries(admin, made)[0]["state"] == "dead"
        problem(admin.post(f"{address}/test"), 409)
        admin.ticket()
        work()
        there.answer = plain(200)
        assert admin.patch(address, json={"active": True}).json()["disabled_reason"] is None
        admin.ticket()
        work()
    told = [json.loads(one.body)["data"]["event"]["position"] for one in there.received]
    assert told == positions(app)[::2], "what happened while it was inactive is not for it"


def test_retry_after_is_waited_for(admin: Client, work: Callable) -> None:
    with target(plain(429, "retry-after: 1000\r\n")) as there:
        hook(admin, there)
        admin.ticket()
        for after in (0, 900, 1_001):
            work(after)
    assert len(there.received) == 2


def test_hanging_target_holds_up_nobody(admin: Client, work: Callable) -> None:
    released = threading.Event()
    begun: list[int] = []

    def hang(connection: socket.socket) -> None:
        released.wait(10)
        plain(204)(connection)

    def count(connection: socket.socket) -> None:
        plain(204)(connection)
        if len(quick.received) == 5:
            begun.append(len(slow.received))
            released.set()

    with target(hang) as slow, target(count) as quick:
        hook(admin, slow)
        hook(admin, quick)
        for _ in range(5):
            admin.ticket()
        work()
        assert len(slow.received) == 5
    assert begun == [outbox.AT_ONCE_A_WEBHOOK], "all five arrived at the one while the other held two"


def test_cancelled_in_the_middle_nothing_is_lost(admin: Client, work: Callable, app: FastAPI) -> None:
    async def start_and_stop() -> None:
        await outbox.fan_out(app.state.ports)
        delivering = asyncio.create_task(outbox.deliver(app.state.ports))
        await asyncio.to_thread(wait_until, lambda: there.received)
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)

    with target(lambda connection: connection.recv(1)) as there:
        made = hook(admin, there)
        admin.ticket()
        outbox_wind_up, outbox.WIND_UP_SECONDS = outbox.WIND_UP_SECONDS, 0.05
        try:
            asyncio.run(start_and_stop())
        finally:
            outbox.WIND_UP_SECONDS = outbox_wind_up
        (leased,) = deliveries(admin, made)
        assert (leased["state"], leased["attempts"]) == ("pending", 1)
        there.answer = plain(204)
        work(outbox.LEASE_SECONDS + 1)
        assert deliveries(admin, made)[0]["state"] == "delivered"
    assert len({one.headers["webhook-id"] for one in there.received}) == 1


def test_ping(admin: Client, work: Callable) -> None:
    with target() as there:
        made = hook(admin, there, events=["ticket.resolved"])
        answer = admin.post(f"/api/webhooks/{made['id']}/test")
        assert answer.status_code == 202
        work()
    body = json.loads(there.received[0].body)
    assert (body["type"], body["data"]) == ("ping", {"webhook_id": made["id"]})
    assert there.received[0].headers["webhook-id"] == answer.json()["id"]


def test_many_webhooks_and_events_take_several_commits(admin: Client, work: Callable, app: FastAPI) -> None:
    with target() as there:
        for _ in range(13):
            hook(admin, there)
        for _ in range(9):
            admin.ticket()
        work()
    assert len(there.received) == 13 * 9
    assert asyncio.run(app.state.ports.outbox.position()) == positions(app)[-1]


def test_nothing_is_made_where_nobody_listens(admin: Client, work: Callable, app: FastAPI) -> None:
    with target() as there:
        made = hook(admin, there, active=False)
        admin.ticket()
        work()
        assert asyncio.run(app.state.ports.outbox.position()) == 0 and not deliveries(admin, made)


def test_removed_with_its_deliveries(admin: Client, work: Callable, app: FastAPI) -> None:
    with target(plain(500)) as there:
        made = hook(admin, there)
        admin.ticket()
        work()
        assert admin.delete(f"/api/webhooks/{made['id']}").status_code == 204
        work(10_000)
    assert len(there.received) == 1
    assert asyncio.run(app.state.ports.outbox.counts()) == {}
    for method, path in (("get", ""), ("get", "/deliveries"), ("delete", ""), ("post", "/test"), ("post", "/secret")):
        problem(admin.request(method, f"/api/webhooks/{made['id']}{path}"), 404)
    problem(admin.get("/api/webhooks/nonsense"), 404)


def test_old_deliveries_are_forgotten(admin: Client, work: Callable, app: FastAPI) -> None:
    with target() as there:
        made = hook(admin, there)
        admin.ticket()
        work()
    assert not asyncio.run(outbox.forget(app.state.ports))
    object.__setattr__(app.state.ports, "now", lambda: "2999-01-01T00:00:00.000000Z")
    assert asyncio.run(outbox.forget(app.state.ports)) and not deliveries(admin, made)


def test_changes_take_an_etag(admin: Client) -> None:
    made = admin.post("/api/webhooks", json={"url": "http://127.0.0.1:9/"})
    address = f"/api/webhooks/{made.json()['id']}"
    assert made.headers["etag"] == '"1"' and made.headers["location"] == address
    changed = admin.patch(address, json={"events": ["ticket.created"]}, headers={"if-match": '"1"'})
    assert (changed.headers["etag"], changed.json()["events"]) == ('"2"', ["ticket.created"])
    assert admin.patch(address, json={"events": ["ticket.created"]}).headers["etag"] == '"2"', "nothing changed"
    stale = {"if-match": '"1"'}
    problem(admin.patch(address, json={"active": False}, headers=stale), 412)
    problem(admin.post(f"{address}/secret", headers=stale), 412)
    problem(admin.delete(address, headers=stale), 412)
    assert admin.get("/api/webhooks").json()["items"] == [changed.json()]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://exa mple.org/"),
        ("url", "http://example.org/\r\nx: y"),
        ("url", "gopher://example.org/"),
        ("url", "http://10.0.0.1/"),
        ("url", "http://[::1]/"),
        ("url", "http://169.254.169.254/latest/meta-data"),
        ("url", "http://a:b@example.org/"),
        ("url", "http://example.org:99999/"),
        ("url", ""),
        ("url", 7),
        ("url", None),
        ("events", ["created"]),
        ("events", ["ticket.created\n"]),
        ("events", "ticket.created"),
        ("events", ["ticket." + "x" * 99]),
        ("events", ["ticket.created"] * 51),
        ("description", "x" * 501),
        ("description", None),
        ("active", "perhaps"),
        ("secret", "whsec_mine"),
        ("since", 0),
    ],
)
def test_refuses_what_makes_no_sense(admin: Client, field: str, value: object) -> None:
    body = problem(admin.post("/api/webhooks", json={"url": "http://127.0.0.1:9/", field: value}), 422)
    assert body["errors"][0]["field"].startswith(field)
    made = admin.post("/api/webhooks", json={"url": "http://127.0.0.1:9/"}).json()
    problem(admin.patch(f"/api/webhooks/{made['id']}", json={field: value}), 422)
    problem(admin.get(f"/api/webhooks/{made['id']}/deliveries?state=lost"), 422)


def test_there_is_a_limit(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_WEBHOOKS", 1)
    assert admin.post("/api/webhooks", json={"url": "http://127.0.0.1:9/"}).status_code == 201
    problem(admin.post("/api/webhooks", json={"url": "http://127.0.0.1:9/"}), 409)


def test_figures_tell_how_the_outbox_stands(admin: Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.web.health.FIGURES_SECONDS", -1)
    with target(plain(500)) as there:
        hook(admin, there)
        admin.ticket()
        admin.ticket()
        assert "outbox_lag_events 2.0" in admin.get("/metrics").text
        asyncio.run(outbox.fan_out(app.state.ports))
        text = admin.get("/metrics").text
        assert "outbox_lag_events 0.0" in text and 'webhook_deliveries{state="pending"} 2.0' in text
        asyncio.run(outbox.deliver(app.state.ports))
    assert 'worker_outcomes_total{outcome="retried",what="webhook"}' in admin.get("/metrics").text
