"""The page at /docs: the OpenAPI document as HTML. It loads nothing from elsewhere and needs no JavaScript."""

import json
import shlex
import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from orjson import dumps as to_json
from starlette.responses import Response

from backend.web.answers import JSON
from backend.web.prepared import Once, Prepared

router = APIRouter(include_in_schema=False)

_STYLE = Path(__file__).parent / "static" / "docs.css"
_NO_CACHE = {"cache-control": "no-cache"}
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'",
    **_NO_CACHE,
}
_METHODS = ("get", "head", "post", "put", "patch", "delete")

Document = dict[str, Any]


def install(app: FastAPI) -> None:
    """Add the page and the document, each of which is made once."""
    one_at_a_time = threading.Lock()

    def described() -> Document:
        with one_at_a_time:
            return app.openapi()

    app.state.documents = {
        "/openapi.json": Once(lambda: Prepared(to_json(described()), JSON, _NO_CACHE)),
        "/docs": Once(lambda: Prepared(page(described()).encode(), "text/html; charset=utf-8", _HEADERS)),
        "/docs/style.css": Once(lambda: Prepared(_STYLE.read_bytes(), "text/css; charset=utf-8", _NO_CACHE)),
    }
    app.routes.extend(router.routes)


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
@router.api_route("/docs", methods=["GET", "HEAD"])
@router.api_route("/docs/style.css", methods=["GET", "HEAD"])
async def document(request: Request) -> Response:
    """One of them, with an ETag."""
    documents: dict[str, Once] = request.app.state.documents
    return (await documents[request.url.path].get()).answer(request)


def page(document: Document) -> str:
    """The whole page."""
    groups = _groups(document)
    about = document["info"]
    return "".join(
        [
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
            "<title>Ticket Backend: the API</title><link rel=stylesheet href=/docs/style.css><main>",
            f"<h1>{escape(about['title'])} <span class=soft>{escape(about['version'])}</span></h1>",
            *(f"<p>{_prose(part)}</p>" for part in about["description"].split("\n\n")),
            "<p>As a document for tools: <a href=/openapi.json>openapi.json</a></p>",
            *_contents(groups),
            *(part for name, calls in groups.items() for part in _group(document, name, calls)),
            "<h2 id=shapes>Shapes</h2>",
            *(_shape(name, shape) for name, shape in sorted(document["components"]["schemas"].items())),
            "</main></html>",
        ]
    )


Calls = list[tuple[str, str, Document]]


def _groups(document: Document) -> dict[str, Calls]:
    """Tag → calls as (method, path, operation)."""
    groups: dict[str, Calls] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                tag = methods[method].get("tags", ["other"])[0]
                groups.setdefault(tag, []).append((method, path, methods[method]))
    return groups


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""))


def _contents(groups: dict[str, Calls]) -> Iterator[str]:
    yield "<nav aria-label=Calls><ul>"
    for calls in groups.values():
        for method, path, call in calls:
            yield (
                f"<li><a href='#{_anchor(method, path)}'><span class='method {method}'>{method.upper()}</span>"
                f"{escape(call.get('summary', path))}</a></li>"
            )
    yield "</ul></nav>"


def _group(document: Document, name: str, calls: Calls) -> Iterator[str]:
    yield f"<h2 id='{escape(name)}'>{escape(name)}</h2>"
    for method, path, call in calls:
        yield f"<details id='{_anchor(method, path)}' open>"
        yield f"<summary><span class='method {method}'>{method.upper()}</span>"
        yield f"<code>{escape(path)}</code> <span class=soft>{escape(call.get('summary', ''))}</span></summary><div>"
        yield f"<p>{_prose(call.get('description', ''))}</p>"
        yield _parameters(call)
        yield f"<h3>Try it</h3><pre>{escape(_curl(document, method, path, call))}</pre>"
        yield "<h3>Answers</h3><table>"
        for status, answer in sorted(call["responses"].items()):
            meaning = answer["description"].replace("Successful Response", "Done.")
            yield f"<tr><th>{status}<td>{_prose(meaning)}{_link(answer)}"
        yield "</table></div></details>"


def _prose(text: str) -> str:
    """Escaped text; `words` between backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))


def _parameters(call: Document) -> str:
    rows = "".join(
        f"<tr><th><code>{escape(one['name'])}</code><td class=soft>{escape(one['in'])}, {_kind(one['schema'])}"
        f"<td>{_prose(one.get('description') or one['schema'].get('description') or '')}"
        for one in call.get("parameters", ())
    )
    return f"<h3>Parameters</h3><table>{rows}</table>" if rows else ""


def _link(answer: Document) -> str:
    for content in answer.get("content", {}).values():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name:
            return f" → <a href='#{escape(name)}'>{escape(name)}</a>"
    return ""


def _resolved(document: Document, schema: Document) -> Document:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Document = document["components"]["schemas"][name] if name else schema
    return found


def _curl(document: Document, method: str, path: str, call: Document) -> str:
    """A command that can be pasted, with the body's own example."""
    lines = [f"curl {'--head ' if method == 'head' else ''}http://127.0.0.1:8000{path}"]
    if method not in ("get", "head", "post"):
        lines[0] = f"curl -X {method.upper()} http://127.0.0.1:8000{path}"
    if call.get("security") != []:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    content = call.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = _resolved(document, content["application/json"]["schema"])
        lines.append(f"--json {shlex.quote(json.dumps(schema['examples'][0]))}")
    elif "multipart/form-data" in content:
        fields = content["multipart/form-data"]["schema"].get("properties", {})
        lines.append(
            "-F 'mapping=<mapping.json' -F file=@old.csv" if "mapping" in fields else "-F files=@screenshot.png"
        )
    elif "application/x-tar" in content:
        lines.append("-H 'Content-Type: application/x-tar' -T everything.tar -X POST")
    elif method == "post":
        lines[0] = lines[0].replace("curl ", "curl -X POST ", 1)
    return " \\\n  ".join(lines)


def _kind(schema: Document) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{escape(name)}'>{escape(name)}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minLength", "from"), ("maxLength", "to"), ("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    unit = " characters" if schema.get("type") == "string" and limits else ""
    if "enum" in schema:
        return escape(" · ".join(str(value) for value in schema["enum"]))
    return escape(" ".join([str(schema.get("type", "any")), *limits]) + unit)


def _shape(name: str, shape: Document) -> str:
    required = set(shape.get("required", ()))
    rows = "".join(
        f"<tr><th><code>{escape(field)}</code><td class=soft>{_kind(schema)}{'' if field in required else ', optional'}"
        f"<td>{_prose(schema.get('description', ''))}"
        for field, schema in shape.get("properties", {}).items()
    )
    body = f"<table>{rows}</table>" if rows else f"<p>{_kind(shape)}</p>"
    return f"<h3 id='{escape(name)}'>{escape(name)}</h3><p>{_prose(shape.get('description', ''))}</p>{body}"
