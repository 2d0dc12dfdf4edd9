"""systemd/README.md, command by command: every block of it is run, in order, in a checkout of one's own."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.containers.engines import CA_BUNDLE, ROOT, checkout
from tests.systemd.service import BACKUPS, HOME, INSTALLER, UNIT, api, failed, journal, remove_all, run, state, token
from tests.upkeep.newer import NEXT, STEP

GUIDE = (ROOT / "systemd/README.md").read_text("utf-8")
MOVE = HOME / "ticket-backend-move.tar"
PORT = 9000  # which the first section changes to


def sections() -> dict[str, list[str]]:
    """Heading → its blocks of commands."""
    found = {}
    for text in re.split(r"^## ", GUIDE, flags=re.MULTILINE)[1:]:
        found[text.splitlines()[0]] = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return found


class Reader:
    """Somebody who follows the page, and never skips a block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left = [(heading, block) for heading, blocks in sections().items() for block in blocks]

    def run(self, heading: str, *, fails: bool = False) -> str:
        """The next block, which is of this section."""
        where, block = self.left.pop(0)
        assert where == heading
        environment = os.environ | {"PIP_CA_FILE": str(CA_BUNDLE), "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=500, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, f"{block}\n{done.stdout}\n{done.stderr}"
        print(f"{heading}: {len(block.strip().splitlines())} lines")
        return done.stdout + done.stderr


@pytest.fixture
def reader(tmp_path: Path):
    remove_all()
    yield Reader(checkout(tmp_path / "checkout"))
    run("systemctl", "--user", "disable", "--now", "podman-auto-update.timer", check=False)
    MOVE.unlink(missing_ok=True)
    remove_all()


def test_every_command_works(reader: Reader) -> None:
    assert "active and healthy: http://127.0.0.1:8000" in reader.run("Install")
    first = api().ticket(f=("a.txt", b"hello", "text/plain"))
    assert f"healthy: http://127.0.0.1:{PORT}" in reader.run("Install")

    def there(*tickets: dict) -> None:
        for ticket in tickets:
            assert api(PORT).get(f"/api/tickets/{ticket['id']}").status_code == 200
        (file,) = api(PORT).get(f"/api/tickets/{first['id']}/attachments").json()["items"]
        assert api(PORT).get(file["url"]).content == b"hello"

    assert "all is well" in reader.run("Operate")
    old = token()
    reader.run("Rotate the administrator's token")
    assert token() != old
    there(first)
    said = reader.run("Read logs")
    assert "starting" in said and "none" in said

    reader.run("Back up")
    assert "verified backup" in reader.run("Back up")
    lost = api(PORT).ticket()
    assert "restored backup" in reader.run("Restore")
    there(first)
    assert api(PORT).get(f"/api/tickets/{lost['id']}").status_code == 404

    second = api(PORT).ticket()
    reader.run("Move to another host")
    assert api(PORT).health() is None
    become_another_host()
    assert f"healthy: http://127.0.0.1:{PORT}" in reader.run("Move to another host")
    there(first, second)
    run("systemctl", "--user", "start", "ticket-backend-backup")  # goes on in the folder that moved

    step = reader.folder / "backend/adapters/embedded/schema" / f"{NEXT:04}_next.sql"
    step.write_text(STEP)  # the new version of the checkout
    reader.run("Upgrade")
    assert f"database schema is now {NEXT}" in journal()
    there(first, second)
    reader.run("Upgrade")
    third = api(PORT).ticket()

    reader.run("Roll back", fails=True)
    assert failed() == ("exit-code", "74")
    assert re.search(rf"^ticket-backend: .*schema {NEXT}, and this version", journal(), re.MULTILINE)
    reader.run("Roll back")
    there(first, second)
    assert api(PORT).get(f"/api/tickets/{third['id']}").status_code == 404, "it is in newer/"

    run("systemctl", "--user", "stop", UNIT)
    reader.run("When it does not run")
    there(first, second)
    assert "your drop-ins stay" in reader.run("Remove")
    assert reader.left == [], "every block was run"
    assert run("podman", "volume", "ls", "-q", "--filter", "name=ticket-backend-") == ""  # compose's have a `_` there
    assert list(BACKUPS.glob("snapshots/*.json")) and state("LoadState") == "not-found"


def become_another_host() -> None:
    """Nothing of the old one is left but the file that was carried over, and what one has set up there by oneself."""
    run(str(INSTALLER), "--uninstall", "--delete-data")
    run("rm", "-rf", str(BACKUPS))
