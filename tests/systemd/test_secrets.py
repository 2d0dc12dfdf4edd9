"""Secrets of the service, given as Podman secrets, are in none of the places where people and programs look."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.engines import Backend, wait_until
from tests.containers.secrets_search import Planted, assert_absent, members
from tests.containers.test_secrets import errors, tokens_made
from tests.systemd.service import BACKUPS, UNIT, api, drop_in, journal, run, systemctl, token


@pytest.fixture
def planted(service: str) -> Iterator[Planted]:
    """The service with planted secrets, the keys of AWS among them."""
    made, before = Planted(), token()
    names = [name for name in made.files() if name != "admin_token"]
    for name in names:
        run("podman", "secret", "create", "--replace", f"test-{name}", "-", input=made.files()[name])
    run("podman", "secret", "create", "--replace", "ticket-backend-admin-token", "-", input=made.admin_token)
    keys = "".join(f"Secret=test-{name},type=mount,target={name},uid=1000,gid=1000,mode=0400\n" for name in names)
    try:
        with drop_in(f"[Container]\n{keys}"):
            systemctl("restart", UNIT)
            yield made
    finally:
        run("podman", "secret", "create", "--replace", "ticket-backend-admin-token", "-", input=before)
        systemctl("restart", UNIT)
        run("podman", "secret", "rm", *(f"test-{name}" for name in names))


def test_planted_secrets_are_found_nowhere(planted: Planted) -> None:
    speaker = Backend(8000, planted.admin_token)
    wait_until(speaker.is_healthy, 30, "a healthy service")
    hidden = [*planted.files().values(), *tokens_made(speaker)]
    assert_absent(hidden, errors(speaker, hidden))
    systemctl("start", "ticket-backend-backup")
    inspected = run("podman", "inspect", "ticket-backend")
    places: dict[str, bytes | str] = {
        "journal": journal(2000),
        "whole journal": run("journalctl", "--user", "-n", "5000", "--no-pager", "-o", "json"),
        "inspect": inspected,
        "unit": systemctl("cat", UNIT) + systemctl("show", UNIT) + systemctl("show-environment"),
        "logs": run("podman", "logs", "ticket-backend"),
        "environment and command line": run(
            "podman", "exec", "ticket-backend", "sh", "-c", "cat /proc/*/environ /proc/*/cmdline"
        ),
        "/health": json.dumps(speaker.health()),
        "/metrics": speaker.get("/metrics").text,
    }
    assert_absent(hidden, places)
    assert '"starting"' in places["journal"] and json.loads(inspected)[0]["Config"]["Secrets"]  # type: ignore[operator]
    archive = subprocess.run(
        ["podman", "exec", "ticket-backend", "tar", "-c", "/app/data", "/app/uploads", "/app/memories"],
        capture_output=True,
    ).stdout
    assert_absent(hidden, dict(members(archive)))
    kept = {str(path): path.read_bytes() for path in BACKUPS.rglob("*") if path.is_file()}
    assert any("objects" in name for name in kept)
    assert_absent(hidden, dict(kept))
    assert api().is_healthy()
