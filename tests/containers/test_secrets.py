"""Secrets are planted and then looked for: in image, inspect, logs, health, metrics, errors, database and backups."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.containers.engines import BUILD_SECRET, RUN, Backend, Engine, Running, checkout, free_port
from tests.containers.secrets_search import Planted, assert_absent, members

STATE = ("data", "uploads", "memories")


def tokens_made(api: Backend) -> list[str]:
    """Secrets of tokens that the API has made, one of them with an Idempotency-Key, whose answer is kept to be replayed."""
    body = {"name": "printer", "role": "agent"}
    made = api.session.post(f"{api.url}/api/tokens", json=body)
    headers = {"Idempotency-Key": "once-and-only-once"}
    first, again = (api.session.post(f"{api.url}/api/tokens", json=body, headers=headers) for _ in range(2))
    assert made.status_code == first.status_code == again.status_code == 201
    assert first.json()["token"] == again.json()["token"], "the answer was kept, and replayed"
    return [made.json()["token"], first.json()["token"]]


def errors(api: Backend, hidden: list[str]) -> dict[str, bytes | str]:
    """What is answered to requests that are wrong and have secrets in them where they belong."""
    wrong = Backend(int(api.url.rpartition(":")[2]), f"{hidden[0]}x")
    found: dict[str, bytes | str] = {}
    for method, path, body in (
        ("GET", "/api/tickets", None),
        ("GET", "/api/tickets/none", None),
        ("POST", "/api/tickets", {"title": 1}),
        ("POST", "/api/tokens", {"name": "", "role": "king"}),
        ("PUT", "/api/nothing", None),
    ):
        for who, speaker in (("admin", api), ("wrong", wrong)):
            answer = speaker.session.request(method, f"{api.url}{path}", json=body)
            assert answer.status_code >= 400 or method == "GET"
            found[f"{method} {path} by {who}"] = answer.text + json.dumps(dict(answer.headers))
    return found


def everywhere(engine: Engine, running: Running) -> dict[str, bytes | str]:
    """What anybody gets to see of a running container."""
    return {
        "logs": running.container.logs(),
        "inspect of the container": json.dumps(running.container.inspect()),
        "its environment": running.container.exec("cat", "/proc/1/environ").stdout,
        "its command line": running.container.exec("sh", "-c", "cat /proc/*/cmdline").stdout,
        "/health": json.dumps(running.api.health()),
        "/metrics": running.api.get("/metrics").text,
        "/docs": running.api.get("/docs").text + running.api.get("/openapi.json").text,
    }


def state_of(engine: Engine, running: Running) -> dict[str, bytes | str]:
    """Every file of the state, as it lies there while it is being written to."""
    done = subprocess.run(
        [engine.name, "exec", running.container.id, "tar", "-c", *(f"/app/{name}" for name in STATE)],
        capture_output=True,
    )
    found = members(done.stdout)
    assert any("tickets.db" in name for name in found)
    return dict(found)


def backup_of(engine: Engine, running: Running) -> dict[str, bytes | str]:
    done = subprocess.run(
        [engine.name, "exec", running.container.id, "python", "-m", "backend", "backup", "-"], capture_output=True
    )
    return dict(members(done.stdout))


@pytest.fixture
def secret_files(tmp_path: Path) -> tuple[Planted, Path]:
    """Secrets as files, readable by the container's user, in a folder that only its owner may enter."""
    planted = Planted()
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in planted.files().items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o444)
    for parent in (folder, *folder.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    return planted, folder


def test_planted_secrets_are_found_nowhere(engine: Engine, image: str, secret_files: tuple[Planted, Path]) -> None:
    planted, folder = secret_files
    words = [f"--volume={folder}:/run/secrets:ro", "-e", "ENVIRONMENT=production", "-e", "LOG_LEVEL=debug"]
    port = free_port()
    with engine.container(image, f"--publish=127.0.0.1:{port}:8000", *words) as container:
        running = Running(container, Backend(port, planted.admin_token))
        container.wait_healthy(running.api)
        hidden = [*planted.files().values(), *tokens_made(running.api)]
        running.api.ticket(f=("a.txt", b"hello", "text/plain"))
        assert_absent(hidden, errors(running.api, hidden))
        assert_absent(hidden, everywhere(engine, running))
        assert_absent(hidden, state_of(engine, running))
        assert_absent(hidden, backup_of(engine, running))
        started = [line for line in container.logs().splitlines() if '"starting"' in line]
        assert all(json.loads(started[0])[name.upper()] == "set" for name in planted.files())


def test_search_finds_what_is_there(engine: Engine, image: str) -> None:
    """The search itself can fail: a secret given in the environment is in `inspect`, as the guide warns."""
    shown = "planted-where-it-shows-0123456789"
    with engine.backend(image, ADMIN_TOKEN=shown) as running, pytest.raises(AssertionError, match="is in inspect"):
        assert_absent([shown], everywhere(engine, running))


def test_image_keeps_nothing_of_what_lay_around_when_it_was_built(engine: Engine, tmp_path: Path) -> None:
    tree, hidden = checkout(tmp_path / "tree"), list(Planted().files().values())
    (tree / ".env").write_text(f"ADMIN_TOKEN={hidden[0]}\n")
    (tree / "secrets").mkdir()
    (tree / "secrets" / "admin_token").write_text(hidden[1])
    (tree / "backend" / ".env").write_text(f"AWS_SECRET_ACCESS_KEY={hidden[2]}\n")
    tag, archive = f"localhost/{RUN}:planted", tmp_path / "image.tar"
    engine.build(tree, tag)
    try:
        engine.run("save", "-o", str(archive), tag)
        held = members(archive.read_bytes())
        assert any("app/backend/settings.py" in name for name in held), "the layers were really looked through"
        told = engine.run("history", "--no-trunc", tag).stdout + engine.run("image", "inspect", tag).stdout
        assert_absent([*hidden, BUILD_SECRET], {"history and inspect": told, **held})
    finally:
        engine.run("rmi", "-f", tag, check=False)
