"""What every test may ask for: an application on fresh directories, and requests to it without a network."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, settings

from backend import wiring, worker
from backend.main import create_app
from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import wire
from tests.client import Client
from tests.models import MODEL, Models, standing_in
from tests.stored import OnAws, OnDisk, Stored

CONTAINERS = Path(__file__).parent / "containers"
ADMIN_TOKEN = "the-admin-token-of-the-tests"
ADAPTERS = ("embedded", "aws")

# What has no meaning on AWS, or no room in DynamoDB Local of 2020, which takes 10 actions in a transaction.
NOT_ON_AWS = {
    "tests/contract/test_exchange.py::test_add_many_is_all_or_none_and_once": "too many actions; see tests/aws",
    "tests/contract/test_memories.py::test_edits_never_overwrite_each_other": "moto looks at If-Match and writes in two "
    "steps, S3 in one",
    "tests/contract/test_ticket_search.py::test_finds_exactly_what_matches_in_every_order[some are]": "of SQLite's search",
    "tests/contract/test_ticket_search.py::test_finds_exactly_what_matches_in_every_order[all are]": "of SQLite's search",
    "tests/web/test_imports.py::test_many_rows_in_batches_come_once_each_and_in_order": "too many actions; see tests/aws",
    "tests/web/test_health.py::test_says_which_port_fails_and_recovers": "takes directories away; see tests/aws",
    "tests/web/test_health.py::test_is_ready_only_while_uploads_would_be_kept": "takes directories away; see tests/aws",
    "tests/web/test_event_loop.py::test_lists_searches_and_exports_of_many_long_tickets": "DynamoDB Local takes longer "
    "than SEARCH_SECONDS to read so much",
    "tests/web/test_health.py::test_upload_without_its_directory_is_503_and_leaves_no_ticket": "takes a directory away; "
    "see tests/aws",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the container and systemd tests: here, since pytest reads deeper folders too late."""
    required = os.environ.get("TICKET_REQUIRE_ENGINES", "")
    parser.addoption("--engine", choices=("podman", "docker"), help="only this container engine")
    parser.addoption(
        "--require-engines",
        default=required,
        help="engines, separated by commas, whose absence is a failure and not a skip",
    )
    parser.addoption(
        "--require-systemd",
        action="store_true",
        default=bool(os.environ.get("TICKET_REQUIRE_SYSTEMD")),
        help="the absence of a systemd user session with Podman 5 is a failure and not a skip",
    )
    parser.addoption(
        "--require-browser",
        action="store_true",
        default=bool(os.environ.get("TICKET_REQUIRE_BROWSER")),
        help="the absence of Chromium is a failure and not a skip",
    )
    parser.addoption(
        "--require-nginx",
        action="store_true",
        default=bool(os.environ.get("TICKET_REQUIRE_NGINX")),
        help="the absence of nginx is a failure and not a skip",
    )
    parser.addoption("--base-url", default="", help="the browser tests visit this helpdesk instead of one of their own")
    parser.addoption("--base-token", default=ADMIN_TOKEN, help="its administrator's token")
    parser.addoption(
        "--require-aws",
        action="store_true",
        default=bool(os.environ.get("TICKET_REQUIRE_AWS")),
        help="the absence of Java or DynamoDB Local is a failure and not a skip",
    )
    parser.addoption(
        "--adapters", choices=ADAPTERS, default="embedded", help="what the tests of the ports and of the API run on"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip on AWS what NOT_ON_AWS says, with its reason."""
    if config.getoption("--adapters") == "aws":
        for item in items:
            reason = NOT_ON_AWS.get(item.nodeid) or NOT_ON_AWS.get(item.nodeid.partition("[")[0])
            if reason:
                item.add_marker(pytest.mark.skip(reason))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Engines and versions, where container tests are among those asked for."""
    asked = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    ignored = [Path(path).resolve() for path in config.getoption("ignore") or ()]
    if CONTAINERS in ignored or not any(CONTAINERS.is_relative_to(p) or p.is_relative_to(CONTAINERS) for p in asked):
        return []
    from tests.containers.conftest import header

    return header(config)


logging.getLogger("httpx2").setLevel(logging.WARNING)  # the application's own line tells of each request

worker.IDLE_SECONDS = 0.1  # tests of imports and webhooks wait for their turn

settings.register_profile(
    "suite", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")


def variables(root: Path, **more: str) -> dict[str, str]:
    """An environment whose state lies under `root`."""
    return {
        "DATA_DIR": str(root / "data"),
        "UPLOAD_DIR": str(root / "uploads"),
        "MEMORY_DIR": str(root / "memories"),
        "ADMIN_TOKEN": ADMIN_TOKEN,
        **more,
    }


@cache
def empty_database() -> bytes:
    """A database that is up to date and holds nothing. Made once: the steps of its schema take longer than most tests."""
    with TemporaryDirectory() as folder:
        ports = wire(load_settings(variables(Path(folder)), Path("/nonexistent")))
        ports.open()
        ports.close()
        return (Path(folder) / "data/tickets.db").read_bytes()


def with_database(root: Path) -> Path:
    """The same folder, now with an empty database for `variables(root)`, unless there is one."""
    database = root / "data/tickets.db"
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        database.write_bytes(empty_database())
    return root


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """A stand-in for Bedrock of the test's own, where boto3 finds it."""
    with standing_in() as models:
        for name, value in models.environ().items():
            monkeypatch.setenv(name, value)
        yield models


@pytest.fixture(scope="session")
def clouds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """AWS's engines; skips with the reason where they can't run, unless they are required."""
    from backend.adapters.aws import clients, table  # here, since boto3 takes its time
    from tests import clouds as clouds_

    reason = clouds_.missing()
    if reason and request.config.getoption("--require-aws"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with (
        clouds_.running(tmp_path_factory.mktemp("aws")) as clouds,
        standing_in() as models,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in (clouds.environ() | models.environ()).items():
            patch.setenv(name, value)
        patch.setattr(table, "MOST_ACTIONS", clouds_.MOST_ACTIONS)
        patch.setattr(clients, "READ_SECONDS", 60.0)  # a busy machine's Java may pause for long
        yield clouds


def on_aws(root: Path) -> dict[str, str]:
    """An environment whose state lies in a fresh table, bucket and queue."""
    from tests import clouds as clouds_

    found = variables(root, **clouds_.variables())
    wiring.CloudSetup(load_settings(found)).make()
    return found


@pytest.fixture
def aws_variables(clouds: Any, tmp_path: Path) -> dict[str, str]:
    """Such an environment, whatever `--adapters` says."""
    return on_aws(tmp_path)


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Callable[[Path], dict[str, str]]:
    """Makes empty stores of the adapters that were asked for, what they have of files under a folder."""
    if request.config.getoption("--adapters") == "aws":
        request.getfixturevalue("clouds")
        return lambda root: on_aws(root) | {"BEDROCK_MODEL_ID": MODEL}
    return lambda root: variables(with_database(root))


@contextmanager
def reopening(environment: dict[str, str]) -> Iterator[Callable[[], Ports]]:
    """What opens the ports, each time as another process would; all are closed at the end."""
    held: list[Ports] = []

    def open_again() -> Ports:
        ports = wire(load_settings(environment, Path("/nonexistent")))
        ports.open()
        held.append(ports)
        return ports

    yield open_again
    for ports in held:
        ports.close()


@pytest.fixture
def stores(fresh: Callable[[Path], dict[str, str]], tmp_path: Path) -> dict[str, str]:
    """The environment of the application."""
    return fresh(tmp_path)


@pytest.fixture
def stored(request: pytest.FixtureRequest, stores: dict[str, str]) -> Stored:
    """What lies in the stores."""
    if "DYNAMODB_TABLE_NAME" in stores:
        clouds = request.getfixturevalue("clouds")
        names = stores["DYNAMODB_TABLE_NAME"], stores["UPLOAD_BUCKET"]
        return OnAws(clouds.client("dynamodb"), clouds.client("s3"), *names)
    return OnDisk(Path(stores["DATA_DIR"]).parent)


@pytest.fixture
def app(stores: dict[str, str]) -> FastAPI:
    """The application on fresh stores."""
    return create_app(load_settings({**stores, "MAX_UPLOAD_SIZE_MB": "1", "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}))


@pytest.fixture
def admin(app: FastAPI) -> Iterator[Client]:
    """The first administrator."""
    with Client(app, raise_server_exceptions=False) as client:
        yield client.speaking(ADMIN_TOKEN)


@pytest.fixture
def person(admin: Client) -> Callable[..., Client]:
    """Somebody with a role: `person("agent", "Ada")`."""

    def make(role: str, name: str, **more: Any) -> Client:
        draft = {"name": name, "role": role, "email": f"{name.lower()}@example.org", **more}
        answer = admin.post("/api/tokens", json=draft)
        assert answer.status_code == 201, answer.text
        return admin.speaking(answer.json()["token"])

    return make


@pytest.fixture
def agent(person: Callable[..., Client]) -> Client:
    """An agent."""
    return person("agent", "Ada")


@pytest.fixture
def requester(person: Callable[..., Client]) -> Client:
    """A requester."""
    return person("requester", "Grace")


def positions(app: FastAPI) -> list[int]:
    """Of all events. They go up, but not in every store by one."""
    return [one.number for one in asyncio.run(app.state.ports.tickets.list_events(0, 500))]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem body, once it has been held against RFC 9457 and the status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] and body["detail"] and "Traceback" not in answer.text
    return body
