"""What the scripts read of .env and of the compose files, and whose project it is: without an engine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.containers.engines import ROOT

SCRIPTS = ROOT / "backend" / "scripts"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of nothing but what the functions read."""
    made = tmp_path / "tree"
    (made / "backend").mkdir(parents=True)
    (made / "backend" / "scripts").symlink_to(SCRIPTS)
    (made / "backend" / ".env.docker.example").symlink_to(ROOT / "backend" / ".env.docker.example")
    for name in ("compose.yaml", "compose.prod.yaml"):
        (made / name).write_text((ROOT / name).read_text())
    (made / "secrets").mkdir()
    (made / "secrets" / "admin_token").write_text("one")
    return made


def bash(tree: Path, commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Commands after lib.sh was sourced; `engine` prints CONTAINER_LABEL for `inspect`, and `any_container` one if it is set."""
    script = f"""set -euo pipefail
. '{SCRIPTS}/lib.sh'
ROOT='{tree}' SOURCE='{tree}' ENGINE_NAME=podman OWNER_HOME='{tree.parent}/home' OWNER=$(id -un)
as_owner() {{ "$@"; }}
engine() {{ if [[ $1 == inspect ]]; then echo "${{CONTAINER_LABEL:-}}"; else echo "${{IMAGE_ID:-}}"; fi; }}
any_container() {{ echo "${{CONTAINER:-}}"; }}
{commands}"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TICKET_", "COMPOSE_", "API_"))}
    return subprocess.run(["bash", "-c", script], env=clean | environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ADMIN_TOKEN=plain-value", "plain-value"),
        ("  export ADMIN_TOKEN=plain  \r", "plain"),
        ("ADMIN_TOKEN='pa$w #rd'", "pa$w #rd"),
        ('ADMIN_TOKEN="two words"', "two words"),
        ("ADMIN_TOKEN=a#b=c", "a#b=c"),
        ("ADMIN_TOKEN=one\nADMIN_TOKEN=two", "two"),
        ("# ADMIN_TOKEN=none\n\nADMIN_TOKEN=", ""),
    ],
)
def test_value_that_reads_alike_is_taken(tree: Path, line: str, value: str) -> None:
    (tree / ".env").write_text(line)
    done = bash(tree, "load_settings; env | sed -n 's/^ADMIN_TOKEN=//p'", ADMIN_TOKEN_FILE="")
    assert (done.stdout, done.stderr) == (f"{value}\n", "")


@pytest.mark.parametrize(
    "line",
    ["ADMIN_TOKEN=pa$w", 'ADMIN_TOKEN="pa$w"', "ADMIN_TOKEN='a${b}c'", "ADMIN_TOKEN=it's", "ADMIN_TOKEN=a\\b",
     "ADMIN_TOKEN=a # said", "ADMIN_TOKEN='a' # said", 'ADMIN_TOKEN="a', "ADMIN_TOKEN = a", "ADMIN TOKEN=a", "=a",
     "ADMIN_TOKEN", "\ufeffADMIN_TOKEN=a"],
)  # fmt: skip
def test_value_that_reads_differently_is_refused_in_one_line(tree: Path, line: str) -> None:
    (tree / ".env").write_text(f"LOG_LEVEL=info\n{line}\n")
    done = bash(tree, "load_settings")
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert f"{tree}/.env, line 2" in said


def test_shell_goes_first_and_strangers_stay_out(tree: Path) -> None:
    (tree / ".env").write_text("LOG_LEVEL=debug\nAPI_PORT=8123\nPATH=/nowhere\nHOST=x\nROOT=x\nCOMPOSE_PROJECT_NAME=mine\n"
                               "TICKET_WAIT_SECONDS=5\nPYTHON_IMAGE=base:1\nPIP_CA_FILE=ca.pem\n")  # fmt: skip
    commands = (
        "load_settings; read_port; echo $LOG_LEVEL $URL $PROJECT $HEALTHY_SECONDS $PYTHON_IMAGE $PIP_CA_FILE; env"
    )
    done = bash(tree, commands, LOG_LEVEL="error")
    first, *env = done.stdout.splitlines()
    assert first == f"error http://127.0.0.1:8123 mine 5 base:1 {tree}/ca.pem"
    assert {"API_PORT=8123", "COMPOSE_PROJECT_NAME=mine"} <= set(env)
    assert "PATH=/nowhere" not in env and "HOST=x" not in env


@pytest.mark.parametrize(("name", "value"), [("COMPOSE_PROJECT_NAME", "Mine"), ("TICKET_WAIT_SECONDS", "soon")])
def test_setting_of_the_scripts_that_is_none_is_refused(tree: Path, name: str, value: str) -> None:
    (tree / ".env").write_text(f"{name}={value}\n")
    done = bash(tree, "load_settings")
    assert done.returncode == 1 and f"{name} must be" in done.stderr and f"'{value}'" in done.stderr


PRINT = "load_settings; choose_compose_files; fingerprint"


def print_of(tree: Path, **environment: str) -> str:
    done = bash(tree, PRINT, **environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 32
    return done.stdout


def test_fingerprint_stays_while_nothing_changes(tree: Path) -> None:
    (tree / ".env").write_text("LOG_LEVEL=debug\n")
    first = print_of(tree)
    (tree / ".env").write_text("# said\nLOG_LEVEL='debug'\n")
    assert print_of(tree) == first, "what it means is the same"
    assert print_of(tree, UNRELATED="x", PIP_CA_FILE="/etc/hosts", TICKET_FINGERPRINT="x") == first


CHANGES = {
    "image": lambda tree: {"IMAGE_ID": "sha256:2"},
    "variable that is passed on": lambda tree: {"LOG_LEVEL": "debug"},
    "variable that is put in": lambda tree: {"TICKET_MEMORY": "1g"},
    "name space of users": lambda tree: {"PODMAN_USERNS": "keep-id"},
    "env file": lambda tree: (tree / ".env").write_text("REOPEN_DAYS=3\n"),
    "env file, name of one's own": lambda tree: (tree / ".env").write_text("AWS_PROFILE=x\n"),
    "secret": lambda tree: (tree / "secrets/admin_token").write_text("two"),
    "compose file": lambda tree: (tree / "compose.prod.yaml").write_text("services: {}\n"),
    "override": lambda tree: (tree / "compose.override.yaml").write_text("services: {}\n"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_fingerprint_changes_with_all_that_shapes_the_container(tree: Path, what: str) -> None:
    before = print_of(tree)
    changed = CHANGES[what](tree)
    after = print_of(tree, **(changed if isinstance(changed, dict) else {}))
    assert after != before


def test_fingerprint_follows_a_secret_of_another_place_and_of_the_override(tree: Path) -> None:
    secret = tree.parent / "token"
    secret.write_text("one")
    (tree / ".env").write_text(f"ADMIN_TOKEN_FILE_ON_HOST={secret}\n")
    (tree / "compose.override.yaml").write_text("secrets:\n  more:\n    file: ./more\n")
    prints = [print_of(tree)]
    secret.write_text("two")
    prints.append(print_of(tree))
    (tree / "more").write_text("x")
    prints.append(print_of(tree))
    assert len(set(prints)) == 3


CLAIM = "load_settings; claim_project"


def test_second_checkout_is_refused_until_it_adopts_or_the_first_is_gone(tree: Path) -> None:
    assert bash(tree, CLAIM).returncode == 0
    second = tree.parent / "second"
    subprocess.run(["cp", "-a", str(tree), str(second)], check=True)
    refused = bash(second, CLAIM)
    assert (
        refused.returncode == 1 and f"is that of {tree}" in refused.stderr and "COMPOSE_PROJECT_NAME" in refused.stderr
    )
    assert bash(second, CLAIM, COMPOSE_PROJECT_NAME="another").returncode == 0
    assert bash(tree, CLAIM).returncode == 0, "the first goes on"
    assert bash(second, f"ADOPT=yes; {CLAIM}").returncode == 0
    assert f"is that of {second}" in bash(tree, CLAIM).stderr
    second.rename(tree.parent / "moved")
    assert bash(tree, CLAIM).returncode == 0


def test_container_that_runs_says_whose_the_project_is(tree: Path) -> None:
    elsewhere = tree.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "compose.yaml").touch()
    done = bash(tree, CLAIM, CONTAINER="c", CONTAINER_LABEL=str(elsewhere))
    assert done.returncode == 1 and f"is that of {elsewhere}" in done.stderr
