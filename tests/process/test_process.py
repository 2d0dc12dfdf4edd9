"""The real process on a real port: how it starts, is killed, and stops."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.conftest import ADMIN_TOKEN, variables

ROOT = Path(__file__).parents[2]
TICKET = {"title": "T", "description": "D", "severity": "low", "category": "C"}
SERVE = [sys.executable, "-m", "backend", "serve"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(root: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables(root, **more)}


def call(port: int, method: str, path: str, body: object = None) -> tuple[int, dict]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.status, json.load(answer)


def attach(port: int, ticket_id: str) -> None:
    """Attach a small file."""
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "multipart/form-data; boundary=x"}
    path = f"http://127.0.0.1:{port}/api/tickets/{ticket_id}/attachments"
    with urllib.request.urlopen(urllib.request.Request(path, body, headers), timeout=10) as answer:
        assert answer.status == 201


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with suppress(OSError):
        return call(port, "GET", "/health/live")[0] == 200
    return False


@contextmanager
def running(root: Path, command: list[str] = SERVE, **more: str) -> Iterator[tuple[subprocess.Popen, int]]:
    port = free_port()
    log = (root / "log").open("ab")
    process = subprocess.Popen(
        command,
        cwd=root,
        env=environment(root, API_PORT=str(port), **more),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        wait_until(lambda: answers(port))
        yield process, port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def refused(root: Path, command: list[str] = SERVE, **more: str) -> tuple[int, list[str]]:
    given = environment(root, **({"API_PORT": str(free_port())} | more))
    done = subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, timeout=30)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stderr.strip().splitlines()


class TestRefusals:
    @pytest.mark.parametrize(
        "command", [SERVE, [sys.executable, "-m", "uvicorn", "backend.main:app"]], ids=["serve", "uvicorn"]
    )
    def test_bad_variable(self, tmp_path: Path, command: list[str]) -> None:
        code, lines = refused(tmp_path, command, LOG_LEVEL="loud")
        assert code == 78
        assert [line for line in lines if "LOG_LEVEL must be one of" in line] == lines

    def test_production_without_a_token(self, tmp_path: Path) -> None:
        code, lines = refused(tmp_path, ENVIRONMENT="production", ADMIN_TOKEN="")
        assert (code, len(lines)) == (78, 1)

    def test_model_that_is_none(self, tmp_path: Path) -> None:
        code, lines = refused(tmp_path, BEDROCK_MODEL_ID="not a model!")
        assert (code, len(lines), "BEDROCK_MODEL_ID must be the id or ARN" in lines[0]) == (78, 1, True)

    def test_model_without_a_region(self, tmp_path: Path) -> None:
        code, lines = refused(tmp_path, BEDROCK_MODEL_ID="amazon.nova-lite-v1:0", AWS_EC2_METADATA_DISABLED="true")
        assert (code, len(lines), "Set AWS_DEFAULT_REGION" in lines[0]) == (74, 1, True), lines

    @pytest.mark.parametrize("damage", ["newer", "foreign", "no database", "torn"])
    def test_database_that_can_not_be_used(self, tmp_path: Path, damage: str) -> None:
        (tmp_path / "data").mkdir()
        path = tmp_path / "data" / "tickets.db"
        if damage == "no database":
            path.write_bytes(os.urandom(50_000))
        elif damage == "foreign":
            connection = sqlite3.connect(path)
            connection.execute("CREATE TABLE theirs (x)")
            connection.close()
        else:
            with running(tmp_path) as (_, port):
                for _ in range(50):
                    call(port, "POST", "/api/tickets", TICKET)
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if damage == "newer":
                connection.execute("PRAGMA user_version = 99")
            connection.commit()
            connection.close()
            if damage == "torn":
                with path.open("r+b") as handle:
                    handle.seek(4096 * 3)
                    handle.write(os.urandom(4096 * 8))
        code, lines = refused(tmp_path)
        assert (code, len(lines)) == (74, 1), lines

    def test_state_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "uploads").write_text("")
        code, lines = refused(tmp_path)
        assert (code, "UPLOAD_DIR" in lines[0], len(lines)) == (74, True, 1)

    def test_address_that_is_taken(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            code, lines = refused(tmp_path, API_PORT=str(taken.getsockname()[1]))
        assert (code, len(lines), "API_PORT" in lines[0]) == (78, 1, True)


def test_nothing_acknowledged_is_lost_when_it_is_killed_under_load(tmp_path: Path) -> None:
    kept: set[str] = set()
    with running(tmp_path, API_WORKERS="2") as (process, port):
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                with suppress(OSError, HTTPException):
                    status, ticket = call(port, "POST", "/api/tickets", TICKET)
                    assert status == 201
                    kept.add(ticket["id"])

        threads = [threading.Thread(target=write) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(kept) > 50)
        os.killpg(process.pid, signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
    with running(tmp_path):
        connection = sqlite3.connect(tmp_path / "data" / "tickets.db")
        there = {row[0] for row in connection.execute("SELECT id FROM tickets")}
        numbers = [row[0] for row in connection.execute("SELECT number FROM tickets ORDER BY number")]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
    assert kept <= there
    assert numbers == list(range(1, len(numbers) + 1))


def raw(port: int, head: str, body: bytes = b"") -> socket.socket:
    """An open connection on which a request has begun."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    lines = [head, "host: x", f"authorization: Bearer {ADMIN_TOKEN}", "content-type: multipart/form-data; boundary=b"]
    connection.sendall("\r\n".join([*lines, "content-length: 100000", "", ""]).encode() + body)
    return connection


PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n' + b"x" * 20_000


def test_upload_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as (_, port):
        connection = raw(port, "POST /api/tickets HTTP/1.1", PART)
        incoming = tmp_path / "uploads" / "incoming"
        wait_until(lambda: any(incoming.iterdir()))
        connection.close()
        wait_until(lambda: not any(incoming.iterdir()))
        assert call(port, "GET", "/api/tickets")[1]["items"] == []
        assert not list((tmp_path / "uploads").glob("??/*"))
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_sigterm_lets_a_running_request_finish(tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        fields = b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in TICKET.items()
        )
        body = fields + b"--b--\r\n"
        connection = raw(port, "POST /api/tickets HTTP/1.1", body + b" " * (99_000 - len(body)))
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)
        connection.sendall(b" " * 1000)
        assert connection.recv(100).startswith(b"HTTP/1.1 201")
        connection.close()
        assert process.wait(10) == 0


def test_configuration_is_logged_once_without_a_secret(tmp_path: Path) -> None:
    with running(tmp_path, API_WORKERS="2", LOG_FORMAT="json"):
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    starts = [line for line in lines if line["message"] == "starting"]
    assert len(starts) == 1
    assert (starts[0]["ADMIN_TOKEN"], starts[0]["API_WORKERS"]) == ("set", "2")
    assert ADMIN_TOKEN not in (tmp_path / "log").read_text()


def test_workers_count_together(tmp_path: Path) -> None:
    with running(tmp_path, API_WORKERS="2") as (_, port):
        for _ in range(10):
            call(port, "POST", "/api/tickets", TICKET)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert 'http_requests_total{method="POST",route="/api/tickets",status="201"} 10.0' in answer.read().decode()


def test_what_is_written_is_the_services_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with running(tmp_path, API_WORKERS="2") as (_, port):
            made = call(port, "POST", "/api/tickets", TICKET)[1]
            call(port, "POST", f"/api/tickets/{made['id']}/resolve", {"resolution": "So."})
            attach(port, made["id"])
            state = [path for name in ("data", "uploads", "memories") for path in (tmp_path / name).rglob("*")]
            modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in state}
    finally:
        os.umask(before)
    assert len(modes) > 8
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
