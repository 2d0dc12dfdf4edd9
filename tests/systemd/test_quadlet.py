"""The service from its installation to its removal: started, killed, hung, misconfigured, rotated, updated, backed up."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engines import CA_BUNDLE, ROOT, Backend, wait_until

UNITS = ROOT / "systemd"
UNIT = "ticket-backend.service"
INSTALLER = ROOT / "backend" / "scripts" / "install-quadlet.sh"
HOME = Path.home()
SETTINGS = HOME / ".config/ticket-backend/ticket-backend.env"
VOLUMES = ("data", "uploads", "memories")


def run(*words: str, check: bool = True, **more: object) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, **more)  # type: ignore[call-overload]
    assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout + done.stderr)


def systemctl(*words: str, check: bool = True) -> str:
    return run("systemctl", "--user", *words, check=check).strip()


def state(name: str) -> str:
    return systemctl("show", "-P", name, UNIT)


def token() -> str:
    return run(
        "podman", "secret", "inspect", "--showsecret", "--format", "{{.SecretData}}", "ticket-backend-admin-token"
    ).strip()


def api() -> Backend:
    return Backend(8000, token())


def main_pid() -> int:
    """The process of the application, as the host sees it."""
    return int(run("podman", "inspect", "--format", "{{.State.Pid}}", "ticket-backend"))


def remove_all() -> None:
    run(str(INSTALLER), "--uninstall", "--delete-data", check=False)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The service, installed by the script; what the script said."""
    remove_all()
    environment = os.environ | {"ENGINE": "podman", "PIP_CA_FILE": str(CA_BUNDLE)}
    run(str(ROOT / "backend/scripts/build.sh"), env=environment)
    said = run(str(INSTALLER))
    yield said
    remove_all()


@pytest.fixture(autouse=True)
def healthy(request: pytest.FixtureRequest) -> None:
    """Each test begins with a healthy service."""
    if "service" in request.fixturenames:
        request.getfixturevalue("service")
        systemctl("reset-failed", UNIT, check=False)
        if state("ActiveState") != "active":
            systemctl("restart", UNIT)
        wait_until(lambda: api().is_healthy(), 30, "a healthy service")


class TestUnits:
    def test_generator_takes_every_key(self, tmp_path: Path) -> None:
        generator = next(p for p in ("/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet") if Path(p).exists())
        said = run(generator, "-dryrun", "-user", "-no-kmsg-log", env=os.environ | {"QUADLET_UNIT_DIRS": str(UNITS)})
        assert not re.search(r"unsupported|warning|error", said, re.IGNORECASE), said
        for words in (
            "--cap-drop all",
            "--security-opt=no-new-privileges",
            "--read-only",
            "--sdnotify=healthy",
            "--pull never",
        ):
            assert words in said or words.replace(" ", "=") in said, words
        assert '["python","-I","-S","/app/backend/healthcheck.py"]' in said.replace("\\", "")

    def test_systemd_takes_them(self, service: str) -> None:
        names = (UNIT, "ticket-backend-backup.service", "ticket-backend-backup.timer")
        assert run("systemd-analyze", "--user", "--generators=true", "verify", *names).strip() == ""

    def test_every_line_that_decides_something_has_its_comment(self) -> None:
        for path in UNITS.glob("ticket-backend*"):
            assert path.read_text("utf-8").startswith("# "), path.name

    def test_health_check_and_readiness_go_together(self) -> None:
        text = (UNITS / "ticket-backend.container").read_text("utf-8")
        assert "Notify=healthy" in text and "HealthCmd=[" in text and "HealthOnFailure=kill" in text


class TestInstalling:
    def test_says_where_everything_is(self, service: str) -> None:
        for words in (
            "active and healthy",
            "http://127.0.0.1:8000",
            "journalctl --user -u ticket-backend",
            str(SETTINGS),
        ):
            assert words in service
        assert token() not in service and len(token()) == 64

    def test_twice_is_as_good_as_once(self, service: str) -> None:
        ticket, secret = api().ticket(), token()
        assert "active and healthy" in run(str(INSTALLER))
        assert token() == secret
        assert api().get(f"/api/tickets/{ticket['id']}").status_code == 200

    def test_edited_unit_is_never_overwritten_silently(self, service: str) -> None:
        unit = HOME / ".config/containers/systemd/ticket-backend.container"
        unit.write_text(unit.read_text() + "# mine\n")
        refused = run(str(INSTALLER), check=False)
        assert "was edited" in refused and "# mine" in unit.read_text()
        run(str(INSTALLER), "--force")
        assert "# mine" not in unit.read_text()
        assert "# mine" in unit.with_name("ticket-backend.container.yours").read_text()
        unit.with_name("ticket-backend.container.yours").unlink()

    def test_survives_its_removal_with_its_data(self, service: str) -> None:
        ticket = api().ticket()
        unit = HOME / ".config/systemd/user/ticket-backend-backup.timer"
        unit.write_text(unit.read_text() + "# mine\n")
        run(str(INSTALLER), "--uninstall")
        assert not unit.exists() and "# mine" in unit.with_name(f"{unit.name}.yours").read_text()
        unit.with_name(f"{unit.name}.yours").unlink()
        assert api().health() is None
        run(str(INSTALLER))
        assert api().get(f"/api/tickets/{ticket['id']}").status_code == 200


class TestRunning:
    def test_ticket_upload_and_journal(self, service: str) -> None:
        ticket = api().ticket(f=("a.png", b"\x89PNG\r\n\x1a\n" + b"x" * 1000, "image/png"))
        (file,) = api().get(f"/api/tickets/{ticket['id']}/attachments").json()["items"]
        assert len(api().get(file["url"]).content) == 1008
        journal = run("journalctl", "--user", "-u", UNIT, "-n", "200", "--no-pager", "-o", "cat")
        assert '"route": "/api/tickets", "status": 201' in journal
        assert token() not in journal

    def test_is_locked_down(self, service: str) -> None:
        status = run("podman", "exec", "ticket-backend", "cat", "/proc/1/status")
        assert re.search(r"CapBnd:\s+0+\n", status) and re.search(r"NoNewPrivs:\s+1\n", status)
        assert set(re.search(r"Uid:\s+(.*)\n", status)[1].split()) == {"1000"}  # type: ignore[index]
        assert token() not in run("podman", "inspect", "ticket-backend")
        assert run("podman", "exec", "ticket-backend", "stat", "-c", "%a %u", "/run/secrets/admin_token").split() == [
            "400",
            "1000",
        ]
        for volume in VOLUMES:
            assert run("podman", "exec", "ticket-backend", "stat", "-c", "%u", f"/app/{volume}").strip() == "1000"

    def test_comes_back_when_it_is_killed(self, service: str) -> None:
        before = main_pid()
        started = time.monotonic()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: api().is_healthy() and main_pid() != before, 30, "the service after SIGKILL")
        print(f"from SIGKILL to healthy: {time.monotonic() - started:.1f} s, wanted at most 5")

    def test_comes_back_when_it_hangs(self, service: str) -> None:
        time.sleep(3)  # past the start's own checks
        before = main_pid()
        started = time.monotonic()
        os.kill(before, signal.SIGSTOP)
        wait_until(
            lambda: Path(f"/proc/{before}").exists() is False and api().is_healthy(), 90, "the service after a hang"
        )
        print(f"from a hang to healthy: {time.monotonic() - started:.1f} s, wanted at most 30")

    def test_stop_is_clean(self, service: str) -> None:
        systemctl("stop", UNIT)
        assert (state("ActiveState"), state("Result")) == ("inactive", "success")


class TestTrouble:
    def test_bad_setting_ends_in_a_clear_state(self, service: str) -> None:
        good = SETTINGS.read_text()
        SETTINGS.write_text(good + "LOG_LEVEL=loud\n")
        try:
            systemctl("restart", UNIT, check=False)
            wait_until(lambda: state("ActiveState") == "failed", 60, "the failed state")
            assert state("ExecMainStatus") == "78"
            journal = run("journalctl", "--user", "-u", UNIT, "-n", "30", "--no-pager", "-o", "cat")
            assert "ticket-backend: LOG_LEVEL must be one of" in journal
        finally:
            SETTINGS.write_text(good)

    def test_crash_loop_gives_up(self, service: str) -> None:
        folder = HOME / ".config/containers/systemd/ticket-backend.container.d"
        folder.mkdir()
        (folder / "crash.conf").write_text("[Container]\nExec=python -c 'raise SystemExit(1)'\n")
        try:
            systemctl("daemon-reload")
            systemctl("restart", UNIT, check=False)
            wait_until(lambda: state("ActiveState") == "failed", 120, "the failed state")
            assert state("Result") in ("exit-code", "protocol", "start-limit-hit")
        finally:
            (folder / "crash.conf").unlink()
            folder.rmdir()
            systemctl("daemon-reload")
            systemctl("reset-failed", UNIT, check=False)

    def test_rotated_secret_is_used_after_a_restart(self, service: str) -> None:
        old, new = token(), "b" * 20 + "0123456789abcdef"
        run("podman", "secret", "create", "--replace", "ticket-backend-admin-token", "-", input=new)
        systemctl("restart", UNIT)
        assert Backend(8000, new).get("/api/tickets").status_code == 200
        assert Backend(8000, old).get("/api/tickets").status_code == 401

    def test_bad_image_is_rolled_back(self, service: str, tmp_path: Path) -> None:
        ticket = api().ticket()
        good = run("podman", "image", "inspect", "--format", "{{.Id}}", "localhost/ticket-backend:latest").strip()
        (tmp_path / "Containerfile").write_text(
            'FROM localhost/ticket-backend:latest\nCMD ["python", "-c", "raise SystemExit(1)"]\n'
        )
        run("podman", "build", "--pull=never", "-t", "localhost/ticket-backend:latest", str(tmp_path))
        told = json.loads(run("podman", "auto-update", "--format", "json", check=False).split("\n]")[0] + "\n]")
        assert [unit["Updated"] for unit in told if unit["Unit"] == UNIT] == ["rolled back"]
        assert (
            run("podman", "image", "inspect", "--format", "{{.Id}}", "localhost/ticket-backend:latest").strip() == good
        )
        wait_until(lambda: api().is_healthy(), 30, "the good image")
        assert api().get(f"/api/tickets/{ticket['id']}").status_code == 200


def test_nightly_backup_can_be_restored(service: str, tmp_path: Path) -> None:
    ticket = api().ticket(f=("a.txt", b"hello", "text/plain"))
    folder = HOME / "ticket-backend-backups"
    before = set(folder.glob("*.tar"))
    systemctl("start", "ticket-backend-backup.service")
    (made,) = set(folder.glob("*.tar")) - before
    assert made.stat().st_mode & 0o077 == 0 or folder.stat().st_mode & 0o077 == 0
    systemctl("stop", UNIT)
    run("podman", "volume", "rm", *(f"ticket-backend-{volume}" for volume in VOLUMES))
    mounts = [f"--volume=ticket-backend-{volume}:/app/{volume}" for volume in VOLUMES]
    with made.open("rb") as archive:
        run(
            "podman",
            "run",
            "--rm",
            "-i",
            *mounts,
            "localhost/ticket-backend:latest",
            "python",
            "-m",
            "backend",
            "restore",
            "-",
            stdin=archive,
        )
    systemctl("start", UNIT)
    assert api().get(f"/api/tickets/{ticket['id']}").json()["id"] == ticket["id"]
    (file,) = api().get(f"/api/tickets/{ticket['id']}/attachments").json()["items"]
    assert api().get(file["url"]).content == b"hello"
    made.unlink()
    assert "ticket-backend-backup.timer" in systemctl("list-timers", "--all")
