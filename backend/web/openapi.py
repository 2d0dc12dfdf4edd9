"""What a call takes and answers, as OpenAPI has it: FastAPI can't tell it from the code, since bodies are read part by
part. `description.py` makes the whole document of it."""

from typing import Any

REF = "#/components/schemas/{model}"

FIGURES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
STREAM: dict[str, Any] = {
    "description": "Events without end, each with `id`, `event` and `data`.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
BINARY: dict[str, Any] = {
    "description": "The bytes, as the type that their content showed.",
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
}
FILES = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "any number of parts with a file name, up to 20, under any name",
}
_INTERNAL = {"type": "boolean", "default": False, "description": "whether only agents see the files"}
FILES_FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"files": FILES, "internal": _INTERNAL},
                "required": ["files"],
            }
        }
    },
}


_WHEN = {
    304: "The client has this version already (If-None-Match).",
    400: "The request makes no sense, such as a broken form, an empty file or a cursor of another list.",
    401: "No bearer token, or one that is unknown, revoked or expired.",
    403: "The token's role does not allow this; or another site's page tried to write with a session's cookie.",
    404: "There is no such thing, or it is none of the caller's business.",
    408: "The request did not arrive in time.",
    409: "The present state does not allow this.",
    412: "The If-Match version is not the current one.",
    413: "Over a limit, which `detail` names.",
    414: "The address is too long.",
    415: "The content is of another type than allowed or claimed.",
    416: "The range lies outside the file.",
    422: "A field is missing, unknown or not allowed, as `errors` says; or the Idempotency-Key was used before.",
    429: "Asked too often, or too many wrong tokens came from this address; try again after Retry-After.",
    431: "The header fields are too large, or too many.",
    503: "A store can't be reached or written; try again after Retry-After.",
    507: "The disk is nearly full: nothing new is taken.",
}
OF_THE_SERVER = (408, 414, 431)
"""What any call may be answered before it reaches the application, see connections.py."""
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

    401, 429, 503 and 507 are added to what is `closed`, that is, asks for a token. Shapes are named and not imported,
    so that only whoever reads the documentation pays for making them.
    """
    found: Answers = {}
    if status is not None:
        headers = {**(_ETAG if etag else {}), **(_LOCATION if location else {})}
        found[status] = {"description": "Done.", **({"headers": headers} if headers else {}), **json_of(shape)}
    if not_modified:
        found[304] = {"description": _WHEN[304]}
    for problem in sorted({*problems, 401, 429, 503, 507} if closed else problems):
        content = {"application/problem+json": {"schema": _reference("Problem")}}
        found[problem] = {"description": _WHEN[problem], "content": content}
    return found


def _reference(shape: str) -> dict[str, str]:
    return {"$ref": REF.format(model=shape)}


def json_of(shape: str | None) -> dict[str, Any]:
    """An answer's content; nothing where there is no shape."""
    return {"content": {"application/json": {"schema": _reference(shape)}}} if shape else {}


def body_of(shape: str, *media_types: str) -> dict[str, Any]:
    """A required body of this shape."""
    return {"required": True, "content": {kind: {"schema": _reference(shape)} for kind in media_types}}


def query_of(shape: str) -> dict[str, Any]:
    """The parameters of a list: the fields of this shape (see `description.py`)."""
    return {"parameters": [{"in": "query", "name": shape}]}


def form_of(shape: str) -> dict[str, Any]:
    """A required body: the shape as JSON, or a form with its fields and files (see `description.py`)."""
    return body_of(shape, "application/json", "multipart/form-data")
