"""build.sh, run-dev.sh and run-prod.sh as people call them: on each engine, without one, and when something is in the way."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.engines import BASE, CA_BUNDLE, RUN, Backend, Engine, checkout, free_port
from tests.containers.test_compose import open_to_others


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of its own."""
    open_to_others(tmp_path)
    return checkout(tmp_path / "tree")


def run(tree: Path, script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of the scripts, its output in one text; by name of the shell where it is not executable."""
    path = tree / "backend/scripts" / script
    bash = [] if os.access(path, os.X_OK) else ["bash"]
    return subprocess.run(
        [*bash, str(path), *words],
        cwd=tree, env=os.environ | {"PIP_CA_FILE": str(CA_BUNDLE)} | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=600,
    )  # fmt: skip


def own_project(engine: Engine) -> dict[str, str]:
    return {"ENGINE": engine.name, "API_PORT": str(free_port()), "COMPOSE_PROJECT_NAME": f"{RUN}-{free_port()}"}


@contextmanager
def started(tree: Path, script: str, environment: dict[str, str], *words: str) -> Iterator[str]:
    done = run(tree, script, *words, **environment)
    try:
        assert done.returncode == 0, done.stdout
        yield done.stdout
    finally:
        run(tree, script, "--stop", **environment)


def test_development(engine: Engine, tree: Path) -> None:
    environment = own_project(engine)
    with started(tree, "run-dev.sh", environment) as said:
        url = f"http://127.0.0.1:{environment['API_PORT']}"
        assert f"Ticket Backend is healthy: {url}" in said
        token = re.search(r"Bearer (\S+)\"", said)
        assert token
        Backend(int(environment["API_PORT"]), token[1]).ticket()
    assert Backend(int(environment["API_PORT"])).health() is None, "--stop has stopped it"


def test_zip_without_executable_bits_builds_on_the_pinned_base_and_answers_on_ipv6(engine: Engine, tree: Path) -> None:
    for script in (tree / "backend/scripts").iterdir():
        script.chmod(0o644)
    pin = tree / "backend/scripts/base-image.txt"
    pin.write_text("latest\n")
    environment = own_project(engine) | {"TICKET_BIND": "::1"}
    refused = run(tree, "build.sh", **environment)
    assert refused.returncode == 1 and "must hold one line" in refused.stdout.splitlines()[-1]
    digests = engine.image(BASE)["RepoDigests"]  # of a base that was pulled, or that Podman imported
    pin.write_text(f"{BASE}@{digests[0].partition('@')[2] if digests else 'sha256:' + '0' * 64}\n")
    built = run(tree, "build.sh", **environment)
    if not digests:
        assert built.returncode == 1 and f"the base image {BASE}@sha256:0000" in built.stdout
        pin.unlink()
    with started(tree, "run-prod.sh", environment) as said:
        assert f"is healthy: http://[::1]:{environment['API_PORT']}" in said
    if digests:
        assert built.returncode == 0, built.stdout
        base = engine.image("localhost/ticket-backend:latest")["Config"]["Labels"]["org.opencontainers.image.base.name"]
        assert base == pin.read_text().strip()


def test_production_makes_its_secret_once(engine: Engine, tree: Path) -> None:
    environment = own_project(engine)
    secret = tree / "secrets/admin_token"
    with started(tree, "run-prod.sh", environment) as said:
        assert "is healthy" in said
        token = secret.read_text().strip()
        assert len(token) == 64 and token not in said
        assert (secret.stat().st_mode & 0o777, secret.parent.stat().st_mode & 0o777) == (0o444, 0o700)
        ticket = Backend(int(environment["API_PORT"]), token).ticket()
    with started(tree, "run-prod.sh", environment, "--no-build"):
        assert secret.read_text().strip() == token
        assert Backend(int(environment["API_PORT"]), token).get(f"/api/tickets/{ticket['id']}").status_code == 200
        changes_take_and_nothing_else_restarts(engine, tree, environment)
    subprocess.run(
        [
            engine.name,
            "volume",
            "rm",
            "-f",
            *(f"{environment['COMPOSE_PROJECT_NAME']}_{v}" for v in ("data", "uploads", "memories")),
        ],
        capture_output=True,
    )


def changes_take_and_nothing_else_restarts(engine: Engine, tree: Path, environment: dict[str, str]) -> None:
    """Started again as it is; with another token and setting; from a second checkout; with a setting that is wrong."""
    label = f"--filter=label=com.docker.compose.project={environment['COMPOSE_PROJECT_NAME']}"

    def again(folder: Path = tree) -> tuple[int, str, str]:
        done = run(folder, "run-prod.sh", "--no-build", **environment)
        return done.returncode, done.stdout, engine.run("ps", "-q", label).stdout.strip()

    before = again()[2]
    assert again()[2] == before
    secret = tree / "secrets/admin_token"
    old, new = secret.read_text().strip(), "c9" * 10 + "fedcba9876543210"
    secret.unlink()
    secret.write_text(new)
    secret.chmod(0o444)
    (tree / "compose.override.yaml").write_text("services: {backend: {environment: {LOG_LEVEL: warning}}}\n")
    code, said, after = again()
    assert code == 0 and after != before, said
    port = int(environment["API_PORT"])
    assert [Backend(port, token).get("/api/tickets").status_code for token in (old, new)] == [401, 200]
    assert "LOG_LEVEL=warning" in engine.run("inspect", after).stdout
    code, said, _ = again(checkout(tree.parent / "second"))
    assert code == 1 and f"is that of {tree}" in said.strip().splitlines()[-1]
    (tree / "compose.override.yaml").unlink()
    (tree / ".env").write_text("LOG_LEVEL=loud\n")
    code, said, _ = again()
    assert (code, said.strip().splitlines()[-1][:38]) == (78, "run-prod.sh: ticket-backend: LOG_LEVEL"), said
    (tree / ".env").unlink()


@pytest.mark.parametrize("script", ["run-dev.sh", "run-prod.sh"])
def test_port_that_is_taken_is_one_line(engine: Engine, tree: Path, script: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(tree, script, **own_project(engine) | {"API_PORT": port})
    assert done.returncode != 0
    last = done.stdout.strip().splitlines()[-1]
    assert port in last and "API_PORT" in last


def test_build_with_a_base_that_is_not_there_is_one_line(engine: Engine, tree: Path) -> None:
    done = run(tree, "build.sh", ENGINE=engine.name, PYTHON_IMAGE="localhost/none/such:0")
    assert done.returncode != 0
    assert "localhost/none/such:0" in done.stdout.strip().splitlines()[-1]


def fake(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


OLD = {
    "podman": ("podman", 'echo "podman version 3.4.4"'),
    "docker": ("docker", 'case "$1" in version) echo 20.10.24 ;; *) exit 1 ;; esac'),
}


@pytest.mark.parametrize("name", list(OLD))
def test_version_that_is_too_low_is_refused_in_one_line(tree: Path, tmp_path: Path, name: str) -> None:
    fake(tmp_path / "bin", *OLD[name])
    done = run(tree, "build.sh", ENGINE=name, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert re.search(r"version (3\.4\.4|20\.10\.24), needs (4\.3|23) or newer", done.stdout.strip().splitlines()[-1])


def test_client_without_a_daemon_is_named_and_passed_over(tree: Path, tmp_path: Path) -> None:
    fake(tmp_path / "bin", "docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    done = run(tree, "build.sh", ENGINE="docker", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert "daemon does not answer" in done.stdout.strip().splitlines()[-1]


def test_engine_that_is_none_is_refused(tree: Path) -> None:
    done = run(tree, "build.sh", ENGINE="lxc")
    assert (done.returncode != 0, "ENGINE must be podman or docker" in done.stdout) == (True, True)


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "80 80"])
def test_port_that_is_none_is_refused(tree: Path, port: str) -> None:
    done = run(tree, "run-dev.sh", API_PORT=port)
    assert (done.returncode != 0, "API_PORT must be a whole number" in done.stdout) == (True, True)


def test_without_an_engine_it_runs_from_a_virtual_environment(tree: Path, tmp_path: Path) -> None:
    for name in ("podman", "docker"):
        fake(tmp_path / "bin", name, "exit 1")
    port = free_port()
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    for name in ("ENGINE", "API_PORT", "ADMIN_TOKEN"):
        environment.pop(name, None)
    (tree / ".env").write_text(
        f"API_PORT={port}\nADMIN_TOKEN='own$token#of-mine'\nDATA_DIR=state/data\nREOPEN_DAYS=7\n"
    )
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(tree / "backend/scripts/run-dev.sh")], cwd=tree, env=environment, stdout=output, stderr=output
        )
    try:
        deadline = 240
        while deadline and "is healthy" not in log.read_text() and process.poll() is None:
            subprocess.run(["sleep", "1"], check=True)
            deadline -= 1
        said = log.read_text()
        assert "virtual environment" in said and "is healthy" in said, said
        assert "<your ADMIN_TOKEN>" in said and "REOPEN_DAYS=7" in said and (tree / "state/data/tickets.db").exists()
        Backend(port, "own$token#of-mine").ticket()
    finally:
        process.terminate()
        process.wait(20)
    shutil.rmtree(tree / ".venv", ignore_errors=True)
