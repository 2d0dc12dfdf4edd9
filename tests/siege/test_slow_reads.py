"""Somebody with many slow searches, and bystanders whose requests go on; with one worker and with two."""

import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import TICKET, call, running, wait_until

# The process as `serve` starts it, whose searches for `slowly` never end by themselves. Workers are spawned: they start
# as this file too, and so with the same slow search.
SLOW = """
import sys
from backend.adapters.embedded import ticket_lists
quick = ticket_lists.list_tickets
def list_tickets(connection, query):
    if query.terms and query.terms[0].words == ("slowly",):
        endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        connection.execute(endless).fetchone()
    return quick(connection, query)
ticket_lists.list_tickets = list_tickets
from backend.__main__ import main
if __name__ == "__main__":
    sys.exit(main(["serve"]))
"""
SEARCH_SECONDS = 2
A_MOMENT = 1.5  # seconds, on a machine that others use as well
LONGEST_SECONDS = 20  # of a page, which reads several things
MANY = 60
SLOWLY = "/api/tickets?q=slowly"


@dataclass
class Server:
    """A running server, and tokens of two people on it."""

    port: int
    ada: str
    ben: str


@pytest.fixture(scope="module", params=["1", "2"], ids=["one worker", "two workers"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("siege")
    (root / "slow.py").write_text(SLOW)
    more = {"API_WORKERS": request.param, "SEARCH_SECONDS": str(SEARCH_SECONDS), "READ_QUEUE": "8"}
    with running(root, [sys.executable, str(root / "slow.py")], **more) as (_, port):
        tokens = []
        for name in ("ada", "ben"):
            draft = {"name": name, "role": "agent", "email": f"{name}@example.org"}
            tokens.append(call(port, "POST", "/api/tokens", draft)[1]["token"])
        call(port, "POST", "/api/tickets", TICKET | {"title": "a printer"})
        yield Server(port, *tokens)


def ask(port: int, path: str, token: str = ADMIN_TOKEN) -> tuple[int, dict[str, str], str, float]:
    """Status, headers, body and seconds of one request on a connection of its own."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"authorization": f"Bearer {token}"})
    began = time.monotonic()
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            status, headers, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            status, headers, body = refusal.code, refusal.headers, refusal.read()
    return status, {name.lower(): value for name, value in headers.items()}, body.decode(), time.monotonic() - began


def figure(port: int, name: str) -> float:
    """A figure of /metrics, all its labels together."""
    lines = ask(port, "/metrics")[2].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@pytest.mark.parametrize("path", [SLOWLY, "/api/search?q=slowly", "/queue?q=slowly"])
def test_many_slow_searches_of_one_hold_nobody_up(server: Server, path: str) -> None:
    port = server.port
    answers: list[tuple[int, dict[str, str], str, float]] = []
    attack = [
        threading.Thread(target=lambda: answers.append(ask(port, path, server.ada)), daemon=True) for _ in range(MANY)
    ]
    for one in attack:
        one.start()
    wait_until(lambda: figure(port, "reads_running") >= 2)
    slowest = 0.0
    while any(one.is_alive() for one in attack):
        for bystander in (
            "/api/tickets?q=printer",
            "/api/search?q=printer",
            "/health",
            "/health/ready",
            "/api/tickets",
        ):
            status, _, _, seconds = ask(port, bystander, server.ben)
            assert status == 200, bystander
            slowest = max(slowest, seconds)
    assert slowest < A_MOMENT
    statuses = {status for status, *_ in answers}
    assert len(answers) == MANY and statuses == {429, 503}
    for status, headers, body, seconds in answers:
        assert int(headers["retry-after"]) > 0
        assert "try again" in body, status
        assert seconds < LONGEST_SECONDS, status
    wait_until(lambda: figure(port, "reads_running") + figure(port, "reads_waiting") == 0)
    assert ask(port, "/api/tickets?q=printer", server.ada)[0] == 200, "who asked too much is served again at once"


def test_a_search_ends_with_its_client(server: Server) -> None:
    port = server.port
    before = figure(port, "reads_refused_total")
    clients = []
    for _ in range(4):
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(f"GET {SLOWLY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.ada}\r\n\r\n".encode())
        clients.append(client)
    wait_until(lambda: figure(port, "reads_running") >= 2)
    for client in clients:
        client.close()
    began = time.monotonic()
    wait_until(lambda: figure(port, "reads_running") + figure(port, "reads_waiting") == 0)
    assert time.monotonic() - began < SEARCH_SECONDS, "before the deadline"
    assert figure(port, "reads_refused_total") == before + 4


def test_a_session_takes_from_the_share_of_its_person(server: Server) -> None:
    port = server.port
    body = json.dumps({"token": server.ada}).encode()
    headers = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{port}/api/session", body, headers), timeout=10
    ) as answer:
        cookie = answer.headers["set-cookie"].partition(";")[0]
    requests = [f"Authorization: Bearer {server.ada}", f"Cookie: {cookie}"] * 4
    clients = []
    for line in requests:
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(f"GET {SLOWLY} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{line}\r\n\r\n".encode())
        clients.append(client)
    # Two at a time in each process, as for one caller, and not two for the token and two for the session.
    wait_until(lambda: figure(port, "reads_running") + figure(port, "reads_waiting") == 8)
    assert figure(port, "reads_running") <= 4
    for client in clients:
        client.close()
    wait_until(lambda: figure(port, "reads_running") + figure(port, "reads_waiting") == 0)
