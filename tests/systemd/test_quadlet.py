"""The units and their installation: taken by every tool that reads them, installed, run, and removed."""

import os
import re
import socket
from pathlib import Path

import pytest
import requests

from tests.containers.engines import Backend
from tests.systemd.service import (
    HOME,
    INSTALLER,
    QUADLETS,
    SETTINGS,
    UNIT,
    UNITS,
    VOLUMES,
    api,
    drop_in,
    journal,
    run,
    state,
    systemctl,
    token,
)


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
        waits = re.findall(r"^(?:Wants|After|Requires)=.*network-online.*$", said, re.MULTILINE)
        assert waits == [], "where nothing starts that target, it would be waited for 90 s"
        for check in ('healthcheck.py"]', 'healthcheck.py","live"]'):
            assert f'["python","-I","-S","/app/backend/{check}' in said.replace("\\", "")

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
        assert "removed the service" in run(str(INSTALLER), "--uninstall"), "twice is as good as once"
        run(str(INSTALLER))
        assert api().get(f"/api/tickets/{ticket['id']}").status_code == 200

    def test_says_the_port_that_a_drop_in_has_changed(self, service: str) -> None:
        with drop_in("[Container]\nPublishPort=\nPublishPort=127.0.0.1:9000:8000\n"):
            assert "active and healthy: http://127.0.0.1:9000\n" in run(str(INSTALLER))
            assert api(9000).is_healthy() and api().health() is None
            left = run(str(INSTALLER), "--uninstall")
            folder = QUADLETS / "ticket-backend.container.d"
            assert f"your drop-ins stay: {folder}" in left and list(folder.iterdir())
        assert "http://127.0.0.1:8000\n" in run(str(INSTALLER))

    def test_second_instance_has_everything_of_its_own(self, service: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        first = api().ticket()
        try:
            said = run(str(INSTALLER), "--instance", "two", "--port", port)
            assert f"active and healthy: http://127.0.0.1:{port}\n" in said and "ticket-backend-two-data" in said
            assert f"http://127.0.0.1:{port}\n" in run(str(INSTALLER), "--instance", "two"), "the port is kept"
            form = ("--showsecret", "--format", "{{.SecretData}}", "ticket-backend-two-admin-token")
            second = Backend(int(port), run("podman", "secret", "inspect", *form).strip())
            assert second.get("/api/tickets").json()["items"] == []
            assert second.session.headers["authorization"] != api().session.headers["authorization"]
        finally:
            run(str(INSTALLER), "--uninstall", "--delete-data", "--instance", "two")
        assert api().get(f"/api/tickets/{first['id']}").status_code == 200
        assert (QUADLETS / "ticket-backend.container").read_bytes() == (UNITS / "ticket-backend.container").read_bytes()

    @pytest.mark.parametrize("words", [("--instance", "backup"), ("--instance", "A b"), ("--port", "0")])
    def test_instance_and_port_that_are_none_are_refused(self, service: str, words: tuple[str, str]) -> None:
        assert words[0] in run(str(INSTALLER), *words, check=False).strip().splitlines()[-1]

    def test_port_that_leads_nowhere_is_told(self, service: str) -> None:
        with drop_in("[Container]\nPublishPort=\nPublishPort=127.0.0.1:8000:8001\n"):
            said = run(str(INSTALLER), check=False).strip().splitlines()[-1]
        assert "nothing answers on http://127.0.0.1:8000" in said and "PublishPort=" in said
        systemctl("restart", UNIT)

    def test_port_that_is_taken_is_told(self, service: str) -> None:
        systemctl("stop", UNIT)
        with socket.create_server(("127.0.0.1", 8000)):
            said = run(str(INSTALLER), check=False).strip().splitlines()[-1]
            systemctl("stop", UNIT)
        assert "did not get healthy" in said and "8000" in said


class TestRunning:
    def test_ticket_upload_and_journal(self, service: str) -> None:
        ticket = api().ticket(f=("a.png", b"\x89PNG\r\n\x1a\n" + b"x" * 1000, "image/png"))
        (file,) = api().get(f"/api/tickets/{ticket['id']}/attachments").json()["items"]
        assert len(api().get(file["url"]).content) == 1008
        assert '"route": "/api/tickets", "status": 201' in journal()

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

    def test_has_the_descriptors_and_the_addresses_it_promises(self, service: str) -> None:
        limits = run("podman", "exec", "ticket-backend", "cat", "/proc/1/limits")
        assert re.search(r"Max open files\s+8192\s+8192", limits)
        with drop_in("[Container]\nPublishPort=\nPublishPort=8000:8000\n"):
            systemctl("restart", UNIT)
            for host in ("127.0.0.1", "[::1]", "localhost"):
                assert requests.get(f"http://{host}:8000/health", timeout=10).json()["status"] == "ok", host
        systemctl("restart", UNIT)

    def test_volumes_can_be_spared_by_a_prune(self, service: str) -> None:
        kept = run("podman", "volume", "ls", "-q", "--filter", "label=ticket-backend.keep=yes").split()
        assert set(kept) == {f"ticket-backend-{name}" for name in VOLUMES}
        systemctl("stop", UNIT)
        run("podman", "volume", "prune", "--force", "--filter", "label!=ticket-backend.keep")
        assert set(kept) <= set(run("podman", "volume", "ls", "-q").split())

    def test_stop_is_clean(self, service: str) -> None:
        systemctl("stop", UNIT)
        assert (state("ActiveState"), state("Result")) == ("inactive", "success")
