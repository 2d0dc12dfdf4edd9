"""An installation moved to DynamoDB and S3 and back: the same answers on all three, however often it was cut off."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import load_settings
from backend.wiring import CloudSetup
from tests import whole
from tests.clouds import CREDENTIALS, Clouds
from tests.clouds import variables as clouds_variables
from tests.conftest import variables
from tests.process.test_process import ROOT
from tests.upkeep.test_move import held, move

# What DynamoDB answers otherwise than SQLite, and why; everything else must be the same to the byte.
ANY_ORDER = re.compile(r"[?&]q=(?!status)")  # the best matches first: how good one is, each engine reckons for itself


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, whole.People]:
    """An installation in `old`, and who works with it."""
    root = tmp_path_factory.mktemp("filled")
    with whole.application(variables(root / "old")) as app:
        return root, whole.fill(app, tickets=25)


def away(root: Path, clouds: Clouds) -> dict[str, str]:
    """A new table and a new bucket."""
    found = variables(root / "aws", **clouds_variables(), **clouds.environ())
    CloudSetup(load_settings(found, Path("/nonexistent"))).make()
    return found


def comparable(found: dict) -> dict:
    answers = dict(found["answers"])
    for name, answer in answers.items():
        if ANY_ORDER.search(name) and isinstance(answer[-1], list):
            answers[name] = [*answer[:-1], sorted(answer[-1], key=lambda item: item["id"])]
    return found | {"answers": answers}


def unexpected(ours: dict, theirs: dict) -> str:
    return "\n".join(whole.differences(comparable(ours), comparable(theirs)))


def test_moved_to_aws_and_back_it_answers_the_same(
    filled: tuple[Path, whole.People], clouds: Clouds, tmp_path: Path
) -> None:
    root, people = filled
    there, back = away(tmp_path, clouds), variables(tmp_path / "back")
    to, home = whole.written(tmp_path / "aws.env", there), whole.written(tmp_path / "back.env", back)
    for steps in (2, 25, 50):
        code, told, said = move(root, "--to", str(to), steps=steps)
        assert code == -9, told + said
    code, told, said = move(root, "--to", str(to))
    assert code == 0, said
    assert all(line.endswith("same") for line in told.splitlines()), told
    before = held(variables(root / "old"), people)
    assert not (found := unexpected(before, held(there, people))), found
    for steps in (3, 20):
        assert move(root, "--from", str(to), "--to", str(home), steps=steps)[0] == -9
    code, told, said = move(root, "--from", str(to), "--to", str(home))
    assert code == 0, said
    assert not (found := "\n".join(whole.differences(before, held(back, people)))), found


def test_nothing_acknowledged_is_forgotten(filled: tuple[Path, whole.People], clouds: Clouds, tmp_path: Path) -> None:
    root, people = filled
    there = away(tmp_path, clouds)
    assert move(root, "--to", str(whole.written(tmp_path / "aws.env", there)))[0] == 0
    with whole.application(there) as app:
        whole.go_on(app, people)


def test_guide_moves_there_and_back(filled: tuple[Path, whole.People], clouds: Clouds, tmp_path: Path) -> None:
    """Every command of the section, by a shell."""
    guide = (ROOT / "backend/adapters/aws/README.md").read_text("utf-8")
    section = guide.partition("## Moving to AWS and back")[2].partition("\n## ")[0]
    there, back = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    shutil.copytree(filled[0] / "old", tmp_path / "old")
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -m tests.moving 0 "$@"\n')
    python.chmod(0o755)
    given = {
        **variables(tmp_path / "old"),
        **CREDENTIALS,
        **clouds.environ(),
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    for commands in (there, back):
        done = subprocess.run(["bash", "-eu"], cwd=tmp_path, env=given, input=commands, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].endswith("same"), done.stdout
