"""What is known of wrong guesses: shared by workers, remembered over a restart, and nobody else's trouble."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import running, wait_until


def ask(port: int, token: str, path: str = "/api/tickets") -> int:
    """The status of one request on a connection of its own, which any worker may take."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def sign_in(port: int) -> str:
    """A session's cookie, by the right token."""
    body = json.dumps({"token": ADMIN_TOKEN}).encode()
    headers = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/session", body, headers)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return str(answer.headers["set-cookie"]).partition(";")[0]


def guess_until_locked(port: int) -> int:
    """How many different guesses were answered before the first was refused."""
    for number in range(100):
        if ask(port, f"guess number {number}") == 429:
            return number
    raise AssertionError("no lock")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_lock_holds_in_every_worker_and_over_a_restart(tmp_path: Path, workers: str) -> None:
    more = {"API_WORKERS": workers, "RATE_LIMIT_ADDRESS_PER_MINUTE": "200"}
    with running(tmp_path, **more) as (_, port):
        assert guess_until_locked(port) <= 10, "together, whoever was asked"
        wait_until(lambda: all(ask(port, f"another guess {number}") == 429 for number in range(10)))
        # Nobody pays for it who has a right token or session, or one that is over; and no wrong ones use up the rate.
        for _ in range(300):
            ask(port, "the same wrong one")
        assert ask(port, ADMIN_TOKEN) == 200
        cookie = sign_in(port)
        assert ask(port, ADMIN_TOKEN, "/sign-in") == 200
    with running(tmp_path, **more) as (_, port):
        wait_until(lambda: all(ask(port, f"a guess after the restart {number}") == 429 for number in range(10)))
        assert ask(port, ADMIN_TOKEN) == 200
        assert ask(port, "tb_" + "x" * 43) == 401, "revoked or expired, and no guess"
        renamed = f"ticket_session_{port}={cookie.partition('=')[2]}"  # its name has the port, which is another one now
        page = urllib.request.Request(f"http://127.0.0.1:{port}/api/session", headers={"cookie": renamed})
        with urllib.request.urlopen(page, timeout=20) as answer:
            assert answer.status == 200, "the session from before goes on"
