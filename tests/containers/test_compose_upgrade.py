"""Compose in production over time: stopped with an upload in flight, upgraded to a new schema, and back, as documented."""

import os
import re
import subprocess
import threading
from pathlib import Path

import requests

from tests.containers.engines import ROOT, Backend, Engine, wait_until
from tests.containers.test_compose import PRODUCTION, Project, no_controllers, project, secret_file, tool
from tests.upkeep.newer import NEXT, STEP

__all__ = ["tool"]  # the fixture
IMAGE = "localhost/ticket-backend"


def documented() -> list[str]:
    """The blocks of commands in the guide's section."""
    (section,) = re.findall(
        r"^## Upgrade and roll back\n(.*?)^## ",
        (ROOT / "backend/README.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def run(made: Project, block: str) -> None:
    """A block as it stands there, but for the names of the tool, the engine and the project."""
    block = block.replace("docker compose", f"{' '.join(made.tool)} -p {made.name}")
    block = re.sub(r"^docker ", f"{made.engine.name} ", block, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=made.folder, env=os.environ | made.environment, capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def healthy(made: Project) -> Backend:
    api = Backend(made.port)
    made.container().wait_healthy(api)
    return api


def test_lives_through_stop_upgrade_and_roll_back(tool: tuple[Engine, list[str]], tmp_path: Path) -> None:
    engine, words = tool
    tmp_path.chmod(0o755)
    with project(engine, words, tmp_path / "tree", PRODUCTION, **no_controllers()) as made:
        secret_file(made.folder)
        made.run("build")
        ticket = stopped_with_an_upload_in_flight(made, made.up())
        upgrade, back, put_back = documented()

        step = made.folder / "backend/adapters/embedded/schema" / f"{NEXT:04}_next.sql"
        step.write_text(STEP)  # the new version of the checkout
        run(made, upgrade)
        assert there(healthy(made), ticket)
        assert f"database schema is now {NEXT}" in made.container().logs()
        assert (made.folder / "before-the-upgrade.tar").stat().st_size > 1_000_000

        run(made, back)
        refusal = f"schema {NEXT}, and this version"
        wait_until(lambda: refusal in made.container().logs(), 30, "the refusal")
        assert "Traceback" not in made.container().logs()
        run(made, put_back)
        assert there(healthy(made), ticket)
    engine.run("rmi", "-f", f"{IMAGE}:previous", check=False)


def stopped_with_an_upload_in_flight(made: Project, api: Backend) -> str:
    """The upload finishes, nothing new is taken; started again, the ticket is there."""
    answers: list[requests.Response] = []
    sent = threading.Event()
    upload = threading.Thread(target=lambda: answers.append(Backend(made.port).slow_upload(sent)))
    upload.start()
    sent.wait(10)
    made.run("stop")
    upload.join()
    assert [answer.status_code for answer in answers] == [201]
    assert api.health() is None
    made.run("start")
    healthy(made)
    return str(answers[0].json()["id"])


def there(api: Backend, ticket: str) -> bool:
    (file,) = api.get(f"/api/tickets/{ticket}/attachments").json()["items"]
    return len(api.get(file["url"]).content) == 1_000_000
