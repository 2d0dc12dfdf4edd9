"""How the process is told to stop, once and twice, and what a blocked event loop looks like from outside."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.test_process import PART, ROOT, environment, raw, running, wait_until

CHECK = [sys.executable, "-I", "-S", str(ROOT / "backend" / "healthcheck.py")]
# The application, and a signal that blocks its event loop for good: the handler runs on the loop's own thread.
BLOCKABLE = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
from backend.__main__ import main
sys.exit(main(["serve"]))
"""


def checked(root: Path, port: int, *words: str) -> tuple[int, str]:
    done = subprocess.run([*CHECK, *words], env=environment(root, API_PORT=str(port)), capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1 and done.stderr == ""
    return done.returncode, done.stdout


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def is_gone(group: int) -> bool:
    """Whether no worker is left behind."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("sig", "code", "workers"), [(signal.SIGTERM, 143, "1"), (signal.SIGTERM, 143, "2"), (signal.SIGINT, 130, "1")]
)
def test_second_signal_stops_at_once(tmp_path: Path, sig: signal.Signals, code: int, workers: str) -> None:
    with running(tmp_path, API_WORKERS=workers) as (process, port):
        connection = raw(port, "POST /api/tickets HTTP/1.1", PART)  # a request that never ends
        wait_until(lambda: any((tmp_path / "uploads" / "incoming").iterdir()))
        process.send_signal(sig)
        wait_until(lambda: refuses(port))
        assert process.poll() is None, "the first one lets the request finish"
        process.send_signal(sig)
        assert process.wait(5) == code, "sooner than the grace of 8 s ends"
        connection.close()
        wait_until(lambda: is_gone(process.pid), 5)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_check_fails_while_the_event_loop_is_blocked(tmp_path: Path) -> None:
    with running(tmp_path, [sys.executable, "-c", BLOCKABLE]) as (process, port):
        assert checked(tmp_path, port)[0] == checked(tmp_path, port, "live")[0] == 0
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: "unhealthy: no answer" in checked(tmp_path, port, "live")[1])


def test_check_for_life_takes_no_interest_in_the_disk(tmp_path: Path) -> None:
    with running(tmp_path) as (_, port):
        (tmp_path / "uploads").rename(tmp_path / "gone")
        wait_until(lambda: checked(tmp_path, port)[0] == 1)
        assert checked(tmp_path, port, "live") == (0, 'healthy: 200 {"status":"ok"}\n')
