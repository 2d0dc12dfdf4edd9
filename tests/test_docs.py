"""What the documentation says, held against the code."""

import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from backend import errors, settings
from backend.settings import VARIABLES, load_settings
from backend.web import record_schemas, schemas, webhook_schemas
from backend.web.answers import ticket_body
from backend.web.schemas import TicketOut
from tests.builders import a_ticket
from tests.conftest import Client

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "backend/README.md").read_text("utf-8")
EXAMPLE = (ROOT / "backend/.env.docker.example").read_text("utf-8")


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_has_its_row(variable: settings.Variable) -> None:
    (row,) = re.findall(rf"^\| `{variable.name}`.*$", GUIDE, re.MULTILINE)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert ("(secret)" in cells[0]) == variable.secret
    assert "required" in cells[1] or cells[1] == "optional"
    assert ("required" in cells[1]) == (variable.name == "ADMIN_TOKEN")
    if variable.default:
        assert f"`{variable.default}`" in cells[2]


def test_example_environment_names_every_variable_and_loads() -> None:
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE))
    assert {variable.name for variable in VARIABLES} <= named
    values = dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert load_settings(values, Path("/nonexistent")).environment == "development"
    assert not re.search(r"^[A-Z0-9_]+=.*(['\"]| #)", EXAMPLE, re.MULTILINE), (
        "quotes and comments read differently everywhere"
    )
    assert "required" in EXAMPLE.lower() and "optional" in EXAMPLE.lower()


def test_example_names_nothing_that_does_not_exist() -> None:
    known = {variable.name for variable in VARIABLES} | set(re.findall(r"`([A-Z][A-Z0-9_]+)`", GUIDE))
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE))
    unknown = {name for name in named if not {name, name.removesuffix("_FILE")} & known}
    assert all(name.startswith("AWS_ENDPOINT_URL") for name in unknown), unknown


def test_compose_files_pass_every_variable_on_by_name() -> None:
    passed = set(
        re.findall(r"^[A-Z][A-Z0-9_]*$", (ROOT / "backend/scripts/passed.env").read_text("utf-8"), re.MULTILINE)
    )
    for name in ("compose.yaml", "compose.prod.yaml"):
        text = (ROOT / name).read_text("utf-8")
        given = set(re.findall(r"^      ([A-Z][A-Z0-9_]*): ", text, re.MULTILINE))
        assert {variable.name for variable in VARIABLES} <= passed | given
        assert "- backend/scripts/passed.env" in text
        assert not re.search(r"^      [A-Z][A-Z0-9_]*:$", text, re.MULTILINE), (
            "podman-compose would fail over an override"
        )


@pytest.mark.parametrize("name", ["README.md", "backend/README.md"])
def test_files_that_are_named_exist(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (folder / target).exists(), target
    for script in set(re.findall(r"backend/scripts/[a-z-]+\.sh", text)):
        assert (ROOT / script).stat().st_mode & 0o111, f"{script} is executable"


def test_exit_codes_are_documented() -> None:
    for kind in (errors.BadConfiguration, errors.StorageRefused, errors.BackupRefused):
        assert f"| {kind.exit_code} |" in GUIDE


def test_every_call_is_complete(app: FastAPI) -> None:
    document = app.openapi()
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            assert call["summary"] and call["description"], f"{method} {path}"
            assert call["tags"], f"{method} {path}"
            for status, answer in call["responses"].items():
                if int(status) >= 400 and not path.startswith("/health"):
                    assert "application/problem+json" in answer["content"], f"{method} {path} {status}"
            if path.startswith("/api"):
                assert {"401", "429", "503"} <= set(call["responses"]), f"{method} {path}"
                assert method in ("get", "head") or "403" in call["responses"], f"{method} {path}"


def test_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert names <= set(document["components"]["schemas"])


def test_every_shape_has_an_example_that_it_takes(app: FastAPI) -> None:
    for model in (*schemas.ANSWERS, *record_schemas.ANSWERS, *webhook_schemas.ANSWERS):
        for example in model.model_config.get("json_schema_extra", {}).get("examples", []):
            model.model_validate(example)
    for name in (
        "TicketDraft",
        "TicketChange",
        "CommentDraft",
        "ResolutionDraft",
        "TokenDraft",
        "BulkDraft",
        "ImportDraft",
        "SlaDraft",
        "WebhookDraft",
        "WebhookChange",
    ):
        assert app.openapi()["components"]["schemas"][name]["examples"]


def test_tickets_answers_have_the_shape_that_is_documented() -> None:
    assert set(TicketOut.model_fields) == {*a_ticket()._fields, "merged_into"} - {"public_version", "public_updated_at"}
    ticket = a_ticket()
    assert "deleted_at" not in ticket_body(ticket)


def test_page_shows_every_call_and_loads_nothing_from_elsewhere(app: FastAPI, admin: Client) -> None:
    answer = admin.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)='?\"?(?:https?:)?//", answer.text)
    assert "<script" not in answer.text
    for path in app.openapi()["paths"]:
        assert path in answer.text
    assert admin.get("/docs/style.css").headers["content-type"].startswith("text/css")
    assert admin.get("/", follow_redirects=False).headers["location"] == "/queue"


def test_lists_document_their_parameters(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    named = {one["name"] for one in paths["/api/tickets"]["get"]["parameters"]}
    assert {
        "status",
        "severity",
        "category",
        "assignee",
        "team",
        "tag",
        "requester",
        "q",
        "sort",
        "limit",
        "cursor",
    } <= named
    for path in ("/api/memories", "/api/tickets/{ticket_id}/comments", "/api/tickets/{ticket_id}/history"):
        assert {"limit", "cursor"} <= {one["name"] for one in paths[path]["get"]["parameters"]}
    assert not {"PageQuery", "TicketListQuery", "MemoryListQuery", "SearchQuery"} & set(
        app.openapi()["components"]["schemas"]
    )
