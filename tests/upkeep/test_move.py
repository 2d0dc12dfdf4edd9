"""An installation moved into other directories: the same answers, however often it was cut off."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.adapters.embedded import presence
from tests import whole
from tests.conftest import ADMIN_TOKEN, variables
from tests.process.test_process import ROOT, refused, running


def move(root: Path, *words: str, steps: int = 0, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    """The command line; its exit code, and what it says."""
    command = [sys.executable, "-m", "tests.moving", str(steps), "move", *words]
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(environ or variables(root / "old"))}
    done = subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, whole.People]:
    """An installation in `old`, and who works with it."""
    root = tmp_path_factory.mktemp("filled")
    with whole.application(variables(root / "old")) as app:
        return root, whole.fill(app, tickets=60)


def held(environ: dict[str, str], people: whole.People) -> dict:
    with whole.application(environ) as app:
        return whole.held(app, people)


def test_moved_installation_answers_the_same(filled: tuple[Path, whole.People], tmp_path: Path) -> None:
    root, people = filled
    there = whole.written(tmp_path / "new.env", variables(tmp_path / "new"))
    for steps in (2, 8, 14, 25, 40):
        code, told, said = move(root, "--to", str(there), steps=steps)
        assert code == -9, told + said
    code, told, said = move(root, "--to", str(there))
    assert code == 0, said
    assert len(told.splitlines()) == 12 and all(line.endswith("same") for line in told.splitlines()), told
    assert re.search("moved: .*[1-9][0-9]* added, .*[1-9][0-9]* same", said), "what was there already was left"
    found = whole.differences(held(variables(root / "old"), people), held(variables(tmp_path / "new"), people))
    assert not found, "\n".join(found)


def test_nothing_acknowledged_is_forgotten(filled: tuple[Path, whole.People], tmp_path: Path) -> None:
    root, people = filled
    there = variables(tmp_path / "new")
    assert move(root, "--to", str(whole.written(tmp_path / "new.env", there)))[0] == 0
    with whole.application(there) as app:
        whole.go_on(app, people)


def test_goes_on_with_what_has_happened_since(filled: tuple[Path, whole.People], tmp_path: Path) -> None:
    root, people = filled
    old, there = shutil.copytree(root / "old", tmp_path / "old").parent, variables(tmp_path / "new")
    to = str(whole.written(tmp_path / "new.env", there))
    assert move(old, "--to", to)[0] == 0
    with whole.application(variables(old / "old")) as app:
        ada = people.clients(app)["ada"]
        ticket = ada.get("/api/tickets?sort=number").json()["items"][0]["id"]
        assert ada.post(f"/api/tickets/{ticket}/comments", json={"body": "Since"}).status_code == 201
    code, told, _ = move(old, "--verify", "--to", to)
    assert code == 65 and re.search("comments .* DIFFERS", told)
    code, _, said = move(old, "--to", to)
    assert code == 0 and "1 forwarded" in said
    with whole.application(there) as app:
        ada = people.clients(app)["ada"]
        assert ada.patch(f"/api/tickets/{ticket}", json={"title": "Here"}).status_code == 200
    code, told, said = move(old, "--to", to)
    assert (code, told) == (65, "") and f"ticket {ticket} is new or has gone on in the target" in said


def test_refuses_what_is_something_else(filled: tuple[Path, whole.People], tmp_path: Path) -> None:
    root, _ = filled
    there = variables(tmp_path / "new")
    to = str(whole.written(tmp_path / "new.env", there))
    with whole.application(there) as app:
        whole.People({"admin": {"authorization": f"Bearer {ADMIN_TOKEN}"}}).clients(app)["admin"].ticket()
    code, told, said = move(root, "--to", to)
    assert (code, told) == (65, "") and "The target holds tickets of its own" in said
    code, _, said = move(root, "--to", str(whole.written(tmp_path / "same.env", variables(root / "old"))))
    assert code == 78 and "are the same stores" in said
    code, _, said = move(root)
    assert code == 78 and "move needs --to FILE" in said
    code, _, said = move(root, "--to", str(tmp_path / "none.env"))
    assert code == 78 and "none.env can't be read" in said


def test_refuses_while_either_side_is_served_and_the_other_way_round(
    filled: tuple[Path, whole.People], tmp_path: Path
) -> None:
    with running(tmp_path):
        code, told, said = move(tmp_path, "--to", "n.env", environ=variables(tmp_path))
        assert (code, told) == (78, "")
        there = whole.written(tmp_path / "n.env", variables(tmp_path / "new"))
        for words in (["--to", str(there)], ["--from", str(there)]):
            code, told, said = move(tmp_path, *words, environ=variables(tmp_path))
            assert (code, told) == (74, "") and "is being served" in said, said
    with presence.moving(tmp_path / "data"):
        code, lines = refused(tmp_path)
    assert code == 74 and "is being moved" in lines[0]
