"""Schemathesis over the whole OpenAPI document, against the real process: no 5xx, no answer that it does not name.

Every operation is called with good and bad input, as an administrator and as a requester.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation

from backend.main import create_app
from backend.settings import load_settings
from tests.conftest import ADMIN_TOKEN, variables
from tests.process.test_process import TICKET, call, running

EXAMPLES = 20
SETTINGS = {"MAX_UPLOAD_SIZE_MB": "1", "LOG_LEVEL": "warning", "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}
ENDLESS = {"GET /api/events"}  # it has tests of its own, which hang up


@schemathesis.serializer("application/x-tar")
def _as_it_is(_: object, value: object) -> bytes:
    """Bytes of no sound archive."""
    return value if isinstance(value, bytes) else json.dumps(value, default=repr).encode()


def operations() -> list[APIOperation]:
    document = create_app(load_settings(variables(Path("/nonexistent")))).openapi()
    found = [operation.ok() for operation in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(found) > 20
    return [operation for operation in found if operation.label not in ENDLESS]


@dataclass(frozen=True)
class Running:
    """A server, a token of each role, and ids that exist: path parameter → value."""

    port: int
    tokens: dict[str, str]
    known: dict[str, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("fuzz"), **SETTINGS) as (_, port):
        _, made = call(port, "POST", "/api/tokens", {"name": "Grace", "role": "requester"})
        _, ticket = call(port, "POST", "/api/tickets", {**TICKET, "requester": "Grace"})
        call(port, "POST", f"/api/tickets/{ticket['id']}/resolve", {"resolution": "It was the drum."})
        yield Running(port, {"admin": ADMIN_TOKEN, "requester": made["token"]}, known_ids(port, ticket["id"]))


def known_ids(port: int, ticket_id: str) -> dict[str, str]:
    """Ids of one of everything that an address may name. Of the ticket and of what hangs on it; it is a memory too."""

    def made(path: str, body: object) -> str:
        return str(call(port, "POST", f"/api/{path}", body)[1]["id"])

    _, tokens = call(port, "GET", "/api/tokens")
    webhook = made("webhooks", {"url": "http://127.0.0.1:9/"})
    other = made("tickets", {**TICKET, "tags": ["old"]})
    call(port, "POST", f"/api/tickets/{ticket_id}/links", {"kind": "related", "ticket_id": other})
    return {
        "ticket_id": ticket_id,
        "memory_id": ticket_id,
        "other_id": other,
        "attachment_id": an_attachment(port, ticket_id),
        "token_id": tokens["items"][0]["id"][:-1] + "0",
        "category_id": made("categories", {"name": "C"}),
        "team_id": made("teams", {"name": "T", "active": False}),
        "reply_id": made("replies", {"title": "R", "body": "About {{number}}, {{requester}}."}),
        "view_id": made("views", {"name": "V", "shared": True, "query": {"status": ["open"]}}),
        "webhook_id": webhook,
        "delivery_id": made(f"webhooks/{webhook}/test", None),
        "import_id": an_import(port),
        "rename_id": made("tags/rename", {"from": "old", "to": "new"}),
    }


def an_attachment(port: int, ticket_id: str) -> str:
    """A file on the ticket."""
    answer = sent(port, f"tickets/{ticket_id}/attachments", files={"files": ("a.txt", b"hello")})
    return str(answer["items"][0]["id"])


def an_import(port: int) -> str:
    """An import that has a refused row."""
    mapping = {"columns": {"Title": "title", "Priority": "severity"}}
    table = b"Title,Priority\nGood,low\nBad,purple\n"
    return str(sent(port, "imports", data={"mapping": json.dumps(mapping)}, files={"file": ("t.csv", table)})["id"])


def sent(port: int, path: str, **form: Any) -> dict[str, Any]:
    """The answer to a form with a file."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    answer = requests.post(f"http://127.0.0.1:{port}/api/{path}", headers=headers, timeout=10, **form)
    assert answer.ok, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_address_names_something_that_exists(server: Running) -> None:
    named = {parameter.name for operation in operations() for parameter in operation.path_parameters}
    assert named == server.known.keys()


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_every_answer_is_documented(operation: APIOperation, server: Running) -> None:
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @given(case=st.one_of(good, bad), role=st.sampled_from(sorted(server.tokens)), real=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    def play(case: schemathesis.Case, role: str, real: bool) -> None:
        if real:
            case.path_parameters.update(
                {name: server.known[name] for name in case.path_parameters if name in server.known}
            )
        answer = case.call(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"Authorization": f"Bearer {server.tokens[role]}"},
            timeout=20,
        )
        assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.status_code} {answer.text}"
        case.validate_response(answer, excluded_checks=NOT_MEANT)

    play()


# These judge how strict an API is about what generators call invalid (an unknown header's value, say), not what it answers.
NOT_MEANT = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "negative_data_rejection",
        "positive_data_acceptance",
        "missing_required_header",
        "unsupported_method",
        "ignored_auth",
        "use_after_free",
        "ensure_resource_availability",
    )
]
