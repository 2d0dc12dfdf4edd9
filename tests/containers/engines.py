"""The container engines of this machine, and what the tests do with them: what both have in common."""

import atexit
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[2]
BASE = os.environ.get("PYTHON_IMAGE", "docker.io/library/python:3.11-slim")
CA_BUNDLE = Path(os.environ.get("PIP_CA_FILE", "/etc/ssl/certs/ca-certificates.crt"))
RUN = f"tb-test-{uuid.uuid4().hex[:8]}"  # in every name that this run makes
TOKEN = "the-admin-token-of-the-container-tests"
BUILD_SECRET = "planted-in-the-bundle-that-builds-are-given"
SECONDS_TO_HEALTH = 60


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def marked_bundle() -> Path:
    """The CA bundle, with a line in it that must not be found in any image."""
    path = Path(tempfile.mkdtemp(prefix="tb-test-bundle-")) / "bundle.pem"
    path.write_text(f"{CA_BUNDLE.read_text()}\n# {BUILD_SECRET}\n")
    atexit.register(shutil.rmtree, path.parent)
    return path


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `condition` gives once it is true; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:g} s for {what}")


class Backend:
    """A running backend on a port of this machine."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.headers["authorization"] = f"Bearer {token}"

    def health(self) -> dict[str, Any] | None:
        """/health if it answers at all."""
        with suppress(requests.RequestException):
            answer = requests.get(f"{self.url}/health", timeout=3)
            return answer.json() if answer.headers.get("content-type") == "application/json" else None
        return None

    def is_healthy(self) -> bool:
        """Whether /health says ok."""
        health = self.health()
        return health is not None and health["status"] == "ok"

    def ticket(self, **files: tuple[str, bytes, str]) -> dict[str, Any]:
        """File a ticket, with files if there are any."""
        fields = {"title": "Printer", "description": "Blank pages", "severity": "low", "category": "Hardware"}
        answer = self.session.post(
            f"{self.url}/api/tickets", data=fields, files=files or {"tags": (None, "test")}, timeout=30
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def slow_upload(self, sent: threading.Event) -> requests.Response:
        """File a ticket with a megabyte that takes four seconds; `sent` is set when it is on its way."""

        def body() -> Iterator[bytes]:
            for name in ("title", "description", "category"):
                yield f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nPrinter\r\n'.encode()
            yield b'--b\r\nContent-Disposition: form-data; name="severity"\r\n\r\nlow\r\n'
            yield b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'
            for _ in range(20):
                yield b"x" * 50_000
                sent.set()
                time.sleep(0.2)
            yield b"\r\n--b--\r\n"

        headers = {"content-type": "multipart/form-data; boundary=b"}
        return self.session.post(f"{self.url}/api/tickets", data=body(), headers=headers, timeout=30)

    def get(self, path: str) -> requests.Response:
        """GET, with the token."""
        return self.session.get(f"{self.url}{path}", timeout=30)


@dataclass
class Engine:
    """Podman or Docker, by its client."""

    name: str

    def run(self, *words: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """One command of the client; its output is in the error if it fails."""
        done = subprocess.run([self.name, *words], capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{self.name} {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done

    @cached_property
    def version(self) -> str:
        """The engine's version, not the client's."""
        form = "{{.Client.Version}}" if self.name == "podman" else "{{.Server.Version}}"
        return self.run("version", "--format", form).stdout.strip()

    def why_not(self) -> str | None:
        """Why it runs no container here; None if it does."""
        if shutil.which(self.name) is None:
            return "not installed"
        if self.name == "podman" and os.geteuid() == 0:
            return "rootless Podman needs an ordinary user, and this is root"
        try:
            done = self.run(
                "run", "--rm", "--network=none", BASE, "python3", "-c", "print(6 * 7)", check=False, timeout=180
            )
        except subprocess.TimeoutExpired:
            return "did not run a container within 180 s"
        if done.returncode == 0 and done.stdout.strip() == "42":
            return None
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1]

    def build(self, context: Path, tag: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Build the Containerfile of `context`, with the CA bundle as its build secret."""
        secret = [f"--secret=id=pip_ca,src={marked_bundle()}"] if CA_BUNDLE.exists() else []
        pull = ["--pull=never"] if self.name == "podman" else []
        file = str(context / "Containerfile")
        return self.run("build", *pull, *secret, "-f", file, "-t", tag, *words, str(context), check=check)

    def image(self, tag: str) -> dict[str, Any]:
        """What `inspect` says of an image."""
        return dict(json.loads(self.run("image", "inspect", tag).stdout)[0])

    def layers(self, tag: str) -> list[str]:
        """The digests of an image's layers."""
        return list(self.image(tag)["RootFS"]["Layers"])

    def size(self, tag: str) -> int:
        """Bytes of an image, unpacked."""
        return int(self.image(tag)["Size"])

    @contextmanager
    def container(self, image: str, *words: str, command: tuple[str, ...] = ()) -> Iterator["Container"]:
        """A container that runs until the end of the block."""
        name = f"{RUN}-{uuid.uuid4().hex[:8]}"
        identity = self.run("run", "-d", "--name", name, *words, image, *command).stdout.strip().splitlines()[-1]
        container = Container(self, identity)
        try:
            yield container
        finally:
            self.run("kill", "-s", "KILL", name, check=False)  # `rm -f` alone waits 10 s for some
            self.run("rm", "-f", "-v", name, check=False)

    @contextmanager
    def backend(self, image: str, *words: str, port: int | None = None, **variables: str) -> Iterator["Running"]:
        """The backend in a container, healthy, on a port of this machine."""
        port = port or free_port()
        inside = variables.get("API_PORT", "8000")
        given = {"ADMIN_TOKEN": TOKEN} | variables
        environment = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
        with self.container(image, "-p", f"127.0.0.1:{port}:{inside}", *environment, *words) as container:
            running = Running(container, Backend(port, given["ADMIN_TOKEN"]))
            container.wait_healthy(running.api)
            yield running

    @contextmanager
    def volume(self) -> Iterator[str]:
        """A named volume."""
        name = f"{RUN}-{uuid.uuid4().hex[:8]}"
        self.run("volume", "create", name)
        try:
            yield name
        finally:
            self.run("volume", "rm", "-f", name, check=False)


@dataclass
class Container:
    """One container of a test."""

    engine: Engine
    id: str

    def exec(self, *words: str, check: bool = True, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return self.engine.run("exec", *(["--user", user] if user else []), self.id, *words, check=check)

    def python(self, code: str) -> str:
        """What a piece of Python prints in it."""
        return self.exec("python", "-c", code).stdout.strip()

    def logs(self) -> str:
        """Everything it wrote."""
        done = self.engine.run("logs", self.id)
        return done.stdout + done.stderr

    def inspect(self) -> dict[str, Any]:
        """What `inspect` says of it."""
        return dict(json.loads(self.engine.run("inspect", self.id).stdout)[0])

    def state(self) -> dict[str, Any]:
        """Running, exit code and so on."""
        return dict(self.inspect()["State"])

    def wait_healthy(self, api: Backend) -> None:
        """Until /health says ok; its log is in the error."""
        try:
            wait_until(lambda: api.is_healthy() or self.has_ended(), SECONDS_TO_HEALTH, "a healthy backend")
            assert api.is_healthy(), "it has ended"
        except AssertionError as problem:
            raise AssertionError(f"{problem}; {api.health()}\n{self.logs()}") from None

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return not self.state()["Running"]

    def wait_exit(self, seconds: float = 30) -> int:
        """Its exit code, once it has ended."""
        wait_until(self.has_ended, seconds, "the container to end")
        return int(self.state()["ExitCode"])


@dataclass
class Running:
    """A backend in a container."""

    container: Container
    api: Backend


def compose_tools(engine: str) -> list[list[str]]:
    """The commands that read compose files for this engine, each that is installed here."""
    if engine == "docker":
        return [["docker", "compose"]]
    found = [["podman-compose"]] if shutil.which("podman-compose") else []
    newer = "/opt/podman-compose-1.6/bin/podman-compose"  # the lab has a second one
    return [*found, *([[newer]] if Path(newer).exists() else [])]


def checkout(folder: Path) -> Path:
    """A copy of what is in the repository, for a test to change."""
    skipped = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".env", "data", "uploads", "memories")
    shutil.copytree(ROOT, folder, ignore=lambda path, names: skipped(path, names) if Path(path) == ROOT else ())
    return folder
