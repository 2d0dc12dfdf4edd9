"""The API's description: what FastAPI can't tell from the code, since bodies are read part by part."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from backend import __version__
from backend.web.credentials import COOKIE

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
)
_REF = "#/components/schemas/{model}"
_OPEN = ("/health", "/metrics")

DESCRIPTION = """A helpdesk in one rootless container.

Send `Authorization: Bearer <token>` with every call under `/api`; pages sign in at `/api/session` for a cookie. Errors
are `application/problem+json` (RFC 9457).
Lists are paged by cursor. Changes take `If-Match`, POSTs take `Idempotency-Key`."""

FIGURES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
STREAM: dict[str, Any] = {
    "description": "Events without end, each with `id`, `event` and `data`.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
BINARY: dict[str, Any] = {
    "description": "The bytes.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_FILES = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "any number of parts with a file name, up to 20, under any name",
}
FILES_FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {"files": _FILES}, "required": ["files"]}}
    },
}


_WHEN = {
    304: "The client has this version already (If-None-Match).",
    400: "The request makes no sense, such as a broken form, an empty file or a cursor of another list.",
    401: "No bearer token, or one that is unknown, revoked or expired.",
    403: "The token's role does not allow this; or another site's page tried to write with a session's cookie.",
    404: "There is no such thing, or it is none of the caller's business.",
    409: "The present state does not allow this.",
    412: "The If-Match version is not the current one.",
    413: "Over a limit, which `detail` names.",
    415: "The content is of another type than allowed or claimed.",
    416: "The range lies outside the file.",
    422: "A field is missing, unknown or not allowed, as `errors` says; or the Idempotency-Key was used before.",
    429: "Asked too often, or too many wrong tokens came from this address; try again after Retry-After.",
    503: "A store can't be reached or written; try again after Retry-After.",
}
_ETAG = {"ETag": {"description": "the version", "schema": {"type": "string"}, "example": '"3"'}}
_LOCATION = {"Location": {"description": "where it is", "schema": {"type": "string"}}}

Answers = dict[int | str, dict[str, Any]]


def answers(
    shape: str | None,
    *problems: int,
    status: int | None = 200,
    etag: bool = False,
    location: bool = False,
    not_modified: bool = False,
    closed: bool = True,
) -> Answers:
    """What a call may answer: a shape of `web/schemas.py` by its name, and problems.

    401, 429 and 503 are added to what is `closed`, that is, asks for a token. Shapes are named and not imported, so
    that only whoever reads the documentation pays for making them.
    """
    found: Answers = {}
    if status is not None:
        headers = {**(_ETAG if etag else {}), **(_LOCATION if location else {})}
        found[status] = {"description": "Done.", **({"headers": headers} if headers else {}), **json_of(shape)}
    if not_modified:
        found[304] = {"description": _WHEN[304]}
    for problem in sorted({*problems, 401, 429, 503} if closed else problems):
        content = {"application/problem+json": {"schema": _reference("Problem")}}
        found[problem] = {"description": _WHEN[problem], "content": content}
    return found


def _reference(shape: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=shape)}


def json_of(shape: str | None) -> dict[str, Any]:
    """An answer's content; nothing where there is no shape."""
    return {"content": {"application/json": {"schema": _reference(shape)}}} if shape else {}


def body_of(shape: str, *media_types: str) -> dict[str, Any]:
    """A required body of this shape."""
    return {"required": True, "content": {kind: {"schema": _reference(shape)} for kind in media_types}}


def query_of(shape: str) -> dict[str, Any]:
    """The parameters of a list: the fields of this shape (see `_parameters`)."""
    return {"parameters": [{"in": "query", "name": shape}]}


def form_of(shape: str) -> dict[str, Any]:
    """A required body: the shape as JSON, or a form with its fields and files (see `_complete_form`)."""
    return body_of(shape, "application/json", "multipart/form-data")


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
    for query in QUERIES:
        shapes.pop(query, None)
    shapes.pop("HTTPValidationError", None)
    shapes.pop("ValidationError", None)
    app.openapi_schema = document
    return document


def _shapes() -> dict[str, Any]:
    """Every shape of an answer or a body, by its name."""
    from backend.domain import access, bulk, collections, links, sla, tickets, webhooks
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
        memories,
        record_schemas,
        schemas,
        search,
        sessions,
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
        sla.SlaDraft,
        *(one.draft for one in (collections.CATEGORIES, collections.TEAMS, collections.REPLIES, collections.VIEWS)),
        access.TokenDraft,
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
    )
    answered = (*schemas.ANSWERS, *record_schemas.ANSWERS, *webhook_schemas.ANSWERS, *exchange.ANSWERS)
    models = [(model, "serialization") for model in answered] + [(model, "validation") for model in bodies]
    _, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
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
    form |= {"type": "object", "properties": {**shape["properties"], "files": _FILES}, "required": shape["required"]}
