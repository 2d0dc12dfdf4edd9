"""Who may import whom, checked on the source: the folder says what a line may touch."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BACKEND = ROOT / "backend"
LONGEST_FILE = 450

# Folder or module → what of the project it may import, and what of others it may not do without.
ALLOWED = {
    "errors": set(),
    "logs": set(),
    "guessing": set(),
    "aws_names": set(),
    "settings": {"aws_names", "errors", "guessing"},
    "domain": {"domain", "errors"},
    "ports": {"domain", "errors"},
    "usecases": {"usecases", "domain", "ports", "errors", "logs"},
    "adapters": {"adapters", "domain", "ports", "errors", "logs"},
    "web": {"web", "usecases", "domain", "ports", "errors", "logs", "watchdog"},
    "wiring": {"settings", "ports", "domain", "errors", "adapters"},
    "worker": {"usecases", "ports", "errors", "logs", "watchdog"},
    "connections": set(),
    "watchdog": set(),
    "main": {"connections", "watchdog", "settings", "wiring", "ports", "errors", "logs", "web", "worker"},
    "__main__": {"settings", "wiring", "ports", "usecases", "errors", "logs", "serving"},
    "serving": {"connections"},
    "__init__": set(),
    "healthcheck": set(),
}
OUTSIDE = {
    "sqlite3": ("adapters/embedded",),
    "boto3": ("adapters/aws",),
    "botocore": ("adapters/aws",),
    "fastapi": ("web", "main.py"),
    "starlette": ("web", "main.py"),
    "uvicorn": ("connections.py", "serving.py"),
    "prometheus_client": ("web/metrics.py",),
    "pydantic": ("domain", "web"),
    "argparse": ("__main__.py",),
}
SOURCES = sorted(path for path in BACKEND.rglob("*.py") if "scripts" not in path.parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, at the top of the file) of every import, those inside functions too."""
    tree = parsed(path)
    top = set(tree.body)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(name.name, node in top) for name in node.names]
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found += [(f"{module}.{name.name}" if module == "backend" else module, node in top) for name in node.names]
    return found


def part(path: Path) -> str:
    relative = path.relative_to(BACKEND)
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(BACKEND)))
def test_imports_only_what_its_folder_may(path: Path) -> None:
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "backend" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in ALLOWED[part(path)], f"{path.relative_to(ROOT)} imports {module}"
        where = OUTSIDE.get(parts[0])
        if where:
            relative = str(path.relative_to(BACKEND))
            assert relative.startswith(where), f"{relative} imports {parts[0]}"


def test_every_part_has_a_rule() -> None:
    assert {part(path) for path in SOURCES} == set(ALLOWED)


def test_only_wiring_names_adapters_and_only_inside_functions() -> None:
    for path in SOURCES:
        if part(path) == "adapters":
            continue
        for module, at_top in imports(path):
            if module.startswith("backend.adapters"):
                assert path.name == "wiring.py" and not at_top, f"{path.relative_to(ROOT)} imports {module}"


def test_adapter_folders_know_nothing_of_each_other() -> None:
    folders = [path.name for path in (BACKEND / "adapters").iterdir() if path.is_dir() and path.name != "__pycache__"]
    for path in SOURCES:
        for folder in folders:
            if folder in path.relative_to(BACKEND).parts:
                others = {other for other in folders if other != folder}
                assert not any(
                    module.startswith(f"backend.adapters.{o}") for module, _ in imports(path) for o in others
                )


def test_only_settings_and_the_process_read_the_environment() -> None:
    readers = {
        str(path.relative_to(BACKEND))
        for path in SOURCES
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in ast.walk(parsed(path))
        )
    }
    # main: whether `serve` has logged the configuration; metrics: the directory that `serve` made.
    assert readers <= {"settings.py", "__main__.py", "main.py", "web/metrics.py", "healthcheck.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(BACKEND)))
def test_files_stay_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= LONGEST_FILE
    if text.strip():
        assert ast.get_docstring(parsed(path)), "a file says what it is for"


def test_nothing_of_aws_is_imported_unless_it_is_configured(tmp_path: Path) -> None:
    code = "import sys, backend.main; print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "boto3" not in done.stdout and "botocore" not in done.stdout
    assert list(tmp_path.iterdir()) == [], "importing the application touches nothing"
