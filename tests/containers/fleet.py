"""Three replicas in containers behind a proxy, on stand-ins for AWS that they reach through relays."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.clouds import Clouds
from tests.containers.engines import ROOT, RUN, TOKEN, Container, Engine, compose_tools, free_port, wait_until
from tests.relay import Relay
from tests.replicas import Silence, ask

FILES = Path(__file__).parent / "replicas"
START_SECONDS = 90


@dataclass
class Replica:
    """One container, and the way from it to its stores."""

    engine: Engine
    name: str
    container: Container
    table: Relay
    bucket: Relay

    def kill(self) -> None:
        """End it in the middle of everything."""
        self.engine.run("kill", "-s", "KILL", self.container.id)

    def start(self) -> None:
        """The same container again."""
        self.engine.run("start", self.container.id)

    def stop(self) -> None:
        """Let it finish what it is at."""
        self.engine.run("stop", "-t", "10", self.container.id)

    def hold(self) -> None:
        """Let it stand still."""
        self.engine.run("kill", "-s", "STOP", self.container.id)

    def go(self) -> None:
        """Let it go on."""
        self.engine.run("kill", "-s", "CONT", self.container.id)


class Fleet:
    """The proxy, and the replicas behind it."""

    def __init__(self, port: int, admin: int, replicas: list[Replica]) -> None:
        self.port = port
        self.replicas = replicas
        self._admin = admin

    def tell(self, command: str) -> str:
        """What the proxy answers to a command."""
        with socket.create_connection(("127.0.0.1", self._admin), 10) as connection:
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def stats(self, name: str) -> dict[str, str]:
        """What the proxy knows of a replica: `status`, `scur` (requests under way), and so on."""
        told = self.tell("show stat replicas -1 -1").lstrip("# ").strip()
        head, *lines = told.splitlines() or [""]  # Docker's own proxy takes connections before this one is there
        rows = [dict(zip(head.split(","), line.split(","), strict=False)) for line in lines]
        return next(row for row in rows if row["svname"] == name)

    def ready(self) -> list[str]:
        """The replicas that get requests."""
        with suppress(OSError, StopIteration):
            return [one.name for one in self.replicas if self.stats(one.name)["status"] == "UP"]
        return []

    def wait_ready(self, count: int) -> None:
        """Until so many get requests."""
        wait_until(lambda: len(self.ready()) >= count, START_SECONDS, f"{count} replicas behind the proxy")

    def is_ready(self) -> bool:
        """Whether a request gets through."""
        with suppress(Silence):
            return ask(self.port, TOKEN, "GET", "/health/ready").status == 200
        return False


def proxy_image(engine: Engine) -> str:
    """HAProxy on the base image, kept from run to run: its packages come from Debian."""
    tag = "localhost/ticket-backend-test-proxy:latest"
    engine.build(FILES, tag)
    return tag


@contextmanager
def fleet(engine: Engine, image: str, folder: Path, clouds: Clouds, given: dict[str, str]) -> Iterator[Fleet]:
    """All of it, ready; the containers are gone at the end."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "tests/aws/served.py", folder)
    (folder / "served.py").chmod(0o644)
    tool, project = compose_tools(engine.name)[0], f"{RUN}-{free_port()}"
    port, admin = free_port(), free_port()
    environment = {"IMAGE": image, "PROXY_PORT": str(port), "PROXY_ADMIN_PORT": str(admin)}

    def compose(*words: str, check: bool = True) -> None:
        command = [*tool, "-p", project, "-f", "compose.yaml", *words]
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"

    with ExitStack() as stack:
        environment["PROXY_IMAGE"] = proxy_image(engine)
        relays = {}
        for name in ("replica-1", "replica-2", "replica-3"):
            relays[name] = [stack.enter_context(Relay(at, "0.0.0.0")) for at in (clouds.dynamodb, clouds.s3)]
            _write_settings(folder / f"{name}.env", relays[name], given)
        stack.callback(compose, "down", "-v", check=False)
        compose("up", "-d")
        replicas = [Replica(engine, name, _container(engine, project, name), *relays[name]) for name in relays]
        made = Fleet(port, admin, replicas)
        try:
            made.wait_ready(3)
            yield made
        except BaseException:
            proxy = _container(engine, project, "proxy")
            for name, container in [("proxy", proxy), *((one.name, one.container) for one in replicas)]:
                print(f"---- {name}\n{container.logs()[-4000:]}")
            raise


def _write_settings(path: Path, relays: list[Relay], given: dict[str, str]) -> None:
    table, bucket = (f"http://stores:{relay.port}" for relay in relays)
    settings = {name: value for name, value in given.items() if not name.endswith("_DIR")} | {
        "ENVIRONMENT": "production",
        "ADMIN_TOKEN": TOKEN,
        "RATE_LIMIT_PER_MINUTE": "0",
        "RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
        "AWS_ENDPOINT_URL_DYNAMODB": table,
        "AWS_ENDPOINT_URL_S3": bucket,
        "AWS_ENDPOINT_URL_SQS": bucket,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def _container(engine: Engine, project: str, service: str) -> Container:
    labels = {"project": project, "service": service}
    filters = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items()]
    found = engine.run("ps", "-aq", "--no-trunc", *filters).stdout.split()
    assert len(found) == 1, found
    return Container(engine, found[0])
