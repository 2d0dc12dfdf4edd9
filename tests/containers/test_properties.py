"""The eight properties of the container, each over inputs that Hypothesis makes up."""

import json
import re
import shutil
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.containers.engines import RUN, TOKEN, Backend, Engine, checkout, free_port, wait_until

# Each example costs seconds: few of them, and none spent on making a failing one smaller.
few = settings(
    max_examples=3,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)

MODULE = st.from_regex(r"\A[a-z][a-z_]{0,12}\Z").filter(lambda name: name not in ("async", "await"))
TEXT = st.text(alphabet=string.printable + "äß€😀", max_size=200)


@few
@given(
    modules=st.dictionaries(MODULE, TEXT, max_size=4),
    data=st.dictionaries(
        st.text(alphabet="abcäß 😀-_.", min_size=1, max_size=12).filter(lambda n: n.strip(". ")), TEXT, max_size=3
    ),
    package=MODULE,
)
def test_1_any_valid_source_tree_builds_with_all_dependencies(
    engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory, modules: dict, data: dict, package: str
) -> None:
    tree = checkout(tmp_path_factory.mktemp("tree") / "tree")
    added = tree / "backend" / f"added_{package}"
    added.mkdir()
    with (tree / ".dockerignore").open("a") as lets_through:  # which names folders and kinds of files
        lets_through.write(f"!backend/{added.name}/*.py\n!backend/{added.name}/data-*.txt\n")
    (added / "__init__.py").write_text("")
    for name, text in modules.items():
        (added / f"m_{name}.py").write_text(f"VALUE = {text!r}\n")
    for name, text in data.items():
        (added / f"data-{name}.txt").write_text(text, newline="")
    tag = f"localhost/{RUN}:property1"
    engine.build(tree, tag)
    code = (
        "import importlib, json, pathlib, backend.main\n"
        f"p = importlib.import_module('backend.added_{package}')\n"
        f"m = {{n: importlib.import_module(p.__name__ + '.m_' + n).VALUE for n in {sorted(modules)!r}}}\n"
        "d = {f.name[5:-4]: f.read_bytes().decode() for f in pathlib.Path(p.__path__[0]).glob('data-*')}\n"
        "print(json.dumps([m, d]))"
    )
    found = json.loads(engine.run("run", "--rm", tag, "python", "-c", code).stdout)
    engine.run("rmi", "-f", tag, check=False)
    shutil.rmtree(tree)
    assert found == [modules, data]


VARIABLES = st.fixed_dictionaries(
    # Marked, so that finding one in a log can be no accident.
    {
        "ADMIN_TOKEN": st.text(alphabet=string.ascii_letters + string.digits + "-_.~+/=", max_size=50).map(
            "s3cret-marked-{}".format
        )
    },
    optional={
        "API_WORKERS": st.integers(1, 3).map(str),
        "LOG_LEVEL": st.sampled_from(["info", "INFO", "debug"]),
        "LOG_FORMAT": st.sampled_from(["text", "json"]),
        "MAX_UPLOAD_SIZE_MB": st.integers(1, 3).map(str),
        "CORS_ORIGINS": st.sampled_from(["https://a.example", "https://a.example,http://b.example:8080"]),
        "DATA_DIR": st.sampled_from(["/tmp/elsewhere", "data"]),
        "API_PORT": st.integers(1024, 65_535).map(str),
        "AWS_DEFAULT_REGION": st.sampled_from(["eu-central-1", "us-east-1"]),
        "AWS_SECRET_ACCESS_KEY": st.text(alphabet=string.ascii_letters + "/+", max_size=30).map("k3y-marked-{}".format),
    },
)


@few
@given(variables=VARIABLES)
def test_2_any_set_of_valid_variables_reaches_the_application_and_is_used(
    engine: Engine, image: str, variables: dict[str, str]
) -> None:
    with engine.backend(image, **variables) as running:
        logs = running.container.logs()
        secrets = {"ADMIN_TOKEN", "AWS_SECRET_ACCESS_KEY"} & set(variables)
        for name in secrets:
            assert variables[name] not in logs
        for name, value in variables.items():
            shown = "set" if name in secrets else value.lower() if name == "LOG_LEVEL" else value
            assert re.search(rf'"?{name}"?(=|: ")({re.escape(shown)})', logs), f"{name} in {logs}"
        running.api.ticket()  # ADMIN_TOKEN
        if variables.get("LOG_FORMAT") == "json":
            assert all(json.loads(line) for line in running.container.logs().splitlines())
        limit = int(variables.get("MAX_UPLOAD_SIZE_MB", "10"))
        if limit < 10:
            fields = {"title": "T", "description": "D", "severity": "low", "category": "C"}
            big = {"f": ("a", b"x" * (limit * 1024 * 1024 + 1), "text/plain")}
            answer = running.api.session.post(f"{running.api.url}/api/tickets", data=fields, files=big)
            assert (answer.status_code, f"{limit} MiB" in answer.text) == (413, True)
        if "CORS_ORIGINS" in variables:
            answer = running.api.session.get(f"{running.api.url}/api/tickets", headers={"origin": "https://a.example"})
            assert answer.headers["access-control-allow-origin"] == "https://a.example"
        if variables.get("DATA_DIR", "").startswith("/tmp"):
            running.container.exec("test", "-s", "/tmp/elsewhere/tickets.db")


@few
@given(inside=st.integers(1024, 65_535))
def test_3_any_free_port_works(engine: Engine, image: str, inside: int) -> None:
    with engine.backend(image, port=free_port(), API_PORT=str(inside)) as running:
        assert running.api.is_healthy()


@few
@given(workers=st.integers(1, 3), level=st.sampled_from(["error", "debug"]))
def test_4_health_answers_with_every_ports_state(engine: Engine, image: str, workers: int, level: str) -> None:
    with engine.backend(image, API_WORKERS=str(workers), LOG_LEVEL=level) as running:
        health = running.api.health()
        assert health is not None
        assert set(health["ports"]) == {"tickets", "uploads", "memories", "jobs", "assistant", "space"}
        for port in health["ports"].values():
            assert port["status"] == "ok" and port["latency_ms"] > 0 and port["adapter"]
        assert TOKEN not in json.dumps(health)
        for path in ("/health/live", "/health/ready"):
            assert running.api.get(path).status_code == 200


PROCESSES = (
    "import glob, json\n"
    "def uid(p):\n"
    "    try:\n"
    "        return [l.split()[1:] for l in open(p) if l.startswith(('Uid:', 'Gid:'))]\n"
    "    except OSError:\n"
    "        return None\n"
    "print(json.dumps([u for u in map(uid, glob.glob('/proc/[0-9]*/status')) if u]))"
)


@few
@given(workers=st.integers(1, 4), reload=st.booleans())
def test_5_no_process_runs_as_another_user_than_1000(engine: Engine, image: str, workers: int, reload: bool) -> None:
    command = ("python", "-m", "backend", "serve", *(["--reload"] if reload else []))
    variables = ("-e", f"API_WORKERS={workers}", "-e", f"ADMIN_TOKEN={TOKEN}")
    with engine.container(image, *variables, command=command) as container:
        wanted = 2 if reload or workers == 1 else workers + 1
        wait_until(lambda: container.python(PROCESSES).count("1000") >= wanted * 4, 30, "the processes")
        ids = {one for process in json.loads(container.python(PROCESSES)) for line in process for one in line}
        assert ids == {"1000"}
        if engine.name == "docker":  # Podman's rootless view from outside shows the mapped ids
            rows = engine.run("top", container.id, "-eo", "pid,uid").stdout.splitlines()[1:]
            assert {row.split()[1] for row in rows} == {"1000"}


STATE = ("data", "uploads", "memories")


@few
@given(kind=st.sampled_from(["fresh volume", "bind mount", "tmpfs", "nothing"]), uid=st.sampled_from([1000, 12_345]))
def test_6_the_directories_exist_and_are_writable_on_every_start(
    engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory, kind: str, uid: int
) -> None:
    names = [f"{RUN}-{name}-{free_port()}" for name in STATE]
    folder = tmp_path_factory.mktemp("state")
    words: list[str] = []
    for name, state in zip(names, STATE, strict=True):
        if kind == "bind mount":
            (folder / state).mkdir()
            (folder / state).chmod(0o777)
            words.append(f"--volume={folder / state}:/app/{state}")
        elif kind == "fresh volume" and uid == 1000:
            words.append(f"--volume={name}:/app/{state}")
        elif kind == "tmpfs" or uid != 1000:
            words.append(f"--tmpfs=/app/{state}:size=32m,mode=1777")
    try:
        for _ in range(2):  # the second start finds a used volume
            with engine.backend(image, f"--user={uid}:{uid}", *words) as running:
                running.api.ticket(f=("a.txt", b"hello", "text/plain"))
                for state in STATE:
                    running.container.exec("sh", "-c", f"echo x > /app/{state}/test && cat /app/{state}/test")
    finally:
        for name in names:
            engine.run("volume", "rm", "-f", name, check=False)
        if kind == "bind mount":  # files of a mapped user: only its engine may remove them
            words = [f"--volume={folder}:/clean", "--user=0:0"]
            engine.run("run", "--rm", *words, image, "sh", "-c", "rm -rf /clean/*", check=False)


CHANGES = ("edit", "add", "rewrite in place", "replace by rename", "remove")


def change(tree: Path, how: str, mark: str) -> None:
    """Make `/health/live` answer with `mark`, in one of the ways that editors and git have."""
    path = tree / "backend" / "web" / "health.py"
    text = re.sub(
        r'return json_answer\(\{"status": .*?\}\)', f'return json_answer({{"status": "{mark}"}})', path.read_text()
    )
    if how == "rewrite in place":
        with path.open("r+") as handle:
            handle.write(text)
            handle.truncate()
    elif how == "replace by rename":
        (path.parent / "new").write_text(text)
        (path.parent / "new").replace(path)
    elif how == "add":
        (tree / "backend" / f"mark_{mark}.py").write_text(f'"""New."""\n\nVALUE = "{mark}"\n')
        path.write_text(
            text.replace(f'"{mark}"}})', f'__import__("backend.mark_{mark}").__dict__["mark_{mark}"].VALUE}})')
        )
    elif how == "remove":
        path.write_text(text)
        for left in (tree / "backend").glob("mark_*.py"):
            left.unlink()
    else:
        path.write_text(text)


@pytest.fixture(scope="session")
def reloading(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory):
    """A backend that serves a mounted source tree and reloads it; and the tree."""
    tree = checkout(tmp_path_factory.mktemp("reload") / "tree")
    words = (f"--volume={tree / 'backend'}:/app/backend:ro",)
    port = free_port()
    for parent in (tree, *tree.parents):  # pytest's folders are private; the container's user is another
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    with engine.container(
        image, f"--publish=127.0.0.1:{port}:8000", "-e", f"ADMIN_TOKEN={TOKEN}", *words,
        command=("python", "-m", "backend", "serve", "--reload"),
    ) as container:  # fmt: skip
        api = Backend(port)
        container.wait_healthy(api)
        yield tree, api, container


@settings(few, max_examples=6)
@given(how=st.sampled_from(CHANGES), number=st.integers(0, 10**9))
def test_7_any_source_change_is_reloaded(reloading, how: str, number: int) -> None:
    tree, api, container = reloading
    mark = f"m{number}x{free_port()}"
    change(tree, how, mark)

    def answers() -> bool:
        try:
            return bool(api.get("/health/live").json()["status"] == mark)
        except OSError:
            return False

    try:
        wait_until(answers, 20, f"the change: {how}")
    except AssertionError as problem:
        raise AssertionError(f"{problem}\n{container.logs()[-2000:]}") from None


BAD = st.sampled_from(
    [
        ({"ENVIRONMENT": "production"}, "ADMIN_TOKEN"),
        ({"ENVIRONMENT": "production", "ADMIN_TOKEN": ""}, "ADMIN_TOKEN"),
        ({"ENVIRONMENT": "production", "ADMIN_TOKEN": "changeme"}, "ADMIN_TOKEN"),
        ({"ENVIRONMENT": "production", "ADMIN_TOKEN_FILE": "/nowhere"}, "ADMIN_TOKEN_FILE"),
        ({"API_PORT": "eighty"}, "API_PORT"),
        ({"API_WORKERS": "0"}, "API_WORKERS"),
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"MAX_UPLOAD_SIZE_MB": "ten"}, "MAX_UPLOAD_SIZE_MB"),
    ]
)


@settings(few, max_examples=6)
@given(bad=BAD)
def test_8_a_missing_or_bad_variable_gives_one_clear_line(engine: Engine, image: str, bad: tuple) -> None:
    variables, name = bad
    words = [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
    with engine.container(image, *words) as container:
        assert container.wait_exit() == 78
        lines = container.logs().strip().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("ticket-backend: ") and name in lines[0]
