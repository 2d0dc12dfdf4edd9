"""Schemathesis over the whole OpenAPI document, against the real process: no 5xx, no answer that it does not name.

Every operation is called with good and bad input, as an administrator and as a requester.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
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
ENDLESS = {"GET /api/events"}  # it has tests of its own, which hang up


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
    with running(tmp_path_factory.mktemp("fuzz"), MAX_UPLOAD_SIZE_MB="1", LOG_LEVEL="warning") as (_, port):
        _, made = call(port, "POST", "/api/tokens", {"name": "Grace", "role": "requester"})
        _, ticket = call(port, "POST", "/api/tickets", {**TICKET, "requester": "Grace"})
        call(port, "POST", f"/api/tickets/{ticket['id']}/resolve", {"resolution": "It was the drum."})
        yield Running(port, {"admin": ADMIN_TOKEN, "requester": made["token"]}, known_ids(port, ticket["id"]))


def known_ids(port: int, ticket_id: str) -> dict[str, str]:
    """Of everything that hangs on one ticket, which is a memory too."""
    _, tokens = call(port, "GET", "/api/tokens")
    return {"ticket_id": ticket_id, "memory_id": ticket_id, "token_id": tokens["items"][0]["id"][:-1] + "0"}


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
