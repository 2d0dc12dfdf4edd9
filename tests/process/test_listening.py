"""Which addresses are listened on: the same with one worker, with several, and while reloading."""

import http.client
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.test_process import ROOT, SERVE, environment, free_port, wait_until


def status(host: str, port: int) -> int:
    """Of a request with a wrong token; 0 without an answer."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/api/session", headers={"authorization": "Bearer wrong"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize("words", [(), ("--workers",), ("--reload",)], ids=["one", "two", "reload"])
def test_both_families_answer_whatever_serves(tmp_path: Path, words: tuple[str, ...]) -> None:
    port = free_port()
    workers = "2" if words == ("--workers",) else "1"
    given = environment(tmp_path, API_HOST="::", API_PORT=str(port), API_WORKERS=workers, LOG_FORMAT="json")
    command = [*SERVE, *(word for word in words if word == "--reload")]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=given, stdout=log, stderr=log)
    try:
        wait_until(lambda: status("::1", port) == 401 or server.poll() is not None, 30)
        assert status("127.0.0.1", port) == 401, (tmp_path / "log").read_text()
        check = [sys.executable, "-I", "-S", str(ROOT / "backend/healthcheck.py")]
        assert subprocess.run(check, env=given, capture_output=True).returncode == 0
        text = (tmp_path / "log").read_text()
        assert '"address": "127.0.0.1"' in text and "::ffff" not in text, "an IPv4 client keeps its address"
    finally:
        server.terminate()
        assert server.wait(20) == 0, (tmp_path / "log").read_text()


def test_one_address_is_one_address(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(SERVE, cwd=tmp_path, env=environment(tmp_path, API_HOST="::1", API_PORT=str(port))) as server:
        wait_until(lambda: status("::1", port) == 401 or server.poll() is not None, 30)
        assert status("127.0.0.1", port) == 0
        server.terminate()


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
def test_port_that_another_has_on_either_family_is_told(tmp_path: Path, taken: str) -> None:
    with socket.create_server((taken, 0), family=socket.AF_INET6 if ":" in taken else socket.AF_INET) as other:
        given = environment(tmp_path, API_HOST="::", API_PORT=str(other.getsockname()[1]))
        done = subprocess.run(SERVE, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=30)
    assert done.returncode == 78
    assert "can't listen on [::]:" in done.stderr and "Traceback" not in done.stderr
