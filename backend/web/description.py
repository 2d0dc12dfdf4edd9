"""The API's whole description: the calls with their parts (see `openapi.py`), and every shape that these name."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from backend import __version__
from backend.web.credentials import COOKIE
from backend.web.openapi import FILES, OF_THE_SERVER, REF, answers

QUERIES = (
    "PageQuery",
    "TicketListQuery",
    "MemoryListQuery",
    "SearchQuery",
    "AuditQuery",
    "EventQuery",
    "DeliveryListQuery",
    "ExportQuery",
    "StatsQuery",
    "ImportQuery",
    "TagQuery",
)
_OPEN = ("/health", "/metrics")

DESCRIPTION = """A helpdesk in one rootless container.

Send `Authorization: Bearer <token>` with every call under `/api`; pages sign in at `/api/session` for a cookie. Errors
are `application/problem+json` (RFC 9457).
Lists are paged by cursor. Changes take `If-Match`, POSTs take `Idempotency-Key`."""


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole OpenAPI document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title="Ticket Backend", version=__version__, description=DESCRIPTION, routes=app.routes)
    shapes = document.setdefault("components", {}).setdefault("schemas", {})
    shapes.update(_shapes())
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    document["security"] = [{"bearer": []}, {"session": []}]
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            _tidy(path, call, shapes)
            if method not in ("get", "head") and "401" in call["responses"]:
                call["responses"].setdefault("403", answers(None, 403, status=None)[403])
            for status, answer in answers(None, *OF_THE_SERVER, status=None, closed=False).items():
                call["responses"].setdefault(str(status), answer)
    for query in QUERIES:
        shapes.pop(query, None)
    shapes.pop("HTTPValidationError", None)
    shapes.pop("ValidationError", None)
    app.openapi_schema = document
    return document


def _shapes() -> dict[str, Any]:
    """Every shape of an answer or a body, by its name."""
    from backend.domain import access, bulk, collections, links, renames, sla, tickets, triage, webhooks
    from backend.domain import imports as drafts
    from backend.domain import memories as memory_values
    from backend.web import (
        audit,
        deps,
        events,
        exchange,
        exports,
        figures,
        imports,
        labels,
        memories,
        record_schemas,
        schemas,
        search,
        sessions,
        triage_schemas,
        webhook_schemas,
    )
    from backend.web import tickets as ticket_calls
    from backend.web import webhooks as webhook_calls

    bodies = (
        memory_values.MemoryDraft,
        memory_values.FeedbackDraft,
        tickets.TicketDraft,
        tickets.TicketChange,
        tickets.CommentDraft,
        tickets.ResolutionDraft,
        links.MergeDraft,
        links.LinkDraft,
        bulk.BulkDraft,
        triage.Choice,
        sla.SlaDraft,
        *(one.draft for one in (collections.CATEGORIES, collections.TEAMS, collections.REPLIES, collections.VIEWS)),
        access.TokenDraft,
        renames.RenameDraft,
        renames.RecordMergeDraft,
        drafts.ImportDraft,
        webhooks.WebhookDraft,
        webhooks.WebhookChange,
        sessions.SessionDraft,
        deps.PageQuery,
        ticket_calls.TicketListQuery,
        memories.MemoryListQuery,
        audit.AuditQuery,
        events.EventQuery,
        webhook_calls.DeliveryListQuery,
        search.SearchQuery,
        exports.ExportQuery,
        figures.StatsQuery,
        imports.ImportQuery,
        labels.TagQuery,
    )
    answered = (
        *schemas.ANSWERS,
        *record_schemas.ANSWERS,
        *triage_schemas.ANSWERS,
        *webhook_schemas.ANSWERS,
        *exchange.ANSWERS,
    )
    models = [(model, "serialization") for model in answered] + [(model, "validation") for model in bodies]
    _, definitions = models_json_schema(models, ref_template=REF)  # type: ignore[arg-type]
    shapes: dict[str, Any] = definitions["$defs"]
    return shapes


def _tidy(path: str, call: dict[str, Any], shapes: dict[str, Any]) -> None:
    """Drop FastAPI's own 422, which is not our problem body, and the lock on what is open to all."""
    answer = call["responses"].get("422", {})
    if "HTTPValidationError" in str(answer):
        del call["responses"]["422"]
    if path.startswith(_OPEN):
        call["security"] = []
    call["parameters"] = [
        parameter
        for one in call.get("parameters", ())
        for parameter in (_parameters(shapes[one["name"]]) if one["name"] in QUERIES else [one])
    ]
    form = call.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema", {})
    if "$ref" in form:
        _complete_form(form, shapes)


def _parameters(shape: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields of a query's shape as parameters."""
    return [
        {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": schema}
        | ({"description": schema["description"]} if "description" in schema else {})
        for name, schema in shape["properties"].items()
    ]


def _complete_form(form: dict[str, Any], shapes: dict[str, Any]) -> None:
    """A form has the fields of its shape, and files."""
    shape = shapes[form.pop("$ref").rpartition("/")[2]]
    form |= {"type": "object", "properties": {**shape["properties"], "files": FILES}, "required": shape["required"]}
