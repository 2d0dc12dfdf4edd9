"""The API's description: what FastAPI can't tell from the code, since bodies are read part by part."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from backend import __version__
from backend.domain.access import TokenDraft
from backend.domain.tickets import CommentDraft, ResolutionDraft, TicketChange, TicketDraft

_BODIES: tuple[type[BaseModel], ...] = (TicketDraft, TicketChange, CommentDraft, ResolutionDraft, TokenDraft)
_REF = "#/components/schemas/{model}"
_OPEN = ("/health", "/metrics")

DESCRIPTION = """A helpdesk in one rootless container.

Send `Authorization: Bearer <token>` with every call under `/api`. Errors are `application/problem+json` (RFC 9457).
Lists are paged by cursor. Changes take `If-Match`, POSTs take `Idempotency-Key`."""

WITH_ETAG: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "the ticket's version", "schema": {"type": "string"}, "example": '"3"'}}}
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


def created() -> dict[int | str, dict[str, Any]]:
    """The headers of an answer 201."""
    location = {"Location": {"description": "where it is", "schema": {"type": "string"}}}
    return {201: {"headers": location}}


def body_of(model: type[BaseModel], *media_types: str) -> dict[str, Any]:
    """A required body of this model."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"required": True, "content": {media_type: {"schema": schema} for media_type in media_types}}


def form_of(model: type[BaseModel], *, also_json: bool) -> dict[str, Any]:
    """A required body: a form with the model's fields and files, or the model as JSON."""
    reference = {"$ref": _REF.format(model=model.__name__)}
    fields = model.model_json_schema(ref_template=_REF)
    form = {
        "type": "object",
        "properties": {**fields["properties"], "files": _FILES},
        "required": fields["required"],
    }
    content: dict[str, Any] = {"application/json": {"schema": reference}} if also_json else {}
    return {"required": True, "content": {**content, "multipart/form-data": {"schema": form}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole OpenAPI document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title="Ticket Backend", version=__version__, description=DESCRIPTION, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, definitions = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)
    schemas.update(definitions["$defs"])
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}]
    for path, calls in document["paths"].items():
        for call in calls.values():
            _tidy(path, call)
    app.openapi_schema = document
    return document


def _tidy(path: str, call: dict[str, Any]) -> None:
    """Drop FastAPI's own 422, which is not our problem body, and the lock on what is open to all."""
    answer = call["responses"].get("422", {})
    if "HTTPValidationError" in str(answer):
        del call["responses"]["422"]
    if path.startswith(_OPEN):
        call["security"] = []
