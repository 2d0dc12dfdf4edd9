"""The quadlet under a real systemd user session with a real Podman: in the lab, or wherever there is one."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.engines import wait_until
from tests.systemd.service import INSTALLER, UNIT, api, build, remove_all, run, state, systemctl


def why_not() -> str | None:
    """Why no quadlet runs here; None if one does."""
    if os.geteuid() == 0:
        return "a rootless service needs an ordinary user, and this is root"
    if shutil.which("podman") is None or shutil.which("systemctl") is None:
        return "no Podman with systemd"
    found = re.search(r"(\d+)\.", subprocess.run(["podman", "--version"], capture_output=True, text=True).stdout)
    if not found or int(found[1]) < 5:
        return "Podman is older than 5.0"
    session = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True)
    return None if session.returncode == 0 else "no systemd session of this user"


@pytest.fixture(scope="session", autouse=True)
def systemd(request: pytest.FixtureRequest) -> None:
    """A reason to skip, or to fail where this must run."""
    reason = why_not()
    if reason:
        (pytest.fail if request.config.getoption("--require-systemd") else pytest.skip)(reason)


@pytest.fixture(scope="module")
def service(systemd: None) -> Iterator[str]:
    """The service, installed by the script; what the script said."""
    remove_all()
    build()
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
