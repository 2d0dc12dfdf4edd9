"""An installation moved to DynamoDB and S3 and back: the same answers on all three, however often it was cut off."""

from pathlib import Path

import pytest

from backend.settings import load_settings
from backend.wiring import CloudSetup
from tests import whole
from tests.clouds import Clouds
from tests.clouds import variables as clouds_variables
from tests.conftest import variables
from tests.upkeep.test_move import held, move

# Where DynamoDB answers otherwise than SQLite, and why.
OTHERWISE: dict[str, str] = {}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, whole.People]:
    """An installation in `old`, and who works with it."""
    root = tmp_path_factory.mktemp("filled")
    with whole.application(variables(root / "old")) as app:
        return root, whole.fill(app, tickets=60)


def away(root: Path, clouds: Clouds) -> dict[str, str]:
    """A new table and a new bucket."""
    found = variables(root / "aws", **clouds_variables(), **clouds.environ())
    CloudSetup(load_settings(found, Path("/nonexistent"))).make()
    return found


def unexpected(ours: dict, theirs: dict) -> str:
    found = whole.differences(ours, theirs)
    return "\n".join(one for one in found if not any(path in one.splitlines()[0] for path in OTHERWISE))


def test_moved_to_aws_and_back_it_answers_the_same(
    filled: tuple[Path, whole.People], clouds: Clouds, tmp_path: Path
) -> None:
    root, people = filled
    there, back = away(tmp_path, clouds), variables(tmp_path / "back")
    to, home = whole.written(tmp_path / "aws.env", there), whole.written(tmp_path / "back.env", back)
    for steps in (2, 30, 60, 90):
        code, told, said = move(root, "--to", str(to), steps=steps)
        assert code == -9, told + said
    code, told, said = move(root, "--to", str(to))
    assert code == 0, said
    assert all(line.endswith("same") for line in told.splitlines()), told
    before = held(variables(root / "old"), people)
    assert not (found := unexpected(before, held(there, people))), found
    for steps in (3, 30):
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
