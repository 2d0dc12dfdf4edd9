"""Imports of tables over HTTP."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.attachments import StoredFile
from backend.domain.catalogue import Record
from backend.domain.import_reports import report_body
from backend.domain.imports import ImportDraft
from backend.errors import InvalidInput, Uncertain
from backend.ports import Ports
from backend.usecases import imports
from backend.web import forms
from backend.web.answers import json_answer, page_answer, stream_answer
from backend.web.deps import PageQuery, Query, asked_of, enter
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, json_of, query_of

router = APIRouter(prefix="/api/imports", tags=["administration"])

ImportId = Annotated[str, Path(description="the import's id")]
_CSV: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}}
_MAPPING = {"type": "string", "description": "ImportDraft as JSON; before the file, where it names the encoding"}
_FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"mapping": _MAPPING, "file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        }
    },
}


class ImportQuery(Query):
    """Whether to really do it."""

    dry_run: bool = Field(default=False, description="only show how the first rows would come in")


@dataclass(slots=True)
class _Sent:
    """What the form held."""

    draft: ImportDraft | None = None
    file: StoredFile | None = None


@router.post(
    "",
    status_code=202,
    summary="Import tickets from a CSV file",
    responses={
        200: {"description": "With `dry_run`: the columns, a mapping, and the first rows.", **json_of("PreviewOut")},
        **answers("ImportOut", 400, 403, 413, 415, 422, status=202, location=True),
    },
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY, *query_of("ImportQuery")["parameters"]],
        "requestBody": _FORM,
    },
)
async def start_import(request: Request) -> Response:
    """For administrators. A form with `mapping` (see `ImportDraft`) and `file`, up to 1 GiB. It is done beside the
    requests; ask at `Location` how far it has come. With `dry_run=true` nothing is kept, and `report` says what the
    import would say of the same file; without a `mapping` one is proposed by the columns' names. A column that is there
    several times fills its field with all of them. Times such as 03/04/2026 are read as the table's other times show,
    and where none does, 422 asks for `date_order`."""
    ports, caller = await enter(request, asks=True)
    caller.must_be(Role.ADMIN)
    dry_run = asked_of(request, ImportQuery).dry_run
    sent = _Sent()
    try:
        await _read(request, ports, caller, sent)
        if dry_run:
            if sent.file is None:
                raise InvalidInput("The form must hold file (CSV).")
            found = _preview_answer(await imports.rehearse(ports, caller, sent.draft, sent.file))
            await ports.uploads.delete(sent.file.key)
            return found
        if sent.draft is None or sent.file is None:
            raise InvalidInput("The form must hold mapping (JSON) and file (CSV); dry_run=true proposes a mapping.")
        content = [sent.draft.model_dump(mode="json"), sent.file.sha256]
        promise = await once(request, ports, caller, content, _started)
        return _started(await imports.start(ports, caller, sent.draft, sent.file, promise))
    except BaseException as problem:
        if sent.file and not isinstance(problem, Uncertain | asyncio.CancelledError):
            await ports.uploads.delete(sent.file.key)
        raise


async def _read(request: Request, ports: Ports, caller: Caller, sent: _Sent) -> None:
    async for part in forms.read_parts(request):
        if part.filename is None and part.name == "mapping":
            sent.draft = await forms.draft_of(ImportDraft, (await part.text()).encode())
            if sent.draft.encoding and sent.file:
                raise InvalidInput("A mapping that names the encoding must come before the file.")
        elif part.filename is not None and sent.file is None:
            encoding = sent.draft.encoding if sent.draft else None
            sent.file = await imports.store(ports, caller, part.chunks, encoding)
        else:
            raise InvalidInput(f"The form may hold mapping and one file, and not {part.name[:100]!r}.")


@router.get(
    "",
    summary="List the imports",
    responses=answers("ImportPage", 400, 403, 422),
    openapi_extra=query_of("PageQuery"),
)
async def list_imports(request: Request) -> Response:
    """For administrators. Oldest first."""
    ports, caller = await enter(request)
    asked = asked_of(request, PageQuery)
    return page_answer(await imports.list_imports(ports, caller, asked.limit, asked.cursor), import_body)


@router.get("/{import_id}", summary="Ask how far an import is", responses=answers("ImportOut", 403, 404))
async def get_import(request: Request, import_id: ImportId) -> Response:
    """For administrators."""
    ports, caller = await enter(request)
    return json_answer(import_body(await imports.get_import(ports, caller, import_id)))


@router.get(
    "/{import_id}/refused",
    summary="Download the refused rows",
    response_class=Response,
    responses={200: {"description": "The rows.", "content": _CSV}, **answers(None, 403, 404, 409, status=None)},
)
async def read_refused(request: Request, import_id: ImportId) -> Response:
    """For administrators. CSV: the line, what is wrong field by field, and the row as it was. Correct it and send it
    again; `line` and `reasons` do no harm. Cells that a spreadsheet could take for a formula have an apostrophe before
    them, which is dropped when the file is sent again."""
    ports, caller = await enter(request)
    stream = await imports.read_refused(ports, caller, import_id)
    headers = {"content-disposition": f'attachment; filename="refused-{import_id}.csv"'}
    return await stream_answer(stream, 200, headers, "text/csv")


@router.delete(
    "/{import_id}",
    status_code=204,
    summary="Cancel or forget an import",
    responses=answers(None, 403, 404, 412, 422, status=204),
)
async def cancel_import(request: Request, import_id: ImportId) -> Response:
    """For administrators. One that goes on is stopped, and the tickets it made stay; one that is over is forgotten,
    with its refused rows. 412 where it moved on that very moment: ask again."""
    ports, caller = await enter(request)
    await imports.cancel(ports, caller, import_id)
    return Response(status_code=204)


def _started(record: Record) -> Response:
    return json_answer(import_body(record), 202, {"location": f"/api/imports/{record.id}"})


def import_body(record: Record) -> dict[str, Any]:
    """An import's JSON."""
    body = record.body
    size = max(1, body["size"])
    return {
        "id": record.id,
        "state": body["state"],
        "bytes": body["size"],
        "percent": 100.0 if body["state"] == "done" else round(100 * body["offset"] / size, 1),
        "rows_read": body["read"],
        "tickets_made": body["made"],
        "rows_refused": body["refused"],
        "rows_per_second": round(body["read"] / body["seconds"], 1) if body["seconds"] else None,
        "problem": body["problem"],
        "report": report_body(body),
        "mapping": body["draft"],
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "finished_at": body["finished_at"],
    }


def _preview_answer(found: imports.Preview) -> Response:
    return json_answer(
        {
            "columns": found.table.columns,
            "delimiter": found.table.delimiter,
            "mapping": json.loads(found.draft.model_dump_json()) if found.draft else None,
            "date_order": found.order,
            "questions": [{"field": "date_order", "message": found.question}] if found.question else [],
            "report": report_body(found.report.facts()),
            "complete": found.complete,
            "rows": [
                {
                    "line": line,
                    "ticket": ticket,
                    "problems": [{"field": field, "message": message} for field, message in problems],
                }
                for line, ticket, problems in found.rows
            ],
            "unknown_assignees": [{"name": name, "rows": count} for name, count in found.unknown.items()],
            "rows_looked_at": found.report.read,
        }
    )
