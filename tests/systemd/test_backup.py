"""The nightly backup: repeated cheaply, proven, kept apart from the service, and brought back."""

import os
import re
import time
from pathlib import Path

from tests.containers.engines import wait_until
from tests.systemd.service import BACKUPS, UNIT, VOLUMES, api, drop_in, journal, run, systemctl

NIGHTLY = "ticket-backend-backup.service"
TOOL = ("podman", "run", "--rm", "--network=none", "--group-add=0", f"--volume={BACKUPS}:/backups:z")
IMAGE = "localhost/ticket-backend:latest"


def back_up() -> float:
    systemctl("reset-failed", NIGHTLY, check=False)  # nobody asks six times within ten seconds; these tests may
    started = time.monotonic()
    systemctl("start", NIGHTLY)
    return time.monotonic() - started


def objects() -> dict[str, int]:
    """Name and inode of every file that is kept."""
    return {path.name: path.stat().st_ino for path in BACKUPS.glob("objects/*/*")}


def names() -> list[str]:
    return sorted(path.stem for path in BACKUPS.glob("snapshots/*.json"))


def test_is_incremental_and_private_and_yours(service: str) -> None:
    api().ticket(f=("a.bin", os.urandom(5_000_000), "application/octet-stream"))
    first = back_up()
    before = objects()
    api().ticket(f=("b.txt", b"one more", "text/plain"))
    second = back_up()
    added = {name for name in objects() if name not in before}
    assert all(objects()[name] == inode for name, inode in before.items()), "nothing was copied again"
    assert len(added) == 2, "the database and the one new file"
    print(f"nightly backup: {first:.1f} s, again {second:.1f} s")
    assert BACKUPS.stat().st_mode & 0o7777 == 0o2770
    for path in BACKUPS.rglob("*"):
        assert path.stat().st_mode & 0o007 == 0 and os.access(path, os.R_OK), path
        assert path.stat().st_gid == os.getgid()
    assert "verified" in run("journalctl", "--user", "-u", NIGHTLY, "-n", "20", "-o", "cat", "--no-pager")


def test_service_never_sees_its_backups(service: str) -> None:
    mounts = run("podman", "inspect", "--format", "{{range .Mounts}}{{.Destination}} {{end}}", "ticket-backend")
    assert sorted(mounts.split()) == [f"/app/{name}" for name in sorted(VOLUMES)]


def test_is_locked_down(service: str) -> None:
    unit = run("systemctl", "--user", "cat", NIGHTLY)
    for words in ("--read-only", "--cap-drop=all", "no-new-privileges", "--network none", "--user 1000"):
        assert words in unit or words.replace("=", " ") in unit or words.replace(" ", "=") in unit, words


def test_only_the_newest_stay(service: str) -> None:
    back_up()
    manifest = BACKUPS / "snapshots" / f"{names()[-1]}.json"
    for number in range(20):
        name = f"2020-01-{number + 1:02}T00-00-00.000Z"
        text = re.sub(r'"name": "[^"]*"', f'"name": "{name}"', manifest.read_text())
        (BACKUPS / "snapshots" / f"{name}.json").write_text(text)
    back_up()
    assert len(names()) == 14


def test_is_taken_while_the_service_is_stopped_and_leaves_it_so(service: str) -> None:
    systemctl("stop", UNIT)
    back_up()
    assert systemctl("is-active", UNIT, check=False) == "inactive"


def test_can_be_restored(service: str, tmp_path: Path) -> None:
    ticket = api().ticket(f=("a.txt", b"hello", "text/plain"))
    back_up()
    lost = api().ticket()
    systemctl("stop", UNIT)
    mounts = [f"--volume=ticket-backend-{volume}:/app/{volume}" for volume in VOLUMES]
    refused = run(*TOOL, *mounts, IMAGE, "python", "-m", "backend", "restore", "/backups", check=False)
    assert "Restore overwrites nothing" in refused
    run("podman", "volume", "rm", *(f"ticket-backend-{volume}" for volume in VOLUMES))
    said = run(*TOOL, *mounts, IMAGE, "python", "-m", "backend", "restore", "/backups")
    assert "restored backup" in said
    systemctl("start", UNIT)
    assert api().get(f"/api/tickets/{ticket['id']}").json()["id"] == ticket["id"]
    assert api().get(f"/api/tickets/{lost['id']}").status_code == 404
    (file,) = api().get(f"/api/tickets/{ticket['id']}/attachments").json()["items"]
    assert api().get(file["url"]).content == b"hello"
    assert "Traceback" not in journal(50)


def test_failure_is_an_error_in_the_journal_and_in_health(service: str) -> None:
    with drop_in("[Container]\nExec=python -m backend backup /nowhere\n", "ticket-backend-backup.container"):
        run("systemctl", "--user", "start", NIGHTLY, check=False)
        said = ("journalctl", "--user", "-p", "err", "-u", "ticket-backend-backup-failed", "-o", "cat", "--no-pager")
        wait_until(lambda: "The backup of Ticket Backend failed" in run(*said), 20, "the error")
        wait_until(lambda: (api().health() or {}).get("status") == "degraded", 10, "a degraded service")
    back_up()
    wait_until(lambda: api().is_healthy(), 10, "a healthy service after a good backup")


def test_runs_every_night(service: str) -> None:
    assert "ticket-backend-backup.timer" in systemctl("list-timers", "--all")
    assert systemctl("show", "-P", "Persistent", "ticket-backend-backup.timer") == "yes"
