"""What is built: small, complete, rootless, and built anew only where something changed."""

import json
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.containers.engines import BASE, CA_BUNDLE, ROOT, RUN, Engine, checkout
from tests.test_checkout import CODE, NOT_FOR_THE_IMAGE

MOST_MEGABYTES_OVER_BASE = 60


def test_is_small(engine: Engine, image: str) -> None:
    over = (engine.size(image) - engine.size(BASE)) / 1e6
    print(f"{engine.name}: {over:.1f} MB over its base image, at most {MOST_MEGABYTES_OVER_BASE}")
    assert over <= MOST_MEGABYTES_OVER_BASE


def test_says_what_it_is(engine: Engine, image: str) -> None:
    config = engine.image(image)["Config"]
    assert config["User"] == "1000:1000"
    assert config["WorkingDir"] == "/app"
    assert config["Cmd"] == ["python", "-m", "backend", "serve"]
    assert list(config["ExposedPorts"]) == ["8000/tcp"]
    labels = config["Labels"]
    for name in ("title", "description", "licenses", "version", "revision", "created", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"], name


def test_holds_only_what_runs(engine: Engine, image: str) -> None:
    code = (
        "import importlib.util, json, os\n"
        "print(json.dumps({'app': sorted(os.listdir('/app')), 'backend': sorted(os.listdir('/app/backend')),"
        "'pip': importlib.util.find_spec('pip') is not None and 'venv' in importlib.util.find_spec('pip').origin,"
        "'stale': [p for p, _, f in os.walk('/app/backend') if any(n.endswith('.py') for n in f)"
        " and '__pycache__' not in os.listdir(p)]}))"
    )
    found = json.loads(engine.run("run", "--rm", image, "python", "-c", code).stdout)
    assert found["app"] == ["backend", "data", "memories", "uploads"]
    assert not {"scripts", "README.md", "decisions"} & set(found["backend"])
    assert found["pip"] is False
    assert found["stale"] == [], "bytecode is compiled beside every source"


def test_has_no_installer_and_nothing_that_changes_its_user(engine: Engine, image: str) -> None:
    script = """
        find / -xdev -type f -perm /6000
        for name in pip ensurepip setuptools wheel; do
          /usr/local/bin/python3 -c "import $name" 2> /dev/null && echo "$name"
        done
        command -v pip pip3 wheel || true
    """
    found = engine.run("run", "--rm", "--user=0", "--network=none", image, "sh", "-c", script).stdout
    assert found == ""


def test_code_belongs_to_root_and_only_state_is_writable(engine: Engine, image: str) -> None:
    code = (
        "import os\n"
        "def walk(*tops):\n"
        "    for top in tops:\n"
        "        for folder, folders, files in os.walk(top):\n"
        "            for name in ['.'] + files:\n"
        "                yield os.path.join(folder, name)\n"
        "print(sorted({os.path.normpath(p) for p in walk('/app', '/opt/venv') if os.access(p, os.W_OK)}))"
    )
    writable = engine.run("run", "--rm", image, "python", "-c", code).stdout.strip()
    assert writable == "['/app/data', '/app/memories', '/app/uploads']"


def test_every_dependency_imports(engine: Engine, image: str) -> None:
    names = "fastapi uvicorn uvloop httptools watchfiles python_multipart orjson prometheus_client boto3 pydantic"
    engine.run("run", "--rm", image, "python", "-c", f"import {names.replace(' ', ', ')}, backend.main")
    clients = ["s3", "dynamodb", "sqs", "sts", "sso", "sso-oidc", "bedrock-runtime", "secretsmanager"]
    code = f"import boto3; [boto3.client(n, region_name='eu-central-1') for n in {clients}]"
    engine.run("run", "--rm", image, "python", "-c", code)


def test_second_build_changes_nothing(engine: Engine, image: str) -> None:
    again = f"localhost/{RUN}:again"
    engine.build(ROOT, again)
    assert engine.image(again)["Id"] == engine.image(image)["Id"]
    engine.run("rmi", again, check=False)


def test_change_of_source_builds_only_the_source_layer(engine: Engine, image: str, tmp_path: Path) -> None:
    tree = checkout(tmp_path / "tree")
    (tree / "backend" / "added.py").write_text('"""New."""\n')
    changed = f"localhost/{RUN}:changed"
    engine.build(tree, changed)
    before, after = engine.layers(image), engine.layers(changed)
    different = [number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    assert different == [len(before) - 1]
    engine.run("rmi", changed, check=False)


def test_leaves_out_what_is_private(engine: Engine, tmp_path: Path) -> None:
    tree = checkout(tmp_path / "tree")
    planted = [".env", "backend/.env", "backend/.env.local", "secrets/admin_token", "backend/__pycache__/x.pyc"]
    planted += ["backend/node_modules/x.js", "backend/.venv/x.py", "backend/env/x.py", "backend/data/tickets.db"]
    planted += ["backend/venv/lib/python3.11/site-packages/x/x.py", "backend/web/my-env/x.py", "backend/prod.env"]
    planted += ["backend/tls.pem", "backend/web/tls.key", "backend/web/pages/id_rsa", "backend/domain/dump.json"]
    for name in planted:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("PLANTED-SECRET")
    tag = f"localhost/{RUN}:planted"
    engine.build(tree, tag)
    engine.run("run", "--rm", tag, "sh", "-c", "! grep -rq PLANTED-SECRET /app /opt/venv /tmp")
    found = engine.run("run", "--rm", tag, "find", "/app/backend", "-type", "f", "!", "-name", "*.pyc").stdout.split()
    wanted = {f"/app/{name}" for name in CODE if not any(fnmatch(name, pattern) for pattern in NOT_FOR_THE_IMAGE)}
    assert set(found) == wanted
    engine.run("rmi", "-f", tag, check=False)


def test_build_secret_stays_out_of_the_image(engine: Engine, image: str) -> None:
    if not CA_BUNDLE.exists():
        pytest.skip("there is no CA bundle to give as a build secret")
    history = engine.run("history", "--no-trunc", image).stdout
    assert "BEGIN CERTIFICATE" not in history
    engine.run("run", "--rm", image, "sh", "-c", "! test -e /run/secrets/pip_ca.pem")


def test_base_image_that_is_not_there_is_told(engine: Engine) -> None:
    done = engine.build(ROOT, f"localhost/{RUN}:none", "--build-arg", "PYTHON_IMAGE=localhost/none:0", check=False)
    assert done.returncode != 0
    assert "localhost/none:0" in done.stdout + done.stderr
