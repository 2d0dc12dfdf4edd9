"""The service as its user handles it, and what the tests change about it for a while."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.containers.engines import CA_BUNDLE, ROOT, Backend, wait_until

UNITS = ROOT / "systemd"
UNIT = "ticket-backend.service"
IMAGE = "localhost/ticket-backend:latest"
INSTALLER = ROOT / "backend" / "scripts" / "install-quadlet.sh"
HOME = Path.home()
QUADLETS = HOME / ".config/containers/systemd"
SETTINGS = HOME / ".config/ticket-backend/ticket-backend.env"
BACKUPS = HOME / "ticket-backend-backups"
VOLUMES = ("data", "uploads", "memories")


def run(*words: str, check: bool = True, **more: object) -> str:
    """A command; both its outputs."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, **more)  # type: ignore[call-overload]
    assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout + done.stderr)


def systemctl(*words: str, check: bool = True) -> str:
    return run("systemctl", "--user", *words, check=check).strip()


def state(name: str) -> str:
    """A property of the service."""
    return systemctl("show", "-P", name, UNIT)


def journal(lines: int = 200) -> str:
    return run("journalctl", "--user", "-u", UNIT, "-n", str(lines), "--no-pager", "-o", "cat")


def token() -> str:
    """The administrator's."""
    form = ("--format", "{{.SecretData}}", "ticket-backend-admin-token")
    return run("podman", "secret", "inspect", "--showsecret", *form).strip()


def api(port: int = 8000) -> Backend:
    return Backend(port, token())


def main_pid() -> int:
    """The process of the application, as the host sees it; 0 while there is none."""
    found = run("podman", "inspect", "--format", "{{.State.Pid}}", "ticket-backend", check=False).strip()
    return int(found) if found.isdecimal() else 0


def build() -> None:
    """The image of this checkout."""
    environment = os.environ | {"ENGINE": "podman", "PIP_CA_FILE": str(CA_BUNDLE)}
    run(str(ROOT / "backend/scripts/build.sh"), env=environment)


def remove_all() -> None:
    """Service, data, token, settings, drop-ins and backups."""
    run(str(INSTALLER), "--uninstall", "--delete-data", check=False)
    run("rm", "-rf", str(BACKUPS), *(str(path) for path in QUADLETS.glob("ticket-backend*.d")))


def image_id() -> str:
    return run("podman", "image", "inspect", "--format", "{{.Id}}", IMAGE).strip()


@contextmanager
def variant(folder: Path, *lines: str) -> Iterator[None]:
    """Another image of the same name, made from this one; the good one is back in the end."""
    good = image_id()
    (folder / "Containerfile").write_text("\n".join([f"FROM {IMAGE}", *lines, ""]))
    run("podman", "build", "--pull=never", "-t", IMAGE, str(folder))
    try:
        yield
    finally:
        run("podman", "tag", good, IMAGE)
        systemctl("reset-failed", UNIT, check=False)
        systemctl("restart", UNIT)


@contextmanager
def drop_in(text: str, unit: str = "ticket-backend.container") -> Iterator[None]:
    """A drop-in for as long as the block runs; the service is not restarted by it."""
    path = QUADLETS / f"{unit}.d" / "test.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        path.unlink()
        path.parent.rmdir()
        systemctl("daemon-reload")


def auto_update() -> str:
    """What `podman auto-update` says about the service: true, false, rolled back, failed."""
    said = run("podman", "auto-update", "--format", "{{.Unit}} {{.Updated}}", check=False)
    found = re.search(rf"^{re.escape(UNIT)} (.*)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def started_again(before: int, seconds: float = 60) -> None:
    """Wait until another process than this one is healthy."""
    wait_until(lambda: main_pid() not in (0, before) and api().is_healthy(), seconds, "the service, healthy again")


def failed(seconds: float = 60) -> tuple[str, str]:
    """Wait until it has given up: its result, and the exit status of its last try."""
    wait_until(lambda: state("ActiveState") == "failed", seconds, "the failed state")
    return state("Result"), state("ExecMainStatus")
