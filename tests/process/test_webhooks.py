"""Webhooks of real processes: nothing is lost when they are killed, and stopping does not wait for targets."""

import json
import os
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

from tests.process.test_process import TICKET, call, running, wait_until
from tests.targets import Target, plain, target


def positions(there: Target) -> set[int]:
    return {json.loads(one.body)["data"]["event"]["position"] for one in there.received}


def test_killed_in_the_middle_every_event_still_arrives(tmp_path: Path) -> None:
    enough = threading.Event()

    def slow_at_first(connection: socket.socket) -> None:
        if not enough.is_set():
            time.sleep(0.05)
        plain(204)(connection)

    with target(slow_at_first) as there:
        with running(tmp_path, API_WORKERS="2", WEBHOOK_ALLOW_PRIVATE="127.0.0.1/32") as (process, port):
            call(port, "POST", "/api/webhooks", {"url": there.url})
            for _ in range(60):
                call(port, "POST", "/api/tickets", TICKET)
            wait_until(lambda: len(there.received) > 10)
            os.killpg(process.pid, signal.SIGKILL)
        before = len(positions(there))
        enough.set()
        connection = sqlite3.connect(tmp_path / "data" / "tickets.db")
        with connection:  # the minute of the lease passes
            connection.execute("UPDATE deliveries SET due_at = created_at WHERE state = 'pending'")
        connection.close()
        with running(tmp_path, API_WORKERS="2", WEBHOOK_ALLOW_PRIVATE="127.0.0.1/32") as (_, port):
            wait_until(lambda: positions(there) == set(range(1, 61)))
    assert before < 60
    by_id: dict[str, set[int]] = {}
    for one in there.received:
        by_id.setdefault(one.headers["webhook-id"], set()).add(json.loads(one.body)["data"]["event"]["position"])
    assert all(len(found) == 1 for found in by_id.values())
    assert len(by_id) == 60, "what came twice came under the same id"


def test_sigterm_does_not_wait_for_a_hanging_target(tmp_path: Path) -> None:
    allowed = "127.0.0.1/32"
    with (
        target(lambda connection: connection.recv(1)) as there,
        running(tmp_path, WEBHOOK_ALLOW_PRIVATE=allowed) as (process, port),
    ):
        call(port, "POST", "/api/webhooks", {"url": there.url})
        call(port, "POST", "/api/tickets", TICKET)
        wait_until(lambda: there.received)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 6
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_quick_target_is_not_told_twice_by_two_processes(tmp_path: Path) -> None:
    with target() as there, running(tmp_path, API_WORKERS="2", WEBHOOK_ALLOW_PRIVATE="127.0.0.1/32") as (_, port):
        call(port, "POST", "/api/webhooks", {"url": there.url})
        for _ in range(40):
            call(port, "POST", "/api/tickets", TICKET)
        wait_until(lambda: positions(there) == set(range(1, 41)))
        assert len(there.received) == 40
