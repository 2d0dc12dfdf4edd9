"""A volume that fills up, for real: a small tmpfs. What frees room and runs the service goes on."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import TICKET, running, wait_until

MEBIBYTE = 1024 * 1024


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """128 MiB, of which at most 16 can be a reserve."""
    folder = tmp_path / "volume"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """A file of somebody else's that leaves so many bytes free."""
    path = folder / "others"
    status = os.statvfs(folder)
    more = status.f_bavail * status.f_frsize - leave
    with path.open("ab") as handle:
        os.posix_fallocate(handle.fileno(), handle.tell(), more)
    return path


class Person:
    """Somebody who sends requests, and what is answered."""

    def __init__(self, port: int, token: str = ADMIN_TOKEN) -> None:
        self._base, self._headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, status: int, **more: Any) -> Any:
        answer = httpx.request(method, self._base + path, headers=self._headers, timeout=20, **more)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text.startswith("{") else answer.text

    def waits_for_health(self, state: str) -> dict[str, Any]:
        """What /health says of the volumes, once it says this of them; its answers are good for a second."""
        wait_until(lambda: self.send("GET", "/health", 200)["ports"]["space"]["status"] == state)
        health: dict[str, Any] = self.send("GET", "/health", 200)
        assert health["status"] == state
        return health["ports"]["space"]

    def refused(self, method: str, path: str, **more: Any) -> None:
        said = self.send(method, path, 507, **more)["detail"]
        assert "The disk is nearly full" in said and "16 MiB are kept in reserve" in said, said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_frees_room_goes_on_when_the_disk_is_full(tmp_path: Path, volume: Path, workers: str) -> None:
    with running(volume, API_WORKERS=workers, DISK_RESERVE_MB="16", LOG_LEVEL="warning") as (_, port):
        admin = Person(port)
        made = admin.send("POST", "/api/tokens", 201, json={"name": "Grace", "role": "requester"})
        grace = Person(port, made["token"])
        tickets = [admin.send("POST", "/api/tickets", 201, json=TICKET)["id"] for _ in range(3)]
        path = f"/api/tickets/{tickets[0]}"
        file = admin.send("POST", f"{path}/attachments", 201, files={"files": b"x" * MEBIBYTE})["items"][0]
        memory = {"title": "T", "body": "B", "category": "C"}
        admin.send("POST", "/api/memories", 201, json=memory)
        admin.waits_for_health("ok")

        fill(volume, 24 * MEBIBYTE)
        admin.send("POST", "/api/tickets", 201, json=TICKET)
        assert "16 MiB are kept in reserve" in admin.waits_for_health("degraded")["reason"]

        others = fill(volume, 0)  # to the last byte
        for person in (admin, grace):
            person.refused("POST", "/api/tickets", json=TICKET)
            person.refused("POST", "/api/tickets", data=TICKET, files={"files": b"x"})
        admin.refused("POST", f"{path}/attachments", files={"files": b"x"})
        admin.refused("POST", f"{path}/comments", json={"body": "B"})
        admin.refused("PATCH", path, json={"description": "D" * 1000})
        admin.refused("POST", "/api/memories", json=memory)
        admin.refused("POST", "/api/imports", files={"file": b"title,description,severity\nT,D,low\n"})

        session = admin.send("POST", "/api/session", 201, json={"token": made["token"]})
        assert session["name"] == "Grace"
        Person(port).send("DELETE", "/api/session", 204)
        other = admin.send("POST", "/api/tokens", 201, json={"name": "Ada", "role": "agent"})
        admin.send("DELETE", f"/api/tokens/{other['id']}", 204)
        admin.send("PATCH", path, 200, json={"status": "in_progress"})
        admin.send("DELETE", f"{path}/attachments/{file['id']}", 204)
        admin.send("DELETE", f"/api/tickets/{tickets[1]}", 204)
        admin.send("GET", "/health/live", 200)
        admin.waits_for_health("degraded")
        admin.send("GET", "/health/ready", 200)
        metrics = admin.send("GET", "/metrics", 200)
        free = next(line for line in metrics.splitlines() if line.startswith('disk_free_bytes{directory="DATA_DIR"}'))
        assert float(free.split()[1]) < 16 * MEBIBYTE

        others.unlink()
        admin.send("POST", "/api/tickets", 201, json=TICKET)
        admin.waits_for_health("ok")


def test_uploads_at_the_same_time_leave_the_reserve(volume: Path) -> None:
    with running(volume, DISK_RESERVE_MB="16", LOG_LEVEL="warning") as (_, port):
        path = f"/api/tickets/{Person(port).send('POST', '/api/tickets', 201, json=TICKET)['id']}/attachments"
        fill(volume, 24 * MEBIBYTE)

        def upload(_: int) -> int:
            with httpx.Client(timeout=30, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
                sent = {"files": b"x" * (4 * MEBIBYTE)}
                return client.post(f"http://127.0.0.1:{port}{path}", files=sent).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(upload, range(8)))
        assert set(statuses) <= {201, 507} and 507 in statuses, statuses
        assert statuses.count(201) <= 2
        status = os.statvfs(volume)
        assert status.f_bavail * status.f_frsize >= 14 * MEBIBYTE, "but for the blocks under way"
        assert not list((volume / "uploads/incoming").iterdir()), "what was refused is gone"
