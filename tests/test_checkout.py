"""The files as a checkout, a zip or another system hands them over, and which of them the image gets."""

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "backend").rglob("*"))
    if path.is_file() and not {"__pycache__", "scripts", "decisions"} & set(path.relative_to(ROOT).parts)
]
NOT_FOR_THE_IMAGE = ("*.md", "backend/docs/*", "backend/kubernetes.yaml", "backend/.env*")


def _lets_through(name: str) -> bool:
    """Whether .dockerignore does: `*` stops at a slash there."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line[1:] for line in lines if line.startswith("!")]
    return any(
        pattern.count("/") == name.count("/")
        and all(fnmatch(part, wanted) for part, wanted in zip(name.split("/"), pattern.split("/"), strict=True))
        for pattern in patterns
    )


def test_image_gets_every_file_of_the_code_and_nothing_else() -> None:
    ignored = {name for name in CODE if any(fnmatch(name, pattern) for pattern in NOT_FOR_THE_IMAGE)}
    missing = [name for name in CODE if name not in ignored and not _lets_through(name)]
    assert missing == [], "a folder or a kind of file is new: add a line for it to .dockerignore"
    assert not [name for name in ignored if _lets_through(name)]


def test_ignore_file_is_a_list_of_what_is_let_through() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[0] == "*" and all(
        re.fullmatch(r"!backend/[a-z/]*(\*\.[a-z]+|requirements\.txt)", line) for line in lines[1:]
    )
    assert not (ROOT / ".containerignore").exists(), "Podman would read that one only"


def test_checkout_has_the_same_bytes_where_git_is_told_to_write_crlf(tmp_path: Path) -> None:
    origin, checkout = tmp_path / "origin", tmp_path / "checkout"
    origin.mkdir()
    for name in (".gitattributes", "Containerfile", "compose.prod.yaml", "tests/tables", "backend/scripts", "systemd"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, origin / name)
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "--message", "All.")):
        subprocess.run(["git", *words], cwd=origin, check=True, capture_output=True)
    options = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    subprocess.run(["git", *options, "clone", "--quiet", str(origin), str(checkout)], check=True, capture_output=True)
    written = {path.relative_to(origin): path.read_bytes() for path in origin.rglob("*") if _is_file(path, origin)}
    assert len(written) > 20
    assert {path: (checkout / path).read_bytes() for path in written} == written


def _is_file(path: Path, top: Path) -> bool:
    return path.is_file() and path.relative_to(top).parts[0] != ".git"


def test_scripts_run_without_their_executable_bit(tmp_path: Path) -> None:
    scripts = tmp_path / "backend" / "scripts"
    shutil.copytree(ROOT / "backend/scripts", scripts)
    for script in scripts.iterdir():
        script.chmod(0o644)
    called = set()
    for script in scripts.glob("*.sh"):
        if script.name not in ("lib.sh", "settings.sh"):  # which are read by the others
            done = subprocess.run(["bash", str(script), "--help"], capture_output=True, text=True)
            assert (done.returncode, done.stdout.startswith("Usage: ")) == (0, True), script.name
        called |= set(re.findall(r"(\S+) \"\$ROOT/backend/scripts/\S+\.sh\"", script.read_text("utf-8")))
    assert called == {"bash"}, "a script that starts another names bash, for a zip may have lost the bit"
