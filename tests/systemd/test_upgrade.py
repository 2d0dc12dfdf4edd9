"""A new image: taken when it is good, undone when it is not; a new schema, and the way back."""

import time
from pathlib import Path

from tests.systemd.service import (
    UNIT,
    api,
    auto_update,
    drop_in,
    failed,
    image_id,
    journal,
    run,
    state,
    systemctl,
    variant,
)
from tests.upkeep.newer import NEWEST, NEXT, newer_image

ALL = "ls /app/data"


def kept_tickets() -> list[str]:
    """Ids of tickets, one of them with a file."""
    return [api().ticket()["id"], api().ticket(f=("a.txt", b"hello", "text/plain"))["id"]]


def all_there(ids: list[str]) -> None:
    for identity in ids:
        assert api().get(f"/api/tickets/{identity}").status_code == 200
    (file,) = api().get(f"/api/tickets/{ids[1]}/attachments").json()["items"]
    assert api().get(file["url"]).content == b"hello"


def test_good_image_is_taken(service: str, tmp_path: Path) -> None:
    ids = kept_tickets()
    with variant(tmp_path, "LABEL test=newer"):
        started = time.monotonic()
        assert auto_update() == "true"
        print(f"updated by podman auto-update in {time.monotonic() - started:.1f} s")
        assert run("podman", "inspect", "--format", "{{.Image}}", "ticket-backend").strip() == image_id()
        all_there(ids)
        assert auto_update() == "false", "nothing newer is left"


def test_image_that_exits_is_rolled_back(service: str, tmp_path: Path) -> None:
    ids, good = kept_tickets(), image_id()
    with variant(tmp_path, 'CMD ["python", "-c", "raise SystemExit(1)"]'):
        started = time.monotonic()
        assert auto_update() == "rolled back"
        print(f"rolled back an image that exits in {time.monotonic() - started:.1f} s")
        assert (image_id(), state("ActiveState")) == (good, "active")
        all_there(ids)


def test_image_that_never_gets_healthy_is_rolled_back(service: str, tmp_path: Path) -> None:
    ids, good = kept_tickets(), image_id()
    shipped = state("TimeoutStartUSec")
    with drop_in("[Service]\nTimeoutStartSec=20\n"), variant(tmp_path, 'CMD ["sleep", "3600"]'):
        started = time.monotonic()
        assert auto_update() == "rolled back"
        seconds = time.monotonic() - started
        print(f"rolled back an image that never gets healthy in {seconds:.0f} s: 20 of them TimeoutStartSec,")
        print(f"which is {shipped} as shipped")
        assert (image_id(), state("ActiveState")) == (good, "active")
        all_there(ids)


def test_new_schema_is_taken_and_an_older_image_refuses_it(service: str, tmp_path: Path) -> None:
    ids, good = kept_tickets(), image_id()
    with variant(tmp_path, *newer_image(tmp_path)):
        assert auto_update() == "true"
        assert f"database schema is now {NEXT}" in journal(50)
        all_there(ids)
        assert f"before-schema-{NEXT}.db" in run("podman", "exec", "ticket-backend", "sh", "-c", ALL)
        assert "all is well" in run("podman", "exec", "ticket-backend", "python", "-m", "backend", "doctor")
        run("podman", "tag", good, "localhost/ticket-backend:latest")
        systemctl("restart", UNIT, check=False)
        assert failed() == ("exit-code", "74")
        (line,) = {line for line in journal(20).splitlines() if f"schema {NEXT}" in line}
        assert line.startswith("ticket-backend: ") and f"up to {NEWEST}" in line
        put_back = f"cd /app/data && rm tickets.db* && mv before-schema-{NEXT}.db tickets.db"
        run("podman", "run", "--rm", "-v", "ticket-backend-data:/app/data", good, "sh", "-c", put_back)
    all_there(ids)
