"""The lab's whole machine is rebooted, as seen from outside of it: the service is back before anybody has logged in."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engines import wait_until

LAB = Path(__file__).with_name("lab")
URL = "http://127.0.0.1:8000"
STARTED = "ps -o lstart= -p 1"
FIELDS = {"title": "Printer", "description": "Blank pages", "severity": "low", "category": "Hardware"}
ASK = """
import json, sys, requests
method, url, token, fields = sys.argv[1:]
more = {"data": json.loads(fields), "files": {"f": ("a.txt", b"hello", "text/plain")}} if fields else {}
print(requests.request(method, url, headers={"authorization": f"Bearer {token}"}, timeout=3, **more).text)
"""


def lab(*words: str, check: bool = True) -> str:
    """A command of the lab; what it printed."""
    done = subprocess.run([str(LAB), *words], capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def inside(command: str, check: bool = True) -> str:
    """A command line of the user whose service it is."""
    return lab("run", "--", "bash", "-euo", "pipefail", "-c", command, check=check)


def ask(path: str, token: str = "", fields: dict[str, str] | None = None) -> str:
    """A request from this machine's Python in the guest's network: nobody logs in for it. Empty where none is answered."""
    words = ("POST" if fields else "GET", f"{URL}{path}", token, json.dumps(fields) if fields else "")
    return lab("net", sys.executable, "-c", ASK, *words, check=False).strip()


def is_healthy() -> bool:
    answer = ask("/health")
    return bool(answer) and json.loads(answer)["status"] == "ok"


@pytest.fixture(scope="module")
def token() -> Iterator[str]:
    """The service in the lab; its administrator's token."""
    if os.geteuid() != 0 or "running" not in subprocess.run([LAB, "status"], capture_output=True, text=True).stdout:
        pytest.skip("the lab is not running; as root: tests/lab/lab up")
    clean = "backend/scripts/install-quadlet.sh --uninstall --delete-data"
    inside(clean, check=False)
    inside(
        "ENGINE=podman PIP_CA_FILE=/etc/ssl/certs/ca-certificates.crt backend/scripts/build.sh;"
        "backend/scripts/install-quadlet.sh"
    )
    yield inside(
        "podman secret inspect --showsecret --format '{{.SecretData}}' ticket-backend-admin-token",
    ).strip()
    inside(clean)


def test_service_is_back_after_a_reboot_without_a_login(token: str) -> None:
    ticket = json.loads(ask("/api/tickets", token, FIELDS))
    before = inside(STARTED)
    started = time.monotonic()
    lab("run", "--root", "systemctl", "--no-block", "reboot", check=False)
    wait_until(lambda: not is_healthy(), 60, "the end of the machine")
    stopped = time.monotonic()
    wait_until(is_healthy, 120, "the service after the reboot")
    back = time.monotonic()
    print(f"reboot: healthy {back - started:.1f} s after the command, of which {back - stopped:.1f} s down")
    sessions = lab("run", "--root", "loginctl", "list-sessions", "--no-legend", check=False).splitlines()
    assert not [line for line in sessions if {"ticket", "user"} <= set(line.split())], "somebody has logged in"
    assert json.loads(ask(f"/api/tickets/{ticket['id']}", token))["id"] == ticket["id"]
    (file,) = json.loads(ask(f"/api/tickets/{ticket['id']}/attachments", token))["items"]
    assert ask(file["url"], token) == "hello"
    lab("up")  # until its engines answer again
    assert before != inside(STARTED)
    assert "active" in inside("systemctl --user is-active ticket-backend ticket-backend-backup.timer")
