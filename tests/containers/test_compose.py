"""Both compose files, with every compose tool there is: up, ticket, upload, logs, restart with the data kept, down."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.containers.conftest import ENGINES, usable
from tests.containers.engines import (
    CA_BUNDLE,
    ROOT,
    RUN,
    TOKEN,
    Backend,
    Container,
    Engine,
    checkout,
    compose_tools,
    free_port,
    wait_until,
)

DEVELOPMENT, PRODUCTION = "compose.yaml", "compose.prod.yaml"
TOOLS = [(engine, tool) for engine in ENGINES for tool in (compose_tools(engine) or [["none"]])]


def no_controllers() -> dict[str, str]:
    """The limits switched off where this user's cgroup has no controllers, as `run-prod.sh` does."""
    own = Path("/proc/self/cgroup").read_text().rpartition(":")[2].strip()
    there = Path(f"/sys/fs/cgroup{own}/cgroup.controllers")
    found = there.read_text().split() if there.exists() else []
    names = {"memory": "TICKET_MEMORY", "cpu": "TICKET_CPUS", "pids": "TICKET_PIDS"}
    return {variable: "0" for controller, variable in names.items() if controller not in found}


@dataclass
class Project:
    """A compose project of its own, in a copy of the repository."""

    engine: Engine
    tool: list[str]
    folder: Path
    file: str
    name: str
    port: int
    environment: dict[str, str]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command of the compose tool."""
        command = [*self.tool, "-p", self.name, "-f", self.file, *words]
        environment = os.environ | self.environment
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def container(self) -> Container:
        """The service's container, by its labels: names differ between the tools."""
        labels = {"project": self.name, "service": "backend"}
        filters = [f"--filter=label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        found = self.engine.run("ps", "-aq", "--no-trunc", *filters).stdout.split()
        assert len(found) == 1, found
        return Container(self.engine, found[0])

    def up(self) -> Backend:
        """Start it and wait until it is healthy."""
        self.run("up", "-d")
        api = Backend(self.port)
        self.container().wait_healthy(api)
        return api


@contextmanager
def project(engine: Engine, tool: list[str], folder: Path, file: str, **variables: str) -> Iterator[Project]:
    port = free_port()
    environment = {"API_PORT": str(port), "PIP_CA_FILE": str(CA_BUNDLE), **variables}
    made = Project(engine, tool, checkout(folder), file, f"{RUN}-{port}", port, environment)
    try:
        yield made
    finally:
        made.run("down", "-v", "--remove-orphans", check=False)


@pytest.fixture(
    params=TOOLS, ids=lambda pair: f"{pair[0]}-{Path(pair[1][0]).parts[2] if '/' in pair[1][0] else pair[1][0]}"
)
def tool(request: pytest.FixtureRequest) -> tuple[Engine, list[str]]:
    """An engine and a compose tool for it."""
    name, words = request.param
    engine = (
        usable(name, request.config) if name in _wanted(request.config) else pytest.skip("another engine is asked for")
    )
    if words == ["none"]:
        required = request.config.getoption("--require-engines").split(",")
        (pytest.fail if name in required else pytest.skip)(f"{name} has no compose tool here")
    return engine, words


def _wanted(config: pytest.Config) -> list[str]:
    only = config.getoption("--engine")
    return [only] if only else list(ENGINES)


def secret_file(folder: Path, secret: str = TOKEN) -> Path:
    """A secret as the guide says: readable by all, in a folder that only its owner may enter."""
    (folder / "secrets").mkdir(mode=0o700)
    path = folder / "secrets" / "admin_token"
    path.write_text(secret)
    path.chmod(0o444)
    return path


def walk(made: Project) -> None:
    """The whole workflow."""
    made.run("build")
    api = made.up()
    ticket = api.ticket(files=("shot.png", b"\x89PNG\r\n\x1a\n" + b"x" * 5000, "image/png"))
    path = f"/api/tickets/{ticket['id']}"
    (file,) = api.get(f"{path}/attachments").json()["items"]
    api.session.post(f"{api.url}{path}/resolve", json={"resolution": "A new drum"}).raise_for_status()
    logs = made.run("logs", "backend")
    wanted = r"(route=/api/tickets status=201|\"route\": \"/api/tickets\", \"status\": 201)"
    assert re.search(wanted, logs.stdout + logs.stderr)
    assert TOKEN not in logs.stdout + logs.stderr
    made.run("restart")
    made.container().wait_healthy(api)
    made.run("down")
    api = made.up()
    assert api.get(path).json()["status"] == "resolved"
    assert api.get(file["url"]).content.endswith(b"x" * 5000)
    assert "A new drum" in api.get(f"/api/memories/{ticket['id']}").json()["body"]


def test_development(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    open_to_others(tmp_path)
    with project(engine, words, tmp_path / "tree", DEVELOPMENT, ADMIN_TOKEN=TOKEN) as made:
        walk(made)
        live = made.folder / "backend" / "web" / "health.py"
        live.write_text(live.read_text().replace('"status": "ok"})', '"status": "reloaded"})'))
        api = Backend(made.port)

        def reloaded() -> bool:
            try:
                return bool(api.get("/health/live").json()["status"] == "reloaded")
            except OSError:
                return False

        wait_until(reloaded, 20, "the change to be served")


PROXY = "http://somebody:pr0xy-passw0rd@127.0.0.1:9"


def test_proxy_of_this_machine_is_for_builds_only(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": PROXY, "allProxy": PROXY}}}))
    proxies = {"HTTP_PROXY": PROXY, "https_proxy": PROXY, "DOCKER_CONFIG": str(tmp_path)}
    open_to_others(tmp_path)
    with project(engine, words, tmp_path / "tree", DEVELOPMENT, ADMIN_TOKEN=TOKEN, **proxies) as made:
        with (made.folder / "Containerfile").open("a") as end:
            end.write('RUN test "$HTTP_PROXY" = "$https_proxy" && test -n "$HTTP_PROXY"\n')
        made.run("build")
        made.up()
        inside = made.container()
        assert "passw0rd" not in json.dumps(inside.inspect())
        assert "passw0rd" not in inside.exec("sh", "-c", "tr '\\0' '\\n' < /proc/1/environ").stdout
        image = inside.inspect()["Image"]
        assert "passw0rd" not in json.dumps(engine.image(image)) + engine.run("history", "--no-trunc", image).stdout


def test_development_reads_the_env_file(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    open_to_others(tmp_path)
    with project(engine, words, tmp_path / "tree", DEVELOPMENT) as made:
        (made.folder / ".env").write_text(f"ADMIN_TOKEN={TOKEN}\nMAX_UPLOAD_SIZE_MB=1\nLOG_FORMAT=json\n")
        api = made.up()
        lines = made.container().logs().splitlines()
        start = next(json.loads(line) for line in lines if '"starting"' in line)
        assert (start["MAX_UPLOAD_SIZE_MB"], start["API_PORT"]) == ("1", "8000"), "the port in .env is the host's"
        assert (start["ADMIN_TOKEN"], start["AWS_ACCESS_KEY_ID"], start["UPLOAD_BUCKET"]) == ("set", "unset", "unset")
        api.ticket()


def test_production(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    with project(engine, words, tmp_path / "tree", PRODUCTION, **no_controllers()) as made:
        secret_file(made.folder)
        tmp_path.chmod(0o755)
        walk(made)
        inspected = json.dumps(made.container().inspect())
        assert TOKEN not in inspected
        host = made.container().inspect()["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert "no-new-privileges" in json.dumps(host["SecurityOpt"])
        assert not any("backend" in mount["Destination"] for mount in made.container().inspect()["Mounts"])
        status = made.container().exec("cat", "/proc/1/status").stdout
        assert re.search(r"CapBnd:\s+0+\n", status) and re.search(r"NoNewPrivs:\s+1\n", status)
        assert made.container().exec("touch", "/app/x", check=False).returncode != 0
        killed(made)


def killed(made: Project) -> None:
    """The process is killed: it comes back by itself."""
    if made.engine.name == "docker":
        pid = made.container().inspect()["State"]["Pid"]
        made.engine.run("run", "--rm", "--pid=host", "--privileged", "--user=0", "--entrypoint=kill",
                        made.container().inspect()["Image"], "-9", str(pid), check=False)  # fmt: skip
    else:
        os.kill(made.container().inspect()["State"]["Pid"], 9)
    api = Backend(made.port)
    wait_until(lambda: made.container().state()["Running"] and api.is_healthy(), 30, "the restart")


def test_production_without_its_secret_is_refused(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    with project(engine, words, tmp_path / "tree", PRODUCTION, **no_controllers()) as made:
        path = secret_file(made.folder, "")
        made.run("build")
        made.run("up", "-d", check=False)
        wait_until(lambda: "ADMIN_TOKEN is required" in made.container().logs(), 30, "the refusal")
        lines = [line for line in made.container().logs().strip().splitlines() if line]
        assert all(line.startswith("ticket-backend: ADMIN_TOKEN is required in production") for line in lines)
        path.chmod(0o644)


def open_to_others(folder: Path) -> None:
    """The container's user is another one: it must reach the sources through pytest's private folders."""
    for parent in (folder, *folder.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)


@pytest.mark.parametrize("file", [DEVELOPMENT, PRODUCTION])
def test_file_keeps_its_promises(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    (service,) = yaml.safe_load(text)["services"].values()
    assert service["build"]["dockerfile"] == "Containerfile"
    assert service["healthcheck"]["test"] == ["CMD", "python", "-I", "-S", "/app/backend/healthcheck.py"]
    assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    assert {"data:/app/data", "uploads:/app/uploads", "memories:/app/memories"} <= set(service["volumes"])
    assert all("127.0.0.1" in port for port in service["ports"])
    assert not re.search(r"\$\{(\w+)[^}]*\}.*", "\n".join(f"{k}: {v}" for k, v in service["environment"].items()))
    if file == PRODUCTION:
        assert not any("/app/backend" in volume for volume in service["volumes"])
        assert service["restart"] == "unless-stopped" and service["read_only"] is True
        assert all(service[limit] for limit in ("mem_limit", "cpus", "pids_limit"))
        assert service["logging"]["options"]["max-size"]
        assert service["environment"]["ENVIRONMENT"] == "production"
    else:
        assert any(volume.startswith("./backend:/app/backend") for volume in service["volumes"])
        assert "--reload" in service["command"]


def test_compose_takes_the_files(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    for file in (DEVELOPMENT, PRODUCTION):
        with project(engine, words, tmp_path / file, file) as made:
            quiet = ["-q"] if engine.name == "docker" else []
            made.run("config", *quiet)
