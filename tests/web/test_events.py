"""Live updates over HTTP, on a real server, since a stream never ends."""

import asyncio
import itertools
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from backend.domain.tickets import Ticket, Written, changed
from backend.domain.values import now
from backend.usecases import access, events
from backend.web.streams import Streams
from tests.builders import an_event
from tests.conftest import ADMIN_TOKEN, Client, positions, problem
from tests.streams import Message, Stream, serving, wait_until


@pytest.fixture
def port(app: FastAPI, admin: Client) -> Iterator[int]:
    with serving(app) as port:
        yield port


def take(stream: Stream, count: int) -> list[Message]:
    return list(itertools.islice(stream.events(), count))


def test_tells_what_happens_from_now_on(admin: Client, port: int, app: FastAPI) -> None:
    admin.ticket()
    with Stream(port) as stream:
        assert stream.answer.status == 200
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.answer.headers["cache-control"] == "no-cache"
        assert stream.answer.headers["x-accel-buffering"] == "no"
        assert stream.hello().data == {"position": positions(app)[0]}
        ticket = admin.ticket(title="Two\nlines".replace("\n", " "))
        admin.patch(f"/api/tickets/{ticket['id']}", json={"status": "in_progress"})
        created, changed = take(stream, 2)
    _, second, third = positions(app)
    assert (created.id, created.event, created.data["number"]) == (second, "ticket.created", 2)
    assert changed.data == {
        "position": third,
        "ticket_id": ticket["id"],
        "number": 2,
        "kind": "ticket.changed",
        "at": changed.data["at"],
        "actor": "admin",
        "role": "admin",
        "changes": {"status": {"from": "open", "to": "in_progress"}},
        "internal": False,
    }


def test_resumes_without_gap_or_repeat(admin: Client, port: int, app: FastAPI) -> None:
    for _ in range(5):
        admin.ticket()
    every = positions(app)
    with Stream(port, last=every[1]) as stream:
        assert stream.hello().id == every[1]
        assert [message.id for message in take(stream, 3)] == every[2:]
    with Stream(port, query="?after=0") as stream:
        assert [message.id for message in take(stream, 5)] == every
    with Stream(port, query="?after=0", last=every[3]) as stream:
        assert [message.id for message in take(stream, 1)] == every[4:], "the header goes before"


def test_requester_sees_their_own_and_nothing_internal(
    admin: Client, agent: Client, requester: Client, port: int, app: FastAPI
) -> None:
    token = str(requester.token)
    with Stream(port, token) as stream:
        stream.hello()
        admin.ticket()
        mine = requester.ticket()
        agent.post(f"/api/tickets/{mine['id']}/comments", json={"body": "secret", "internal": True})
        agent.post(f"/api/tickets/{mine['id']}/comments", json={"body": "Hello"})
        seen = take(stream, 2)
    assert [(message.event, message.data["number"]) for message in seen] == [
        ("ticket.created", 2),
        ("ticket.commented", 2),
    ]
    assert not any(message.data["internal"] for message in seen)
    with Stream(port, token, last=0) as stream:
        assert [message.id for message in take(stream, 2)] == positions(app)[1::2], "the same from the store"


def test_requester_is_told_only_what_the_history_tells_them(
    admin: Client, requester: Client, port: int, app: FastAPI
) -> None:
    mine = requester.ticket()
    address = f"/api/tickets/{mine['id']}"
    with Stream(port, str(requester.token)) as stream, Stream(port) as other:
        stream.hello()
        other.hello()
        admin.patch(address, json={"watchers": ["lin@example.org"]})
        admin.patch(address, json={"watchers": [], "severity": "high"})
        (live,) = take(stream, 1)
        assert [set(message.data["changes"]) for message in take(other, 2)] == [{"watchers"}, {"watchers", "severity"}]
    with Stream(port, str(requester.token), last=positions(app)[0]) as stream:
        assert take(stream, 1) == [live]
    assert live.data["changes"] == {"severity": {"from": "low", "to": "high"}}


def test_agent_with_teams_sees_these_alone(admin: Client, person: Callable[..., Client], port: int) -> None:
    scoped = person("agent", "Lin", teams=["Network"])
    with Stream(port, str(scoped.token)) as stream:
        stream.hello()
        admin.ticket(team="Desk")
        there = admin.ticket(team="Network")
        (seen,) = take(stream, 1)
    assert seen.data["ticket_id"] == there["id"]


def test_agent_with_teams_is_told_of_no_other_teams_tickets(
    admin: Client, person: Callable[..., Client], port: int
) -> None:
    scoped = person("agent", "Lin", teams=["Network"])
    here, foreign = admin.ticket(team="Network"), admin.ticket(team="Desk")
    with Stream(port, str(scoped.token)) as stream:
        stream.hello()
        admin.post(f"/api/tickets/{here['id']}/links", json={"kind": "related", "ticket_id": foreign["id"]})
        (seen,) = take(stream, 1)
    assert (seen.event, seen.data["ticket_id"], seen.data["changes"]) == ("ticket.linked", here["id"], {})


def test_one_ticket_alone(admin: Client, requester: Client, port: int) -> None:
    one = admin.ticket()
    with Stream(port, query=f"?ticket_id={one['id']}") as stream:
        stream.hello()
        admin.ticket()
        admin.post(f"/api/tickets/{one['id']}/comments", json={"body": "Hello"})
        assert take(stream, 1)[0].event == "ticket.commented"
    problem(requester.get(f"/api/events?ticket_id={one['id']}"), 404)
    problem(admin.get("/api/events?ticket_id=nonsense"), 404)


@pytest.mark.parametrize("last", ["1", "99999", "x", "-1", "1.5", "0x1", "9" * 30, "²", " "])
def test_position_that_can_not_be_is_400(admin: Client, last: str) -> None:
    problem(admin.get("/api/events", headers={"last-event-id": last.encode("latin-1")}), 400)


@pytest.mark.parametrize(
    ("query", "status"),
    [("after=7", 400), ("after=x", 422), ("after=-1", 422), ("after=1&after=2", 422), ("limit=3", 422)],
)
def test_query_that_makes_no_sense(admin: Client, query: str, status: int) -> None:
    problem(admin.get(f"/api/events?{query}"), status)


@pytest.mark.parametrize("by", ["token", "session"])
def test_ends_soon_after_the_token_is_revoked_or_the_session_ended(
    admin: Client, port: int, monkeypatch: pytest.MonkeyPatch, app: FastAPI, by: str
) -> None:
    monkeypatch.setattr("backend.web.events.SIGNED_IN_SECONDS", 0.1)
    monkeypatch.setattr("backend.web.streams.SHARED_SECONDS", 0.1)
    made = admin.post("/api/tokens", json={"name": "Ada", "role": "agent"}).json()
    session = asyncio.run(access.start_session(app.state.ports, made["token"]))
    with Stream(port, session.secret if by == "session" else made["token"]) as stream, Stream(port) as others:
        stream.hello()
        others.hello()
        if by == "session":
            asyncio.run(access.end_session(app.state.ports, session.caller, session.secret))
        else:
            admin.delete(f"/api/tokens/{made['id']}")
        assert list(stream) == [], "it ends before a sign of life would be due"
        ticket = admin.ticket()
        assert take(others, 1)[0].data["ticket_id"] == ticket["id"], "others' go on"


def test_streams_of_a_person_and_an_address_are_limited(admin: Client, requester: Client, app: FastAPI) -> None:
    app.state.streams = Streams(2, 3)
    with serving(app) as port, Stream(port), Stream(port) as second, Stream(port, str(requester.token)):
        assert "2 live event streams" in problem(admin.get("/api/events"), 429)["detail"]
        refused = Stream(port, str(requester.token))
        assert (refused.answer.status, refused.answer.getheader("retry-after")) == (429, "30")
        assert b"network address has 3" in refused.answer.read()
        refused.close()
        second.close()

        def comes_in() -> bool:
            with Stream(port) as another:
                return another.answer.status == 200

        wait_until(comes_in)


def test_sign_of_life_tells_how_far_it_has_come(
    admin: Client, requester: Client, port: int, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.web.events.HEARTBEAT_SECONDS", 0.05)
    with Stream(port, str(requester.token)) as stream:
        stream.hello()
        admin.ticket()
        reached = next(message.id for message in stream if message.id)
    assert [reached] == positions(app), "though the requester has seen nothing of it"


def test_what_falls_behind_the_ring_reads_from_the_store(
    admin: Client, port: int, monkeypatch: pytest.MonkeyPatch, app: FastAPI
) -> None:
    monkeypatch.setattr(events, "LONGEST_RING", 3)
    monkeypatch.setattr(events, "READ_AT_ONCE", 2)
    monkeypatch.setattr(events, "LARGEST_PIECE", 1)
    with Stream(port) as stream:
        stream.hello()
        for _ in range(30):
            admin.ticket()
        assert [message.id for message in take(stream, 30)] == positions(app)
    assert len(app.state.hub._ring) <= 3


def test_stuck_reader_holds_up_nobody_and_costs_no_memory(admin: Client, port: int, app: FastAPI) -> None:
    ticket = admin.ticket()

    def edit(before: Ticket) -> Written:
        said = {"description": ("x" * 20_000, "y" * 20_000)}
        return changed(before, now()), an_event(before, "changed", changes=said)

    async def write() -> None:
        await asyncio.gather(*(app.state.ports.tickets.update(ticket["id"], edit) for _ in range(130)))

    with socket.socket() as stuck, Stream(port) as other:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", port))
        stuck.sendall(f"GET /api/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode())
        other.hello()
        wait_until(lambda: len(app.state.hub._readers) == 2)
        asyncio.run(write())
        every = positions(app)
        assert [message.id for message in take(other, 130)] == every[1:]
        assert app.state.hub._ring_bytes <= events.LARGEST_RING
        behind = {reader.after for reader in app.state.hub._readers}
        assert min(behind) < max(behind) == every[-1]


def test_hub_rests_when_nobody_follows(admin: Client, port: int, app: FastAPI) -> None:
    with Stream(port) as stream:
        stream.hello()
        assert app.state.hub._task is not None
    wait_until(lambda: app.state.hub._task is None)


def test_readers_that_come_and_go_see_everything_once(
    admin: Client, requester: Client, port: int, app: FastAPI
) -> None:
    """Writers and readers at the same time; each reader hangs up after a few messages and comes back."""
    each, writers = 30, 3

    def write(client: Client) -> None:
        for _ in range(each):
            client.ticket()

    def read(token: str, seen: list[int], expected: int) -> None:
        last = 0
        while len(seen) < expected:
            with Stream(port, token, last=last) as stream:
                count = min(1 + len(seen) % 7, expected - len(seen))
                for message in itertools.islice(stream.events(), count):
                    seen.append(message.id)
                    last = message.id

    all_seen: list[list[int]] = [[] for _ in range(3)]
    own: list[int] = []
    threads = [threading.Thread(target=write, args=(client,)) for client in (admin, admin, requester)]
    threads += [threading.Thread(target=read, args=(ADMIN_TOKEN, seen, each * writers)) for seen in all_seen]
    threads += [threading.Thread(target=read, args=(str(requester.token), own, each))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen == positions(app) for seen in all_seen)
    assert own == sorted(set(own)) and len(own) == each
