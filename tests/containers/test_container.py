"""The backend in a container: as it starts, runs and ends, on every engine."""

import threading
import time
from contextlib import ExitStack

import pytest
import requests

from tests.containers.engines import TOKEN, Engine, wait_until

HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp:size=64m,mode=1777",
    *(f"--volume=/app/{name}" for name in ("data", "uploads", "memories")),
)
CHECK = ("python", "-I", "-S", "/app/backend/healthcheck.py")


def test_starts_answers_and_keeps_a_ticket_with_its_file(engine: Engine, image: str) -> None:
    with engine.backend(image) as running:
        ticket = running.api.ticket(files=("shot.png", b"\x89PNG\r\n\x1a\n" + b"x" * 5000, "image/png"))
        (file,) = running.api.get(f"/api/tickets/{ticket['id']}/attachments").json()["items"]
        assert running.api.get(file["url"]).content.endswith(b"x" * 5000)
        assert running.api.get("/api/tickets?q=printer").json()["items"] == [ticket]
        assert "route=/api/tickets status=201" in running.container.logs()
        assert requests.get(f"{running.api.url}/docs", timeout=5).status_code == 200


def test_stand_alone_check_tells_health(engine: Engine, image: str) -> None:
    with engine.backend(image) as running:
        assert running.container.exec(*CHECK).returncode == 0
        running.container.exec("mv", "/app/data/tickets.db", "/app/data/gone")
        done = wait_until(
            lambda: (d := running.container.exec(*CHECK, check=False)).returncode and d, 10, "a bad check"
        )
        assert done.returncode == 1
        assert len((done.stdout + done.stderr).strip().splitlines()) == 1


def test_check_follows_the_port(engine: Engine, image: str) -> None:
    with engine.backend(image, API_PORT="9123") as running:
        assert running.container.exec(*CHECK).returncode == 0
    with engine.container(image, command=("sleep", "60")) as idle:
        assert idle.exec(*CHECK, check=False).returncode == 1


def test_hardened_from_inside(engine: Engine, image: str) -> None:
    with engine.backend(image, *HARDENED) as running:
        status = dict(
            line.split(":\t", 1)
            for line in running.container.exec("cat", "/proc/1/status").stdout.splitlines()
            if ":\t" in line
        )
        assert status["CapEff"].strip("0") == status["CapBnd"].strip("0") == ""
        assert status["NoNewPrivs"] == "1"
        assert running.container.exec("touch", "/app/x", check=False).returncode != 0
        assert running.container.exec("touch", "/etc/x", check=False).returncode != 0
        running.api.ticket(files=("a.txt", b"hello", "text/plain"))


@pytest.mark.parametrize(
    "words", [("--user=54321:0",), ("--user=1001:1001", "--group-add=0")], ids=["group 0", "added"]
)
def test_any_user_of_group_0_keeps_its_state_on_volumes(engine: Engine, image: str, words: tuple[str, ...]) -> None:
    names = ("data", "uploads", "memories")
    with ExitStack() as stack:
        mounts = [f"--volume={stack.enter_context(engine.volume())}:/app/{name}" for name in names]
        hardened = [word for word in HARDENED if not word.startswith("--volume")]
        with engine.backend(image, *hardened, *mounts, *words) as running:
            ticket = running.api.ticket(files=("a.txt", b"hello", "text/plain"))
            path = f"/api/tickets/{ticket['id']}"
            running.api.session.post(f"{running.api.url}{path}/resolve", json={"resolution": "x"}).raise_for_status()
        with engine.backend(image, *hardened, *mounts, *words, API_WORKERS="2") as running:
            assert running.api.get(path).json()["status"] == "resolved"
            assert running.api.get(f"/api/memories/{ticket['id']}").status_code == 200
            uid = words[0].removeprefix("--user=").partition(":")[0]
            assert running.container.exec("stat", "-c", "%u %a", "/app/data/tickets.db").stdout.split() == [uid, "600"]
            assert running.container.exec("python", "-m", "backend", "doctor").stdout.strip() == "all is well"


def test_stop_lets_a_running_request_finish(engine: Engine, image: str) -> None:
    with engine.backend(image) as running:
        answers = []

        def slow_body():
            head = b'--b\r\nContent-Disposition: form-data; name="'
            for name in ("title", "description", "severity", "category"):
                yield head + name.encode() + b'"\r\n\r\nlow\r\n'
                time.sleep(0.8)
            yield b"--b--\r\n"

        def send() -> None:
            headers = {"content-type": "multipart/form-data; boundary=b"}
            answers.append(
                running.api.session.post(f"{running.api.url}/api/tickets", data=slow_body(), headers=headers)
            )

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(1)
        started = time.monotonic()
        engine.run("stop", "-t", "10", running.container.id)
        thread.join()
        assert answers[0].status_code == 201
        assert time.monotonic() - started < 10
        assert running.container.wait_exit() == 0


def test_acknowledged_tickets_survive_a_kill(engine: Engine, image: str) -> None:
    with engine.volume() as volume:
        with engine.backend(image, "-v", f"{volume}:/app/data") as running:
            made = [running.api.ticket()["id"] for _ in range(20)]
            engine.run("kill", "-s", "KILL", running.container.id)
        with engine.backend(image, "-v", f"{volume}:/app/data") as running:
            assert {ticket["id"] for ticket in running.api.get("/api/tickets").json()["items"]} == set(made)


@pytest.mark.parametrize("place", ["directory", "named"])
def test_secret_comes_from_a_file(engine: Engine, image: str, place: str) -> None:
    secret = "a-secret-from-a-file-0123456789"
    path = "/run/secrets/admin_token" if place == "directory" else "/tmp/elsewhere"
    words = ["--tmpfs=/run/secrets:mode=1777", "-e", "ENVIRONMENT=production"]
    if place == "named":
        words += ["-e", f"ADMIN_TOKEN_FILE={path}"]
    command = ("sh", "-c", f"until test -s {path}; do sleep 0.1; done; exec python -m backend serve")
    call = (
        "import urllib.request as u; "
        "r = u.Request('http://127.0.0.1:8000/api/tickets', headers={'authorization': 'Bearer %s'}); u.urlopen(r)"
    )
    with engine.container(image, *words, command=command) as container:
        container.exec("sh", "-c", f"printf %s {secret} > {path}")

        def answers() -> bool:
            return container.exec("python", "-c", call % secret, check=False).returncode == 0

        wait_until(answers, 30, "an answer to the secret")
        assert secret not in container.logs()
        assert secret not in engine.run("inspect", container.id).stdout


def test_own_token_is_made_where_none_is_set(engine: Engine, image: str) -> None:
    with engine.container(image, "-e", "ENVIRONMENT=development") as container:
        token = wait_until(
            lambda: container.exec("cat", "/app/data/admin-token", check=False).stdout.strip(), 30, "a token"
        )
        assert len(token) >= 32
        assert token not in container.logs()
        assert container.exec("stat", "-c", "%a", "/app/data/admin-token").stdout.strip() == "600"


class TestRefusals:
    """One clear line, and an exit code that says of what kind."""

    def refused(self, engine: Engine, image: str, *words: str) -> tuple[int, str]:
        with engine.container(image, *words) as container:
            return container.wait_exit(), container.logs()

    def test_corrupt_database(self, engine: Engine, image: str) -> None:
        with engine.volume() as volume:
            mount = ("-v", f"{volume}:/app/data")
            engine.run("run", "--rm", *mount, image, "sh", "-c", "head -c 100000 /dev/urandom > /app/data/tickets.db")
            code, logs = self.refused(engine, image, *mount)
        assert code == 74
        assert logs.strip().splitlines()[-1].startswith("ticket-backend: ")
        assert "Traceback" not in logs

    def test_newer_schema(self, engine: Engine, image: str) -> None:
        with engine.volume() as volume:
            mount = ("-v", f"{volume}:/app/data")
            with engine.backend(image, *mount) as running:
                running.container.python(
                    "import sqlite3; c = sqlite3.connect('/app/data/tickets.db'); c.execute('PRAGMA user_version = 99')"
                )
            code, logs = self.refused(engine, image, *mount)
        assert (code, "schema 99" in logs, "Traceback" in logs) == (74, True, False)

    def test_read_only_volume(self, engine: Engine, image: str) -> None:
        with engine.volume() as volume:
            code, logs = self.refused(engine, image, "-v", f"{volume}:/app/uploads:ro")
        assert (code, "UPLOAD_DIR" in logs, "Traceback" in logs) == (74, True, False)

    def test_full_volume(self, engine: Engine, image: str) -> None:
        code, logs = self.refused(engine, image, "--tmpfs=/app/memories:size=4k,mode=1777")
        assert (code, "MEMORY_DIR" in logs, "Traceback" in logs) == (74, True, False)


def test_disk_that_fills_up_is_told_and_nothing_is_half_written(engine: Engine, image: str) -> None:
    with engine.backend(image, "--tmpfs=/app/uploads:size=2m,mode=1777") as running:
        big = ("a.bin", b"\0" * 3_000_000, "application/octet-stream")
        fields = {"title": "T", "description": "D", "severity": "low", "category": "C"}
        answer = running.api.session.post(f"{running.api.url}/api/tickets", data=fields, files={"f": big})
        assert answer.status_code == 507
        assert answer.headers["content-type"] == "application/problem+json"
        assert running.container.exec("find", "/app/uploads", "-type", "f", "-size", "+0").stdout.strip() == ""
        assert running.api.get("/api/tickets").json()["items"] == []
        running.container.exec("sh", "-c", "cat /dev/zero > /app/uploads/filler || true")
        health = wait_until(lambda: (h := running.api.health()) and h["status"] == "unavailable" and h, 10, "a 503")
        assert "space" in health["ports"]["uploads"]["reason"]
        running.container.exec("rm", "/app/uploads/filler")
        wait_until(running.api.is_healthy, 10, "health again")


def test_two_workers_share_the_work_and_the_metrics(engine: Engine, image: str) -> None:
    with engine.backend(image, *HARDENED, API_WORKERS="2") as running:
        ids = {running.api.ticket()["id"] for _ in range(20)}
        assert len(ids) == 20
        for _ in range(5):
            figures = running.api.get("/metrics").text
            assert 'http_requests_total{method="POST",route="/api/tickets",status="201"} 20.0' in figures


def test_backup_and_restore_through_the_container(engine: Engine, image: str) -> None:
    with engine.backend(image) as running:
        ticket = running.api.ticket(files=("a.txt", b"hello", "text/plain"))
        running.container.exec("sh", "-c", "python -m backend backup - > /tmp/b.tar")
        script = "export DATA_DIR=/tmp/d UPLOAD_DIR=/tmp/u MEMORY_DIR=/tmp/m; "
        running.container.exec("sh", "-c", "python -m backend backup --verify - < /tmp/b.tar")
        running.container.exec(
            "sh", "-c", script + "python -m backend restore - < /tmp/b.tar && python -m backend doctor"
        )
        code = (
            "import sqlite3; print(sqlite3.connect('/tmp/d/tickets.db').execute('SELECT id FROM tickets').fetchall())"
        )
        assert ticket["id"] in running.container.python(code)
        assert TOKEN not in running.container.logs()
